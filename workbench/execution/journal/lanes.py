"""The lanes of the budget of requests in the outbox: cancels have their own, and waiting work is paused, not lost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import update
from sqlalchemy.orm import Session

from workbench.market.order import IntentState
from workbench.store import rate_budget
from workbench.store.tables.execution import IntentRow, OutboxRow

_LOOKED_UP = frozenset({IntentState.UNKNOWN, IntentState.UNKNOWN_EXPIRED})


def take_now(
    opened: Session,
    account: str,
    rows: Sequence[tuple[OutboxRow, IntentRow]],
    *,
    now: dt.datetime,
    per_minute: int | None,
) -> set[str]:
    """Take a request for each cancel and each look-up; the work for which there is none left waits."""
    if per_minute is None:
        return set()
    waiting: set[str] = set()
    refused: dict[str, dt.datetime] = {}
    for out, row in rows:
        lane: rate_budget.Lane = "cancel" if out.kind == "cancel" else "read"
        if (row.broker_order_id is None) if lane == "cancel" else (row.state not in _LOOKED_UP):
            continue  # no request will be made, or `mark_sending` takes it
        if lane not in refused:
            until = rate_budget.take(opened, account, lane=lane, at=now, per_minute=per_minute)
            if until is not None:
                refused[lane] = until
        if lane in refused:
            out.not_before = refused[lane]
            waiting.add(out.id)
    return waiting


def pause(opened: Session, account: str, until: dt.datetime, *, cancels: bool) -> None:
    """Let all open cancels, or everything but cancels, wait until a moment; what waits longer goes on waiting."""
    opened.execute(
        update(OutboxRow)
        .where(OutboxRow.account == account, OutboxRow.done_at.is_(None))
        .where(OutboxRow.kind == "cancel" if cancels else OutboxRow.kind != "cancel")
        .where(OutboxRow.not_before.is_(None) | (OutboxRow.not_before < until))
        .values(not_before=until)
    )
