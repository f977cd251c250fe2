"""Counts: what was asked, saved and lost, gathered in memory and written to the database in batches."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sqlalchemy import Connection, delete, select

from workbench.data.gateway.latency import class_of
from workbench.store import vendor_budget
from workbench.store.insert import insert_of
from workbench.store.tables.connector import ConnectorCountRow, ConnectorMinuteRow

EVERY: Final = 5.0  # seconds between two writes
KEPT_DAYS: Final = 90  # days that minutes are kept
COUNTERS: Final = (
    "calls",
    "hits",
    "misses",
    "joined",
    "requests",
    "retries",
    "waits",
    "waited_ms",
    "failures",
    "unreadable",
    "bytes_network",
    "bytes_cache",
)
Ended = Literal["answered", "failed", "busy", "refused"]

_MINUTE: Final = ConnectorMinuteRow.__table__
_COUNT: Final = ConnectorCountRow.__table__


@dataclass(slots=True)
class _Minute:
    requests: int = 0
    failures: int = 0
    busy: int = 0
    refused: int = 0
    latencies: dict[str, int] = field(default_factory=dict)
    last_error: str | None = None


class Counts:
    """Safe for threads. What was not written yet is lost if the process is killed: at most `EVERY` seconds of it.

    Args:
        transaction: opens a transaction on the database.
        clock: the wall clock (UTC).
    """

    def __init__(
        self, transaction: Callable[[], AbstractContextManager[Connection]], *, clock: Callable[[], dt.datetime]
    ) -> None:
        self._transaction = transaction
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._counts: dict[tuple[str, str], dict[str, int]] = {}
        self._minutes: dict[tuple[str, dt.datetime], _Minute] = {}
        self._newest: dict[str, dict[str, Any]] = {}  # per vendor: columns of its row
        self._written_at = clock()
        self._tidied: dt.date | None = None

    def add(self, vendor: str, kind: str, **amounts: int) -> None:
        """Add to counters of a vendor and kind."""
        with self._lock:
            counts = self._counts.get((vendor, kind))
            if counts is None:
                counts = self._counts[vendor, kind] = dict.fromkeys(COUNTERS, 0)
            for name, amount in amounts.items():
                counts[name] += amount

    def request(self, vendor: str, *, seconds: float, ended: Ended, said: str | None = None) -> None:
        """One request ended after so many seconds; `said` has no secret."""
        now = self._clock()
        minute = now.replace(second=0, microsecond=0)
        name = str(class_of(seconds))
        with self._lock:
            found = self._minutes.get((vendor, minute))
            if found is None:
                found = self._minutes[vendor, minute] = _Minute()
            found.requests += 1
            found.failures += ended == "failed"
            found.busy += ended == "busy"
            found.refused += ended == "refused"
            found.latencies[name] = found.latencies.get(name, 0) + 1
            found.last_error = said or found.last_error
            if ended == "answered":
                self._newest.setdefault(vendor, {})["last_success"] = now
            elif ended == "refused":
                self._newest.setdefault(vendor, {}).update(last_refused=now, last_error=said)

    def due(self) -> bool:
        """True once the last write is `EVERY` seconds ago."""
        return abs((self._clock() - self._written_at).total_seconds()) >= EVERY

    def flush(self) -> None:
        """Write all that was gathered in one transaction. What cannot be written is kept for the next time."""
        with self._writing:
            with self._lock:
                counts, self._counts = self._counts, {}
                minutes, self._minutes = self._minutes, {}
                newest, self._newest = self._newest, {}
                self._written_at = now = self._clock()
            if not (counts or minutes):
                return
            try:
                with self._transaction() as connection:
                    _write(connection, counts, minutes, newest)
                    if self._tidied != now.date():
                        before = now - dt.timedelta(days=KEPT_DAYS)
                        connection.execute(delete(ConnectorMinuteRow).where(_MINUTE.c.minute < before))
                        self._tidied = now.date()
            except BaseException:
                self._take_back(counts, minutes, newest)
                raise

    def _take_back(
        self,
        counts: Mapping[tuple[str, str], Mapping[str, int]],
        minutes: Mapping[tuple[str, dt.datetime], _Minute],
        newest: Mapping[str, Mapping[str, Any]],
    ) -> None:
        for (vendor, kind), amounts in counts.items():
            self.add(vendor, kind, **amounts)
        with self._lock:
            for key, minute in minutes.items():
                self._minutes[key] = _sum(minute, self._minutes.get(key, _Minute()))
            for vendor, columns in newest.items():
                self._newest[vendor] = {**columns, **self._newest.get(vendor, {})}


def _write(
    connection: Connection,
    counts: Mapping[tuple[str, str], Mapping[str, int]],
    minutes: Mapping[tuple[str, dt.datetime], _Minute],
    newest: Mapping[str, Mapping[str, Any]],
) -> None:
    insert = insert_of(connection)
    # The vendors' rows are locked first, always in this order: two processes that write at once take turns.
    for vendor in sorted({vendor for vendor, _ in (*counts, *minutes)}):
        vendor_budget.locked(connection, vendor)
    if counts:
        rows = [{"vendor": vendor, "kind": kind, **counts[vendor, kind]} for vendor, kind in sorted(counts)]
        adding = insert(ConnectorCountRow)
        more = {name: _COUNT.c[name] + adding.excluded[name] for name in COUNTERS}
        connection.execute(adding.on_conflict_do_update(index_elements=["vendor", "kind"], set_=more), rows)
    for (vendor, minute), found in sorted(minutes.items(), key=lambda item: item[0]):
        where = (_MINUTE.c.vendor == vendor, _MINUTE.c.minute == minute)
        stored = connection.execute(select(*_COLUMNS).where(*where)).one_or_none()
        whole = found if stored is None else _sum(_Minute(*stored), found)
        values = {name: getattr(whole, name) for name in _Minute.__slots__}
        putting = insert(ConnectorMinuteRow).values(vendor=vendor, minute=minute, **values)
        connection.execute(putting.on_conflict_do_update(index_elements=["vendor", "minute"], set_=values))
    for vendor, columns in sorted(newest.items()):
        vendor_budget.change(connection, vendor, **columns)


def _sum(earlier: _Minute, later: _Minute) -> _Minute:
    latencies = dict(earlier.latencies)
    for name, count in later.latencies.items():
        latencies[name] = latencies.get(name, 0) + count
    return _Minute(
        earlier.requests + later.requests,
        earlier.failures + later.failures,
        earlier.busy + later.busy,
        earlier.refused + later.refused,
        latencies,
        later.last_error or earlier.last_error,
    )


_COLUMNS: Final = tuple(_MINUTE.c[name] for name in _Minute.__slots__)
