"""What was earned for the falls: ratios of return to downside, drawdown and unsteadiness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.metrics.drawdown import max_drawdown, pain_index, ulcer_index
from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.returns import cagr, total_return
from workbench.backtest.metrics.risk import downside_deviation, upside_potential
from workbench.backtest.metrics.track import YEAR, ZERO, Track, per_period, ratio

if TYPE_CHECKING:
    from workbench.backtest.metrics.track import Returns

_NO_FALL = "no return, or no drawdown"


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="mean(r − m) / downside deviation(m) · √periods",
    source="Sortino & van der Meer 1991",
    undefined="no return, or none below m",
)
def sortino(returns: Returns, *, mar: float = 0.0, periods: int = YEAR) -> float:
    """The Sharpe ratio with the downside deviation as its risk.

    `mar` is an ANNUAL rate, m the geometric per-period one.
    """
    track, minimum = Track.of(returns), per_period(mar, periods=periods)
    return ratio(track.mean - minimum, downside_deviation(track, mar=minimum)) * math.sqrt(periods)


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="CAGR / |max drawdown|",
    source="Young 1991, over the whole span (the MAR ratio)",
    undefined=_NO_FALL,
)
def calmar(returns: Returns, *, periods: int = YEAR) -> float:
    """Growth per year for the deepest fall, over the whole span."""
    track = Track.of(returns)
    return ratio(cagr(track, periods=periods), -max_drawdown(track))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="CAGR / |max drawdown| of the last 36 months",
    source="Young 1991",
    undefined="a record shorter than 36 months, no dates, or no drawdown in it",
)
def calmar_36_months(returns: Returns, *, periods: int = YEAR) -> float:
    """Young's own Calmar ratio: the last 36 months only."""
    recent = Track.of(returns).last_months(36)
    return math.nan if recent is None else calmar(recent, periods=periods)


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="Σ max(r − mar, 0) / Σ max(mar − r, 0); mar = 0",
    source="Keating & Shadwick 2002; at 0 Bernardo & Ledoit 2000, Bacon 2008, p. 95",
    undefined="no return below mar",
)
def omega(returns: Returns, *, mar: float = 0.0) -> float:
    """What lies above `mar` (a return per session) for what lies below."""
    values = Track.of(returns).known - mar
    return ratio(float(values[values > 0].sum()), float(-values[values < 0].sum()))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="(mean(r) − mar) / ∛(mean(max(mar − r, 0)³)); mar = 0, not annualised",
    source="Kaplan & Knowles 2004; Bacon 2008, p. 96",
    undefined="no return below mar",
)
def kappa_3(returns: Returns, *, mar: float = 0.0) -> float:
    """Kappa of order 3: harder on large losses than Sortino's (order 2)."""
    return kappa(returns, order=3, mar=mar)


def kappa(returns: Returns, *, order: int, mar: float = 0.0) -> float:
    """(mean(r) − mar) / (mean(max(mar − r, 0)^order))^(1/order), not annualised. Order 2 is Sortino's per session."""
    track = Track.of(returns)
    if not len(track.known):
        return math.nan
    short = np.maximum(mar - track.known, 0.0)
    power = short
    for _ in range(order - 1):
        power = power * short
    return ratio(track.mean - mar, float(power.mean()) ** (1.0 / order))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="Σ monthly returns / |Σ negative monthly returns|",
    source="Schwager 2012, Hedge Fund Market Wizards",
    undefined="no dates, or no losing month",
)
def gain_to_pain(returns: Returns) -> float:
    """What the months brought for what the losing months took, partial months included."""
    months = Track.of(returns).months
    return ratio(float(months.sum()), float(-months[months < 0].sum()))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="CAGR / ulcer index",
    source="Martin & McCann 1989; Bacon 2008, p. 91",
    undefined=_NO_FALL,
)
def martin_ratio(returns: Returns, *, periods: int = YEAR) -> float:
    """Growth per year for depth and length of the drawdowns (ulcer performance index)."""
    track = Track.of(returns)
    return ratio(cagr(track, periods=periods), ulcer_index(track))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="CAGR / pain index",
    source="Becker 2006; Bacon 2008, p. 91",
    undefined=_NO_FALL,
)
def pain_ratio(returns: Returns, *, periods: int = YEAR) -> float:
    """Growth per year for the mean distance from the peak."""
    track = Track.of(returns)
    return ratio(cagr(track, periods=periods), pain_index(track))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="CAGR / (|max drawdown| + 0.10)",
    source="R PerformanceAnalytics SterlingRatio; Kestner 1996 averages yearly drawdowns",
    undefined="fewer than two returns, or none that differs",
)
def sterling_ratio(returns: Returns, *, periods: int = YEAR) -> float:
    """The Calmar ratio with ten per cent added to the fall, so that it exists without one."""
    track = Track.of(returns)
    if not track.deviation > ZERO:
        return math.nan
    return ratio(cagr(track, periods=periods), 0.1 - max_drawdown(track))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="CAGR / √(Σ (deepest fall of each drawdown)²)",
    source="Burke 1994; Bacon 2008, p. 90",
    undefined=_NO_FALL,
)
def burke_ratio(returns: Returns, *, periods: int = YEAR) -> float:
    """Growth per year for all drawdowns, the deep ones weighing more.

    PerformanceAnalytics takes runs of losing periods for drawdowns (.74 on Bacon's example); here a drawdown lasts
    until the peak is reached again.
    """
    track = Track.of(returns)
    return ratio(cagr(track, periods=periods), math.sqrt(float(track.depths @ track.depths)))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="slope / standard error of the slope of ln(wealth) over sessions · √periods / n",
    source="Kestner 2013, (Re-)Introducing the K-Ratio",
    undefined="fewer than three returns, a straight line, or wealth that was lost",
)
def k_ratio(returns: Returns, *, periods: int = YEAR) -> float:
    """How steadily wealth grew: the t-statistic of its trend, made comparable between lengths and frequencies."""
    track = Track.of(returns)
    slope, fit = _trend(track)
    n = len(track.known)
    if math.isnan(slope) or 1.0 - fit <= ZERO:
        return math.nan
    # t of a simple regression = slope / se = r·√((n − 2) / (1 − r²)), with the sign of the slope.
    return math.copysign(math.sqrt(fit * (n - 2) / (1.0 - fit)), slope) * math.sqrt(periods) / n


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="R² of ln(wealth) regressed on sessions",
    source="empyrical stability_of_timeseries",
    undefined="fewer than three returns, none that differs from 0, or wealth that was lost",
)
def stability(returns: Returns) -> float:
    """How straight the line of log wealth is, from 0 to 1; it may lead down."""
    return _trend(Track.of(returns))[1]


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="total return / |max drawdown|",
    source="plain ratio; quantstats sums the returns instead of compounding them",
    undefined=_NO_FALL,
)
def recovery_factor(returns: Returns) -> float:
    """How many times the deepest fall was earned."""
    track = Track.of(returns)
    return ratio(total_return(track), -max_drawdown(track))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="mean(max(r − mar, 0)) / √(mean(min(r − mar, 0)²)) over all n; mar = 0",
    source="Sortino, van der Meer & Plantinga 1999",
    undefined="no return below mar",
)
def upside_potential_ratio(returns: Returns, *, mar: float = 0.0) -> float:
    """What lies above `mar` (a return per session) for the deviation below it."""
    track = Track.of(returns)
    return ratio(upside_potential(track, mar=mar), downside_deviation(track, mar=mar))


def _trend(track: Track) -> tuple[float, float]:
    """Slope and R² of the regression of log wealth on the number of the session; NaN where there is no line."""
    n = len(track.known)
    if n < 3 or float(track.wealth.min()) <= 0:
        return math.nan, math.nan
    line = np.log(track.wealth)
    line = line - line.mean()
    spread = float(line @ line)
    if math.sqrt(spread / n) <= ZERO:
        return math.nan, math.nan
    time = np.arange(n) - (n - 1) / 2.0
    width = float(time @ time)
    moment = float(time @ line)
    return moment / width, min(moment * moment / (width * spread), 1.0)
