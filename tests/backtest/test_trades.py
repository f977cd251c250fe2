"""Round trips and what they say, by hand. Shorts, splits, delistings and ruin are in `answers/engine`."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from workbench.backtest.booked import Booked, Fills
from workbench.backtest.trades import profit_factor, round_trips, win_rate
from workbench.market.bars import Bars

DAYS = pd.to_datetime(["2015-01-02", "2015-01-05", "2015-01-06", "2015-01-07", "2015-01-08"])
SYMBOLS = ["A", "B"]


def trips(*rows, marks, lost=0.0):
    """Rows of (symbol, row, signed shares, price, fee, held afterwards)."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    number = len(rows)
    none = np.zeros(number)
    fills = Fills(
        row=np.array(columns[1], dtype=np.int64),
        column=np.array([SYMBOLS.index(symbol) for symbol in columns[0]], dtype=np.int64),
        decided=np.zeros(number, dtype=np.int64),
        signed=np.array(columns[2], dtype=float),
        price=np.array(columns[3], dtype=float),
        reference=np.array(columns[3], dtype=float),
        fee=np.array(columns[4], dtype=float),
        slippage=none + lost,
        spread=none,
        impact=none,
        held=np.array(columns[5], dtype=float),
        ruin=np.zeros(number, dtype=bool),
    )
    close = np.array([list(marks)] * len(DAYS), dtype=float)
    booked = Booked(fills, cash=np.zeros(len(DAYS)), positions=np.zeros(close.shape))
    bars = Bars(close=pd.DataFrame(close, index=DAYS, columns=SYMBOLS))
    return round_trips(booked, bars, marks=close, at_open=True)


def test_a_trade_runs_from_flat_to_flat():
    table = trips(
        ("A", 0, 10, 5.0, 1.0, 10),  # 50 + 1
        ("B", 0, 1, 100.0, 0.0, 1),
        ("A", 1, 10, 7.0, 1.0, 20),  # 70 + 1: 20 shares for 120, average 6
        ("A", 2, -5, 8.0, 1.0, 15),  # 40 − 1
        ("A", 3, -15, 10.0, 1.0, 0),  # 150 − 1: 190 for 20 shares, average 9.50
        ("A", 4, 4, 10.0, 0.0, 4),
        marks=[12.5, 90.0],
        lost=0.5,
    )
    assert table["symbol"].tolist() == ["A", "B", "A"]
    assert table["side"].tolist() == ["long"] * 3
    first = table.iloc[0]
    assert (first["opened"], first["closed"], first["fills"], first["bars_held"]) == (DAYS[0], DAYS[3], 4, 3)
    assert (first["bought"], first["entry_price"], first["exit_price"]) == (20, 6.0, 9.5)
    assert first["cost"] == 6.0
    assert first["pnl"] == 190 - 120 - 4
    assert first["return"] == pytest.approx(66 / 124)
    # still open: marked, not sold
    assert table["open"].tolist() == [False, True, True]
    assert table["closed"].isna().tolist() == [False, True, True]
    assert table["pnl"].tolist() == [66.0, -10.0, 10.0]
    assert table["exit_price"].tolist() == [9.5, 90.0, 12.5]
    assert table["exit_reason"].tolist() == ["wish", "", ""]
    # marks of 12.50 all the while against an average of 6, of 90 against 100, of 12.50 against 10
    assert table["mfe"].tolist() == pytest.approx([12.5 / 6 - 1, 0.0, 0.25])
    assert table["mae"].tolist() == pytest.approx([0.0, -0.1, 0.0])


def test_a_fill_through_zero_shares_its_costs_by_quantity():
    table = trips(("A", 0, -10, 5.0, 0.0, -10), ("A", 1, 40, 4.0, 8.0, 30), marks=[6.0, 1.0])
    assert table["side"].tolist() == ["short", "long"]
    assert table["bought"].tolist() == [10, 30]
    assert table["cost"].tolist() == [2.0, 6.0]  # 8 of fee for 40 shares
    assert table["pnl"].tolist() == [10 * (5 - 4) - 2, 30 * (6 - 4) - 6]
    assert table["return"].tolist() == pytest.approx([8 / 52, 54 / 126])
    assert table["opened"].tolist() == [DAYS[0], DAYS[1]]
    assert table["closed"].tolist()[0] == DAYS[1]


def closed(*pnl, still_open=()):
    return pd.DataFrame({"pnl": [*pnl, *still_open], "open": [False] * len(pnl) + [True] * len(still_open)})


def test_rates_count_closed_trades_only():
    table = closed(30.0, -10.0, -5.0, 0.0, still_open=(100.0,))
    assert win_rate(table) == 0.25
    assert profit_factor(table) == 2.0


def test_what_nobody_decided_is_undefined():
    assert math.isnan(win_rate(closed(still_open=(5.0,))))
    assert math.isnan(profit_factor(closed(3.0)))
    assert profit_factor(closed(-3.0)) == 0.0
    empty = trips(marks=[1.0, 1.0])
    assert empty.empty
    assert list(empty.columns) == list(trips(("A", 0, 1, 1.0, 0.0, 1), marks=[1.0, 1.0]).columns)
    assert math.isnan(win_rate(empty))
