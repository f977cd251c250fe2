"""Our rows of many broker's orders, read in a few statements, and whether an order is here what it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from workbench.execution.journal.forward import state_of
from workbench.store.tables.execution import IntentRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.brokers.broker import BrokerOrder

Picture = dict[str, Any]
IN_PARTS = 500  # a database takes only so many names in one statement


@dataclass(frozen=True, slots=True)
class Rows:
    """The intents of some orders, by the broker's id and by our own; locked until the transaction ends."""

    by_broker: dict[str, IntentRow]
    by_client: dict[str, IntentRow]

    @classmethod
    def of(cls, session: Session, account: str, orders: Sequence[BrokerOrder]) -> Rows:
        """Read them for the orders and everything that hangs on them."""
        family = [one for order in orders for one in order.family]
        by_broker: dict[str, IntentRow] = {}
        by_client: dict[str, IntentRow] = {}
        for start in range(0, len(family), IN_PARTS):
            part = family[start : start + IN_PARTS]
            question = (
                select(IntentRow)
                .where(IntentRow.account == account)
                .where(
                    or_(
                        IntentRow.broker_order_id.in_([one.id for one in part]),
                        IntentRow.client_order_id.in_([one.client_order_id for one in part if one.client_order_id]),
                    )
                )
                .order_by(IntentRow.id)  # two passes that lock in the same order do not wait for each other
                .with_for_update()
            )
            for row in session.scalars(question):
                by_client[row.client_order_id] = row
                if row.broker_order_id is not None:
                    by_broker[row.broker_order_id] = row
        return cls(by_broker, by_client)

    @classmethod
    def of_ids(cls, session: Session, account: str, ids: Sequence[str]) -> Rows:
        """Read them for orders of which only the broker's ids are known."""
        by_broker: dict[str, IntentRow] = {}
        for start in range(0, len(ids), IN_PARTS):
            question = (
                select(IntentRow)
                .where(IntentRow.account == account)
                .where(IntentRow.broker_order_id.in_(ids[start : start + IN_PARTS]))
                .order_by(IntentRow.id)
                .with_for_update()
            )
            by_broker |= {row.broker_order_id: row for row in session.scalars(question) if row.broker_order_id}
        return cls(by_broker, {})

    def find(self, order: BrokerOrder) -> IntentRow | None:
        """The row of an order; None when there was none when they were read."""
        return self.by_broker.get(order.id) or self.by_client.get(order.client_order_id)

    def picture(self, order: BrokerOrder) -> Picture | None:
        """What is stored of an order; None when nothing is."""
        row = self.find(order)
        return None if row is None else picture_of(row)

    def same(self, order: BrokerOrder) -> bool:
        """Whether applying the order and its legs would change nothing. What cannot be told is not the same."""
        return all(_same(self.find(one), one) for one in order.family)


def picture_of(row: IntentRow) -> Picture:
    """What of an intent can differ from the broker's word, as plain JSON values."""
    return {
        "state": row.state,
        "filled_qty": str(row.filled_qty),
        "avg_price": None if row.avg_price is None else str(row.avg_price),
        "broker_order_id": row.broker_order_id,
    }


def _same(row: IntentRow | None, order: BrokerOrder) -> bool:
    return (
        row is not None
        and row.broker_order_id == order.id
        and row.state == state_of(order)
        and row.broker_status == order.status
        and order.updated_at is not None
        and row.broker_updated_at == order.updated_at
        and row.filled_qty == order.filled_qty
        and (row.avg_price is not None or order.avg_price is None)
        and (row.parent_id is None or order.qty is None or row.qty == order.qty)
    )
