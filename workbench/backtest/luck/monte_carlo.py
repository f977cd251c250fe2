"""Intervals by the stationary block bootstrap: what the headline numbers could have been with the same days reshuffled.

Source of the bootstrap: Politis & Romano 1994, "The Stationary Bootstrap". Of the block length: Politis & White 2004,
"Automatic Block-Length Selection for the Dependent Bootstrap", with the correction of Patton, Politis & White 2009.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.metrics import YEAR, ZERO, known

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

# Reshuffled histories held in memory at once: 250 × 2,500 returns are 5 MB.
_CHUNK = 250


def intervals(
    returns: pd.Series, *, seed: int, level: float = 0.95, reps: int = 1_000, periods: int = YEAR
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of total_return, cagr, sharpe and max_drawdown, as defined in `metrics`.

    Args:
        returns: simple per-session returns; blocks of neighbouring returns stay together, so that autocorrelation and
            clusters of volatility survive the reshuffling.
        seed: the same seed gives the same intervals.
        level: share of the reshuffled histories inside.
        reps: how many histories are drawn.

    Returns:
        (low, high) by name. Empty when there are fewer than 20 returns or they do not vary: there is nothing to
        reshuffle then, and an interval of width 0 would claim certainty.
    """
    values = known(returns)
    if len(values) < 20 or float(values.std(ddof=1)) <= ZERO:
        return {}
    drawn: dict[str, list[np.ndarray]] = {"total_return": [], "cagr": [], "sharpe": [], "max_drawdown": []}
    length = optimal_block_length(values)
    for rows in stationary_indices(len(values), block_length=length, reps=reps, seed=seed):
        history = values[rows]
        wealth = np.cumprod(1.0 + history, axis=1)
        drawn["total_return"].append(wealth[:, -1] - 1.0)
        drawn["cagr"].append(np.maximum(wealth[:, -1], 0.0) ** (periods / len(values)) - 1.0)
        deviation = history.std(axis=1, ddof=1)
        varies = deviation > ZERO
        ratio = np.full(len(history), np.nan)
        ratio[varies] = history.mean(axis=1)[varies] / deviation[varies] * math.sqrt(periods)
        drawn["sharpe"].append(ratio)
        falls = wealth / np.maximum.accumulate(np.maximum(wealth, 1.0), axis=1) - 1.0
        drawn["max_drawdown"].append(falls.min(axis=1))
    tail = (1.0 - level) / 2.0
    found = {name: np.nanquantile(np.concatenate(parts), [tail, 1.0 - tail]) for name, parts in drawn.items()}
    return {name: (float(low), float(high)) for name, (low, high) in found.items()}


def stationary_indices(n: int, *, block_length: float, reps: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers of `reps` reshuffled histories, in chunks of shape (≤ 250, n).

    Each history walks forward from a random row, around the end to the beginning, and jumps to a new random row with
    probability 1/block_length before each step: block lengths are geometric with mean `block_length`.
    """
    draw = np.random.default_rng(seed)
    steps = np.arange(n)
    for first in range(0, reps, _CHUNK):
        count = min(_CHUNK, reps - first)
        jumps = draw.random((count, n)) < 1.0 / block_length
        jumps[:, 0] = True
        targets = draw.integers(0, n, size=(count, n))
        last = np.maximum.accumulate(np.where(jumps, steps, 0), axis=1)
        yield (np.take_along_axis(targets, last, axis=1) + steps - last) % n


def optimal_block_length(values: np.ndarray) -> float:
    """The mean block length with the least error in the variance of the mean, for the stationary bootstrap; at least 1.

    b = (2·g² / d)^⅓ · n^⅓ with g = Σ λ(k/M)·|k|·R(k), d = 2·(Σ λ(k/M)·R(k))², R(k) the autocovariance and λ a flat-top
    window of half-width M. M is twice the first lag from which on K = max(5, log₁₀ n) autocorrelations in a row stay
    below 2·√(log₁₀ n / n), at most √n + K. The length is never more than min(3·√n, n/3).
    """
    n = len(values)
    longest = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    quiet = max(5, int(math.log10(n)))
    lags = min(math.ceil(math.sqrt(n)) + quiet, n - 1)
    centred = values - values.mean()
    covariance = np.array([float(centred[lag:] @ centred[: n - lag]) / n for lag in range(lags + 1)])
    if covariance[0] <= ZERO**2:
        return 1.0
    small = np.abs(covariance[1:] / covariance[0]) < 2.0 * math.sqrt(math.log10(n) / n)
    firsts = (lag for lag in range(1, len(small) - quiet + 2) if small[lag - 1 : lag - 1 + quiet].all())
    width = min(2 * next(firsts, lags), lags)
    at = np.arange(1, width + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - at / width))
    slope = 2.0 * float(np.sum(window * at * covariance[1 : width + 1]))
    spectrum = float(covariance[0] + 2.0 * np.sum(window * covariance[1 : width + 1]))
    if spectrum <= 0:
        return 1.0
    return float(min(max((slope**2 / spectrum**2) ** (1 / 3) * n ** (1 / 3), 1.0), longest))
