"""The one door for a broker's facts: stream events, REST orders and activities, in any order, however often."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from workbench.errors import StoreError
from workbench.execution.bookings import book_fill, booked_qty, bust, last_fill_at
from workbench.execution.broker import BrokerEvent, BrokerOrder
from workbench.execution.halts import halt
from workbench.execution.intent import ask_cancel, differences, step
from workbench.execution.limits import ACCOUNT
from workbench.market.order import Fill, IntentState
from workbench.store.tables.execution import IntentRow

_S = IntentState
_RANK = {
    _S.INTENT: 0,
    _S.SENDING: 1,
    _S.UNKNOWN: 2,
    _S.UNKNOWN_EXPIRED: 2,
    _S.ACKED: 3,
    _S.PARTIALLY_FILLED: 4,
    _S.CANCELED: 5,
    _S.EXPIRED: 5,
    _S.REJECTED: 5,
    _S.FILLED: 6,
}
_ENDS = {
    "filled": _S.FILLED,
    "canceled": _S.CANCELED,
    "expired": _S.EXPIRED,
    "rejected": _S.REJECTED,
    "replaced": _S.CANCELED,
}
_LIVE = frozenset(
    {
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
    }
)


class Flag(enum.StrEnum):
    """What a person, or a reconciliation, should know about an application."""

    UNKNOWN_STATUS = "unknown_status"
    COLLISION = "collision"
    LATE_FILL = "late_fill"
    LIVE_AFTER_END = "live_after_end"
    REPLACED = "replaced"
    OVERFILLED = "overfilled"
    DISAGREES = "disagrees"
    BUSTED = "busted"
    SHRUNK = "shrunk"


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of one fact.

    Attributes:
        intent_id: whose order it is; None for a foreign one, which was not touched.
        changed: whether anything was written; a repeated fact changes nothing.
        missing_qty: shares that the broker calls filled and no booked execution explains yet; read the activities.
    """

    intent_id: str | None
    state: IntentState | None = None
    changed: bool = False
    flags: tuple[Flag, ...] = ()
    missing_qty: Decimal = Decimal(0)

    @property
    def foreign(self) -> bool:
        """Whether the order is not in our journal."""
        return self.intent_id is None


def apply_event(session: Session, account: str, event: BrokerEvent, *, at: dt.datetime) -> Applied:
    """Book one message of the stream: its order, then its fill, then what it takes back."""
    takes_back = event.event in {"trade_bust", "trade_correct"}
    applied = apply_order(session, account, event.order, at=at, may_shrink=takes_back)
    if applied.foreign or Flag.COLLISION in applied.flags:
        return applied
    if takes_back:
        applied = _take_back(session, account, event, applied, at=at)
    if event.fill is not None:
        filled = apply_fill(session, account, event.fill, source="stream", at=at)
        applied = replace(filled, changed=applied.changed or filled.changed, flags=_union(applied.flags, filled.flags))
    return applied


def apply_order(
    session: Session,
    account: str,
    order: BrokerOrder,
    *,
    at: dt.datetime,
    intent_id: str | None = None,
    compare: bool = True,
    may_shrink: bool = False,
) -> Applied:
    """Book an order as the broker describes it, in the open transaction. Only forward: by rank, then by `updated_at`.

    Quantities are not booked here: `filled_qty` is remembered, fills come as executions, `missing_qty` is what lacks.

    Args:
        at: wall clock, for what we write down ourselves.
        intent_id: whose order it is, where that is certain (the reply to our own request) and the caller holds its row.
        compare: whether an order that is seen for the first time must be the one we asked for; if it is not, its id
            collides with ours: the intent is rejected, the account halted, the order not touched.
        may_shrink: whether the filled quantity is known to fall (an execution is being taken back); else a fall halts
            the symbol.
    """
    row = find(session, account, order.id, order.client_order_id, intent_id=intent_id)
    if row is None:
        return Applied(intent_id=None)
    before = _fingerprint(row)
    flags: list[Flag] = []
    if row.broker_order_id is None:
        if compare and (wrong := differences(row, order)):
            return _collision(session, row, order, "; ".join(wrong))
        row.broker_order_id = order.id
        if IntentState(row.state).is_end and order.is_open:
            flags.append(Flag.LIVE_AFTER_END)
            _revive(session, row, at=at)
    elif row.broker_order_id != order.id:
        return _collision(session, row, order, f"the broker knows it as {row.broker_order_id} and as {order.id}")
    if order.status not in _LIVE and order.status not in _ENDS:
        flags.append(Flag.UNKNOWN_STATUS)
    if order.status == "replaced":
        flags.append(Flag.REPLACED)
    flags += _quantities(session, row, order, may_shrink=may_shrink)
    _forward(session, row, order, at=at)
    return _applied(session, row, flags, changed=_fingerprint(row) != before)


def apply_fill(session: Session, account: str, fill: Fill, *, source: str, at: dt.datetime) -> Applied:
    """Book one execution, once, whichever of its names it comes under, in the open transaction.

    Args:
        source: `stream` (named by execution id) or `activities` (named by activity id).

    Raises:
        StoreError: quantity or price is not > 0, or the source is neither.
    """
    if fill.qty <= 0 or fill.price <= 0 or source not in {"stream", "activities"}:
        raise StoreError(
            f"fill {fill.execution_id} from {source!r} has qty={fill.qty}, price={fill.price}; it was not booked.",
            remedy="look at the broker's record of this execution.",
        )
    row = find(session, account, fill.broker_order_id, fill.client_order_id)
    if row is None:
        return Applied(intent_id=None)
    flags: list[Flag] = []
    before = _fingerprint(row)
    if row.broker_order_id is None:
        row.broker_order_id = fill.broker_order_id
    booked, disagrees = book_fill(session, row, fill, source=source)
    if disagrees:
        flags.append(Flag.DISAGREES)
    total, average = booked_qty(session, row)
    known = max(total, fill.cum_qty or Decimal(0))
    if known > row.filled_qty:
        if IntentState(row.state).is_end:
            flags.append(Flag.LATE_FILL)
        row.filled_qty = known
    if total == row.filled_qty and (booked or row.avg_price is None):
        row.avg_price = average
    if total > row.qty:
        flags.append(Flag.OVERFILLED)
        halt(session, account, row.symbol, reason=f"{row.client_order_id} filled {total} of {row.qty} shares asked for")
    _forward_to(session, row, _filled_state(row), at=at)
    return _applied(session, row, flags, changed=booked or _fingerprint(row) != before)


def find(
    session: Session, account: str, broker_order_id: str, client_order_id: str, *, intent_id: str | None = None
) -> IntentRow | None:
    """The intent of a broker's order, locked; None when the order is foreign."""
    if intent_id is not None:
        return session.get(IntentRow, intent_id)  # the caller holds it
    rows = session.scalars(
        select(IntentRow)
        .where(IntentRow.account == account)
        .where(
            or_(
                IntentRow.broker_order_id == broker_order_id,
                IntentRow.client_order_id == client_order_id,
            )
        )
        .with_for_update()
    ).all()
    return next((row for row in rows if row.broker_order_id == broker_order_id), rows[0] if rows else None)


def state_of(order: BrokerOrder) -> IntentState:
    """Our state for a broker's order; a status that we do not know is taken as live, never as an end."""
    if order.status in _ENDS:
        return _ENDS[order.status]
    if order.qty is not None and order.filled_qty >= order.qty > 0:
        return _S.FILLED
    return _S.PARTIALLY_FILLED if order.filled_qty > 0 else _S.ACKED


def _quantities(session: Session, row: IntentRow, order: BrokerOrder, *, may_shrink: bool) -> list[Flag]:
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


def _forward(session: Session, row: IntentRow, order: BrokerOrder, *, at: dt.datetime) -> None:
    if row.broker_updated_at is None or _newer(row, order):
        row.broker_status, row.broker_updated_at = order.status[:32], order.updated_at or row.broker_updated_at
    note = (
        f"status {order.status!r} of the broker is not known here" if order.status not in _LIVE | _ENDS.keys() else ""
    )
    _forward_to(session, row, state_of(order), at=at, note=note)


def _forward_to(session: Session, row: IntentRow, to: IntentState, *, at: dt.datetime, note: str = "") -> None:
    """Step to a later state; an earlier or equally late one is old news. What was given up is cancelled on sight."""
    current = IntentState(row.state)
    if _RANK[to] > _RANK[current]:
        if current is _S.INTENT and to not in {_S.CANCELED, _S.EXPIRED, _S.REJECTED}:
            step(session, row, _S.SENDING, note="the broker has an order that we thought unsent")
        step(session, row, to, note=note)
        if current is _S.UNKNOWN_EXPIRED and not to.is_end:
            ask_cancel(session, row, at=at, note="found after it was given up; cancelled on sight")
    elif note:
        row.note = note


def _revive(session: Session, row: IntentRow, *, at: dt.datetime) -> None:
    """An order is live although we had ended its intent: say so, and take it away again."""
    reason = f"{row.client_order_id} is live at the broker although it was {row.state} here"
    if IntentState(row.state) is _S.REJECTED:
        step(session, row, _S.ACKED, note=reason)
        ask_cancel(session, row, at=at, note="live after a refusal; cancelled on sight")
    else:
        halt(session, row.account, row.symbol, reason=reason)


def _collision(session: Session, row: IntentRow, order: BrokerOrder, wrong: str) -> Applied:
    note = f"order {order.id} carries our id {row.client_order_id} but is not ours: {wrong}"
    before = row.state
    if not IntentState(row.state).is_end and row.broker_order_id is None:
        step(session, row, _S.REJECTED, note=note)
    new = halt(session, row.account, ACCOUNT, reason=note)
    return Applied(row.id, IntentState(row.state), new or row.state != before, (Flag.COLLISION,))


def _take_back(session: Session, account: str, event: BrokerEvent, applied: Applied, *, at: dt.datetime) -> Applied:
    """A bust or a correction: the execution is struck out, the symbol halted; its replacement comes as its own fill."""
    row = find(session, account, event.order.id, event.order.client_order_id)
    named = event.corrects or (str(event.raw.get("execution_id") or "") or None)
    if row is None:
        return applied
    struck = bust(session, row, named, at=at)
    if struck:
        row.filled_qty = event.order.filled_qty
    what = f"execution {named}" if struck else "an execution that is not booked here"
    new = halt(
        session, account, row.symbol, reason=f"{row.client_order_id}: the broker took back {what} ({event.event})"
    )
    return _applied(session, row, _union(applied.flags, (Flag.BUSTED,)), changed=applied.changed or struck or new)


def _filled_state(row: IntentRow) -> IntentState:
    return _S.FILLED if row.filled_qty >= row.qty else _S.PARTIALLY_FILLED


def _newer(row: IntentRow, order: BrokerOrder) -> bool:
    return order.updated_at is not None and (row.broker_updated_at is None or order.updated_at > row.broker_updated_at)


def _after_fills(session: Session, row: IntentRow, order: BrokerOrder) -> bool:
    last = last_fill_at(session, row)
    return last is None or (order.updated_at is not None and order.updated_at > last)


def _applied(session: Session, row: IntentRow, flags: list[Flag] | tuple[Flag, ...], *, changed: bool) -> Applied:
    missing = max(row.filled_qty - booked_qty(session, row)[0], Decimal(0)) if row.filled_qty else Decimal(0)
    return Applied(row.id, IntentState(row.state), changed, tuple(dict.fromkeys(flags)), missing)


def _fingerprint(row: IntentRow) -> tuple[object, ...]:
    return row.state, row.filled_qty, row.avg_price, row.broker_order_id, row.broker_status, row.broker_updated_at


def _union(first: tuple[Flag, ...], second: tuple[Flag, ...]) -> tuple[Flag, ...]:
    return tuple(dict.fromkeys((*first, *second)))
