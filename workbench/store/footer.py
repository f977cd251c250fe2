"""The footer of a part: what it says about the rows, so that only the groups that may hold an answer are read."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# The key of the file's own list of its symbols, one per line.
SYMBOLS: Final = b"symbols"


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
    """What the end of a part says: its schema, and the bounds of each of its groups of rows (int64 microseconds)."""

    metadata: pq.FileMetaData
    schema: pa.Schema
    symbols: frozenset[str] | None
    bounds: tuple[tuple[str, str] | None, ...]
    first: np.ndarray = field(repr=False)
    last: np.ndarray = field(repr=False)
    learned: np.ndarray = field(repr=False)

    def groups(self, wanted: Wanted) -> list[int]:
        """The groups of rows that may hold what is wanted."""
        if self.symbols is not None and self.symbols.isdisjoint(wanted.symbols):
            return []
        inside = (self.first <= micro(wanted.end)) & (self.last >= micro(wanted.start))
        if wanted.as_of is not None:
            inside &= self.learned <= micro(wanted.as_of)
        names = sorted(wanted.symbols)
        return [
            number
            for number in np.flatnonzero(inside).tolist()
            if (bound := self.bounds[number]) is None or _any_between(names, *bound)
        ]


def footer_of(source: Any) -> Footer:
    """Read the footer of an open part. A bound that is not said bounds nothing."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(source)
    schema = metadata.schema.to_arrow_schema()
    said = (metadata.metadata or {}).get(SYMBOLS)
    numbers = [schema.names.index(name) for name in ("symbol", "session", "learned")]
    bounds: list[tuple[str, str] | None] = []
    times = np.empty((metadata.num_row_groups, 3), dtype=np.int64)
    times[:] = (np.iinfo(np.int64).min, np.iinfo(np.int64).max, np.iinfo(np.int64).min)  # nothing said: anything
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        symbol, session, learned = (group.column(column).statistics for column in numbers)
        known = symbol is not None and symbol.has_min_max
        bounds.append((symbol.min, symbol.max) if known else None)
        if session is not None and session.has_min_max:
            times[number, 0], times[number, 1] = micro(pd.Timestamp(session.min)), micro(pd.Timestamp(session.max))
        if learned is not None and learned.has_min_max:
            times[number, 2] = micro(pd.Timestamp(learned.min))
    return Footer(
        metadata=metadata,
        schema=schema.remove_metadata(),
        symbols=None if said is None else frozenset(said.decode().split("\n")),
        bounds=tuple(bounds),
        first=times[:, 0].copy(),
        last=times[:, 1].copy(),
        learned=times[:, 2].copy(),
    )


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
