"""One step of an account's time: match its orders where a bar opens or closes, book the fills, let orders expire."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from workbench.exchange.accounts.expiration import expire
from workbench.exchange.accounts.pending import settle
from workbench.exchange.clock import Step, StepKind
from workbench.exchange.matching import matching
from workbench.exchange.matching.legs import legs_at_print
from workbench.exchange.state.order import ZERO

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.exchange.accounts.booking import Booking
    from workbench.exchange.market.market import Market
    from workbench.exchange.matching.matching import Bar
    from workbench.exchange.state.records import SymbolFacts

_EARLIER = dt.timedelta(microseconds=1)


def play(
    booking: Booking,
    step: Step,
    *,
    market: Market,
    rules: matching.Rules,
    facts: Mapping[str, SymbolFacts],
    taken: Callable[[str, dt.datetime], Decimal],
) -> None:
    """Move the account to `step.moment`: what arrives or expires before it, the matching, what expires at it.

    Args:
        taken: (symbol, since): shares that the account filled since then, for volume that was used before a restart.
    """
    account, moment = booking.account, step.moment
    pass_time(booking, moment - _EARLIER)
    account.move(moment)
    opening = step.kind is StepKind.OPEN
    combined = False
    for symbol in account.orders.symbols():
        if not symbol:
            combined = True
            continue
        if symbol in facts and facts[symbol].halted:
            continue
        bar = market.bar(symbol, step)
        if bar is None:
            continue
        used = _used(booking, bar, taken)
        event = matching.at_open if opening else matching.at_close
        outcome = event(
            account.orders.of(symbol), bar, rules=rules, used=used, auction=step.first if opening else step.last
        )
        booking.book(outcome, moment)
        if bar.volume is not None and outcome.matches:
            filled = sum((match.qty for match in outcome.matches), ZERO)
            account.taken[symbol] = (bar.opens_at, used + filled)
    if combined:
        _play_legs(booking, step, market=market, rules=rules, facts=facts, taken=taken)
    pass_time(booking, moment)
    if step.last:
        expire(booking, step, market)


def pass_time(booking: Booking, until: dt.datetime) -> None:
    """What happens without any price: changes on their way arrive, orders expire."""
    account = booking.account
    if until < account.now:
        return
    settle(booking, until)
    for order in account.orders:
        if order.expires_at is not None and order.expires_at <= until and account.orders.get(order.id) is not None:
            booking.end(order, "expired", order.expires_at)


def _used(booking: Booking, bar: Bar, taken: Callable[[str, dt.datetime], Decimal]) -> Decimal:
    """Shares of the bar's volume that the account took already."""
    if bar.volume is None:
        return ZERO
    known = booking.account.taken.get(bar.symbol)
    if known is None or known[0] != bar.opens_at:
        known = booking.account.taken[bar.symbol] = (bar.opens_at, taken(bar.symbol, bar.opens_at))
    return known[1]


def _play_legs(
    booking: Booking,
    step: Step,
    *,
    market: Market,
    rules: matching.Rules,
    facts: Mapping[str, SymbolFacts],
    taken: Callable[[str, dt.datetime], Decimal],
) -> None:
    """The multi-leg orders, after the single ones: at prints that all their legs have."""
    account = booking.account
    for order in account.orders.of(""):
        if order.active_from is None or order.active_from >= step.moment:
            continue
        legs = account.family(order.id)
        prices: dict[str, Decimal] = {}
        room: dict[str, Decimal | None] = {}
        for leg in legs:
            bar = None if leg.symbol in facts and facts[leg.symbol].halted else market.bar(leg.symbol, step)
            price = None if bar is None else bar.open if step.kind is StepKind.OPEN else bar.close
            if bar is None or price is None:
                break
            prices[leg.symbol] = price
            room[leg.symbol] = None
            if bar.volume is not None:
                whole = (bar.volume * rules.participation).to_integral_value(ROUND_DOWN)
                room[leg.symbol] = max(ZERO, whole - _used(booking, bar, taken))
        if not legs or len(prices) < len(legs):
            continue
        matches = legs_at_print(order, legs, prices, room=room, rules=rules)
        if not matches:
            continue
        booking.fill_legs(order, matches, step.moment)
        for leg, match in zip(legs, matches, strict=False):
            if leg.symbol in account.taken:
                since, used = account.taken[leg.symbol]
                account.taken[leg.symbol] = (since, used + match.qty)
