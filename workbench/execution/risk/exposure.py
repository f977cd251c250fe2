"""Exposure: what a book may become, counted at worst case, while the risk check walks through a list of wishes."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from workbench import sessions
from workbench.execution.risk.instrument import Kind, kind_of, multiplier
from workbench.execution.risk.limits import Limits, OpenOrder, SessionFacts
from workbench.market import hours
from workbench.market.book import Book
from workbench.market.hours import Phase
from workbench.market.order import OrderWish, Side

ZERO = Decimal(0)
SHORT_MARGIN = Decimal("1.03")  # Alpaca counts a short sale with the larger of its limit and 3 % above the ask
_NO_OPG = dt.timedelta(minutes=2)  # before the open and the close, from when an order for that auction comes too late
_NO_CLS = dt.timedelta(minutes=10)
_AUCTIONS_AGAIN = dt.time(19)


@dataclass(slots=True)
class Worst:
    """Holdings with every order that may be live: between which two quantities each may end, and the sums of that.

    Attributes:
        units: currency per share (per contract: × 100) of every symbol with a usable price; others count for nothing.
        held: signed shares per symbol, accepted wishes included.
        sales, purchases: shares per symbol that open orders may still sell and buy.
        gross: sum of the worst |quantity| × unit, currency.
        lowest, highest: sum of the lowest, and of the highest, quantity × unit, currency.
    """

    units: Mapping[str, Decimal]
    held: dict[str, Decimal]
    sales: dict[str, Decimal] = field(default_factory=dict)
    purchases: dict[str, Decimal] = field(default_factory=dict)
    gross: Decimal = ZERO
    lowest: Decimal = ZERO
    highest: Decimal = ZERO

    @classmethod
    def of(cls, units: Mapping[str, Decimal], held: Mapping[str, Decimal], orders: Sequence[OpenOrder]) -> Worst:
        """Holdings and open orders, counted once."""
        worst = cls(units, dict(held))
        groups: dict[tuple[str, str, Side], Decimal] = {}
        for order in orders:
            more = order.qty
            if order.group:
                key = (order.group, order.symbol, order.side)
                counted = groups.get(key, ZERO)
                more = max(order.qty - counted, ZERO)
                groups[key] = counted + more
            side = worst.purchases if order.side is Side.BUY else worst.sales
            side[order.symbol] = side.get(order.symbol, ZERO) + more
        for symbol in {*worst.held, *worst.sales, *worst.purchases}:
            worst._count(symbol, 1)
        return worst

    def reach(self, symbol: str) -> tuple[Decimal, Decimal]:
        """The lowest and the highest quantity that the holding can have once every order that may be live is over."""
        held = self.held.get(symbol, ZERO)
        return held - self.sales.get(symbol, ZERO), held + self.purchases.get(symbol, ZERO)

    def gross_with(self, symbol: str, change: Decimal) -> Decimal:
        """`gross` after a fill of `change` signed shares."""
        low, high = self.reach(symbol)
        before = max(abs(low), abs(high))
        after = max(abs(low + change), abs(high + change))
        return self.gross + (after - before) * self.units.get(symbol, ZERO)

    def net(self) -> Decimal:
        """The largest |sum of quantity × unit| that can come of it, currency."""
        return max(abs(self.lowest), abs(self.highest))

    def net_with(self, symbol: str, change: Decimal) -> Decimal:
        """`net` after a fill of `change` signed shares."""
        money = change * self.units.get(symbol, ZERO)
        return max(abs(self.lowest + money), abs(self.highest + money))

    def fill(self, symbol: str, change: Decimal) -> None:
        """Count `change` signed shares as held."""
        self._count(symbol, -1)
        self.held[symbol] = self.held.get(symbol, ZERO) + change
        self._count(symbol, 1)

    def _count(self, symbol: str, sign: int) -> None:
        unit = sign * self.units.get(symbol, ZERO)
        low, high = self.reach(symbol)
        self.gross += max(abs(low), abs(high)) * unit
        self.lowest += low * unit
        self.highest += high * unit


@dataclass(slots=True)
class Exposure:
    """What the check believes at one point of the list: accepted wishes count as filled, open orders at worst case.

    Attributes:
        prices: newest price per symbol, None where there is no usable one.
        account, own: the account's holdings and orders, and those of the wishing bot.
        cash: currency, accepted wishes included.
        value: book value at the start; None when something held or on order has no price.
        unpriced: the symbols that are why there is no value.
        buying_power: what the broker would still let us spend; None when not known.
        orders: orders of the session so far, accepted wishes included.
        accepted: how many wishes of the list were accepted.
        legs: how many wishes of the list each symbol had so far, refused ones included.
        reserved: currency that orders which may be live can still take: purchases at their price or the newest, if
            higher.
        phase: the phase of trading; None: not known, not checked.
        opg, cls: whether an order for the opening and for the closing auction is taken now; None: not known.
    """

    limits: Limits
    facts: SessionFacts
    prices: Mapping[str, Decimal | None]
    account: Worst
    own: Worst
    cash: Decimal
    value: Decimal | None
    unpriced: tuple[str, ...]
    open_by_symbol: Mapping[str, Sequence[OpenOrder]]
    buying_power: Decimal | None
    orders: int
    reserved: Decimal
    phase: Phase | None
    opg: bool | None
    cls: bool | None
    kinds: dict[str, Kind] = field(default_factory=dict)
    accepted: int = 0
    legs: dict[str, int] = field(default_factory=dict)

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
        units = {symbol: price * multiplier(symbol) for symbol, price in exact.items() if price is not None}
        positions = {symbol: position.qty for symbol, position in book.positions.items()}
        # A number that is none is kept out of every sum, and its mark in the cash refuses every wish; see `numbers`.
        sound = all(number.is_finite() for number in (book.cash, *positions.values(), *facts.own.values()))
        cash = book.cash if sound else Decimal("NaN")
        held = {symbol: qty for symbol, qty in positions.items() if qty.is_finite() and qty}
        own = {symbol: qty for symbol, qty in facts.own.items() if qty.is_finite()}
        by_symbol: dict[str, list[OpenOrder]] = {}
        for order in open_orders:
            by_symbol.setdefault(order.symbol, []).append(order)
        unpriced = tuple(sorted(symbol for symbol in {*held, *by_symbol} if symbol not in units))
        value = None if unpriced else cash + sum((qty * units[symbol] for symbol, qty in held.items()), ZERO)
        opg, cls_ = _auctions(facts)
        mine = [order for order in open_orders if order.bot == facts.bot]
        return cls(
            limits=limits,
            facts=facts,
            prices=exact,
            account=Worst.of(units, held, open_orders),
            own=Worst.of(units, own, mine),
            cash=cash,
            value=value,
            unpriced=unpriced,
            open_by_symbol=by_symbol,
            buying_power=facts.buying_power,
            orders=facts.orders_so_far,
            reserved=_reserved(open_orders, exact),
            phase=_phase(facts),
            opg=opg,
            cls=cls_,
        )

    def kind(self, symbol: str) -> Kind:
        """What a symbol names, looked up once per check."""
        found = self.kinds.get(symbol)
        if found is None:
            found = self.kinds[symbol] = kind_of(symbol)
        return found

    def reach(self, symbol: str) -> tuple[Decimal, Decimal]:
        """The lowest and the highest quantity that the holding can have once every order that may be live is over."""
        return self.account.reach(symbol)

    def reduces(self, wish: OrderWish) -> bool:
        """Whether the wish can only bring the holding nearer to zero, whatever open orders do."""
        low, high = self.account.reach(wish.symbol)
        if not wish.qty.is_finite():
            return False
        return wish.qty <= low if wish.side is Side.SELL else wish.qty <= -high

    def price(self, wish: OrderWish) -> Decimal:
        """What a share is counted with: the newest price, or the limit where that is worse for us."""
        newest = self.prices[wish.symbol]
        assert newest is not None, "the price rule runs before every rule that needs a price"
        limit = wish.limit_price or newest
        return max(newest, limit) if wish.side is Side.BUY else min(newest, limit)

    def notional(self, wish: OrderWish) -> Decimal:
        """Quantity × price, currency; a contract counts with its multiplier."""
        money = wish.qty * self.price(wish)
        return money * 100 if self.kind(wish.symbol) is Kind.OPTION else money

    def accept(self, wish: OrderWish) -> None:
        """Count a wish as filled."""
        signed, money, reducing = wish.side.sign * wish.qty, self.notional(wish), self.reduces(wish)
        self.account.fill(wish.symbol, signed)
        self.own.fill(wish.symbol, signed)
        self.cash -= wish.side.sign * money
        if self.buying_power is not None:
            short = wish.side is Side.SELL and not reducing
            self.buying_power -= money * SHORT_MARGIN if short else wish.side.sign * money
        self.orders += 1
        self.accepted += 1


def positive(number: float | Decimal | None) -> Decimal | None:
    """The number as Decimal; None when it is missing, not finite or not > 0."""
    if number is None:
        return None
    exact = number if isinstance(number, Decimal) else Decimal(str(float(number)))
    return exact if exact.is_finite() and exact > 0 else None


def _reserved(open_orders: Sequence[OpenOrder], prices: Mapping[str, Decimal | None]) -> Decimal:
    return sum(
        (
            order.qty * multiplier(order.symbol) * max(order.price or ZERO, prices.get(order.symbol) or ZERO)
            for order in open_orders
            if order.side is Side.BUY
        ),
        ZERO,
    )


def _phase(facts: SessionFacts) -> Phase | None:
    if facts.phase is not None or facts.venue is None or facts.now is None:
        return facts.phase
    return hours.phase_at(facts.venue, facts.now)


def _auctions(facts: SessionFacts) -> tuple[bool | None, bool | None]:
    """Whether orders for the opening and the closing auction are taken: not from shortly before it until 19:00."""
    if facts.venue is None or facts.now is None:
        return None, None
    local = facts.now.astimezone(zoneinfo.ZoneInfo(sessions.timezone(facts.venue)))
    regular = next((span for span in hours.spans(facts.venue, local.date()) if span.phase is Phase.REGULAR), None)
    if regular is None or local.time() >= _AUCTIONS_AGAIN:
        return True, True
    return facts.now < regular.start - _NO_OPG, facts.now < regular.end - _NO_CLS
