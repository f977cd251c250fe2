"""The summary of a replay: the headline numbers of a run, in reading order, and the table of all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.backtest import metrics
from workbench.backtest.luck.significance import psr_of

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.simulation import Simulation
    from workbench.run import Run


def summarise(simulation: Simulation, *, periods: int = metrics.YEAR) -> dict[str, float | None]:
    """The headline numbers of a simulation, in reading order; None where one is undefined.

    Args:
        periods: sessions (bars) per year, for all that is annualised.
    """
    returns, equity, orders, trades = simulation.returns, simulation.equity, simulation.orders, simulation.trades
    track = metrics.Track.of(returns)
    found = {
        "total_return": metrics.total_return(track),
        "cagr": metrics.cagr(track, periods=periods),
        "annual_volatility": metrics.annual_volatility(track, periods=periods),
        "sharpe": metrics.sharpe(track, periods=periods),
        "psr": psr_of(returns, periods=periods),
        "sortino": metrics.sortino(track, periods=periods),
        "max_drawdown": metrics.max_drawdown(track),
        "longest_drawdown": metrics.longest_drawdown(track),
        "time_under_water": metrics.time_under_water(track),
        "calmar": metrics.calmar(track, periods=periods),
        "ulcer_index": metrics.ulcer_index(track),
        "var_95": metrics.var_95(track),
        "cvar_95": metrics.cvar_95(track),
        "skewness": metrics.skewness(track),
        "kurtosis": metrics.kurtosis(track),
        "positive_days": metrics.positive_days(track),
        "worst_month": metrics.worst_month(track),
        "exposure": metrics.exposure(simulation.exposure),
        "turnover": metrics.turnover(orders, equity=equity, periods=periods),
        "trades": metrics.count_trades(trades),
        "open_trades": metrics.open_trades(trades),
        "win_rate": metrics.win_rate(trades),
        "profit_factor": metrics.profit_factor(trades),
        "payoff_ratio": metrics.payoff_ratio(trades),
        "expectancy": metrics.expectancy(trades),
        "cost": metrics.cost_paid(orders, simulation.financing),
        "breakeven_cost": metrics.breakeven_cost(equity, orders, simulation.financing),
        "final_equity": float(equity.iloc[-1]),
    }
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def kpi_table(run: Run, *, benchmark: Run | None = None, periods: int = metrics.YEAR) -> pd.DataFrame:
    """Every metric of a backtest, with its definition.

    Args:
        run: with a table `equity` (columns equity, return and, where known, exposure and gross); the tables `orders`,
            `trades` and `financing` are used where they are.
        benchmark: a run to be measured against; without it the metrics of that group are NaN.
        periods: sessions (bars) per year.

    Returns:
        One row per metric (index `kpi`): `value` (NaN where undefined), `unit`, `group`, `better`, `formula`, `source`.

    Raises:
        NoData: a run has no equity.
    """
    book = run.table("equity")
    values = metrics.all_kpis(
        book["return"].iloc[1:],
        book["equity"],
        run.tables.get("orders"),
        run.tables.get("trades"),
        book.get("exposure"),
        gross=book.get("gross"),
        benchmark=None if benchmark is None else benchmark.table("equity")["return"].iloc[1:],
        financing=run.tables.get("financing"),
        periods=periods,
    )
    return values[["value"]].join(metrics.definitions()[["unit", "group", "better", "formula", "source"]])
