"""A mean that forgets by a constant factor per bar: of squared returns, for the volatility of RiskMetrics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DecayedVolatility:
    """√(m · 252), where m ← λ·m + (1 − λ)·r² and r is the simple return of the close; m begins as the first r².

    A return that is not finite (after a close of 0) is left out.
    """

    year: int
    exact: bool = False

    def batch(self, columns: tuple[Floats, ...], arguments: tuple[float, ...]) -> Floats:
        """NaN in the first row, which has no return."""
        close, decay = columns[0], arguments[0]
        found = np.full(len(close), np.nan)
        if len(close) < 2:
            return found
        with np.errstate(all="ignore"):
            squared = (close[1:] / close[:-1] - 1.0) ** 2
        squared[~np.isfinite(squared)] = np.nan
        mean = pd.Series(squared).ewm(alpha=1.0 - decay, adjust=False, ignore_na=True).mean().to_numpy(dtype=float)
        found[1:] = np.sqrt(mean * self.year)
        return found

    def newest(self, columns: tuple[Floats, ...], arguments: tuple[float, ...]) -> float:
        """The last of all rows."""
        found = self.batch(columns, arguments)
        return float(found[-1]) if len(found) else math.nan

    def steps(self, arguments: tuple[float, ...]) -> DecayedSteps:
        """Nothing remembered."""
        return DecayedSteps(self, arguments)


class DecayedSteps:
    """The close before, and the mean so far."""

    __slots__ = ("_arguments", "_before", "_mean", "_way")

    def __init__(self, way: DecayedVolatility, arguments: tuple[float, ...]) -> None:
        self._way = way
        self._arguments = arguments
        self._before = math.nan
        self._mean = math.nan

    def begin(self, columns: tuple[Floats, ...]) -> float:
        """The batch ends with the mean that goes on."""
        self._before = float(columns[0][-1])
        value = self._way.newest(columns, self._arguments)
        self._mean = value * value / self._way.year
        return value

    def push(self, values: tuple[float, ...]) -> float:
        """One step."""
        self._mean = self._after(values[0])
        self._before = values[0]
        return math.sqrt(self._mean * self._way.year)

    def peek(self, values: tuple[float, ...]) -> float:
        """One step that is not kept."""
        return math.sqrt(self._after(values[0]) * self._way.year)

    def _after(self, close: float) -> float:
        if math.isnan(self._before) or self._before == 0.0:
            return self._mean
        squared = (close / self._before - 1.0) ** 2
        if math.isnan(self._mean):
            return squared
        return self._arguments[0] * self._mean + (1.0 - self._arguments[0]) * squared
