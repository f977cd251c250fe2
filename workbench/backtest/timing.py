"""Timing: at which price of which bar a wish is filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.fill_rules import EXECUTION_PRICES
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from workbench.market.bars import Bars


def execution_price_for(bars: Bars, execution_price: str = "auto") -> str:
    """`next_open`, `next_close` or `same_close`: what `execution_price` means for these bars.

    Raises:
        BacktestError: the name is unknown, or opens were asked for and some symbol has closes but no open at all.
    """
    if execution_price not in EXECUTION_PRICES:
        raise BacktestError(
            f"execution_price={execution_price!r} is not one of {', '.join(EXECUTION_PRICES)}.",
            remedy="use 'auto'.",
        )
    if execution_price == "same_close":
        return execution_price
    without = list(bars.symbols)
    if bars.open is not None:
        lacking = bars.open.isna().all() & bars.close.notna().any()
        without = [str(symbol) for symbol in lacking.index[lacking]]
    if execution_price == "auto":
        return "next_close" if without else "next_open"
    if execution_price == "next_open" and without:
        raise BacktestError(
            f"execution_price='next_open', but {', '.join(without[:5])} have closes only.",
            remedy="use 'next_close' or 'auto', or drop these symbols.",
        )
    return execution_price


def prices_at(bars: Bars, execution_price: str) -> np.ndarray:
    """The prices at which wishes are filled, array (session × symbol); NaN where there is none.

    A bar without a close is no bar: its open is not used.
    """
    close = bars.close.to_numpy(dtype=float)
    if execution_price != "next_open" or bars.open is None:
        return close
    return np.where(np.isnan(close), np.nan, bars.open.to_numpy(dtype=float))


def lag_of(execution_price: str) -> int:
    """How many bars after its decision a wish can be filled at the earliest."""
    return 0 if execution_price == "same_close" else 1


def due(wishes: np.ndarray, priced: np.ndarray, *, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Which weight is due for filling in which bar, NaN where none is, and in which row it was decided.

    A wish of row s is due at the first row t ≥ s + lag with a price, unless one of a row up to t − lag replaced it.

    Args:
        wishes: weights (session × symbol), NaN where nothing is wished.
        priced: where a fill is possible (session × symbol).
    """
    length, width = wishes.shape
    rows = np.arange(length)[:, None]
    said = np.maximum.accumulate(np.where(np.isnan(wishes), -1, rows), axis=0)
    chances = np.maximum.accumulate(np.where(priced, rows, -1), axis=0)
    nothing = np.full((1, width), -1)
    decided = np.vstack([nothing, said])[:length] if lag else said
    before = np.vstack([nothing, chances])[:length]
    # the chance before this one must have come too early for this wish, else the wish was filled then
    first = before <= decided if lag else before < decided
    filled = priced & (decided >= 0) & first
    weights = np.take_along_axis(wishes, np.maximum(decided, 0), axis=0)
    return np.where(filled, weights, np.nan), np.where(filled, decided, 0)
