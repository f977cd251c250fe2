"""One trading day of one bot: from a strategy's wishes to a reconciled book.

1. Which account? The one that already traded this session for this question; else the one that the session before left
   at this session's close; else a new one with fresh cash. A row says so, before anything else happens: `claim`.
2. An exchange answers and the account's desk is ready: its book agrees with the broker's.
3. The strategy's standing wish, reduced where the arena objects, becomes risk-checked intents.
4. The desk takes them to the broker. A replayed market then moves on to the close of the next session.
5. Fills arrive by WebSocket; the book is compared with the broker's once more.
6. Decisions are marked, the answer is stored, the row is closed. From then on the question finds the stored answer.

Killed at any instant, the next call goes on where this one stopped: every step looks before it acts.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench import sessions
from workbench.errors import NoData
from workbench.execution.journal.journal import Journal
from workbench.execution.journal.ledger import Ledger
from workbench.execution.reconciliation.positions import enriched
from workbench.execution.trading import Proposal, propose
from workbench.market.order import IntentState
from workbench.market.rebalance import standing
from workbench.orchestration import desk
from workbench.orchestration.accounts import opened
from workbench.orchestration.trading_sessions import claim, close, continues
from workbench.run import Run
from workbench.study import digest
from workbench.trace import get_logger

if TYPE_CHECKING:
    from workbench.arena.decision import Decision
    from workbench.execution.journal.intent import Intent
    from workbench.execution.reconciliation.discrepancy import Reconciliation
    from workbench.execution.risk.limits import Limits
    from workbench.market.history import History
    from workbench.settings import Settings
    from workbench.store.tables.trading import TradingSessionRow
    from workbench.store.workspace import Workspace
    from workbench.strategy import Strategy


# Orders are sized with the close and filled a session later: this fraction of the book pays for a rise in between, so
# that a book without leverage does not end in debt.
CUSHION = 0.02
ORDER_COLUMNS = (
    "symbol",
    "side",
    "qty",
    "filled",
    "price",
    "reference_price",
    "value",
    "state",
    "reason",
)
POSITION_COLUMNS = (
    "symbol",
    "qty",
    "avg_price",
    "market_price",
    "value",
    "unrealized",
    "realized",
    "bot",
    "source",
    "halted",
)


def trade(
    strategy: Strategy,
    history: History,
    decisions: Sequence[Decision],
    *,
    workspace: Workspace,
    settings: Settings,
    bot: str = "daily",
    limits: Limits | None = None,
    timeout: float = 120.0,
) -> Run:
    """Trade one session and return what came of it; asked again, return the stored answer and place no order.

    Args:
        strategy: whose wish is traded.
        history: up to the session at whose close this is decided.
        decisions: the arena's; they may only take weights away.
        bot: the name under which it trades.
        limits: bounds of the risk check; `Limits()` when None.
        timeout: seconds for each wait.

    Returns:
        A `Run` of kind `trade`. Tables: `orders` (their names in `ids`), `positions`, `reductions` (by the arena),
        `refusals` (by limits), `discrepancies` (of the last reconciliation). Summary: counts, `traded_value`,
        `shortfall` (currency paid above, or received below, the prices that orders were sized with), `equity`, `cash`.

    Raises:
        ExecutionError: the desk or the exchange did not answer; nothing is lost, call again.
    """
    started = time.monotonic()
    study = history.study
    row = claim(workspace, strategy, history, bot=bot, broker=settings.broker)
    if row.status == "CLOSED" and row.run_folder is not None:
        return dataclasses.replace(Run.load(Path(row.run_folder)), reused=True)
    broker = opened(
        workspace,
        settings,
        row.account,
        source=study.source,
        seed=study.seed,
        cash=study.initial_cash,
        at=sessions.closes(study.venue, study.session).to_pydatetime(),
    )
    handle = desk.ensure(
        workspace,
        account=row.account,
        key_id=broker.key_id,
        secret_key=broker.secret_key,
        broker=broker.kind,
        url=broker.url,
        reconcile_seconds=settings.reconcile_seconds,
        exit_with=os.getpid(),
    )
    try:
        weights, reductions = _wished(strategy, history, decisions, joins=not continues(workspace, row))
        view = history.view()
        proposal = propose(
            Journal(workspace.engine, row.account),
            weights,
            bot=bot,
            session=study.session,
            prices=view.prices(),
            limits=limits,
            decisions={decision.symbol: decision.id for decision in decisions},
            as_of=study.as_of.to_pydatetime(),
            priced_at=_priced_at(history),
            cushion=CUSHION,
        )
        handle.settled(proposal.intents, timeout=timeout)
        if broker.replayed:
            _move_on(broker.url, account=row.account, to=sessions.closes(study.venue, row.filled_in))
            handle.settled(proposal.intents, until="ended", timeout=timeout)
        reconciliation = handle.reconciled(timeout=timeout)
    finally:
        if handle.started:
            handle.stop(timeout=timeout)
    mine = {intent.id for intent in proposal.intents}
    intents = [intent for intent in Ledger(workspace.engine, row.account).intents() if intent.id in mine]
    _mark(workspace, decisions, intents, proposal)
    run = _answer(
        strategy,
        history,
        row,
        intents,
        reconciliation,
        refusals=proposal.refusals,
        reductions=reductions,
        workspace=workspace,
        runtime_s=time.monotonic() - started,
    )
    close(workspace, row, run, folder=run.save(workspace.home / "trading" / row.id))
    get_logger(__name__).info("traded", account=row.account, session=row.session, **run.summary)
    return run


def _wished(
    strategy: Strategy, history: History, decisions: Sequence[Decision], *, joins: bool
) -> tuple[dict[str, float], pd.DataFrame]:
    """The weights to trade toward, and what the arena took away.

    A book that joins (its chain did not trade the session before) moves to the wish in force. One that goes on trades
    what the newest row says and what the arena takes away, as the backtest does; a holding that merely drifted is left.
    """
    from workbench.arena.gate import gate

    weights = strategy.target_weights(history)
    gated, reductions = gate(standing(weights), decisions)
    if not joins:
        newest = weights.iloc[-1].dropna()
        named = {str(symbol) for symbol in newest.index} | {str(symbol) for symbol in reductions.index}
        gated = {symbol: weight for symbol, weight in gated.items() if symbol in named}
    return gated, reductions


def _priced_at(history: History) -> dict[str, dt.datetime]:
    """When each symbol's newest price was made: the close of the last session in which it has one."""
    last = {str(symbol): history.close[symbol].last_valid_index() for symbol in history.close.columns}
    known = {symbol: pd.Timestamp(str(day)) for symbol, day in last.items() if day is not None}
    at = {day: sessions.closes(history.study.venue, day).to_pydatetime() for day in set(known.values())}
    return {symbol: at[day] for symbol, day in known.items()}


def _move_on(url: str, *, account: str, to: pd.Timestamp) -> None:
    """Move the account's replay clock, unless an earlier attempt has done so."""
    from workbench.exchange import embedded

    keys = embedded.account(url, name=account)
    if keys is None:
        raise NoData(f"the exchange at {url} does not know account {account!r}.", remedy="is it the right exchange?")
    if keys.clock < to.to_pydatetime():
        embedded.advance(url, name=account, to=to.to_pydatetime())


def _mark(
    workspace: Workspace,
    decisions: Sequence[Decision],
    intents: Sequence[Intent],
    proposal: Proposal,
) -> None:
    """Say of each decision what became of it: executed with a fill, rejected by a limit; else it stays proposed."""
    from workbench.arena.decisions import Status, mark, stored

    filled = {intent.decision_id for intent in intents if intent.filled_qty > 0}
    refused = {refusal["symbol"]: refusal["message"] for refusal in proposal.refusals}
    asked = {decision.id for decision in decisions}
    moments = sorted({decision.as_of for decision in decisions})
    waiting = [one for as_of in moments for one in stored(workspace, as_of=as_of, status=Status.PROPOSED)]
    for decision in waiting:
        if decision.id not in asked:
            continue
        if decision.id in filled:
            mark(workspace, decision.id, Status.EXECUTED, because=f"filled on {proposal.account}")
        elif decision.symbol in refused:
            mark(workspace, decision.id, Status.REJECTED, because=refused[decision.symbol])


def _answer(
    strategy: Strategy,
    history: History,
    row: TradingSessionRow,
    intents: Sequence[Intent],
    reconciliation: Reconciliation,
    *,
    refusals: Sequence[dict[str, Any]],
    reductions: pd.DataFrame,
    workspace: Workspace,
    runtime_s: float,
) -> Run:
    orders = pd.DataFrame(
        [
            {
                "symbol": intent.symbol,
                "side": intent.side.value,
                "qty": float(intent.qty),
                "filled": float(intent.filled_qty),
                "price": _float(intent.avg_price),
                "reference_price": _float(intent.reference_price),
                "value": _float(intent.avg_price) * float(intent.filled_qty),
                "state": intent.state.value,
                "reason": intent.reason,
            }
            for intent in intents
        ],
        columns=list(ORDER_COLUMNS),
    )
    held = enriched(workspace.engine, row.account).reset_index()
    sign = orders["side"].map({"buy": 1.0, "sell": -1.0}).astype(float)
    shortfall = (sign * (orders["price"] - orders["reference_price"]) * orders["filled"]).sum()
    config: dict[str, Any] = {
        "study": history.study.to_dict(),
        "strategy": strategy.line,
        "strategy_hash": strategy.hash,
        "bot": row.bot,
        "chain": row.chain,
        "account": row.account,
        "filled_in": row.filled_in,
    }
    return Run(
        id=row.id,
        kind="trade",
        study=history.study,
        title=f"{row.bot}: {strategy.line}, session {row.session} filled in {row.filled_in}",
        label=history.label,
        config=config,
        config_hash=digest(config),
        summary={
            "orders": float(len(orders)),
            "filled": float(sum(intent.state is IntentState.FILLED for intent in intents)),
            "refused": float(len(refusals)),
            "reduced": float(len(reductions)),
            "discrepancies": float(len(reconciliation.discrepancies)),
            "traded_value": float(orders["value"].sum()),
            "shortfall": float(shortfall),
            "equity": _optional(reconciliation.equity),
            "cash": _optional(reconciliation.cash),
        },
        tables={
            "orders": orders,
            "positions": held.rename(columns={"strategy": "bot"})[list(POSITION_COLUMNS)],
            "reductions": reductions.reset_index().drop(columns="decision"),
            "ids": pd.DataFrame(
                [
                    (intent.symbol, intent.client_order_id, intent.broker_order_id, intent.decision_id)
                    for intent in intents
                ],
                columns=["symbol", "client_order_id", "broker_order_id", "decision_id"],
            ),
            "refusals": pd.DataFrame(list(refusals), columns=["symbol", "side", "qty", "price", "code", "message"]),
            "discrepancies": reconciliation.frame(),
        },
        provenance={"workbench": version("workbench"), "reconciliation": reconciliation.id, **history.provenance},
        trace_id=row.trace_id,
        runtime_s=runtime_s,
    )


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
