"""Compaction: many small parts of a dataset become few sorted ones, and no answer changes for any `as_of`.

1. The rows of some parts are put together and sorted; every vintage stays, exact copies go.
2. They are written as new parts, cut by years and symbols, one level above their sources.
3. A note names what they replace; from then on readers leave the old parts alone.
4. A grace later, when nobody can still be reading them, a compaction removes the old parts and then the note.

No step needs a lock, and a process may die between any two of them (see `part_list`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from workbench.store.facts import fingerprint, without_copies
from workbench.store.part_file import as_bytes, as_table, columns_id, together
from workbench.store.part_list import Note, PartList
from workbench.store.part_name import name_of, parse

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.store.part_file import PartFiles
    from workbench.store.place import Place

# Rows of one merged part at most, of a part that is left as it is at least, and of one merge in memory (about).
PART_ROWS: Final = 1_000_000
SMALL_ROWS: Final = 500_000
MERGE_ROWS: Final = 2_000_000
# This many parts that were appended and never merged are worth a merge.
LOOSE: Final = 64
GRACE: Final = pd.Timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one compaction did.

    Attributes:
        dataset: which.
        merged: parts that were read and replaced.
        written: parts that replace them.
        rows: rows in these.
        removed: parts of earlier merges that were removed now.
        waiting: replaced parts that are still there, for readers that began before; a later compaction removes them.
        parts: parts in force afterwards.
    """

    dataset: str
    merged: int
    written: int
    rows: int
    removed: int
    waiting: int
    parts: int

    def __repr__(self) -> str:
        return (
            f"{self.dataset}: {self.merged} parts merged into {self.written} ({self.rows} rows) · {self.parts} in force"
            f" · {self.removed} removed, {self.waiting} wait for their readers"
        )


class Compaction:
    """Compacts the datasets of one place.

    Args:
        place: where the datasets lie.
        files: reads their parts.
        parts: lists them.
        clock: the wall clock; the age of a note is measured with it.
    """

    def __init__(self, place: Place, files: PartFiles, parts: PartList, *, clock: Callable[[], pd.Timestamp]) -> None:
        self._place, self._files, self._parts, self._clock = place, files, parts, clock

    def whole(self, dataset: str, *, grace: pd.Timedelta = GRACE) -> Compacted:
        """Merge all small parts. Doing it twice changes nothing but removes what has waited long enough."""
        removed = self._clean(dataset, grace)
        merged = written = rows = 0
        again = True
        while again:  # what was written may be small itself; every merge leaves fewer parts, so this ends
            again = False
            for batch in self._batches(dataset):
                done = self._merge(dataset, batch)
                merged, written, rows = merged + done[0], written + done[1], rows + done[2]
                again |= done[0] > 0
        removed += self._clean(dataset, grace)
        parts = self._parts.of(dataset)
        return Compacted(dataset, merged, written, rows, removed, len(parts.hidden), len(parts.live))

    def loose(self, dataset: str) -> int:
        """How many parts in force were appended and never merged."""
        return self._parts.of(dataset).loose

    def step(self, dataset: str, *, grace: pd.Timedelta = GRACE) -> None:
        """One merge of the loose parts and of the merged ones that are no larger than these together.

        So a row is merged again only when what it lies with doubles: appending for ever stays near linear.
        """
        self._clean(dataset, grace)
        sizes = self._sizes(dataset)
        batch: list[str] = []
        rows = 0
        for name in sorted((name for name in sizes if _level(name) == 0), key=sizes.__getitem__):
            if rows + sizes[name] > MERGE_ROWS:
                break
            batch.append(name)
            rows += sizes[name]
        for name in sorted((name for name in sizes if _level(name) > 0), key=sizes.__getitem__):
            if sizes[name] > min(rows, SMALL_ROWS) or rows + sizes[name] > MERGE_ROWS:
                break
            batch.append(name)
            rows += sizes[name]
        self._merge(dataset, sorted(batch))

    def _batches(self, dataset: str) -> Iterator[list[str]]:
        """Small parts that lie beside each other in time, as many as fit into the memory of one merge."""
        sizes = self._sizes(dataset)
        small = [name for name in sizes if parse(name) is None or sizes[name] < SMALL_ROWS]
        batch: list[str] = []
        rows = 0
        for name in sorted(small, key=_when):
            batch.append(name)
            rows += sizes[name]
            if rows >= MERGE_ROWS:
                yield batch
                batch, rows = [], 0
        if batch:
            yield batch

    def _sizes(self, dataset: str) -> dict[str, int]:
        """Rows of each part in force. A file of before the names is opened for it; one that is gone is left out."""
        sizes: dict[str, int] = {}
        for name, stamp in self._parts.of(dataset).live.items():
            said = parse(name)
            with contextlib.suppress(FileNotFoundError):
                sizes[name] = said.rows if said else self._files.rows(f"{dataset}/{name}", stamp)
        return sizes

    def _merge(self, dataset: str, names: Sequence[str]) -> tuple[int, int, int]:
        """Merge these parts, unless that would make no fewer: (replaced, written, rows)."""
        if not names or (len(names) == 1 and parse(names[0]) is not None):
            return 0, 0, 0
        try:
            merged = together([self._files.read_all(f"{dataset}/{name}", None) for name in names], dataset=dataset)
        except FileNotFoundError:
            return 0, 0, 0  # another process has merged and removed them
        rows = without_copies(merged.to_pandas(strings_to_categorical=False))
        slices = list(_slices(rows))
        if len(slices) >= len(names) and all(parse(name) is not None for name in names):
            return 0, 0, 0
        sources = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
        level = 1 + max(_level(name) for name in names)
        written = [self._write(dataset, part, schema=merged.schema, level=level, sources=sources) for part in slices]
        note = Note.of(names, written, at=self._clock().tz_convert("UTC"), digest=sources)
        self._place.write(f"{dataset}/{note.name}", note.content())
        return len(names), len(written), len(rows)

    def _write(self, dataset: str, rows: pd.DataFrame, *, schema: pa.Schema, level: int, sources: str) -> str:
        table = as_table(rows)
        table = table.cast(schema.with_metadata(table.schema.metadata))  # a column without a value keeps its type
        digest = hashlib.sha256(f"{sources}\n{fingerprint(rows)}".encode()).hexdigest()
        name = name_of(rows, level=level, columns=columns_id(table.schema), digest=digest).text
        self._place.write(f"{dataset}/{name}", as_bytes(table))
        return name

    def _clean(self, dataset: str, grace: pd.Timedelta) -> int:
        """Remove parts that were replaced longer ago than the grace, then the notes that have done their work."""
        parts = self._parts.of(dataset)
        now, removed = self._clock(), 0
        for number, note in enumerate(parts.notes):
            if now - note.at < grace:
                continue
            if number < parts.in_force:
                for name in sorted(note.replaces & parts.hidden.keys()):
                    self._place.remove(f"{dataset}/{name}")
                    removed += 1
            self._place.remove(f"{dataset}/{note.name}")
        return removed


def _slices(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Rows, sorted by symbol, cut into parts: by years, and a year that is too large by symbols (or within one)."""
    years = rows["session"].dt.year.to_numpy()
    names, counts = np.unique(years, return_counts=True)
    begin = 0
    while begin < len(names):
        end, total = begin + 1, counts[begin]
        while end < len(names) and total + counts[end] <= PART_ROWS:
            total += counts[end]
            end += 1
        of_years = rows[(years >= names[begin]) & (years <= names[end - 1])]
        yield from _by_symbols(of_years) if total > PART_ROWS else [of_years.reset_index(drop=True)]
        begin = end


def _by_symbols(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    symbols = rows["symbol"].to_numpy()
    ends = np.append(np.flatnonzero(symbols[1:] != symbols[:-1]) + 1, len(rows))
    begin = 0
    while begin < len(rows):
        fitting = ends[(ends > begin) & (ends <= begin + PART_ROWS)]
        end = int(fitting[-1]) if len(fitting) else min(begin + PART_ROWS, len(rows))
        yield rows.iloc[begin:end].reset_index(drop=True)
        begin = end


def _level(name: str) -> int:
    said = parse(name)
    return said.level if said else 0


def _when(name: str) -> tuple[str, str, str]:
    said = parse(name)
    return (said.first, said.last, name) if said else ("", "", name)
