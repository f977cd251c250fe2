"""The event bus: events are published in the transaction of their change and delivered in one order, at least once."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from workbench.errors import StoreError
from workbench.events import Event
from workbench.store import audit, event_offsets
from workbench.store.engine import transaction
from workbench.store.event_consumer import Consumer, Handler
from workbench.store.event_offsets import Parked
from workbench.store.event_reading import Recorded, enter, safe, scan
from workbench.store.event_wake import Wake
from workbench.store.tables.event import EventOffsetRow, EventParkedRow, EventRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["Consumer", "EventLog", "Parked", "Recorded", "publish"]

# Written at once and not through the session's unit of work: the order path publishes with every order.
_INSERT = insert(EventRow.__table__)  # type: ignore[arg-type]  # a mapped class's table is a Table
# Also where nothing wakes: a publisher that rolled back, a connection that was lost.
LOOK_SECONDS = 0.5


def publish(session: Session, *published: Event) -> None:
    """Write events into the open transaction, in this order: they exist if and when the change they tell exists."""
    if not published:
        return
    enter(session)
    trace = trace_id()
    rows = [
        {
            "account": event.account[:96],
            "kind": event.kind,
            "version": event.version,
            "subject": event.subject[:96],
            "body": event.to_body(),
            "trace_id": trace,
        }
        for event in published
    ]
    session.execute(_INSERT, rows)


class EventLog:
    """The stored events, and those who are told of them: in this process by `subscribe`, in any by `follow`.

    `deliver` hands out what is new, on the thread that calls it; a loop that turns anyway (the desk's) calls it in
    every turn. A subscriber whose handler raises neither loses the event nor holds the others up.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wake = Wake(engine)
        self._consumers: list[Consumer] = []

    # --- reading

    def read(self, after: int = 0, *, kinds: Collection[str] | None = None, limit: int = 500) -> list[Recorded]:
        """The events after a number, oldest first, up to where no unfinished transaction can put one in between.

        Args:
            after: the number (`seq`) of the last event that is known; 0: from the beginning.
            kinds: names of the kinds wanted; None: all.
            limit: how many at most.
        """
        return scan(self._engine, after, kinds=kinds, limit=limit)[0]

    def newest(self) -> int:
        """The number of the newest event that may be read; who begins here gets only what comes after."""
        with transaction(self._engine) as session:
            return safe(session)

    def event(self, seq: int) -> Recorded:
        """One event. Raises StoreError when it was pruned or never was."""
        with transaction(self._engine) as session:
            row = session.get(EventRow, seq)
            if row is None:
                raise StoreError(f"there is no event {seq}; it was pruned or never was.", remedy="look at the audit.")
            return Recorded.of(row)

    # --- telling

    def subscribe(self, handler: Handler, *, consumer: str | None = None, **how: Any) -> Consumer:
        """Tell a handler of every event from now on (of every one after its stored place, with a `consumer` name).

        Args:
            handler: called by `deliver`; an exception of it means: not handled, try again.
            consumer: the name under which its place is stored; None: in memory only.
            how: `kinds`, `after`, `attempts`, `backoff`, `monotonic` of `Consumer`.
        """
        made = Consumer(self._engine, consumer, handler, **how)
        self._consumers.append(made)
        return made

    def unsubscribe(self, consumer: Consumer) -> None:
        """Tell it no more; its place is stored if it has a name."""
        consumer.save()
        self._consumers.remove(consumer)

    def deliver(self, *, wait: float = 0.0, always: bool = False) -> int:
        """Hand out what is new; how many events were handled, over all subscribers.

        Args:
            wait: seconds to wait for something new.
            always: look even where nothing is announced; done now and then, it heals what an announcement missed.
        """
        due = any(one.retry_in == 0 for one in self._consumers)
        if not self._wake.wait(0.0 if due else wait) and not due and not always:
            return 0
        return sum(one.turn() for one in self._consumers)

    def follow(self, consumer: str, handler: Handler, *, stop: threading.Event, **how: Any) -> None:
        """Read as `consumer` until `stop` is set, waiting for what comes: the loop of a process that lives of events.

        Args:
            how: as for `subscribe`.
        """
        one = self.subscribe(handler, consumer=consumer, **how)
        try:
            while not stop.is_set():
                if not one.turn():
                    pause = one.retry_in
                    self._wake.wait(LOOK_SECONDS if pause is None else min(LOOK_SECONDS, pause))
        finally:
            self.unsubscribe(one)

    def close(self) -> None:
        """Store the places of all subscribers and stop listening."""
        for one in self._consumers:
            one.save()
        self._consumers.clear()
        self._wake.close()

    # --- consumers, and old events

    def offset(self, consumer: str) -> int | None:
        """The last event that a consumer has handled or parked; None: the consumer is not known."""
        return event_offsets.offset(self._engine, consumer)

    def parked(self, consumer: str) -> list[Parked]:
        """What a consumer could not handle, oldest first; `Consumer.retry_parked` tries again."""
        return event_offsets.parked(self._engine, consumer)

    def rewind(self, consumer: str, seq: int) -> None:
        """Let a consumer that does not run read again everything after `seq`; written in the audit."""
        event_offsets.rewind(self._engine, consumer, seq)

    def forget(self, consumer: str) -> None:
        """Drop a consumer that will not come back: it keeps no event from being pruned any more."""
        event_offsets.forget(self._engine, consumer)

    def prune(self, before: dt.datetime, *, unread: bool = False) -> int:
        """Delete the events that happened before a moment; how many those were. Nothing else ever deletes one.

        Args:
            unread: also those that a known consumer has not handled yet. What is parked always stays.
        """
        with transaction(self._engine) as session:
            parked = select(EventParkedRow.seq)
            old = delete(EventRow).where(
                EventRow.happened < before, EventRow.seq <= safe(session), EventRow.seq.not_in(parked)
            )
            slowest = session.scalar(select(func.min(EventOffsetRow.seq)))
            if slowest is not None and not unread:
                old = old.where(EventRow.seq <= slowest)
            count = len(session.scalars(old.returning(EventRow.seq)).all())
            if count:
                told = {"count": count, "before": before.isoformat()}
                audit.record(session, entity="event", entity_id="*", action="prune", after=told)
            return count
