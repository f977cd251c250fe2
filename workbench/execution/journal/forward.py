"""How a broker's picture of an order moves our intent: status by rank, quantities upwards, sizes as the broker says."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from workbench.execution.brokers.broker import BrokerOrder
from workbench.execution.journal.applied import Flag
from workbench.execution.journal.bookings import last_fill_at
from workbench.execution.journal.transitions import ask_cancel, step
from workbench.execution.risk.halts import halt
from workbench.market.order import IntentState, OrderType
from workbench.store import audit
from workbench.store.tables.execution import IntentRow

_S = IntentState
_ENDS = {
    "filled": _S.FILLED,
    "canceled": _S.CANCELED,
    "expired": _S.EXPIRED,
    "rejected": _S.REJECTED,
    "replaced": _S.REPLACED,
}
LIVE = (
    "new",
    "accepted",
    "pending_new",
    "accepted_for_bidding",
    "partially_filled",
    "done_for_day",
    "pending_cancel",
    "pending_replace",
    "stopped",
    "suspended",
    "calculated",
    "held",
    "pending_review",
)
KNOWN = frozenset({*LIVE, *_ENDS})


def state_of(order: BrokerOrder) -> IntentState:
    """Our state for a broker's order; a status that we do not know is taken as live, never as an end."""
    if order.status == "rejected" and order.filled_qty > 0:
        return _S.CANCELED  # what was filled stands; only the rest was turned down
    if order.status in _ENDS:
        return _ENDS[order.status]
    if order.qty is not None and order.filled_qty >= order.qty > 0:
        return _S.FILLED
    return _S.PARTIALLY_FILLED if order.filled_qty > 0 else _S.ACKED


def quantities(session: Session, row: IntentRow, order: BrokerOrder, *, may_shrink: bool) -> list[Flag]:
    """Remember the broker's cumulative quantity; it only grows, unless the broker took an execution back."""
    if order.filled_qty > row.filled_qty:
        late = IntentState(row.state).is_end
        row.filled_qty, row.avg_price = order.filled_qty, order.avg_price
        return [Flag.LATE_FILL] if late else []
    if order.filled_qty == row.filled_qty:
        row.avg_price = row.avg_price or order.avg_price
        return []
    if may_shrink or not _newer(row, order) or not _after_fills(session, row, order):
        return []  # expected, or an old picture that was overtaken
    reason = f"{row.client_order_id}: the broker's filled quantity fell from {row.filled_qty} to {order.filled_qty}"
    halt(session, row.account, row.symbol, reason=reason)
    return [Flag.SHRUNK]


def forward(session: Session, row: IntentRow, order: BrokerOrder, *, at: dt.datetime) -> None:
    """Take over the broker's status and size where its picture is newer, and step to the state that follows."""
    newer = row.broker_updated_at is None or _newer(row, order)
    if newer and row.parent_id is not None:
        _resized(session, row, order)
    if newer and row.type == OrderType.TRAILING_STOP and order.stop_price is not None:
        row.stop_price = order.stop_price  # where it has trailed to
    if newer:
        row.broker_status, row.broker_updated_at = order.status[:32], order.updated_at or row.broker_updated_at
    note = "" if order.status in KNOWN else f"status {order.status!r} of the broker is not known here"
    forward_to(session, row, state_of(order), at=at, note=note)


def _resized(session: Session, row: IntentRow, order: BrokerOrder) -> None:
    """The broker makes an exit smaller when the other one fills in part, and larger when the entry fills."""
    if order.qty and order.qty != row.qty:
        before, after = {"qty": str(row.qty)}, {"qty": str(order.qty)}
        audit.record(session, entity="intent", entity_id=row.id, action="resized", before=before, after=after)
        row.qty = order.qty


def forward_to(session: Session, row: IntentRow, to: IntentState, *, at: dt.datetime, note: str = "") -> None:
    """Step to a later state; an earlier or equally late one is old news. What was given up is cancelled on sight."""
    current = IntentState(row.state)
    if to is _S.REJECTED and current is _S.PARTIALLY_FILLED:
        to = _S.CANCELED
    if to.rank > current.rank:
        if current is _S.INTENT and to not in {_S.CANCELED, _S.EXPIRED, _S.REJECTED}:
            step(session, row, _S.SENDING, note="the broker has an order that we thought unsent")
        step(session, row, to, note=note)
        if current is _S.UNKNOWN_EXPIRED and not to.is_end:
            ask_cancel(session, row, at=at, note="found after it was given up; cancelled on sight")
    elif note:
        row.note = note


def taken_over(session: Session, row: IntentRow, order: BrokerOrder, *, at: dt.datetime) -> list[Flag]:
    """An order that takes the place of another has what that one left over; together they must not fill too much."""
    if row.replaces_id is None or order.qty is None:
        return []
    older = session.get(IntentRow, row.replaces_id)
    wished = row.qty
    if order.qty != row.qty:
        after = {"qty": str(order.qty), "note": "what the order before it had not filled"}
        audit.record(
            session,
            entity="intent",
            entity_id=row.id,
            action="taken over",
            before={"qty": str(row.qty)},
            after=after,
        )
        row.qty = order.qty
    asked_by_us = row.sent_at is not None
    if older is None or not asked_by_us or order.qty + older.filled_qty <= wished or not order.is_open:
        return []
    note = f"the broker works {order.qty} although {older.filled_qty} of {wished} had filled; it is cancelled on sight"
    row.note = note
    ask_cancel(session, row, at=at, note=note)
    return [Flag.TOO_MUCH]


def revive(session: Session, row: IntentRow, *, at: dt.datetime) -> None:
    """An order is live although we had ended its intent: say so, and take it away again."""
    reason = f"{row.client_order_id} is live at the broker although it was {row.state} here"
    if IntentState(row.state) is _S.REJECTED:
        step(session, row, _S.ACKED, note=reason)
        ask_cancel(session, row, at=at, note="live after a refusal; cancelled on sight")
    else:
        halt(session, row.account, row.symbol, reason=reason)


def filled_state(row: IntentRow) -> IntentState:
    """Where a fill moves an order to: filled in part, or whole."""
    return _S.FILLED if row.filled_qty >= row.qty else _S.PARTIALLY_FILLED


def _newer(row: IntentRow, order: BrokerOrder) -> bool:
    return order.updated_at is not None and (row.broker_updated_at is None or order.updated_at > row.broker_updated_at)


def _after_fills(session: Session, row: IntentRow, order: BrokerOrder) -> bool:
    last = last_fill_at(session, row)
    return last is None or (order.updated_at is not None and order.updated_at > last)
