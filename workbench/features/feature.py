"""Feature: one named number per bar: its meaning, unit, fields, warm-up and source; in batch and streamed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import BadData, NoData, ParameterError
from workbench.features.parameter import Parameter, out_of_bounds
from workbench.features.stream import Stream

if TYPE_CHECKING:
    from workbench.features.stream import Steps
    from workbench.market.bars import Bars

Floats = npt.NDArray[np.float64]


class Calculation(Protocol):
    """How a feature is computed: over a whole column at once, at its newest row only, and bar by bar."""

    @property
    def exact(self) -> bool:
        """Whether batch and stream give the same bits; otherwise they agree to 1e-9."""

    def batch(self, columns: tuple[Floats, ...], arguments: tuple[float, ...]) -> Floats:
        """One value per row of gap-free columns; NaN where there is none yet."""

    def newest(self, columns: tuple[Floats, ...], arguments: tuple[float, ...]) -> float:
        """The last value of `batch`."""

    def steps(self, arguments: tuple[float, ...]) -> Steps:
        """A fresh state that takes one bar after the other."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A feature before its parameters are chosen.

    Attributes:
        name: unique, lower case.
        meaning: one sentence.
        unit: of the value; "fraction" is 0.01 for one per cent, "ratio" has none.
        fields: of the bars; `close` is always the first, because a bar without a close is no bar.
        parameters: in the order in which they are written: `macd(12, 26, 9)`.
        warm_up: bars before the one whose value no longer depends on where the history begins, to about 1e-9 of its
            scale, for given arguments.
        source: who defined it.
        calculation: how it is computed.
        complaint: for what concerns several parameters at once; text of what is wrong, or "".
    """

    name: str
    meaning: str
    unit: str
    fields: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    warm_up: Callable[..., float]
    source: str
    calculation: Calculation
    complaint: Callable[..., str] | None = None

    def of(self, *arguments: float, said: str = "") -> Feature:
        """The feature with these arguments; its defaults when none is given.

        Raises:
            ParameterError: their number is wrong, or one is out of bounds.
        """
        text = said or f"{self.name}({', '.join(f'{value:g}' for value in arguments)})"
        remedy = f"write e.g. {self.of_defaults()}."
        if not arguments:
            return Feature(self, tuple(float(one.default) for one in self.parameters))
        if len(arguments) != len(self.parameters):
            raise ParameterError(f"{text!r}: {self.name} takes {len(self.parameters) or 'no'} numbers.", remedy=remedy)
        for parameter, value in zip(self.parameters, arguments, strict=True):
            wrong = out_of_bounds(parameter, float(value))
            if wrong:
                raise ParameterError(f"{text!r}: {wrong}", remedy=remedy)
        wrong = self.complaint(*arguments) if self.complaint else ""
        if wrong:
            raise ParameterError(f"{text!r}: {wrong}", remedy=remedy)
        return Feature(self, tuple(float(value) for value in arguments))

    def of_defaults(self) -> str:
        """The text of the feature with its defaults, e.g. `rsi(14)`."""
        return str(Feature(self, tuple(float(one.default) for one in self.parameters)))


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature with its arguments, e.g. `rsi(14)`: what can be computed."""

    definition: Definition
    arguments: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Without arguments."""
        return self.definition.name

    @property
    def meaning(self) -> str:
        """One sentence."""
        return self.definition.meaning

    @property
    def unit(self) -> str:
        """Of the value."""
        return self.definition.unit

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the bars that are read, the close first."""
        return self.definition.fields

    @property
    def parameters(self) -> dict[str, float]:
        """The arguments by name."""
        return {one.name: value for one, value in zip(self.definition.parameters, self.arguments, strict=True)}

    @property
    def warm_up(self) -> int:
        """Bars until the value no longer depends on where the history begins, to about 1e-9 of its scale.

        Row `warm_up` of a history (counted from 0) has the same value wherever the history begins earlier. Values
        before that row are right for the history given, but another beginning would give others.
        """
        return math.ceil(self.definition.warm_up(*self.arguments))

    def batch(self, columns: Mapping[str, npt.ArrayLike]) -> Floats:
        """One value per bar.

        Args:
            columns: by field, each of shape (bar,), without NaN or infinity; other fields than those read are ignored.
                Numbers of other types (float32, integers) are converted.

        Returns:
            float64 of shape (bar,); NaN where there are too few bars, and where the formula has no finite answer (a
            division by zero). Never a number that stands for absence.

        Raises:
            NoData: a field is missing.
            BadData: a column is not one-dimensional, they differ in length, or one has a gap.
        """
        taken = tuple(_column(columns, field, str(self)) for field in self.fields)
        if len({len(column) for column in taken}) > 1:
            lengths = ", ".join(f"{field} {len(column)}" for field, column in zip(self.fields, taken, strict=True))
            raise BadData(f"{self}: the columns differ in length ({lengths}); nothing was computed.")
        for field, column in zip(self.fields, taken, strict=True):
            if not np.isfinite(column).all():
                raise BadData(
                    f"{self}: {int((~np.isfinite(column)).sum())} of {len(column)} values of {field} are not finite, "
                    "and one would spoil all that come after; nothing was computed.",
                    remedy="use values(bars, symbol) or over(bars), which take gaps out before.",
                )
        return self.definition.calculation.batch(taken, self.arguments)

    def newest(self, *columns: Floats) -> float:
        """The value at the newest bar, from one contiguous float64 array per field in the order of `fields`; unchecked.

        The same number as the last of `batch`, at the cost of one row where the feature looks at a window.
        """
        return self.definition.calculation.newest(columns, self.arguments)

    def stream(self, history: Mapping[str, npt.ArrayLike] | None = None) -> Stream:
        """A state of its own that takes one bar after the other, for one symbol; begun with a history where given.

        `update` gives what `batch` gives for the same row: the same bits where `exact`, else to 1e-9. A stream cannot
        be pickled: keep the bars, and begin it again from them.

        Args:
            history: columns as for `batch`, but gaps are allowed: bars with one are left out.
        """
        stream = Stream(self.fields, self.definition.calculation.steps(self.arguments), self.warm_up)
        if history is not None:
            stream.begin({field: _column(history, field, str(self)) for field in self.fields})
        return stream

    @property
    def exact(self) -> bool:
        """Whether batch and stream give the same bits."""
        return self.definition.calculation.exact

    def values(self, bars: Bars, symbol: str) -> pd.Series:
        """The values of one symbol over the bars in which all fields are known; others are left out, never filled.

        Raises:
            NoData: the bars do not have a field that is read, or not of this symbol.
        """
        columns = columns_of(bars, symbol, self.fields, name=str(self))
        known = _known([column.to_numpy(dtype=float) for column in columns.values()])
        taken = tuple(np.ascontiguousarray(column.to_numpy(dtype=float)[known]) for column in columns.values())
        computed = self.definition.calculation.batch(taken, self.arguments)
        return pd.Series(computed, index=bars.sessions[known], dtype=float)

    def over(self, bars: Bars, *, warm: bool = False) -> pd.DataFrame:
        """The values of all symbols (bar × symbol); NaN where a symbol has no bar, too few, or lacks a field.

        Args:
            bars: of any number of symbols. Each is computed over its own bars, gaps taken out.
            warm: NaN also where a symbol has no more than `warm_up` bars yet, so that no value depends on where the
                history begins.

        Raises:
            NoData: the bars have a field that is read for no symbol at all.
        """
        frames = []
        for field in self.fields:
            frame = getattr(bars, field)
            if frame is None:
                raise NoData(
                    f"{self} needs the {field}, which these bars do not have"
                    f"{' (close-only data)' if bars.close_only else ''}; nothing was computed.",
                    remedy="use features of the close, or a source with full bars.",
                )
            frames.append(frame.to_numpy(dtype=float))
        found = np.full(frames[0].shape, np.nan)
        for column in range(found.shape[1]):
            fields = [frame[:, column] for frame in frames]
            rows = np.flatnonzero(_known(fields))
            taken = tuple(np.ascontiguousarray(field[rows]) for field in fields)
            computed = self.definition.calculation.batch(taken, self.arguments)
            if warm:
                computed[: self.warm_up] = np.nan
            found[rows, column] = computed
        return pd.DataFrame(found, index=bars.close.index, columns=bars.close.columns)

    def __str__(self) -> str:
        inner = ", ".join(f"{value:g}" for value in self.arguments)
        return f"{self.name}({inner})" if inner else self.name


def columns_of(bars: Bars, symbol: str, fields: Sequence[str], *, name: str) -> dict[str, pd.Series]:
    """The fields of one symbol as they stand in the bars, for something called `name`.

    Raises:
        NoData: the bars do not have a field, or not of this symbol (one that never traded has all of them, empty).
    """
    never_traded = bool(bars.close[symbol].isna().all())
    columns: dict[str, pd.Series] = {}
    for field in fields:
        frame = getattr(bars, field)
        if frame is None or (bool(frame[symbol].isna().all()) and not never_traded):
            raise NoData(
                f"{name} needs the {field} of {symbol}, which these bars do not have"
                f"{' (close-only data)' if bars.close_only else ''}; nothing was computed.",
                remedy="use indicators of the close (rsi, macd, sma, ema, bb_…) or a source with full bars.",
            )
        columns[field] = frame[symbol]
    return columns


def _known(fields: Sequence[Floats]) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = np.logical_and.reduce([np.isfinite(field) for field in fields])
    return known


def _column(columns: Mapping[str, npt.ArrayLike], field: str, name: str) -> Floats:
    if field not in columns:
        raise NoData(f"{name} needs the column {field!r}; nothing was computed.", remedy=f"there are {list(columns)}.")
    column = np.ascontiguousarray(columns[field], dtype=np.float64)
    if np.ndim(columns[field]) != 1:
        raise BadData(
            f"{name}: {field} has {np.ndim(columns[field])} dimensions; nothing was computed.",
            remedy="hand over one symbol's column, or use over(bars) for many symbols.",
        )
    return column
