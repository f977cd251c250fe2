"""What one request or one step changes about an account: done in memory, collected for the ledger and the stream."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from workbench.exchange.state.order import OPTION, Order
from workbench.exchange.state.records import Account, Activity, Execution, Position
from workbench.exchange.wire import event_json, order_json

if TYPE_CHECKING:
    from collections.abc import Callable

_CENT = Decimal("0.01")


class Changes:
    """The collection, and the ways in which money and positions change.

    Attributes:
        added, changed: orders to be inserted, and to be written again.
        executions, activities: to be inserted, in order.
        positions: symbols whose position changed.
        events: messages of the stream in order, empty where nobody listens.
        fills, expired: how many there were.
    """

    __slots__ = (
        "account",
        "activities",
        "added",
        "changed",
        "events",
        "executions",
        "expired",
        "fills",
        "listened",
        "new_id",
        "positions",
    )

    def __init__(self, account: Account, *, new_id: Callable[[], str], listened: bool = True) -> None:
        self.account, self.new_id, self.listened = account, new_id, listened
        self.added: list[Order] = []
        self.changed: dict[str, Order] = {}
        self.executions: list[Execution] = []
        self.activities: list[Activity] = []
        self.positions: set[str] = set()
        self.events: list[dict[str, Any]] = []
        self.fills = self.expired = 0

    def tell(
        self,
        event: str,
        order: Order,
        *,
        moment: dt.datetime | None = None,
        status: str | None = None,
        execution: Execution | None = None,
        execution_id: str | None = "",
    ) -> None:
        """One message of the stream, with the order as it is now. Nothing where nobody listens."""
        if not self.listened:
            return
        if execution is not None:
            execution_id = execution.id
        elif execution_id == "":
            execution_id = self.new_id()
        body = order_json(order, status=status, legs=self.account.family(order.id) or None)
        self.events.append(
            event_json(event, body, moment=moment or order.updated_at, execution=execution, execution_id=execution_id)
        )

    def move(self, symbol: str, change: Decimal, price: Decimal, *, value: Decimal) -> Position | None:
        """Change a position by signed quantity and the cash by −value."""
        account = self.account
        account.cash -= value
        account.worth = None
        position = account.positions.get(symbol)
        after = Position(symbol, change, price) if position is None else position.after(change, price)
        if after is None:
            del account.positions[symbol]
        else:
            account.positions[symbol] = after
        self.positions.add(symbol)
        return after

    def charge(self, order: Order, qty: Decimal, price: Decimal, moment: dt.datetime) -> None:
        """The fees of a fill, as the account's rules have them."""
        fees = self.account.rules.fees
        if order.asset_class == OPTION:
            fee = fees.per_contract * qty
        elif order.side == "sell":
            fee = fees.of_sales * qty * price + min(fees.per_share * qty, fees.at_most)
        else:
            return
        fee = fee.quantize(_CENT, ROUND_CEILING)
        if fee:
            self.account.cash -= fee
            self.activities.append(
                Activity(self.new_id(), "FEE", moment, -fee, order.symbol, description=f"fees of {order.id}")
            )
