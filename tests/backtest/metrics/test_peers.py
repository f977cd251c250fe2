"""Side by side with empyrical, skfolio, vectorbt and scipy: one number where they mean the same thing."""

from __future__ import annotations

import math

import empyrical
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import skfolio.measures as sk

from tests.backtest.metrics.cases import vectorbt_returns
from workbench.backtest import metrics


def market(seed: int) -> tuple[pd.Series, pd.Series]:
    draw = np.random.default_rng(seed)
    index = pd.bdate_range("2015-01-02", periods=700, name="session")
    own = pd.Series(draw.standard_t(4, 700) * 0.01 + 0.0003, index=index)
    return own, 0.4 * own + pd.Series(draw.normal(0, 0.008, 700), index=index)


@pytest.mark.parametrize("seed", range(3))
class TestTheSameNumber:
    def test_as_empyrical(self, seed):
        own, other = market(seed)
        monthly, yearly, weekly = (empyrical.aggregate_returns(own, name) for name in ("monthly", "yearly", "weekly"))
        theirs = {
            "total_return": empyrical.cum_returns_final(own),
            "cagr": empyrical.cagr(own),
            "annual_volatility": empyrical.annual_volatility(own),
            "sharpe": empyrical.sharpe_ratio(own),
            "sortino": empyrical.sortino_ratio(own),
            "downside_deviation": empyrical.downside_risk(own) / math.sqrt(252),
            "max_drawdown": empyrical.max_drawdown(own),
            "calmar": empyrical.calmar_ratio(own),
            "omega": empyrical.omega_ratio(own),
            "stability": empyrical.stability_of_timeseries(own),
            "tail_ratio": empyrical.tail_ratio(own),
            "var_95": empyrical.value_at_risk(own),
            "var_99": empyrical.value_at_risk(own, cutoff=0.01),
            "cvar_95": empyrical.conditional_value_at_risk(own),
            "cvar_99": empyrical.conditional_value_at_risk(own, cutoff=0.01),
            "beta": empyrical.beta(own, other),
            "bear_beta": empyrical.down_alpha_beta(own, other)[1],
            "alpha": ((1 + empyrical.alpha(own, other)) ** (1 / 252) - 1) * 252,
            "tracking_error": empyrical.annual_volatility(own - other),
            "information_ratio": empyrical.excess_sharpe(own, other) * math.sqrt(252),
            "batting_average": empyrical.batting_average(own, other)["batting average"],
            "up_capture": empyrical.up_capture(own, other),
            "down_capture": empyrical.down_capture(own, other),
            "active_return": empyrical.cagr(own) - empyrical.cagr(other),
            "worst_rolling_sharpe": empyrical.roll_sharpe_ratio(own, 252).min(),
            "highest_rolling_volatility": empyrical.roll_annual_volatility(own, 63).max(),
            "best_month": monthly.max(),
            "worst_month": monthly.min(),
            "positive_months": (monthly > 0).mean(),
            "best_year": yearly.max(),
            "worst_year": yearly.min(),
            "year_to_date": yearly.iloc[-1],
            "worst_week": weekly.min(),
        }
        assert ours(own, other, theirs) == pytest.approx(numbers(theirs), rel=1e-9)

    def test_as_skfolio(self, seed):
        own, _ = market(seed)
        values = own.to_numpy()
        falls = sk.get_drawdowns(values, compounded=True)
        theirs = {
            "annual_volatility": sk.standard_deviation(values) * math.sqrt(252),
            "annual_mean": sk.mean(values) * 252,
            "semi_deviation": sk.semi_deviation(values, biased=True),
            "downside_deviation": sk.semi_deviation(values, min_acceptable_return=0, biased=True),
            "downside_potential": sk.first_lower_partial_moment(values, min_acceptable_return=0),
            "mean_absolute_deviation": sk.mean_absolute_deviation(values),
            "gini_mean_difference": sk.gini_mean_difference(values),
            "skewness": sk.skew(values),
            "kurtosis": sk.kurtosis(values),
            "evar_95": -sk.evar(values),
            "worst_session": -sk.worst_realization(values),
            "max_drawdown": -sk.max_drawdown(falls),
            "ulcer_index": sk.ulcer_index(falls),
            "pain_index": sk.average_drawdown(falls),
        }
        assert ours(own, None, theirs) == pytest.approx(numbers(theirs), rel=1e-9)

    def test_as_scipy(self, seed):
        own, other = market(seed)
        trend = scipy.stats.linregress(np.arange(len(own)), np.log1p(own).cumsum())
        line = scipy.stats.linregress(other, own)
        left = own - line.intercept - line.slope * other
        z = scipy.stats.norm.ppf(0.05)
        theirs = {
            "skewness": scipy.stats.skew(own),
            "excess_kurtosis": scipy.stats.kurtosis(own),
            "gaussian_var_95": scipy.stats.norm.ppf(0.05, own.mean(), own.std()),
            "cornish_fisher_var_95": own.mean()
            + own.std()
            * np.polyval(
                [
                    scipy.stats.kurtosis(own) / 24 - scipy.stats.skew(own) ** 2 / 18,
                    scipy.stats.skew(own) / 6,
                    1 - scipy.stats.kurtosis(own) / 8 + scipy.stats.skew(own) ** 2 * 5 / 36,
                    -scipy.stats.skew(own) / 6,
                ],
                z,
            ),
            "k_ratio": trend.slope / trend.stderr * math.sqrt(252) / len(own),
            "stability": trend.rvalue**2,
            "correlation": line.rvalue,
            "r_squared": line.rvalue**2,
            "alpha": line.intercept * 252,
            "specific_risk": math.sqrt((left**2).mean() * 252),
        }
        assert ours(own, other, theirs) == pytest.approx(numbers(theirs), rel=1e-9)

    def test_with_a_rate_that_is_free_of_risk(self, seed):
        own, other = market(seed)
        rate = 1.03 ** (1 / 252) - 1
        line = scipy.stats.linregress(other - rate, own - rate)
        growth, spread = empyrical.cagr(own) - 0.03, empyrical.annual_volatility(own)
        assert metrics.alpha(own, other, risk_free=0.03) == pytest.approx(line.intercept * 252, rel=1e-9)
        assert metrics.treynor(own, other, risk_free=0.03) == pytest.approx(growth / line.slope, rel=1e-9)
        assert metrics.m_squared(own, other, risk_free=0.03) == pytest.approx(
            growth / spread * empyrical.annual_volatility(other) + 0.03, rel=1e-9
        )
        assert metrics.sharpe(own, risk_free=0.03) == pytest.approx(
            empyrical.sharpe_ratio(own, risk_free=rate), rel=1e-9
        )

    def test_as_vectorbt(self, seed):
        own, other = market(seed)
        # vectorbt has no drawdown where the first session loses; the fall is the same when it does not.
        own.iloc[0] = abs(own.iloc[0])
        theirs = vectorbt_returns(own, other)
        names = {
            "total_return": theirs.total(),
            "cagr": theirs.annualized(),
            "annual_volatility": theirs.annualized_volatility(),
            "sharpe": theirs.sharpe_ratio(),
            "sortino": theirs.sortino_ratio(),
            "calmar": theirs.calmar_ratio(),
            "omega": theirs.omega_ratio(),
            "max_drawdown": theirs.max_drawdown(),
            "ulcer_index": theirs.ulcer_index(),
            "martin_ratio": theirs.martin_ratio(),
            "var_95": theirs.value_at_risk(),
            "cvar_95": theirs.cond_value_at_risk(),
            "tail_ratio": theirs.tail_ratio(),
            "beta": theirs.beta(),
            "up_capture": theirs.up_capture(),
            "down_capture": theirs.down_capture(),
        }
        assert ours(own, other, names) == pytest.approx(numbers(names), rel=1e-9)


def ours(own: pd.Series, other: pd.Series | None, names: dict[str, float]) -> dict[str, float]:
    found = metrics.all_kpis(own, benchmark=other)["value"]
    return {name: float(found[name]) for name in names}


def numbers(found: dict[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items()}
