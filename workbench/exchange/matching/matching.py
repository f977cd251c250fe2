"""The matching rules: pure functions from working orders and one bar to fills, the same for the same inputs.

A bar gives up to three price events, in this order. s is the cost of taking (slippage + half of the spread, a fraction
of the price), d is +1 for buy and −1 for sell, L the limit, P the stop.

1. **Open** (only where the bar has an open O), for orders active before it:
       market              fills at O·(1 + d·s)
       limit               if d·O ≤ d·L: fills at d·min(d·L, d·O·(1 + d·s)): at the open, never worse than its limit
       stop                if d·O ≥ d·P: triggers; the gap is paid: fills at O·(1 + d·s)
       stop_limit          if d·O ≥ d·P: triggers, and is a limit order from this print on
       trailing_stop       if d·O ≥ d·P with the P that stood before: as a stop; else O moves its mark M
2. **Walk** (only where the bar has a high H and a low W), for orders accepted before the bar's open, because nobody
   knows when in the bar the extremes were seen; the worse case first, so stops before limits:
       stop                if P is reached (buy: H ≥ P, sell: W ≤ P): fills at P·(1 + d·s)
       stop_limit          if P is reached: triggers; where d·P ≤ d·L it fills at d·min(d·L, d·P·(1 + d·s)), else the
                           walk is over for it: when the price came back is not known
       trailing_stop       goes from the open to the bad extreme, then to the good one, then to the close: P of the old
                           mark at the bad extreme (sell: W ≤ P), fills at P·(1 + d·s); else the good extreme moves the
                           mark, and where the close is beyond the new P, the price has passed it: fills at P·(1 + d·s)
       limit               if L is touched (buy: W ≤ L, sell: H ≥ L): fills at L exactly. With a queue q > 0 and L equal
                           to the extreme, at most floor(p·V) − ceil(q·V) shares of the bar are left for it
3. **Close** C, for every order active before it:
       market              fills at C·(1 + d·s)
       limit               if d·C ≤ d·L: fills at d·min(d·L, d·C·(1 + d·s))
       stop                if d·C ≥ d·P: fills at C·(1 + d·s); with close-only bars the gap through a stop is paid here
       stop_limit          if d·C ≥ d·P: triggers, and is a limit order from this print on
       trailing_stop       as at the open, where it has not walked
   A close-only bar has this one event and no other.

An order accepted after the close of session S therefore fills at the open of S+1, else at its close; nothing ever
fills at a price that was known when it was accepted. With intraday bars every bar has these events.

**Trailing stop.** M is the best price since acceptance (sell: the highest, buy: the lowest), at first the newest print
of that moment. P = M − d'·trail with d' = +1 for sell and −1 for buy; trail = `trail_price`, or M·`trail_percent`/100.

**Exits.** Of two exits that cancel each other (OCO) a fill of one takes the same quantity from the other within the
same event. Exits of an entry that fills at an open may fill in the walk of the same bar, which comes after it; those of
an entry that fills later in the bar, from the next event on.

**Volume.** Where the bar knows its volume V, the orders of one account in one symbol take at most floor(p·V) whole
shares of it (p = participation, 10 %), first come first served by acceptance; the rest goes on working. Unknown volume
does not limit. A volume of 0 fills nothing.

**Partial fills at random** (off by default). With probability `partial` a fill gets only a part v of what it could
have, at least one whole share, rounded down: u and v in [0, 1) are the two halves of
blake2b("seed|created_at|moment|price", 16 bytes), and the draw strikes where u < `partial`. Orders of less than
two shares and fok orders are spared.

**Latency** (0 by default). An order, a cancel and a replace act only `latency` after they were asked for: an event
before that knows nothing of them, and a cancel or a replace that comes too late is rejected.

**Multi-leg options orders** fill at prints only, all legs or none: with prices p_i·(1 + d_i·s) and ratios r_i the net
N = Σ d_i·r_i·p_i (debit > 0) is taken by a market order, and by a limit order if N ≤ L. Every leg gets the same number
of units, at most floor(room_i / r_i) of each leg's volume.

**Time in force.** day: until the close of the session it lives in. gtc: until cancelled. opg: the open event of the
session only; what is left expires at the open. cls: the close event of the session only (no walk); what is left expires
at the close. ioc: the first print (open or close) after acceptance; what is left is canceled. fok: the same, all or
nothing. The replay expires.

Prices are rounded half-even to nine decimals. There is no price impact. Fees are the account's, see `account_rules`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, NamedTuple

from workbench.exchange.state.order import PRICE_STEP, QTY_STEP, ZERO, Order

if TYPE_CHECKING:
    from collections.abc import Iterable

_ONE = Decimal(1)
_ONE_CHANCE = frozenset({"ioc", "fok"})
_PRINTS_ONLY = frozenset({"cls", "ioc", "fok"})


@dataclass(frozen=True, slots=True)
class Bar:
    """One symbol from a first print to a last one; a field that the source does not have is None, never invented."""

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
    """The numbers of the fill model: fractions ≥ 0, but for `latency`; `participation` (0, 1], `partial` [0, 1]."""

    slippage: Decimal = Decimal("0.0005")
    participation: Decimal = Decimal("0.10")
    spread: Decimal = ZERO
    queue: Decimal = ZERO
    partial: Decimal = ZERO
    latency: dt.timedelta = dt.timedelta()
    seed: int = 7

    @property
    def taking(self) -> Decimal:
        """What an order that takes pays, as a fraction of the price: slippage and half of the spread."""
        return self.slippage + self.spread / 2


class Match(NamedTuple):
    """What one order got at one event: `qty` > 0 at `price`; `left` is still wanted."""

    order_id: str
    qty: Decimal
    price: Decimal
    left: Decimal


@dataclass(frozen=True, slots=True)
class Outcome:
    """Fills of an event in the order they happened, orders whose one chance is over, stops that fired, new marks."""

    matches: tuple[Match, ...] = ()
    canceled: tuple[str, ...] = ()
    triggered: tuple[str, ...] = ()
    marks: tuple[tuple[str, Decimal], ...] = ()


def at_open(orders: Iterable[Order], bar: Bar, *, rules: Rules, used: Decimal = ZERO, auction: bool = True) -> Outcome:
    """The open event. `orders`: the account's open orders in `bar.symbol`, in order of acceptance.

    Args:
        used: shares of this bar's volume that the account took already.
        auction: whether this is the open of the session.
    """
    at = bar.opens_at
    working = [
        order
        for order in orders
        if order.active_from is not None
        and order.active_from < at
        and order.time_in_force != "cls"
        and (auction or order.time_in_force != "opg")
    ]
    event = _Event(working, bar, rules, used=used, moment=at)
    if bar.open is not None:
        event.print_at(bar.open)
        event.end_immediate()
    return event.outcome()


def at_close(orders: Iterable[Order], bar: Bar, *, rules: Rules, used: Decimal = ZERO, auction: bool = True) -> Outcome:
    """The walk and the close event. `used`, `auction`: as for `at_open`; here the auction is the session's close."""
    at = bar.closes_at
    working = [
        order
        for order in orders
        if order.active_from is not None
        and order.active_from < at
        and order.time_in_force != "opg"
        and (auction or order.time_in_force != "cls")
    ]
    event = _Event(working, bar, rules, used=used, moment=at)
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

    def __init__(self, orders: list[Order], bar: Bar, rules: Rules, *, used: Decimal, moment: dt.datetime) -> None:
        self.orders, self.bar, self.rules, self.moment = orders, bar, rules, moment
        self.cap: Decimal | None = None
        self.queued = ZERO
        if bar.volume is not None:
            whole = (bar.volume * rules.participation).to_integral_value(ROUND_DOWN)
            self.cap = max(ZERO, whole - used)
            self.queued = (bar.volume * rules.queue).to_integral_value(ROUND_CEILING)
        self.up, self.down = 1 + rules.taking, 1 - rules.taking
        self.matches: list[Match] = []
        self.triggered: list[str] = []
        self.canceled: list[str] = []
        self.marks: dict[str, Decimal] = {}
        self.walked: set[str] = set()
        self.wanted = {order.id: order.remaining for order in orders}

    def outcome(self) -> Outcome:
        return Outcome(tuple(self.matches), tuple(self.canceled), tuple(self.triggered), tuple(self.marks.items()))

    def print_at(self, price: Decimal) -> None:
        """A trade at `price` that everybody sees: the open or the close."""
        bought, sold = (price * self.up).quantize(PRICE_STEP), (price * self.down).quantize(PRICE_STEP)
        for order in self.orders:
            buys = order.side == "buy"
            kind = order.type
            if kind == "market":
                self._fill(order, bought if buys else sold)
                continue
            if kind != "limit" and not self._fires(order, price):
                continue
            limit = order.limit_price
            if limit is None:
                self._fill(order, bought if buys else sold)
            elif buys:
                if price <= limit:
                    self._fill(order, min(limit, bought))
            elif price >= limit:
                self._fill(order, max(limit, sold))

    def walk(self, high: Decimal, low: Decimal) -> None:
        """The way between the open and the close, of which only the extremes are known."""
        opens_at = self.bar.opens_at
        early = [
            order
            for order in self.orders
            if order.type != "market"
            and order.created_at < opens_at
            and order.active_from is not None
            and order.active_from <= opens_at
            and order.time_in_force not in _PRINTS_ONLY
        ]
        trailing = [order for order in early if order.type == "trailing_stop" and not order.triggered]
        for order in early:
            if order.type in {"stop", "stop_limit"} and not order.triggered:
                self._walk_stop(order, high, low)
        for order in trailing:
            self._walk_trailing(order, low if order.side == "sell" else high)
        for order in early:
            limit = order.limit_price
            if limit is not None and (order.type == "limit" or order.triggered):
                extreme = low if order.side == "buy" else high
                if extreme == limit or (extreme < limit) == (order.side == "buy"):
                    self._fill(order, limit, behind=self.queued if extreme == limit else ZERO)
        for order in trailing:
            if order.id not in self.triggered:
                self._mark(order, high if order.side == "sell" else low)
                self._walk_trailing(order, self.bar.close)
            self.walked.add(order.id)

    def end_immediate(self) -> None:
        """Ioc and fok orders have had their event."""
        self.canceled.extend(
            order.id for order in self.orders if order.time_in_force in _ONE_CHANCE and self.wanted[order.id] != 0
        )

    def _fires(self, order: Order, price: Decimal) -> bool:
        """Whether a stop has fired by now, this print included. A trailing stop that has not, moves its mark."""
        if order.triggered or order.id in self.triggered:
            return True
        if order.id in self.walked:
            return False
        stop = self._trail(order) if order.type == "trailing_stop" else order.stop_price
        if stop is not None and (price >= stop if order.side == "buy" else price <= stop):
            self.triggered.append(order.id)
            return True
        if order.type == "trailing_stop":
            self._mark(order, price)
        return False

    def _walk_stop(self, order: Order, high: Decimal, low: Decimal) -> None:
        stop, limit = order.stop_price, order.limit_price
        if stop is None or not (high >= stop if order.side == "buy" else low <= stop):
            return
        self.triggered.append(order.id)
        price = self._slipped(order, stop)
        if limit is None:
            self._fill(order, price)
        elif order.sign * stop <= order.sign * limit:
            self._fill(order, min(limit, price) if order.side == "buy" else max(limit, price))

    def _walk_trailing(self, order: Order, price: Decimal) -> None:
        stop = self._trail(order)
        if stop is not None and (price >= stop if order.side == "buy" else price <= stop):
            self.triggered.append(order.id)
            self._fill(order, self._slipped(order, stop))

    def _trail(self, order: Order) -> Decimal | None:
        mark = self.marks.get(order.id)
        return order.trail_stop if mark is None else order.trail_from(mark)

    def _mark(self, order: Order, price: Decimal) -> None:
        now = self.marks.get(order.id, order.hwm)
        if now is None or (price > now if order.side == "sell" else price < now):
            self.marks[order.id] = price

    def _slipped(self, order: Order, price: Decimal) -> Decimal:
        return (price * (self.up if order.side == "buy" else self.down)).quantize(PRICE_STEP)

    def _fill(self, order: Order, price: Decimal, *, behind: Decimal = ZERO) -> None:
        wanted = self.wanted[order.id]
        if wanted is None:
            wanted = self._sized(order, price)
        cap = self.cap
        qty = wanted
        if cap is not None:
            if behind:
                cap -= behind
            if cap < wanted:
                qty = cap
        if qty <= 0 or (order.time_in_force == "fok" and qty < wanted):
            return
        if self.rules.partial:
            qty = self._drawn(order, qty, price)
        self.wanted[order.id] = wanted - qty
        if self.cap is not None:
            self.cap -= qty
        self.matches.append(Match(order.id, qty, price, wanted - qty))
        if order.oco is not None:
            self._take_from_siblings(order, qty)

    @staticmethod
    def _sized(order: Order, price: Decimal) -> Decimal:
        """The shares of a notional order, by the price of its first fill."""
        shares = ((order.notional or ZERO) / price).quantize(QTY_STEP, ROUND_DOWN)
        return shares if order.hold_qty is None else min(shares, order.hold_qty)

    def _take_from_siblings(self, order: Order, qty: Decimal) -> None:
        """What one of two exits has filled is not wanted by the other any more."""
        for other in self.orders:
            if other.oco == order.oco and other.id != order.id:
                self.wanted[other.id] = max(ZERO, (self.wanted[other.id] or ZERO) - qty)

    def _drawn(self, order: Order, qty: Decimal, price: Decimal) -> Decimal:
        if qty < 2 or order.time_in_force == "fok":
            return qty
        text = f"{self.rules.seed}|{order.created_at.isoformat()}|{self.moment.isoformat()}|{price}"
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        u, v = (Decimal(int.from_bytes(half)) / 2**64 for half in (digest[:8], digest[8:]))
        return max(_ONE, (qty * v).to_integral_value(ROUND_DOWN)) if u < self.rules.partial else qty
