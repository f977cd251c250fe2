"""TWAP: equal quantities in equal slots of time."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from workbench.execution.algos.schedule import Slice, Span, planned


def twap(qty: Decimal, span: Span, *, lot: Decimal = Decimal(1)) -> tuple[Slice, ...]:
    """The schedule of a time-weighted average price: q_i = Q · d_i / T, in whole lots, d_i the length of slot i.

    All slots are `span.interval` long but the last, which ends with the span; 1000 shares in 7 equal slots are 143 six
    times and 142 once. The leftover is spread over the slots (largest remainder), never put into one slice more.

    Args:
        qty: shares > 0, a multiple of `lot`.

    Raises:
        AlgorithmRefused: `qty` or `lot` is not finite, not > 0, or they do not fit; nothing is taken for 0.
    """
    return planned(qty, span, lengths(span), lot=lot)


def lengths(span: Span) -> list[float]:
    """Seconds of each slot: the weights of the slices."""
    return [(end - start).total_seconds() for start, end in pairwise(span.edges)]
