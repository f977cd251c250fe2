"""Halts: symbols, or a whole account, that must not trade until a person clears them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import ParameterError
from workbench.events import HaltCleared, SymbolHalted
from workbench.execution.risk.limits import ACCOUNT
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.event_log import publish
from workbench.store.schema import new_id, utc_now
from workbench.store.tables.execution import HaltRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session


def halt(session: Session, account: str, symbol: str = ACCOUNT, *, reason: str) -> bool:
    """Halt a symbol (`*`: the account) in the open transaction. True when new; a standing halt stays."""
    if symbol in halted(session, account):
        return False
    row = HaltRow(id=new_id(), account=account, symbol=symbol, reason=reason, trace_id=trace_id())
    session.add(row)
    after = {"account": account, "symbol": symbol, "reason": reason}
    audit.record(session, entity="halt", entity_id=row.id, action="halted", after=after)
    publish(session, SymbolHalted(account=account, symbol=symbol, reason=reason))
    return True


def halted(session: Session, account: str) -> dict[str, str]:
    """The standing halts of an account: symbol (`*`: the account) → reason."""
    rows = session.scalars(select(HaltRow).where(HaltRow.account == account, HaltRow.cleared_at.is_(None)))
    return {row.symbol: row.reason for row in rows}


def standing(engine: Engine, account: str | None = None) -> list[dict[str, Any]]:
    """The standing halts, of all accounts when None, oldest first: rows of account, symbol (`*`: all), reason, since.

    `since` is a UTC moment; `pd.DataFrame(rows)` makes a table of them.
    """
    question = select(HaltRow).where(HaltRow.cleared_at.is_(None)).order_by(HaltRow.since, HaltRow.id)
    if account is not None:
        question = question.where(HaltRow.account == account)
    with transaction(engine) as session:
        return [
            {"account": row.account, "symbol": row.symbol, "reason": row.reason, "since": row.since}
            for row in session.scalars(question)
        ]


def clear(engine: Engine, account: str, symbol: str = ACCOUNT, *, reason: str) -> int:
    """Let a symbol (`*`: the account) trade again; how many halts ended. The reason is stored.

    Raises:
        ParameterError: no reason was given.
    """
    if not reason.strip():
        raise ParameterError(
            "reason is empty; the halt stands.", remedy="say why it is safe to trade again; it is kept in the audit."
        )
    with transaction(engine) as session:
        rows = session.scalars(
            select(HaltRow).where(HaltRow.account == account, HaltRow.symbol == symbol, HaltRow.cleared_at.is_(None))
        ).all()
        for row in rows:
            row.cleared_at, row.cleared_reason = utc_now(), reason
            before = {"account": account, "symbol": symbol, "reason": row.reason}
            audit.record(
                session, entity="halt", entity_id=row.id, action="cleared", before=before, after={"reason": reason}
            )
        if rows:
            publish(session, HaltCleared(account=account, symbol=symbol, reason=reason))
        return len(rows)
