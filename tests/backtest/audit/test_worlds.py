"""The worlds a strategy is asked in: the past is untouched in each of them, and the rest is what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.properties.future import random_history
from workbench.backtest.audit.worlds import cut, later, mirrored, only, redrawn
from workbench.data import history as loading
from workbench.market.actions import Actions, Delisting, Dividend, Split
from workbench.study import Study

HISTORY = random_history(seed=5, gaps=0.02)
DAYS = HISTORY.sessions
ACTING = dataclasses.replace(
    HISTORY,
    actions=Actions(
        dividends=(Dividend("KO", DAYS[300], 1.0), Dividend("AAPL", DAYS[350], 1.0)),
        splits=(Split("AAPL", DAYS[310], 2.0),),
        delistings=(Delisting("XOM", DAYS[380], 0.0),),
    ),
)


@settings(max_examples=20, deadline=None)
@given(row=some.integers(290, 398), seed=some.integers(0, 2**32 - 1))
def test_every_other_future_leaves_the_past_alone(row, seed):
    after = DAYS[row]
    for other in (redrawn(HISTORY, after=after, seed=seed), mirrored(HISTORY, after=after), cut(HISTORY, after=after)):
        for name, frame in HISTORY.bars:
            pd.testing.assert_frame_equal(getattr(other.bars, name).loc[:after], frame.loc[:after], check_freq=False)


def test_a_redrawn_future_is_another_one_and_the_same_for_the_same_seed():
    first, again, other = (redrawn(HISTORY, after=DAYS[300], seed=seed) for seed in (1, 1, 2))
    for name, frame in HISTORY.bars:
        pd.testing.assert_frame_equal(getattr(first.bars, name), getattr(again.bars, name))
        assert not (getattr(first.bars, name).iloc[301:] == frame.iloc[301:]).to_numpy().any()
        assert not (getattr(first.bars, name).iloc[301:] == getattr(other.bars, name).iloc[301:]).to_numpy().any()


def test_a_redrawn_future_has_the_volatility_of_the_symbols_own_past():
    quiet = HISTORY.close.copy()
    quiet["AAPL"] = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.001, len(quiet))))
    calm = dataclasses.replace(HISTORY, bars=dataclasses.replace(HISTORY.bars, close=quiet))
    drawn = redrawn(calm, after=DAYS[290], seed=3, gaps=0.0).close.iloc[291:]
    deviations = np.log(drawn).diff().std()
    assert deviations["AAPL"] < deviations["KO"] / 3


def test_the_mirror_turns_every_rise_into_the_same_fall():
    other = mirrored(HISTORY, after=DAYS[300])
    here = np.log(HISTORY.close.ffill()).diff().iloc[301:]
    there = np.log(other.close.ffill()).diff().iloc[301:]
    pd.testing.assert_frame_equal(there, -here)
    rest = other.bars.between(DAYS[301], DAYS[-1])
    assert ((rest.high >= rest.low) | rest.close.isna()).to_numpy().all()
    assert ((rest.high >= rest.close) | rest.close.isna()).to_numpy().all()


def test_the_mirror_of_a_symbol_that_comes_later_turns_around_its_first_close():
    close = HISTORY.close.copy()
    close.loc[: DAYS[310], "KO"] = np.nan
    young = dataclasses.replace(HISTORY, bars=dataclasses.replace(HISTORY.bars, close=close))
    first = close["KO"].first_valid_index()
    assert mirrored(young, after=DAYS[300]).close.loc[first, "KO"] == pytest.approx(close.loc[first, "KO"])


def test_no_future_knows_the_actions_to_come():
    for other in (
        redrawn(ACTING, after=DAYS[305], seed=1),
        mirrored(ACTING, after=DAYS[305]),
        cut(ACTING, after=DAYS[305]),
    ):
        assert list(other.actions) == [ACTING.actions.dividends[0]]


def test_a_later_beginning_keeps_what_is_evaluated():
    short = later(HISTORY, warm_up=10)
    assert short.begins == 10
    assert short.evaluated.equals(HISTORY.evaluated)
    assert later(HISTORY, warm_up=10_000).begins == HISTORY.begins == 290


def test_some_of_the_symbols_stay_in_their_order_with_their_actions():
    fewer = only(ACTING, ["XOM", "AAPL"])
    assert fewer.symbols == fewer.study.symbols == ("AAPL", "XOM")
    assert {action.symbol for action in fewer.actions} == {"AAPL", "XOM"}
    pd.testing.assert_series_equal(fewer.close["XOM"], HISTORY.close["XOM"])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_intraday_history_is_cut_within_a_session(workspace):
    study = Study.of("SYN01", start="2015-06-01", as_of="2015-06-05", timeframe="1h", source="synthetic")
    loading.collect(study, workspace=workspace, warm_up=0)
    history = loading.load(study, workspace=workspace, warm_up=0)
    after = history.sessions[9]  # the third bar of the second session
    known = cut(history, after=after)
    assert known.sessions[-1] == after == known.study.as_of
    assert known.study.end == pd.Timestamp("2015-06-02")
    drawn = redrawn(history, after=after, seed=1, gaps=0.0)
    assert (drawn.close.iloc[10:] != history.close.iloc[10:]).to_numpy().all()
    pd.testing.assert_frame_equal(drawn.close.iloc[:10], history.close.iloc[:10], check_freq=False)
