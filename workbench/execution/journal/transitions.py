"""How an intent changes: `step`, the only way into another state, and wishing an order away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import StoreError
from workbench.execution.journal.announce import announce_step
from workbench.market.order import STEPS, IntentState
from workbench.store import audit
from workbench.store.tables.execution import IntentRow, OutboxRow

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy.orm import Session


def load(session: Session, intent_id: str) -> IntentRow:
    """The row of an intent, locked until the transaction ends. Raises StoreError when there is none."""
    row = session.scalars(select(IntentRow).where(IntentRow.id == intent_id).with_for_update()).one_or_none()
    if row is None:
        raise StoreError(f"there is no intent {intent_id!r}; nothing was changed.")
    return row


def step(session: Session, row: IntentRow, to: IntentState, *, note: str = "", **facts: Any) -> None:
    """Move an intent to another state, with its audit row and its event, in the open transaction.

    No move when it is there already.

    Raises:
        StoreError: `market.order.STEPS` does not know this step. The transaction must be rolled back.
    """
    current = IntentState(row.state)
    if note:
        row.note = note
    if to is current:
        return
    if to not in STEPS[current]:
        raise StoreError(
            f"intent {row.client_order_id} cannot go from {current} to {to}; nothing was changed.",
            remedy="reconcile the account: something acted on an order that it did not own.",
            intent=row.id,
        )
    row.state = to.value
    after = {"state": to.value, **({"note": note} if note else {}), **facts}
    audit.record(
        session, entity="intent", entity_id=row.id, action=to.value, before={"state": current.value}, after=after
    )
    announce_step(session, row, to, note=note)


def wanted(row: IntentRow, *, now: dt.datetime) -> bool:
    """Whether it may (still) be sent: nobody asked it away, and its deadline has not passed."""
    return row.cancel_asked_at is None and (row.deadline is None or now <= row.deadline)


def ask_cancel(session: Session, row: IntentRow, *, at: dt.datetime, note: str = "") -> None:
    """Wish an order away, in the open transaction; harmless when repeated or when the intent has ended.

    One that was never placed is cancelled here and now. Any other gets a row in the outbox, ahead of all submits. The
    order that takes its place, or may have taken it, is wished away with it.
    """
    for newer in session.scalars(select(IntentRow).where(IntentRow.replaces_id == row.id)):
        ask_cancel(session, newer, at=at, note=note or "the order that it replaces was wished away")
    if IntentState(row.state).is_end:
        return
    asked_before = row.cancel_asked_at is not None
    row.cancel_asked_at = row.cancel_asked_at or at
    work = {out.kind: out for out in session.scalars(select(OutboxRow).where(OutboxRow.intent_id == row.id))}
    if row.state == IntentState.INTENT:
        step(session, row, IntentState.CANCELED, note=note or "cancelled before it was sent")
        for out in work.values():
            out.done_at = out.done_at or at
    elif "cancel" not in work:
        session.add(OutboxRow(account=row.account, intent_id=row.id, kind="cancel", seq=0, tries=0))
    elif work["cancel"].done_at is not None:
        work["cancel"].done_at, work["cancel"].not_before = None, None
    if not asked_before and not IntentState(row.state).is_end:
        audit.record(session, entity="intent", entity_id=row.id, action="cancel asked", after={"note": note})
