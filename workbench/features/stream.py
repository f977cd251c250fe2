"""Stream: a feature's state of one symbol that takes one bar after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NoReturn, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Steps(Protocol):
    """What a way of computing keeps between bars; it is only handed bars without gaps."""

    def begin(self, columns: tuple[Floats, ...]) -> float:
        """Take a whole history at once, before any bar; the value at its last row."""

    def push(self, values: tuple[float, ...]) -> float:
        """Take one bar; the value there, NaN until there are enough."""

    def peek(self, values: tuple[float, ...]) -> float:
        """The value that `push` would give; nothing is taken."""


class Stream:
    """The values of one feature and one symbol, bar by bar. Two streams share nothing.

    Attributes:
        value: at the newest bar taken; NaN until there are enough bars.
        bars: how many bars were taken; those with a gap do not count.
    """

    __slots__ = ("_fields", "_steps", "_warm_up", "bars", "value")

    def __init__(self, fields: tuple[str, ...], steps: Steps, warm_up: int) -> None:
        self._fields = fields
        self._steps = steps
        self._warm_up = warm_up
        self.bars = 0
        self.value = math.nan

    def update(self, bar: Mapping[str, float]) -> float:
        """Take a bar (values by field) and return the value there.

        A bar that lacks a field, or has one that is not finite, is a gap: NaN is returned, and the state stays as it
        was, as in `values` and `over` of the batch.
        """
        values = self._read(bar)
        if values is None:
            return math.nan
        self.bars += 1
        self.value = self._steps.push(values)
        return self.value

    def peek(self, bar: Mapping[str, float]) -> float:
        """What `update` would return; the state stays as it was. For a bar that is not complete yet."""
        values = self._read(bar)
        return math.nan if values is None else self._steps.peek(values)

    @property
    def warm(self) -> bool:
        """Whether the value no longer depends on which bar came first."""
        return self.bars > self._warm_up

    def begin(self, columns: Mapping[str, Floats]) -> float:
        """Take the history of a fresh stream at once, bars with a gap left out; the value at its last bar.

        Raises:
            RuntimeError: bars were taken already.
        """
        if self.bars:
            raise RuntimeError(f"the stream has taken {self.bars} bars already; begin a fresh one")
        taken = [columns[field] for field in self._fields]
        known = np.logical_and.reduce([np.isfinite(column) for column in taken])
        self.bars = int(known.sum())
        if self.bars:
            self.value = self._steps.begin(tuple(np.ascontiguousarray(column[known]) for column in taken))
        return self.value

    def _read(self, bar: Mapping[str, float]) -> tuple[float, ...] | None:
        values = tuple([float(bar.get(field, math.nan)) for field in self._fields])
        # A sum is not finite where one of its parts is not; bars are far from where it could overflow.
        return values if math.isfinite(sum(values)) else None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stream cannot be pickled; keep its bars, and begin it again with feature.stream(history)")
