import dataclasses
import math
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.arena.analysts import AnalystView, Claim, Role
from workbench.arena.consensus import Reason
from workbench.arena.decisions import Action, Decision, Status, gate
from workbench.errors import ArenaError, ParameterError

NOON = pd.Timestamp("2015-06-30T20:00Z")


def decision(symbol, action, *, veto=False, status=Status.PROPOSED):
    risk = AnalystView(
        analyst="risk", kind="rules", role=Role.RISK, round=1, p_up=0.5, veto=veto, reasons=(Claim("falls", ("e11",)),)
    )
    return Decision(
        id="d" * 32,
        symbol=symbol,
        as_of=NOON,
        action=action,
        p_up=None if action is Action.ABSTAIN else 0.5,
        confidence=None if action is Action.ABSTAIN else 1.0,
        horizon=21,
        expires=NOON + pd.Timedelta(days=30),
        reasons=(Reason("consensus", "median of two", ()),),
        evidence=("e11",),
        pack_hash="0" * 64,
        config_hash="1" * 64,
        cost=Decimal(0),
        status=status,
        label="rules",
        views=(risk,),
    )


@pytest.mark.parametrize(
    ("action", "veto", "long", "short"),
    [
        (Action.BUY, False, 0.5, 0.0),
        (Action.HOLD, False, 0.5, -0.5),
        (Action.SELL, False, 0.0, -0.5),
        (Action.ABSTAIN, False, 0.5, -0.5),
        (Action.SELL, True, 0.0, 0.0),
        (Action.ABSTAIN, True, 0.0, 0.0),
    ],
)
def test_a_decision_takes_a_weight_away_or_leaves_it(action, veto, long, short):
    said = [decision("A", action, veto=veto)]
    assert gate({"A": 0.5}, said)[0] == {"A": long}
    assert gate({"A": -0.5}, said)[0] == {"A": short}


def test_what_was_reduced_is_told_with_its_reason():
    weights = {"B": 0.3, "A": 0.5, "C": 0.2, "D": 0.0}
    said = [
        decision("A", Action.SELL),
        decision("B", Action.HOLD),
        decision("D", Action.SELL),
        decision("C", Action.SELL, veto=True),
    ]
    after, reduced = gate(weights, said)
    assert after == {"B": 0.3, "A": 0.0, "C": 0.0, "D": 0.0}
    assert list(after) == list(weights)
    assert list(reduced.index) == ["A", "C"]
    assert reduced.loc["A", "because"] == "sell: median of two"
    assert reduced.loc["C", "because"] == "veto of risk: falls"
    assert reduced.loc["A", ["before", "after"]].tolist() == [0.5, 0.0]


def test_nothing_reduced_is_an_empty_frame_with_its_columns():
    after, reduced = gate({"A": 0.5}, [])
    assert after == {"A": 0.5}
    assert reduced.empty
    assert "because" in reduced.columns


ACTIONS = st.builds(
    lambda action, veto, status: (action, veto, status), st.sampled_from(Action), st.booleans(), st.sampled_from(Status)
)


@given(
    st.dictionaries(st.sampled_from("ABCDEF"), st.floats(-3, 3)),
    st.dictionaries(st.sampled_from("ABCDEFGH"), ACTIONS),
)
def test_the_gate_never_increases_a_weight(weights, actions):
    said = [decision(symbol, action, veto=veto, status=status) for symbol, (action, veto, status) in actions.items()]
    after, reduced = gate(weights, said)
    assert after.keys() == weights.keys()
    for symbol, weight in weights.items():
        assert abs(after[symbol]) <= abs(weight)
        assert after[symbol] in {0.0, weight}
        assert (symbol in reduced.index) == (after[symbol] != weight)
    assert gate(after, said)[0] == after
    earlier = [dataclasses.replace(one, status=Status.PROPOSED) for one in said]
    assert gate(weights, earlier)[0] == after  # a rerun after the orders gives the same weights


def test_wrong_questions_are_refused():
    with pytest.raises(ParameterError, match="not finite"):
        gate({"A": math.nan}, [])
    with pytest.raises(ArenaError, match="two decisions speak about A"):
        gate({"A": 0.5}, [decision("A", Action.SELL), decision("A", Action.BUY)])
