"""How the trades went: their length, their order, their best and worst moments, their sides and their ends.

`trades` has one row per round trip: `pnl` (currency, after costs), `open`, `opened` and `closed` (sessions), and where
the engine keeps them `side` ("long" or "short"), `mae` and `mfe` (returns on the entry price), and `exit_reason`
("wish", or what ended the trade instead).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.track import share
from workbench.backtest.metrics.trading import closed, is_open

_COUNT = "plain count"
_NONE = "no closed trade"
_SWEENEY = "Sweeney 1996, Maximum Adverse Excursion"


@kpi(
    "trade",
    unit="sessions",
    better="none",
    formula="mean(sessions from the first fill to the last)",
    source="plain mean",
    undefined=_NONE,
)
def average_holding(trades: pd.DataFrame, equity: pd.Series) -> float:
    """How many sessions a closed trade lasted; 0 within one session. `equity` says which sessions there were."""
    ended = ~is_open(trades)
    if not ended.any():
        return math.nan
    index = equity.index
    first, last = (index.searchsorted(trades[name].array[ended]) for name in ("opened", "closed"))
    return float((last - first).mean())


@kpi(
    "trade",
    unit="trades",
    better="higher",
    formula="the most closed trades in a row with pnl > 0",
    source=_COUNT,
    undefined=_NONE,
)
def winning_streak(trades: pd.DataFrame) -> float:
    """The longest run of winners, in the order in which trades were closed."""
    return _streak(_in_order(trades) > 0)


@kpi(
    "trade",
    unit="trades",
    better="lower",
    formula="the most closed trades in a row with pnl < 0",
    source=_COUNT,
    undefined=_NONE,
    risk=True,
)
def losing_streak(trades: pd.DataFrame) -> float:
    """The longest run of losers, in the order in which trades were closed."""
    return _streak(_in_order(trades) < 0)


@kpi(
    "trade",
    unit="fraction",
    better="higher",
    formula="mean(mae)",
    source=_SWEENEY,
    undefined="no closed trade, or excursions were not kept",
    risk=True,
)
def average_mae(trades: pd.DataFrame) -> float:
    """Maximum adverse excursion: how far a closed trade was under water on average, ≤ 0."""
    return _mean_of(trades, "mae")


@kpi(
    "trade",
    unit="fraction",
    better="higher",
    formula="mean(mfe)",
    source=_SWEENEY,
    undefined="no closed trade, or excursions were not kept",
)
def average_mfe(trades: pd.DataFrame) -> float:
    """Maximum favourable excursion: how far a closed trade was in profit on average, ≥ 0."""
    return _mean_of(trades, "mfe")


@kpi("trade", unit="trades", better="none", formula="#(closed, long)", source=_COUNT, undefined="sides were not kept")
def long_trades(trades: pd.DataFrame) -> float:
    """How many closed trades were long."""
    return float(np.count_nonzero(_side(trades, "long"))) if "side" in trades else math.nan


@kpi("trade", unit="trades", better="none", formula="#(closed, short)", source=_COUNT, undefined="sides were not kept")
def short_trades(trades: pd.DataFrame) -> float:
    """How many closed trades were short."""
    return float(np.count_nonzero(_side(trades, "short"))) if "side" in trades else math.nan


@kpi(
    "trade",
    unit="currency",
    better="higher",
    formula="Σ pnl of closed long trades",
    source="plain sum",
    undefined="no closed long trade, or sides were not kept",
)
def long_pnl(trades: pd.DataFrame) -> float:
    """What the closed long trades brought, after costs."""
    return _pnl_of(trades, "long")


@kpi(
    "trade",
    unit="currency",
    better="higher",
    formula="Σ pnl of closed short trades",
    source="plain sum",
    undefined="no closed short trade, or sides were not kept",
)
def short_pnl(trades: pd.DataFrame) -> float:
    """What the closed short trades brought, after costs."""
    return _pnl_of(trades, "short")


@kpi(
    "trade",
    unit="share of closed trades",
    better="lower",
    formula="#(closed, not by a wish) / #closed",
    source=_COUNT,
    undefined="no closed trade, or reasons were not kept",
    risk=True,
)
def forced_exits(trades: pd.DataFrame) -> float:
    """Share of the closed trades that the strategy did not end: delisting or ruin did."""
    if "exit_reason" not in trades:
        return math.nan
    return share(np.asarray(trades["exit_reason"] != "wish", dtype=bool)[~is_open(trades)])


def exit_reasons(trades: pd.DataFrame) -> pd.Series:
    """How many closed trades ended for which reason, the most frequent first; empty where reasons were not kept."""
    if "exit_reason" not in trades:
        return pd.Series(dtype=int, name="trades")
    return trades["exit_reason"][~is_open(trades)].value_counts().rename("trades")


def _in_order(trades: pd.DataFrame) -> np.ndarray:
    """Profit or loss of the closed trades in the order in which they were closed."""
    ended = trades["closed"].to_numpy()[~is_open(trades)]
    found: np.ndarray = closed(trades, "pnl")[np.argsort(ended, kind="stable")]
    return found


def _streak(hits: np.ndarray) -> float:
    if not len(hits):
        return math.nan
    edges = np.flatnonzero(np.diff(np.concatenate(([False], hits, [False])).astype(np.int8)))
    return float((edges[1::2] - edges[::2]).max(initial=0))


def _mean_of(trades: pd.DataFrame, column: str) -> float:
    if column not in trades:
        return math.nan
    values = closed(trades, column)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan


def _side(trades: pd.DataFrame, side: str) -> np.ndarray:
    found: np.ndarray = np.asarray(trades["side"] == side, dtype=bool) & ~is_open(trades)
    return found


def _pnl_of(trades: pd.DataFrame, side: str) -> float:
    if "side" not in trades:
        return math.nan
    pnl = trades["pnl"].to_numpy(dtype=float)[_side(trades, side)]
    return float(pnl.sum()) if len(pnl) else math.nan
