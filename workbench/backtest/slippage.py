"""Slippage and impact: by how much a fill's price is worse than the price at which it was wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workbench.backtest.costs import Costs

# How many bars volatility and mean volume look back.
WINDOW = 20


@dataclass(frozen=True, slots=True)
class Worse:
    """Fractions of the reference price that one fill loses, each ≥ 0."""

    spread: float
    slippage: float
    impact: float

    @property
    def total(self) -> float:
        """By which fraction the price is worse altogether."""
        return self.spread + self.slippage + self.impact


def worse(costs: Costs, *, qty: float, volume: float, sigma: float, mean_volume: float) -> Worse:
    """What a fill of `qty` shares loses against the reference price.

        spread   = spread / 2
        slippage = slippage + slippage_volatility · σ + slippage_participation · qty / volume
        impact   = impact · σ · √(qty / V)

    The three add up, and a purchase is filled at reference · (1 + sum), a sale at reference · (1 − sum). The last line
    is the square-root law, with a coefficient of the order of 1 (Tóth et al. 2011, Phys. Rev. X 1, 021006; Almgren et
    al. 2005). It does not depend on the length of the bar: σ grows with its root, V with itself.

    Args:
        volume: shares traded in the bar of the fill.
        sigma: σ, volatility of one bar, see `volatility_before`.
        mean_volume: V, see `mean_before`.
    """
    slippage, impact = costs.slippage, 0.0
    if costs.slippage_volatility:
        slippage += costs.slippage_volatility * sigma
    if costs.slippage_participation:
        slippage += costs.slippage_participation * qty / volume
    if costs.impact:
        impact = costs.impact * sigma * math.sqrt(qty / mean_volume)
    return Worse(costs.spread / 2.0, slippage, impact)


def volatility_before(close: np.ndarray) -> np.ndarray:
    """σ of each symbol as known before each bar, array (bar × symbol).

    The standard deviation (over n − 1) of the last 20 simple close-to-close returns up to the bar before; of those
    there are while there are 2 to 19 of them; NaN before. Bars without a close are left out: the return spans the gap.
    """
    return _before(close, lambda prices: prices[1:] / prices[:-1] - 1.0, _deviation, least=2, skipped=1)


def mean_before(volume: np.ndarray) -> np.ndarray:
    """Mean volume of the last 20 bars with a volume before each bar, fewer while there are fewer, NaN where none is."""
    return _before(volume, lambda shares: shares, lambda values: values.mean(axis=-1), least=1, skipped=0)


def _deviation(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.std(axis=-1, ddof=1))


def _before(values: np.ndarray, change, measure, *, least: int, skipped: int) -> np.ndarray:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Each column's `measure` over a window of its known values that ends before each row."""
    found = np.full(values.shape, np.nan)
    for column in range(values.shape[1]):
        known = np.flatnonzero(~np.isnan(values[:, column]))
        series = change(values[known, column])
        measured = np.full(len(known), np.nan)
        for count in range(least, min(WINDOW, len(series) + 1)):
            measured[count - 1 + skipped] = measure(series[:count])
        if len(series) >= WINDOW:
            windows = np.lib.stride_tricks.sliding_window_view(series, WINDOW)
            measured[WINDOW - 1 + skipped :] = measure(windows)
        newest = np.searchsorted(known, np.arange(len(values))) - 1  # the last known row before each row
        found[:, column] = np.where(newest >= 0, measured[np.maximum(newest, 0)] if len(known) else np.nan, np.nan)
    return found
