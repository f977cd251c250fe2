"""Prices on the broker's grid: every price is put on a tick before it is sent, and never to our disadvantage."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from workbench.market.order import Side

_CENT = Decimal("0.01")
_BELOW_A_DOLLAR = Decimal("0.0001")


def on_tick(price: Decimal, *, up: bool) -> Decimal:
    """`price` on Alpaca's grid: 2 decimals from $1, 4 below; rounded up or down, never to the nearest."""
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    step = _CENT if abs(price) >= 1 else _BELOW_A_DOLLAR
    return price.quantize(step, rounding=rounding)


def limit_on_tick(price: Decimal | None, side: Side) -> Decimal | None:
    """A limit on the tick, never worse for us than wished: a buy is rounded down, a sell up."""
    return None if price is None else on_tick(price, up=side is Side.SELL)


def stop_on_tick(price: Decimal | None, side: Side) -> Decimal | None:
    """A stop on the tick that never triggers earlier than wished: a buy is rounded up, a sell down."""
    return None if price is None else on_tick(price, up=side is Side.BUY)


def net_on_cent(price: Decimal | None) -> Decimal | None:
    """The net limit of a multi-leg options order in cents: never pays more, never takes less (a credit is negative)."""
    return None if price is None else price.quantize(_CENT, rounding=ROUND_FLOOR)


def trail_on_cent(distance: Decimal | None) -> Decimal | None:
    """The distance of a trailing stop in cents, never nearer than wished."""
    return None if distance is None else distance.quantize(_CENT, rounding=ROUND_CEILING)
