import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.arena.analysts import Role
from workbench.arena.analysts.rulebook import BEAR_RULES, BULL_RULES, RISK_RULES, Condition, Rule
from workbench.arena.analysts.rules import Bear, Bull, RiskAnalyst, rule_analysts
from workbench.arena.evidence import EvidencePack
from workbench.arena.facts import CATALOGUE
from workbench.market.bars import Bars
from workbench.market.view import MarketView
from workbench.study import canonical

UP = [100 * 1.001**step for step in range(300)]
DOWN = UP[::-1]
OTHERS = {f"O{number}": [100.0 + number + step % 5 for step in range(300)] for number in range(5)}


def test_a_long_rise_convinces_the_bull_and_gives_the_bear_only_overheating(view_of):
    pack = EvidencePack.of(view_of({"A": UP, **OTHERS}), "A")
    bull, bear = Bull().view(pack), Bear().view(pack)
    assert bull.p_up == pytest.approx(0.65)
    told = " ".join(claim.text for claim in bull.reasons)
    for words in ("up-trend", "rose over the year", "winners", "52-week high", "broke out"):
        assert words in told
    assert [claim.text.split(":")[0] for claim in bear.reasons] == ["is overbought"]
    assert bear.p_up == pytest.approx(0.47)


def test_a_long_fall_convinces_the_bear_and_leaves_the_bull_without_a_reason(view_of):
    flat = {name: [*closes[:-1], 99.0] for name, closes in OTHERS.items()}
    pack = EvidencePack.of(view_of({"A": DOWN, **flat}), "A")
    bull, bear = Bull().view(pack), Bear().view(pack)
    assert bear.p_up == pytest.approx(0.35)
    assert "down-trend" in bear.reasons[0].text
    assert bull.p_up == 0.5
    assert not bull.abstained
    assert bull.reasons[0].text == "no reason to be long in 6 rules read"
    assert set(bull.evidence) <= pack.ids


def test_risk_lowers_its_ceiling_with_each_concern_and_vetoes_the_extreme(view_of):
    calm = RiskAnalyst().view(EvidencePack.of(view_of({"A": UP}), "A"))
    assert (calm.p_up, calm.veto) == (pytest.approx(0.65), False)
    assert "no concern" in calm.reasons[0].text
    fall = [100.0] * 250 + [100.0 * 0.995**step for step in range(50)]
    worried = RiskAnalyst().view(EvidencePack.of(view_of({"A": fall}), "A"))
    assert (worried.p_up, worried.veto) == (pytest.approx(0.65 - 0.04), False)  # in a drawdown
    rough = [100.0] * 280 + [100.0, 104.0] * 10
    shaken = RiskAnalyst().view(EvidencePack.of(view_of({"A": rough}), "A"))
    assert (shaken.p_up, shaken.veto) == (pytest.approx(0.65 - 0.05 - 0.04), False)  # volatile, and more than it was
    crash = [100.0] * 280 + [100.0 * 0.95**step for step in range(20)]
    vetoed = RiskAnalyst().view(EvidencePack.of(view_of({"A": crash}), "A"))
    assert (vetoed.p_up, vetoed.veto) == (pytest.approx(0.5), True)
    assert any("lost most of its value" in claim.text for claim in vetoed.reasons)


def test_gap_risk_is_seen_only_where_there_are_opens(view_of):
    opens = {"A": [100.0] * 200 + [90.0] + [100.0] * 99}
    closes = {"A": [100.0 + step % 2 for step in range(300)]}
    without = RiskAnalyst().view(EvidencePack.of(view_of(closes), "A"))
    with_opens = RiskAnalyst().view(EvidencePack.of(view_of(closes, open=opens), "A"))
    assert with_opens.p_up == pytest.approx(without.p_up - 0.04)


def test_an_analyst_that_knows_too_little_abstains_and_says_so(view_of):
    pack = EvidencePack.of(view_of({"A": UP[:40]}), "A")
    for analyst in rule_analysts():
        view = analyst.view(pack)
        assert view.abstained
        assert view.p_up is None
        assert not view.heard
        assert "40 closes are known" in view.note


def test_the_answer_is_a_pure_function_of_the_pack(pack):
    for analyst, again in zip(rule_analysts(), rule_analysts(), strict=True):
        assert analyst.view(pack) == again.view(EvidencePack.from_body(pack.body))
        assert analyst.kind == analyst.view(pack).kind == "rules"
        assert analyst.view(pack).cost == 0


def test_the_rebuttal_follows_new_evidence_only_and_never_further_than_promised(pack):
    bull, bear, risk = (analyst.view(pack) for analyst in rule_analysts())
    after = Bull().rebut(pack, bull, (bear, risk))
    assert after.round == 1
    assert abs(after.p_up - bull.p_up) <= 0.03
    assert Bull().rebut(pack, bull, (risk,)).p_up == bull.p_up  # a ceiling is not an opinion
    assert Bull().rebut(pack, bull, (bull,)).p_up == bull.p_up  # nothing new
    assert RiskAnalyst().rebut(pack, risk, (bull, bear)).p_up == risk.p_up


def test_a_mover_says_whom_it_heard_on_what(view_of):
    pack = EvidencePack.of(view_of({"A": UP, **OTHERS}), "A")
    bull, bear = Bull().view(pack), Bear().view(pack)
    after = Bull().rebut(pack, bull, (bear,))
    assert after.p_up == pytest.approx(0.65 + 0.1 * (0.47 - 0.65))
    rsi = pack.item("rsi_14").id
    assert after.reasons[-1].evidence == (rsi,)
    assert f"heard bear on {rsi}" in after.reasons[-1].text


def test_every_rule_reads_facts_that_exist_and_names_its_source():
    names = {fact.name for fact in CATALOGUE}
    for rule in (*BULL_RULES, *BEAR_RULES, *RISK_RULES):
        assert {condition.fact for condition in rule.when} <= names
        assert rule.source
    assert all(rule.veto is False for rule in (*BULL_RULES, *BEAR_RULES))


def test_another_parameter_is_another_configuration():
    assert canonical(Bull().config) == canonical(Bull().config)
    assert canonical(Bull().config) != canonical(Bull(least=2).config)
    louder = (*BULL_RULES[:-1], BULL_RULES[-1].model_copy(update={"points": 0.05}))
    assert canonical(Bull().config) != canonical(Bull(rules=louder).config)
    with pytest.raises(ValidationError):
        Bull(loudness=3)
    with pytest.raises(ValidationError):
        Rule(says="x", when=(Condition("return_5", ">", 0),), points=0.7, source="none")


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 300),
    volatility=st.sampled_from([0.0, 1e-9, 0.01, 0.1, 0.9]),
    drift=st.sampled_from([-0.05, 0.0, 0.05]),
    holes=st.floats(0, 0.4),
)
def test_every_probability_is_inside_0_and_1_or_nothing_is_said(seed, length, volatility, drift, holes):
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2014-01-01", periods=length)
    closes = np.exp(rng.normal(drift, volatility, (length, 6)).cumsum(axis=0))
    closes[rng.random((length, 6)) < holes] = math.nan
    frame = pd.DataFrame(closes, index=index, columns=list("ABCDEF"))
    view = MarketView(as_of=index[-1].tz_localize("UTC"), bars=Bars(close=frame, open=frame.shift(1)))
    for pack in EvidencePack.of_all(view, view.symbols):
        views = [analyst.view(pack) for analyst in rule_analysts()]
        views += [
            analyst.rebut(pack, own, tuple(other for other in views if other is not own))
            for analyst, own in zip(rule_analysts(), views, strict=True)
        ]
        for said in views:
            if said.abstained:
                assert said.p_up is None
                assert said.note
            else:
                assert 0 < said.p_up < 1
                assert set(said.evidence) <= pack.ids
                assert said.evidence
                assert said.role is not Role.RISK or 0.5 <= said.p_up <= 0.65
