"""Walk-forward: one honest account, no look into the future, regions instead of points, and costs of changing."""

from __future__ import annotations

import dataclasses
import itertools
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from tests.backtest.validation.planted import Pick, cells, market, setup
from tests.properties.future import random_history, redraw
from workbench import sessions
from workbench.backtest import metrics
from workbench.backtest.costs import Costs
from workbench.backtest.sweep.evaluate import Setup, evaluate
from workbench.backtest.validation.stitching import Chosen, stitched
from workbench.backtest.validation.walk_forward import walk_forward
from workbench.backtest.weights import replayed, weights_of
from workbench.errors import BarsRefused, GridRefused, JobCancelled, ParameterError
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.strategies import SmaCross
from workbench.strategies.wishes import emit_changes
from workbench.strategy import Strategy
from workbench.study import Study

# Cell 1 is a spike, 5 to 7 are a plateau.
SURFACE = [-0.001, 0.004, -0.001, -0.001, -0.001, 0.002, 0.002, 0.002, -0.001]
GRID = pd.DataFrame(list(itertools.product([3, 5, 8], [15, 20, 30])), columns=["fast", "slow"])


def crossing(*, seed=3, length=400, **more):
    history = random_history(symbols=("KO", "XOM"), length=length, warm_up=200, seed=seed)
    return Setup(SmaCross, history, costs=Costs(fee=0.001), **more)


class TestChoice:
    def test_the_plateau_is_traded_and_never_the_spike(self):
        found = walk_forward(setup(SURFACE, noise=0.002), cells(*range(9)), train=60, test=40)
        assert found.folds["x"].tolist() == [6] * 6
        assert all(region.peak == {"x": 1} for region in found.regions)
        assert found.drift()["x"].eq(6).all()
        assert found.summary["switches"] == 0

    def test_when_the_spike_breaks_the_plateau_has_not_noticed(self):
        drifts = np.tile(SURFACE, (300, 1))
        drifts[150:, 1] = -0.01
        walked = walk_forward(setup(drifts, noise=0.002), cells(*range(9)), train=60, test=60)
        by_point = walk_forward(setup(drifts, noise=0.002), cells(*range(9)), train=60, test=60, radius=0)
        assert by_point.folds["x"].iloc[0] == 1
        assert walked.folds["x"].eq(6).all()
        assert walked.summary["total_return"] > 0.3
        assert by_point.summary["max_drawdown"] < -0.2 < walked.summary["max_drawdown"]

    def test_a_judge_overrules_the_metric(self):
        found = walk_forward(
            setup(SURFACE, noise=0.002),
            cells(*range(9)),
            train=60,
            test=60,
            judge=lambda cell, _: -cell["x"].to_numpy(float),
        )
        assert found.folds["x"].tolist() == [0] * 4

    def test_in_sample_numbers_are_those_of_a_sweep_of_the_train_window(self):
        asked = crossing()
        found = walk_forward(asked, GRID, train=80, test=60, scheme="anchored")
        for _, fold in found.folds.iterrows():
            frame = evaluate(asked.between(fold["train_start"], fold["train_end"]), GRID)
            row = frame[(GRID["fast"] == fold["fast"]) & (GRID["slow"] == fold["slow"])].iloc[0]
            assert fold["in_sample_sharpe"] == row["sharpe"]
            assert fold["in_sample_max_drawdown"] == row["max_drawdown"]
        assert found.folds["train_start"].eq(asked.history.evaluated[0]).all()


class TestOneAccount:
    def test_one_fold_is_a_plain_backtest_of_the_chosen_cell(self):
        asked = crossing()
        found = walk_forward(asked, GRID, train=100, test=100)
        assert len(found.folds) == 1
        fold = found.folds.iloc[0]
        days = asked.history.evaluated
        history = asked.between(days[99], days[-1]).history
        plain = replayed(
            weights_of(SmaCross(fast=fold["fast"], slow=fold["slow"]), history),
            history,
            costs=asked.costs,
            rules=asked.rules,
        )
        pd.testing.assert_series_equal(found.equity, plain.equity)
        pd.testing.assert_frame_equal(found.simulation.orders, plain.orders)
        assert found.returns.index[0] == fold["test_start"] == days[100]
        assert fold["sharpe"] == found.summary["sharpe"] == metrics.sharpe(plain.returns)

    def test_while_the_parameters_stay_nothing_is_traded_at_the_edges(self):
        asked = setup(SURFACE, noise=0.002, fee=0.001)
        found = walk_forward(asked, cells(*range(9)), train=60, test=40)
        assert len(found.folds) == 6
        days = asked.history.evaluated
        history = asked.between(days[59], days[-1]).history
        plain = replayed(weights_of(Pick(x=6), history), history, costs=asked.costs, rules=asked.rules)
        pd.testing.assert_series_equal(found.equity, plain.equity)
        assert len(found.simulation.orders) == 1

    def test_changing_costs_what_it_costs(self):
        drifts = np.tile([0.004, -0.004], (300, 1))
        drifts[150:] *= -1
        asked = setup(drifts, noise=0.001, fee=0.01)
        found = walk_forward(asked, cells(0, 1), train=60, test=60)
        assert found.folds["x"].tolist() == [0, 0, 1, 1]
        assert found.summary["switches"] == 1
        days = asked.history.evaluated
        close = asked.history.close
        bought, sold = days[60], days[180]
        # by hand: all cash goes into S0 at the close after the decision, and out of it into S1
        shares = 100_000 / (1.01 * close.loc[bought, "S0"])
        proceeds = shares * close.loc[sold, "S0"] * 0.99
        others = proceeds / 1.01 / close.loc[sold, "S1"]
        assert found.equity.iloc[-1] == pytest.approx(others * close["S1"].iloc[-1], rel=1e-9)
        first, second = 100_000 * (1 - 1 / 1.01), shares * close.loc[sold, "S0"] * 0.01 + proceeds * (1 - 1 / 1.01)
        assert found.folds["cost"].tolist() == pytest.approx([first, 0, second, 0])

    def test_a_slow_average_does_not_empty_a_short_test_window(self):
        history = random_history(symbols=("KO",), length=420, warm_up=200, seed=1)
        grid = pd.DataFrame({"fast": [5, 10], "slow": [150, 150]})
        found = walk_forward(Setup(SmaCross, history), grid, train=100, test=10)
        assert len(found.folds) == 12
        assert found.simulation.exposure.gt(0).any()
        assert found.weights.iloc[0].notna().all()

    def test_every_test_session_is_in_the_account_once(self):
        asked = crossing()
        found = walk_forward(asked, GRID, train=63, test=20)
        days = asked.history.evaluated
        assert found.returns.index.equals(pd.DatetimeIndex(days[63:]))
        assert found.equity.index.equals(pd.DatetimeIndex(days[62:]))
        assert found.equity.iloc[0] == asked.history.study.initial_cash
        parts = [
            found.returns.loc[fold["test_start"] : fold["test_end"]].to_numpy() for _, fold in found.folds.iterrows()
        ]
        assert np.concatenate(parts).tolist() == found.returns.tolist()
        grown = np.prod(1 + found.folds["total_return"]) - 1
        assert found.summary["total_return"] == pytest.approx(grown)

    def test_the_summary_is_made_of_the_folds(self):
        found = walk_forward(crossing(), GRID, train=63, test=20)
        folds, summary = found.folds, found.summary
        assert folds["decay"].tolist() == (folds["sharpe"] - folds["in_sample_sharpe"]).tolist()
        assert summary["in_sample_sharpe"] == pytest.approx(folds["in_sample_sharpe"].mean())
        changed = (folds[["fast", "slow"]] != folds[["fast", "slow"]].shift()).any(axis=1).iloc[1:]
        assert summary["switches"] == changed.sum()
        assert summary["profitable_folds"] == (folds["total_return"] > 0).mean()
        base = folds["in_sample_sharpe"].mean()
        assert summary["efficiency"] == (pytest.approx(folds["sharpe"].mean() / base) if base > 0 else None)


class TestNoLookAhead:
    @pytest.mark.parametrize("scheme", ["rolling", "anchored"])
    @pytest.mark.parametrize("fold", [0, 2])
    def test_redrawing_what_comes_after_a_fold_changes_nothing_of_it_and_of_those_before(self, scheme, fold):
        asked = crossing()
        lengths = {"train": 60, "test": 35, "scheme": scheme}
        first = walk_forward(asked, GRID, **lengths)
        until = first.folds["test_end"].iloc[fold]
        other = dataclasses.replace(asked, history=redraw(asked.history, after=until, seed=9, gaps=0.0))
        second = walk_forward(other, GRID, **lengths)
        columns = [name for name in first.folds.columns if name != "error"]
        pd.testing.assert_frame_equal(first.folds.loc[:fold, columns], second.folds.loc[:fold, columns])
        pd.testing.assert_frame_equal(first.weights.loc[:until], second.weights.loc[:until])
        pd.testing.assert_series_equal(first.equity.loc[:until], second.equity.loc[:until])
        assert not first.equity.equals(second.equity)

    def test_cutting_the_future_off_changes_nothing_either(self):
        asked = crossing()
        first = walk_forward(asked, GRID, train=60, test=35)
        until = first.folds["test_end"].iloc[1]
        second = walk_forward(dataclasses.replace(asked, history=asked.history.until(until)), GRID, train=60, test=35)
        pd.testing.assert_frame_equal(first.folds.iloc[:2], second.folds)
        pd.testing.assert_series_equal(first.equity.loc[:until], second.equity, check_freq=False)

    def test_the_test_window_decides_nothing_about_its_own_parameters(self):
        """A cell that is the best of the test window only is not chosen for it."""
        drifts = np.tile([0.001, -0.001, 0.0], (200, 1))
        drifts[100:] = [-0.01, -0.01, 0.02]
        asked = setup(drifts, noise=0.0005, length=200)
        found = walk_forward(asked, cells(0, 1, 2), train=100, test=100, radius=0)
        assert found.folds["x"].tolist() == [0]


class Late(Strategy):
    """Says nothing for `wait` sessions, then holds symbol `x`."""

    name: ClassVar[str] = "late"
    warm_up: ClassVar[int] = 0

    x: int = 0
    wait: int = 5

    def target_weights(self, history):
        wanted = pd.DataFrame(np.nan, index=history.sessions, columns=list(history.symbols))
        begin = history.begins + self.wait
        wanted.iloc[begin:] = 0.0
        wanted.iloc[begin:, self.x] = 1.0
        return emit_changes(wanted, history)


class Brief(Pick):
    """Raises when it is given fewer than 30 sessions."""

    name: ClassVar[str] = "brief"

    def target_weights(self, history):
        if len(history.evaluated) < 30:
            raise ValueError("too short for me")
        return super().target_weights(history)


class TestStitching:
    HISTORY = market([0.0, 0.0], length=60)

    def weights(self, *cells, kind=Late):
        days = self.HISTORY.evaluated
        edges = [20, 35, 50, 59]
        chosen = [
            Chosen(cell=cell, decided=days[edges[at]], until=days[edges[at + 1]]) for at, cell in enumerate(cells)
        ]
        found, failed = stitched(Setup(kind, self.HISTORY), chosen)
        assert found.index.equals(pd.DatetimeIndex(days[20 : edges[len(cells)] + 1]))
        said = found.dropna(how="all")
        return {int(days.get_loc(day)): row.tolist() for day, row in said.iterrows()}, failed

    def test_the_first_cell_begins_as_in_a_plain_backtest(self):
        assert self.weights({"x": 0}) == ({25: [1.0, 0.0]}, {})

    def test_what_the_next_cell_says_nothing_about_is_sold(self):
        assert self.weights({"x": 0}, {"x": 1})[0] == {25: [1.0, 0.0], 35: [0.0, 0.0], 40: [0.0, 1.0]}

    def test_the_same_cell_again_goes_on(self):
        assert self.weights({"x": 0}, {"x": 0}, {"x": 1})[0] == {25: [1.0, 0.0], 50: [0.0, 0.0], 55: [0.0, 1.0]}

    def test_no_cell_is_cash(self):
        assert self.weights({"x": 0}, None, {"x": 0})[0] == {
            25: [1.0, 0.0],
            35: [0.0, 0.0],
            50: [0.0, 0.0],
            55: [1.0, 0.0],
        }

    def test_a_strategy_that_raises_out_of_sample_is_cash_with_its_message(self):
        found, failed = self.weights({"x": 0}, {"x": 1}, kind=Brief)
        assert found == {20: [0.0, 0.0], 35: [0.0, 0.0]}
        assert failed == {
            0: "out of sample: ValueError: too short for me",
            1: "out of sample: ValueError: too short for me",
        }


class TestHours:
    """Folds are cut between sessions also where bars are hours."""

    DAYS = sessions.sessions("XNYS", "2012-01-03", "2012-12-31")[:110]

    def setup(self, seed=1, until=None):
        ends = sessions.bar_ends("XNYS", self.DAYS[0], self.DAYS[-1], minutes=60)
        steps = np.random.default_rng(1).normal(0, 0.004, len(ends))
        if until is not None:
            later = ends > sessions.closes("XNYS", until)
            steps[later] = np.random.default_rng(seed).normal(0, 0.004, later.sum())
        close = pd.DataFrame({"KO": 100 * np.exp(np.cumsum(steps))}, index=ends.rename("session"))
        close.columns.name = "symbol"
        study = Study.of(
            "KO",
            start=self.DAYS[30],
            as_of=sessions.closes("XNYS", self.DAYS[-1]),
            source="synthetic",
            timeframe="1h",
        )
        return Setup(SmaCross, History(study=study, bars=Bars(close=close), label="SYNTHETIC", synthetic=True))

    def test_a_cell_comes_into_force_with_the_last_bar_of_the_session_before(self):
        found = walk_forward(self.setup(), GRID, train=30, test=15, radius=0)
        said = found.weights.dropna(how="all").index
        assert said[0] == sessions.closes("XNYS", found.folds["train_end"].iloc[0])
        assert found.returns.index[0] == sessions.opens("XNYS", found.folds["test_start"].iloc[0]) + pd.Timedelta("1h")
        assert len(found.returns) == 50 * 7
        assert np.prod(1 + found.folds["total_return"]) - 1 == pytest.approx(found.summary["total_return"])
        changed = found.folds.index[(found.folds[["fast", "slow"]].diff().abs() > 0).any(axis=1)]
        assert len(changed)
        for fold in changed:
            assert sessions.closes("XNYS", found.folds["train_end"][fold]) in said

    def test_what_comes_after_a_fold_changes_nothing_of_it(self):
        first = walk_forward(self.setup(), GRID, train=30, test=15)
        until = first.folds["test_end"].iloc[1]
        second = walk_forward(self.setup(seed=5, until=until), GRID, train=30, test=15)
        pd.testing.assert_frame_equal(first.folds.iloc[:2], second.folds.iloc[:2])
        end = sessions.closes("XNYS", until)
        pd.testing.assert_frame_equal(first.weights.loc[:end], second.weights.loc[:end])
        assert not first.folds.equals(second.folds)


class TestFailures:
    def test_a_fold_without_a_region_is_spent_in_cash_and_says_why(self):
        drifts = np.tile([0.001, 0.003], (100, 1)).repeat(2, axis=1).reshape(200, 2)  # every other session
        drifts[:80] = 0.0
        asked = setup(drifts, noise=0.0, length=200)
        found = walk_forward(asked, cells(0, 1), train=40, test=40)
        assert found.folds["region_cells"].tolist() == [0, 0, 2, 2]
        assert "undefined" in found.folds["error"].iloc[0]
        assert found.folds["total_return"].iloc[0] == 0.0
        assert found.regions[0] is None
        assert np.isnan(found.folds["in_sample_sharpe"].iloc[0])
        assert found.summary["in_sample_sharpe"] == pytest.approx(found.folds["in_sample_sharpe"].iloc[2:].mean())

    def test_nothing_but_failures_is_an_error_with_their_message(self):
        with pytest.raises(BarsRefused, match="it cannot be"):
            walk_forward(setup([0.0]), cells(-2), train=60, test=60)

    def test_a_failing_cell_does_not_spoil_the_others(self):
        found = walk_forward(setup([0.003, 0.003, 0.003], noise=0.002), cells(-2, -1, 0, 1, 2), train=60, test=60)
        assert set(found.folds["x"]) <= {1, 2}

    def test_a_strategy_that_fails_out_of_sample_only_is_said(self):
        asked = Setup(Brief, market([0.002, 0.002, 0.002], length=120, noise=0.002))
        found = walk_forward(asked, cells(0, 1, 2), train=60, test=20, radius=0)
        single = [at for at in range(3) if found.folds["error"].iloc[at]]
        assert single
        assert all("too short for me" in found.folds["error"].iloc[at] for at in single)
        assert "too short for me" in repr(found)


class TestAsking:
    def test_progress_is_told_and_can_stop_the_walk(self):
        told = []
        walk_forward(setup([0.001, 0.001]), cells(0, 1), train=60, test=60, progress=lambda *at: told.append(at))
        assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]

        def stop(done, _total):
            if done == 2:
                raise JobCancelled("stopped by the user")

        with pytest.raises(JobCancelled):
            walk_forward(setup([0.001, 0.001]), cells(0, 1), train=60, test=60, progress=stop)

    def test_the_first_test_session_can_be_said(self):
        asked = setup([0.001, 0.001])
        begin = asked.history.evaluated[200]
        found = walk_forward(asked, cells(0, 1), train=60, test=50, first_test=begin)
        assert found.returns.index[0] == begin
        assert len(found.folds) == 2

    def test_refusals_come_before_any_work(self):
        asked = setup([0.001, 0.001], length=100)
        for error, says, more in (
            (ParameterError, "metric='win_rate'", {"metric": "win_rate"}),
            (ParameterError, "scheme='expanding'", {"scheme": "expanding"}),
            (ParameterError, "radius=-1", {"radius": -1}),
            (BarsRefused, "100 sessions are too few", {"train": 99}),
        ):
            with pytest.raises(error, match=says):
                walk_forward(asked, cells(0, 1), **more)
        with pytest.raises(GridRefused, match="no cell"):
            walk_forward(asked, cells())
        with pytest.raises(GridRefused, match="occurs twice"):
            walk_forward(asked, cells(1, 1))

    def test_usual_lengths_are_taken_where_none_are_said(self):
        found = walk_forward(setup([0.001, 0.001], length=252), cells(0, 1))
        assert (found.train, found.test, len(found.folds)) == (63, 15, 13)


class TestPage:
    def test_in_sample_numbers_are_grey_and_in_brackets(self):
        found = walk_forward(setup(SURFACE, noise=0.002), cells(*range(9)), train=60, test=60)
        page = found._repr_html_()
        inside = f"{found.folds['in_sample_sharpe'].iloc[0]:.4f}"
        assert f'<span class="wb-in-sample" style="color:#777">({inside})</span>' in page
        assert f"(in sample {inside})" in repr(found)
        assert f"(in sample {found.summary['in_sample_sharpe']:.4f})" in repr(found)
        assert "SYNTHETIC · planted" in page
        assert "SYNTHETIC · planted" in repr(found)
