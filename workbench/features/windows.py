"""Features of a window: a function of the newest rows only, so that it forgets exactly what lies before them.

A formula is written once, for arrays whose last axis is the window. In batch it sees all windows of a column, in a
stream the one that ends now.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Reduced = Any  # what numpy says of a mean along an axis: an array, or a number
Formula = Callable[..., Reduced]
_CHUNK = 1 << 17  # values of a window matrix at a time: one megabyte stays in the cache


@dataclass(frozen=True, slots=True)
class Windows:
    """A formula over the newest `rows` rows.

    Attributes:
        rows: how many, for given arguments.
        formula: from one array (…, rows) per field, in the order of the fields, and the arguments, to an array (…).
            What is not finite becomes NaN.
        whole: a faster way to the same numbers over whole columns, where there is one.
    """

    rows: Callable[..., float]
    formula: Formula
    exact: bool = False
    whole: Callable[..., Floats] | None = None

    def batch(self, columns: tuple[Floats, ...], arguments: tuple[float, ...]) -> Floats:
        """Rows without a whole window are NaN."""
        rows, count = self._rows(arguments), len(columns[0])
        found = np.full(count, np.nan)
        if count < rows:
            return found
        if self.whole is not None:
            found[rows - 1 :] = self.whole(*columns, *arguments)[rows - 1 :]
            found[~np.isfinite(found)] = np.nan
            return found
        views = [np.lib.stride_tricks.sliding_window_view(column, rows) for column in columns]
        step = max(1, _CHUNK // rows)
        with np.errstate(all="ignore"):
            for first in range(0, count - rows + 1, step):
                part = self.formula(*(view[first : first + step] for view in views), *arguments)
                found[rows - 1 + first : rows - 1 + first + len(part)] = part
        found[~np.isfinite(found)] = np.nan
        return found

    def newest(self, columns: tuple[Floats, ...], arguments: tuple[float, ...]) -> float:
        """One window only."""
        rows = self._rows(arguments)
        if len(columns[0]) < rows:
            return math.nan
        return self.at(tuple(column[-rows:] for column in columns), arguments)

    def at(self, window: tuple[Floats, ...], arguments: tuple[float, ...]) -> float:
        """The value of one whole window."""
        with np.errstate(all="ignore"):
            value = float(self.formula(*window, *arguments))
        return value if math.isfinite(value) else math.nan

    def steps(self, arguments: tuple[float, ...]) -> WindowSteps:
        """An empty window."""
        return WindowSteps(self, arguments, self._rows(arguments))

    def _rows(self, arguments: tuple[float, ...]) -> int:
        return int(self.rows(*arguments))


class WindowSteps:
    """The newest rows of each field. A buffer of twice the window, so that they always lie next to each other."""

    __slots__ = ("_arguments", "_buffers", "_end", "_rows", "_windows")

    def __init__(self, windows: Windows, arguments: tuple[float, ...], rows: int) -> None:
        self._windows = windows
        self._arguments = arguments
        self._rows = rows
        self._end = 0
        self._buffers: tuple[Floats, ...] = ()

    def begin(self, columns: tuple[Floats, ...]) -> float:
        """Only the newest rows matter."""
        self._open(len(columns))
        kept = min(self._rows, len(columns[0]))
        for buffer, column in zip(self._buffers, columns, strict=True):
            buffer[:kept] = column[len(column) - kept :]
        self._end = kept
        return self._value()

    def push(self, values: tuple[float, ...]) -> float:
        """The window moves by one."""
        self._put(values)
        self._end += 1
        return self._value()

    def peek(self, values: tuple[float, ...]) -> float:
        """The place after the newest row is written twice: now, and by the next push."""
        self._put(values)
        self._end += 1
        value = self._value()
        self._end -= 1
        return value

    def _put(self, values: tuple[float, ...]) -> None:
        if not self._buffers:
            self._open(len(values))
        end, keep = self._end, self._rows - 1
        if end == 2 * self._rows:
            for buffer in self._buffers:
                buffer[:keep] = buffer[end - keep :]
            end = self._end = keep
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer[end] = value

    def _open(self, fields: int) -> None:
        self._buffers = tuple(np.empty(2 * self._rows) for _ in range(fields))

    def _value(self) -> float:
        first = self._end - self._rows
        if first < 0:
            return math.nan
        return self._windows.at(tuple(buffer[first : self._end] for buffer in self._buffers), self._arguments)
