"""The footer of a part: what it says about the rows, so that only the groups that may hold an answer are read."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# The key of the file's own list of its symbols, one per line.
SYMBOLS: Final = b"symbols"
_FIRST: Final = -(1 << 63)
_LAST: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which stored rows a question is about: symbols, sessions (both included), and what was learned by `as_of`.

    `columns` are the only ones read; None: all.
    """

    symbols: tuple[str, ...]
    start: pd.Timestamp
    end: pd.Timestamp
    as_of: pd.Timestamp | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Footer:
    """What the end of a part says: its schema, and the bounds of each of its groups of rows.

    Attributes:
        symbols: all that are in the part; None where it does not say so.
        bounds: the first and the last symbol of each group; None where that is not said.
        in_order: all first symbols, all last ones, where both grow from group to group, as in a part that is sorted.
        micro: whether the moments of `session` and of `learned` are microseconds themselves.
        times: of each group that was looked at, first and last session and first `learned` (microseconds).
    """

    metadata: pq.FileMetaData
    schema: pa.Schema
    symbols: frozenset[str] | None
    bounds: tuple[tuple[str, str] | None, ...]
    in_order: tuple[list[str], list[str]] | None
    micro: tuple[bool, bool]
    times: list[tuple[int, int, int] | None] = field(repr=False)

    def groups(self, wanted: Wanted) -> list[int]:
        """The groups of rows that may hold what is wanted."""
        if self.symbols is not None and self.symbols.isdisjoint(wanted.symbols):
            return []
        start, end = micro(wanted.start), micro(wanted.end)
        as_of = _LAST if wanted.as_of is None else micro(wanted.as_of)
        found = []
        for number in self._by_symbol(sorted(set(wanted.symbols))):
            first, last, learned = self.times[number] or self._times(number)
            if first <= end and last >= start and learned <= as_of:
                found.append(number)
        return found

    def _by_symbol(self, names: list[str]) -> list[int]:
        """The groups in whose bounds one of the sorted names lies."""
        if self.in_order is not None and len(names) < len(self.bounds):
            least, most = self.in_order
            ranges = (range(bisect_left(most, name), bisect_right(least, name)) for name in names)
            return sorted({number for numbers in ranges for number in numbers})
        return [number for number, bound in enumerate(self.bounds) if bound is None or _any_between(names, *bound)]

    def _times(self, number: int) -> tuple[int, int, int]:
        """The bounds of the moments of a group, read when they are needed; what is not said bounds nothing."""
        group = self.metadata.row_group(number)
        session, learned = (group.column(self.schema.names.index(name)).statistics for name in ("session", "learned"))
        first, last = (_bound(session, which, raw=self.micro[0]) for which in ("min", "max"))
        known = _bound(learned, "min", raw=self.micro[1])
        read = (
            _FIRST if first is None else first,
            _LAST if last is None else last,
            _FIRST if known is None else known,
        )
        self.times[number] = read
        return read


def footer_of(source: Any) -> Footer:
    """Read the footer of an open part. A bound that is not said bounds nothing."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(source)
    schema = metadata.schema.to_arrow_schema()
    said = (metadata.metadata or {}).get(SYMBOLS)
    symbol, session, learned = (schema.names.index(name) for name in ("symbol", "session", "learned"))
    bounds: list[tuple[str, str] | None] = []
    for number in range(metadata.num_row_groups):
        known = metadata.row_group(number).column(symbol).statistics
        said_too = known is not None and known.has_min_max
        bounds.append((known.min_raw.decode(), known.max_raw.decode()) if said_too else None)
    ends = [bound for bound in bounds if bound is not None]
    least, most = [end[0] for end in ends], [end[1] for end in ends]
    grow = len(ends) == len(bounds) and all(a <= b for of in (least, most) for a, b in pairwise(of))
    return Footer(
        metadata=metadata,
        schema=schema.remove_metadata(),
        symbols=None if said is None else frozenset(said.decode().split("\n")),
        bounds=tuple(bounds),
        in_order=(least, most) if grow else None,
        micro=(_is_micro(metadata.schema.column(session)), _is_micro(metadata.schema.column(learned))),
        times=[None] * metadata.num_row_groups,
    )


def _is_micro(column: Any) -> bool:
    """Whether the numbers of a column are microseconds themselves; a file of another make may have other units."""
    if column.physical_type != "INT64":
        return False
    unit: str | None = json.loads(column.logical_type.to_json()).get("timeUnit")
    return unit == "microseconds"


def _bound(statistics: Any, which: str, *, raw: bool) -> int | None:
    """A bound of a column of moments, in microseconds; None where it is not said."""
    if raw and statistics is not None:  # making a moment of a number costs ten times as much as reading it
        number: int | None = getattr(statistics, f"{which}_raw")
        return number
    moment = None if statistics is None else getattr(statistics, which)
    return None if moment is None else micro(pd.Timestamp(moment))


def micro(moment: pd.Timestamp) -> int:
    """Microseconds since 1970, UTC, rounded down."""
    try:
        return int(moment.value // 1000)
    except OverflowError:  # nanoseconds end in 2262
        aware = moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo is not None else moment
        return int(aware.as_unit("us").to_numpy().astype("datetime64[us]").astype(np.int64))


def _any_between(names: list[str], least: str, most: str) -> bool:
    """Whether one of the sorted names is in [least, most]."""
    at = bisect_left(names, least)
    return at < len(names) and names[at] <= most
