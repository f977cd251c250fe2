"""What a router is asked, and what follows from it before any rule: phase, time left, part of a day's volume."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property

from workbench.errors import ParameterError
from workbench.execution.algos.vwap import VolumeProfile
from workbench.execution.brokers.ticks import limit_on_tick
from workbench.execution.risk.instrument import Kind, kind_of
from workbench.execution.routing.plan import RoutePlan, RouteRules, Urgency
from workbench.market import hours
from workbench.market.hours import Phase
from workbench.market.order import OrderClass, OrderType, OrderWish, Side, TimeInForce

_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Asked:
    """One question, and what follows from it before any rule."""

    wish: OrderWish
    moment: dt.datetime
    venue: str
    price: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    adv: Decimal | None
    profile: VolumeProfile | None
    urgency: Urgency
    rules: RouteRules

    @cached_property
    def kind(self) -> Kind:
        return kind_of(self.wish.symbol)

    @cached_property
    def phase(self) -> Phase:
        return hours.phase_at(self.venue, self.moment)

    @cached_property
    def next_regular(self) -> dt.datetime:
        """The next regular open after the moment."""
        return hours.TradingWindow(venue=self.venue).next_open(self.moment)

    @cached_property
    def minutes_left(self) -> float:
        """Minutes to the end of this phase."""
        return (self.ends - self.moment).total_seconds() / 60

    @cached_property
    def ends(self) -> dt.datetime:
        return hours.next_change(self.venue, self.moment)[0]

    @cached_property
    def opens(self) -> dt.datetime:
        """The regular open of the session that runs."""
        session = hours.session_at(self.venue, self.moment)
        regular = [] if session is None else [s for s in hours.spans(self.venue, session) if s.phase is Phase.REGULAR]
        return regular[0].start if regular else self.moment

    @property
    def whole(self) -> bool:
        return self.wish.qty == self.wish.qty.to_integral_value()

    @property
    def plain(self) -> bool:
        """Whether it leaves the choice to the router: a simple market or limit order."""
        return self.wish.order_class is OrderClass.SIMPLE and self.wish.type in {OrderType.MARKET, OrderType.LIMIT}

    @cached_property
    def part(self) -> Decimal | None:
        """The quantity as a part of an average day's volume; None where that is not known."""
        return None if self.adv is None else self.wish.qty / self.adv

    @cached_property
    def span(self) -> tuple[dt.datetime, dt.datetime] | None:
        """From when to when a schedule could run; None where there is no time for one."""
        rules = self.rules
        last = self.ends - dt.timedelta(minutes=rules.last_minutes)
        ends = min(self.moment + dt.timedelta(seconds=rules.horizon_seconds), last)
        long_enough = (ends - self.moment).total_seconds() >= 2 * rules.interval_seconds
        possible = long_enough and self.kind is Kind.STOCK and self.whole
        return (self.moment, ends) if possible else None

    @property
    def own_side(self) -> Decimal | None:
        """Where a patient order waits: the bid of a purchase, the ask of a sale, else the newest price."""
        near = self.bid if self.wish.side is Side.BUY else self.ask
        return self.price if near is None else near

    def on_tick(self, limit: Decimal | None) -> Decimal | None:
        """A limit on the broker's grid, never worse for us. Raises ParameterError when it is below the first tick."""
        if limit is None or self.kind is Kind.CRYPTO:
            return limit
        exact = limit_on_tick(limit, self.wish.side)
        if self.kind is Kind.OPTION:
            exact = limit.quantize(_CENT, rounding=ROUND_FLOOR if self.wish.side is Side.BUY else ROUND_CEILING)
        if not exact:
            raise ParameterError(
                f"a limit of {limit} for {self.wish.symbol} is below the smallest tick; nothing was routed.",
                remedy="look at the price; the broker takes no order at 0.",
            )
        return exact

    def order(self, **changes: object) -> OrderWish:
        """The wish as an order of the day in the regular session, with these changes."""
        named: dict[str, object] = {"time_in_force": TimeInForce.DAY, "extended_hours": False, **changes}
        return dataclasses.replace(self.wish, **named)  # type: ignore[arg-type]

    def collared(self, time_in_force: TimeInForce, *, extended_hours: bool = False) -> tuple[OrderWish, str]:
        """A limit order that can fill at once and not much worse than now, never worse than the wish's own limit."""
        side, own, collar = self.wish.side, self.wish.limit_price, self.rules.collar
        near, name = (self.ask, "ask") if side is Side.BUY else (self.bid, "bid")
        base, name = (near, name) if near is not None else (self.price, "newest price")
        if base is None:
            if own is None:
                market = self.order(type=OrderType.MARKET, limit_price=None, time_in_force=time_in_force)
                return market, "No price is known, so there is none to put a limit to: a market order."
            limit, said = own, f"The limit is the wish's own, {own:f}; no price is known to measure it by."
        else:
            limit = base * (1 + side.sign * collar)
            said = f"The limit lies {collar:.2%} beyond the {name} of {base:f}"
            if own is not None and side.sign * own < side.sign * limit:
                limit, said = (
                    own,
                    f"The limit is the wish's own, {own:f}, which is nearer than {collar:.2%} beyond {base:f}",
                )
            said += "."
        exact = self.on_tick(limit)
        named = {"type": OrderType.LIMIT, "limit_price": exact, "time_in_force": time_in_force}
        return self.order(**named, extended_hours=extended_hours), said

    def park(self, rule: str, until: dt.datetime, why: str) -> RoutePlan:
        """Nothing now; at `until` the wish is routed again."""
        order = self.order() if self.plain else self.wish
        return RoutePlan(rule, order, send_at=until, why=(why, f"It is parked until {until:%Y-%m-%d %H:%M} UTC."))

    def scheduled(self, rule: str, algorithm: str, why: str, **params: object) -> RoutePlan:
        """By an algorithm over `span`, each child bounded by the wish's own limit."""
        assert self.span is not None, "the rule has looked"
        starts, ends = self.span
        seconds = self.rules.interval_seconds
        own = self.wish.limit_price
        order = self.order(limit_price=self.on_tick(own))
        over = f"A slice every {seconds:g} s until {ends:%H:%M} UTC."
        named = {"interval_seconds": seconds, **params}
        return RoutePlan(
            rule, order, algorithm=algorithm, params=named, starts_at=starts, ends_at=ends, why=(why, over)
        )
