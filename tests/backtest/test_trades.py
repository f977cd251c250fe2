"""Round trips and what they say, by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from workbench.backtest.trades import profit_factor, round_trips, win_rate

DAYS = pd.to_datetime(["2015-01-02", "2015-01-05", "2015-01-06", "2015-01-07", "2015-01-08"])


def orders(*rows):
    names = ["symbol", "session", "side", "qty", "price", "fee", "slippage"]
    return pd.DataFrame([(symbol, DAYS[day], *rest) for symbol, day, *rest in rows], columns=names)


def test_a_trade_runs_from_flat_to_flat():
    table = round_trips(
        orders(
            ("A", 0, "buy", 10, 5.0, 1.0, 0.5),  # 50 + 1
            ("B", 0, "buy", 1, 100.0, 0.0, 0.0),
            ("A", 1, "buy", 10, 7.0, 1.0, 0.5),  # 70 + 1: 20 shares for 120, average 6
            ("A", 2, "sell", 5, 8.0, 1.0, 0.5),  # 40 − 1
            ("A", 3, "sell", 15, 10.0, 1.0, 0.5),  # 150 − 1: 190 for 20 shares, average 9.50
            ("A", 4, "buy", 4, 10.0, 0.0, 0.0),
        ),
        marks=pd.Series({"A": 12.5, "B": 90.0}),
    )
    assert table["symbol"].tolist() == ["A", "B", "A"]
    first = table.iloc[0]
    assert (first["opened"], first["closed"], first["fills"]) == (DAYS[0], DAYS[3], 4)
    assert (first["bought"], first["entry_price"], first["exit_price"]) == (20, 6.0, 9.5)
    assert first["cost"] == 6.0
    assert first["pnl"] == 190 - 120 - 4
    assert first["return"] == pytest.approx(66 / 124)
    # still open: marked, not sold
    assert table["open"].tolist() == [False, True, True]
    assert table["closed"].isna().tolist() == [False, True, True]
    assert table["pnl"].tolist() == [66.0, -10.0, 10.0]
    assert table["exit_price"].tolist() == [9.5, 90.0, 12.5]


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
    empty = round_trips(orders().astype({"qty": float}), marks=pd.Series(dtype=float))
    assert empty.empty
    assert math.isnan(win_rate(empty))
