"""What must not change the numbers does not, and what must scale them does, for any returns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import metrics
from workbench.backtest.metrics.kpis import KPIS

# Whole basis points, so that a difference is either none or far above rounding.
BASIS_POINTS = st.lists(st.integers(-3_000, 3_000), min_size=3, max_size=90)
OF_ORDER = {"autocorrelation", "lo_volatility", "lo_sharpe", "stability", "k_ratio", "calmar", "recovery_factor"} | {
    "martin_ratio",
    "pain_ratio",
    "sterling_ratio",
    "burke_ratio",
    "gain_to_pain",
    "calmar_36_months",
    "cagr_calendar",
}
OF_SCALE = {
    **dict.fromkeys(("annual_volatility", "lo_volatility", "downside_deviation", "upside_deviation"), 1),
    **dict.fromkeys(("semi_deviation", "mean_absolute_deviation", "gini_mean_difference", "downside_potential"), 1),
    **dict.fromkeys(("var_95", "var_99", "cvar_95", "cvar_99", "evar_95", "gaussian_var_95"), 1),
    **dict.fromkeys(("cornish_fisher_var_95", "annual_mean", "best_session", "worst_session"), 1),
    **dict.fromkeys(("tracking_error", "specific_risk", "alpha"), 1),
    **dict.fromkeys(("sharpe", "sharpe_error", "lo_sharpe", "sortino", "omega", "kappa_3"), 0),
    **dict.fromkeys(("upside_potential_ratio", "tail_ratio", "rachev_ratio", "skewness", "kurtosis"), 0),
    **dict.fromkeys(("excess_kurtosis", "autocorrelation", "positive_days", "beta", "bear_beta", "correlation"), 0),
    **dict.fromkeys(("r_squared", "information_ratio", "appraisal_ratio", "batting_average"), 0),
}
SESSIONS = pd.bdate_range("2015-01-01", periods=400, name="session")


def dated(basis_points: list[int], *, scale: float = 1.0) -> pd.Series:
    return pd.Series(np.array(basis_points) / 10_000 * scale, index=SESSIONS[1 : len(basis_points) + 1])


def beside(returns: pd.Series, *, scale: float = 1.0) -> pd.Series:
    """A benchmark that is no multiple of the returns."""
    draw = np.random.default_rng(len(returns)).integers(-200, 200, len(returns)) / 10_000
    return pd.Series(draw * scale, index=returns.index)


def book_of(returns: pd.Series, *, money: float = 1.0) -> dict[str, object]:
    """A book, its fills and its trades: as many of each as there are returns, in a currency of any size."""
    n, index = len(returns), SESSIONS[: len(returns) + 1]
    draw = np.random.default_rng(n)
    pnl = draw.integers(-50, 60, n).astype(float) * money
    return {
        "equity": pd.Series(1_000.0 * money * np.cumprod(np.append(1.0, 1.0 + returns)), index=index),
        "orders": pd.DataFrame(
            {name: draw.integers(1, 9, n) * money for name in ("value", "fee", "slippage", "spread", "impact")}
        ),
        "trades": pd.DataFrame(
            {
                "pnl": pnl,
                "return": pnl / (1_000.0 * money),
                "open": draw.random(n) < 0.1,
                "opened": index[:-1],
                "closed": index[1:],
                "side": np.where(draw.random(n) < 0.5, "long", "short"),
                "mae": -draw.random(n),
                "mfe": draw.random(n),
                "exit_reason": np.where(draw.random(n) < 0.8, "wish", "ruin"),
            }
        ),
        "exposure": pd.Series(draw.random(n + 1) - 0.3, index=index),
        "gross": pd.Series(draw.random(n + 1), index=index),
        "financing": pd.DataFrame({"borrow": -draw.random(n + 1), "interest": draw.random(n + 1)}, index=index) * money,
    }


def assert_same(found: pd.Series, expected: pd.Series) -> None:
    assert found.to_dict() == pytest.approx(expected.to_dict(), rel=1e-7, abs=1e-9, nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(BASIS_POINTS)
def test_unknown_sessions_before_the_first_change_nothing(basis_points):
    returns = dated(basis_points)
    before = pd.Series(np.nan, index=pd.bdate_range(end="2014-12-31", periods=30, name="session"))
    book, benchmark = book_of(returns), beside(returns)
    plain = metrics.all_kpis(returns, **book, benchmark=benchmark, periods=5)["value"]
    longer = pd.concat([before, returns])
    assert_same(metrics.all_kpis(longer, **book, benchmark=benchmark, periods=5)["value"], plain)
    assert_same(
        metrics.all_kpis(longer, **book, benchmark=pd.concat([before + 0.01, benchmark]), periods=5)["value"],
        plain,
    )


@settings(max_examples=40, deadline=None)
@given(BASIS_POINTS, st.randoms(use_true_random=False))
def test_the_order_of_the_sessions_matters_only_where_it_must(basis_points, random):
    shuffled = list(basis_points)
    random.shuffle(shuffled)
    unordered = [one.name for one in KPIS if one.group in {"returns", "risk", "tail", "ratio"}]
    chosen = [name for name in unordered if name not in OF_ORDER]
    first, second = (metrics.all_kpis(dated(one))["value"][chosen] for one in (basis_points, shuffled))
    assert_same(first, second)


@settings(max_examples=40, deadline=None)
@given(BASIS_POINTS, st.sampled_from([0.125, 0.5, 2.0]))
def test_twice_the_returns_are_twice_the_risk_and_the_same_ratio(basis_points, scale):
    returns, larger = dated(basis_points), dated(basis_points, scale=scale)
    plain = metrics.all_kpis(returns, benchmark=beside(returns))["value"]
    scaled = metrics.all_kpis(larger, benchmark=beside(larger, scale=scale))["value"]
    names = list(OF_SCALE)
    powers = pd.Series([scale ** OF_SCALE[name] for name in names], index=names)
    assert_same(scaled[names], plain[names] * powers)


@settings(max_examples=30, deadline=None)
@given(BASIS_POINTS, st.sampled_from([0.01, 7.0, 1_000.0]))
def test_in_another_currency_only_money_changes(basis_points, money):
    returns = dated(basis_points)
    plain = metrics.all_kpis(returns, **book_of(returns), periods=5)["value"]
    other = metrics.all_kpis(returns, **book_of(returns, money=money), periods=5)["value"]
    worth = pd.Series([money if one.unit == "currency" else 1.0 for one in KPIS], index=plain.index)
    assert_same(other, plain * worth)


@settings(max_examples=60, deadline=None)
@given(BASIS_POINTS)
def test_what_is_worse_is_worse_by_every_measure(basis_points):
    found = metrics.all_kpis(dated(basis_points))["value"]
    rounding = 1e-9
    assert found["evar_95"] <= found["cvar_95"] + rounding
    assert found["worst_session"] <= found["evar_95"] + rounding
    assert found["cvar_95"] <= found["var_95"] + rounding
    assert found["cvar_99"] <= found["cvar_95"] + rounding
    assert found["var_99"] <= found["var_95"] + rounding
    assert found["cdar_95"] <= found["drawdown_at_risk_95"] + rounding
    assert -1.0 <= found["max_drawdown"] <= found["cdar_95"] + rounding
    assert found["pain_index"] <= found["ulcer_index"] + rounding <= -found["max_drawdown"] + 2 * rounding
    assert found["mean_absolute_deviation"] * 252**0.5 <= found["annual_volatility"] + rounding
    assert found["cagr"] <= np.expm1(found["annual_mean"]) + rounding  # Jensen
    assert not np.isinf(found).any()


@settings(max_examples=30, deadline=None)
@given(BASIS_POINTS)
def test_computed_at_once_or_one_by_one_it_is_the_same_number(basis_points):
    returns = dated(basis_points)
    book, benchmark = book_of(returns), beside(returns)
    at_once = metrics.all_kpis(returns, **book, benchmark=benchmark, periods=5)["value"]
    offered = {"returns": returns, "benchmark": benchmark, "periods": 5, **book}
    one_by_one = {one.name: one.function(**{need: offered[need] for need in one.needs}) for one in KPIS}
    assert one_by_one == pytest.approx(at_once.to_dict(), rel=1e-12, abs=1e-15, nan_ok=True)


def test_an_unknown_session_of_either_side_is_left_out_of_both():
    returns = dated([100, -50, 30, 20, -10])
    benchmark = beside(returns)
    holes = returns.where(returns.index != returns.index[1])
    kept = returns.index != returns.index[1]
    for metric in (metrics.beta, metrics.tracking_error, metrics.up_capture, metrics.batting_average):
        assert metric(holes, benchmark) == metric(returns, benchmark[kept]) == metric(returns[kept], benchmark[kept])
