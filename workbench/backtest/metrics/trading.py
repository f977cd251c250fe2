"""What the trades say: metrics of round trips. Only closed ones have been decided; open ones are counted, not judged.

`trades` has one row per round trip: `pnl` (currency, after costs), `return` (pnl per money put in), `open`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.track import ratio, share

if TYPE_CHECKING:
    import pandas as pd

_COUNT = "plain count"
_NONE = "no closed trade"
_THARP = "Tharp 2008, Definitive Guide to Position Sizing"


@kpi(
    "trade",
    unit="trades",
    better="none",
    formula="#trades",
    source=_COUNT,
    undefined="no table of trades",
    name="trades",
)
def count_trades(trades: pd.DataFrame) -> float:
    """How many round trips were begun, open ones included."""
    return float(len(trades))


@kpi("trade", unit="trades", better="none", formula="#open", source=_COUNT, undefined="no table of trades")
def open_trades(trades: pd.DataFrame) -> float:
    """How many round trips have not ended."""
    return float(np.count_nonzero(is_open(trades)))


@kpi(
    "trade",
    unit="share of closed trades",
    better="higher",
    formula="#(pnl > 0) / #closed",
    source=_COUNT,
    undefined=_NONE,
)
def win_rate(trades: pd.DataFrame) -> float:
    """Share of the closed trades that won, from 0 to 1; vectorbt's `trades.win_rate()` counts open ones too."""
    return share(closed(trades, "pnl") > 0)


@kpi(
    "trade",
    unit="ratio",
    better="higher",
    formula="Σ pnl of winners / |Σ pnl of losers|",
    source="Schwager 1996; backtesting.py counts in per cent instead",
    undefined="no closed trade that lost",
)
def profit_factor(trades: pd.DataFrame) -> float:
    """Money won for money lost. Infinity is no number to rank by: "no loss" is undefined."""
    pnl = closed(trades, "pnl")
    return ratio(float(pnl[pnl > 0].sum()), float(-pnl[pnl < 0].sum()))


@kpi(
    "trade",
    unit="ratio",
    better="higher",
    formula="mean(pnl of winners) / |mean(pnl of losers)|",
    source="Balsara 1992, Money Management Strategies for Futures Traders",
    undefined="no closed trade that won, or none that lost",
)
def payoff_ratio(trades: pd.DataFrame) -> float:
    """What a winner brings for what a loser takes."""
    pnl = closed(trades, "pnl")
    won, lost = pnl[pnl > 0], pnl[pnl < 0]
    return ratio(float(won.mean()), -float(lost.mean())) if len(won) and len(lost) else math.nan


@kpi("trade", unit="currency", better="higher", formula="mean(pnl)", source=_THARP, undefined=_NONE)
def expectancy(trades: pd.DataFrame) -> float:
    """What a closed trade brought on average, after costs."""
    pnl = closed(trades, "pnl")
    return float(pnl.mean()) if len(pnl) else math.nan


@kpi(
    "trade",
    unit="R",
    better="higher",
    formula="mean(pnl) / |mean(pnl of losers)|",
    source=_THARP + " (R = average loss)",
    undefined="no closed trade that lost",
)
def expectancy_r(trades: pd.DataFrame) -> float:
    """What a closed trade brought, in average losses."""
    pnl = closed(trades, "pnl")
    lost = pnl[pnl < 0]
    return ratio(float(pnl.mean()), -float(lost.mean())) if len(lost) else math.nan


@kpi("trade", unit="fraction", better="higher", formula="mean(return)", source="plain mean", undefined=_NONE)
def average_trade(trades: pd.DataFrame) -> float:
    """The mean return of a closed trade on the money put in."""
    found = closed(trades, "return")
    return float(found.mean()) if len(found) else math.nan


@kpi("trade", unit="fraction", better="higher", formula="median(return)", source="plain median", undefined=_NONE)
def median_trade(trades: pd.DataFrame) -> float:
    """The return that half of the closed trades exceed."""
    found = closed(trades, "return")
    return float(np.median(found)) if len(found) else math.nan


@kpi("trade", unit="fraction", better="higher", formula="max(return)", source="plain extreme", undefined=_NONE)
def best_trade(trades: pd.DataFrame) -> float:
    """The highest return of a closed trade."""
    found = closed(trades, "return")
    return float(found.max()) if len(found) else math.nan


@kpi(
    "trade", unit="fraction", better="higher", formula="min(return)", source="plain extreme", undefined=_NONE, risk=True
)
def worst_trade(trades: pd.DataFrame) -> float:
    """The lowest return of a closed trade."""
    found = closed(trades, "return")
    return float(found.min()) if len(found) else math.nan


@kpi(
    "trade",
    unit="ratio",
    better="higher",
    formula="√n · mean(pnl) / sd(pnl), sd over n − 1",
    source=_THARP + "; not capped at n = 100",
    undefined="fewer than two closed trades, or none that differs",
)
def sqn(trades: pd.DataFrame) -> float:
    """System quality number: the t-statistic of the mean trade. Tharp's own cap at 100 trades is not applied."""
    pnl = closed(trades, "pnl")
    if len(pnl) < 2:
        return math.nan
    return ratio(float(pnl.mean()), float(pnl.std(ddof=1))) * math.sqrt(len(pnl))


@kpi(
    "trade",
    unit="fraction",
    better="higher",
    formula="win rate − (1 − win rate) / payoff ratio",
    source="Kelly 1956, for two outcomes",
    undefined="no closed trade that won, or none that lost",
)
def kelly(trades: pd.DataFrame) -> float:
    """The share of the book that a repeated bet of this kind would put at risk; negative means: do not bet."""
    won = win_rate(trades)
    return won - ratio(1.0 - won, payoff_ratio(trades))


def is_open(trades: pd.DataFrame) -> np.ndarray:
    """True for each round trip that has not ended."""
    found: np.ndarray = trades["open"].to_numpy().astype(bool)
    return found


def closed(trades: pd.DataFrame, column: str) -> np.ndarray:
    """A column of the round trips that have ended, as float64."""
    found: np.ndarray = trades[column].to_numpy(dtype=float)[~is_open(trades)]
    return found
