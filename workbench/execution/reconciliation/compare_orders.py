"""Comparing orders and fills with the broker's: facts are applied, and what they changed is a discrepancy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.execution.journal.apply import Applied, Flag, apply_fill, apply_order, find
from workbench.execution.journal.bookings import booked_qty
from workbench.execution.reconciliation.adopt import adopt
from workbench.execution.reconciliation.discrepancy import Discrepancy
from workbench.execution.reconciliation.our_rows import IN_PARTS, Picture, Rows, picture_of
from workbench.execution.risk.halts import halt
from workbench.market.order import IntentState
from workbench.store.tables.execution import DiscrepancyRow, FillRow, IntentRow
from workbench.trace import tracing

if TYPE_CHECKING:
    import datetime as dt
    from decimal import Decimal

    from sqlalchemy.orm import Session

    from workbench.execution.brokers.broker import BrokerOrder
    from workbench.execution.journal.intent import Intent
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

    Our rows are read in a few statements, and only what differs is applied. What hangs on an order of ours is ours.

    Args:
        at: wall clock, for what we write down ourselves.
        first: whether the account is compared for the first time: foreign orders that are over are not reported then.
        not_there: intents that may be live and that the broker does not have.
    """
    found: list[Discrepancy] = []
    nested = {leg.id for order in theirs for leg in order.family[1:]}
    rows = Rows.of(session, account, theirs)
    reported = _reported(session, account)
    # An order before what hangs on it, and what was replaced before what took its place: each knows the next.
    for order in sorted(theirs, key=lambda one: (one.id in nested, one.replaces is not None)):
        row = rows.find(order)
        if row is None and (row := find(session, account, order.id, order.client_order_id)) is None:
            row = adopt(session, account, order)
            if row is not None:
                detail = f"{order.client_order_id} is ours and was not in the journal; it was written down as it is."
                found.append(
                    Discrepancy("order_missing_here", order.client_order_id, None, _theirs(order), "inserted", detail)
                )
        if row is not None:
            found += _order(session, account, row, order, rows, at=at)
        elif order.id not in reported and order.id not in nested and (order.is_open or not first):
            detail = f"{order.status} order for {order.qty} {order.symbol} was not placed by us; it is left alone."
            found.append(Discrepancy("foreign_order", order.id, None, _theirs(order), "reported", detail))
    for intent in not_there:
        found += _missing_there(session, intent)
    return found


def compare_fills(session: Session, account: str, theirs: Sequence[Fill], *, at: dt.datetime) -> list[Discrepancy]:
    """Book the activities that are not booked yet, in the open transaction; each that was missing is a discrepancy."""
    known: set[str] = set()
    names = [fill.execution_id for fill in theirs]
    for start in range(0, len(names), IN_PARTS):
        part = names[start : start + IN_PARTS]
        booked = select(FillRow.activity_id).where(FillRow.account == account, FillRow.activity_id.in_(part))
        known |= {name for name in session.scalars(booked) if name is not None}
    new = [fill for fill in theirs if fill.execution_id not in known]
    rows = Rows.of_ids(session, account, sorted({fill.broker_order_id for fill in new}))
    found: list[Discrepancy] = []
    for fill in new:
        row = rows.by_broker.get(fill.broker_order_id) or find(
            session, account, fill.broker_order_id, fill.client_order_id
        )
        if row is not None:  # else its order is foreign, and reported as that
            found += _fill(session, row, fill, at=at)
    return found


def _reported(session: Session, account: str) -> set[str]:
    """The foreign orders that were reported before: saying it once is enough."""
    question = select(DiscrepancyRow.subject).where(
        DiscrepancyRow.account == account, DiscrepancyRow.kind == "foreign_order"
    )
    return set(session.scalars(question))


def _order(
    session: Session, account: str, row: IntentRow, order: BrokerOrder, rows: Rows, *, at: dt.datetime
) -> list[Discrepancy]:
    if rows.same(order):
        return []
    before, legs = picture_of(row), {leg.id: rows.picture(leg) for leg in order.family[1:]}
    with tracing(row.trace_id):
        applied = apply_order(session, account, order, at=at, intent_id=row.id)
    found = _flags(applied, order.client_order_id, before, _theirs(order)) if applied.changed else []
    if Flag.COLLISION in applied.flags:
        return found
    found += _moved(row, order, before)
    for leg in order.family[1:]:
        its_row = find(session, account, leg.id, leg.client_order_id)
        if its_row is not None and (was := legs[leg.id]) is not None:
            found += _moved(its_row, leg, was)
        elif its_row is not None:
            detail = f"the broker made {leg.type} {leg.side} {leg.qty} {leg.symbol} for {order.client_order_id}."
            found.append(Discrepancy("leg_missing_here", leg.id, None, _theirs(leg), "inserted", detail))
    return found


def _moved(row: IntentRow, order: BrokerOrder, before: Picture) -> list[Discrepancy]:
    """The discrepancy of one order that is not here what it is there."""
    after = picture_of(row)
    if after == before:
        return []
    ended = IntentState(row.state).is_end
    action = "cancelling" if before["state"] == IntentState.UNKNOWN_EXPIRED and not ended else "updated"
    here = f"{before['state']} with {before['filled_qty']} filled"
    detail = f"{row.client_order_id} was {here} here; the broker says {order.status} with {order.filled_qty} filled."
    kind, action = ("order_closed", "closed") if ended and before["state"] != row.state else ("order_state", action)
    return [Discrepancy(kind, row.client_order_id, before, _theirs(order), action, detail)]


def _fill(session: Session, row: IntentRow, fill: Fill, *, at: dt.datetime) -> list[Discrepancy]:
    before = _booked(session, row)
    with tracing(row.trace_id):
        applied = apply_fill(session, row.account, fill, source="activities", at=at, intent_id=row.id)
    theirs = {"qty": str(fill.qty), "price": str(fill.price), "execution_id": fill.execution_id}
    found = _flags(applied, row.client_order_id, {"booked": str(before)}, theirs)
    if _booked(session, row) != before:
        detail = f"{fill.side.value} {fill.qty} {fill.symbol} at {fill.price} had not reached us; it was booked."
        found.append(Discrepancy("fill_missing_here", fill.execution_id[:96], None, theirs, "inserted", detail))
    return found


def _booked(session: Session, row: IntentRow) -> Decimal:
    return booked_qty(session, row)[0] if row.booked_qty is None else row.booked_qty


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
