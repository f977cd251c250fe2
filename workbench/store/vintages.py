"""Vintages: append-only facts in Parquet files, each fact with two clocks: when it happened, when it was learned.

1. `append` compares the rows handed over with those stored, and keeps only what is new or revised.
2. These rows become one new file, named after the hash of its content; no file is ever changed or removed.
3. `read` looks at all files of a dataset, drops every row learned after `as_of`, and of the vintages of one fact takes
   the newest.

Writers need no lock: each writes files of its own, so that two of them lose nothing, and the same rows written twice
have the same name. The store is a folder or any other place that fsspec can open by URL.
"""

from __future__ import annotations

import functools
import io
import os
import re
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import StoreError
from workbench.store.facts import REQUIRED, fingerprint, new_or_revised, normal, ordered, same_fact_as_next

if TYPE_CHECKING:
    import fsspec
    import pyarrow as pa

_DATASET = re.compile(r"[a-z0-9_\-]+(/[a-z0-9_\-]+)*")
_READERS = 4


class Vintages:
    """The vintages under one fsspec URL (`file:///…`, `s3://…`, `memory://…`, or a plain path).

    Rows are long frames with the columns of `REQUIRED`, any columns of values, and `time` where a session has several
    facts of one symbol. A fact is named by `symbol`, `session` (timezone-naive midnight) and, if present, `time` (UTC);
    its vintages differ in `learned` (UTC).

    Args:
        url: where the datasets lie; created at the first append.
        clock: the wall clock, asked only when a source revises a fact without saying when it learned better.
    """

    def __init__(self, url: str, *, clock: Callable[[], pd.Timestamp] | None = None) -> None:
        self.url = url
        self._clock = clock or (lambda: pd.Timestamp.now("UTC"))

    def append(self, dataset: str, rows: pd.DataFrame) -> int:
        """Store the rows that are new or revised, and say how many they were.

        A row is left out when the vintage that was in force at its `learned` has the same values (NaN equals NaN). A
        row with other values for a moment for which the store has already answered cannot change that answer: it
        becomes a vintage learned now.

        Raises:
            StoreError: columns are missing, a clock or a session is malformed, or two rows of the batch contradict each
                other; nothing was written.
        """
        folder = self._folder(dataset)
        fresh = normal(rows)
        if fresh.empty:
            return 0
        symbols = tuple(fresh["symbol"].unique())
        stored = self._all(folder, symbols, start=fresh["session"].min(), end=fresh["session"].max())
        kept = new_or_revised(stored, fresh, now=self._clock)
        if len(kept):
            self._write(folder, kept)
        return len(kept)

    def read(
        self, dataset: str, symbols: Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, as_of: pd.Timestamp
    ) -> pd.DataFrame:
        """What was known at `as_of`: one row per fact, its newest vintage with `learned` <= `as_of`.

        Args:
            dataset: e.g. `"bars/1d"`; one that does not exist reads as empty.
            symbols: which symbols.
            start, end: first and last session, both included.
            as_of: UTC moment; no row learned later is in the answer.

        Returns:
            Long rows in the order of symbol (alphabetical), session and `time`, index 0…n−1.

        Raises:
            StoreError: `as_of` has no timezone, or a file cannot be read.
        """
        if as_of.tzinfo is None:
            raise StoreError(f"as_of={as_of} has no timezone; nothing was read.", remedy="use a UTC Timestamp.")
        rows = self._all(self._folder(dataset), tuple(symbols), start=start, end=end, as_of=as_of)
        if rows.empty:
            return rows
        newest = ordered(rows, "learned")
        known: pd.DataFrame = newest[~same_fact_as_next(newest)].reset_index(drop=True)
        return known

    def fingerprint(
        self, dataset: str, symbols: Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, as_of: pd.Timestamp
    ) -> str:
        """sha256 (64 hex digits) of what `read` returns for the same question."""
        return fingerprint(self.read(dataset, symbols, start=start, end=end, as_of=as_of))

    def files(self, dataset: str) -> list[str]:
        """Paths of the dataset's files, by name; empty when nothing was stored."""
        return self._files(self._folder(dataset))

    @functools.cached_property
    def _place(self) -> tuple[fsspec.AbstractFileSystem, str]:
        from fsspec.core import url_to_fs

        filesystem, root = url_to_fs(self.url)
        return filesystem, str(root).rstrip("/")

    def _folder(self, dataset: str) -> str:
        if not _DATASET.fullmatch(dataset):
            raise StoreError(
                f"dataset={dataset!r} is not a dataset name; nothing was done.",
                remedy="use lower-case words joined by '/', such as 'bars/1d'.",
            )
        return f"{self._place[1]}/{dataset}"

    def _files(self, folder: str) -> list[str]:
        filesystem, _ = self._place
        filesystem.invalidate_cache(folder)  # another process may have appended since the last listing
        try:
            found = filesystem.ls(folder, detail=False)
        except FileNotFoundError:
            return []
        return sorted(
            path for path in found if path.endswith(".parquet") and not path.rsplit("/", 1)[-1].startswith(".")
        )

    def _all(
        self,
        folder: str,
        symbols: tuple[str, ...],
        *,
        start: pd.Timestamp,
        end: pd.Timestamp,
        as_of: pd.Timestamp | None = None,
    ) -> pd.DataFrame:
        """Every stored vintage of these facts (learned by `as_of`, if given), file by file."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pc.field("symbol").isin(list(symbols))
        wanted &= (pc.field("session") >= _micro(start)) & (pc.field("session") <= _micro(end))
        if as_of is not None:
            wanted &= pc.field("learned") <= _micro(as_of.tz_convert("UTC"))
        paths = self._files(folder)
        if len(paths) > 1:
            with ThreadPoolExecutor(_READERS) as pool:
                tables = list(pool.map(lambda path: self._table(path, wanted), paths))
        else:
            tables = [self._table(path, wanted) for path in paths]
        if not tables:
            return pd.DataFrame(columns=list(REQUIRED))
        try:
            merged = pa.concat_tables(tables, promote_options="permissive")
        except pa.ArrowInvalid as error:
            raise StoreError(f"the files of {folder} have columns of different types: {error}.") from error
        frame: pd.DataFrame = merged.to_pandas(strings_to_categorical=False)
        return frame

    def _table(self, path: str, wanted: Any) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        filesystem, _ = self._place
        try:
            # ParquetFile and filter rather than read_table: building a dataset object costs more than a small file.
            with filesystem.open(path, "rb") as opened, pq.ParquetFile(opened) as parquet:
                return parquet.read(use_threads=False).filter(wanted)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"{path} cannot be read ({error}); no row of the dataset was returned.",
                remedy="restore the file from a copy, or move it away and collect its rows again.",
            ) from error

    def _write(self, folder: str, rows: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq
        from fsspec.implementations.local import LocalFileSystem

        filesystem, _ = self._place
        buffer = io.BytesIO()
        table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, buffer, compression="zstd")
        name = f"{fingerprint(rows)}.parquet"
        if not isinstance(filesystem, LocalFileSystem):
            filesystem.makedirs(folder, exist_ok=True)
            filesystem.pipe_file(
                f"{folder}/{name}", buffer.getvalue()
            )  # an object store shows the whole object or none
            return
        target = Path(folder) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        passing = target.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            with passing.open("wb") as opened:
                opened.write(buffer.getbuffer())
                opened.flush()
                os.fsync(opened.fileno())
            passing.replace(target)
        finally:
            passing.unlink(missing_ok=True)


def _micro(moment: pd.Timestamp) -> Any:
    import pyarrow as pa

    zone = "UTC" if moment.tzinfo is not None else None
    return pa.scalar(moment.as_unit("us").to_pydatetime(warn=False), type=pa.timestamp("us", tz=zone))
