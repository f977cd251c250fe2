"""What the exchange keeps: accounts, positions, fills and other activities, with exact Decimals and UTC moments."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from workbench.exchange.state.account_rules import DEFAULT_PROFILE, PROFILES, AccountRules
from workbench.exchange.state.open_orders import OpenOrders
from workbench.exchange.state.order import OPEN_STATUSES, OPTION, PRICE_STEP, QTY_STEP, STOCK, ZERO, Order

__all__ = [
    "OPEN_STATUSES",
    "OPTION",
    "PRICE_STEP",
    "QTY_STEP",
    "STOCK",
    "ZERO",
    "Account",
    "Activity",
    "ClockKind",
    "Execution",
    "Order",
    "Position",
    "SymbolFacts",
    "Worth",
]

_TICK = dt.timedelta(microseconds=1)


class ClockKind(enum.StrEnum):
    """What moves the clock of an account: the admin API (`replay`) or the wall (`real`)."""

    REPLAY = "replay"
    REAL = "real"


@dataclass(slots=True)
class Position:
    """Shares or contracts held: `qty` is signed (short < 0), `average_entry` per share."""

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


class Execution(NamedTuple):
    """One fill: `qty` > 0 at `price`; `cumulative` and `left` are the order's totals after it."""

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


class Activity(NamedTuple):
    """What changed an account without being a fill: `kind` is Alpaca's, `net_amount` signed currency.

    OPEXC, OPASN, OPEXP: an option was exercised, assigned, or expired without worth. OPTRD: the shares that changed
    hands for it. FEE: a fee. `qty` is signed: what the position changed by.
    """

    id: str
    kind: str
    happened: dt.datetime
    net_amount: Decimal
    symbol: str | None = None
    qty: Decimal | None = None
    price: Decimal | None = None
    description: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Worth:
    """An account marked at the newest prices it may see: all in currency; `short_value` ≤ 0, `required` ≥ 0.

    `required` is held for short options.
    """

    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    buying_power: Decimal
    options_buying_power: Decimal
    required: Decimal = ZERO

    @property
    def equity(self) -> Decimal:
        """Cash and positions."""
        return self.cash + self.long_value + self.short_value


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """What an administrator has said about a symbol; the defaults hold for all others."""

    halted: bool = False
    shortable: bool = True
    easy_to_borrow: bool = True
    fractionable: bool = True


@dataclass(slots=True)
class Account:
    """One account with its own clock, its open orders and its positions.

    Orders accepted while the clock stands still get moments one microsecond apart, so that they sort and page;
    `last_stamp` is the newest of these moments.

    Attributes:
        waiting: orders that cannot fill yet: exits of an entry that still works, replacements on their way.
        families: what came with an order (exits, legs) and is not over, by the id of that order.
        marks: newest prices at the clock; forgotten when it moves.
        taken: shares of the running bar's volume that were filled, with the bar's open, by symbol.
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
    rules: AccountRules = PROFILES[DEFAULT_PROFILE]
    orders: OpenOrders = field(default_factory=OpenOrders)
    positions: dict[str, Position] = field(default_factory=dict)
    waiting: dict[str, Order] = field(default_factory=dict)
    families: dict[str, dict[str, Order]] = field(default_factory=dict)
    marks: dict[str, Decimal | None] = field(default_factory=dict)
    worth: Any = None
    taken: dict[str, tuple[dt.datetime, Decimal]] = field(default_factory=dict)

    def move(self, moment: dt.datetime) -> None:
        """Put the clock there; prices known so far are forgotten."""
        self.now = moment
        self.marks.clear()
        self.worth = None

    def stamp(self) -> dt.datetime:
        """The account's moment now, made unique and ascending by microseconds."""
        self.last_stamp = max(self.now, self.last_stamp + _TICK)
        return self.last_stamp

    def position_qty(self, symbol: str) -> Decimal:
        """Signed quantity held; 0 when there is no position."""
        held = self.positions.get(symbol)
        return held.qty if held else ZERO

    def find(self, order_id: str) -> Order | None:
        """An order of this account that is not over: one that works or one that waits."""
        found = self.orders.get(order_id) or self.waiting.get(order_id)
        if found is None:
            for family in self.families.values():
                if order_id in family:
                    return family[order_id]
        return found

    def family(self, order_id: str) -> list[Order]:
        """What came with an order and is not over."""
        return list(self.families.get(order_id, {}).values())

    def heir(self, order: Order) -> Order | None:
        """The order that is on its way to replace this one."""
        return next((other for other in self.waiting.values() if other.replaces == order.id), None)

    def restore(self, order: Order) -> None:
        """Put an order that is not over where it belongs, as it was read from the ledger."""
        if order.status == "pending_new" and order.role != "leg":
            self.waiting[order.id] = order
            return
        if order.parent_id is not None:
            self.families.setdefault(order.parent_id, {})[order.id] = order
        if order.active_from is not None and order.role != "leg":
            self.orders.add(order)
