"""The table of disagreements in `docs/metrics.md` is true: what can be recomputed here is, row by row.

The numbers of quantstats and ffn were computed once with the versions that the table names, and are recorded.
"""

from __future__ import annotations

import math

import empyrical
import pandas as pd
import skfolio.measures as sk

from tests.backtest.metrics.cases import ANSWERS, inputs_of, vectorbt_returns
from workbench.backtest import metrics
from workbench.backtest.metrics.kpis import KPIS

ROWS = {row["metric"]: row for row in ANSWERS["disagreements"]["rows"]}
RATE = 0.02
FIRST_LOSS = pd.Series([-0.1, 0.05], index=pd.bdate_range("2020-01-01", periods=2))
NEVER = pd.Series([0.0] * 50, index=pd.bdate_range("2020-01-01", periods=50))


def recomputed():
    given = inputs_of("nasdaq")
    own, other, values = given["returns"], given["benchmark"], given["returns"].to_numpy()
    falls = sk.get_drawdowns(values, compounded=True)
    year, shipped = vectorbt_returns(own, other), vectorbt_returns(own, other, year=None)
    a_session = RATE / 252
    return {
        "cagr": (metrics.cagr(own), empyrical.cagr(own), year.annualized(), None),
        "sharpe, as shipped": (
            metrics.sharpe(own),
            empyrical.sharpe_ratio(own),
            shipped.sharpe_ratio(),
            None,
        ),
        "sharpe, risk-free 2 % a year": (
            metrics.sharpe(own, risk_free=RATE),
            empyrical.sharpe_ratio(own, risk_free=a_session),
            year.sharpe_ratio(risk_free=a_session),
            None,
        ),
        "sharpe, risk-free given as 0.02": (
            metrics.sharpe(own, risk_free=RATE),
            empyrical.sharpe_ratio(own, risk_free=RATE),
            year.sharpe_ratio(risk_free=RATE),
            None,
        ),
        "sharpe of a strategy that never traded": (
            metrics.sharpe(NEVER),
            empyrical.sharpe_ratio(NEVER),
            vectorbt_returns(NEVER).sharpe_ratio(),
            None,
        ),
        "sortino, minimum 2 % a year": (
            metrics.sortino(own, mar=RATE),
            empyrical.sortino_ratio(own, required_return=a_session),
            year.sortino_ratio(required_return=a_session),
            None,
        ),
        "max_drawdown": (
            metrics.max_drawdown(own),
            empyrical.max_drawdown(own),
            year.max_drawdown(),
            sk.max_drawdown(sk.get_drawdowns(values)),
        ),
        "max_drawdown of −10 %, +5 %": (
            metrics.max_drawdown(FIRST_LOSS),
            empyrical.max_drawdown(FIRST_LOSS),
            vectorbt_returns(FIRST_LOSS).max_drawdown(),
            None,
        ),
        "calmar": (metrics.calmar(own), empyrical.calmar_ratio(own), year.calmar_ratio(), None),
        "var_95": (
            metrics.var_95(own),
            empyrical.value_at_risk(own),
            year.value_at_risk(),
            sk.value_at_risk(values),
        ),
        "cvar_95": (
            metrics.cvar_95(own),
            empyrical.conditional_value_at_risk(own),
            year.cond_value_at_risk(),
            sk.cvar(values),
        ),
        "drawdown_at_risk_95": (metrics.drawdown_at_risk_95(own), None, None, sk.drawdown_at_risk(falls)),
        "cdar_95": (metrics.cdar_95(own), None, None, sk.cdar(falls)),
        "semi_deviation": (metrics.semi_deviation(own), None, None, sk.semi_deviation(values)),
        "skewness": (
            metrics.skewness(own),
            None,
            year.stats(metrics=["skew"], silence_warnings=True)["Skew"],
            sk.skew(values),
        ),
        "kurtosis": (
            metrics.kurtosis(own),
            None,
            year.stats(metrics=["kurtosis"], silence_warnings=True)["Kurtosis"],
            sk.kurtosis(values),
        ),
        "ulcer_index": (metrics.ulcer_index(own), None, year.ulcer_index(), sk.ulcer_index(falls)),
        "martin_ratio": (metrics.martin_ratio(own), None, year.martin_ratio(), None),
        "recovery_factor": (metrics.recovery_factor(own), None, None, None),
        "gain_to_pain": (metrics.gain_to_pain(own), None, None, None),
        "lo_sharpe": (metrics.lo_sharpe(own), None, None, None),
        "alpha": (metrics.alpha(own, other), empyrical.alpha(own, other), year.alpha(), None),
        "information_ratio": (
            metrics.information_ratio(own, other),
            empyrical.excess_sharpe(own, other),
            year.information_ratio(),
            None,
        ),
        "treynor": (metrics.treynor(own, other), None, None, None),
        "positive_days": (metrics.positive_days(own), None, None, None),
    }


def test_row_by_row():
    said = {
        name: tuple(row.get(column) for column in ("ours", "empyrical", "vectorbt", "skfolio"))
        for name, row in ROWS.items()
    }
    assert {name: tuple(map(printed, row)) for name, row in recomputed().items()} == said


def test_every_row_disagrees_with_somebody_and_says_what_was_chosen():
    known = {one.name for one in KPIS}
    for name, row in ROWS.items():
        others = {row[peer] for peer in ("empyrical", "vectorbt", "quantstats", "ffn", "skfolio") if peer in row}
        assert others - {row["ours"]}, name
        assert row["kpi"] in known
        assert row["chosen"]


def test_where_the_book_prints_another_number():
    bacon = inputs_of("bacon")
    own, other = bacon["returns"], bacon["benchmark"]
    found = {
        "pain_ratio": metrics.pain_ratio(own, periods=12),
        "burke_ratio": metrics.burke_ratio(own, periods=12),
        "alpha": metrics.alpha(own, other, periods=12),
        "appraisal_ratio": metrics.appraisal_ratio(own, other, periods=12),
    }
    rows = ANSWERS["performance_analytics"]["rows"]
    assert {name: round(value, 7) for name, value in found.items()} == {row["metric"]: row["ours"] for row in rows}
    # Jensen's alpha as the book has it: compounded annual returns instead of means.
    slope = metrics.beta(own, other)
    jensen = metrics.cagr(own, periods=12) - slope * metrics.cagr(other, periods=12)
    assert round(jensen, 3) == -0.014
    assert round(jensen / metrics.specific_risk(own, other, periods=12), 2) == -0.43


def printed(value: float | None) -> float | str | None:
    """As the table prints it: seven decimals."""
    if value is None:
        return None
    if math.isnan(value):
        return "undefined"
    return "inf" if math.isinf(value) else round(float(value), 7) + 0.0
