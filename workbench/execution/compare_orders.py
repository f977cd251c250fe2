"""Comparing orders and fills with the broker's: facts are applied, and what they changed is a discrepancy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.execution.adopt import adopt
from workbench.execution.apply import Applied, Flag, apply_fill, apply_order, find
from workbench.execution.bookings import booked_qty
from workbench.execution.discrepancy import Discrepancy
from workbench.execution.halts import halt
from workbench.market.order import IntentState
from workbench.store.tables.execution import DiscrepancyRow, FillRow, IntentRow
from workbench.trace import tracing

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy.orm import Session

    from workbench.execution.broker import BrokerOrder
    from workbench.execution.intent import Intent
    from workbench.market.order import Fill

_HALTING = frozenset({Flag.COLLISION, Flag.OVERFILLED, Flag.SHRUNK, Flag.LIVE_AFTER_END, Flag.BUSTED})


def compare_orders(
    session: Session,
    account: str,
    theirs: Sequence[BrokerOrder],
    *,
    at: dt.datetime,
    first: bool,
    not_there: Sequence[Intent] = (),
) -> list[Discrepancy]:
    """Apply the broker's orders in the open transaction; what that changed here, and what is foreign, in their order.

    Args:
        at: wall clock, for what we write down ourselves.
        first: whether the account is compared for the first time: foreign orders that are over are not reported then.
        not_there: intents that may be live and that the broker does not have.
    """
    found: list[Discrepancy] = []
    reported = set(
        session.scalars(
            select(DiscrepancyRow.subject).where(
                DiscrepancyRow.account == account, DiscrepancyRow.kind == "foreign_order"
            )
        )
    )
    for order in theirs:
        row = find(session, account, order.id, order.client_order_id)
        if row is None and (row := adopt(session, account, order)) is not None:
            detail = f"{order.client_order_id} is ours and was not in the journal; it was written down as it is there."
            found.append(
                Discrepancy("order_missing_here", order.client_order_id, None, _theirs(order), "inserted", detail)
            )
        if row is not None:
            found += _order(session, account, row, order, at=at)
        elif order.id not in reported and (order.is_open or not first):
            detail = f"{order.status} order for {order.qty} {order.symbol} was not placed by us; it is left alone."
            found.append(Discrepancy("foreign_order", order.id, None, _theirs(order), "reported", detail))
    for intent in not_there:
        found += _missing_there(session, intent)
    return found


def compare_fills(session: Session, account: str, theirs: Sequence[Fill], *, at: dt.datetime) -> list[Discrepancy]:
    """Book the activities that are not booked yet, in the open transaction; each that was missing is a discrepancy."""
    known = set(
        session.scalars(select(FillRow.activity_id).where(FillRow.account == account, FillRow.activity_id.is_not(None)))
    )
    found: list[Discrepancy] = []
    for fill in theirs:
        if fill.execution_id not in known:
            found += _fill(session, account, fill, at=at)
    return found


def _order(session: Session, account: str, row: IntentRow, order: BrokerOrder, *, at: dt.datetime) -> list[Discrepancy]:
    before = _ours(row)
    with tracing(row.trace_id):
        applied = apply_order(session, account, order, at=at)
    after = _ours(row)
    found = _flags(applied, order.client_order_id, before, _theirs(order)) if applied.changed else []
    if after == before or Flag.COLLISION in applied.flags:
        return found
    ended = IntentState(row.state).is_end
    action = "cancelling" if before["state"] == IntentState.UNKNOWN_EXPIRED and not ended else "updated"
    here = f"{before['state']} with {before['filled_qty']} filled"
    detail = f"{order.client_order_id} was {here} here; the broker says {order.status} with {order.filled_qty} filled."
    kind, action = ("order_closed", "closed") if ended and before["state"] != row.state else ("order_state", action)
    return [*found, Discrepancy(kind, order.client_order_id, before, _theirs(order), action, detail)]


def _fill(session: Session, account: str, fill: Fill, *, at: dt.datetime) -> list[Discrepancy]:
    row = find(session, account, fill.broker_order_id, fill.client_order_id)
    if row is None:
        return []  # its order is foreign, and reported as that
    before = booked_qty(session, row)[0]
    with tracing(row.trace_id):
        applied = apply_fill(session, account, fill, source="activities", at=at)
    theirs = {"qty": str(fill.qty), "price": str(fill.price), "execution_id": fill.execution_id}
    found = _flags(applied, row.client_order_id, {"booked": str(before)}, theirs)
    if booked_qty(session, row)[0] != before:
        detail = f"{fill.side.value} {fill.qty} {fill.symbol} at {fill.price} had not reached us; it was booked."
        found.append(Discrepancy("fill_missing_here", fill.execution_id[:96], None, theirs, "inserted", detail))
    return found


def _missing_there(session: Session, intent: Intent) -> list[Discrepancy]:
    """The broker lacks an order that it had acknowledged. What was never acknowledged is the submitter's business."""
    if intent.state not in {IntentState.ACKED, IntentState.PARTIALLY_FILLED}:
        return []
    why = f"{intent.client_order_id} was acknowledged as {intent.broker_order_id} and the broker does not have it"
    with tracing(intent.trace_id):
        new = halt(session, intent.account, intent.symbol, reason=why)
    if not new:
        return []
    ours = {"state": intent.state.value, "broker_order_id": intent.broker_order_id}
    detail = f"{why}; {intent.symbol} is halted until a person clears it."
    return [Discrepancy("order_missing_there", intent.client_order_id, ours, None, "halted", detail)]


def _flags(
    applied: Applied, subject: str, ours: dict[str, Any] | None, theirs: dict[str, Any] | None
) -> list[Discrepancy]:
    return [
        Discrepancy(
            flag.value,
            subject,
            ours,
            theirs,
            "halted" if flag in _HALTING else "reported",
            f"{subject}: {flag.value.replace('_', ' ')}.",
        )
        for flag in applied.flags
        if flag is not Flag.REPLACED
    ]


def _ours(row: IntentRow) -> dict[str, Any]:
    return {
        "state": row.state,
        "filled_qty": str(row.filled_qty),
        "avg_price": None if row.avg_price is None else str(row.avg_price),
        "broker_order_id": row.broker_order_id,
    }


def _theirs(order: BrokerOrder) -> dict[str, Any]:
    return {
        "status": order.status,
        "filled_qty": str(order.filled_qty),
        "avg_price": None if order.avg_price is None else str(order.avg_price),
        "broker_order_id": order.id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": None if order.side is None else order.side.value,
        "qty": None if order.qty is None else str(order.qty),
    }
