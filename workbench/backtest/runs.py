"""Running a backtest: the question is hashed, an identical one is answered from the store, a new one is computed."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest import ledger, metrics, monte_carlo, trades
from workbench.backtest.comparison import best, compare
from workbench.backtest.costs import Costs
from workbench.backtest.engine import Simulation, engine_version, execution_price_for, simulate
from workbench.backtest.significance import psr_of
from workbench.errors import BacktestError, WorkbenchError
from workbench.run import Run
from workbench.store.code import code_seal
from workbench.store.schema import new_id
from workbench.study import digest
from workbench.trace import get_logger, trace_id

if TYPE_CHECKING:
    from workbench.market.history import History
    from workbench.store.workspace import Workspace
    from workbench.strategy import Strategy

__all__ = ["best", "compare", "run"]

# What an answer depends on: changed code answers anew.
ANSWERING = ("backtest", "market", "strategies", "strategy.py", "sessions.py")
# The intervals of the headline numbers: share of reshuffled histories inside, and how many are drawn.
LEVEL = 0.95
REPS = 1_000


def run(
    strategy: Strategy,
    history: History,
    *,
    workspace: Workspace,
    costs: Costs | None = None,
    execution_price: str = "auto",
) -> Run:
    """Backtest one strategy on one history, or find the stored answer to the identical question.

    The question is: study, strategy (name, parameters, source code), costs, where fills happen, the rows of data, and
    the code that answers. Two processes asking it at once end with one row and one answer.

    Args:
        costs: fee and slippage; `Costs()` (no fee, 5 basis points) when None.
        execution_price: `next_open`, `next_close`, or `auto`; see `workbench.backtest.engine.simulate`.

    Returns:
        A Run of kind `backtest` with the tables `equity` (equity, cash, exposure, return), `drawdown`, `weights`,
        `orders`, `trades`, `positions`, and 95 % intervals of total_return, cagr, sharpe and max_drawdown by the
        stationary bootstrap. `reused` is True when it comes from the store.

    Raises:
        BacktestError: the weights break the contract, or the strategy failed; the row says FAILED with the code.
        DataError: the strategy needs facts that the history does not have.
    """
    costs = Costs() if costs is None else costs
    started = time.perf_counter()
    config = _config(strategy, history, costs=costs, execution_price=execution_price_for(history.bars, execution_price))
    provenance = _provenance(history)
    claimed = ledger.claim(
        workspace.engine,
        _row(strategy, history, config, provenance),
        complete=lambda identifier: (workspace.artifacts / identifier / "run.json").exists(),
    )
    folder = workspace.artifacts / claimed.id
    log = get_logger(__name__).bind(run=claimed.id, strategy=strategy.name)
    if not claimed.mine:
        log.info("backtest reused")
        return dataclasses.replace(Run.load(folder), reused=True)
    try:
        answer = _answer(strategy, history, claimed.id, config=config, provenance=provenance, started=started)
        _keep(answer, folder)
    except BaseException as error:
        problem = _explained(error, strategy)
        status = "FAILED" if isinstance(error, Exception) else "CANCELLED"
        ledger.give_up(
            workspace.engine,
            claimed,
            status,
            error_code=problem.code,
            error=str(problem),
            runtime_s=time.perf_counter() - started,
        )
        log.warning("backtest ended", status=status, code=problem.code)
        if isinstance(error, WorkbenchError) or not isinstance(error, Exception):
            raise
        raise problem from error
    ledger.finish(workspace.engine, claimed, summary=answer.summary, artifacts=str(folder), runtime_s=answer.runtime_s)
    log.info("backtest done", seconds=round(answer.runtime_s, 3))
    return answer


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


def fingerprint(history: History) -> str:
    """sha256 of every number in the history, warm-up included: other data are another question."""
    bars = history.bars
    seal = hashlib.sha256("\x1f".join(bars.symbols).encode())
    seal.update(bars.sessions.to_numpy().astype("datetime64[us]").tobytes())
    for name, frame in bars:
        values = np.ascontiguousarray(frame.to_numpy(dtype=float))
        seal.update(name.encode())
        seal.update(np.where(np.isnan(values), np.nan, values).tobytes())
    return seal.hexdigest()


def _config(strategy: Strategy, history: History, *, costs: Costs, execution_price: str) -> dict[str, Any]:
    return {
        "study": history.study.to_dict(),
        "strategy": {"name": strategy.name, "hash": strategy.hash, "params": strategy.params},
        "costs": costs.to_dict(),
        "execution_price": execution_price,
        "intervals": {"level": LEVEL, "reps": REPS},
        "data": fingerprint(history),
        "code": code_seal(*ANSWERING),
        "engine": {"vectorbt": version("vectorbt"), "ta-lib": version("ta-lib")},
    }


def _provenance(history: History) -> dict[str, Any]:
    names = ("workbench", "numpy", "pandas", "ta-lib")
    return {
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in names},
            **engine_version(),
        },
        "machine": f"{platform.node()} · {platform.system()} {platform.machine()} · {os.cpu_count()} cores",
        "data": {**history.provenance, "label": history.label, "synthetic": history.synthetic},
    }


def _row(strategy: Strategy, history: History, config: dict[str, Any], provenance: dict[str, Any]) -> dict[str, Any]:
    study = history.study
    return {
        "config_hash": digest(config),
        "strategy": strategy.name,
        "strategy_hash": strategy.hash,
        "slice_hash": ledger.slice_hash(study),
        "params": strategy.params,
        "study": study.to_dict(),
        "universe": list(history.symbols),
        "timeframe": study.timeframe,
        "start": study.start.date().isoformat(),
        "end": study.end.date().isoformat(),
        "initial_cash": study.initial_cash,
        "costs": config["costs"],
        "execution_price": config["execution_price"],
        "data_source": study.source,
        "provenance": provenance,
    }


def _answer(
    strategy: Strategy,
    history: History,
    identifier: str,
    *,
    config: dict[str, Any],
    provenance: dict[str, Any],
    started: float,
) -> Run:
    evaluated = history.evaluated
    if len(evaluated) < 2:
        raise BacktestError(
            f"{len(evaluated)} session lies between start={history.study.start.date()} and "
            f"end={history.study.end.date()}; a wish needs a next session to be filled in.",
            remedy="use an earlier start.",
        )
    weights = _wishes(strategy, history)
    simulation = simulate(
        weights,
        history.bars.between(evaluated[0], evaluated[-1]),
        costs=Costs(**config["costs"]),
        initial_cash=history.study.initial_cash,
        execution_price=config["execution_price"],
    )
    equity = simulation.equity
    falls = equity / equity.cummax() - 1.0
    return Run(
        id=identifier,
        kind="backtest",
        study=history.study,
        title=strategy.line,
        label=history.label,
        config=config,
        config_hash=digest(config),
        summary=summarise(simulation),
        intervals=monte_carlo.intervals(simulation.returns, seed=history.study.seed, level=LEVEL, reps=REPS),
        tables={
            "equity": pd.concat([equity, simulation.cash, simulation.exposure, simulation.returns], axis=1),
            "drawdown": falls.to_frame("drawdown"),
            "weights": weights,
            "orders": simulation.orders,
            "trades": simulation.trades,
            "positions": simulation.positions,
        },
        provenance=provenance,
        trace_id=trace_id(),
        runtime_s=time.perf_counter() - started,
    )


def _wishes(strategy: Strategy, history: History) -> pd.DataFrame:
    """The weights of the evaluated sessions. Raises BacktestError when they do not fit the history."""
    weights = strategy.target_weights(history)
    if not weights.index.equals(history.sessions) or list(weights.columns) != list(history.symbols):
        raise BacktestError(
            f"{strategy.line} returned weights of shape {weights.shape} for a history of shape {history.close.shape}.",
            remedy="return a frame over all sessions and symbols of the history.",
        )
    early = weights.loc[weights.index < history.study.start]
    if early.notna().to_numpy().any():
        raise BacktestError(
            f"{strategy.line} wished for something in the warm-up, before start={history.study.start.date()}.",
            remedy="leave the rows before study.start NaN.",
        )
    chosen: pd.DataFrame = weights.loc[history.evaluated].rename_axis(index="session", columns="symbol").astype(float)
    return chosen


def _keep(answer: Run, folder: Path) -> None:
    """Write the artifacts beside their place and move them in at once, so that no reader sees half an answer."""
    beside = folder.with_name(f".{folder.name}.{new_id()}")
    try:
        answer.save(beside)
        if folder.exists() and not (folder / "run.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
        try:
            beside.replace(folder)
        except OSError:
            if not (folder / "run.json").exists():  # otherwise the same answer was put there by another process
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _explained(error: BaseException, strategy: Strategy) -> WorkbenchError:
    if isinstance(error, WorkbenchError):
        return error
    return BacktestError(
        f"{strategy.line} stopped with {type(error).__name__}: {error}",
        remedy="repair the strategy; asking again tries again.",
    )
