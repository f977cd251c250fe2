"""No strategy may know the future, and the harness that says so is itself held to catching planted leaks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.properties.future import Leak, assert_unchanged, random_history, redraw
from workbench.strategies import Condition, Momentum, Rules, SmaCross, build, registered
from workbench.strategies.wishes import as_weights
from workbench.strategy import Strategy

HISTORY = random_history(seed=5, gaps=0.02)

# Every registered strategy with its own parameters, and shorter ones that speak more often.
ASKED = [build(name) for name in registered()] + [
    SmaCross(fast=3, slow=10),
    Momentum(lookback=40, skip=5, top=2),
    Rules(
        entry=(Condition(left="close", op="crosses_above", right="ema(10)"), Condition(left="atr(5)", op=">", right=0)),
        exit=(
            Condition(left="macd(5, 10, 4)", op="<", right="macd_signal(5,10,4)"),
            Condition(left="close", op=">", right="bb_upper(10, 1.5)"),
        ),
    ),
]


def test_every_registered_strategy_is_held_to_it():
    assert {type(strategy) for strategy in ASKED} == set(registered().values())


@pytest.mark.parametrize("strategy", ASKED, ids=str)
@settings(max_examples=12, deadline=None)
@given(row=some.integers(290, 398), seed=some.integers(0, 2**32 - 1))
def test_weights_do_not_depend_on_the_future(strategy, row, seed):
    assert_unchanged(strategy.target_weights, HISTORY, after=HISTORY.sessions[row], seed=seed)


@pytest.mark.parametrize("strategy", ASKED, ids=str)
def test_every_strategy_asked_says_something(strategy):
    # A strategy that never speaks would pass the property above for nothing.
    weights = strategy.target_weights(HISTORY)
    assert (weights.loc[HISTORY.study.start :].fillna(0.0) > 0).to_numpy().any()
    assert weights.loc[weights.index < HISTORY.study.start].isna().to_numpy().all()


def test_the_redrawn_future_is_another_one_and_the_past_the_same():
    after = HISTORY.sessions[300]
    other = redraw(HISTORY, after=after, seed=1)
    for name, frame in HISTORY.bars:
        redrawn = getattr(other.bars, name)
        pd.testing.assert_frame_equal(frame.loc[:after], redrawn.loc[:after])
        assert not (frame.iloc[301:] == redrawn.iloc[301:]).to_numpy().any()


class FullSampleNormalisation(Strategy):
    """Leak: the z-score's mean and deviation are taken over all sessions, the future's too."""

    name: ClassVar[str] = "leak_normalised"
    warm_up: ClassVar[int] = 0

    def target_weights(self, history):
        score = (history.close - history.close.mean()) / history.close.std()
        return (score < 0) / len(history.symbols)


class TomorrowsReturn(Strategy):
    """Leak: shift(-1) looks one row ahead."""

    name: ClassVar[str] = "leak_shifted"
    warm_up: ClassVar[int] = 0

    def target_weights(self, history):
        return (history.close.pct_change(fill_method=None).shift(-1) > 0) / len(history.symbols)


class NextRowTellsTheMonthEnd(Strategy):
    """Leak: the month ends where the next row begins another; on the last evening there is no next row."""

    name: ClassVar[str] = "leak_month_end"
    warm_up: ClassVar[int] = 0

    def target_weights(self, history):
        months = history.sessions.month
        ends = np.append(months[1:] != months[:-1], False)
        weights = np.full(history.close.shape, np.nan)
        weights[ends] = 1.0 / len(history.symbols)
        return as_weights(weights, history)


def _ask_eight_times(answer, *, row, seed):
    for nearby in range(row, row + 8):
        assert_unchanged(answer, HISTORY, after=HISTORY.sessions[nearby], seed=(seed + nearby) % 2**32)


@pytest.mark.parametrize("leaky", [FullSampleNormalisation, TomorrowsReturn])
@settings(max_examples=5, deadline=None)
@given(row=some.integers(290, 380), seed=some.integers(0, 2**32 - 1))
def test_a_planted_leak_is_caught(leaky, row, seed):
    # Near the boundary a single sign may survive one redraw; eight neighbours in a row do not.
    with pytest.raises(Leak):
        _ask_eight_times(leaky().target_weights, row=row, seed=seed)


def test_a_leak_through_a_gap_is_caught():
    gap = int(np.flatnonzero(HISTORY.close["AAPL"].isna().to_numpy()[300:])[0]) + 300
    with pytest.raises(Leak, match="the past is another one"):
        assert_unchanged(lambda history: history.close.bfill(), HISTORY, after=HISTORY.sessions[gap], seed=1)


def test_a_leak_that_only_the_cut_shows_is_caught():
    end_of_june = pd.Timestamp("2013-06-28")
    with pytest.raises(Leak, match="cut off"):
        assert_unchanged(NextRowTellsTheMonthEnd().target_weights, HISTORY, after=end_of_june, seed=1)


def test_the_harness_compares_hashes_too():
    after = HISTORY.sessions[320]
    assert_unchanged(lambda history: float(history.view(after).bars.close.sum().sum()), HISTORY, after=after, seed=3)
    with pytest.raises(Leak):
        assert_unchanged(lambda history: float(history.close.sum().sum()), HISTORY, after=after, seed=3)
