"""Vintages: append-only facts in Parquet files, each fact with two clocks: when it happened, when it was learned.

1. `append` compares the rows handed over with those stored, and keeps only what is new or revised.
2. These rows become one new part, a file named after what is in it and the hash of its content; no file ever changes.
3. `read` opens the parts whose names say that they may hold an answer, drops every row learned after `as_of`, and of
   the vintages of one fact takes the newest.
4. `compact` merges small parts into few sorted ones. No vintage is lost and no answer changes.

Nobody needs a lock: each writer writes files of its own, so that two of them lose nothing, and the same rows written
twice have the same name. The store is a folder or any other place that fsspec can open by URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from workbench.errors import StoreError
from workbench.store.compaction import GRACE, LOOSE, Compacted, Compaction
from workbench.store.facts import (
    FIXED,
    REQUIRED,
    at_one_instant,
    fingerprint,
    in_force,
    new_or_revised,
    normal,
    ordered,
)
from workbench.store.filtered import filtered
from workbench.store.footer import Wanted
from workbench.store.part_file import PartFiles, as_bytes, as_table, columns_id, together
from workbench.store.part_list import PartList
from workbench.store.part_name import day, name_of, parse, symbol_hashes
from workbench.store.place import Place
from workbench.trace import get_logger

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.store.place import Stamp

_DATASET: Final = re.compile(r"[a-z0-9_\-]+(/[a-z0-9_\-]+)*")
_LOCAL_READERS: Final = 4
_REMOTE_READERS: Final = 16
_TRIES: Final = 10


class Vintages:
    """The vintages under one fsspec URL (`file:///…`, `s3://…`, `memory://…`, or a plain path).

    Rows are long frames with the columns of `REQUIRED`, any columns of values, `time` where a session has several facts
    of one symbol, and `key` where the vendor's own name tells facts apart. A fact is named by `symbol`, `session`
    (timezone-naive midnight) and, if present, `time` (UTC) and `key` (text); its vintages differ in `learned` (UTC).

    Keep one of these for many questions: it remembers the footers of the parts it has opened.

    Args:
        url: where the datasets lie; created at the first append (a bucket must be there).
        options: storage options for fsspec, such as `{"endpoint_url": …, "key": …, "secret": …}`; the environment
            (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`) when None.
        clock: what time it is, asked only when a source revises a fact without saying when it learned better.
        wall: the time of this computer (UTC), by which the age of what a compaction has replaced is measured; unlike
            `clock` it is never the time of a rehearsal.
        loose: so many parts that were never merged are merged by the append that finds them.
    """

    def __init__(
        self,
        url: str,
        *,
        options: Mapping[str, Any] | None = None,
        clock: Callable[[], pd.Timestamp] | None = None,
        wall: Callable[[], pd.Timestamp] | None = None,
        loose: int = LOOSE,
    ) -> None:
        self.url = url
        self._clock = clock or _now
        self._most_loose = loose
        self._place = Place(url, options=options)
        self._files = PartFiles(self._place)
        self._parts = PartList(self._place)
        self._compaction = Compaction(self._place, self._files, self._parts, clock=wall or _now)
        self._schemas: dict[str, pa.Schema] = {}

    def append(self, dataset: str, rows: pd.DataFrame) -> int:
        """Store the rows that are new or revised, and say how many they were.

        A row is left out when the vintage that was in force at its `learned` has the same values (NaN equals NaN). A
        row with other values for a moment for which the store has already answered cannot change that answer: it
        becomes a vintage learned now.

        Raises:
            StoreError: columns are missing, a clock or a session is malformed, two rows of the batch contradict each
                other, or a column has another type than in the rows stored before; nothing was written.
        """
        _checked(dataset)
        fresh = normal(rows)
        if fresh.empty:
            return 0
        wanted = Wanted(tuple(fresh["symbol"].unique()), fresh["session"].min(), fresh["session"].max())
        found, loose = self._stored(dataset, wanted)
        kept = new_or_revised(_frame(found), fresh, now=self._clock)
        if len(kept):
            table = as_table(kept)
            if found is not None:
                together([found.slice(0, 0), table.slice(0, 0)], dataset=dataset)
            name = name_of(kept, level=0, columns=columns_id(table.schema), digest=fingerprint(kept)).text
            self._place.write(f"{dataset}/{name}", as_bytes(table))
            if loose + 1 >= self._most_loose:
                self._compact_now(dataset)
        return len(kept)

    def read(
        self,
        dataset: str,
        symbols: str | Sequence[str],
        *,
        start: pd.Timestamp,
        end: pd.Timestamp,
        as_of: pd.Timestamp,
        columns: Iterable[str] | None = None,
    ) -> pd.DataFrame:
        """What was known at `as_of`: one row per fact, its newest vintage with `learned` <= `as_of`.

        Args:
            dataset: e.g. `"bars/1d"`; one that does not exist reads as empty.
            symbols: which symbols, one or several.
            start, end: first and last session, both included.
            as_of: UTC moment; no row learned later is in the answer.
            columns: read only these columns of values, beside those that name the fact and the two clocks; a name that
                no file has is left out. None: all columns.

        Returns:
            Long rows in the order of symbol (alphabetical), session, `time` and `key`, index 0…n−1.

        Raises:
            StoreError: `as_of` has no timezone, or a file cannot be read.
        """
        _checked(dataset)
        if as_of.tzinfo is None:
            raise StoreError(f"as_of={as_of} has no timezone; nothing was read.", remedy="use a UTC Timestamp.")
        names = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        wanted_columns = None if columns is None else tuple(dict.fromkeys((*FIXED, *columns)))
        wanted = Wanted(names, start, end, as_of, wanted_columns)
        rows = _frame(self._stored(dataset, wanted)[0])
        if rows.empty:
            return rows
        if wanted_columns is not None and at_one_instant(ordered(rows, "learned")).any():
            # Only all values together say which of two contradictory vintages is answered.
            rows = _frame(self._stored(dataset, Wanted(names, start, end, as_of))[0])
            return in_force(rows)[[name for name in rows.columns if name in wanted_columns]]
        return in_force(rows)

    def every(
        self,
        dataset: str,
        symbols: Sequence[str],
        *,
        start: pd.Timestamp,
        end: pd.Timestamp,
        as_of: pd.Timestamp,
        columns: Iterable[str] | None = None,
    ) -> pa.Table | None:
        """Every vintage learned by `as_of`, superseded ones too, in no order: for who sorts few rows without a frame.

        Arguments and errors as `read`. None where the dataset has no part at all.
        """
        _checked(dataset)
        if as_of.tzinfo is None:
            raise StoreError(f"as_of={as_of} has no timezone; nothing was read.", remedy="use a UTC Timestamp.")
        wanted_columns = None if columns is None else tuple(dict.fromkeys((*FIXED, *columns)))
        return self._stored(dataset, Wanted(tuple(symbols), start, end, as_of, wanted_columns))[0]

    def fingerprint(
        self, dataset: str, symbols: Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, as_of: pd.Timestamp
    ) -> str:
        """sha256 (64 hex digits) of what `read` returns for the same question."""
        return fingerprint(self.read(dataset, symbols, start=start, end=end, as_of=as_of))

    def files(self, dataset: str) -> list[str]:
        """Paths of the dataset's parts in force, by name; empty when nothing was stored."""
        _checked(dataset)
        return [self._place.full(f"{dataset}/{name}") for name in self._parts.of(dataset).live]

    def datasets(self) -> list[str]:
        """The names of all datasets that have rows, alphabetically. Looks through the whole store."""
        folders = {path.rpartition("/")[0] for path in self._place.walk() if path.endswith(".parquet")}
        return sorted(folder for folder in folders if _DATASET.fullmatch(folder))

    def needs_compaction(self, dataset: str) -> bool:
        """Whether enough parts lie loose that merging them is worth it. Costs one listing; opens no part."""
        _checked(dataset)
        return self._compaction.loose(dataset) >= self._most_loose

    def compact(self, dataset: str, *, grace: pd.Timedelta = GRACE) -> Compacted:
        """Merge small parts into few sorted ones. Every vintage stays; no answer changes for any `as_of`.

        Any process may append, read or compact at the same time, and this one may die at any instant.

        Args:
            dataset: one that does not exist is left alone.
            grace: replaced parts stay so long for readers that began before; the next compaction removes them.

        Raises:
            StoreError: a part cannot be read; nothing was replaced.
        """
        _checked(dataset)
        return self._compaction.whole(dataset, grace=grace)

    def _compact_now(self, dataset: str) -> None:
        """Merge what lies loose; the rows of the append are safe already, so a failure is told and not raised."""
        try:
            self._compaction.step(dataset)
        except (StoreError, OSError) as error:
            get_logger(__name__).warning("compaction failed", dataset=dataset, reason=str(error))

    def _stored(self, dataset: str, wanted: Wanted) -> tuple[pa.Table | None, int]:
        """Every stored vintage of these facts (learned by `as_of`, if given), and how many parts lie loose.

        The table has all columns of the dataset, whatever rows it has; None when there is no part.
        """
        for _ in range(_TRIES):
            parts = self._parts.of(dataset)
            try:
                tables = self._tables(dataset, parts.live, wanted)
            except FileNotFoundError:  # another process has merged and removed it since the listing
                continue
            return (filtered(together(tables, dataset=dataset), wanted) if tables else None), parts.loose
        raise StoreError(
            f"the parts of {dataset} are being replaced faster than they can be read; nothing was returned.",
            remedy="ask again; compact with a longer grace.",
        )

    def _tables(self, dataset: str, live: Mapping[str, Stamp | None], wanted: Wanted) -> list[pa.Table]:
        """The wanted rows of each part that may have some, and the columns of all others."""
        hashes, first, last = symbol_hashes(wanted.symbols), day(wanted.start), day(wanted.end)
        opened = [name for name in live if (said := parse(name)) is None or said.may_hold(hashes, first, last)]

        def table(name: str) -> pa.Table:
            return self._files.read(f"{dataset}/{name}", live[name], wanted)

        if len(opened) > 1:
            with ThreadPoolExecutor(_LOCAL_READERS if self._place.local else _REMOTE_READERS) as pool:
                tables = list(pool.map(table, opened))
        else:
            tables = [table(name) for name in opened]
        # What columns an answer has does not depend on which parts had to be opened for it.
        shown = {said.columns for name in opened if (said := parse(name)) is not None}
        for name in live:
            if (said := parse(name)) is None or said.columns in shown:
                continue
            shown.add(said.columns)
            if said.columns not in self._schemas:
                self._schemas[said.columns] = self._files.schema(f"{dataset}/{name}", live[name])
            empty = self._schemas[said.columns].empty_table()
            columns = [column for column in empty.column_names if wanted.columns is None or column in wanted.columns]
            tables.append(empty.select(columns))
        return tables


def _now() -> pd.Timestamp:
    return pd.Timestamp.now("UTC")


def _frame(table: pa.Table | None) -> pd.DataFrame:
    if table is None:
        return pd.DataFrame(columns=list(REQUIRED))
    frame: pd.DataFrame = table.to_pandas(strings_to_categorical=False)
    return frame


def _checked(dataset: str) -> None:
    if not _DATASET.fullmatch(dataset):
        raise StoreError(
            f"dataset={dataset!r} is not a dataset name; nothing was done.",
            remedy="use lower-case words joined by '/', such as 'bars/1d'.",
        )
