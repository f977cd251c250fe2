"""Rules on the order itself: its numbers, its symbol, and which type, class and time in force go together when.

What the broker takes: https://docs.alpaca.markets/us/docs/orders-at-alpaca
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.execution.brokers.ticks import on_tick
from workbench.execution.risk.exposure import positive
from workbench.execution.risk.instrument import Kind
from workbench.execution.risk.limits import RefusalCode
from workbench.execution.risk.refusal import Refusal, refuse
from workbench.market.hours import Phase
from workbench.market.order import OrderClass, OrderType, OrderWish, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from workbench.execution.risk.exposure import Exposure

_T, _F, _C = OrderType, TimeInForce, OrderClass
PRICES = (
    "limit_price",
    "stop_price",
    "reference_price",
    "trail_price",
    "trail_percent",
    "take_profit_price",
    "stop_loss_price",
    "stop_loss_limit_price",
)
_ON_TICK = ("limit_price", "stop_price", "take_profit_price", "stop_loss_price", "stop_loss_limit_price")
_TYPES = {
    Kind.STOCK: frozenset(_T),
    Kind.OPTION: frozenset({_T.MARKET, _T.LIMIT}),
    Kind.CRYPTO: frozenset({_T.MARKET, _T.LIMIT, _T.STOP_LIMIT}),
}
_TIMES = {
    Kind.STOCK: frozenset(_F),
    Kind.OPTION: frozenset({_F.DAY}),
    Kind.CRYPTO: frozenset({_F.GTC, _F.IOC}),
}
_LIMITED = frozenset({_T.LIMIT, _T.STOP_LIMIT})
_STOPPED = frozenset({_T.STOP, _T.STOP_LIMIT})
_TRIGGERED = _STOPPED | {_T.TRAILING_STOP}
_TRIGGERED_TIMES = frozenset({_F.DAY, _F.GTC, _F.IOC})  # ioc: a stop limit of a crypto pair
_EXITS = {_C.BRACKET: 2, _C.OCO: 2, _C.OTO: 1}  # how many exits a class has
_FEWEST_LEGS, _MOST_LEGS = 2, 4


def numbers(now: Exposure, wish: OrderWish) -> Refusal | None:
    """Every number of the wish and of the book is finite; quantities and prices are > 0."""
    if (qty := wish.qty) is None or positive(qty) is None:
        message = f"qty={qty} is not a finite number > 0"
        return refuse(wish, RefusalCode.NOT_A_NUMBER, message, "finite and > 0", field="qty", value=str(qty))
    for name in PRICES:
        value = getattr(wish, name)
        if value is None or positive(value) is not None:
            continue
        if name == "limit_price" and wish.order_class is _C.MLEG and value.is_finite():
            continue  # a credit is a limit below zero
        message = f"{name}={value} is not a finite number > 0"
        return refuse(wish, RefusalCode.NOT_A_NUMBER, message, "finite and > 0", field=name, value=str(value))
    for name in ("cash", "value", "buying_power"):
        value = getattr(now, name)
        if value is not None and not value.is_finite():
            message = f"the book's {name}={value} is not a finite number"
            return refuse(wish, RefusalCode.NOT_A_NUMBER, message, "finite", field=name, value=str(value))
    return None


def symbols(now: Exposure, wish: OrderWish) -> Refusal | None:
    """The symbol is allowed, and not denied."""
    allow, deny = now.limits.allow, now.limits.deny
    if allow is not None and wish.symbol not in allow:
        message = f"it is not among the {len(allow)} allowed symbols"
        return refuse(wish, RefusalCode.SYMBOL_NOT_ALLOWED, message, "allow", allowed=sorted(allow))
    if wish.symbol in deny:
        return refuse(wish, RefusalCode.SYMBOL_DENIED, "it is denied", "deny", denied=sorted(deny))
    return None


def form(now: Exposure, wish: OrderWish) -> Refusal | None:
    """Type, class, time in force and prices go together, for this kind of symbol."""
    kind = Kind.OPTION if wish.order_class is _C.MLEG else now.kind(wish.symbol)
    wrong = next(_wrong(wish, kind), "")
    if not wrong:
        return None
    facts = {"type": wish.type.value, "class": wish.order_class.value, "time_in_force": wish.time_in_force.value}
    return refuse(wish, RefusalCode.ORDER_FORM, wrong, "order form", kind=kind.value, **facts)


def lot(now: Exposure, wish: OrderWish) -> Refusal | None:
    """The quantity is a multiple of the lot; contracts are whole, and parts of a share only where they are taken."""
    least = now.limits.lot
    if wish.qty % least:
        message = f"its quantity is not a multiple of {least}"
        return refuse(wish, RefusalCode.LOT, message, "lot", qty=wish.qty, lot=least)
    if wish.qty == wish.qty.to_integral_value():
        return None
    kind = now.kind(wish.symbol)
    wrong = ""
    if kind is Kind.OPTION or wish.order_class is _C.MLEG:
        wrong = "contracts cannot be split"
    elif kind is Kind.STOCK and wish.time_in_force is not _F.DAY:
        wrong = f"parts of a share trade with time in force day, not {wish.time_in_force.value}"
    elif kind is Kind.STOCK and wish.order_class is not _C.SIMPLE:
        wrong = f"parts of a share cannot trade in an order of class {wish.order_class.value}"
    elif kind is Kind.STOCK and wish.type is _T.TRAILING_STOP:
        wrong = "parts of a share cannot trade in a trailing stop"
    return refuse(wish, RefusalCode.LOT, wrong, "whole quantity", qty=wish.qty) if wrong else None


def tick(now: Exposure, wish: OrderWish) -> Refusal | None:
    """Every price that is sent is on the tick: 2 decimals from 1, 4 below; options always 2."""
    kind = now.kind(wish.symbol)
    if kind is Kind.CRYPTO:
        return None
    for name in _ON_TICK:
        price: Decimal | None = getattr(wish, name)
        if price is None:
            continue
        off = price != round(price, 2) if kind is Kind.OPTION else price != on_tick(price, up=True)
        if off:
            step = "0.01" if kind is Kind.OPTION or abs(price) >= 1 else "0.0001"
            message = f"{name}={price} is not a multiple of {step}"
            return refuse(wish, RefusalCode.TICK, message, "tick", field=name, price=price, tick=float(step))
    return None


def session(now: Exposure, wish: OrderWish) -> Refusal | None:
    """The order can work in this phase of trading. Not checked where the phase is not known, nor for crypto."""
    if now.phase is None or now.kind(wish.symbol) is Kind.CRYPTO:
        return None
    phase, wrong = now.phase, ""
    if wish.time_in_force is _F.OPG:
        wrong = (
            "an order for the opening auction is not taken from 2 minutes before it until 19:00"
            if now.opg is False
            else ""
        )
    elif wish.time_in_force is _F.CLS:
        wrong = (
            "an order for the closing auction is not taken from 10 minutes before it until 19:00"
            if now.cls is False
            else ""
        )
    elif phase is Phase.REGULAR:
        return None
    elif wish.extended_hours:
        wrong = "no session is open, not even an extended one" if phase is Phase.CLOSED else ""
    elif not now.limits.allow_queued:
        how = (
            "a limit order for the day with extended_hours"
            if phase is not Phase.CLOSED
            else "it when a session is open"
        )
        wrong = f"it would wait for the next open; outside the regular session send {how}"
    if not wrong:
        return None
    return refuse(
        wish, RefusalCode.OUTSIDE_HOURS, f"{wrong} (the phase is {phase.value})", "session", phase=phase.value
    )


def _wrong(wish: OrderWish, kind: Kind) -> Iterator[str]:
    """Everything that is wrong with the form of a wish, in words."""
    simple = wish.order_class is _C.SIMPLE
    yield from _time(wish, kind)
    yield from _prices(wish)
    if wish.extended_hours:
        yield from _extended(wish, kind)
    if not simple or wish.take_profit_price is not None or wish.stop_loss_price is not None:
        yield from _exits(wish, kind)
    if wish.order_class is _C.MLEG:
        yield from _legs(wish)
    elif wish.legs:
        yield "only an mleg order has legs"


def _time(wish: OrderWish, kind: Kind) -> Iterator[str]:
    what = f"a {wish.type.value} order"
    if wish.type not in _TYPES[kind]:
        yield f"{what} is not taken for {kind.value}s"
    if wish.time_in_force not in _TIMES[kind]:
        yield f"time in force {wish.time_in_force.value} is not taken for {kind.value}s"
    if wish.type in _TRIGGERED and wish.time_in_force not in _TRIGGERED_TIMES:
        yield f"{what} cannot be {wish.time_in_force.value}"


def _prices(wish: OrderWish) -> Iterator[str]:
    what = f"a {wish.type.value} order"
    has_limit = wish.limit_price is not None or (wish.order_class is _C.OCO and wish.take_profit_price is not None)
    if wish.type in _LIMITED and not has_limit:
        yield f"{what} needs limit_price"
    if wish.type not in _LIMITED and wish.limit_price is not None:
        yield f"{what} has no limit_price"
    if wish.type in _STOPPED and wish.stop_price is None:
        yield f"{what} needs stop_price"
    if wish.type not in _STOPPED and wish.stop_price is not None:
        yield f"{what} has no stop_price"
    trails = (wish.trail_price is not None) + (wish.trail_percent is not None)
    if wish.type is _T.TRAILING_STOP and trails != 1:
        yield f"{what} needs one of trail_price and trail_percent"
    if wish.type is not _T.TRAILING_STOP and trails:
        yield f"{what} has neither trail_price nor trail_percent"


def _extended(wish: OrderWish, kind: Kind) -> Iterator[str]:
    if wish.type is not _T.LIMIT or wish.time_in_force is not _F.DAY:
        yield "extended_hours needs a limit order for the day"
    if kind is not Kind.STOCK:
        yield f"extended_hours is not taken for {kind.value}s"


def _exits(wish: OrderWish, kind: Kind) -> Iterator[str]:
    what = f"an order of class {wish.order_class.value}"
    exits = (wish.take_profit_price is not None) + (wish.stop_loss_price is not None)
    needed = _EXITS.get(wish.order_class, 0)
    if exits != needed:
        yield f"{what} has {needed} of take_profit_price and stop_loss_price, not {exits}"
    if wish.stop_loss_limit_price is not None and wish.stop_loss_price is None:
        yield "stop_loss_limit_price needs stop_loss_price"
    if not needed:
        return
    if kind is not Kind.STOCK:
        yield f"{what} is not taken for {kind.value}s"
    if wish.time_in_force not in {_F.DAY, _F.GTC}:
        yield f"{what} is for the day or gtc"
    if wish.extended_hours:
        yield f"{what} works in the regular session only"
    if wish.order_class is _C.OCO and wish.type is not _T.LIMIT:
        yield f"{what} is of type limit"


def _legs(wish: OrderWish) -> Iterator[str]:
    if not _FEWEST_LEGS <= len(wish.legs) <= _MOST_LEGS:
        yield f"an mleg order has {_FEWEST_LEGS} to {_MOST_LEGS} legs, not {len(wish.legs)}"
        return
    if len({leg.symbol for leg in wish.legs}) < len(wish.legs):
        yield "the legs of an mleg order are of different contracts"
    if any(leg.ratio < 1 for leg in wish.legs):
        yield "the ratio of a leg is at least 1"
    elif (common := math.gcd(*(leg.ratio for leg in wish.legs))) > 1:
        yield f"the ratios of the legs have the common divisor {common}; reduce them"
