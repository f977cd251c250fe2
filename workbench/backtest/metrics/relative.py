"""Against a benchmark: metrics of one series of returns beside another's, under the common rules of `track`.

Only sessions in which both returns are known count; fewer than two, or a benchmark without variance, is NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.track import YEAR, ZERO, Track, annualised, per_period, ratio, share

if TYPE_CHECKING:
    from workbench.backtest.metrics.track import Returns

_FLAT = "fewer than two common sessions, or a benchmark that does not move"
_NO_RISK = "fewer than two common sessions, or nothing that differs"


def paired(returns: Returns, benchmark: Returns) -> tuple[np.ndarray, np.ndarray]:
    """Both series in the sessions in which both are known."""
    own, other = Track.of(returns), Track.of(benchmark)
    if own.index is not other.index and not own.index.equals(other.index):
        common = own.index.intersection(other.index, sort=False)
        mine, theirs = own.every[own.index.get_indexer(common)], other.every[other.index.get_indexer(common)]
    else:
        mine, theirs = own.every, other.every
    both = ~(np.isnan(mine) | np.isnan(theirs))
    return (mine, theirs) if both.all() else (mine[both], theirs[both])


@kpi(
    "benchmark",
    unit="ratio",
    better="none",
    formula="cov(r, b) / var(b)",
    source="Sharpe 1964; Bacon 2008",
    undefined=_FLAT,
    risk=True,
)
def beta(returns: Returns, benchmark: Returns) -> float:
    """How much of a move of the benchmark arrives here."""
    return _beta(*paired(returns, benchmark))


@kpi(
    "benchmark",
    unit="ratio",
    better="lower",
    formula="cov(r, b) / var(b) over the sessions with b < 0",
    source="R PerformanceAnalytics CAPM.beta.bear; empyrical down_alpha_beta",
    undefined="fewer than two falling sessions, or falls that are all alike",
    risk=True,
)
def bear_beta(returns: Returns, benchmark: Returns) -> float:
    """How much of a move of the falling benchmark arrives here."""
    own, other = paired(returns, benchmark)
    falling = other < 0
    return _beta(own[falling], other[falling])


@kpi(
    "benchmark",
    unit="fraction per year",
    better="higher",
    formula="[mean(r − f) − β · mean(b − f)] · periods",
    source="Jensen 1968",
    undefined=_FLAT,
)
def alpha(returns: Returns, benchmark: Returns, *, risk_free: float = 0.0, periods: int = YEAR) -> float:
    """What beta does not explain.

    Annualised by multiplication (quantstats: 0.0372531 on NASDAQ 2009–18), the intercept of the regression itself;
    empyrical compounds it to 0.0379528. `risk_free` is an annual rate.
    """
    own, other = paired(returns, benchmark)
    slope, rate = _beta(own, other), per_period(risk_free, periods=periods)
    if math.isnan(slope):
        return math.nan
    return float((own.mean() - rate) - slope * (other.mean() - rate)) * periods


@kpi(
    "benchmark",
    unit="ratio",
    better="none",
    formula="cov(r, b) / (sd(r) · sd(b))",
    source="Pearson",
    undefined=_NO_RISK,
)
def correlation(returns: Returns, benchmark: Returns) -> float:
    """Pearson's correlation, from −1 to 1."""
    own, other = paired(returns, benchmark)
    if len(own) < 2 or own.std(ddof=1) <= ZERO or other.std(ddof=1) <= ZERO:
        return math.nan
    mine, theirs = own - own.mean(), other - other.mean()
    found = float(mine @ theirs) / math.sqrt(float(mine @ mine) * float(theirs @ theirs))
    return min(max(found, -1.0), 1.0)


@kpi(
    "benchmark",
    unit="ratio",
    better="none",
    formula="correlation²",
    source="Pearson",
    undefined=_NO_RISK,
)
def r_squared(returns: Returns, benchmark: Returns) -> float:
    """The share of the variance that the benchmark explains, from 0 to 1."""
    return correlation(returns, benchmark) ** 2


@kpi(
    "benchmark",
    unit="fraction per √year",
    better="lower",
    formula="sd(r − b) · √periods, sd over n − 1",
    source="Bacon 2008; Grinold & Kahn 1999",
    undefined="fewer than two common sessions",
    risk=True,
)
def tracking_error(returns: Returns, benchmark: Returns, *, periods: int = YEAR) -> float:
    """The volatility of the difference. 0 for the benchmark itself."""
    own, other = paired(returns, benchmark)
    return float((own - other).std(ddof=1)) * math.sqrt(periods) if len(own) > 1 else math.nan


@kpi(
    "benchmark",
    unit="fraction per √year",
    better="lower",
    formula="√(mean(ε²)) · √periods, ε = r − mean(r) − β·(b − mean(b))",
    source="Bacon 2008, p. 75",
    undefined=_FLAT,
    risk=True,
)
def specific_risk(returns: Returns, benchmark: Returns, *, periods: int = YEAR) -> float:
    """The volatility that beta does not explain (population deviation, as Bacon has it)."""
    own, other = paired(returns, benchmark)
    slope = _beta(own, other)
    if math.isnan(slope):
        return math.nan
    return float((own - slope * other).std()) * math.sqrt(periods)


@kpi(
    "benchmark",
    unit="ratio",
    better="higher",
    formula="mean(r − b) / sd(r − b) · √periods",
    source="Goodwin 1998; Grinold & Kahn 1999",
    undefined="fewer than two common sessions, or a difference that does not vary",
)
def information_ratio(returns: Returns, benchmark: Returns, *, periods: int = YEAR) -> float:
    """The Sharpe ratio of the difference; NaN for the benchmark itself.

    Annualised; empyrical and quantstats are not (0.0498 against 0.790 on NASDAQ 2009–18).
    """
    own, other = paired(returns, benchmark)
    active = own - other
    if len(active) < 2:
        return math.nan
    return ratio(float(active.mean()), float(active.std(ddof=1))) * math.sqrt(periods)


@kpi(
    "benchmark",
    unit="ratio",
    better="higher",
    formula="alpha / specific risk",
    source="Treynor & Black 1973; Bacon 2008, p. 77",
    undefined="as alpha, or a benchmark that explains everything",
)
def appraisal_ratio(returns: Returns, benchmark: Returns, *, periods: int = YEAR) -> float:
    """What beta does not explain, for the risk that beta does not explain."""
    return ratio(alpha(returns, benchmark, periods=periods), specific_risk(returns, benchmark, periods=periods))


@kpi(
    "benchmark",
    unit="fraction per year",
    better="higher",
    formula="(CAGR − risk_free) / β",
    source="Treynor 1965; Bacon 2008, p. 77",
    undefined="as beta, or a beta of 0",
)
def treynor(returns: Returns, benchmark: Returns, *, risk_free: float = 0.0, periods: int = YEAR) -> float:
    """Growth per year for each unit of beta; quantstats divides the TOTAL return. `risk_free` is an annual rate."""
    own, other = paired(returns, benchmark)
    slope = _beta(own, other)
    if math.isnan(slope) or abs(slope) <= ZERO:
        return math.nan
    return (_growth(own, periods) - risk_free) / slope


@kpi(
    "benchmark",
    unit="fraction per year",
    better="higher",
    formula="(CAGR − risk_free) · sd(b) / sd(r) + risk_free",
    source="Modigliani & Modigliani 1997; Bacon 2008, p. 67",
    undefined=_NO_RISK,
)
def m_squared(returns: Returns, benchmark: Returns, *, risk_free: float = 0.0, periods: int = YEAR) -> float:
    """The growth per year at the benchmark's volatility. `risk_free` is an annual rate."""
    own, other = paired(returns, benchmark)
    if len(own) < 2 or own.std(ddof=1) <= ZERO:
        return math.nan
    return (_growth(own, periods) - risk_free) * float(other.std(ddof=1) / own.std(ddof=1)) + risk_free


@kpi(
    "benchmark",
    unit="fraction per year",
    better="higher",
    formula="CAGR − CAGR of the benchmark",
    source="Bacon 2008; R PerformanceAnalytics ActivePremium",
    undefined="no common session",
)
def active_return(returns: Returns, benchmark: Returns, *, periods: int = YEAR) -> float:
    """How much faster it grew than the benchmark."""
    own, other = paired(returns, benchmark)
    return _growth(own, periods) - _growth(other, periods)


@kpi(
    "benchmark",
    unit="share of sessions",
    better="higher",
    formula="#(r > b) / n",
    source="Bacon 2008; empyrical batting_average",
    undefined="no common session",
)
def batting_average(returns: Returns, benchmark: Returns) -> float:
    """Share of the sessions that beat the benchmark, from 0 to 1."""
    own, other = paired(returns, benchmark)
    return share(own > other)


@kpi(
    "benchmark",
    unit="ratio",
    better="higher",
    formula="CAGR over the sessions with b > 0 / the benchmark's over the same",
    source="Morningstar, upside capture, geometric",
    undefined="no rising session",
)
def up_capture(returns: Returns, benchmark: Returns, *, periods: int = YEAR) -> float:
    """How much of the benchmark's rises was earned."""
    return capture(returns, benchmark, up=True, periods=periods)


@kpi(
    "benchmark",
    unit="ratio",
    better="lower",
    formula="CAGR over the sessions with b < 0 / the benchmark's over the same",
    source="Morningstar, downside capture, geometric",
    undefined="no falling session",
)
def down_capture(returns: Returns, benchmark: Returns, *, periods: int = YEAR) -> float:
    """How much of the benchmark's falls was suffered."""
    return capture(returns, benchmark, up=False, periods=periods)


def capture(returns: Returns, benchmark: Returns, *, up: bool, periods: int = YEAR) -> float:
    """CAGR over the benchmark's rising (or falling) sessions / the benchmark's own over the same. No unit.

    NaN when the benchmark has no such session. Morningstar's ratio, geometric.
    """
    own, other = paired(returns, benchmark)
    chosen = other > 0 if up else other < 0
    mine, theirs = (_growth(side[chosen], periods) for side in (own, other))
    return math.nan if math.isnan(theirs) or abs(theirs) <= ZERO else mine / theirs + 0.0


def _growth(values: np.ndarray, periods: float) -> float:
    growth = float(np.prod(1.0 + values)) if len(values) else math.nan
    return annualised(growth, length=len(values), periods=periods)


def _beta(own: np.ndarray, other: np.ndarray) -> float:
    if len(own) < 2 or other.std(ddof=1) <= ZERO:
        return math.nan
    moves = other - other.mean()
    return float((own - own.mean()) @ moves) / float(moves @ moves)
