"""How far each consumer of events has come, and what it had to lay aside."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.schema import utc_now
from workbench.store.tables.event import EventOffsetRow, EventParkedRow

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class Parked:
    """An event that a consumer could not handle, how often it tried, and the error of the last time."""

    consumer: str
    seq: int
    attempts: int
    error: str
    parked_at: dt.datetime


def offset(engine: Engine, consumer: str) -> int | None:
    """The last event that a consumer has handled or parked; None: the consumer is not known."""
    with transaction(engine) as session:
        row = session.get(EventOffsetRow, consumer)
        return None if row is None else row.seq


def advance(engine: Engine, consumer: str, seq: int, *, parked: Parked | None = None) -> None:
    """Remember that a consumer is done with everything up to `seq`, in one transaction with what it lays aside.

    A consumer's place never goes back here; see `rewind`.
    """
    with transaction(engine) as session:
        row = session.get(EventOffsetRow, consumer, with_for_update=True)
        if row is None:
            row = EventOffsetRow(consumer=consumer, seq=0)
            session.add(row)
        row.seq, row.updated_at = max(row.seq, seq), utc_now()
        if parked is not None:
            said = {"attempts": parked.attempts, "error": parked.error, "parked_at": parked.parked_at}
            session.merge(EventParkedRow(consumer=consumer, seq=parked.seq, **said))


def rewind(engine: Engine, consumer: str, seq: int) -> None:
    """Let a consumer read again everything after `seq`. It must not be running: a running one keeps its own place."""
    with transaction(engine) as session:
        row = session.get(EventOffsetRow, consumer, with_for_update=True)
        before = None if row is None else {"seq": row.seq}
        if row is None:
            row = EventOffsetRow(consumer=consumer)
            session.add(row)
        row.seq, row.updated_at = seq, utc_now()
        after = {"seq": seq}
        audit.record(session, entity="consumer", entity_id=consumer, action="rewind", before=before, after=after)


def forget(engine: Engine, consumer: str) -> None:
    """Drop a consumer that will not come back, with what it has parked: it keeps no event from being pruned."""
    with transaction(engine) as session:
        session.execute(delete(EventParkedRow).where(EventParkedRow.consumer == consumer))
        session.execute(delete(EventOffsetRow).where(EventOffsetRow.consumer == consumer))
        audit.record(session, entity="consumer", entity_id=consumer, action="forget")


def parked(engine: Engine, consumer: str) -> list[Parked]:
    """What a consumer could not handle, oldest first."""
    question = select(EventParkedRow).where(EventParkedRow.consumer == consumer).order_by(EventParkedRow.seq)
    with transaction(engine) as session:
        rows = session.scalars(question).all()
    return [Parked(row.consumer, row.seq, row.attempts, row.error, row.parked_at) for row in rows]


def unpark(engine: Engine, consumer: str, seq: int) -> None:
    """A parked event was handled after all."""
    with transaction(engine) as session:
        session.execute(delete(EventParkedRow).where(EventParkedRow.consumer == consumer, EventParkedRow.seq == seq))
