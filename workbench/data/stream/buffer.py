"""Ring: the bounded buffer between socket and folding; when it is full the oldest events go, and are counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from workbench.data.stream.events import KINDS, ROW
from workbench.errors import ParameterError

MOST_OBJECTS: Final = 4096  # articles that wait at most; they are Python objects and come rarely


class Ring:
    """Events in the order of their coming, and between them single objects (articles, marks of a gap).

    Memory is bounded: `capacity` rows and `MOST_OBJECTS` objects, allocated once. A full ring drops the *oldest*
    events: who trades on a price needs the newest, and an old one that comes late is worth less than a new one that
    never comes. What was dropped is counted by kind. An object that is marked to be kept is never dropped.

    Args:
        capacity: rows.
        clock: monotonic seconds.
    """

    def __init__(self, capacity: int = 65_536, *, clock: Callable[[], float] = time.monotonic) -> None:
        if isinstance(capacity, bool) or not isinstance(capacity, int) or not 1 <= capacity <= 1 << 24:
            raise ParameterError(
                f"capacity={capacity!r} must be a whole number of events from 1 to {1 << 24}.",
                remedy="65,536 events take 6 MB.",
            )
        self.capacity = capacity
        self._rows = np.zeros(capacity, dtype=ROW)
        self._clock = clock
        self._head = self._tail = 0  # events ever put in, events ever taken or dropped
        self._objects: deque[tuple[int, Any, bool]] = deque()  # (events put in before it, itself, kept whatever comes)
        self._dropped = np.zeros(KINDS, dtype=np.int64)
        self._dropped_objects = 0
        self._highest = 0
        self._since = 0.0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._head - self._tail

    def put(self, rows: np.ndarray) -> int:
        """Copy rows in; returns how many older ones had to go. Never waits."""
        count = len(rows)
        if count == 0:
            return 0
        with self._changed:
            waited = len(self)
            gone = max(0, waited + count - self.capacity)
            from_ring = min(gone, waited)
            self._drop(from_ring)
            if gone > from_ring:  # a batch longer than the ring: its own oldest never enter
                self._dropped += np.bincount(rows["kind"][: gone - from_ring], minlength=KINDS)
                self._head += gone - from_ring
                self._tail = self._head
                rows = rows[gone - from_ring :]
            first = self._head % self.capacity
            until_end = min(len(rows), self.capacity - first)
            self._rows[first : first + until_end] = rows[:until_end]
            self._rows[: len(rows) - until_end] = rows[until_end:]
            self._head += len(rows)
            self._highest = max(self._highest, len(self))
            if waited == 0:
                self._since = self._clock()
            self._changed.notify()
            return gone

    def put_object(self, thing: Any, *, keep: bool = False) -> None:
        """Put an object behind the events that are in; `keep`: it stays even where objects must go."""
        with self._changed:
            if len(self._objects) >= MOST_OBJECTS:
                for place, (_, _, kept) in enumerate(self._objects):
                    if not kept:
                        del self._objects[place]
                        self._dropped_objects += 1
                        break
            self._objects.append((self._head, thing, keep))
            self._changed.notify()

    def take(self, most: int, linger: float, *, patience: float) -> np.ndarray | Any | None:
        """The next events, at most `most`, or the next object; waits for them.

        Args:
            linger: how many seconds the first event may wait for others; a full batch or an object ends the wait.
            patience: how many seconds to wait for anything at all.

        Returns:
            A copy of the rows, or an object; None where nothing came in time or the ring is closed and empty.
        """
        deadline = self._clock() + patience
        with self._changed:
            while True:
                if self._objects and self._objects[0][0] <= self._tail:
                    return self._objects.popleft()[1]
                ready = len(self) if not self._objects else self._objects[0][0] - self._tail
                now = self._clock()
                due = self._since + linger
                if ready and (ready >= most or self._objects or self._closed or now >= due):
                    return self._taken(min(ready, most))
                if self._closed or now >= deadline:
                    return None
                self._changed.wait(min(deadline, due) - now if ready else deadline - now)

    def close(self) -> None:
        """Take nothing more in a hurry: who waits is woken, what is in can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def dropped(self) -> tuple[np.ndarray, int]:
        """How many events were dropped, by kind, and how many objects."""
        with self._changed:
            return self._dropped.copy(), self._dropped_objects

    @property
    def highest(self) -> int:
        """The most events that have ever waited."""
        return self._highest

    def _taken(self, count: int) -> np.ndarray:
        first = self._tail % self.capacity
        until_end = min(count, self.capacity - first)
        rows = np.empty(count, dtype=ROW)
        rows[:until_end] = self._rows[first : first + until_end]
        rows[until_end:] = self._rows[: count - until_end]
        self._tail += count
        self._since = self._clock()  # what is left has not waited longer than one batch takes
        return rows

    def _drop(self, count: int) -> None:
        if count:
            first = self._tail % self.capacity
            until_end = min(count, self.capacity - first)
            kinds = np.concatenate(
                [self._rows["kind"][first : first + until_end], self._rows["kind"][: count - until_end]]
            )
            self._dropped += np.bincount(kinds, minlength=KINDS)
            self._tail += count
