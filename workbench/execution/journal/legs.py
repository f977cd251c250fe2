"""Exits and option legs that the broker makes for an order of ours: each becomes an intent of its own."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from workbench.market.order import IntentState, OrderClass
from workbench.store import audit
from workbench.store.schema import new_id
from workbench.store.tables.execution import IntentRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.brokers.broker import BrokerOrder

TAKE_PROFIT, STOP_LOSS, OPTION_LEG = "take_profit", "stop_loss", "option_leg"
LONGEST_CLIENT_ORDER_ID = 48

# The number `leg` keeps the keys of intents apart: wishes have 0, 1, 2 …, what takes the place of a wish begins at
# 1 000, exits are below zero, and what takes the place of an exit is below −100 000.
_REPLACEMENTS = 1_000
_REPLACED_EXITS = 100_000
_EXITS_EACH = 10


def exit_leg(parent_leg: int, number: int) -> int:
    """The `leg` of an order's n-th exit: below zero, so that no wish can have it."""
    return -(parent_leg * _EXITS_EACH + number + 1)


def replacement_leg(leg: int) -> int:
    """The `leg` of what takes the place of an order; the same again when that is replaced too."""
    if leg >= 0:
        return leg if leg >= _REPLACEMENTS else leg + _REPLACEMENTS
    return leg if leg < -_REPLACED_EXITS else leg - _REPLACED_EXITS


def is_combo(row: IntentRow) -> bool:
    """Whether a row is a multi-leg order, whose fills are those of its legs."""
    return row.order_class == OrderClass.MLEG and row.parent_id is None


def is_wished(leg: int) -> bool:
    """Whether a `leg` is that of a wish: neither an exit nor what takes the place of an order."""
    return 0 <= leg < _REPLACEMENTS


def children(session: Session, row: IntentRow) -> Sequence[IntentRow]:
    """The exits and option legs of an order, those at the broker and those that have ended."""
    return session.scalars(select(IntentRow).where(IntentRow.parent_id == row.id).order_by(IntentRow.leg.desc())).all()


def ensure_legs(session: Session, parent: IntentRow, order: BrokerOrder) -> list[tuple[IntentRow, BrokerOrder]]:
    """The rows of everything that hangs on a broker's order, made where they are missing; the parent's row is locked.

    A new row is UNKNOWN until the caller applies the leg's own picture to it. It has the bot, session and trace of its
    parent, because what it fills belongs to whoever wished the parent.
    """
    legs = [leg for leg in order.legs if leg.id != order.id]
    if not legs:
        return []
    names = [leg.client_order_id for leg in legs if leg.client_order_id]
    found = session.scalars(
        select(IntentRow).where(
            IntentRow.account == parent.account,
            or_(IntentRow.broker_order_id.in_([leg.id for leg in legs]), IntentRow.client_order_id.in_(names)),
        )
    ).all()
    by_broker = {row.broker_order_id: row for row in found}
    by_client = {row.client_order_id: row for row in found}
    taken = {row.leg for row in children(session, parent)}
    pairs: list[tuple[IntentRow, BrokerOrder]] = []
    for leg in legs:
        row = by_broker.get(leg.id) or by_client.get(leg.client_order_id)
        if row is None:
            number = next(n for n in range(len(taken) + 1) if exit_leg(parent.leg, n) not in taken)
            row = _new(session, parent, leg, number)
            taken.add(row.leg)
        pairs.append((row, leg))
    return pairs


def name_of(session: Session, order: BrokerOrder) -> str:
    """The name under which an order that we did not name is stored: its client_order_id, or its id at the broker.

    The second where there is no first, where it is too long, or where another account has an order of that name.
    """
    name = order.client_order_id
    if not 0 < len(name) <= LONGEST_CLIENT_ORDER_ID:
        return order.id
    taken = session.scalars(select(IntentRow.id).where(IntentRow.client_order_id == name)).first()
    return order.id if taken is not None else name


def _new(session: Session, parent: IntentRow, leg: BrokerOrder, number: int) -> IntentRow:
    name = name_of(session, leg)
    row = IntentRow(
        id=new_id(),
        account=parent.account,
        bot=parent.bot,
        session=parent.session,
        symbol=leg.symbol or parent.symbol,
        leg=exit_leg(parent.leg, number),
        generation=parent.generation,
        client_order_id=name,
        side=(leg.side.value if leg.side is not None else parent.side),
        qty=leg.qty or parent.qty,
        type=leg.type[:16] or "market",
        time_in_force=leg.time_in_force[:8] or parent.time_in_force,
        limit_price=leg.limit_price,
        stop_price=leg.stop_price,
        trail_price=leg.trail_price,
        trail_percent=leg.trail_percent,
        order_class=parent.order_class,
        extended_hours=leg.extended_hours,
        position_intent=leg.position_intent,
        parent_id=parent.id,
        role=_role(parent, leg),
        algo_id=parent.algo_id,
        state=IntentState.UNKNOWN.value,
        attempt=1,
        filled_qty=Decimal(0),
        booked_qty=Decimal(0),
        reason=parent.reason,
        note="made by the broker",
        decision_id=parent.decision_id,
        trace_id=parent.trace_id,
    )
    session.add(row)
    session.flush()
    after = {"client_order_id": name, "broker_order_id": leg.id, "parent": parent.id, "role": row.role}
    audit.record(session, entity="intent", entity_id=row.id, action="made by the broker", after=after)
    return row


def _role(parent: IntentRow, leg: BrokerOrder) -> str:
    if parent.order_class == OrderClass.MLEG:
        return OPTION_LEG
    return TAKE_PROFIT if leg.type == "limit" else STOP_LOSS
