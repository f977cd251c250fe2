"""Counting after a certificate's row: what was wished, what the exchange has, and what our books say of it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.execution.journal.forward import state_of
from workbench.execution.journal.journal import Journal

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workbench.execution.brokers.broker import Broker, BrokerOrder
    from workbench.execution.journal.intent import Intent

_BEGINNING = dt.datetime(1980, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted on one account, or on several.

    Attributes:
        orders: wishes.
        lost: wishes that have no order at the exchange.
        doubled: orders at the exchange beyond one per wish, under whatever id.
        unresolved: orders of which the journal does not say what the exchange says, and work left in the outbox.
        misbooked: orders whose booked fills are not the exchange's, and symbols whose position is not.
    """

    orders: int = 0
    lost: int = 0
    doubled: int = 0
    unresolved: int = 0
    misbooked: int = 0

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            self.orders + other.orders,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.unresolved + other.unresolved,
            self.misbooked + other.misbooked,
        )


def count(engine: Engine, broker: Broker, *, orders: int) -> Counted:
    """Hold the journal of `broker.name` against the exchange, which is asked for every order it has ever had.

    Args:
        orders: how many wishes there were; the n-th (from 0) is known by its quantity n + 1.
    """
    with contextlib.closing(broker):
        theirs, held = broker.orders_since(_BEGINNING), {row.symbol: row.qty for row in broker.positions() if row.qty}
    journal = Journal(engine, broker.name)
    by_wish = Counter(int(order.qty or 0) for order in theirs)
    by_name = {order.client_order_id: order for order in theirs}
    booked: Counter[str] = Counter()
    for fill in journal.fills():
        booked[fill.broker_order_id] += fill.qty  # type: ignore[assignment]  # shares are Decimal
    intents = {intent.client_order_id: intent for intent in journal.intents()}
    ours = {symbol: position.qty for symbol, position in journal.book().positions.items() if position.qty}
    unresolved = sum(not _agrees(intent, by_name.get(name)) for name, intent in intents.items())
    unresolved += len(by_name.keys() - intents.keys()) + (journal.next_due_at() is not None)
    misbooked = sum(Decimal(booked[order.id]) != order.filled_qty for order in theirs)
    misbooked += sum(ours.get(symbol) != held.get(symbol) for symbol in ours.keys() | held.keys())
    return Counted(
        orders=orders,
        lost=sum(by_wish[number] == 0 for number in range(1, orders + 1)),
        doubled=sum(number - 1 for number in by_wish.values()),
        unresolved=unresolved,
        misbooked=misbooked,
    )


def _agrees(intent: Intent, order: BrokerOrder | None) -> bool:
    """Whether the journal says what the exchange says; an order that is not there at all is counted as lost."""
    return order is None or (intent.state is state_of(order) and intent.broker_order_id == order.id)
