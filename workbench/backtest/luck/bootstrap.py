"""Resampling in blocks: which rows a reshuffled history takes, stationary or circular, and how long blocks should be.

Blocks of neighbouring returns stay together, so that autocorrelation and clusters of volatility survive. Sources:
Politis & Romano 1994, "The Stationary Bootstrap"; 1992, "A Circular Block-Resampling Procedure for Stationary Data";
Politis & White 2004, "Automatic Block-Length Selection for the Dependent Bootstrap", with the correction of Patton,
Politis & White 2009.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.metrics import ZERO
from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("stationary", "circular")
# Row numbers drawn at once: their histories and what is made of them stay in the processor's cache.
_CHUNK = 2**17


def histories(n: int, *, block_length: float, reps: int, seed: int, kind: str = "stationary") -> Iterator[np.ndarray]:
    """Row numbers of `reps` reshuffled histories of `n` sessions, in chunks of shape (some, n).

    Each history walks forward from a random row, around the end to the beginning, and jumps to a new random row: before
    each step with probability 1/block_length (`stationary`: lengths are geometric with that mean), or after every
    `block_length` steps, rounded (`circular`).

    Raises:
        ParameterError: `kind` is none of `KINDS`, or a number is out of its range.
    """
    draw = _checked(n, block_length=block_length, reps=reps, seed=seed, kind=kind)
    most = max(1, _CHUNK // n)
    for first in range(0, reps, most):
        count = min(most, reps - first)
        at, start = _blocks(draw, n, block_length=block_length, reps=count, kind=kind)
        lengths = np.diff(at, append=count * n)
        rows = np.repeat(start - at, lengths) + np.arange(count * n)
        rows[rows >= n] -= n
        yield rows.reshape(count, n)


def counts(n: int, *, block_length: float, reps: int, seed: int, kind: str = "stationary") -> np.ndarray:
    """How often each row is drawn in each of `reps` reshuffled histories, (reps × n) float64; every row sums to n.

    The same draws as those of `histories` with the same arguments. The mean of a reshuffled series is its row of this
    matrix times the series, over n: one matrix product instead of `reps` copies.

    Raises:
        ParameterError: as `histories`.
    """
    draw = _checked(n, block_length=block_length, reps=reps, seed=seed, kind=kind)
    found = np.empty((reps, n))
    most = max(1, _CHUNK // n)
    for first in range(0, reps, most):
        count = min(most, reps - first)
        at, start = _blocks(draw, n, block_length=block_length, reps=count, kind=kind)
        # A block adds one from its first row to its last: +1 where it begins, −1 after it ends, and a running sum. The
        # circle is cut open to twice its length, because a block may run over the end.
        begin = at // n * (2 * n) + start
        steps = np.bincount(begin, minlength=count * 2 * n)
        steps -= np.bincount(begin + np.diff(at, append=count * n), minlength=count * 2 * n)
        open_circle = np.cumsum(steps.reshape(count, 2 * n), axis=1)
        found[first : first + count] = open_circle[:, :n] + open_circle[:, n:]
    return found


def optimal_block_length(values: np.ndarray, *, kind: str = "stationary") -> float:
    """The mean block length with the least error in the variance of the mean; at least 1.

    b = (2·g² / d)^⅓ · n^⅓ with g = Σ λ(k/M)·|k|·R(k), d = D·(Σ λ(k/M)·R(k))², D = 2 (stationary) or 4/3 (circular),
    R(k) the autocovariance and λ a flat-top window of half-width M. M is twice the first lag from which on
    K = max(5, log₁₀ n) autocorrelations in a row stay below 2·√(log₁₀ n / n), at most √n + K. The length is never more
    than min(3·√n, n/3).
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
    spread = 2.0 if kind == "stationary" else 4.0 / 3.0
    return float(min(max((2.0 * slope**2 / (spread * spectrum**2)) ** (1 / 3) * n ** (1 / 3), 1.0), longest))


def _blocks(
    draw: np.random.Generator, n: int, *, block_length: float, reps: int, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Where each block begins in the `reps` histories laid end to end, and the row it begins with."""
    total = reps * n
    if kind == "circular":
        at = (np.arange(reps)[:, None] * n + np.arange(0, n, max(1, round(block_length)))).ravel()
    else:
        chance = 1.0 / block_length
        # A jump before each step with one chance is a geometric wait between jumps, over all histories in a row.
        jumps = np.cumsum(draw.geometric(chance, size=int(total * chance + 6.0 * math.sqrt(total * chance)) + 16)) - 1
        while jumps[-1] < total:
            jumps = np.append(jumps, jumps[-1] + np.cumsum(draw.geometric(chance, size=1024)))
        begins = np.zeros(total, dtype=bool)
        begins[jumps[jumps < total]] = True
        begins[::n] = True
        at = np.flatnonzero(begins)
    return at, draw.integers(0, n, size=len(at))


def _checked(n: int, *, block_length: float, reps: int, seed: int, kind: str) -> np.random.Generator:
    if kind not in KINDS:
        raise ParameterError(
            f"kind={kind!r} is not a block bootstrap; nothing was drawn.", remedy=f"use one of {', '.join(KINDS)}."
        )
    for name, value, least in (("n", n, 1), ("block_length", block_length, 1.0), ("reps", reps, 1), ("seed", seed, 0)):
        if not value >= least:
            raise ParameterError(f"{name}={value!r} must be at least {least}; nothing was drawn.")
    return np.random.default_rng(seed)
