"""Fidelity: is live the backtest? A strategy replayed through the local exchange, held against its own backtest.

The replay decides session by session with no more than was known then, sizes as the trading day does, and trades
through a real desk with a journal of its own, at the speed of the machine. The same question is then asked of the
backtest, by the desk's rules and by the default ones.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.answering import answer
from workbench.backtest.costs import Costs
from workbench.backtest.engine import execution_price_for
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.preconditions import check_history
from workbench.backtest.question import config_of, provenance_of, row_of
from workbench.backtest.weights import replayed, weights_of
from workbench.errors import BacktestError
from workbench.exchange import embedded
from workbench.exchange.matching.matching import Rules
from workbench.orchestration.fidelity_fills import FILL_COLUMNS, compared
from workbench.orchestration.fidelity_replay import Played, play
from workbench.run import Run
from workbench.store.code import code_seal
from workbench.study import digest
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.backtest.simulation import Simulation
    from workbench.market.history import History
    from workbench.store.workspace import Workspace
    from workbench.strategy import Strategy

# What the exchange's half of the answer depends on, beside what every backtest depends on.
REPLAYING = (
    "exchange",
    "execution",
    "data",
    "orchestration/fidelity.py",
    "orchestration/fidelity_replay.py",
    "orchestration/fidelity_fills.py",
    "orchestration/stepped_desk.py",
)


def replay_on_exchange(
    strategy: Strategy,
    history: History,
    *,
    workspace: Workspace,
    costs: Costs | None = None,
    rules: FillRules | None = None,
) -> Run:
    """Trade a strategy through a local exchange from `study.start` to `study.end`, and compare with its backtest.

    The exchange is opened on the study's source, with an account of its own, and closed in the end; nothing leaves the
    machine. The orders go the whole way: journal, desk, broker, stream, reconciliation; only the clock is not the
    wall's. The limits of the risk check are not applied: a backtest knows none. An identical question is answered from
    the store.

    Args:
        costs: of the backtests; what the exchange charges (5 basis points of slippage, nothing else) when None. Other
            costs are a difference that the report will find.
        rules: of the backtest that is held against the exchange; when None `FillRules.desk`, with the exchange's limit
            on participation where all bars have volumes. The exchange is always traded with the cushion of these
            rules, in whole shares.

    Returns:
        A Run of kind `fidelity`. Tables:

        - `fills`: one row per session, symbol and side, see `fidelity_fills.compared`; `why` says in words what
          differs, and is `equal` where quantity and price (to the exchange's nine decimals) are the same.
        - `default`: the same against the backtest by the default rules, `FillRules()`.
        - `steps`: final equity of the backtests on the way from the default rules to the desk's, and of the exchange;
          `change` in currency, `change_bp` in basis points of the initial cash.
        - `equity`: `exchange`, `backtest` (by `rules`) and `default`, per session, in currency.

        Summary: `decisions` (sessions with a wish), `fills` of the exchange, `equal_fills`, `different_fills` (of
        either side), `qty_difference` (Σ of absolute shares), `price_difference_bp` (largest, against you is +),
        `equity_difference` at the end (exchange − backtest), `equity_reported` (by the exchange itself),
        `shortfall` and `shortfall_bp` (default backtest − exchange at the end; bp of the initial cash).

    Raises:
        BacktestError: the history is intraday or has corporate actions, which the local exchange does not know; or the
            strategy cannot be replayed.
        ParameterError: a wished symbol has no price: the desk would have stopped there.
        ExchangeUnavailable: the exchange could not be started.
    """
    check_history(history)
    _check(history)
    model = Rules()
    costs = costs or Costs(slippage=float(model.slippage))
    known = history.bars.volume is not None and bool(
        (history.bars.volume.notna() | history.close.isna()).to_numpy().all()
    )
    asked = rules or FillRules.desk(max_participation=float(model.participation) if known else None)
    where = execution_price_for(history.bars, asked.execution_price)
    asked = dataclasses.replace(asked, execution_price=where)
    config = config_of(
        history,
        costs=costs,
        rules=asked,
        strategy={
            "name": strategy.name,
            "hash": strategy.hash,
            "code": strategy.code_hash(),
            "params": strategy.params,
        },
        exchange={
            "slippage": str(model.slippage),
            "participation": str(model.participation),
            "code": code_seal(*REPLAYING),
        },
    )
    provenance = provenance_of(history)

    def compute(identifier: str) -> Run:
        weights = weights_of(strategy, history)
        mine = replayed(weights, history, costs=costs, rules=asked)
        steps = _steps(weights, history, costs=costs, rules=asked)
        with _exchange(history) as url:
            played = play(strategy, history, url=url, account=f"fidelity-{identifier}", cushion=asked.cushion)
        return Run(
            id=identifier,
            kind="fidelity",
            study=history.study,
            title=strategy.line,
            label=history.label,
            config=config,
            config_hash=digest(config),
            **_told(played, mine, steps, weights, history),
            provenance=provenance | {"engine": mine.engine},
            trace_id=trace_id(),
        )

    return answer(workspace, row_of("fidelity", history, config, provenance), compute, title=strategy.line)


def _check(history: History) -> None:
    lacking = "intraday bars" if history.intraday else "corporate actions" if history.actions else ""
    if lacking:
        raise BacktestError(
            f"this history has {lacking}, which the local exchange does not replay; nothing was traded.",
            remedy="ask for adjusted daily bars.",
        )


@contextlib.contextmanager
def _exchange(history: History) -> Iterator[str]:
    """An exchange on the study's source for this one replay; its ledger goes with it."""
    with tempfile.TemporaryDirectory(prefix="workbench-fidelity-") as folder:
        study = history.study
        try:
            yield embedded.ensure(Path(folder), source=study.source, seed=study.seed, exit_with_parent=True).url
        finally:
            embedded.stop(Path(folder))


def _steps(weights: pd.DataFrame, history: History, *, costs: Costs, rules: FillRules) -> dict[str, Simulation]:
    """Backtests from the default rules to those asked for, one change after the other."""
    default = FillRules(execution_price=rules.execution_price)
    ways = {"default rules": default}
    if rules.cushion:
        ways["with a cushion"] = dataclasses.replace(default, cushion=rules.cushion)
    if rules.lot:
        ways["in whole lots"] = dataclasses.replace(default, cushion=rules.cushion, lot=rules.lot)
    ways["sized at the decision" if rules.sized_at == "decision" else "rules asked for"] = rules
    return {name: replayed(weights, history, costs=costs, rules=way) for name, way in ways.items()}


def _told(
    played: Played,
    mine: Simulation,
    steps: dict[str, Simulation],
    weights: pd.DataFrame,
    history: History,
) -> dict[str, Any]:
    """Tables and summary."""
    cash = history.study.initial_cash
    default = steps["default rules"]
    fills = compared(played, mine, weights)
    against = compared(played, default, weights)
    equity = pd.DataFrame(
        {"exchange": equity_of(played, history), "backtest": mine.equity, "default": default.equity}
    ).rename_axis("session")
    last = equity.iloc[-1]
    equal = fills["why"] == "equal"
    return {
        "summary": {
            "decisions": float(len(played.wishes)),
            "fills": float((fills["qty_exchange"] > 0.0).sum()),
            "equal_fills": float(equal.sum()),
            "different_fills": float((~equal).sum()),
            "qty_difference": float(fills["qty_difference"].abs().sum()),
            "price_difference_bp": _largest(fills["price_difference_bp"]),
            "equity_difference": float(last["exchange"] - last["backtest"]),
            "equity_reported": None if played.reported is None else float(played.reported),
            "shortfall": float(last["default"] - last["exchange"]),
            "shortfall_bp": float((last["default"] - last["exchange"]) / cash * 1e4),
        },
        "tables": {
            "fills": fills[list(FILL_COLUMNS)],
            "default": against[list(FILL_COLUMNS)],
            "steps": _ladder(steps, float(last["exchange"]), cash),
            "equity": equity,
        },
    }


def equity_of(played: Played, history: History) -> pd.Series:
    """Book value at each close from the exchange's fills alone: cash plus holdings at the newest known close."""
    index = history.evaluated
    columns = {symbol: column for column, symbol in enumerate(history.symbols)}
    paid, held = np.zeros(len(index)), np.zeros((len(index), len(columns)))
    for fill in played.fills:
        signed = fill.side.sign * fill.qty
        row = index.get_loc(fill.session)
        paid[row] -= float(signed * fill.price)
        held[row, columns[fill.symbol]] += float(signed)
    closes = history.close.ffill().loc[index].fillna(0.0).to_numpy(dtype=float)
    worth = (held.cumsum(axis=0) * closes).sum(axis=1)
    return pd.Series(history.study.initial_cash + paid.cumsum() + worth, index=index, name="exchange")


def _ladder(steps: dict[str, Simulation], exchange: float, cash: float) -> pd.DataFrame:
    final = pd.Series({name: float(done.equity.iloc[-1]) for name, done in steps.items()} | {"exchange": exchange})
    frame = final.rename("final_equity").to_frame().rename_axis("step")
    frame["change"] = frame["final_equity"].diff()
    frame["change_bp"] = frame["change"] / cash * 1e4
    return frame


def _largest(values: pd.Series) -> float | None:
    known = values.dropna()
    return None if known.empty else float(known.iloc[int(known.abs().to_numpy().argmax())])
