"""Legs: the fills of each trade put in order, and what happened to prices and money while the trade was held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.simulation import FINANCING_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.booked import Booked, Flows

# Reasons of a leg, as numbers; `EXIT_REASONS` of trades names them.
WISH, RUIN, DELISTING = 1, 2, 3
_OF_A_TRADE = [FINANCING_COLUMNS.index(name) for name in ("borrow", "dividends")]


class Legs:
    """All fills and delistings, symbol by symbol in the order of time; a fill that crosses zero is two legs.

    Every attribute is an array with one entry per leg: `row`, `column`, `signed` shares, `price`, `fee`, `lost`
    (slippage, spread and impact in currency), `held` shares afterwards, `reason`, `sequence` (order of happening over
    all symbols), `opens` (the first leg of a trade), `grown` (shares of then per share of the first bar).
    """

    def __init__(self, booked: Booked) -> None:
        fills, delisted = booked.fills, booked.delisted
        none = np.zeros(len(delisted.row))
        self.row = np.concatenate([fills.row, delisted.row])
        self.column = np.concatenate([fills.column, delisted.column])
        self.signed = np.concatenate([fills.signed, -delisted.held])
        self.price = np.concatenate([fills.price, delisted.value])
        self.fee = np.concatenate([fills.fee, none])
        self.lost = np.concatenate([fills.slippage + fills.spread + fills.impact, none])
        self.held = np.concatenate([fills.held, none])
        later = np.concatenate([np.zeros(len(fills.row)), none + 1.0])
        self.reason = np.where(later > 0.0, DELISTING, WISH)
        self.reason[: len(fills.row)][fills.ruin] = RUIN
        happened = np.lexsort((later, self.row))
        self.sequence = np.empty(len(happened), dtype=np.int64)
        self.sequence[happened] = np.arange(len(happened))
        self._take(np.lexsort((self.sequence, self.column)))
        self._split_crossings()
        self.opens = self._before() == 0.0
        self.grown = np.ones(len(self.row)) if booked.growth is None else booked.growth[self.row, self.column]

    def _take(self, which: np.ndarray) -> None:
        for name in ("row", "column", "signed", "price", "fee", "lost", "held", "reason", "sequence"):
            setattr(self, name, getattr(self, name)[which])

    def _before(self) -> np.ndarray:
        """What was held before each leg, in shares of the leg before."""
        before = np.concatenate([[0.0], self.held])[: len(self.held)]
        first = np.concatenate([[True], self.column[1:] != self.column[:-1]])[: len(self.held)]
        return np.where(first, 0.0, before)

    def _split_crossings(self) -> None:
        crosses = self._before() * self.held < 0.0
        if not crosses.any():
            return
        self._take(np.repeat(np.arange(len(self.row)), np.where(crosses, 2, 1)))
        second = np.flatnonzero(np.repeat(crosses, np.where(crosses, 2, 1)))[1::2]
        first = second - 1
        opening = self.held[second] / self.signed[second]  # the share of the fill that opens the next trade
        for name in ("signed", "fee", "lost"):
            values = getattr(self, name)
            values[first] *= 1.0 - opening
            values[second] *= opening
        self.held[first] = 0.0


def financed(flows: Flows, column: np.ndarray, opened: np.ndarray, *, bars: int) -> np.ndarray:
    """Dividends and borrow fees of each trade, in currency. A flow in row r belongs to who held at the end of r − 1.

    Args:
        column, opened: of each trade, in the order of both.
        bars: how many rows there are.
    """
    money = np.zeros(len(column))
    chosen = np.isin(flows.kind, _OF_A_TRADE) & (flows.column >= 0)
    starts = column * bars + opened
    trade = np.searchsorted(starts, flows.column[chosen] * bars + flows.row[chosen]) - 1
    np.add.at(money, trade, flows.amount[chosen])
    return money


def extreme(
    which: np.ufunc,
    growth: np.ndarray | None,
    ranges: list[tuple[pd.DataFrame | None, np.ndarray, np.ndarray]],
    *,
    column: np.ndarray,
    beside: np.ndarray,
) -> np.ndarray:
    """The lowest or highest price of each trade, per share of the first bar; NaN where nothing is known.

    Args:
        which: `np.fmin` or `np.fmax`, which leave NaN out.
        ranges: (prices, first row, row after the last) of each trade; prices that the bars do not have are None.
        beside: further prices, one per trade, per share of the first bar.
    """
    found = beside
    for prices, begin, end in ranges:
        if prices is None or not len(column):
            continue
        values = prices.to_numpy(dtype=float)
        values = values if growth is None else values * growth
        flat = np.append(values.T.ravel(), np.nan)
        bounds = np.column_stack([column * len(values) + begin, column * len(values) + end]).ravel()
        reached = which.reduceat(flat, np.minimum(bounds, len(flat) - 1))[::2]
        found = which(found, np.where(begin < end, reached, np.nan))
    return found
