"""Trades: round trips from the first fill that opens a holding to the fill that ends it, and what they say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

COLUMNS = (
    "symbol",
    "opened",
    "closed",
    "fills",
    "bought",
    "entry_price",
    "exit_price",
    "cost",
    "pnl",
    "return",
    "open",
)

_TYPES: dict[str, Any] = {
    "symbol": str,
    **dict.fromkeys(("opened", "closed"), "datetime64[us]"),
    "fills": int,
    **dict.fromkeys(("bought", "entry_price", "exit_price", "cost", "pnl", "return"), float),
    "open": bool,
}


def round_trips(orders: pd.DataFrame, *, marks: pd.Series) -> pd.DataFrame:
    """The round trips in a table of filled orders, in the order in which they were opened.

    A trade runs from flat to flat: later buys add to it, partial sales realise part of it. One that is still open is
    valued at the mark, without the cost of selling.

    Args:
        orders: rows in the order of filling, with `symbol`, `session`, `side` ("buy" or "sell"), `qty`, `price` (after
            slippage), `fee` and `slippage` (both in currency).
        marks: last known close per symbol.

    Returns:
        One row per trade: `symbol`; `opened`, `closed` (sessions; NaT while open); `fills`; `bought` (shares);
        `entry_price` and `exit_price` (averages of the fills, after slippage; the mark counts for what is still held);
        `cost` (fees and slippage, in currency); `pnl` (in currency, after costs); `return` (pnl per money spent on
        buying, fees included); `open`.
    """
    trips: list[_Trip] = []
    current: dict[str, _Trip] = {}
    columns = (orders[name].tolist() for name in ("symbol", "session", "side", "qty", "price", "fee", "slippage"))
    for symbol, session, side, qty, price, fee, slippage in zip(*columns, strict=True):
        trip = current.get(symbol)
        if trip is None:
            trip = current[symbol] = _Trip(symbol, session)
            trips.append(trip)
        trip.add(1.0 if side == "buy" else -1.0, qty, price, fee, slippage)
        if trip.flat:
            trip.closed = session
            del current[symbol]
    frame = pd.DataFrame([trip.row(marks) for trip in trips], columns=list(COLUMNS))
    return frame.astype(_TYPES).rename_axis(index="trade")


class _Trip:
    """One round trip while its fills are being read."""

    def __init__(self, symbol: str, opened: dt.datetime) -> None:
        self.symbol = symbol
        self.opened = opened
        self.closed: dt.datetime | None = None
        self.fills = 0
        self.held = self.bought = self.spent = self.received = self.fees = self.slippage = 0.0

    def add(self, sign: float, qty: float, price: float, fee: float, slippage: float) -> None:
        self.fills += 1
        self.held += sign * qty
        if sign > 0:
            self.bought += qty
            self.spent += qty * price
        else:
            self.received += qty * price
        self.fees += fee
        self.slippage += slippage

    @property
    def flat(self) -> bool:
        """Nothing is held; what the subtraction of floats leaves over does not count."""
        return abs(self.held) <= 1e-9 * self.bought

    def row(self, marks: pd.Series) -> tuple[object, ...]:
        held = 0.0 if self.closed is not None else self.held
        out = self.received + (held * float(marks[self.symbol]) if held else 0.0)
        pnl = out - self.spent - self.fees
        return (
            self.symbol,
            self.opened,
            self.closed,
            self.fills,
            self.bought,
            self.spent / self.bought,
            out / self.bought,
            self.fees + self.slippage,
            pnl,
            pnl / (self.spent + self.fees),
            self.closed is None,
        )


def closed_pnl(trades: pd.DataFrame) -> Sequence[float]:
    """Profit or loss of each closed trade, in currency after costs; open trades have not been decided yet."""
    return [float(value) for value in trades.loc[~trades["open"].astype(bool), "pnl"]]


def win_rate(trades: pd.DataFrame) -> float:
    """Share of closed trades with pnl > 0, from 0 to 1. NaN when no trade was closed."""
    pnl = closed_pnl(trades)
    return sum(value > 0 for value in pnl) / len(pnl) if pnl else math.nan


def profit_factor(trades: pd.DataFrame) -> float:
    """Money won by closed winning trades / money lost by closed losing ones. NaN when nothing was lost.

    Counted in money (backtesting.py counts in per cent). Infinity is no number to rank by: "no loss" is undefined.
    """
    pnl = closed_pnl(trades)
    lost = -sum(value for value in pnl if value < 0)
    return sum(value for value in pnl if value > 0) / lost if lost > 0 else math.nan
