"""Accounting: from what an engine filled and paid to the frames of a Simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest.simulation import FINANCING_COLUMNS, ORDER_COLUMNS, Simulation
from workbench.backtest.trades import round_trips, words

if TYPE_CHECKING:
    from workbench.backtest.booked import Booked, Fills
    from workbench.market.bars import Bars


def told(booked: Booked, bars: Bars, *, execution_price: str, engine: str, initial_cash: float) -> Simulation:
    """The frames of what was booked. Holdings are marked at the close, at the last known one where there is none."""
    index = pd.DatetimeIndex(bars.sessions.rename("session"))
    marks = filled_forward(bars.close.to_numpy(dtype=float), booked.growth)
    # Summed symbol by symbol, so that a symbol that is never held changes no digit.
    each = np.where(booked.positions != 0.0, booked.positions * marks, 0.0).T
    holdings, absolute = np.add.reduce(each, axis=0), np.add.reduce(np.abs(each), axis=0)
    equity = booked.cash + holdings
    before = np.concatenate([[initial_cash], equity[1:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.where(before > 0.0, equity[1:] / before - 1.0, np.nan)
        exposure, gross = (np.where(absolute != 0.0, value / equity, 0.0) for value in (holdings, absolute))
    financing = np.zeros((len(index), len(FINANCING_COLUMNS)))
    np.add.at(financing, (booked.flows.row, booked.flows.kind), booked.flows.amount)
    return Simulation(
        equity=pd.Series(equity, index=index, name="equity"),
        returns=pd.Series(returns, index=index[1:], name="return"),
        orders=_orders(booked.fills, index, bars.symbols),
        trades=round_trips(booked, bars, marks=marks, at_open=execution_price == "next_open"),
        positions=pd.DataFrame(booked.positions, index=index, columns=bars.close.columns),
        cash=pd.Series(booked.cash, index=index, name="cash"),
        exposure=pd.Series(exposure, index=index, name="exposure"),
        gross=pd.Series(gross, index=index, name="gross"),
        execution_price=execution_price,
        engine=engine,
        financing=pd.DataFrame(financing, index=index, columns=list(FINANCING_COLUMNS)),
        ruined=None if booked.ruined is None else index[booked.ruined],
    )


def filled_forward(values: np.ndarray, growth: np.ndarray | None = None) -> np.ndarray:
    """Each value, or the last one known before it; per share of the later bar, where shares were split in between."""
    known = ~np.isnan(values)
    if known.all():
        return values
    newest = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], 0), axis=0)
    if growth is None:
        return np.take_along_axis(values, newest, axis=0)
    return np.where(known, values, np.take_along_axis(values * growth, newest, axis=0) / growth)


def _orders(fills: Fills, index: pd.DatetimeIndex, symbols: tuple[str, ...]) -> pd.DataFrame:
    qty = np.abs(fills.signed)
    columns = {
        "symbol": words(symbols, fills.column),
        "decided": index[fills.decided],
        "session": index[fills.row],
        "side": words(("sell", "buy"), (fills.signed > 0).astype(np.int64)),
        "qty": qty,
        "price": fills.price,
        "reference_price": fills.reference,
        "value": qty * fills.price,
        "fee": fills.fee,
        "slippage": fills.slippage,
        "spread": fills.spread,
        "impact": fills.impact,
        "held": fills.held,
        "reason": words(("wish", "ruin"), fills.ruin.astype(np.int64)),
    }
    return pd.DataFrame(columns, columns=list(ORDER_COLUMNS)).rename_axis(index="order")
