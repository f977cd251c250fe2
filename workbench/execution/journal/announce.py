"""Telling others what happened to an order: the domain event of each step and each execution, in its transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from workbench import events
from workbench.market.order import IntentState
from workbench.store.event_log import publish
from workbench.store.tables.execution import IntentRow

if TYPE_CHECKING:
    from decimal import Decimal

    from sqlalchemy.orm import Session

_S = IntentState
_ENDED = frozenset({_S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED, _S.REPLACED, _S.UNKNOWN_EXPIRED})


def announce_step(session: Session, row: IntentRow, to: IntentState, *, note: str) -> None:
    """Publish what a step means to others; most steps on the way to the broker mean nothing to them."""
    if to is _S.ACKED:
        publish(session, events.OrderAcked(**_whose(row), broker_order_id=row.broker_order_id or ""))
    elif to is _S.UNKNOWN:
        publish(session, events.OrderUnknown(**_whose(row), reason=note))
    elif to in _ENDED:
        ended = events.OrderEnded(**_whose(row), state=to.value, filled_qty=row.filled_qty, reason=note or row.note)
        publish(session, ended)
    if to is _S.REPLACED:
        newer = session.scalars(
            select(IntentRow.id)
            .where(IntentRow.replaces_id == row.id, IntentRow.state != _S.REJECTED.value)
            .order_by(IntentRow.generation.desc())
        ).first()
        if newer is not None:
            publish(session, events.OrderReplaced(**_whose(row), by_intent_id=newer))


def announce_fill(session: Session, row: IntentRow, *, qty: Decimal, price: Decimal, execution_id: str) -> None:
    """Publish an execution that was just booked."""
    publish(
        session,
        events.OrderFilled(
            **_whose(row),
            side=row.side,
            qty=qty,
            price=price,
            execution_id=execution_id,
            filled_qty=row.filled_qty,
            complete=row.filled_qty >= row.qty,
        ),
    )


def announce_bust(session: Session, row: IntentRow, *, execution_id: str, reason: str) -> None:
    """Publish that the broker took an execution back."""
    publish(session, events.FillBusted(**_whose(row), execution_id=execution_id, reason=reason))


def announce_refusal(session: Session, row: IntentRow, *, code: str, message: str) -> None:
    """Publish that the broker turned an order down, in its words."""
    publish(
        session,
        events.OrderRefused(
            account=row.account,
            by="broker",
            symbol=row.symbol,
            bot=row.bot,
            code=code,
            message=message,
            intent_id=row.id,
        ),
    )


def _whose(row: IntentRow) -> dict[str, str]:
    return {
        "account": row.account,
        "intent_id": row.id,
        "client_order_id": row.client_order_id,
        "symbol": row.symbol,
        "bot": row.bot,
    }
