"""Reading stored events in their one order, without being told what may be rolled back or missing what commits late.

On SQLite there is one writer, so rows appear in their order. On PostgreSQL a row takes its number before its commit;
every publisher therefore holds, until its transaction ends, a shared advisory lock that names a number below all it
will take, and a reader stops at the lowest of these. Publishers never wait for each other or for a reader.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.orm import Session

from workbench import events
from workbench.events import Event
from workbench.store.engine import transaction
from workbench.store.tables.event import EventRow

if TYPE_CHECKING:
    from sqlalchemy import Engine

CHANNEL = "workbench_event"
_LOCK = 7237812  # the first half of the publishers' advisory locks; the second half is the number
_TAKEN = text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM event_seq_seq")
# One round trip: the lock is taken before any number, and waiting readers are woken by the commit.
_ENTER = text(
    "SELECT pg_advisory_xact_lock_shared(:lock, (SELECT CASE WHEN is_called THEN last_value ELSE 0 END"
    " FROM event_seq_seq)::int), pg_notify(:channel, '')"
)
_RUNNING = text(
    "SELECT min(objid::bigint) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = :lock AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_NEWEST = select(func.coalesce(func.max(EventRow.seq), 0))
_AFTER = (
    select(EventRow)
    .where(EventRow.seq > bindparam("after"), EventRow.seq <= bindparam("safe"))
    .order_by(EventRow.seq)
    .limit(bindparam("limit"))
)
_AFTER_OF = _AFTER.where(EventRow.kind.in_(bindparam("kinds", expanding=True)))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored event. `seq` is its place in the one order, `id` its name; a consumer that must not act twice keeps it.

    `body` stays readable where `event` cannot be made by this program.
    """

    seq: int
    id: str
    kind: str
    version: int
    account: str
    subject: str
    body: dict[str, Any]
    trace_id: str
    happened: dt.datetime

    @property
    def event(self) -> Event:
        """The event itself. Raises StoreError when this program does not know the kind or cannot read the body."""
        return events.of(self.kind, self.version, self.body)

    @classmethod
    def of(cls, row: EventRow) -> Recorded:
        """A row as a value."""
        told = (row.version, row.account, row.subject, row.body, row.trace_id, row.happened)
        return cls(row.seq, row.id, row.kind, *told)


def enter(session: Session) -> None:
    """Be seen as a publisher until the transaction ends, and wake the readers then; before a number is taken."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_ENTER, {"lock": _LOCK, "channel": CHANNEL})


def safe(session: Session) -> int:
    """The number up to which no unfinished transaction can still put an event.

    The order of the questions matters: who took a number before the first one either still holds its lock at the
    second, or has ended before it and is seen by whoever reads afterwards.
    """
    if session.get_bind().dialect.name != "postgresql":
        return session.scalar(_NEWEST) or 0
    taken: int = session.execute(_TAKEN).scalar_one()
    running: int | None = session.execute(_RUNNING, {"lock": _LOCK}).scalar_one()
    return taken if running is None else min(taken, running)


def scan(
    engine: Engine, after: int, *, kinds: Collection[str] | None = None, limit: int = 500
) -> tuple[list[Recorded], int]:
    """The wanted events after a number, oldest first, at most `limit`; and the number to go on from."""
    with transaction(engine) as session:
        end = safe(session)
        if end <= after:
            return [], after
        given: dict[str, Any] = {"after": after, "safe": end, "limit": limit}
        if kinds is None:
            rows = session.scalars(_AFTER, given)
        else:
            rows = session.scalars(_AFTER_OF, {**given, "kinds": sorted(kinds)})
        found = [Recorded.of(row) for row in rows]
    return found, found[-1].seq if len(found) == limit else end
