"""Watched exits of one holding: whether its stop, its trailing stop or its target is reached. Pure: no clock, no store.

Source of the rules: the stop of a long holding lies below its price, its target above; a short holding mirrors both.
"""

from __future__ import annotations

from decimal import Decimal


def reached(
    qty: Decimal,
    price: Decimal,
    *,
    stop: Decimal | None = None,
    target: Decimal | None = None,
    best: Decimal | None = None,
    trailing: Decimal | None = None,
) -> str:
    """Why a holding of `qty` shares (signed, not 0) must be sold at `price`; empty when it need not be.

    A price exactly at a bound has reached it. Where several are reached at once, the loss comes first.

    Args:
        stop, target: currency per share; None: there is none.
        best: the best price since the holding was opened (the lowest for a short one).
        trailing: largest fraction that the price may fall behind `best`; None: it is not watched.
    """
    side = 1 if qty > 0 else -1
    if stop is not None and side * (price - stop) <= 0:
        return f"stop loss: {price} has reached {stop}"
    if best is not None and trailing is not None:
        bound = best * (1 - side * trailing)
        if side * (price - bound) <= 0:
            return f"trailing stop: {price} is {trailing:.2%} behind the best price {best}"
    if target is not None and side * (price - target) >= 0:
        return f"take profit: {price} has reached {target}"
    return ""


def better(qty: Decimal, best: Decimal | None, price: Decimal) -> Decimal:
    """The best of the best price so far and this one, for a holding of `qty` shares (signed, not 0)."""
    if best is None:
        return price
    return max(best, price) if qty > 0 else min(best, price)
