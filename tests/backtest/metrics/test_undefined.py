"""What has no answer is NaN, never infinity and never 0 in its place; what is 0 is 0. Scenario by scenario, exactly."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import metrics
from workbench.backtest.metrics.kpis import KPIS

SESSIONS = pd.bdate_range("2015-01-01", periods=801, name="session")
OF_RETURNS = ("returns", "risk", "drawdown", "tail", "ratio", "rolling", "calendar")
OF_TRADES = {one.name for one in KPIS if one.group == "trade"} - {
    "trades",
    "open_trades",
    "long_trades",
    "short_trades",
}
RATIOS = {one.name for one in KPIS if one.group == "ratio"}
MOMENTS = {"skewness", "kurtosis", "excess_kurtosis", "autocorrelation", "lo_volatility", "cornish_fisher_var_95"}
NO_LOSS = {"average_drawdown", "tail_ratio", "rachev_ratio"}
NO_COST = {"cost_per_value", "breakeven_cost"}
NO_ORDERS = pd.DataFrame({name: pd.Series(dtype=float) for name in ("value", "fee", "slippage", "spread", "impact")})
NO_TRADES = pd.DataFrame(
    {
        **{name: pd.Series(dtype=float) for name in ("pnl", "return", "mae", "mfe")},
        **{name: pd.Series(dtype="datetime64[us]") for name in ("opened", "closed")},
        **{name: pd.Series(dtype=str) for name in ("side", "exit_reason")},
        "open": pd.Series(dtype=bool),
    }
)


def of_groups(*groups: str) -> set[str]:
    return {one.name for one in KPIS if one.group in groups}


def run_of(returns: np.ndarray | list[float], *, orders: pd.DataFrame = NO_ORDERS) -> pd.Series:
    """All metrics of a book with these returns, beside a benchmark that moves every day."""
    values = np.asarray(returns, dtype=float)
    sessions = SESSIONS[: len(values) + 1] if len(values) else SESSIONS[:0]
    draw = np.random.default_rng(5)
    equity = 100.0 * np.concatenate(([1.0], np.cumprod(1.0 + values)))[: len(sessions)]
    return metrics.all_kpis(
        pd.Series(values, index=sessions[1:]),
        pd.Series(equity, index=sessions),
        orders,
        NO_TRADES,
        pd.Series(0.0, index=sessions),
        benchmark=pd.Series(draw.normal(0, 0.01, len(values)), index=sessions[1:]),
        financing=pd.DataFrame(0.0, index=sessions, columns=["borrow", "interest"]),
    )["value"]


def undefined(found: pd.Series) -> set[str]:
    return set(found.index[found.isna()])


def test_a_strategy_that_never_traded():
    found = run_of([0.0] * 800)
    no_moves = {"correlation", "r_squared", "appraisal_ratio", "treynor", "m_squared", "worst_rolling_sharpe"}
    assert undefined(found) == RATIOS | MOMENTS | NO_LOSS | NO_COST | OF_TRADES | no_moves
    against = of_groups("benchmark") | {"trades"}
    assert (found.drop(list(against)).dropna() == 0).all()  # it earned nothing, risked nothing, and cost nothing


def test_no_return_at_all():
    found = run_of([])
    counted = {"trades", "open_trades", "long_trades", "short_trades"}
    free = {"cost", "fees", "slippage", "spread", "impact", "borrow", "interest"}
    assert set(found.index) - undefined(found) == counted | free


def test_one_return():
    found = run_of([0.01])
    deviations = {
        "annual_volatility",
        "semi_deviation",
        "mean_absolute_deviation",
        "gini_mean_difference",
        "gaussian_var_95",
    }
    windows = of_groups("rolling") | {"trailing_12_months"}
    against = {"beta", "bear_beta", "alpha", "correlation", "r_squared", "tracking_error", "specific_risk"} | {
        "information_ratio",
        "appraisal_ratio",
        "treynor",
        "m_squared",
    }
    captures = {"up_capture", "down_capture"}
    lacking = undefined(found) - captures  # the benchmark rose or fell on that day: one of the two is defined
    assert lacking == RATIOS | MOMENTS | NO_LOSS | NO_COST | OF_TRADES | deviations | windows | against
    assert len(captures & undefined(found)) == 1


def test_two_returns_are_enough_for_a_deviation_and_three_for_what_follows():
    two = run_of([0.01, -0.02])
    deviations = {"annual_volatility", "semi_deviation", "mean_absolute_deviation", "gini_mean_difference", "sharpe"}
    assert not undefined(two) & (deviations | {"skewness", "kurtosis", "gaussian_var_95", "sortino", "sharpe_error"})
    assert not undefined(two) & {"beta", "alpha", "correlation", "tracking_error", "information_ratio", "m_squared"}
    assert undefined(two) >= {"autocorrelation", "lo_volatility", "lo_sharpe", "k_ratio", "stability"}
    assert two["gini_mean_difference"] == pytest.approx(0.03)
    assert two["annual_volatility"] == pytest.approx(0.03 / 2**0.5 * 252**0.5)
    three = run_of([0.01, -0.02, 0.015])
    assert not undefined(three) & {"autocorrelation", "lo_volatility", "lo_sharpe", "k_ratio", "stability"}


def test_a_record_of_exactly_one_window_has_that_window():
    year = np.random.default_rng(4).normal(0, 0.01, 252)
    found = run_of(year)
    assert found["best_12_months"] == found["worst_12_months"] == pytest.approx(found["total_return"])
    assert found["worst_rolling_sharpe"] == pytest.approx(found["sharpe"], rel=1e-9)
    assert undefined(run_of(year[:251])) >= {"best_12_months", "worst_12_months", "worst_rolling_sharpe"}
    quarter = run_of(year[:63])
    assert quarter["highest_rolling_volatility"] == pytest.approx(quarter["annual_volatility"], rel=1e-9)


@pytest.mark.parametrize("step", [0.001, -0.001])
def test_equal_returns_have_no_risk_even_after_rounding(step):
    wealth = pd.Series((1.0 + step) ** np.arange(801))
    grown = (wealth / wealth.shift(1) - 1.0).to_numpy()[1:]
    assert grown.max() > grown.min()  # rounding, not risk
    found = run_of(grown)
    no_moves = {"correlation", "r_squared", "m_squared", "worst_rolling_sharpe"}
    assert undefined(found) >= {"sharpe", "geometric_sharpe", "lo_sharpe", "k_ratio", "adjusted_sharpe"} | no_moves
    assert undefined(found) >= MOMENTS
    assert found["stability"] == pytest.approx(1.0)


def test_no_session_that_loses():
    found = run_of(np.random.default_rng(1).random(800) * 0.01 + 1e-4)
    no_fall = {"calmar", "calmar_36_months", "martin_ratio", "pain_ratio", "burke_ratio", "recovery_factor"}
    nothing_below = {"sortino", "omega", "kappa_3", "upside_potential_ratio", "gain_to_pain"}
    assert undefined(found) == no_fall | nothing_below | NO_LOSS | NO_COST | OF_TRADES
    assert found["max_drawdown"] == found["ulcer_index"] == found["time_under_water"] == found["longest_drawdown"] == 0


@pytest.mark.parametrize("last", [-1.0, -1.5])
def test_everything_lost_and_more(last):
    found = run_of([0.001] * 400 + [last])
    assert found["cagr"] == -1.0
    assert found["max_drawdown"] == pytest.approx(last)
    assert undefined(found) >= {"k_ratio", "stability"}  # there is no logarithm of what is not there


def test_a_record_shorter_than_a_window_is_not_stretched():
    found = run_of(np.random.default_rng(2).normal(0, 0.01, 62))
    assert undefined(found) >= of_groups("rolling") | {"trailing_12_months", "calmar_36_months"}
    longer = run_of(np.random.default_rng(2).normal(0, 0.01, 300))
    assert undefined(longer) & (of_groups("rolling") | {"trailing_12_months"}) == set()
    assert math.isnan(longer["calmar_36_months"])


def test_a_series_without_dates_has_no_calendar():
    values = pd.Series(np.random.default_rng(3).normal(0, 0.01, 800))
    found = metrics.all_kpis(values)["value"]
    dated = of_groups("calendar") | {"longest_drawdown_days", "gain_to_pain", "calmar_36_months"}
    alone = {name for name in found.index if name in of_groups(*OF_RETURNS)} - {"cagr_calendar"}
    assert undefined(found) & alone == dated
    assert metrics.monthly_table(values).empty


def test_what_was_not_handed_over_is_undefined_not_zero():
    found = metrics.all_kpis(pd.Series([0.01, -0.02, 0.03], index=SESSIONS[:3]))["value"]
    assert undefined(found) >= of_groups("benchmark", "trade", "exposure", "cost") | {"cagr_calendar"}


def test_a_cost_that_was_not_modelled_is_undefined_and_the_total_goes_without_it():
    orders = pd.DataFrame({"value": [100.0, 300.0], "fee": [1.0, 2.0], "slippage": [0.5, 0.5]})
    found = run_of([0.01, -0.02, 0.03], orders=orders)
    assert undefined(found) >= {"spread", "impact"}
    assert found["cost"] == 4.0
    assert metrics.cost_paid(orders) == 4.0
    assert math.isnan(metrics.borrow_paid(pd.DataFrame()))


def test_trades_without_sides_or_excursions_say_so():
    table = pd.DataFrame({"pnl": [1.0, -1.0], "open": [False, False]})
    for metric in (
        metrics.average_mae,
        metrics.average_mfe,
        metrics.long_trades,
        metrics.short_trades,
        metrics.long_pnl,
        metrics.short_pnl,
        metrics.forced_exits,
    ):
        assert math.isnan(metric(table))
    assert metrics.exit_reasons(table).empty


def test_open_trades_decide_nothing():
    still_open = NO_TRADES.reindex([0]).assign(pnl=5.0, open=True)
    for name in ("win_rate", "profit_factor", "payoff_ratio", "expectancy", "sqn", "kelly", "average_trade"):
        assert math.isnan(getattr(metrics, name)(still_open)), name
    assert metrics.count_trades(still_open) == metrics.open_trades(still_open) == 1


@pytest.mark.parametrize(
    "pnl", [[3.0, 4.0], [-3.0, -4.0], [0.0, 0.0], [5.0]], ids=["all won", "all lost", "all even", "only one"]
)
def test_one_sided_trades(pnl):
    table = pd.DataFrame({"pnl": pnl, "open": False})
    assert math.isnan(metrics.payoff_ratio(table))
    assert math.isnan(metrics.kelly(table))
    assert math.isnan(metrics.profit_factor(table)) == (min(pnl) >= 0)
    assert math.isnan(metrics.expectancy_r(table)) == (min(pnl) >= 0)
    assert math.isnan(metrics.sqn(table)) == (len(set(pnl)) == 1)
