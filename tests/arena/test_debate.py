import dataclasses
import random
import threading
from decimal import Decimal

import pytest

from workbench.arena.analysts import AnalystView, Claim, Role
from workbench.arena.analysts.rules import Bear, Bull, RiskAnalyst, rule_analysts
from workbench.arena.consensus import Action, ArenaRules, conclude
from workbench.arena.debate import hold, hold_all
from workbench.arena.evidence import EvidencePack
from workbench.errors import ArenaError
from workbench.trace import trace_id, tracing

RULES = ArenaRules()


def answer(**changes):
    good = AnalystView(analyst="x", kind="rules", p_up=0.9, reasons=(Claim("because", ("e01",)),))
    return dataclasses.replace(good, **changes)


FAULTS = {
    "raises": RuntimeError("the model is gone"),
    "raises without words": KeyError(),
    "None": None,
    "a dict": {"p_up": 0.9},
    "prose": "I would not buy this",
    "no probability": answer(p_up=None),
    "certain": answer(p_up=1.0),
    "impossible": answer(p_up=0.0),
    "a percentage": answer(p_up=62),
    "text": answer(p_up="0.9"),
    "a truth": answer(p_up=True),
    "not a number": answer(p_up=float("nan")),
    "infinite": answer(p_up=float("inf")),
    "no reasons": answer(reasons=()),
    "a reason without evidence": answer(reasons=(Claim("trust me", ()),)),
    "evidence from elsewhere": answer(reasons=(Claim("I read it in the news", ("e01", "e99")),)),
    "reasons of another shape": answer(reasons=("e01",)),
    "a negative cost": answer(cost=Decimal(-1)),
    "a cost that is none": answer(cost=Decimal("NaN")),
    "abstains": answer(abstained=True, p_up=None, note="nothing to say"),
    "abstains with a probability": answer(abstained=True, p_up=0.9),
}


@pytest.mark.parametrize("round_", [0, 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_an_abstention_that_names_it_and_never_a_trade(pack, scripted, fault, round_):
    bad = scripted("x", FAULTS[fault]) if round_ == 0 else scripted("x", 0.9, again=FAULTS[fault])
    debate = hold(pack, [bad, scripted("good", 0.9), RiskAnalyst()], max_shift=0.03)
    said = next(view for view in (debate.blind, debate.rebuttal)[round_] if view.analyst == "x")
    assert said.abstained
    assert said.p_up is None
    assert said.note
    assert said.round == round_
    consensus = conclude(debate, RULES)
    assert consensus.action is Action.ABSTAIN
    assert consensus.p_up is None
    assert any(reason.analyst == "x" and said.note in reason.text for reason in consensus.reasons)


def test_the_error_is_named_and_the_others_are_heard(pack, scripted):
    debate = hold(pack, [*rule_analysts(), scripted("broken", ValueError("bad enum"))], max_shift=0.03)
    broken = next(view for view in debate.blind if view.analyst == "broken")
    assert broken.note == "failed with ValueError: bad enum"
    assert conclude(debate, RULES).action is conclude(hold(pack, rule_analysts(), max_shift=0.03), RULES).action


def test_a_risk_analyst_that_fails_buys_nothing(pack, scripted):
    voices = [scripted("one", 0.64), scripted("two", 0.64)]
    calm = scripted("risk", 0.65, role=Role.RISK)
    assert conclude(hold(pack, [*voices, calm], max_shift=0.03), RULES).action is Action.BUY
    for broken in (
        scripted("risk", TimeoutError("late"), role=Role.RISK),
        scripted("risk", 0.65, again=OSError("gone"), role=Role.RISK),
    ):
        consensus = conclude(hold(pack, [*voices, broken], max_shift=0.03), RULES)
        assert consensus.action is Action.HOLD
        assert consensus.p_up == 0.5


def test_an_interrupt_is_not_swallowed(pack, scripted):
    class Stop(BaseException):
        pass

    class Interrupted(scripted):
        def view(self, pack):
            raise Stop

    with pytest.raises(Stop):
        hold(pack, [Interrupted("x"), scripted("y")], max_shift=0.03)


def test_shuffled_order_and_latencies_give_the_identical_debate(draw_view, scripted):
    packs = EvidencePack.of_all(draw_view(symbols=2), ("S00", "S01"))
    shuffle = random.Random(4)
    seen = set()
    for _ in range(25):
        analysts = [
            Bull(),
            Bear(),
            RiskAnalyst(),
            scripted("anna", 0.61, delay=shuffle.random() * 0.004),
            scripted("ben", 0.44, again=0.6, delay=shuffle.random() * 0.004),
            scripted("carl", ValueError("no"), delay=shuffle.random() * 0.004),
        ]
        shuffle.shuffle(analysts)
        debates = hold_all(packs, analysts, max_shift=0.03, workers=shuffle.choice([1, 3, 12]))
        seen.add(repr([(debate, conclude(debate, RULES)) for debate in debates]))
    assert len(seen) == 1


def test_all_analysts_of_a_round_speak_at_the_same_time(pack, scripted):
    # Each waits until all six are inside: one after the other they would wait for ever, and the barrier would break.
    together = threading.Barrier(6, timeout=120)
    analysts = [scripted(f"a{number}", 0.6) for number in range(6)]
    for analyst in analysts:
        say = analyst._say
        analyst._say = lambda what, say=say: (together.wait(), say(what))[1]
    debate = hold(pack, analysts, max_shift=0.03)
    assert not any(view.abstained for view in debate.views)


def test_in_the_rebuttal_each_hears_all_the_others_once_and_not_itself(pack, scripted):
    analysts = [scripted(name, 0.6) for name in ("c", "a", "b")]
    hold(pack, analysts, max_shift=0.03)
    for analyst in analysts:
        assert analyst.calls == 1
        ((others),) = analyst.heard
        assert [view.analyst for view in others] == sorted({"a", "b", "c"} - {analyst.name})
        assert all(view.round == 0 for view in others)


def test_a_voice_is_held_to_the_agreed_step_and_it_is_noted(pack, scripted):
    debate = hold(pack, [scripted("wild", 0.5, again=0.95), scripted("calm", 0.5, again=0.49)], max_shift=0.03)
    calm, wild = debate.rebuttal
    assert wild.p_up == pytest.approx(0.53)
    assert wild.note == "asked to move +0.450, was held to +0.030"
    assert (calm.p_up, calm.note) == (0.49, "")


def test_risk_may_lower_its_ceiling_but_neither_raise_it_nor_take_back_a_veto(pack, scripted):
    eager = scripted("eager", 0.52, again=0.65, role=Role.RISK)
    wary = scripted("wary", 0.65, again=0.4, role=Role.RISK)
    fickle = scripted("fickle", 0.6, again=answer(p_up=0.6, veto=False), role=Role.RISK, veto=True)
    debate = hold(pack, [eager, wary, fickle, scripted("v", 0.6)], max_shift=0.03)
    after = {view.analyst: view for view in debate.rebuttal}
    assert after["eager"].p_up == 0.52
    assert after["wary"].p_up == 0.4
    assert after["fickle"].veto


def test_a_voice_cannot_veto_nor_speak_under_another_name_or_kind(pack, scripted):
    liar = scripted("liar", answer(analyst="risk", kind="openai", role=Role.RISK, veto=True, round=7))
    said = hold(pack, [liar], max_shift=0.03).blind[0]
    assert (said.analyst, said.kind, said.role, said.veto, said.round) == ("liar", "rules", Role.VOICE, False, 0)


def test_who_abstained_blind_is_not_asked_again(pack, scripted):
    silent = scripted("silent", ValueError("no"), again=0.9, cost=Decimal("0.1"))
    debate = hold(pack, [silent, scripted("loud", 0.6)], max_shift=0.03)
    assert silent.heard == []
    assert all(view.abstained for view in debate.views if view.analyst == "silent")


def test_what_was_spent_is_counted_even_when_the_answer_was_useless(pack, scripted):
    paid = scripted("paid", 0.6, cost=Decimal("0.002"))
    wasted = scripted("wasted", answer(p_up=7.0, cost=Decimal("0.005")))
    assert hold(pack, [paid, wasted], max_shift=0.03).cost == Decimal("0.002") * 2 + Decimal("0.005")


def test_the_trace_id_reaches_the_analysts(pack, scripted):
    class Tracing(scripted):
        def view(self, pack):
            self.heard.append(trace_id())
            return super().view(pack)

    analyst = Tracing("t")
    with tracing("0af7651916cd43dd8448eb211c80319c"):
        hold(pack, [analyst], max_shift=0.03)
    assert analyst.heard[0] == "0af7651916cd43dd8448eb211c80319c"


def test_seats_are_checked(pack, scripted):
    with pytest.raises(ArenaError, match="no analyst"):
        hold(pack, [], max_shift=0.03)
    with pytest.raises(ArenaError, match="two analysts are called 'bull'"):
        hold(pack, [Bull(), Bull()], max_shift=0.03)
    with pytest.raises(ArenaError, match="longer than 32"):
        hold(pack, [scripted("x" * 33)], max_shift=0.03)
    assert hold_all([], rule_analysts(), max_shift=0.03) == []
