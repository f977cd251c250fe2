"""The orders of an account that may fill now, by symbol and side, with what they reserve and hold."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.exchange.state.order import OPTION, ZERO, Order

if TYPE_CHECKING:
    from collections.abc import Iterator, ValuesView


class OpenOrders:
    """Every question is answered without walking through all orders: an account may have thousands."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._books: dict[str, dict[str, dict[str, Order]]] = {}
        self._reserved: dict[str, Decimal] = {}
        self._holds: dict[str, Decimal] = {}
        self._held: dict[str, Decimal] = {}
        self._options: dict[str, Order] = {}
        self.reserved = ZERO

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[Order]:
        """In order of acceptance; the collection may change meanwhile."""
        return iter(tuple(self._orders.values()))

    def get(self, order_id: str) -> Order | None:
        """An open order by its id."""
        return self._orders.get(order_id)

    def of(self, symbol: str) -> list[Order]:
        """The open orders of one symbol, in order of acceptance."""
        sides = [side for side in self._books.get(symbol, {}).values() if side]
        found = [order for side in sides for order in side.values()]
        if len(sides) > 1:
            found.sort(key=lambda order: order.number)
        return found

    def on(self, symbol: str, side: str) -> ValuesView[Order]:
        """The open orders of one symbol on one side, in order of acceptance."""
        return self._books.get(symbol, {}).get(side, {}).values()

    def symbols(self) -> list[str]:
        """Symbols with open orders, sorted; multi-leg orders have none (`""`)."""
        return sorted(symbol for symbol, sides in self._books.items() if any(sides.values()))

    def options(self) -> list[Order]:
        """The open options orders, single and of several legs."""
        return list(self._options.values())

    def held(self, symbol: str) -> Decimal:
        """Quantity of the position in a symbol that open closing orders would take."""
        return self._held.get(symbol, ZERO)

    def add(self, order: Order) -> None:
        """A new order."""
        self._orders[order.id] = order
        book = self._books.get(order.symbol)
        if book is None:
            book = self._books[order.symbol] = {}
        side = book.get(order.side)
        if side is None:
            side = book[order.side] = {}
        side[order.id] = order
        if order.asset_class == OPTION:
            self._options[order.id] = order
        self.update(order)

    def update(self, order: Order) -> None:
        """Read again what the order reserves and holds, after a fill or a change."""
        if order.opening:
            now = order.reserved
            self.reserved += now - self._reserved.get(order.id, ZERO)
            self._reserved[order.id] = now
        else:
            now = order.holds
            self._held[order.symbol] = self._held.get(order.symbol, ZERO) + now - self._holds.get(order.id, ZERO)
            self._holds[order.id] = now

    def remove(self, order: Order) -> None:
        """An order that has ended."""
        del self._orders[order.id]
        del self._books[order.symbol][order.side][order.id]
        if order.asset_class == OPTION:
            del self._options[order.id]
        if order.opening:
            self.reserved -= self._reserved.pop(order.id)
        else:
            self._held[order.symbol] -= self._holds.pop(order.id)
