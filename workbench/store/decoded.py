"""Decoded: groups of rows that were read lately, as tables, the oldest given up when they are too many bytes.

Symbols that lie beside each other share a group, and who asks for one symbol moment after moment asks for one group:
what costs most of a small question, decoding, is done once. A group is named by its part, the place's stamp of that
part, its number and the columns, so nothing here can be out of date.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from workbench.store.place import Stamp

if TYPE_CHECKING:
    import pyarrow as pa

MOST_BYTES: Final = 64 << 20

# Path, stamp, number of the group (−1: the whole part), names of the columns (None: all).
Name: TypeAlias = tuple[str, Stamp, int, tuple[str, ...] | None]


class Decoded:
    """Tables by name, of at most `most` bytes together; one table larger than a quarter of that is not kept."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most, self._bytes = most, 0
        self._tables: OrderedDict[Name, tuple[int, pa.Table]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: Name) -> pa.Table | None:
        """The table of that name, None where it is not here."""
        with self._lock:
            found = self._tables.get(name)
            if found is None:
                return None
            self._tables.move_to_end(name)
            return found[1]

    def keep(self, name: Name, table: pa.Table) -> None:
        """Have it here until others need the room."""
        size = int(table.get_total_buffer_size())
        if size > self._most // 4:
            return
        with self._lock:
            self._bytes += size - self._tables.pop(name, (0, None))[0]
            self._tables[name] = size, table
            while self._bytes > self._most:
                self._bytes -= self._tables.popitem(last=False)[1][0]

    def groups(self, path: str, stamp: Stamp, columns: Sequence[str], numbers: Iterable[int]) -> dict[int, pa.Table]:
        """Those of the groups of a part that are here, by number."""
        names = tuple(columns)
        found = {number: self.get((path, stamp, number, names)) for number in numbers}
        return {number: table for number, table in found.items() if table is not None}

    def keep_groups(self, path: str, stamp: Stamp, rows: Mapping[int, int], table: pa.Table) -> dict[int, pa.Table]:
        """Have groups that lie one below the other in a table here, each by itself; `rows`: how many of each number."""
        names, begin, kept = tuple(table.column_names), 0, {}
        for number, count in rows.items():
            kept[number] = table.slice(begin, count)
            self.keep((path, stamp, number, names), kept[number])
            begin += count
        return kept
