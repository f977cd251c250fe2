"""Portions: many values, so many at a time, because a question has room for so many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def portions(values: Sequence[T], most: int) -> Iterator[tuple[T, ...]]:
    """The values in their order, at most `most` of them at a time; nothing where there are none."""
    for begin in range(0, len(values), most):
        yield tuple(values[begin : begin + most])
