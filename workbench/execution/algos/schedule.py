"""Schedules: a quantity in lots over slots of time; the nouns and checks that all algorithms share."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Any

from workbench.errors import AlgorithmRefused

ZERO = Decimal(0)
MOST_SLICES = 2_000  # a slice every ten seconds of a session; more is a mistake in the interval


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of a schedule: `qty` shares (≥ 0) at the UTC moment `due_at`. `number` counts from 0."""

    number: int
    due_at: dt.datetime
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Span:
    """From `starts_at` to `ends_at` (UTC, with timezone) in slots of `interval`; the last slot may be shorter.

    Raises:
        AlgorithmRefused: a moment has no timezone, the span is not longer than one interval, or has too many slots.
    """

    starts_at: dt.datetime
    ends_at: dt.datetime
    interval: dt.timedelta

    def __post_init__(self) -> None:
        """Refuse a span that makes no schedule."""
        for name in ("starts_at", "ends_at"):
            if getattr(self, name).tzinfo is None:
                raise AlgorithmRefused(
                    f"{name}={getattr(self, name)} has no timezone; nothing was planned.", remedy="give UTC moments."
                )
        if self.interval <= dt.timedelta(0):
            raise AlgorithmRefused(
                f"interval={self.interval} must be > 0; nothing was planned.", remedy="give seconds between slices."
            )
        if self.horizon <= self.interval:
            raise AlgorithmRefused(
                f"the horizon {self.horizon} is not longer than interval={self.interval}; that is one order and no "
                "schedule. Nothing was planned.",
                remedy="end later, take a shorter interval, or place one order.",
                horizon_s=self.horizon.total_seconds(),
                interval_s=self.interval.total_seconds(),
            )
        if self.slots > MOST_SLICES:
            raise AlgorithmRefused(
                f"interval={self.interval} cuts {self.horizon} into {self.slots} slices; at most {MOST_SLICES} are "
                "planned. Nothing was.",
                remedy="take a longer interval.",
                slices=self.slots,
            )

    @property
    def horizon(self) -> dt.timedelta:
        """How long it lasts."""
        return self.ends_at - self.starts_at

    @property
    def slots(self) -> int:
        """How many slots it has, ≥ 2."""
        return -(-self.horizon // self.interval)

    @property
    def edges(self) -> tuple[dt.datetime, ...]:
        """The beginnings of the slots and the end of the last one, in UTC: `slots + 1` moments."""
        begins = (self.starts_at + number * self.interval for number in range(self.slots))
        return tuple(moment.astimezone(dt.UTC) for moment in (*begins, self.ends_at))


def split(
    qty: Decimal, weights: Sequence[float | Decimal | Fraction | int], *, lot: Decimal = Decimal(1)
) -> list[Decimal]:
    """`qty` in whole lots by weights; the parts add up to `qty` exactly, and none is below 0.

    Largest remainder (Hamilton's method): part i gets ⌊Q·w_i/Σw⌋ lots, and the lots that are left go one each to the
    parts with the largest fractions, earlier parts first where these are equal. 1000 in 7 equal parts is 143 six times
    and 142 once. Worked with fractions, so it is exact for every weight.

    Args:
        qty: shares, a multiple of `lot`.
        weights: ≥ 0, at least one of them > 0, in any unit. A weight that is not finite is refused, never taken for 0.

    Raises:
        AlgorithmRefused: a number is not finite, negative, or no multiple of the lot; or all weights are 0.
    """
    lots = int(in_lots(qty, lot) / lot)
    exact = [Fraction(w) if math.isfinite(w) and w >= 0 else None for w in weights]
    total = sum((w for w in exact if w is not None), Fraction(0))
    if None in exact or not total:
        raise AlgorithmRefused(
            f"weights={[float(w) for w in weights]} must be finite, ≥ 0 and not all 0; nothing was planned.",
            remedy="look at the volumes they come from.",
        )
    ideal = [lots * w / total for w in exact if w is not None]
    whole = [math.floor(part) for part in ideal]
    by_remainder = sorted(range(len(ideal)), key=lambda i: (whole[i] - ideal[i], i))
    for i in by_remainder[: lots - sum(whole)]:
        whole[i] += 1
    return [number * lot for number in whole]


def planned(
    qty: Decimal, span: Span, weights: Sequence[float | Decimal | Fraction | int], *, lot: Decimal
) -> tuple[Slice, ...]:
    """One slice per slot of the span, at the slot's beginning; see `split`."""
    parts = split(in_lots(qty, lot, positive=True), weights, lot=lot)
    return tuple(Slice(i, due, part) for i, (due, part) in enumerate(zip(span.edges[:-1], parts, strict=True)))


def in_lots(qty: Decimal, lot: Decimal, *, positive: bool = False) -> Decimal:
    """`qty` where it is ≥ 0 (`positive`: > 0) and a whole multiple of `lot` > 0.

    Raises:
        AlgorithmRefused: it is not, or one of them is not finite.
    """
    number(qty, "qty", above=ZERO, including=not positive)
    number(lot, "lot", above=ZERO)
    if qty % lot:
        raise AlgorithmRefused(
            f"qty={qty} is no multiple of lot={lot}; nothing was planned.",
            remedy=f"ask for {down_to_lot(qty, lot)} or {down_to_lot(qty, lot) + lot}.",
            qty=str(qty),
            lot=str(lot),
        )
    return qty


def down_to_lot(qty: Decimal, lot: Decimal) -> Decimal:
    """The largest multiple of `lot` that is not above `qty` (both finite and ≥ 0)."""
    return (qty / lot).to_integral_value(ROUND_DOWN) * lot


def number(value: Any, name: str, *, above: Any = None, below: Any = None, including: bool = False) -> Any:
    """`value` where it is a finite number > `above` and < `below` (`including`: the bounds are allowed).

    Raises:
        AlgorithmRefused: it is not; NaN, infinity and anything that is no number included.
    """
    known = isinstance(value, int | float | Decimal | Fraction) and not isinstance(value, bool) and math.isfinite(value)
    low = known and (above is None or value > above or (including and value == above))
    high = known and (below is None or value < below or (including and value == below))
    if not (low and high):
        sign = "=" if including else ""
        bounds = " and ".join([f">{sign} {above}"] * (above is not None) + [f"<{sign} {below}"] * (below is not None))
        raise AlgorithmRefused(
            f"{name}={value} must be a finite number{f' {bounds}' if bounds else ''}; nothing was planned.",
            remedy=f"give another {name}.",
            **{name: str(value)},
        )
    return value
