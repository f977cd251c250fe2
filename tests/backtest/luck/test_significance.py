"""The odds of luck against the papers' printed examples and a real sweep."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.backtest.luck.crosses import sp500_crosses
from workbench.backtest import metrics
from workbench.backtest.luck.cells import sharpes_of
from workbench.backtest.luck.significance import (
    dsr,
    dsr_of,
    effective_trials,
    expected_max_sharpe,
    min_backtest_length,
    min_track_record_length,
    psr,
    psr_null_variance,
    psr_of,
)

ANSWERS = Path(__file__).parents[2] / "answers"
PAPERS = json.loads((ANSWERS / "metrics.json").read_text(encoding="utf-8"))["significance"]
NEWER = json.loads((ANSWERS / "luck.json").read_text(encoding="utf-8"))
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
        assert math.isnan(min_backtest_length(10, target=0.0))


class TestTwoForms:
    def test_the_form_of_2025_on_its_own_example(self):
        case = NEWER["sharpe_2025"]
        moments = {name: case[name] for name in ("n", "skew", "kurtosis")}
        for row in case["psr"]:
            found = psr_null_variance(case["mean"] / case["deviation"], benchmark=row["benchmark"], **moments)
            assert round(found, 3) == row["printed"]
        assert round(psr(case["mean"] / case["deviation"], **moments), 3) == 0.913  # the form of 2012

    def test_both_forms_meet_where_the_observation_is_the_benchmark(self):
        assert psr_null_variance(0.1, n=500, skew=-1, kurtosis=7, benchmark=0.1) == 0.5
        assert psr(0.1, n=500, skew=-1, kurtosis=7, benchmark=0.1) == 0.5
        assert math.isnan(psr_null_variance(math.nan, n=100))
        assert math.isnan(psr_null_variance(0.1, n=1))


class TestRealSweep:
    def test_the_best_of_a_thousand_crossings(self):
        answer = NEWER["sp500_crosses"]
        returns, held = sp500_crosses()
        ratios = sharpes_of(returns)
        best = pd.Series(returns[:, ratios.argmax()])
        assert psr_of(best) == pytest.approx(answer["psr"], abs=1e-10)
        variance = float(ratios.var(ddof=1))
        assert expected_max_sharpe(1000, variance=variance * 252) == pytest.approx(
            answer["expected_max_sharpe"], abs=1e-10
        )
        assert dsr_of(best, trials=1000, variance=variance) == pytest.approx(answer["dsr"], abs=1e-10)
        assert round(metrics.sharpe(pd.Series(held)), 3) == answer["sharpe_buy_and_hold"]


class TestEffectiveTrials:
    def test_it_is_the_formula_on_the_correlation_matrix(self):
        draw = np.random.default_rng(2)
        returns = draw.normal(size=(300, 1)) * 0.7 + draw.normal(size=(300, 20))
        matrix = np.corrcoef(returns, rowvar=False)
        rho = (matrix.sum() - 20) / (20 * 19)
        assert effective_trials(returns) == pytest.approx(rho + (1 - rho) * 20)

    def test_twins_are_one_and_strangers_are_many(self):
        draw = np.random.default_rng(3)
        one = draw.normal(size=(400, 1))
        assert effective_trials(np.repeat(one, 50, axis=1)) == pytest.approx(1.0)
        assert effective_trials(draw.normal(size=(4000, 50))) == pytest.approx(50, abs=1.0)
        assert effective_trials(np.hstack([one, -one])) == 2.0
        assert effective_trials(one) == 1.0

    def test_who_never_traded_is_nobody(self):
        returns = np.random.default_rng(4).normal(size=(100, 5))
        padded = np.hstack([returns, np.zeros((100, 3)), np.full((100, 1), np.nan)])
        assert effective_trials(padded) == pytest.approx(effective_trials(returns))
        assert math.isnan(effective_trials(np.zeros((100, 3))))
