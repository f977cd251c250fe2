"""Which account trades which session for which bot: one row each, so that nobody trades a session twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from workbench import sessions
from workbench.errors import ExecutionError
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.schema import new_id
from workbench.store.tables.trading import TradingSessionRow
from workbench.study import digest
from workbench.trace import trace_id

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.market.history import History
    from workbench.run import Run
    from workbench.store.workspace import Workspace
    from workbench.strategy import Strategy

_ATTEMPTS = 5  # how often two processes may race for one new row before somebody is told


def claim(workspace: Workspace, strategy: Strategy, history: History, *, bot: str, broker: str) -> TradingSessionRow:
    """The row of this bot, question and session, written now where it is not there yet: it fixes the account.

    On the local exchange the account is the one that the same chain brought to this session, or a new one; a real
    broker has one account.
    """
    study = history.study
    session, chain = study.session.date().isoformat(), chain_of(strategy, history, bot=bot, broker=broker)
    mine = select(TradingSessionRow).where(TradingSessionRow.bot == bot, TradingSessionRow.chain == chain)
    for _ in range(_ATTEMPTS):
        try:
            with transaction(workspace.engine) as opened:
                found = opened.scalars(mine.where(TradingSessionRow.session == session)).one_or_none()
                if found is not None:
                    return found
                before = opened.scalars(
                    mine.where(TradingSessionRow.filled_in == session, TradingSessionRow.status == "CLOSED")
                ).one_or_none()
                fresh = f"{bot[:24]}-{session}-{chain[:8]}" if broker == "local" else broker
                row = TradingSessionRow(
                    id=new_id(),
                    bot=bot,
                    chain=chain,
                    session=session,
                    filled_in=sessions.next_session(study.venue, study.session).date().isoformat(),
                    account=before.account if before is not None else fresh,
                    status="OPEN",
                    trace_id=trace_id(),
                )
                opened.add(row)
                after = {"session": session, "account": row.account, "continues": before is not None}
                audit.record(opened, entity="trading_session", entity_id=row.id, action="opened", after=after)
                opened.flush()
                return row
        except IntegrityError:
            continue  # another process wrote the same row first: read it
    raise ExecutionError(
        f"the trading session {session} of bot {bot!r} could not be claimed; nothing was traded.", remedy="try again."
    )


def continues(workspace: Workspace, row: TradingSessionRow) -> bool:
    """Whether the same chain traded the session before on the same account, and that session is over."""
    before = select(TradingSessionRow.id).where(
        TradingSessionRow.bot == row.bot,
        TradingSessionRow.chain == row.chain,
        TradingSessionRow.account == row.account,
        TradingSessionRow.filled_in == row.session,
        TradingSessionRow.status == "CLOSED",
    )
    with transaction(workspace.engine) as opened:
        return opened.scalars(before).one_or_none() is not None


def close(workspace: Workspace, row: TradingSessionRow, run: Run, *, folder: Path) -> None:
    """Say that the session is over and where its answer lies; closing a closed one changes nothing."""
    with transaction(workspace.engine) as opened:
        stored = opened.get_one(TradingSessionRow, row.id)
        if stored.status == "CLOSED":
            return
        stored.status, stored.run_folder, stored.summary = "CLOSED", str(folder), dict(run.summary)
        after = {"status": "CLOSED", "summary": dict(run.summary)}
        audit.record(
            opened,
            entity="trading_session",
            entity_id=row.id,
            action="closed",
            before={"status": "OPEN"},
            after=after,
        )


def chain_of(strategy: Strategy, history: History, *, bot: str, broker: str) -> str:
    """What makes two sessions parts of one life of the bot: everything in the question but its moment."""
    question = {name: value for name, value in history.study.to_dict().items() if name not in {"as_of", "end"}}
    return digest({"bot": bot, "broker": broker, "strategy": strategy.hash, "study": question})


def traded(workspace: Workspace, *, bot: str = "daily") -> pd.DataFrame:
    """The sessions a bot has traded, newest first: session, filled_in, account, status, and each run's summary."""
    with transaction(workspace.engine) as opened:
        rows = opened.scalars(
            select(TradingSessionRow)
            .where(TradingSessionRow.bot == bot)
            .order_by(TradingSessionRow.session.desc(), TradingSessionRow.created_at.desc())
        ).all()
    return pd.DataFrame(
        [
            {
                "session": row.session,
                "filled_in": row.filled_in,
                "account": row.account,
                "status": row.status,
                **(row.summary or {}),
            }
            for row in rows
        ]
    )
