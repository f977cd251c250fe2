import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.arena.analysts import AnalystView, Claim, Role
from workbench.arena.consensus import Action, ArenaRules, conclude
from workbench.arena.debate import Debate, hold
from workbench.arena.evidence import EvidencePack
from workbench.market.bars import Bars
from workbench.market.view import MarketView

RULES = ArenaRules()
PROBABILITY = st.floats(1e-6, 1 - 1e-6)
LEVEL = {Action.SELL: 0, Action.HOLD: 1, Action.BUY: 2}


def said(analyst, p_up, *, round_=0, role=Role.VOICE, veto=False):
    return AnalystView(
        analyst=analyst,
        kind="rules",
        role=role,
        round=round_,
        p_up=p_up,
        reasons=(Claim("so", ("e01",)),) if p_up is not None else (),
        abstained=p_up is None,
        veto=veto,
        note="" if p_up is not None else "nothing",
    )


def debate(voices, ceilings=(0.65,), *, veto=False):
    """A debate in which nobody moved."""
    rounds = []
    for round_ in (0, 1):
        views = [said(f"v{number}", p_up, round_=round_) for number, p_up in enumerate(voices)]
        views += [
            said(f"z{number}", p_up, round_=round_, role=Role.RISK, veto=veto) for number, p_up in enumerate(ceilings)
        ]
        rounds.append(tuple(views))
    return Debate(*rounds)


@pytest.mark.parametrize(
    ("voices", "action", "p_up"),
    [
        ((0.6, 0.5), Action.BUY, 0.55),
        ((0.59, 0.5), Action.HOLD, 0.545),
        ((0.5, 0.5), Action.HOLD, 0.5),
        ((0.41, 0.5), Action.HOLD, 0.455),
        ((0.4, 0.5), Action.SELL, 0.45),
        ((0.6, 0.58, 0.01), Action.BUY, 0.58),
        ((0.99, 0.99), Action.BUY, 0.65),
        ((0.01, 0.01), Action.SELL, 0.35),
    ],
)
def test_median_reach_and_thresholds(voices, action, p_up):
    consensus = conclude(debate(voices), RULES)
    assert consensus.action is action
    assert consensus.p_up == pytest.approx(p_up)


@pytest.mark.parametrize("voices", [(), (0.9,), (0.9, None), (None, None, None)])
def test_below_the_quorum_nothing_is_decided(voices):
    consensus = conclude(debate(voices), RULES)
    assert (consensus.action, consensus.p_up, consensus.confidence) == (Action.ABSTAIN, None, None)
    assert "2 are needed" in consensus.reasons[-1].text


def test_an_abstention_is_left_out_and_not_counted_as_a_half():
    assert conclude(debate((0.6, 0.6, None)), RULES).p_up == pytest.approx(0.6)


def test_confidence_is_the_agreement_of_the_blind_voices():
    assert conclude(debate((0.6, 0.6)), RULES).confidence == 1.0
    assert conclude(debate((0.5, 0.65)), RULES).confidence == pytest.approx(0.5)
    assert conclude(debate((0.01, 0.99)), RULES).confidence == 0.0
    moved = Debate(blind=debate((0.4, 0.6)).blind, rebuttal=debate((0.5, 0.5)).rebuttal)
    assert conclude(moved, RULES).confidence == conclude(debate((0.4, 0.6)), RULES).confidence


def test_nothing_is_bought_unseen_by_risk():
    assert conclude(debate((0.65, 0.65), ()), RULES).p_up == 0.5
    assert conclude(debate((0.65, 0.65), (None,)), RULES).action is Action.HOLD


def test_a_veto_ends_in_sell_even_when_risk_fails_afterwards():
    vetoed = debate((0.65, 0.65), (0.5,), veto=True)
    assert conclude(vetoed, RULES).action is Action.SELL
    assert "veto of z0" in conclude(vetoed, RULES).reasons[-1].text
    failed = Debate(blind=vetoed.blind, rebuttal=debate((0.65, 0.65), (None,)).rebuttal)
    assert conclude(failed, RULES).action is Action.SELL


@given(st.lists(PROBABILITY, min_size=2, max_size=6), st.lists(PROBABILITY, max_size=3), st.booleans())
def test_risk_only_lowers_and_the_probability_stays_inside(voices, ceilings, veto):
    consensus = conclude(debate(voices, ceilings, veto=veto), RULES)
    free = conclude(debate(voices, (0.999,)), RULES)
    assert 0 < consensus.p_up < 1
    assert consensus.p_up <= free.p_up
    assert LEVEL[consensus.action] <= LEVEL[free.action]
    assert consensus.aggregate == free.aggregate
    assert 0 <= consensus.confidence <= 1


@given(st.permutations(range(5)))
def test_the_order_of_the_views_does_not_matter(order):
    straight = debate((0.6, 0.44, None), (0.6, 0.55))
    turned = Debate(*(tuple(views[place] for place in order) for views in (straight.blind, straight.rebuttal)))
    assert conclude(turned, RULES) == conclude(straight, RULES)


@settings(max_examples=60, deadline=None)
@given(honest=PROBABILITY, own=PROBABILITY, poison=PROBABILITY, after=PROBABILITY, answers=PROBABILITY)
def test_of_two_voices_a_poisoned_one_moves_p_up_by_at_most_the_documented_bound(
    pack_once, scripted, *, honest, own, poison, after, answers
):
    def p_up(first, again):
        # The honest one may be talked into anything; the debate holds it to max_shift.
        voices = [scripted("bull", first, again=again), scripted("bear", honest, again=answers)]
        risk = scripted("risk", 0.65, role=Role.RISK)
        return conclude(hold(pack_once, [*voices, risk], max_shift=RULES.max_shift), RULES).p_up

    honestly = [scripted("bull", own), scripted("bear", honest), scripted("risk", 0.65, role=Role.RISK)]
    clean = conclude(hold(pack_once, honestly, max_shift=RULES.max_shift), RULES).p_up
    assert abs(p_up(poison, after) - clean) <= RULES.reach + RULES.max_shift + 1e-6


@settings(max_examples=60, deadline=None)
@given(
    first=PROBABILITY,
    second=PROBABILITY,
    poison=PROBABILITY,
    after=PROBABILITY,
    answers=st.tuples(PROBABILITY, PROBABILITY),
)
def test_of_three_voices_a_poisoned_one_cannot_leave_the_range_of_the_others(
    pack_once, scripted, *, first, second, poison, after, answers
):
    analysts = [
        scripted("a", first, again=answers[0]),
        scripted("b", second, again=answers[1]),
        scripted("poisoned", poison, again=after),
        scripted("risk", 0.65, role=Role.RISK),
    ]
    consensus = conclude(hold(pack_once, analysts, max_shift=RULES.max_shift), RULES)
    others = [min(max(value, 0.35), 0.65) for value in (first, second)]
    assert min(others) - RULES.max_shift - 1e-6 <= consensus.p_up <= max(others) + RULES.max_shift + 1e-6


def test_one_gullible_voice_of_three_does_not_buy_what_two_would_hold(pack_once, scripted):
    analysts = [scripted("a", 0.5), scripted("b", 0.52), scripted("gullible", 0.999)]
    risk = scripted("risk", 0.65, role=Role.RISK)
    consensus = conclude(hold(pack_once, [*analysts, risk], max_shift=RULES.max_shift), RULES)
    assert consensus.action is Action.HOLD
    assert consensus.p_up == 0.52


@given(PROBABILITY, PROBABILITY, PROBABILITY, st.booleans())
def test_a_poisoned_risk_analyst_never_ends_in_a_buy_that_the_voices_did_not_want(one, two, ceiling, veto):
    consensus = conclude(debate((one, two), (ceiling,), veto=veto), RULES)
    if consensus.action is Action.BUY:
        assert consensus.aggregate >= RULES.buy_at
        assert not veto


def test_thresholds_that_cannot_be_reached_are_refused():
    with pytest.raises(ValidationError, match="cannot be reached"):
        ArenaRules(buy_at=0.8)
    with pytest.raises(ValidationError):
        ArenaRules(buy_at=0.4)
    with pytest.raises(ValidationError):
        ArenaRules(threshold=0.6)
    assert ArenaRules(buy_at=0.8, reach=0.4).buy_at == 0.8


@pytest.fixture(scope="module")
def pack_once():
    index = pd.bdate_range("2014-01-01", periods=3)
    close = pd.DataFrame({"A": [1.0, 2.0, 3.0]}, index=index)
    return EvidencePack.of(MarketView(as_of=index[-1].tz_localize("UTC"), bars=Bars(close=close)), "A")
