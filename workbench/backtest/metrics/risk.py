"""How much it moved: deviations, moments and autocorrelation of one series of returns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.track import YEAR, Track

if TYPE_CHECKING:
    from workbench.backtest.metrics.track import Returns


@kpi(
    "risk",
    unit="fraction per √year",
    better="lower",
    formula="sd(r) · √periods, sd over n − 1",
    source="Bacon 2008",
    undefined="fewer than two returns",
    risk=True,
)
def annual_volatility(returns: Returns, *, periods: int = YEAR) -> float:
    """The standard deviation of the returns, scaled to a year as if they were independent."""
    return Track.of(returns).deviation * math.sqrt(periods)


@kpi(
    "risk",
    unit="fraction per session",
    better="lower",
    formula="√(mean(min(r − mar, 0)²)) over all n; mar = 0",
    source="Bacon 2008; Sortino & van der Meer 1991",
    undefined="no return",
    risk=True,
)
def downside_deviation(returns: Returns, *, mar: float = 0.0) -> float:
    """Deviation below `mar` (a return per session) over ALL n returns, not only over those below it."""
    values = Track.of(returns).known
    return _root_mean_square(np.minimum(values - mar, 0.0))


@kpi(
    "risk",
    unit="fraction per session",
    better="none",
    formula="√(mean(max(r − mar, 0)²)) over all n; mar = 0",
    source="Bacon 2008 (upside risk)",
    undefined="no return",
    risk=True,
)
def upside_deviation(returns: Returns, *, mar: float = 0.0) -> float:
    """Deviation above `mar` (a return per session) over all n returns."""
    values = Track.of(returns).known
    return _root_mean_square(np.maximum(values - mar, 0.0))


@kpi(
    "risk",
    unit="fraction per session",
    better="lower",
    formula="√(mean(min(r − mean(r), 0)²)) over all n",
    source="Markowitz 1959; Bacon 2008",
    undefined="fewer than two returns",
    risk=True,
)
def semi_deviation(returns: Returns) -> float:
    """Deviation below the mean over all n returns; skfolio divides by n − 1."""
    track = Track.of(returns)
    return _root_mean_square(np.minimum(track.known - track.mean, 0.0)) if len(track.known) > 1 else math.nan


@kpi(
    "risk",
    unit="fraction per session",
    better="lower",
    formula="mean(|r − mean(r)|)",
    source="Konno & Yamazaki 1991; Bacon 2008, p. 62",
    undefined="fewer than two returns",
    risk=True,
)
def mean_absolute_deviation(returns: Returns) -> float:
    """The mean distance of a return from the mean."""
    track = Track.of(returns)
    return float(np.abs(track.known - track.mean).mean()) if len(track.known) > 1 else math.nan


@kpi(
    "risk",
    unit="fraction per session",
    better="lower",
    formula="mean(|r_i − r_j|) over all pairs i ≠ j",
    source="Yitzhaki 1982",
    undefined="fewer than two returns",
    risk=True,
)
def gini_mean_difference(returns: Returns) -> float:
    """The mean distance between two returns: a deviation that needs no mean."""
    ordered = Track.of(returns).ordered
    n = len(ordered)
    if n < 2:
        return math.nan
    # The i-th smallest is the larger one of i − 1 pairs and the smaller one of n − i.
    return float((2.0 * np.arange(1, n + 1) - n - 1.0) @ ordered) * 2.0 / (n * (n - 1.0))


@kpi(
    "risk",
    unit="fraction per session",
    better="lower",
    formula="mean(max(mar − r, 0)) over all n; mar = 0",
    source="Bacon 2008 (downside potential)",
    undefined="no return",
    risk=True,
)
def downside_potential(returns: Returns, *, mar: float = 0.0) -> float:
    """The mean shortfall below `mar` (a return per session), the first lower partial moment."""
    values = Track.of(returns).known
    return float(np.maximum(mar - values, 0.0).mean()) if len(values) else math.nan


def upside_potential(returns: Returns, *, mar: float = 0.0) -> float:
    """mean(max(r − mar, 0)) over all n, `mar` a return per session. Bacon 2008. NaN without a return."""
    values = Track.of(returns).known
    return float(np.maximum(values - mar, 0.0).mean()) if len(values) else math.nan


@kpi(
    "risk",
    unit="ratio",
    better="higher",
    formula="m₃ / m₂^1.5 with population moments",
    source="Fisher; scipy.stats.skew (biased)",
    undefined="fewer than two returns, or none that differs",
    risk=True,
)
def skewness(returns: Returns) -> float:
    """Asymmetry, "biased" (pandas and vectorbt correct for n), as the probabilistic Sharpe ratio expects it."""
    scores = Track.of(returns).scores
    return float((scores * scores * scores).mean()) if len(scores) else math.nan


@kpi(
    "risk",
    unit="ratio",
    better="lower",
    formula="m₄ / m₂² with population moments: RAW, 3 for normal returns",
    source="Pearson; scipy.stats.kurtosis (fisher=False)",
    undefined="fewer than two returns, or none that differs",
    risk=True,
)
def kurtosis(returns: Returns) -> float:
    """Weight of the tails, RAW (excess is 3 less), as the probabilistic Sharpe ratio expects it."""
    scores = Track.of(returns).scores
    return float((scores * scores * scores * scores).mean()) if len(scores) else math.nan


@kpi(
    "risk",
    unit="ratio",
    better="lower",
    formula="m₄ / m₂² − 3 with population moments: 0 for normal returns",
    source="Fisher; scipy.stats.kurtosis",
    undefined="fewer than two returns, or none that differs",
    risk=True,
)
def excess_kurtosis(returns: Returns) -> float:
    """`kurtosis` − 3."""
    return kurtosis(returns) - 3.0


@kpi(
    "risk",
    unit="ratio",
    better="none",
    formula="Σ(r_t − m)(r_{t−1} − m) / Σ(r_t − m)²",
    source="Box & Jenkins 1970 (sample autocorrelation at lag 1)",
    undefined="fewer than three returns, or none that differs",
    risk=True,
)
def autocorrelation(returns: Returns) -> float:
    """How much of a session's return comes back in the next: above 0, volatility grows faster than √time."""
    scores = Track.of(returns).scores
    return float(scores[1:] @ scores[:-1]) / len(scores) if len(scores) > 2 else math.nan


@kpi(
    "risk",
    unit="fraction per √year",
    better="lower",
    formula="sd(r) · √(q + 2·Σ_{k<q} (q − k)·ρ^k), q = periods, ρ = autocorrelation at lag 1",
    source="Lo 2002, The Statistics of Sharpe Ratios, the AR(1) case",
    undefined="fewer than three returns, or none that differs",
    risk=True,
)
def lo_volatility(returns: Returns, *, periods: int = YEAR) -> float:
    """Annual volatility of returns that follow each other: smoothed returns look calmer by the day than by the year."""
    rho = autocorrelation(returns)
    # The sum in closed form.
    stretch = 2.0 * rho / (1.0 - rho) * (periods - (1.0 - rho**periods) / (1.0 - rho))
    return Track.of(returns).deviation * math.sqrt(periods + stretch)


def _root_mean_square(values: np.ndarray) -> float:
    return math.sqrt(float(values @ values) / len(values)) if len(values) else math.nan
