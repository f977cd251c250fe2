"""Exposure: what a book may become, counted at worst case, while the risk check walks through a list of wishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from workbench.execution.limits import Limits, OpenOrder, SessionFacts
from workbench.market.book import Book
from workbench.market.order import OrderWish, Side

ZERO = Decimal(0)


@dataclass(slots=True)
class Exposure:
    """What the check believes at one point of the list: accepted wishes count as filled, open orders at worst case.

    Attributes:
        prices: newest price per symbol, None where there is no usable one.
        held: signed shares per symbol, accepted wishes included.
        cash: currency, accepted wishes included.
        value: book value at the start; None when something held or on order has no price.
        unpriced: the symbols that are why there is no value.
        buying_power: what the broker would still let us spend; None when not known.
        orders: orders of the session so far, accepted wishes included.
        seen: symbols that an earlier wish of the list was for, refused ones included.
    """

    limits: Limits
    facts: SessionFacts
    prices: Mapping[str, Decimal | None]
    held: dict[str, Decimal]
    cash: Decimal
    value: Decimal | None
    unpriced: tuple[str, ...]
    open_orders: Sequence[OpenOrder]
    buying_power: Decimal | None
    orders: int
    seen: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        book: Book,
        prices: Mapping[str, float | Decimal],
        limits: Limits,
        facts: SessionFacts,
        open_orders: Sequence[OpenOrder],
    ) -> Exposure:
        """The exposure before the first wish."""
        exact = {symbol: positive(price) for symbol, price in prices.items()}
        held = {symbol: position.qty for symbol, position in book.positions.items() if position.qty}
        exposed = {*held, *(order.symbol for order in open_orders)}
        unpriced = tuple(sorted(symbol for symbol in exposed if exact.get(symbol) is None))
        known = {symbol: price for symbol, price in exact.items() if price is not None}
        return cls(
            limits=limits,
            facts=facts,
            prices=exact,
            held=held,
            cash=book.cash,
            value=None if unpriced else book.value(known),
            unpriced=unpriced,
            open_orders=open_orders,
            buying_power=facts.buying_power,
            orders=facts.orders_so_far,
        )

    def reach(self, symbol: str) -> tuple[Decimal, Decimal]:
        """The lowest and the highest quantity that the holding can have once every order that may be live is over."""
        held = self.held.get(symbol, ZERO)
        sales = sum((o.qty for o in self.open_orders if o.symbol == symbol and o.side is Side.SELL), ZERO)
        purchases = sum((o.qty for o in self.open_orders if o.symbol == symbol and o.side is Side.BUY), ZERO)
        return held - sales, held + purchases

    def reduces(self, wish: OrderWish) -> bool:
        """Whether the wish can only bring the holding nearer to zero, whatever open orders do."""
        low, high = self.reach(wish.symbol)
        return wish.qty <= low if wish.side is Side.SELL else wish.qty <= -high

    def gross(self, wish: OrderWish | None = None) -> Decimal:
        """Sum of worst |quantity| × price over all symbols, with `wish` filled as well if given. Needs a `value`."""
        total = ZERO
        for symbol in {*self.held, *(order.symbol for order in self.open_orders), *([wish.symbol] if wish else [])}:
            low, high = self.reach(symbol)
            if wish is not None and wish.symbol == symbol:
                low, high = low + wish.side.sign * wish.qty, high + wish.side.sign * wish.qty
            total += max(abs(low), abs(high)) * (self.prices[symbol] or ZERO)
        return total

    def reserved(self) -> Decimal:
        """Currency that orders which may be live can still take: purchases at their price or the newest, if higher."""
        return sum(
            (
                order.qty * max(order.price or ZERO, self.prices.get(order.symbol) or ZERO)
                for order in self.open_orders
                if order.side is Side.BUY
            ),
            ZERO,
        )

    def price(self, wish: OrderWish) -> Decimal:
        """What a share is counted with: the newest price, or the limit where that is worse for us."""
        newest = self.prices[wish.symbol]
        assert newest is not None, "the price rule runs before every rule that needs a price"
        limit = wish.limit_price or newest
        return max(newest, limit) if wish.side is Side.BUY else min(newest, limit)

    def accept(self, wish: OrderWish) -> None:
        """Count a wish as filled."""
        signed = wish.side.sign * wish.qty
        money = signed * self.price(wish)
        self.held[wish.symbol] = self.held.get(wish.symbol, ZERO) + signed
        self.cash -= money
        if self.buying_power is not None:
            self.buying_power -= money
        self.orders += 1


def positive(number: float | Decimal | None) -> Decimal | None:
    """The number as Decimal; None when it is missing, not finite or not > 0."""
    if number is None:
        return None
    exact = number if isinstance(number, Decimal) else Decimal(str(float(number)))
    return exact if exact.is_finite() and exact > 0 else None
