"""A strategy that peeks is caught and named, by the audit and by the cheap question before a run; others are not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests.backtest.audit.planted import (
    LEAKS,
    Chance,
    GapsFilledFromBehind,
    KnowsTheDividends,
    NeedsThree,
    Never,
    NextRowTellsTheMonthEnd,
    TomorrowsReturn,
    history_of,
    subject_of,
)
from tests.properties.future import random_history
from workbench.backtest.audit import future, warm_up
from workbench.backtest.audit.check import FAIL, PASS, WARN
from workbench.backtest.audit.future import chosen, difference, require_causal
from workbench.backtest.weights import weights_of
from workbench.data import history as loading
from workbench.errors import StrategyFailed, WeightsRefused
from workbench.market.actions import Actions, Dividend
from workbench.strategies import SmaCross, build, registered
from workbench.study import Study

HISTORY = random_history(seed=5, gaps=0.02, length=700, warm_up=400)
PAYING = dataclasses.replace(
    HISTORY, actions=Actions(dividends=tuple(Dividend("KO", HISTORY.sessions[row], 1.0) for row in range(410, 690, 40)))
)


@pytest.mark.parametrize("name", registered())
def test_every_strategy_of_the_house_passes(name):
    found = future.check(subject_of(build(name), HISTORY))
    assert (found.verdict, found.numbers["changed"].sum()) == (PASS, 0)
    assert "No weight changed" in found.headline
    require_causal(build(name), HISTORY)


@pytest.mark.parametrize("leak", [*LEAKS, NextRowTellsTheMonthEnd, GapsFilledFromBehind], ids=lambda leak: leak.name)
def test_a_planted_leak_fails_with_session_symbol_old_and_new(leak):
    found = future.check(subject_of(leak(), HISTORY))
    assert found.verdict == FAIL
    assert found.headline.startswith("It peeks: with the future after ")
    first = found.numbers[found.numbers["changed"] > 0].iloc[0]
    assert first["symbol"] in HISTORY.symbols
    assert first["session"] <= first["after"]
    assert first["symbol"] in found.headline
    assert first["old"] != first["new"]  # NaN differs from itself, too


def test_a_leak_through_the_corporate_actions_fails():
    assert future.check(subject_of(KnowsTheDividends(), PAYING)).verdict == FAIL


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.name)
def test_the_cheap_question_names_what_peeks(leak):
    with pytest.raises(
        WeightsRefused, match=rf"{leak.name}\(\) peeks: with the future after .*Nothing was replayed"
    ) as caught:
        require_causal(leak(), HISTORY)
    assert "shift(-1)" in caught.value.remedy


def test_the_cheap_question_finds_one_bar_of_peeking_in_one_symbol():
    # With a random future a sign survives half of the time; the mirror leaves no chance.
    for seed in range(25):
        one = random_history(symbols=("KO",), seed=seed, length=450, warm_up=300)
        with pytest.raises(WeightsRefused, match="peeks"):
            require_causal(TomorrowsReturn(), one)


def test_weights_that_are_known_already_are_not_asked_for_again():
    asked = []

    class Counting(Never):
        def target_weights(self, history):
            asked.append(history)
            return super().target_weights(history)

    require_causal(Counting(), HISTORY, weights=weights_of(Never(), HISTORY))
    assert len(asked) == 2
    assert all(len(world.sessions) < 550 for world in asked)


def test_chance_is_not_called_peeking():
    with pytest.raises(WeightsRefused, match=r"chance\(\) answers with chance: asked the same question twice"):
        require_causal(Chance(), HISTORY)
    found = future.check(subject_of(Chance(), HISTORY))
    assert (found.verdict, found.headline[:26]) == (FAIL, "It is not deterministic: a")


def test_a_strategy_that_stops_on_an_evening_of_its_past_says_so():
    class OnlyLong(Never):
        def target_weights(self, history):
            if len(history.sessions) < 600:
                raise LookupError("I need 600 bars")
            return super().target_weights(history)

    with pytest.raises(StrategyFailed, match=r"with the future after .* stopped with LookupError: I need 600 bars"):
        require_causal(OnlyLong(), HISTORY)


def test_nothing_to_change_is_a_warning_not_a_pass():
    assert future.check(subject_of(Never(), HISTORY)).verdict == WARN
    assert chosen(pd.DataFrame({"KO": [1.0]}), pd.DataFrame({"KO": [1.0]}), count=12, seed=1) == []
    require_causal(NeedsThree(), history_of({"A": [1.0, 2.0], "B": [1.0, 1.0], "C": [1.0, 1.0]}))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_intraday_bars_are_stamped_with_their_ends(workspace):
    study = Study.of(["SYN01", "SYN02"], start="2015-06-01", as_of="2015-06-30", timeframe="1h", source="synthetic")
    loading.collect(study, workspace=workspace, warm_up=100)
    history = loading.load(study, workspace=workspace, warm_up=100)
    honest = subject_of(SmaCross(fast=3, slow=10), history)
    require_causal(honest.strategy, history)
    for check in (future.check, warm_up.check):
        found = check(honest)
        assert found.verdict == PASS, found.headline
    assert str(future.check(honest).numbers["session"].dtype).endswith("UTC]")
    with pytest.raises(WeightsRefused, match=r"peeks: with the future after 2015-06-\d\d \d\d:30 UTC"):
        require_causal(TomorrowsReturn(), history)


def test_half_of_the_moments_are_bars_in_which_it_speaks_and_the_last_is_never_one():
    weights = pd.DataFrame({"KO": np.full(100, np.nan)}, index=pd.RangeIndex(100))
    weights.iloc[[3, 14, 15, 92, 65, 99], 0] = 1.0
    close = pd.DataFrame({"KO": np.ones(100)})
    close.iloc[[0, 1, 50, 51], 0] = np.nan
    moments = chosen(weights, close, count=10, seed=4)
    assert {3, 14, 15, 92, 65} <= set(moments)
    assert {0, 98} <= set(moments)
    assert {50, 51} <= set(moments)
    assert 1 not in moments  # before its first close a symbol has no gap
    assert 99 not in moments
    assert moments == sorted(moments) == chosen(weights, close, count=10, seed=4)


def test_a_difference_by_hand():
    days = pd.to_datetime(["2015-01-05", "2015-01-06", "2015-01-07"])
    old = pd.DataFrame({"A": [0.5, np.nan, 1.0], "B": [0.5, 0.25, 0.0]}, index=days)
    new = pd.DataFrame({"A": [0.5 + 1e-12, 0.1, 0.0], "B": [0.5, np.nan, 1.0]}, index=days)
    found = difference(old, new, after=days[1])
    assert (found["changed"], found["session"], found["symbol"], found["new"]) == (2, days[1], "A", 0.1)
    assert np.isnan(found["old"])
    assert difference(old, new, after=days[0])["changed"] == 0
    assert difference(old, old, after=days[2])["changed"] == 0
    # An answer about fewer bars than were known then is another answer.
    assert difference(old, old.iloc[:1], after=days[2])["changed"] == 3
