"""A part: rows of facts as one sorted Parquet file, and how a few of its rows are read without the rest."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from workbench.errors import StoreError
from workbench.store.decoded import Decoded
from workbench.store.filtered import few, filtered, rows_of
from workbench.store.footer import SYMBOLS, Footer, Wanted, footer_of
from workbench.store.place import Stamp

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.store.place import Place

# Small enough that the rows of one symbol are few groups, large enough that a group is worth its overhead.
GROUP_ROWS: Final = 4_096
# Elsewhere, an object up to this size is fetched whole: a second question costs more than its bytes.
_WHOLE: Final = 1 << 20
_TAIL: Final = 1 << 16
_GAP: Final = 1 << 16
_FOOTERS: Final = 4_096
# The groups of a question about one symbol are kept decoded; those of a question about many are too many.
_FEW_GROUPS: Final = 4
_ALL: Final = -1
_MOST_SYMBOLS: Final = 10_000


def columns_id(schema: pa.Schema) -> str:
    """Eight hex digits of the columns' names and types, in their order."""
    said = "\n".join(f"{column.name}:{column.type}" for column in schema)
    return hashlib.sha256(said.encode()).hexdigest()[:8]


def as_table(rows: pd.DataFrame) -> pa.Table:
    """The rows as they are stored."""
    import pyarrow as pa

    symbols = sorted(map(str, rows["symbol"].unique()))
    listed = len(symbols) <= _MOST_SYMBOLS and not any("\n" in symbol for symbol in symbols)
    said = {SYMBOLS: "\n".join(symbols).encode()} if listed else None
    return pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(said)


def together(tables: Sequence[pa.Table], *, dataset: str) -> pa.Table:
    """Tables one below the other; a column that one lacks is missing there. Raises StoreError."""
    import pyarrow as pa

    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise StoreError(
            f"{dataset} has columns of different types ({error}); nothing was done.",
            remedy="give a column one type, or another dataset.",
        ) from error


def as_bytes(table: pa.Table) -> bytes:
    """The Parquet file of a table that is sorted by symbol and session."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    # Words repeat, moments grow: written as such, a part is half as large, and light compression is enough.
    words = [column.name for column in table.schema if pa.types.is_large_string(column.type)]
    moments = [column.name for column in table.schema if pa.types.is_timestamp(column.type)]
    pq.write_table(
        table,
        buffer,
        compression="lz4",
        row_group_size=GROUP_ROWS,
        use_dictionary=words,
        column_encoding=dict.fromkeys(moments, "DELTA_BINARY_PACKED"),
        write_statistics=["symbol", "session", "learned"],
    )
    return buffer.getvalue()


class PartFiles:
    """Reads parts of one place, and remembers their footers and what was decoded lately: a part never changes."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._footers: OrderedDict[str, tuple[Stamp, Footer]] = OrderedDict()
        self._decoded = Decoded()
        self._lock = threading.Lock()

    def schema(self, path: str, stamp: Stamp | None) -> pa.Schema:
        """The columns of a part. Raises FileNotFoundError, StoreError."""
        with self._opened(path, stamp) as (seen, source):
            return self._footer(path, seen, source).schema

    def rows(self, path: str, stamp: Stamp | None) -> int:
        """How many rows a part has. Raises FileNotFoundError, StoreError."""
        with self._opened(path, stamp) as (seen, source):
            return int(self._footer(path, seen, source).metadata.num_rows)

    def read(self, path: str, stamp: Stamp | None, wanted: Wanted) -> pa.Table:
        """The wanted rows of a part, in its order, and of a small one some more: `filtered` takes them out.

        Raises:
            FileNotFoundError: the part is not there; a compaction may have replaced it.
            StoreError: the part cannot be read.
        """
        here = self._decoded_already(path, stamp, wanted)
        if here is not None:
            return here
        import pyarrow as pa
        import pyarrow.parquet as pq

        with self._opened(path, stamp) as (seen, source):
            if seen.size <= _WHOLE:
                with pq.ParquetFile(source, pre_buffer=False) as parquet:
                    if parquet.metadata.num_row_groups <= 1:  # looking at its bounds would cost more than its rows
                        table = parquet.read(columns=_present(parquet.schema_arrow, wanted), use_threads=False)
                        table = table.replace_schema_metadata(None)
                        self._decoded.keep((path, seen, _ALL, wanted.columns), table)
                        return few(table, wanted)
            footer = self._footer(path, seen, source)
            columns, groups = _present(footer.schema, wanted), footer.groups(wanted)
            if not groups:
                return pa.schema([footer.schema.field(name) for name in columns]).empty_table()
            kept = len(groups) <= _FEW_GROUPS
            here = self._decoded.groups(path, seen, columns, groups) if kept else {}
            lacking = [group for group in groups if group not in here]
            if lacking:
                held = source if source is not None else self._ranges(path, seen, footer, lacking, columns)
                table = _groups(held, footer, lacking, columns)
                if not kept:
                    return filtered(table, wanted)
                here |= self._decoded.keep_groups(
                    path, seen, {group: footer.metadata.row_group(group).num_rows for group in lacking}, table
                )
            return rows_of([here[group] for group in groups], wanted)

    def _decoded_already(self, path: str, stamp: Stamp | None, wanted: Wanted) -> pa.Table | None:
        """What `read` returns, where all of it was decoded lately; None where it was not."""
        try:
            seen = self._place.stamp(path) if stamp is None else stamp
        except OSError:  # opening it will say the same
            return None
        whole = self._decoded.get((path, seen, _ALL, wanted.columns))
        if whole is not None:
            return few(whole, wanted)
        footer = self._known(path, seen)
        if footer is None:
            return None
        columns, groups = _present(footer.schema, wanted), footer.groups(wanted)
        if not groups or len(groups) > _FEW_GROUPS:
            return None
        here = self._decoded.groups(path, seen, columns, groups)
        return rows_of([here[group] for group in groups], wanted) if len(here) == len(groups) else None

    def read_all(self, path: str, stamp: Stamp | None) -> pa.Table:
        """All rows of a part, in its order. Raises FileNotFoundError, StoreError."""
        with self._opened(path, stamp) as (seen, source):
            footer = self._footer(path, seen, source)
            groups = list(range(footer.metadata.num_row_groups))
            names = footer.schema.names
            held = source if source is not None else self._ranges(path, seen, footer, groups, names)
            return _groups(held, footer, groups, names)

    @contextlib.contextmanager
    def _opened(self, path: str, stamp: Stamp | None) -> Iterator[tuple[Stamp, Any]]:
        """Stamp and an open source of the bytes; None for a large part elsewhere: of that, ranges are fetched."""
        import pyarrow as pa

        try:
            if self._place.local:
                with open(self._place.full(path), "rb", buffering=0) as opened:  # noqa: PTH123 - Path.open costs more
                    there = os.fstat(opened.fileno())
                    seen = Stamp(there.st_size, f"{there.st_mtime_ns}-{there.st_ino}")
                    yield seen, pa.BufferReader(opened.read()) if seen.size <= _WHOLE else opened
                return
            seen = stamp or self._place.stamp(path)
            yield seen, pa.BufferReader(self._place.read(path)) if seen.size <= _WHOLE else None
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"{self._place.full(path)} cannot be read ({error}); no row of the dataset was returned.",
                remedy="restore the file from a copy, or move it away and collect its rows again.",
            ) from error

    def _footer(self, path: str, stamp: Stamp, source: Any) -> Footer:
        known = self._known(path, stamp)
        if known is not None:
            return known
        return self._remember(path, stamp, footer_of(source if source is not None else self._end(path, stamp)))

    def _known(self, path: str, stamp: Stamp) -> Footer | None:
        with self._lock:
            found = self._footers.get(path)
            if found is None or found[0] != stamp:
                return None
            self._footers.move_to_end(path)
            return found[1]

    def _remember(self, path: str, stamp: Stamp, footer: Footer) -> Footer:
        with self._lock:
            self._footers[path] = (stamp, footer)
            while len(self._footers) > _FOOTERS:
                self._footers.popitem(last=False)
        return footer

    def _end(self, path: str, stamp: Stamp) -> io.BytesIO:
        """The end of a part, as much of it as the footer needs; a footer is read from it as from the whole."""
        tail = self._place.read_ranges(path, [(max(0, stamp.size - _TAIL), stamp.size)])[0]
        needed = int.from_bytes(tail[-8:-4], "little") + 8
        if len(tail) < needed <= stamp.size:
            tail = self._place.read_ranges(path, [(stamp.size - needed, stamp.size)])[0]
        return io.BytesIO(tail)

    def _ranges(self, path: str, stamp: Stamp, footer: Footer, groups: list[int], columns: Sequence[str]) -> _Ranges:
        """The bytes of some groups and columns, fetched with one question for neighbours."""
        numbers = {name: number for number, name in enumerate(footer.schema.names)}
        spans: list[tuple[int, int]] = []
        for group in groups:
            said = footer.metadata.row_group(group)
            for name in columns:
                column = said.column(numbers[name])
                begin = column.data_page_offset
                if column.dictionary_page_offset:
                    begin = min(begin, column.dictionary_page_offset)
                spans.append((begin, begin + column.total_compressed_size))
        joined: list[tuple[int, int]] = []
        for begin, end in sorted(spans):
            if joined and begin - joined[-1][1] <= _GAP:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((begin, end))
        fetched = self._place.read_ranges(path, joined)
        parts = [(begin, part) for (begin, _), part in zip(joined, fetched, strict=True)]
        return _Ranges(stamp.size, parts, fetch=lambda begin, end: self._place.read_ranges(path, [(begin, end)])[0])


class _Ranges(io.RawIOBase):
    """A file of which some ranges are here; what is read elsewhere is fetched."""

    def __init__(self, size: int, parts: list[tuple[int, bytes]], *, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__()
        self._size, self._parts, self._at, self._fetch = size, parts, 0, fetch

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._size, self._at + size)
        begun, self._at = self._at, end
        for begin, part in self._parts:
            if begin <= begun and end <= begin + len(part):
                return part[begun - begin : end - begin]
        return self._fetch(begun, end)


def _groups(source: Any, footer: Footer, groups: list[int], columns: Sequence[str]) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source, metadata=footer.metadata, pre_buffer=False) as parquet:
        table = parquet.read_row_groups(groups, columns=list(columns), use_threads=False)
    return table.replace_schema_metadata(None)


def _present(schema: pa.Schema, wanted: Wanted) -> list[str]:
    return [name for name in schema.names if wanted.columns is None or name in wanted.columns]
