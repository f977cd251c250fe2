"""Metrics of one series of returns against a benchmark's: one function each, under the common rules of `metrics`.

Only sessions in which both returns are known count; fewer than two, or a benchmark without variance, is NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.metrics.returns import YEAR, ZERO, per_period

if TYPE_CHECKING:
    import pandas as pd


def paired(returns: pd.Series, benchmark: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Both series in the sessions in which both are known."""
    both = returns.to_frame("own").join(benchmark.rename("benchmark"), how="inner").dropna()
    return both["own"].to_numpy(dtype=float), both["benchmark"].to_numpy(dtype=float)


def beta(returns: pd.Series, benchmark: pd.Series) -> float:
    """cov(r, b) / var(b): how much of a move of the benchmark arrives here. No unit."""
    own, other = paired(returns, benchmark)
    if len(own) < 2 or other.std(ddof=1) <= ZERO:
        return math.nan
    return float(np.cov(own, other, ddof=1)[0, 1] / other.var(ddof=1))


def alpha(returns: pd.Series, benchmark: pd.Series, *, risk_free: float = 0.0, periods: int = YEAR) -> float:
    """[mean(r − f) − β · mean(b − f)] · periods, a fraction per year. Jensen 1968.

    Annualised by multiplication (quantstats: 0.0372531 on NASDAQ 2009–18), the intercept of the regression itself;
    empyrical compounds it to 0.0379528. `risk_free` is an annual rate.
    """
    own, other = paired(returns, benchmark)
    rate = per_period(risk_free, periods=periods)
    slope = beta(returns, benchmark)
    if math.isnan(slope):
        return math.nan
    return float((own.mean() - rate) - slope * (other.mean() - rate)) * periods


def correlation(returns: pd.Series, benchmark: pd.Series) -> float:
    """Pearson's correlation, from −1 to 1. NaN when either side has no variance."""
    own, other = paired(returns, benchmark)
    if len(own) < 2 or own.std(ddof=1) <= ZERO or other.std(ddof=1) <= ZERO:
        return math.nan
    return float(np.corrcoef(own, other)[0, 1])


def tracking_error(returns: pd.Series, benchmark: pd.Series, *, periods: int = YEAR) -> float:
    """sd(r − b) · √periods, sd over n − 1: a fraction per √year. 0 for the benchmark itself."""
    own, other = paired(returns, benchmark)
    return float((own - other).std(ddof=1) * math.sqrt(periods)) if len(own) > 1 else math.nan


def information_ratio(returns: pd.Series, benchmark: pd.Series, *, periods: int = YEAR) -> float:
    """mean(r − b) / sd(r − b) · √periods. No unit. Goodwin 1998. NaN for the benchmark itself.

    Annualised; empyrical and quantstats are not (0.0498 against 0.790 on NASDAQ 2009–18).
    """
    own, other = paired(returns, benchmark)
    active = own - other
    if len(active) < 2 or (deviation := float(active.std(ddof=1))) <= ZERO:
        return math.nan
    return float(active.mean()) / deviation * math.sqrt(periods)


def capture(returns: pd.Series, benchmark: pd.Series, *, up: bool) -> float:
    """CAGR over the benchmark's rising (or falling) sessions / the benchmark's own over the same. No unit.

    NaN when the benchmark has no such session. Morningstar's ratio, geometric.
    """
    own, other = paired(returns, benchmark)
    chosen = other > 0 if up else other < 0
    if not chosen.any():
        return math.nan
    length: float = YEAR / int(chosen.sum())
    mine, theirs = (math.pow(float(np.prod(1.0 + side[chosen])), length) - 1.0 for side in (own, other))
    return mine / theirs
