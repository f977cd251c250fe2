"""Every metric against published numbers, against empyrical on the same series, and on series without an answer."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path

import empyrical
import numpy as np
import pandas as pd
import pytest

from workbench.backtest import metrics
from workbench.backtest.luck.significance import psr_of
from workbench.backtest.metrics import relative

ANSWERS = json.loads((Path(__file__).parents[2] / "answers" / "metrics.json").read_text(encoding="utf-8"))
BACON = ANSWERS["bacon"]
PORTFOLIO, BENCHMARK = (pd.Series(BACON[name]) for name in ("returns", "benchmark"))
MONTHLY = {"periods": BACON["periods"]}


def index_returns(name):
    """Daily returns of an index from the data files of the arch wheel, read without importing arch."""
    folder = Path(importlib.util.find_spec("arch").origin).parent / "data" / name
    prices = pd.read_csv(folder / f"{name}.csv.gz", index_col=0, parse_dates=True)["Adj Close"]
    return prices.pct_change(fill_method=None).loc["2009-01-05":"2018-12-31"]


@pytest.fixture(scope="module")
def nasdaq():
    return index_returns("nasdaq")


@pytest.fixture(scope="module")
def sp500():
    return index_returns("sp500")


class TestPublished:
    def test_bacon_as_printed(self):
        mar = BACON["mar_per_period"]
        ours = {
            "downside_deviation": metrics.downside_deviation(PORTFOLIO, mar=mar),
            "omega_sharpe": metrics.omega(PORTFOLIO, mar=mar) - 1,
            "bernardo_ledoit": metrics.omega(PORTFOLIO),
            "pain_index": metrics.pain_index(PORTFOLIO),
            "martin_ratio": metrics.cagr(PORTFOLIO, **MONTHLY) / metrics.ulcer_index(PORTFOLIO),
            "skewness_over_kurtosis": metrics.skewness(PORTFOLIO) / metrics.kurtosis(PORTFOLIO),
        }
        assert {name: round(value, BACON["printed"][name][1]) for name, value in ours.items()} == {
            name: value for name, (value, _digits) in BACON["printed"].items()
        }

    def test_bacon_to_ten_digits(self):
        ours = {
            "cagr": metrics.cagr(PORTFOLIO, **MONTHLY),
            "sharpe": metrics.sharpe(PORTFOLIO, **MONTHLY),
            "sortino": metrics.sortino(PORTFOLIO, **MONTHLY),
            "max_drawdown": metrics.max_drawdown(PORTFOLIO),
            "calmar": metrics.calmar(PORTFOLIO, **MONTHLY),
            "ulcer_index": metrics.ulcer_index(PORTFOLIO),
            "tracking_error": relative.tracking_error(PORTFOLIO, BENCHMARK, **MONTHLY),
            "beta": relative.beta(PORTFOLIO, BENCHMARK),
            "benchmark_cagr": metrics.cagr(BENCHMARK, **MONTHLY),
        }
        assert ours == pytest.approx(BACON["exact"], abs=6e-11)

    def test_ten_years_of_nasdaq(self, nasdaq, sp500):
        ours = {
            "total_return": metrics.total_return(nasdaq),
            "cagr": metrics.cagr(nasdaq),
            "annual_volatility": metrics.annual_volatility(nasdaq),
            "sharpe": metrics.sharpe(nasdaq),
            "sharpe_2_percent": metrics.sharpe(nasdaq, risk_free=0.02),
            "sortino": metrics.sortino(nasdaq),
            "sortino_2_percent": metrics.sortino(nasdaq, mar=0.02),
            "max_drawdown": metrics.max_drawdown(nasdaq),
            "calmar": metrics.calmar(nasdaq),
            "var_95": metrics.var_95(nasdaq),
            "cvar_95": metrics.cvar_95(nasdaq),
            "skewness": metrics.skewness(nasdaq),
            "kurtosis": metrics.kurtosis(nasdaq),
            "omega": metrics.omega(nasdaq),
            "alpha": relative.alpha(nasdaq, sp500),
            "beta": relative.beta(nasdaq, sp500),
            "information_ratio": relative.information_ratio(nasdaq, sp500),
            "up_capture": relative.capture(nasdaq, sp500, up=True),
            "down_capture": relative.capture(nasdaq, sp500, up=False),
            "psr": psr_of(nasdaq),
        }
        answers = ANSWERS["nasdaq"]["exact"]
        digits = {"information_ratio": 5e-4, "skewness": 5e-6, "kurtosis": 5e-6}
        wrong = {
            name: (value, answers[name])
            for name, value in ours.items()
            if not math.isclose(value, answers[name], abs_tol=digits.get(name, 5e-8), rel_tol=0)
        }
        assert len(nasdaq) == 2515
        assert wrong == {}


class TestAgainstEmpyrical:
    @pytest.mark.parametrize("seed", range(5))
    def test_where_the_definitions_agree(self, seed):
        draw = np.random.default_rng(seed)
        index = pd.bdate_range("2015-01-02", periods=700)
        own = pd.Series(draw.standard_t(4, 700) * 0.01 + 0.0003, index=index)
        other = 0.4 * own + pd.Series(draw.normal(0, 0.008, 700), index=index)
        pairs = {
            "total_return": (metrics.total_return(own), empyrical.cum_returns_final(own)),
            "cagr": (metrics.cagr(own), empyrical.cagr(own)),
            "annual_volatility": (metrics.annual_volatility(own), empyrical.annual_volatility(own)),
            "sharpe": (metrics.sharpe(own), empyrical.sharpe_ratio(own)),
            "sortino": (metrics.sortino(own), empyrical.sortino_ratio(own)),
            "downside": (metrics.downside_deviation(own) * math.sqrt(252), empyrical.downside_risk(own)),
            "max_drawdown": (metrics.max_drawdown(own), empyrical.max_drawdown(own)),
            "calmar": (metrics.calmar(own), empyrical.calmar_ratio(own)),
            "omega": (metrics.omega(own), empyrical.omega_ratio(own)),
            "var_95": (metrics.var_95(own), empyrical.value_at_risk(own)),
            "cvar_95": (metrics.cvar_95(own), empyrical.conditional_value_at_risk(own)),
            "beta": (relative.beta(own, other), empyrical.beta(own, other)),
            "alpha": ((1 + relative.alpha(own, other) / 252) ** 252 - 1, empyrical.alpha(own, other)),
            "tracking_error": (
                relative.tracking_error(own, other),
                empyrical.annual_volatility(own - other),
            ),
            "information_ratio": (
                relative.information_ratio(own, other) / math.sqrt(252),
                empyrical.excess_sharpe(own, other),
            ),
            "up_capture": (relative.capture(own, other, up=True), empyrical.up_capture(own, other)),
            "down_capture": (relative.capture(own, other, up=False), empyrical.down_capture(own, other)),
        }
        ours = {name: pair[0] for name, pair in pairs.items()}
        assert ours == pytest.approx({name: float(pair[1]) for name, pair in pairs.items()}, rel=1e-9)


class TestByHand:
    def test_the_initial_capital_is_a_peak(self):
        assert metrics.max_drawdown(pd.Series([-0.1, 0.05])) == pytest.approx(-0.1)

    def test_longest_drawdown_counts_sessions_below_the_peak(self):
        #                    up   down  down  back   down  down  down (never recovered)
        path = pd.Series([0.10, -0.5, 0.50, 1.0, -0.01, -0.01, -0.01])
        assert metrics.longest_drawdown(path) == 3
        assert metrics.longest_drawdown(path.iloc[:4]) == 2
        assert metrics.longest_drawdown(pd.Series([0.1, 0.0, 0.1])) == 0

    def test_turnover_cost_and_exposure(self):
        orders = pd.DataFrame({"value": [100.0, 300.0], "fee": [1.0, 2.0], "slippage": [0.5, 0.5]})
        equity = pd.Series(200.0, index=range(127))  # 126 sessions after the first: half a year
        assert metrics.turnover(orders, equity=equity) == pytest.approx(400 / 2 / 200 * 2)
        assert metrics.cost_paid(orders) == 4.0
        assert metrics.exposure(pd.Series([0.0, 0.5, 1.0])) == 0.5

    def test_a_day_without_a_move_is_no_positive_day(self):
        assert metrics.positive_days(pd.Series([0.01, 0.0, -0.01, 0.02])) == 0.5

    def test_everything_lost_is_minus_one(self):
        assert metrics.cagr(pd.Series([0.1, -1.0])) == -1.0


class TestUndefined:
    NEVER_TRADED = pd.Series([0.0] * 50)

    @pytest.mark.parametrize(
        "metric",
        [metrics.sharpe, metrics.sortino, metrics.calmar, metrics.omega, metrics.skewness, metrics.kurtosis, psr_of],
    )
    def test_a_strategy_that_never_traded_has_no_ratio(self, metric):
        assert math.isnan(metric(self.NEVER_TRADED))

    def test_it_has_a_return_a_drawdown_and_a_risk_of_nothing(self):
        for metric in (
            metrics.total_return,
            metrics.cagr,
            metrics.annual_volatility,
            metrics.max_drawdown,
            metrics.var_95,
        ):
            assert metric(self.NEVER_TRADED) == 0

    def test_equal_returns_have_no_variance_even_after_rounding(self):
        wealth = pd.Series(100.0 * 1.0001 ** np.arange(300))
        grown = (wealth / wealth.shift(1) - 1).iloc[1:]
        assert grown.max() > grown.min()  # rounding, not risk
        assert math.isnan(metrics.sharpe(grown))

    @pytest.mark.parametrize("returns", [pd.Series(dtype=float), pd.Series([np.nan, np.nan])])
    def test_no_return_is_no_answer(self, returns):
        for metric in (
            metrics.total_return,
            metrics.cagr,
            metrics.annual_volatility,
            metrics.sharpe,
            metrics.sortino,
            metrics.max_drawdown,
            metrics.calmar,
            metrics.longest_drawdown,
            metrics.ulcer_index,
            metrics.pain_index,
            metrics.var_95,
            metrics.cvar_95,
            metrics.skewness,
            metrics.omega,
            metrics.positive_days,
        ):
            assert math.isnan(metric(returns)), metric.__name__

    def test_one_return_has_no_deviation(self):
        assert math.isnan(metrics.sharpe(pd.Series([0.01])))
        assert math.isnan(metrics.annual_volatility(pd.Series([0.01])))

    def test_an_unknown_return_is_left_out_not_zero(self):
        assert metrics.sharpe(pd.Series([0.01, np.nan, 0.03])) == metrics.sharpe(pd.Series([0.01, 0.03]))

    def test_a_benchmark_against_itself(self):
        assert relative.beta(PORTFOLIO, PORTFOLIO) == pytest.approx(1.0)
        assert relative.alpha(PORTFOLIO, PORTFOLIO) == pytest.approx(0.0, abs=1e-15)
        assert relative.tracking_error(PORTFOLIO, PORTFOLIO) == 0.0
        assert math.isnan(relative.information_ratio(PORTFOLIO, PORTFOLIO))

    def test_a_benchmark_that_does_not_move_or_does_not_overlap(self):
        flat, elsewhere = PORTFOLIO * 0.0, BENCHMARK.set_axis(range(100, 124))
        for other in (flat, elsewhere):
            assert math.isnan(relative.beta(PORTFOLIO, other))
            assert math.isnan(relative.alpha(PORTFOLIO, other))
            assert math.isnan(relative.correlation(PORTFOLIO, other))
            assert math.isnan(relative.capture(PORTFOLIO, other, up=True))
        assert math.isnan(relative.tracking_error(PORTFOLIO, elsewhere))
