"""The matching rules: pure functions from working orders and one bar to fills, the same for the same inputs.

A bar gives up to three price events, in this order. s is the slippage (a fraction), d is +1 for buy and −1 for sell,
L the limit, P the stop.

1. **Open** (only where the bar has an open O), for orders accepted before it:
       market              fills at O·(1 + d·s)
       limit               if d·O ≤ d·L: fills at d·min(d·L, d·O·(1 + d·s)): at the open, never worse than its limit
       stop                if d·O ≥ d·P: triggers; the gap is paid: fills at O·(1 + d·s)
2. **Walk** (only where the bar has a high H and a low W), for orders accepted before the bar's open, because
   nobody knows when in the bar the extremes were seen; stops before limits, the worse case first:
       stop                if P is reached (buy: H ≥ P, sell: W ≤ P): fills at P·(1 + d·s)
       limit               if L is touched (buy: W ≤ L, sell: H ≥ L): fills at L exactly
3. **Close** C, for every order accepted before it:
       market              fills at C·(1 + d·s)
       limit               if d·C ≤ d·L: fills at d·min(d·L, d·C·(1 + d·s))
       stop                if d·C ≥ d·P: fills at C·(1 + d·s); with close-only bars the gap through a stop is paid here
   A close-only bar has this one event and no other.

An order accepted after the close of session S therefore fills at the open of S+1, else at its close; nothing ever
fills at a price that was known when it was accepted.

**Volume.** Where the bar knows its volume V, the orders of one account in one symbol take at most floor(p·V) whole
shares of it (p = participation, 10 %), first come first served by acceptance; the rest goes on working. Unknown volume
does not limit. A volume of 0 fills nothing.

**Time in force.** day: until the close of the session it lives in. gtc: until cancelled. opg: the open event only; what
is left expires at the open. cls: the close event only (no walk); what is left expires at the close. ioc: the first
print (open or close) after acceptance; what is left is canceled. fok: the same, all or nothing. The replay expires.

Prices are rounded half-even to nine decimals. Fees are 0. There is no price impact and no queue.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from workbench.exchange.records import PRICE_STEP, QTY_STEP, ZERO, Order

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Bar:
    """One symbol in one session; a field that the source does not have is None, never invented."""

    symbol: str
    date: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime
    close: Decimal
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of the fill model: `slippage` ≥ 0 and `participation` in (0, 1], both fractions."""

    slippage: Decimal = Decimal("0.0005")
    participation: Decimal = Decimal("0.10")


@dataclass(frozen=True, slots=True)
class Match:
    """What one order got at one event: `qty` > 0 shares at `price`; `left` shares are still wanted."""

    order_id: str
    qty: Decimal
    price: Decimal
    left: Decimal


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fills of an event in the order they happened, orders whose one chance is over, stops that fired."""

    matches: tuple[Match, ...] = ()
    canceled: tuple[str, ...] = ()
    triggered: tuple[str, ...] = ()


def at_open(orders: Iterable[Order], bar: Bar, *, rules: Rules) -> Outcome:
    """The open event. `orders`: the account's open orders in `bar.symbol`, in order of acceptance."""
    working = [order for order in orders if order.created_at < bar.opens_at and order.time_in_force != "cls"]
    event = _Event(working, bar, rules, used=ZERO)
    if bar.open is not None:
        event.print_at(bar.open)
        event.end_immediate()
    return event.outcome()


def at_close(orders: Iterable[Order], bar: Bar, *, rules: Rules, used: Decimal = ZERO) -> Outcome:
    """The walk and the close event. `used`: shares of this bar's volume that the account took already."""
    working = [order for order in orders if order.created_at < bar.closes_at and order.time_in_force != "opg"]
    event = _Event(working, bar, rules, used=used)
    if bar.high is not None and bar.low is not None:
        # Data may be untidy: a high below the close is no high.
        high = max(price for price in (bar.high, bar.open, bar.close) if price is not None)
        low = min(price for price in (bar.low, bar.open, bar.close) if price is not None)
        event.walk(high, low)
    event.print_at(bar.close)
    event.end_immediate()
    return event.outcome()


class _Event:
    """The running totals of one event."""

    def __init__(self, orders: list[Order], bar: Bar, rules: Rules, *, used: Decimal) -> None:
        self.orders, self.bar, self.rules = orders, bar, rules
        self.cap: Decimal | None = None
        if bar.volume is not None:
            whole = (bar.volume * rules.participation).to_integral_value(ROUND_DOWN)
            self.cap = max(ZERO, whole - used)
        self.matches: list[Match] = []
        self.triggered: list[str] = []
        self.canceled: list[str] = []
        self.wanted = {order.id: order.remaining for order in orders}

    def outcome(self) -> Outcome:
        return Outcome(tuple(self.matches), tuple(self.canceled), tuple(self.triggered))

    def print_at(self, price: Decimal) -> None:
        """A trade at `price` that everybody sees: the open or the close."""
        for order in self.orders:
            at = self._price_at_print(order, price)
            if at is not None:
                self._fill(order, at)

    def walk(self, high: Decimal, low: Decimal) -> None:
        """The way between the open and the close, of which only the extremes are known."""
        early = [
            order
            for order in self.orders
            if order.created_at < self.bar.opens_at and order.time_in_force not in {"cls", "ioc", "fok"}
        ]
        for order in early:
            if order.type == "stop" and order.stop_price is not None and not order.triggered:
                reached = high >= order.stop_price if order.side == "buy" else low <= order.stop_price
                if reached:
                    self.triggered.append(order.id)
                    self._fill(order, self._slipped(order, order.stop_price))
        for order in early:
            if order.type == "limit" and order.limit_price is not None:
                touched = low <= order.limit_price if order.side == "buy" else high >= order.limit_price
                if touched:
                    self._fill(order, order.limit_price)

    def end_immediate(self) -> None:
        """Ioc and fok orders have had their event."""
        self.canceled.extend(
            order.id for order in self.orders if order.time_in_force in {"ioc", "fok"} and self.wanted[order.id] != 0
        )

    def _price_at_print(self, order: Order, price: Decimal) -> Decimal | None:
        sign = order.sign
        if order.type == "limit" and order.limit_price is not None:
            if sign * price > sign * order.limit_price:
                return None
            return abs(min(sign * order.limit_price, sign * self._slipped(order, price)))
        if order.type == "stop" and order.stop_price is not None and not order.triggered:
            if sign * price < sign * order.stop_price and order.id not in self.triggered:
                return None
            if order.id not in self.triggered:
                self.triggered.append(order.id)
        return self._slipped(order, price)

    def _slipped(self, order: Order, price: Decimal) -> Decimal:
        return (price * (1 + order.sign * self.rules.slippage)).quantize(PRICE_STEP)

    def _fill(self, order: Order, price: Decimal) -> None:
        wanted = self.wanted[order.id]
        if wanted is None:  # a notional order is sized by the price of its first fill
            wanted = ((order.notional or ZERO) / price).quantize(QTY_STEP, ROUND_DOWN)
        qty = wanted if self.cap is None else min(wanted, self.cap)
        if qty <= 0 or (order.time_in_force == "fok" and qty < wanted):
            return
        self.wanted[order.id] = wanted - qty
        if self.cap is not None:
            self.cap -= qty
        self.matches.append(Match(order.id, qty, price, wanted - qty))
