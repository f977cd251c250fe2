"""Consumer: reads events in their order and hands each to a handler, at least once, whatever the handler does."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from workbench.store import event_offsets
from workbench.store.engine import transaction
from workbench.store.event_offsets import Parked
from workbench.store.event_reading import Recorded, safe, scan
from workbench.store.schema import utc_now
from workbench.trace import get_logger

if TYPE_CHECKING:
    from sqlalchemy import Engine

Handler = Callable[[Recorded], object]
ATTEMPTS = 5
BATCH = 200
_SAVE_SECONDS = 0.2  # how much may be handled again after a kill
_SKIPPED = 1000  # how many unwanted events may pass before the place is saved


class Consumer:
    """One reader with a place of its own. An event that its handler refuses is tried again, then parked; others go on.

    With a name, the place is stored: after a restart it goes on behind the last event that was handled, and after a
    kill it may hand out again the events of its last moments, in their order. A name belongs to one process at a time.
    Without one it lives in memory only.

    Args:
        name: under which the place is stored; None: in memory.
        handler: called with each event; an exception of it means: not handled.
        kinds: names of the kinds wanted; None: all.
        after: where an unnamed or a new consumer begins; None: a named one at the first event, an unnamed one behind
            the newest.
        attempts: how often an event is tried before it is parked with the error.
        backoff: seconds before the second attempt; doubled each time.
    """

    def __init__(
        self,
        engine: Engine,
        name: str | None,
        handler: Handler,
        *,
        kinds: Collection[str] | None = None,
        after: int | None = None,
        attempts: int = ATTEMPTS,
        backoff: float = 0.5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.kinds = name, kinds
        self._engine, self._handler, self._now = engine, handler, monotonic
        self._attempts, self._backoff = attempts, backoff
        self._tries = 0
        self._retry_at = 0.0
        self._log = get_logger(__name__).bind(consumer=name or "in memory")
        stored = None if name is None else event_offsets.offset(engine, name)
        if stored is None and after is None and name is None:
            with transaction(engine) as session:
                after = safe(session)
        self.place = self._saved = stored if stored is not None else after or 0
        if name is not None and stored is None:
            event_offsets.advance(engine, name, self.place)  # known from now on: nothing it needs is pruned

    @property
    def retry_in(self) -> float | None:
        """Seconds until a refused event is tried again; None: none waits."""
        return max(self._retry_at - self._now(), 0.0) if self._tries else None

    def turn(self, *, batch: int = BATCH) -> int:
        """Hand out what is there, at most `batch` events; how many were handled or parked. Never waits."""
        if self._tries and self._now() < self._retry_at:
            return 0
        found, end = scan(self._engine, self.place, kinds=self.kinds, limit=batch)
        saved_at, done = self._now(), 0
        try:
            for one in found:
                if not self._handled(one):
                    return done
                done += 1
                if self._now() - saved_at >= _SAVE_SECONDS:
                    self.save()
                    saved_at = self._now()
            self.place = end
        finally:
            if done or self.place - self._saved >= _SKIPPED:
                self.save()
        return done

    def save(self) -> None:
        """Store the place."""
        if self.name is not None and self.place > self._saved:
            event_offsets.advance(self._engine, self.name, self.place)
        self._saved = self.place

    def retry_parked(self) -> int:
        """Try once more what was parked, oldest first; how many were handled now. The rest stays parked."""
        done = 0
        for one in event_offsets.parked(self._engine, self.name) if self.name is not None else []:
            (found,), _ = scan(self._engine, one.seq - 1, limit=1)  # what is parked is never pruned
            try:
                self._handler(found)
            except Exception as error:  # noqa: BLE001 - a handler may fail in any way
                again = Parked(one.consumer, one.seq, one.attempts + 1, _said(error), utc_now())
                event_offsets.advance(self._engine, one.consumer, one.seq, parked=again)
            else:
                event_offsets.unpark(self._engine, one.consumer, one.seq)
                done += 1
        return done

    def _handled(self, one: Recorded) -> bool:
        """Try one event; False: it is to be tried again later, and nothing after it before that."""
        try:
            self._handler(one)
        except Exception as error:  # noqa: BLE001 - a handler may fail in any way
            self._tries += 1
            self._log.warning(
                "event not handled", seq=one.seq, event_kind=one.kind, tries=self._tries, error=_said(error)
            )
            if self._tries < self._attempts:
                self._retry_at = self._now() + self._backoff * 2 ** (self._tries - 1)
                return False
            self._park(one, error)
        self._tries, self.place = 0, one.seq
        return True

    def _park(self, one: Recorded, error: Exception) -> None:
        if self.name is not None:
            parked = Parked(self.name, one.seq, self._tries, _said(error), utc_now())
            event_offsets.advance(self._engine, self.name, one.seq, parked=parked)
        self._log.error("event parked", seq=one.seq, event_kind=one.kind, tries=self._tries, error=_said(error))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
