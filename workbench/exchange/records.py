"""What the exchange keeps: accounts, orders, positions and executions, with exact Decimals and UTC moments."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ZERO = Decimal(0)
PRICE_STEP = Decimal("0.000000001")  # fills are kept to nine decimals, so that replayed floats come back unrounded
QTY_STEP = Decimal("0.000000001")

OPEN_STATUSES = frozenset({"new", "partially_filled"})


class ClockKind(enum.StrEnum):
    """What moves the clock of an account: the admin API (`replay`) or the wall (`real`)."""

    REPLAY = "replay"
    REAL = "real"


@dataclass(slots=True)
class Order:
    """One accepted order. `number` is its place in the queue; quantities are shares, prices are per share.

    `notional` orders have `qty` None until the fill decides the shares. `opening` says that the order enlarges a
    position and therefore reserves `reserve_price` × remaining shares of buying power; a closing order holds shares
    of the position instead.
    """

    id: str
    number: int
    client_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    status: str
    created_at: dt.datetime
    updated_at: dt.datetime
    expires_at: dt.datetime | None
    opening: bool
    reserve_price: Decimal
    filled_qty: Decimal = ZERO
    filled_cost: Decimal = ZERO
    triggered: bool = False
    extended_hours: bool = False
    position_intent: str | None = None
    filled_at: dt.datetime | None = None
    expired_at: dt.datetime | None = None
    canceled_at: dt.datetime | None = None
    replaced_at: dt.datetime | None = None
    replaced_by: str | None = None
    replaces: str | None = None

    @property
    def sign(self) -> int:
        """+1 for buy, −1 for sell."""
        return 1 if self.side == "buy" else -1

    @property
    def is_open(self) -> bool:
        """Whether the order may still fill."""
        return self.status in OPEN_STATUSES

    @property
    def remaining(self) -> Decimal | None:
        """Shares not yet filled; None for a notional order."""
        return None if self.qty is None else self.qty - self.filled_qty

    @property
    def average_price(self) -> Decimal | None:
        """Filled cost over filled shares, nine decimals; None before the first fill."""
        return (self.filled_cost / self.filled_qty).quantize(PRICE_STEP) if self.filled_qty else None

    @property
    def reserved(self) -> Decimal:
        """Buying power this order holds, in currency, ≥ 0."""
        if not self.opening or not self.is_open:
            return ZERO
        if self.remaining is None:
            return self.notional or ZERO
        return self.reserve_price * self.remaining


@dataclass(slots=True)
class Position:
    """Shares held: `qty` is signed (short < 0), `average_entry` per share."""

    symbol: str
    qty: Decimal
    average_entry: Decimal

    def after(self, change: Decimal, price: Decimal) -> Position | None:
        """The position after `change` signed shares at `price`; None where nothing is left.

        The average entry is weighted when the position grows, stays when it shrinks, and is `price` through zero.
        """
        qty = self.qty + change
        if qty == 0:
            return None
        if self.qty * change >= 0:
            cost = self.qty * self.average_entry + change * price
            return Position(self.symbol, qty, (cost / qty).quantize(PRICE_STEP))
        if self.qty * qty > 0:
            return Position(self.symbol, qty, self.average_entry)
        return Position(self.symbol, qty, price)


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill: `qty` > 0 shares at `price`; `cumulative` and `left` are the order's totals after it."""

    id: str
    order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    happened: dt.datetime
    cumulative: Decimal
    left: Decimal
    position_qty: Decimal
    number: int = 0


class OpenOrders:
    """The orders of an account that may still fill, by symbol and side, with the buying power they reserve.

    Every question is answered without walking through all orders: an account may have thousands.
    """

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._books: dict[str, dict[str, dict[str, Order]]] = {}
        self._reserved: dict[str, Decimal] = {}
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
        sides = self._books.get(symbol, {})
        return sorted((order for side in sides.values() for order in side.values()), key=lambda order: order.number)

    def on(self, symbol: str, side: str) -> list[Order]:
        """The open orders of one symbol on one side, in order of acceptance."""
        return list(self._books.get(symbol, {}).get(side, {}).values())

    def symbols(self) -> list[str]:
        """Symbols with open orders, sorted."""
        return sorted(symbol for symbol, sides in self._books.items() if any(sides.values()))

    def add(self, order: Order) -> None:
        """A new order."""
        self._orders[order.id] = order
        self._books.setdefault(order.symbol, {}).setdefault(order.side, {})[order.id] = order
        self.update(order)

    def update(self, order: Order) -> None:
        """Read again what the order reserves, after a fill."""
        self.reserved += order.reserved - self._reserved.get(order.id, ZERO)
        self._reserved[order.id] = order.reserved

    def remove(self, order: Order) -> None:
        """An order that has ended."""
        del self._orders[order.id]
        del self._books[order.symbol][order.side][order.id]
        self.reserved -= self._reserved.pop(order.id)


@dataclass(slots=True)
class Account:
    """One account with its own clock, its open orders and its positions.

    Orders accepted while the clock stands still get moments one microsecond apart, so that they sort and page;
    `last_stamp` is the newest of these moments.
    """

    id: str
    name: str
    account_number: str
    key_id: str
    secret_key: str = field(repr=False)
    clock: ClockKind
    opened_at: dt.datetime
    now: dt.datetime
    initial_cash: Decimal
    cash: Decimal
    multiplier: Decimal
    shorting: bool
    configurations: dict[str, Any]
    last_stamp: dt.datetime
    orders: OpenOrders = field(default_factory=OpenOrders)
    positions: dict[str, Position] = field(default_factory=dict)

    def stamp(self) -> dt.datetime:
        """The account's moment now, made unique and ascending by microseconds."""
        self.last_stamp = max(self.now, self.last_stamp + dt.timedelta(microseconds=1))
        return self.last_stamp

    def position_qty(self, symbol: str) -> Decimal:
        """Signed shares held; 0 when there is no position."""
        held = self.positions.get(symbol)
        return held.qty if held else ZERO
