"""The odds of luck against the papers' printed examples, and the bootstrap against arch."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import metrics
from workbench.backtest.luck import monte_carlo
from workbench.backtest.luck.significance import (
    dsr,
    dsr_of,
    expected_max_sharpe,
    min_backtest_length,
    min_track_record_length,
    psr,
    psr_of,
)

PAPERS = json.loads((Path(__file__).parents[2] / "answers" / "metrics.json").read_text(encoding="utf-8"))[
    "significance"
]
RETURNS = pd.Series(np.random.default_rng(11).standard_t(5, 1_500) * 0.01 + 0.0006)


class TestPapers:
    @pytest.mark.parametrize("case", PAPERS["dsr"])
    def test_deflated_sharpe_ratio(self, case):
        found = dsr(
            2.5 / math.sqrt(250),
            n=1250,
            trials=case["trials"],
            variance=0.5 / 250,
            skew=case["skew"],
            kurtosis=case["kurtosis"],
        )
        assert round(found, 4) == case["printed"]

    def test_what_the_best_of_a_hundred_worthless_strategies_shows(self):
        assert round(expected_max_sharpe(100, variance=0.5 / 250), 4) == 0.1132
        assert expected_max_sharpe(1, variance=0.5) == 0.0

    @pytest.mark.parametrize("case", PAPERS["psr"])
    def test_probabilistic_sharpe_ratio(self, case):
        found = psr(case["sharpe"], n=case["n"], skew=case["skew"], kurtosis=case["kurtosis"])
        assert round(found, 3) == case["printed"]

    @pytest.mark.parametrize("case", PAPERS["min_track_record_years"])
    def test_minimum_track_record(self, case):
        root = math.sqrt(case["periods"])
        found = min_track_record_length(2 / root, benchmark=1 / root, skew=case["skew"], kurtosis=case["kurtosis"])
        assert round(found / case["periods"], 2) == case["printed"]

    @pytest.mark.parametrize("case", PAPERS["min_backtest_years"])
    def test_minimum_backtest(self, case):
        assert round(min_backtest_length(case["trials"]), 1) == case["printed"]


class TestSense:
    def test_a_record_of_the_minimum_length_has_just_the_confidence(self):
        sharpe, skew, kurtosis = 0.08, -0.4, 6.0
        length = min_track_record_length(sharpe, skew=skew, kurtosis=kurtosis, confidence=0.95)
        assert psr(sharpe, n=math.ceil(length), skew=skew, kurtosis=kurtosis) >= 0.95
        assert psr(sharpe, n=math.floor(length), skew=skew, kurtosis=kurtosis) < 0.95

    def test_more_evidence_is_surer_and_more_trials_are_not(self):
        assert psr(0.05, n=500) < psr(0.05, n=1000) < psr(0.06, n=1000)
        odds = [dsr(0.1, n=1000, trials=trials, variance=0.001) for trials in (1, 2, 10, 1000)]
        assert odds == sorted(odds, reverse=True)
        assert odds[0] == psr(0.1, n=1000)

    def test_series_and_numbers_say_the_same(self):
        sharpe = metrics.sharpe(RETURNS, periods=1)
        moments = {"skew": metrics.skewness(RETURNS), "kurtosis": metrics.kurtosis(RETURNS)}
        assert psr_of(RETURNS, benchmark=0.5) == psr(sharpe, n=1500, benchmark=0.5 / math.sqrt(252), **moments)
        assert dsr_of(RETURNS, trials=20, variance=0.001) == dsr(sharpe, n=1500, trials=20, variance=0.001, **moments)

    def test_what_cannot_be_said_is_nan(self):
        assert math.isnan(psr(math.nan, n=100))
        assert math.isnan(psr(0.1, n=1))
        assert math.isnan(dsr(0.1, n=100, trials=5, variance=math.nan))
        assert math.isnan(min_track_record_length(0.1, benchmark=0.2))
        assert math.isnan(min_track_record_length(math.nan))


class TestBootstrap:
    @pytest.mark.parametrize("echo", [-0.3, 0.0, 0.1, 0.6, 0.9])
    @pytest.mark.parametrize("n", [250, 2400])
    def test_the_block_length_is_that_of_arch(self, echo, n):
        from arch.bootstrap import optimal_block_length

        noise = np.random.default_rng(n).standard_normal(n)
        series = np.zeros(n)
        for row in range(1, n):
            series[row] = echo * series[row - 1] + noise[row]
        theirs = float(optimal_block_length(series)["stationary"].iloc[0])
        assert monte_carlo.optimal_block_length(series) == pytest.approx(max(theirs, 1.0), rel=1e-9)

    def test_a_series_that_does_not_move_has_blocks_of_one(self):
        assert monte_carlo.optimal_block_length(np.zeros(100)) == 1.0

    def test_histories_walk_forward_in_blocks_of_the_mean_length(self):
        rows = np.concatenate(list(monte_carlo.stationary_indices(400, block_length=8.0, reps=600, seed=3)))
        assert rows.shape == (600, 400)
        steps = (rows[:, 1:] - rows[:, :-1]) % 400
        # a jump lands on the next row by chance once in 400 times
        assert 1 / (steps != 1).mean() == pytest.approx(8.0 / (1 - 1 / 400), rel=0.02)
        counts = np.bincount(rows.ravel(), minlength=400)
        assert counts.mean() == 600
        assert counts.std() / counts.mean() < 0.15  # every row is as likely as any other

    def test_intervals_are_those_of_arch_within_the_noise_of_drawing(self):
        from arch.bootstrap import StationaryBootstrap

        ours = monte_carlo.intervals(RETURNS, seed=1, reps=8_000)
        blocks = monte_carlo.optimal_block_length(RETURNS.to_numpy())
        bootstrap = StationaryBootstrap(blocks, RETURNS.to_numpy(), seed=2)
        theirs = bootstrap.conf_int(
            lambda drawn: np.array([metrics.sharpe(drawn), metrics.max_drawdown(drawn), metrics.cagr(drawn)]),
            reps=3_000,
            method="percentile",
        )
        for column, name in enumerate(("sharpe", "max_drawdown", "cagr")):
            width = ours[name][1] - ours[name][0]
            assert ours[name] == pytest.approx(tuple(theirs[:, column]), abs=0.06 * width)

    def test_the_same_seed_draws_the_same_intervals(self):
        once = monte_carlo.intervals(RETURNS, seed=5, reps=300)
        assert once == monte_carlo.intervals(RETURNS, seed=5, reps=300)
        assert once != monte_carlo.intervals(RETURNS, seed=6, reps=300)
        assert set(once) == {"total_return", "cagr", "sharpe", "max_drawdown"}

    def test_they_hold_what_was_observed(self):
        found = monte_carlo.intervals(RETURNS, seed=5)
        for name in ("total_return", "cagr", "sharpe", "max_drawdown"):
            assert found[name][0] < getattr(metrics, name)(RETURNS) < found[name][1]

    def test_nothing_to_reshuffle_is_no_interval(self):
        assert monte_carlo.intervals(pd.Series([0.0] * 100), seed=1) == {}
        assert monte_carlo.intervals(RETURNS.iloc[:19], seed=1) == {}
