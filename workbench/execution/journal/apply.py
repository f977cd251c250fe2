"""The one door for a broker's facts: stream events, REST orders and activities, in any order, however often."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from workbench.errors import StoreError
from workbench.execution.brokers.broker import BrokerEvent, BrokerOrder
from workbench.execution.journal.announce import announce_bust, announce_fill
from workbench.execution.journal.applied import Applied, Flag
from workbench.execution.journal.bookings import Booked, book_fill, bust, missing_qty
from workbench.execution.journal.forward import KNOWN, filled_state, forward, forward_to, quantities, revive, taken_over
from workbench.execution.journal.intent import differences
from workbench.execution.journal.legs import ensure_legs, is_combo
from workbench.execution.journal.transitions import step
from workbench.execution.risk.halts import halt
from workbench.execution.risk.limits import ACCOUNT
from workbench.market.order import Fill, IntentState
from workbench.store.tables.execution import IntentRow

__all__ = ["Applied", "Flag", "apply_event", "apply_fill", "apply_order", "find"]

_S = IntentState


def apply_event(session: Session, account: str, event: BrokerEvent, *, at: dt.datetime) -> Applied:
    """Book one message of the stream: its order, then its fill, then what it takes back."""
    takes_back = event.event in {"trade_bust", "trade_correct"}
    applied = apply_order(session, account, event.order, at=at, may_shrink=takes_back)
    if applied.foreign or Flag.COLLISION in applied.flags:
        return applied
    if takes_back:
        applied = _take_back(session, account, event, applied, at=at)
    if event.fill is not None and applied.books_fills:
        filled = apply_fill(session, account, event.fill, source="stream", at=at)
        missing = max(filled.missing_qty, applied.missing_qty) if event.order.legs else filled.missing_qty
        flags, changed = _union(applied.flags, filled.flags), applied.changed or filled.changed
        applied = replace(filled, changed=changed, flags=flags, missing_qty=missing)
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
        flags += taken_over(session, row, order, at=at)
        if IntentState(row.state).is_end and order.is_open:
            flags.append(Flag.LIVE_AFTER_END)
            revive(session, row, at=at)
    elif row.broker_order_id != order.id:
        return _collision(session, row, order, f"the broker knows it as {row.broker_order_id} and as {order.id}")
    if order.status not in KNOWN:
        flags.append(Flag.UNKNOWN_STATUS)
    if order.status == "replaced":
        flags.append(Flag.REPLACED)
    flags += quantities(session, row, order, may_shrink=may_shrink)
    forward(session, row, order, at=at)
    applied = _applied(session, row, flags, changed=_fingerprint(row) != before)
    return _with_legs(session, account, row, order, applied, at=at) if order.legs else applied


def apply_fill(
    session: Session, account: str, fill: Fill, *, source: str, at: dt.datetime, intent_id: str | None = None
) -> Applied:
    """Book one execution, once, whichever of its names it comes under, in the open transaction.

    Args:
        source: `stream` (named by execution id) or `activities` (named by activity id).
        intent_id: whose order it is, where that is certain and the caller holds its row.

    Raises:
        StoreError: quantity or price is not > 0, or the source is neither.
    """
    if fill.qty <= 0 or fill.price <= 0 or source not in {"stream", "activities"}:
        raise StoreError(
            f"fill {fill.execution_id} from {source!r} has qty={fill.qty}, price={fill.price}; it was not booked.",
            remedy="look at the broker's record of this execution.",
        )
    row = find(session, account, fill.broker_order_id, fill.client_order_id, intent_id=intent_id)
    if row is None:
        return Applied(intent_id=None)
    if is_combo(row):
        return _applied(session, row, [], changed=False)  # its legs have executions of their own
    flags: list[Flag] = []
    before = _fingerprint(row)
    if row.broker_order_id is None:
        row.broker_order_id = fill.broker_order_id
    booked = book_fill(session, row, fill, source=source)
    flags += _remember(session, row, fill, booked)
    for one in booked.new:
        announce_fill(session, row, qty=one.qty, price=one.price, execution_id=one.execution_id)
    forward_to(session, row, filled_state(row), at=at)
    return _applied(session, row, flags, changed=booked.written or _fingerprint(row) != before)


def _remember(session: Session, row: IntentRow, fill: Fill, booked: Booked) -> list[Flag]:
    """What a fill says about its order: how much is filled by now, at what price, and whether that is too much."""
    flags = [Flag.DISAGREES] if booked.disagrees else []
    known = max(booked.total, fill.cum_qty or Decimal(0))
    if known > row.filled_qty:
        if IntentState(row.state).is_end:
            flags.append(Flag.LATE_FILL)
        row.filled_qty = known
    if booked.total == row.filled_qty and (booked.written or row.avg_price is None):
        row.avg_price = booked.average
    if booked.total > row.qty:
        flags.append(Flag.OVERFILLED)
        reason = f"{row.client_order_id} filled {booked.total} of {row.qty} shares asked for"
        halt(session, row.account, row.symbol, reason=reason)
    return flags


def _with_legs(
    session: Session, account: str, row: IntentRow, order: BrokerOrder, applied: Applied, *, at: dt.datetime
) -> Applied:
    """Book what hangs on the order: its exits, its option legs. Each is an intent of its own."""
    for leg_row, leg in ensure_legs(session, row, order):
        of_leg = apply_order(session, account, leg, at=at, intent_id=leg_row.id, compare=False)
        applied = replace(
            applied,
            changed=applied.changed or of_leg.changed,
            flags=_union(applied.flags, of_leg.flags),
            missing_qty=applied.missing_qty + of_leg.missing_qty,
        )
    return applied


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
        announce_bust(session, row, execution_id=named or "", reason=event.event)
    what = f"execution {named}" if struck else "an execution that is not booked here"
    new = halt(
        session, account, row.symbol, reason=f"{row.client_order_id}: the broker took back {what} ({event.event})"
    )
    return _applied(session, row, _union(applied.flags, (Flag.BUSTED,)), changed=applied.changed or struck or new)


def _applied(session: Session, row: IntentRow, flags: list[Flag] | tuple[Flag, ...], *, changed: bool) -> Applied:
    combo = is_combo(row)
    missing = Decimal(0) if combo else missing_qty(session, row)
    return Applied(row.id, IntentState(row.state), changed, tuple(dict.fromkeys(flags)), missing, not combo)


def _fingerprint(row: IntentRow) -> tuple[object, ...]:
    return row.state, row.filled_qty, row.avg_price, row.broker_order_id, row.broker_status, row.broker_updated_at


def _union(first: tuple[Flag, ...], second: tuple[Flag, ...]) -> tuple[Flag, ...]:
    return tuple(dict.fromkeys((*first, *second)))
