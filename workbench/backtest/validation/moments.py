"""Moments: metrics of many cells over many sets of sessions at once, from sums instead of paths."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from workbench.errors import ParameterError

# What sums over sessions are enough for; a drawdown needs the path.
FROM_SUMS = ("sharpe", "sortino", "cagr", "total_return")
# A variance below this share of the mean square is rounding: the returns are all the same.
SAME = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over sets of sessions, each array (set × cell); NaN columns stay NaN.

    Attributes:
        count: returns in each set.
        first, second: Σr and Σr².
        below: Σ min(r, 0)².
        logs: Σ ln(1 + r), −inf where everything was lost.
    """

    count: np.ndarray
    first: np.ndarray
    second: np.ndarray
    below: np.ndarray
    logs: np.ndarray

    @classmethod
    def of(cls, returns: np.ndarray, sets: np.ndarray) -> Sums:
        """From returns (bar × cell) and membership (set × bar, boolean). One matrix product per power."""
        chosen = sets.astype(float)
        with np.errstate(divide="ignore"):
            grown = np.log1p(np.maximum(returns, -1.0))
        return cls(
            count=chosen.sum(axis=1)[:, None],
            first=chosen @ returns,
            second=chosen @ returns**2,
            below=chosen @ np.minimum(returns, 0.0) ** 2,
            logs=_sum_of_logs(chosen, grown),
        )

    def metric(self, name: str, *, periods: int) -> np.ndarray:
        """A metric (set × cell) by the definitions of `workbench.backtest.metrics`; NaN where undefined.

        Raises:
            ParameterError: it cannot be had from sums.
        """
        if name not in FROM_SUMS:
            raise ParameterError(
                f"metric={name!r} is not one of {', '.join(FROM_SUMS)}: train sets with gaps have no path.",
                remedy="use 'sharpe'.",
            )
        mean = self.first / self.count
        if name == "sharpe":
            square = self.second / self.count
            variance = (square - mean**2) * self.count / np.maximum(self.count - 1, 1)
            return _divided(mean * math.sqrt(periods), np.sqrt(np.where(variance > SAME * square, variance, 0.0)))
        if name == "sortino":
            return _divided(mean * math.sqrt(periods), np.sqrt(self.below / self.count))
        grown: np.ndarray = np.expm1(self.logs * periods / self.count if name == "cagr" else self.logs)
        return grown


def _sum_of_logs(chosen: np.ndarray, grown: np.ndarray) -> np.ndarray:
    """Σ ln(1 + r) where 0 · −inf must be 0 and not NaN."""
    lost = np.isneginf(grown)
    total: np.ndarray = chosen @ np.where(lost, 0.0, grown)
    return np.where(chosen @ lost.astype(float) > 0, -np.inf, total) if lost.any() else total


def _divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    found = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found
