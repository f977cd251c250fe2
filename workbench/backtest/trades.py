"""Trades: round trips from the first fill that opens a holding to the fill that ends it, and what they say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest.legs import Legs, extreme, financed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.backtest.booked import Booked
    from workbench.market.bars import Bars

EXIT_REASONS = ("", "wish", "ruin", "delisting")


def round_trips(booked: Booked, bars: Bars, *, marks: np.ndarray, at_open: bool) -> pd.DataFrame:
    """The round trips of a book, in the order in which they were opened.

    A trade runs from flat to flat: later fills in its direction add to it, fills against it realise part of it, and a
    fill that crosses zero ends one trade and opens the next (its costs are shared by quantity). One that is still open
    is valued at the last mark, without the cost of getting out. Shares and prices are those of the bar in which the
    trade ended: splits while it was held are counted in.

    Args:
        marks: closes (bar × symbol), the last known one where there is none.
        at_open: wishes are filled at opens, so that the bar of the first fill was held through and the bar of the last
            fill was not; at closes it is the other way round.

    Returns:
        One row per trade: `symbol`; `side` ("long" or "short"); `opened`, `closed` (bars; NaT while open); `fills`;
        `bought` (shares taken in: bought by a long, sold by a short); `entry_price` and `exit_price` (averages of the
        fills, after slippage; the mark counts for what is still held); `cost` (fees, slippage, spread and impact, in
        currency); `financing` (dividends received less those owed, less borrow fees, in currency); `pnl` (in currency,
        after costs and with financing); `return` (pnl / (value of the entries + fees)); `mae` ≤ 0 and `mfe` ≥ 0 (the
        worst and the best price while it was held, as a return on the average entry price: closes, the price of the
        last fill, and highs and lows of the bars through which it was held, where the bars have them); `bars_held`
        (from the opening bar to the closing one, or to the last); `exit_reason` ("wish", "delisting", "ruin", empty
        while open); `open`.
    """
    legs, index = Legs(booked), pd.DatetimeIndex(bars.sessions)
    heads = np.flatnonzero(legs.opens)
    tails = np.append(heads[1:], len(legs.row))[: len(heads)] - 1
    column, opened = legs.column[heads], legs.row[heads]
    direction = np.where(legs.signed[heads] > 0.0, 1.0, -1.0)
    is_open = legs.held[tails] != 0.0
    ended = np.where(is_open, len(marks) - 1, legs.row[tails])
    reason = np.where(is_open, 0, legs.reason[tails])

    def total(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, heads) if len(heads) else np.empty(0)

    inward = legs.signed * np.repeat(direction, np.diff(np.append(heads, len(legs.row)))) > 0.0
    value = np.abs(legs.signed) * legs.price
    came, went, fees = total(np.where(inward, value, 0.0)), total(np.where(inward, 0.0, value)), total(legs.fee)
    # One unit is one share of the first bar; `now` is how many shares it is when the trade ends.
    units = total(np.where(inward, np.abs(legs.signed) / legs.grown, 0.0))
    now = np.ones(len(heads)) if booked.growth is None else booked.growth[ended, column]
    rest = np.where(is_open, np.abs(legs.held[tails]) / legs.grown[tails] * now, 0.0)
    out = went + np.where(is_open, rest * marks[-1, column], 0.0)
    financing = financed(booked.flows, column, opened, bars=len(marks))
    pnl = direction * (out - came) - fees + financing

    through = (opened if at_open else opened + 1, np.where(is_open | (reason > 1) | (not at_open), ended + 1, ended))
    at_close = (opened, np.where(is_open, ended + 1, ended))
    leaving = np.where(is_open, np.nan, legs.price[tails] * legs.grown[tails])
    reached = [
        extreme(which, booked.growth, [(bars.close, *at_close), (edge, *through)], column=column, beside=leaving)
        for which, edge in ((np.fmin, bars.low), (np.fmax, bars.high))
    ]
    with np.errstate(invalid="ignore"):
        low, high = (price / (came / units) - 1.0 for price in reached)
    against, along = np.where(direction > 0.0, low, -high), np.where(direction > 0.0, high, -low)

    order = np.argsort(legs.sequence[heads], kind="stable")
    columns = {
        "symbol": words(bars.symbols, column[order]),
        "side": words(("short", "long"), (direction[order] > 0.0).astype(np.int64)),
        "opened": index[opened[order]],
        "closed": index[ended[order]].where(~is_open[order]),
        "fills": np.diff(np.append(heads, len(legs.row)))[order],
        "bought": (units * now)[order],
        "entry_price": (came / (units * now))[order],
        "exit_price": (out / (units * now))[order],
        "cost": (fees + total(legs.lost))[order],
        "financing": financing[order],
        "pnl": pnl[order],
        "return": (pnl / (came + fees))[order],
        "mae": np.fmin(against, 0.0)[order],
        "mfe": np.fmax(along, 0.0)[order],
        "bars_held": (ended - opened)[order],
        "exit_reason": words(EXIT_REASONS, reason[order]),
        "open": is_open[order],
    }
    return pd.DataFrame(columns).rename_axis(index="trade")


def words(names: tuple[str, ...], which: np.ndarray) -> pd.api.extensions.ExtensionArray:
    """A column of text from a few words and the number of each row's word."""
    column: pd.api.extensions.ExtensionArray = pd.array(list(names), dtype="str").take(which)
    return column


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
