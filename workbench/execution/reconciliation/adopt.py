"""Adopting an order of ours that the journal does not know: its id proves who wished it, so it can be written down."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from sqlalchemy import select

from workbench.execution.journal.legs import exit_leg, name_of, replacement_leg
from workbench.execution.journal.replacing import next_generation
from workbench.market.order import IntentState, client_order_id
from workbench.store import audit
from workbench.store.schema import new_id
from workbench.store.tables.execution import IntentRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.brokers.broker import BrokerOrder

_WISHED = range(10)
_EXITS = [exit_leg(leg, number) for leg in _WISHED for number in range(4)]
_LEGS = (*_WISHED, *map(replacement_leg, _WISHED), *map(replacement_leg, _EXITS))
_SHAPE = re.compile(r"wb1-(?P<bot>.+)-(?P<day>\d{8})-[a-z2-7]{16}-g(?P<generation>\d+)")


def adopt(session: Session, account: str, order: BrokerOrder) -> IntentRow | None:
    """Write down an intent for a broker's order, in the open transaction; None when the order cannot be proved ours.

    The proof is that the order's id can be computed from account, bot, session, symbol, leg and generation, or that it
    took the place of an order of ours (the broker or a person replaced that one under a name of theirs). The row is
    UNKNOWN until the caller applies the order to it. This happens when the journal is older than the account, for
    example after it was restored from a copy. Nothing is put into the outbox: the order is at the broker already.
    """
    shape = _SHAPE.fullmatch(order.client_order_id)
    if shape is None:
        return _of_ours_before(session, account, order)
    if order.side is None or order.qty is None:
        return None
    day = dt.datetime.strptime(shape["day"], "%Y%m%d").replace(tzinfo=dt.UTC).date()
    generation = int(shape["generation"])
    # The id holds twelve letters of the bot's name; the whole name must come from the journal.
    names = session.scalars(select(IntentRow.bot).where(IntentRow.account == account).distinct())
    for bot in sorted({shape["bot"], *(name for name in names if name.startswith(shape["bot"]))}):
        for leg in _LEGS:
            named = client_order_id(
                account=account, bot=bot, session=day, symbol=order.symbol, leg=leg, generation=generation
            )
            if named == order.client_order_id:
                return _write(session, account, order, bot=bot, day=day, leg=leg, generation=generation)
    return None


def _of_ours_before(session: Session, account: str, order: BrokerOrder) -> IntentRow | None:
    """What took the place of an order of ours is ours, whoever asked for it: what it fills is booked where that was."""
    if order.replaces is None or order.side is None or not order.qty:
        return None
    older = session.scalars(
        select(IntentRow).where(IntentRow.account == account, IntentRow.broker_order_id == order.replaces)
    ).one_or_none()
    if older is None:
        return None
    leg = replacement_leg(older.leg)
    row = _write(
        session,
        account,
        order,
        bot=older.bot,
        day=dt.date.fromisoformat(older.session),
        leg=leg,
        generation=next_generation(session, older, leg),
        name=name_of(session, order),
    )
    row.replaces_id, row.parent_id, row.role, row.algo_id = older.id, older.parent_id, older.role, older.algo_id
    row.order_class, row.trace_id = older.order_class, older.trace_id
    row.note = f"replaces {older.client_order_id} at the broker; it was not us who asked for it"
    return row


def _write(
    session: Session,
    account: str,
    order: BrokerOrder,
    *,
    bot: str,
    day: dt.date,
    leg: int,
    generation: int,
    name: str = "",
) -> IntentRow:
    assert order.side is not None, "adopt has looked"
    assert order.qty is not None, "adopt has looked"
    row = IntentRow(
        id=new_id(),
        account=account,
        bot=bot,
        session=day.isoformat(),
        symbol=order.symbol,
        leg=leg,
        generation=generation,
        client_order_id=name or order.client_order_id,
        side=order.side.value,
        qty=order.qty,
        type=order.type,
        time_in_force=order.time_in_force,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_price=order.trail_price,
        trail_percent=order.trail_percent,
        order_class=order.order_class[:8],
        extended_hours=order.extended_hours,
        position_intent=order.position_intent,
        state=IntentState.UNKNOWN.value,
        attempt=1,
        note="found at the broker; the journal did not know it",
        trace_id=trace_id(),
    )
    session.add(row)
    session.flush()
    audit.record(
        session,
        entity="intent",
        entity_id=row.id,
        action="adopted",
        after={"client_order_id": row.client_order_id, "broker_order_id": order.id},
    )
    return row
