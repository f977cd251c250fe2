"""How bad the bad sessions are: quantiles and means of the tails of one series of returns."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.risk import excess_kurtosis, skewness
from workbench.backtest.metrics.track import ZERO, Track, ratio

if TYPE_CHECKING:
    from workbench.backtest.metrics.track import Returns

_NORMAL = NormalDist()
_JORION = "Jorion 2006, Value at Risk"
_ROCKAFELLAR = "Rockafellar & Uryasev 2002"


@kpi(
    "tail",
    unit="fraction per session",
    better="higher",
    formula="5 % quantile of r (historical, linear interpolation)",
    source=_JORION,
    undefined="no return",
    risk=True,
)
def var_95(returns: Returns) -> float:
    """Value at risk: the return that 95 % of the sessions exceed; negative is a loss.

    quantstats calls the Gaussian quantile by this name (−0.01863 against −0.01969 on NASDAQ 2009–18).
    """
    return _quantile(returns, 0.05)


@kpi(
    "tail",
    unit="fraction per session",
    better="higher",
    formula="1 % quantile of r (historical, linear interpolation)",
    source=_JORION,
    undefined="no return",
    risk=True,
)
def var_99(returns: Returns) -> float:
    """The return that 99 % of the sessions exceed; negative is a loss."""
    return _quantile(returns, 0.01)


@kpi(
    "tail",
    unit="fraction per session",
    better="higher",
    formula="mean(r ≤ var_95)",
    source=_ROCKAFELLAR,
    undefined="no return",
    risk=True,
)
def cvar_95(returns: Returns) -> float:
    """Conditional value at risk; negative is a loss. skfolio weights the boundary return instead."""
    return _shortfall(returns, 0.05)


@kpi(
    "tail",
    unit="fraction per session",
    better="higher",
    formula="mean(r ≤ var_99)",
    source=_ROCKAFELLAR,
    undefined="no return",
    risk=True,
)
def cvar_99(returns: Returns) -> float:
    """The mean of the worst sessions of a hundred; negative is a loss."""
    return _shortfall(returns, 0.01)


@kpi(
    "tail",
    unit="fraction per session",
    better="higher",
    formula="mean(r) + Φ⁻¹(0.05) · sd(r), sd over n − 1",
    source=_JORION,
    undefined="fewer than two returns",
    risk=True,
)
def gaussian_var_95(returns: Returns) -> float:
    """Value at risk if returns were normal; quantstats calls it `value_at_risk`."""
    track = Track.of(returns)
    return track.mean + _NORMAL.inv_cdf(0.05) * track.deviation


@kpi(
    "tail",
    unit="fraction per session",
    better="higher",
    formula="mean(r) + sd(r)·[z + (z²−1)·S/6 + (z³−3z)·K/24 − (2z³−5z)·S²/36], z = Φ⁻¹(0.05), K excess",
    source="Favre & Galeano 2002; Zangari 1996",
    undefined="fewer than two returns, or none that differs",
    risk=True,
)
def cornish_fisher_var_95(returns: Returns) -> float:
    """Value at risk of a normal law bent by skewness S and excess kurtosis K (population moments).

    An expansion around the normal law: for very skewed returns it leaves the range in which it means anything.
    """
    track = Track.of(returns)
    z, skew, excess = _NORMAL.inv_cdf(0.05), skewness(track), excess_kurtosis(track)
    bent = z + (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * skew**2 / 36
    return track.mean + bent * track.deviation


@kpi(
    "tail",
    unit="fraction per session",
    better="higher",
    formula="−inf_{t>0} t·ln(mean(e^(−r/t)) / 0.05)",
    source="Ahmadi-Javid 2012",
    undefined="no return",
    risk=True,
)
def evar_95(returns: Returns) -> float:
    """Entropic value at risk, the tightest Chernoff bound on VaR and CVaR; negative is a loss.

    The infimum is where the exponentially tilted sample is ln(20) away from the sample in relative entropy. Where even
    the worst return alone is not that far away (fewer than 20 returns), it is the worst return.
    """
    ordered = Track.of(returns).ordered
    if not len(ordered):
        return math.nan
    worst, width = float(ordered[0]), float(ordered[-1] - ordered[0])
    distance = math.log(20.0)
    if width <= ZERO or np.count_nonzero(ordered == worst) >= len(ordered) * 0.05:
        return worst
    loss = (worst - ordered) / width  # from −1 to 0, so that nothing overflows
    low, high, tilt = 0.0, math.inf, 1.0
    for _ in range(200):
        weight = np.exp(tilt * loss)
        total = float(weight.sum())
        first = float(weight @ loss) / total
        second = float(weight @ (loss * loss)) / total - first * first
        cumulant = math.log(total / len(loss))
        gap = tilt * first - cumulant - distance
        low, high = (tilt, high) if gap < 0 else (low, tilt)
        step = tilt - gap / (tilt * second) if second > 0 else math.inf
        if not low < step < high:
            step = 2.0 * tilt if math.isinf(high) else (low + high) / 2.0
        if abs(step - tilt) <= 1e-12 * tilt:
            break
        tilt = step
    return worst - width * (cumulant + distance) / tilt


@kpi(
    "tail",
    unit="ratio",
    better="higher",
    formula="95 % quantile / −(5 % quantile)",
    source="empyrical tail_ratio, which takes absolute values",
    undefined="no return, or a 5 % quantile that is no loss",
    risk=True,
)
def tail_ratio(returns: Returns) -> float:
    """Above 1 the good sessions reach further than the bad ones."""
    return ratio(_quantile(returns, 0.95), -_quantile(returns, 0.05))


@kpi(
    "tail",
    unit="ratio",
    better="higher",
    formula="mean(r ≥ 95 % quantile) / −mean(r ≤ 5 % quantile)",
    source="Biglova, Ortobelli, Rachev & Stoyanov 2004",
    undefined="no return, or a tail that loses nothing",
    risk=True,
)
def rachev_ratio(returns: Returns) -> float:
    """What the best twentieth of the sessions earns for what the worst twentieth loses."""
    ordered = Track.of(returns).ordered
    if not len(ordered):
        return math.nan
    best = ordered[ordered >= _quantile(returns, 0.95)].mean()
    return ratio(float(best), -cvar_95(returns))


def _quantile(returns: Returns, probability: float) -> float:
    """Linear interpolation between neighbours, as numpy does it, in an ordered sample."""
    ordered = Track.of(returns).ordered
    if not len(ordered):
        return math.nan
    place = probability * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    low, high = float(ordered[below]), float(ordered[above])
    return low + (high - low) * (place - below)


def _shortfall(returns: Returns, probability: float) -> float:
    ordered = Track.of(returns).ordered
    if not len(ordered):
        return math.nan
    return float(ordered[: np.searchsorted(ordered, _quantile(returns, probability), side="right")].mean())
