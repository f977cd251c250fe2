"""How deep and how long it fell: metrics of wealth below its highest value so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.track import ZERO, Track, share

if TYPE_CHECKING:
    from workbench.backtest.metrics.track import Returns

_BACON = "Bacon 2008"


def drawdowns(returns: Returns) -> np.ndarray:
    """Wealth over its running peak − 1, one number ≤ 0 per known return; the initial wealth of 1 is the first peak."""
    return Track.of(returns).falls


@kpi(
    "drawdown",
    unit="fraction",
    better="higher",
    formula="min(wealth / running peak − 1)",
    source=_BACON,
    undefined="no return",
    risk=True,
)
def max_drawdown(returns: Returns) -> float:
    """The deepest fall of wealth below its peak, ≤ 0; the initial capital counts as a peak.

    vectorbt leaves the initial capital out and shows 0 for a loss in the first bar; empyrical agrees with us.
    """
    falls = Track.of(returns).falls
    return float(falls.min(initial=0.0)) if len(falls) else math.nan


@kpi(
    "drawdown",
    unit="fraction",
    better="higher",
    formula="mean(deepest fall of each drawdown)",
    source=_BACON,
    undefined="no drawdown",
    risk=True,
)
def average_drawdown(returns: Returns) -> float:
    """The mean depth of a drawdown, < 0; a drawdown lasts until the peak is reached again."""
    depths = Track.of(returns).depths
    return float(depths.mean()) if len(depths) else math.nan


@kpi(
    "drawdown",
    unit="fraction",
    better="higher",
    formula="wealth / running peak − 1 after the last session",
    source=_BACON,
    undefined="no return",
    risk=True,
)
def current_drawdown(returns: Returns) -> float:
    """How far below its peak wealth ends, ≤ 0."""
    falls = Track.of(returns).falls
    return float(falls[-1]) if len(falls) else math.nan


@kpi(
    "drawdown",
    unit="sessions",
    better="lower",
    formula="the most sessions in a row with wealth below its peak",
    source="Bacon 2008 (drawdown duration)",
    undefined="no return",
    risk=True,
)
def longest_drawdown(returns: Returns) -> float:
    """The most sessions in a row spent below the peak, recovered or not. 0 when wealth never fell."""
    track = Track.of(returns)
    if not len(track.known):
        return math.nan
    return float((track.spans[:, 1] - track.spans[:, 0]).max(initial=0))


@kpi(
    "drawdown",
    unit="calendar days",
    better="lower",
    formula="the most days from a peak until it is reached again, or to the end",
    source="Bacon 2008 (drawdown duration)",
    undefined="no return, or no dates",
    risk=True,
)
def longest_drawdown_days(returns: Returns) -> float:
    """The longest drawdown on the calendar, weekends included. 0 when wealth never fell.

    The peak before the first return has no date: such a drawdown is counted from the first return's session.
    """
    track = Track.of(returns)
    dates = track.dates
    if dates is None or not len(dates):
        return math.nan
    if not len(track.spans):
        return 0.0
    peaks = np.maximum(track.spans[:, 0] - 1, 0)
    ends = np.minimum(track.spans[:, 1], len(dates) - 1)
    return float((dates[ends] - dates[peaks]).astype(np.int64).max())


@kpi(
    "drawdown",
    unit="share of sessions",
    better="lower",
    formula="#(wealth < running peak) / n",
    source="Bacon 2008",
    undefined="no return",
    risk=True,
)
def time_under_water(returns: Returns) -> float:
    """Share of the sessions that end below the peak, from 0 to 1."""
    return share(Track.of(returns).falls < -ZERO)


@kpi(
    "drawdown",
    unit="fraction",
    better="lower",
    formula="√(mean(drawdown²))",
    source="Martin & McCann 1989",
    undefined="no return",
    risk=True,
)
def ulcer_index(returns: Returns) -> float:
    """Depth and length of all drawdowns in one number, ≥ 0; the deep ones weigh more."""
    falls = Track.of(returns).falls
    return math.sqrt(float(falls @ falls) / len(falls)) if len(falls) else math.nan


@kpi(
    "drawdown",
    unit="fraction",
    better="lower",
    formula="mean(|drawdown|)",
    source="Becker 2006; Bacon 2008, p. 89",
    undefined="no return",
    risk=True,
)
def pain_index(returns: Returns) -> float:
    """The mean distance from the peak over all sessions, ≥ 0."""
    falls = Track.of(returns).falls
    return -float(falls.mean()) + 0.0 if len(falls) else math.nan


@kpi(
    "drawdown",
    unit="fraction",
    better="higher",
    formula="5 % quantile of the drawdowns (linear)",
    source="Chekhlov, Uryasev & Zabarankin 2005",
    undefined="no return",
    risk=True,
)
def drawdown_at_risk_95(returns: Returns) -> float:
    """The fall that 95 % of the sessions do not exceed, ≤ 0."""
    falls = Track.of(returns).falls
    return float(np.quantile(falls, 0.05)) if len(falls) else math.nan


@kpi(
    "drawdown",
    unit="fraction",
    better="higher",
    formula="mean(drawdowns ≤ drawdown_at_risk_95)",
    source="Chekhlov, Uryasev & Zabarankin 2005",
    undefined="no return",
    risk=True,
)
def cdar_95(returns: Returns) -> float:
    """The mean of the deepest 5 % of all falls, ≤ 0. skfolio weights the boundary instead."""
    falls = Track.of(returns).falls
    if not len(falls):
        return math.nan
    return float(falls[falls <= np.quantile(falls, 0.05)].mean())
