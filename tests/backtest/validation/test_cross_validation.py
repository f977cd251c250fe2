"""Cross-validation: regions from the train sets, paths through all sessions, and nothing learned from the exam."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from tests.backtest.validation.planted import cells, setup
from tests.properties.future import random_history
from workbench.backtest import metrics
from workbench.backtest.sweep.evaluate import Setup, returns_of
from workbench.backtest.validation import cross_validation
from workbench.backtest.validation.cross_validation import cross_validate
from workbench.errors import BarsRefused, GridRefused, JobCancelled, ParameterError
from workbench.strategies import SmaCross

SURFACE = [-0.001, 0.004, -0.001, -0.001, -0.001, 0.002, 0.002, 0.002, -0.001]
GRID = pd.DataFrame(list(itertools.product([3, 5, 8], [15, 20, 30])), columns=["fast", "slow"])
CROSSING = Setup(SmaCross, random_history(symbols=("KO", "XOM"), length=400, warm_up=200, seed=3))


class TestCombinatorial:
    def test_the_plateau_is_found_on_every_split_and_every_path_is_its_own_return(self):
        asked = setup(SURFACE, noise=0.002)
        found = cross_validate(asked, cells(*range(9)), folds=6, test_folds=2)
        assert found.folds["x"].tolist() == [6] * 15
        assert found.summary["paths"] == len(found.paths) == 5
        alone = returns_of(asked, cells(6))[:, 0]
        for path in found.path_returns:
            assert found.path_returns[path].to_numpy() == pytest.approx(alone, abs=1e-15)
        assert found.summary["standard_deviation"] == pytest.approx(0.0, abs=1e-9)

    def test_each_split_chooses_by_its_train_sessions_alone_and_is_examined_on_the_rest(self):
        """Again from scratch: the train returns side by side, their Sharpe ratios, the best median of neighbours."""
        found = cross_validate(CROSSING, GRID, folds=5, test_folds=2, purge=2, embargo=3)
        returns = returns_of(CROSSING, GRID)
        size = len(returns) // 5
        assert len(found.folds) == 10
        for number, folds in enumerate(itertools.combinations(range(5), 2)):
            kept = np.ones(len(returns), dtype=bool)
            test = np.zeros(len(returns), dtype=bool)
            for fold in folds:
                begin = fold * size
                end = len(returns) if fold == 4 else begin + size
                kept[max(0, begin - 2) : end + 5] = False
                test[begin:end] = True
            sharpes = np.array([metrics.sharpe(pd.Series(column)) for column in returns[kept].T]).reshape(3, 3)
            scores = {}
            for fast, slow in itertools.product(range(3), range(3)):
                around = sharpes[max(0, fast - 1) : fast + 2, max(0, slow - 1) : slow + 2].ravel()
                scores[fast * 3 + slow] = np.sort(around)[(len(around) - 1) // 2]
            row = found.folds.iloc[number]
            chosen = GRID.index[(GRID["fast"] == row["fast"]) & (GRID["slow"] == row["slow"])][0]
            assert scores[chosen] == pytest.approx(max(scores.values()))
            assert row["in_sample_sharpe"] == pytest.approx(metrics.sharpe(pd.Series(returns[kept, chosen])), rel=1e-9)
            assert row["sharpe"] == pytest.approx(metrics.sharpe(pd.Series(returns[test, chosen])), rel=1e-9)
            assert row["total_return"] == pytest.approx(np.prod(1 + returns[test, chosen]) - 1, rel=1e-9)
            assert (row["train_sessions"], row["test_sessions"]) == (kept.sum(), test.sum())
            assert row["decay"] == row["sharpe"] - row["in_sample_sharpe"]

    def test_a_path_takes_every_session_from_a_split_that_did_not_learn_from_it(self):
        found = cross_validate(CROSSING, GRID, folds=5, test_folds=2)
        returns = returns_of(CROSSING, GRID)
        assert found.path_returns.shape == (len(returns), 4)
        assert found.path_returns.index.equals(pd.DatetimeIndex(CROSSING.history.evaluated[1:]))
        assert not found.path_returns.isna().to_numpy().any()
        size = len(returns) // 5
        for fold in range(5):
            rows = slice(fold * size, None if fold == 4 else (fold + 1) * size)
            examined = found.folds[found.folds["test_folds"].str.contains(str(fold))]
            expected = []
            for _, row in examined.iterrows():
                chosen = GRID.index[(GRID["fast"] == row["fast"]) & (GRID["slow"] == row["slow"])][0]
                expected.append(tuple(returns[rows, chosen]))
            assert sorted(map(tuple, found.path_returns.iloc[rows].to_numpy().T)) == sorted(expected)

    def test_the_distribution_is_that_of_the_paths(self):
        found = cross_validate(CROSSING, GRID, folds=6, test_folds=2)
        sharpes = np.array([metrics.sharpe(found.path_returns[path]) for path in found.path_returns])
        assert found.paths["sharpe"].tolist() == sharpes.tolist()
        assert found.summary["mean"] == pytest.approx(sharpes.mean())
        assert found.summary["standard_deviation"] == pytest.approx(sharpes.std(ddof=1))
        assert (found.summary["lowest"], found.summary["highest"]) == (sharpes.min(), sharpes.max())
        assert found.summary["share_at_or_below_0"] == (sharpes <= 0).mean()
        assert found.summary["in_sample"] == pytest.approx(found.folds["in_sample_sharpe"].mean())

    def test_pieces_of_the_grid_give_the_same_answer(self, monkeypatch):
        whole = cross_validate(CROSSING, GRID, folds=5)
        told = []
        monkeypatch.setattr(cross_validation, "AT_ONCE", 2 * 199)
        pieces = cross_validate(CROSSING, GRID, folds=5, progress=lambda *at: told.append(at))
        pd.testing.assert_frame_equal(whole.folds, pieces.folds)
        assert told == [(2, 9), (4, 9), (6, 9), (8, 9), (9, 9)]

    def test_another_metric_can_be_chosen_by(self):
        found = cross_validate(CROSSING, GRID, folds=5, metric="cagr")
        assert found.summary["mean"] == pytest.approx(found.paths["cagr"].mean())


class TestFolds:
    def test_each_session_is_examined_once_on_one_path(self):
        found = cross_validate(CROSSING, GRID, scheme="kfold", folds=5)
        assert len(found.folds) == 5
        assert found.summary["paths"] == 1
        assert found.summary["standard_deviation"] is None
        assert not found.path_returns.isna().to_numpy().any()

    def test_a_fold_that_looks_like_no_other_is_examined_by_what_the_others_taught(self):
        drifts = np.tile([0.002, -0.002], (250, 1))
        drifts[100:150] *= -1
        found = cross_validate(setup(drifts, noise=0.001, length=250), cells(0, 1), scheme="kfold", folds=5)
        assert found.folds["x"].tolist() == [0] * 5
        assert (found.folds["sharpe"] < 0).tolist() == [False, False, True, False, False]


class TestFailures:
    def test_failing_cells_are_never_chosen(self):
        found = cross_validate(setup([0.003] * 3, noise=0.002), cells(-2, -1, 0, 1, 2), folds=5)
        assert set(found.folds["x"]) <= {1, 2}

    def test_nothing_but_failures_is_an_error(self):
        with pytest.raises(BarsRefused, match="no region was found in any of 10 splits"):
            cross_validate(setup([0.0]), cells(-2), folds=5)

    def test_it_can_be_stopped(self):
        def stop(_done, _total):
            raise JobCancelled("stopped by the user")

        with pytest.raises(JobCancelled):
            cross_validate(setup([0.001]), cells(0), folds=5, progress=stop)

    def test_refusals_come_before_any_work(self, monkeypatch):
        monkeypatch.setattr(cross_validation, "Evaluator", None)
        asked = setup([0.001, 0.001], length=100)
        for error, says, more in (
            (ParameterError, "metric='max_drawdown'", {"metric": "max_drawdown"}),
            (ParameterError, "scheme='loo'", {"scheme": "loo"}),
            (ParameterError, "embargo=-2", {"embargo": -2}),
            (ParameterError, "folds=1 ", {"folds": 1, "scheme": "kfold"}),
            (BarsRefused, "99 sessions in 30 folds", {"folds": 30}),
        ):
            with pytest.raises(error, match=says):
                cross_validate(asked, cells(0, 1), **more)
        with pytest.raises(GridRefused, match="no cell"):
            cross_validate(asked, cells())


def test_in_sample_numbers_are_grey_and_in_brackets():
    found = cross_validate(CROSSING, GRID, folds=5)
    inside = f"{found.folds['in_sample_sharpe'].iloc[0]:.4f}"
    assert f'style="color:#777">({inside})</span>' in found._repr_html_()
    assert f"(in sample {inside})" in repr(found)
    assert f"(in sample {found.summary['in_sample']:.4f})" in repr(found)
