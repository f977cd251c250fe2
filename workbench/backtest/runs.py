"""Running a backtest: the question is hashed, an identical one is answered from the store, a new one is computed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.backtest import ledger
from workbench.backtest.answering import answer
from workbench.backtest.audit.future import require_causal
from workbench.backtest.comparison import best, compare
from workbench.backtest.costs import Costs
from workbench.backtest.engine import execution_price_for
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.luck import monte_carlo, trials
from workbench.backtest.luck.table import luck_of_run
from workbench.backtest.preconditions import check_history
from workbench.backtest.question import config_of, provenance_of, row_of
from workbench.backtest.summary import summarise
from workbench.backtest.weights import replayed, weights_of
from workbench.run import Run
from workbench.study import digest
from workbench.trace import trace_id

if TYPE_CHECKING:
    from workbench.backtest.simulation import Simulation
    from workbench.market.history import History
    from workbench.store.workspace import Workspace
    from workbench.strategy import Strategy

__all__ = ["best", "compare", "run"]

# The intervals of the headline numbers: share of reshuffled histories inside, and how many are drawn.
LEVEL = 0.95
REPS = 1_000


def run(
    strategy: Strategy,
    history: History,
    *,
    workspace: Workspace,
    costs: Costs | None = None,
    rules: FillRules | None = None,
) -> Run:
    """Backtest one strategy on one history, or find the stored answer to the identical question.

    The question is: study, strategy (name, parameters, source code), costs, fill rules, the rows of data, and the code
    that answers. Two processes asking it at once end with one row and one answer.

    Args:
        costs: what trading takes away; `Costs()` (no fee, 5 basis points) when None.
        rules: when and in which amounts wishes are filled; `FillRules()` when None.

    Returns:
        A Run of kind `backtest`. Tables: `equity` (equity, cash, exposure, gross, return), `drawdown`, `weights`,
        `orders`, `trades`, `positions`, `financing`; `luck` (see `workbench.backtest.luck.table`; trials are counted
        when it is asked, not when it was answered); what the same days and trades could have done (`shuffled_…`,
        `fan_…`). `intervals` holds 95 % bootstrap intervals of the headline numbers. `provenance` names the engine.
        `reused` is True when it comes from the store.

    Raises:
        BarsRefused: the history cannot be replayed; nothing was computed.
        LookAhead: a weight depends on what came later (asked of two moments; the audit asks of more).
        BacktestError: the weights break their contract, or the strategy failed; the row says FAILED with the code.
        DataError: the strategy needs facts that the history does not have.
    """
    check_history(history)
    costs, rules = costs or Costs(), rules or FillRules()
    rules = dataclasses.replace(rules, execution_price=execution_price_for(history.bars, rules.execution_price))
    config = config_of(
        history,
        costs=costs,
        rules=rules,
        strategy={
            "name": strategy.name,
            "hash": strategy.hash,
            "code": strategy.code_hash(),
            "params": strategy.params,
        },
        intervals={"level": LEVEL, "reps": REPS},
    )
    provenance = provenance_of(history)

    def compute(identifier: str) -> Run:
        made = _answer(strategy, history, identifier, costs=costs, rules=rules, config=config, provenance=provenance)
        trials.remember_run(workspace.engine, made)
        known = trials.tried(workspace.engine, ledger.slice_hash(history.study))
        return dataclasses.replace(made, tables=made.tables | _odds(made, known))

    found = answer(workspace, row_of("backtest", history, config, provenance), compute, title=strategy.line)
    if not found.reused:
        return found
    known = trials.tried(workspace.engine, ledger.slice_hash(history.study))
    if known.count == found.table("luck")["value"]["trials"]:
        return found
    return dataclasses.replace(found, tables=found.tables | _odds(found, known))  # more was tried since it was stored


def _answer(
    strategy: Strategy,
    history: History,
    identifier: str,
    *,
    costs: Costs,
    rules: FillRules,
    config: dict[str, Any],
    provenance: dict[str, Any],
) -> Run:
    weights = weights_of(strategy, history)
    require_causal(strategy, history, weights=weights)
    simulation = replayed(weights, history, costs=costs, rules=rules)
    study, equity = history.study, simulation.equity
    falls = equity / equity.cummax() - 1.0
    drawn: dict[str, Any] = {"seed": study.seed, "level": LEVEL, "reps": REPS}
    bounds = monte_carlo.intervals(
        simulation.returns, periods=study.bars_per_year, initial_cash=study.initial_cash, **drawn
    ) | monte_carlo.trade_intervals(simulation.trades, **drawn)
    return Run(
        id=identifier,
        kind="backtest",
        study=study,
        title=strategy.line,
        label=_label(history, simulation),
        config=config,
        config_hash=digest(config),
        summary=(summary := summarise(simulation, periods=study.bars_per_year)),
        intervals={name: bound for name, bound in bounds.items() if name in summary},
        tables={
            "equity": pd.concat(
                [equity, simulation.cash, simulation.exposure, simulation.gross, simulation.returns], axis=1
            ),
            "drawdown": falls.to_frame("drawdown"),
            "weights": weights,
            "orders": simulation.orders,
            "trades": simulation.trades,
            "positions": simulation.positions,
            "financing": simulation.financing,
        },
        provenance=provenance | {"engine": simulation.engine},
        trace_id=trace_id(),
    )


def _label(history: History, simulation: Simulation) -> str:
    """What must be said about the data and the fills, wherever a number of this run stands."""
    said = [history.label]
    if simulation.execution_price == "same_close":
        said.append("FILLED AT THE CLOSE OF THE DECISION, which nobody can do")
    if simulation.ruined is not None:
        said.append(f"RUINED on {simulation.ruined:%Y-%m-%d}")
    return " · ".join(said)


def _odds(run: Run, known: trials.Trials) -> dict[str, pd.DataFrame]:
    """What luck could have to do with it: the honesty table, and what the same days and trades could have done."""
    study = run.study
    luck = luck_of_run(
        run.table("equity")["return"].iloc[1:],
        run.table("trades"),
        trials=known,
        initial_cash=study.initial_cash,
        seed=study.seed,
        periods=study.bars_per_year,
    )
    shuffled = {"returns": luck.returns, "trades": luck.trades}
    drawn = ("max_drawdown", "final", "under_water", "longest")
    frames = {
        f"shuffled_{what}": pd.DataFrame({name: getattr(found, name) for name in drawn}).rename_axis("history")
        for what, found in shuffled.items()
        if found is not None
    }
    fans = {f"fan_{what}": found.fan for what, found in shuffled.items() if found is not None}
    return {"luck": luck.frame} | frames | fans
