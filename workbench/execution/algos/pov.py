"""POV: a stated share of the volume that really trades, our own prints not counted as the market's."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from workbench.execution.algos.schedule import ZERO, down_to_lot, in_lots, number


def pov(
    rate: float | Decimal,
    others: Decimal,
    *,
    own: Decimal,
    remaining: Decimal,
    lot: Decimal = Decimal(1),
    max_child: Decimal | None = None,
) -> Decimal:
    """How many shares to order now, so that own / (own + others) comes to `rate`: 0 when that is less than a lot.

    Target of our own volume: ρ/(1−ρ) · others. A rate of 10 % of which the others traded 9,000 makes 1,000. ρ · others
    would be too little, and counting our own prints as the market's would chase its own tail.

    Args:
        rate: ρ in (0, 1).
        others: shares that others have traded since the start, ≥ 0; our own prints taken out.
        own: shares that we have filled since the start, ≥ 0.
        remaining: shares that may still be ordered, ≥ 0 and a multiple of `lot`; the result is never above it.
        max_child: most shares of one order; no such bound when None.

    Raises:
        AlgorithmRefused: a number is not finite or outside its bounds. An unknown volume is no number: do not call.
    """
    number(rate, "rate", above=0, below=1)
    number(others, "others", above=ZERO, including=True)
    number(own, "own", above=ZERO, including=True)
    in_lots(remaining, lot)
    if max_child is not None:
        number(max_child, "max_child", above=ZERO)
    share = Fraction(str(rate)) if isinstance(rate, float) else Fraction(rate)
    target = share / (1 - share) * Fraction(others)
    lots = (target - Fraction(own)) // Fraction(lot)
    wanted = max(ZERO, Decimal(int(lots)) * lot)
    most = remaining if max_child is None else min(remaining, down_to_lot(max_child, lot))
    return min(wanted, most)
