"""The summary of a replay: the headline numbers of a run, in reading order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.backtest import metrics, trades
from workbench.backtest.luck.significance import psr_of

if TYPE_CHECKING:
    from workbench.backtest.engine import Simulation


def summarise(simulation: Simulation) -> dict[str, float | None]:
    """The headline numbers of a simulation, in reading order; None where one is undefined."""
    returns, equity = simulation.returns, simulation.equity
    found = {
        "total_return": metrics.total_return(returns),
        "cagr": metrics.cagr(returns),
        "annual_volatility": metrics.annual_volatility(returns),
        "sharpe": metrics.sharpe(returns),
        "psr": psr_of(returns),
        "sortino": metrics.sortino(returns),
        "max_drawdown": metrics.max_drawdown(returns),
        "longest_drawdown": metrics.longest_drawdown(returns),
        "calmar": metrics.calmar(returns),
        "ulcer_index": metrics.ulcer_index(returns),
        "var_95": metrics.var_95(returns),
        "cvar_95": metrics.cvar_95(returns),
        "skewness": metrics.skewness(returns),
        "kurtosis": metrics.kurtosis(returns),
        "positive_days": metrics.positive_days(returns),
        "exposure": metrics.exposure(simulation.exposure),
        "turnover": metrics.turnover(simulation.orders, equity=equity),
        "trades": float(len(simulation.trades)),
        "open_trades": float(simulation.trades["open"].sum()),
        "win_rate": trades.win_rate(simulation.trades),
        "profit_factor": trades.profit_factor(simulation.trades),
        "cost": metrics.cost_paid(simulation.orders),
        "final_equity": float(equity.iloc[-1]),
    }
    return {name: value if math.isfinite(value) else None for name, value in found.items()}
