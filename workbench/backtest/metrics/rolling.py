"""Through a moving window: series of the same metrics over the last `window` sessions, and their extremes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.relative import paired
from workbench.backtest.metrics.track import YEAR, ZERO, Track, share

if TYPE_CHECKING:
    from workbench.backtest.metrics.track import Returns

_YEAR = "a window of one year (`periods` sessions)"
_SHORT = "a record shorter than a year"


def rolling_return(returns: Returns, *, window: int = YEAR) -> pd.Series:
    """∏(1+r) − 1 over the last `window` known returns, by the session on which the window ends."""
    track = Track.of(returns)
    return _dated(track, _returns(track, window), "return")


def rolling_volatility(returns: Returns, *, window: int = YEAR, periods: int = YEAR) -> pd.Series:
    """Annual volatility over the last `window` known returns, by the session on which the window ends."""
    track = Track.of(returns)
    return _dated(track, _moments(track, window)[1] * math.sqrt(periods), "annual_volatility")


def rolling_sharpe(returns: Returns, *, window: int = YEAR, periods: int = YEAR) -> pd.Series:
    """The Sharpe ratio over the last `window` known returns; NaN where they do not vary."""
    track = Track.of(returns)
    return _dated(track, _sharpes(track, window, periods), "sharpe")


def rolling_beta(returns: Returns, benchmark: Returns, *, window: int = YEAR) -> pd.Series:
    """Beta over the last `window` common sessions; NaN where the benchmark does not move."""
    own, other = Track.of(returns), Track.of(benchmark)
    mine, theirs = paired(own, other)
    if window < 2 or len(mine) < window:
        return pd.Series(dtype=float, name="beta")
    mine, theirs = mine - mine.mean(), theirs - theirs.mean()
    covariance = _sums(mine * theirs, window) - _sums(mine, window) * _sums(theirs, window) / window
    variance = _sums(theirs * theirs, window) - _sums(theirs, window) ** 2 / window
    moves = np.sqrt(np.maximum(variance, 0.0) / (window - 1)) > _noise(theirs, window)
    slopes = np.full(len(covariance), np.nan)
    slopes[moves] = covariance[moves] / variance[moves]
    common = own.index[own.is_known].intersection(other.index[other.is_known], sort=False)
    return pd.Series(slopes, index=common[window - 1 :], name="beta")


def drawdown_series(returns: Returns) -> pd.Series:
    """Wealth over its running peak − 1 after each known return, ≤ 0."""
    track = Track.of(returns)
    return pd.Series(track.falls, index=track.index[track.is_known], name="drawdown")


@kpi(
    "rolling",
    unit="fraction",
    better="higher",
    formula="max(∏(1+r) − 1) over " + _YEAR,
    source="plain extreme",
    undefined=_SHORT,
)
def best_12_months(returns: Returns, *, periods: int = YEAR) -> float:
    """The best year that began on any session."""
    found = _returns(Track.of(returns), periods)
    return float(found.max()) if len(found) else math.nan


@kpi(
    "rolling",
    unit="fraction",
    better="higher",
    formula="min(∏(1+r) − 1) over " + _YEAR,
    source="plain extreme",
    undefined=_SHORT,
    risk=True,
)
def worst_12_months(returns: Returns, *, periods: int = YEAR) -> float:
    """The worst year that began on any session."""
    found = _returns(Track.of(returns), periods)
    return float(found.min()) if len(found) else math.nan


@kpi(
    "rolling",
    unit="share of windows",
    better="higher",
    formula="#(∏(1+r) > 1) / #windows over " + _YEAR,
    source="plain count",
    undefined=_SHORT,
)
def positive_12_months(returns: Returns, *, periods: int = YEAR) -> float:
    """Share of the years, begun on any session, that ended with a gain: from 0 to 1."""
    return share(_returns(Track.of(returns), periods) > ZERO)


@kpi(
    "rolling",
    unit="ratio",
    better="higher",
    formula="min(sharpe) over " + _YEAR,
    source="plain extreme",
    undefined=_SHORT + ", or none in which returns vary",
    risk=True,
)
def worst_rolling_sharpe(returns: Returns, *, periods: int = YEAR) -> float:
    """The Sharpe ratio of the worst year."""
    found = _sharpes(Track.of(returns), periods, periods)
    defined = found[~np.isnan(found)]
    return float(defined.min()) if len(defined) else math.nan


@kpi(
    "rolling",
    unit="fraction per √year",
    better="lower",
    formula="max(annual volatility) over a window of a quarter (`periods`/4 sessions)",
    source="plain extreme",
    undefined="a record shorter than a quarter",
    risk=True,
)
def highest_rolling_volatility(returns: Returns, *, periods: int = YEAR) -> float:
    """The annual volatility of the wildest quarter."""
    found = _moments(Track.of(returns), max(periods // 4, 2))[1]
    return float(found.max()) * math.sqrt(periods) if len(found) else math.nan


def _returns(track: Track, window: int) -> np.ndarray:
    if len(track.known) < window:
        return np.empty(0)
    wealth = np.concatenate(([1.0], track.wealth))
    if wealth.min() > 0:
        found: np.ndarray = wealth[window:] / wealth[:-window] - 1.0
        return found
    slid = np.lib.stride_tricks.sliding_window_view(1.0 + track.known, window)  # a total loss cannot be divided out
    lost: np.ndarray = slid.prod(axis=1) - 1.0
    return lost


def _sharpes(track: Track, window: int, periods: int) -> np.ndarray:
    means, deviations = _moments(track, window)
    if not len(means):
        return means
    found = np.full(len(means), np.nan)
    varies = deviations > _noise(track.known, window)
    found[varies] = means[varies] / deviations[varies] * math.sqrt(periods)
    return found


def _moments(track: Track, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (over n − 1) of each window."""
    values = track.known
    if window < 2 or len(values) < window:
        return np.empty(0), np.empty(0)
    centred = values - track.mean  # so that the difference of sums keeps its digits
    sums = _sums(centred, window)
    variance = np.maximum(_sums(centred * centred, window) - sums * sums / window, 0.0) / (window - 1)
    return sums / window + track.mean, np.sqrt(variance)


def _sums(values: np.ndarray, window: int) -> np.ndarray:
    total = np.concatenate(([0.0], np.cumsum(values)))
    found: np.ndarray = total[window:] - total[:-window]
    return found


def _noise(values: np.ndarray, window: int) -> float:
    """A deviation below this is what the difference of two running sums leaves over."""
    rounding = 4.0 * float(np.finfo(float).eps) * len(values) / window
    return max(ZERO, math.sqrt(rounding) * float(values.std()))


def _dated(track: Track, values: np.ndarray, name: str) -> pd.Series:
    index = track.index[track.is_known]
    return pd.Series(values, index=index[len(index) - len(values) :], name=name)
