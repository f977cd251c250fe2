"""Known: the few rows of one symbol that were in force at a moment, as plain columns.

Fusion asks a dozen datasets for a handful of rows each. Frames would cost more than the reading, so the rows stay
columns of Python values; what they say is the same as `Vintages.read`, and a test holds them against each other.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from workbench.data.fusion.place import Place

if TYPE_CHECKING:
    from workbench.store.vintages import Vintages

_NAMES: Final = ("symbol", "session", "time", "key")
_DAY: Final = 86_400_000_000  # microseconds
_FIRST: Final = dt.date(1970, 1, 1).toordinal()
_MOMENTS: Final = 64  # answers kept


@dataclass(frozen=True, slots=True)
class Known:
    """The rows of one symbol by session, time and key.

    Attributes:
        columns: name -> values; moments are microseconds since 1970 (UTC).
        days: the sessions, ISO.
    """

    symbol: str
    columns: dict[str, list[Any]]
    days: list[str]

    def column(self, name: str) -> list[Any]:
        """The values; None in every row where the dataset has no such column."""
        return self.columns.get(name) or [None] * len(self.days)

    def numbers(self, name: str) -> list[float]:
        """The values as numbers, NaN where there is none; `mid` is half of bid plus ask."""
        if name == "mid":
            return [(bid + ask) / 2.0 for bid, ask in zip(self.numbers("bid"), self.numbers("ask"), strict=True)]
        return [math.nan if value is None else float(value) for value in self.column(name)]


class Shared:
    """What was in force of the subjects that all symbols share (series, pairs): read once per moment, not per symbol.

    It is used again only while the parts of the dataset are the same; a part never changes.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, tuple[str, ...], pd.Timestamp], tuple[tuple[str, ...], tuple[Known, ...]]] = {}

    def known(
        self, vintages: Vintages, place: Place, subjects: tuple[str, ...], as_of: pd.Timestamp
    ) -> tuple[Known, ...]:
        """As `known`."""
        parts, asked = tuple(vintages.files(place.dataset)), (place.dataset, subjects, as_of)
        held = self._kept.get(asked)
        if held is None or held[0] != parts:
            if len(self._kept) >= _MOMENTS:
                self._kept.clear()
            held = self._kept[asked] = parts, tuple(known(vintages, place, subjects, as_of))
        return held[1]


def known(vintages: Vintages, place: Place, subjects: tuple[str, ...], as_of: pd.Timestamp) -> Iterator[Known]:
    """What was in force of these subjects, one `Known` for each that has rows, alphabetically."""
    rule = place.rule
    start, end = rule.reach(as_of)
    wanted = (*rule.columns, *rule.also, rule.compare)
    table = vintages.every(place.dataset, subjects, start=start, end=end, as_of=as_of, columns=wanted)
    if table is None or not table.num_rows:
        return
    columns = _plain(table)
    names = [columns[name] for name in _NAMES if name in columns]
    fact = list(zip(*names, strict=True))
    order = sorted(range(len(fact)), key=lambda row: (fact[row], columns["learned"][row]))
    if any(fact[a] == fact[b] and columns["learned"][a] == columns["learned"][b] for a, b in itertools.pairwise(order)):
        # Two vintages of one instant contradict each other: the store decides.
        rows = vintages.read(place.dataset, subjects, start=start, end=end, as_of=as_of)
        columns = _plain_frame(rows)
        order = list(range(len(rows)))
    else:
        order = [a for a, b in itertools.zip_longest(order, order[1:]) if b is None or fact[a] != fact[b]]
    for symbol, rows_of in itertools.groupby(order, key=lambda row: columns["symbol"][row]):
        rows_here = list(rows_of)
        here = {name: [values[row] for row in rows_here] for name, values in columns.items()}
        yield Known(str(symbol), here, _days(here["session"]))


def _plain(table: Any) -> dict[str, list[Any]]:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        # Numbers through an array, which is ten times as fast; an absent one is NaN there.
        if pa.types.is_timestamp(column.type):
            columns[name] = column.to_numpy().astype("datetime64[us]").view(np.int64).tolist()
        elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            columns[name] = column.to_numpy().tolist()
        else:
            columns[name] = column.to_pylist()
    return columns


def _plain_frame(rows: pd.DataFrame) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for name in rows.columns:
        column = rows[name]
        if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
            columns[name] = column.dt.as_unit("us").to_numpy(dtype="datetime64[us]").astype(np.int64).tolist()
        else:
            columns[name] = column.tolist()
    return columns


def _days(sessions: list[int]) -> list[str]:
    return [dt.date.fromordinal(_FIRST + session // _DAY).isoformat() for session in sessions]
