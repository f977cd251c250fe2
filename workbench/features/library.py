"""Features that TA-Lib computes: its batch functions and its stream objects give the same bits.

What TA-Lib cannot take is kept away from it: one NaN would poison its averages for ever, it refuses float32 and more
than one dimension, and a stream cannot be opened before there are enough bars.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Call:
    """One function of TA-Lib.

    Attributes:
        function: its name.
        inputs: positions among the feature's fields, in TA-Lib's order.
        output: which of its outputs, where it has several.
        arguments: from those of the feature to those of the function.
        first: the number of bars up to its first value, for the arguments of the feature.
    """

    function: str
    inputs: tuple[int, ...]
    arguments: Callable[..., tuple[float, ...]]
    first: Callable[..., float]
    output: int | None = None

    def options(self, arguments: tuple[float, ...]) -> list[float]:
        """As TA-Lib wants them: windows as integers, widths as floats."""
        return [int(value) if isinstance(value, int) else value for value in self.arguments(*arguments)]

    def of(self, answer: Any) -> Any:
        """The one output that is wanted."""
        return answer if self.output is None else answer[self.output]


@dataclass(frozen=True, slots=True)
class Library:
    """One call of TA-Lib, or several put together by arithmetic on each row.

    Attributes:
        calls: what is asked.
        combine: from their values, then the fields' values at the same row, then the arguments, to the value; for
            arrays and for plain numbers alike. None: the value of the one call.
    """

    calls: tuple[Call, ...]
    combine: Callable[..., Any] | None = None
    exact: bool = True

    def batch(self, columns: tuple[Floats, ...], arguments: tuple[float, ...]) -> Floats:
        """NaN before the first value of each call."""
        import talib

        count = len(columns[0])
        parts = []
        for call in self.calls:
            if count < call.first(*arguments):
                return np.full(count, np.nan)
            inputs = [columns[position] for position in call.inputs]
            parts.append(call.of(getattr(talib, call.function)(*inputs, *call.options(arguments))))
        return self._together(parts, columns, arguments)

    def newest(self, columns: tuple[Floats, ...], arguments: tuple[float, ...]) -> float:
        """TA-Lib remembers from the first row on, so all rows are needed."""
        found = self.batch(columns, arguments)
        return float(found[-1]) if len(found) else math.nan

    def steps(self, arguments: tuple[float, ...]) -> LibrarySteps:
        """Streams that are not open yet."""
        return LibrarySteps(self, arguments)

    def _together(self, parts: list[Floats], columns: tuple[Floats, ...], arguments: tuple[float, ...]) -> Floats:
        if self.combine is None:
            return parts[0]
        with np.errstate(all="ignore"):
            found = np.asarray(self.combine(*parts, *columns, *arguments), dtype=np.float64)
        found[~np.isfinite(found)] = np.nan
        return found

    def row(self, parts: list[float], values: tuple[float, ...], arguments: tuple[float, ...]) -> float:
        """The value at one row, from the calls' values there."""
        if self.combine is None:
            return parts[0]
        try:
            value = float(self.combine(*parts, *values, *arguments))
        except ZeroDivisionError:
            return math.nan
        return value if math.isfinite(value) else math.nan


class LibrarySteps:
    """One TA-Lib stream per call; until there are bars enough to open them all, the bars themselves."""

    __slots__ = ("_arguments", "_library", "_needed", "_streams", "_waiting")

    def __init__(self, library: Library, arguments: tuple[float, ...]) -> None:
        self._library = library
        self._arguments = arguments
        self._needed = int(max(call.first(*arguments) for call in library.calls))
        self._waiting: list[tuple[float, ...]] = []
        self._streams: list[Any] = []

    def begin(self, columns: tuple[Floats, ...]) -> float:
        """A stream is opened on the whole history at once."""
        if len(columns[0]) < self._needed:
            self._waiting = list(zip(*(column.tolist() for column in columns), strict=True))
            return math.nan
        import talib.stream

        parts = []
        for call in self._library.calls:
            inputs = [columns[position] for position in call.inputs]
            stream = getattr(talib.stream, call.function)(*inputs, *call.options(self._arguments))
            self._streams.append(stream)
            parts.append(float(call.of(stream.value)))
        self._waiting = []
        return self._library.row(parts, tuple(float(column[-1]) for column in columns), self._arguments)

    def push(self, values: tuple[float, ...]) -> float:
        """One update per call."""
        if self._streams:
            return self._ask("update", values)
        self._waiting.append(values)
        if len(self._waiting) < self._needed:
            return math.nan
        return self.begin(tuple(np.array(column) for column in zip(*self._waiting, strict=True)))

    def peek(self, values: tuple[float, ...]) -> float:
        """TA-Lib's own peek; before the streams are open, those of a copy."""
        if self._streams:
            return self._ask("peek", values)
        if len(self._waiting) + 1 < self._needed:
            return math.nan
        trial = LibrarySteps(self._library, self._arguments)
        return trial.begin(tuple(np.array(column) for column in zip(*self._waiting, values, strict=True)))

    def _ask(self, method: str, values: tuple[float, ...]) -> float:
        parts = [
            float(call.of(getattr(stream, method)(*[values[position] for position in call.inputs])))
            for call, stream in zip(self._library.calls, self._streams, strict=True)
        ]
        return self._library.row(parts, values, self._arguments)
