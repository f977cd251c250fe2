"""Intent: a wished order as the journal holds it, and `step`, the only way in which one changes its state."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from workbench.errors import StoreError
from workbench.execution.broker import BrokerOrder, OrderRequest, limit_on_tick, stop_on_tick
from workbench.market.order import STEPS, IntentState, OrderWish, Side
from workbench.store import audit
from workbench.store.tables.execution import IntentRow, OutboxRow


@dataclass(frozen=True, slots=True)
class Intent:
    """One row of the journal, frozen at the moment of reading. Quantities are shares, prices are per share.

    `filled_qty` is what the broker says is filled; the booked fills may lag behind it until the activities bring them.
    `reason` is why it was wished, `note` what happened to it.
    """

    id: str
    account: str
    bot: str
    session: str
    symbol: str
    leg: int
    generation: int
    client_order_id: str
    side: Side
    qty: Decimal
    type: str
    time_in_force: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    reference_price: Decimal | None
    state: IntentState
    attempt: int
    sent_at: dt.datetime | None
    deadline: dt.datetime | None
    cancel_asked_at: dt.datetime | None
    broker_order_id: str | None
    broker_status: str | None
    broker_updated_at: dt.datetime | None
    filled_qty: Decimal
    avg_price: Decimal | None
    reason: str
    note: str
    decision_id: str | None
    trace_id: str

    @classmethod
    def of(cls, row: IntentRow) -> Intent:
        """The value of a row."""
        values: dict[str, Any] = {name: getattr(row, name) for name in cls.__slots__}
        return cls(**{**values, "side": Side(row.side), "state": IntentState(row.state)})

    @property
    def request(self) -> OrderRequest:
        """What is sent for it; prices are put on the tick."""
        return OrderRequest(
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            qty=self.qty,
            type=self.type,
            time_in_force=self.time_in_force,
            limit_price=limit_on_tick(self.limit_price, self.side),
            stop_price=stop_on_tick(self.stop_price, self.side),
        )


def differences(row: IntentRow, order: BrokerOrder) -> list[str]:
    """In which of symbol, side, quantity and prices an order under our id is not what we asked for; empty if in none.

    Prices count only where we named one: brokers add their own collar to a stop order.
    """
    asked = Intent.of(row).request
    pairs: dict[str, tuple[Any, Any]] = {
        "symbol": (asked.symbol, order.symbol),
        "side": (asked.side, order.side),
        "qty": (asked.qty, order.qty),
    }
    if asked.limit_price is not None:
        pairs["limit_price"] = (asked.limit_price, order.limit_price)
    if asked.stop_price is not None:
        pairs["stop_price"] = (asked.stop_price, order.stop_price)
    return [f"{name}: ours {ours}, theirs {theirs}" for name, (ours, theirs) in pairs.items() if ours != theirs]


def differs(row: IntentRow, wish: OrderWish) -> str:
    """In what a wish asks for something else than the intent that has its key; empty when in nothing."""
    pairs: dict[str, tuple[Any, Any]] = {
        "side": (row.side, wish.side.value),
        "qty": (row.qty, wish.qty),
        "type": (row.type, wish.type.value),
        "time_in_force": (row.time_in_force, wish.time_in_force.value),
        "limit_price": (row.limit_price, wish.limit_price),
        "stop_price": (row.stop_price, wish.stop_price),
    }
    return "; ".join(f"{name} {old} stands, {new} was asked" for name, (old, new) in pairs.items() if old != new)


def load(session: Session, intent_id: str) -> IntentRow:
    """The row of an intent, locked until the transaction ends. Raises StoreError when there is none."""
    row = session.scalars(select(IntentRow).where(IntentRow.id == intent_id).with_for_update()).one_or_none()
    if row is None:
        raise StoreError(f"there is no intent {intent_id!r}; nothing was changed.")
    return row


def step(session: Session, row: IntentRow, to: IntentState, *, note: str = "", **facts: Any) -> None:
    """Move an intent to another state, with its audit row, in the open transaction. No move when it is there already.

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


def wanted(row: IntentRow, *, now: dt.datetime) -> bool:
    """Whether it may (still) be sent: nobody asked it away, and its deadline has not passed."""
    return row.cancel_asked_at is None and (row.deadline is None or now <= row.deadline)


def ask_cancel(session: Session, row: IntentRow, *, at: dt.datetime, note: str = "") -> None:
    """Wish an order away, in the open transaction; harmless when repeated or when the intent has ended.

    One that was never placed is cancelled here and now. Any other gets a row in the outbox, ahead of all submits.
    """
    if IntentState(row.state).is_end:
        return
    asked_before = row.cancel_asked_at is not None
    row.cancel_asked_at = row.cancel_asked_at or at
    work = {out.kind: out for out in session.scalars(select(OutboxRow).where(OutboxRow.intent_id == row.id))}
    if row.state == IntentState.INTENT:
        step(session, row, IntentState.CANCELED, note=note or "cancelled before it was sent")
        if "submit" in work:
            work["submit"].done_at = at
    elif "cancel" not in work:
        session.add(OutboxRow(account=row.account, intent_id=row.id, kind="cancel", seq=0, tries=0))
    elif work["cancel"].done_at is not None:
        work["cancel"].done_at, work["cancel"].not_before = None, None
    if not asked_before and not IntentState(row.state).is_end:
        audit.record(session, entity="intent", entity_id=row.id, action="cancel asked", after={"note": note})
