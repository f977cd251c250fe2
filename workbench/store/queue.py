"""The queue of jobs in the database: enqueue, claim, cancel and list. The same on SQLite and on PostgreSQL.

QUEUED → RUNNING → DONE, FAILED or CANCELLED. A worker holds a job by a lease that its heartbeats extend; a job whose
lease ran out, or whose worker is certainly gone, is claimed by the next worker with a higher token (`claimed.py`).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.exc import IntegrityError

from workbench.errors import JobLost, NoData, ParameterError, StoreError
from workbench.store import audit
from workbench.store.claimed import Claimed, Clock, move
from workbench.store.engine import transaction
from workbench.store.holders import certainly_gone
from workbench.store.job import Job, JobStatus
from workbench.store.schema import new_id, utc_now
from workbench.store.tables.job import JobRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Engine
    from sqlalchemy.orm import Session

TTL = dt.timedelta(seconds=15)
LONGEST_PAGE = 1000
_POLL_SECONDS = 0.05
_QUEUED, _RUNNING = JobStatus.QUEUED.value, JobStatus.RUNNING.value


class Listed(NamedTuple):
    """One page of jobs, newest first; `cursor` asks for the next page, None when there is none."""

    jobs: tuple[Job, ...]
    cursor: str | None


def enqueue(
    engine: Engine,
    *,
    kind: str,
    key: str,
    title: str,
    payload: dict[str, Any],
    priority: int = 0,
    max_attempts: int = 3,
    patience: float = 5.0,
    clock: Clock = utc_now,
) -> Job:
    """Put work into the queue; a job of the same key that is queued or running is returned instead.

    Args:
        key: names the question, at most 64 characters.
        priority: a higher one is claimed first; among equals the oldest.
        max_attempts: how often it may be begun, at least 1.
        patience: seconds to wait for an equal job that is just being cancelled to be gone.

    Raises:
        ParameterError: `max_attempts` or the length of `key` is out of bounds.
        StoreError: an equal job is still being cancelled after `patience`; nothing was enqueued.
    """
    if max_attempts < 1 or not 1 <= len(key) <= 64:
        raise ParameterError(
            f"max_attempts={max_attempts!r} must be at least 1, and key={key!r} 1 to 64 characters long; "
            "nothing was enqueued.",
            remedy="take the sha256 of the question as its key.",
        )
    values = {"kind": kind, "key": key, "title": title, "payload": payload, "priority": priority}
    deadline = time.monotonic() + patience
    while True:
        try:
            with transaction(engine) as session:
                job = _enqueued(session, {**values, "max_attempts": max_attempts}, clock())
        except IntegrityError:
            continue  # somebody else has just enqueued the same question; now it is found
        if not job.cancelling:
            return job
        if time.monotonic() > deadline:
            raise StoreError(
                f"job {job.id[:8]} asks the same question and is still being cancelled; nothing was enqueued.",
                remedy="submit again in a few seconds.",
                job=job.id,
            )
        time.sleep(_POLL_SECONDS)


def _enqueued(session: Session, values: dict[str, Any], now: dt.datetime) -> Job:
    query = select(JobRow).where(JobRow.key == values["key"], JobRow.status.in_([_QUEUED, _RUNNING]))
    there = session.scalars(query.with_for_update()).one_or_none()
    if there is not None and there.cancel_requested_at is not None and _abandoned(there, now, certainly_gone):
        move(session, there, JobStatus.CANCELLED, now, note=None)  # nobody is left who could obey
    elif there is not None:
        return Job.of(there)
    row = JobRow(id=new_id(), status=_QUEUED, available_at=now, created_at=now, trace_id=trace_id(), **values)
    session.add(row)
    session.flush()
    after = {"kind": row.kind, "key": row.key, "title": row.title}
    audit.record(session, entity="job", entity_id=row.id, action=_QUEUED, after=after)
    return Job.of(row)


def claim(
    engine: Engine,
    *,
    holder: str,
    kinds: Collection[str] | None = None,
    ttl: dt.timedelta = TTL,
    clock: Clock = utc_now,
    gone: Callable[[str], bool] = certainly_gone,
) -> Claimed | None:
    """Take the next job, or None when there is none to take. Of many workers asking at once each gets another job.

    What was abandoned is settled on the way: CANCELLED if that was asked for, FAILED (WB411) after the last attempt.

    Args:
        holder: who takes it, from `workbench.store.holders.this_process`.
        kinds: only jobs of these kinds; all when None.
        ttl: how long the lease lasts without a heartbeat.
        gone: whether a holder has certainly ended; its jobs are taken over before their lease runs out.
    """
    with transaction(engine) as session:
        while True:
            now = clock()
            query = (
                select(JobRow)
                .where(_claimable(session, now, gone), *_of(kinds))
                .order_by(JobRow.priority.desc(), JobRow.created_at, JobRow.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            row = session.scalars(query).one_or_none()
            if row is None:
                return None
            if row.status == _RUNNING and not _abandoned(row, now, gone):
                return None  # claimed by another worker between the two looks; the next call sees it
            if row.cancel_requested_at is not None:
                move(session, row, JobStatus.CANCELLED, now, note=None)
            elif row.attempts >= row.max_attempts:
                said = f"its worker {row.holder} ended without a word in attempt {row.attempts} of {row.max_attempts}"
                move(session, row, JobStatus.FAILED, now, error_code=JobLost.code, error=said, note=None)
            else:
                fresh: dict[str, Any] = {"done": 0, "total": 0, "note": None, "started_at": now, "heartbeat_at": now}
                taken: dict[str, Any] = {"attempts": row.attempts + 1, "token": row.token + 1, "lease_until": now + ttl}
                job = move(session, row, JobStatus.RUNNING, now, holder=holder, **taken, **fresh)
                return Claimed(engine, job, token=row.token, ttl=ttl, clock=clock)


def request_cancel(engine: Engine, job_id: str, *, who: str | None = None, clock: Clock = utc_now) -> Job:
    """Ask for a job to stop: a queued one is CANCELLED at once, a running one by its worker, an ended one stays.

    Args:
        who: for the audit; the operating system's user when None.

    Raises:
        NoData: there is no such job.
    """
    who, now = who or audit.actor(), clock()
    with transaction(engine) as session:
        row = session.get(JobRow, job_id, with_for_update=True)
        if row is None:
            raise _unknown(job_id)
        if JobStatus(row.status).final or row.cancel_requested_at is not None:
            return Job.of(row)
        row.cancel_requested_at, row.cancel_requested_by = now, who
        if row.status == _QUEUED or _abandoned(row, now, certainly_gone):
            return move(session, row, JobStatus.CANCELLED, now, who=who, note=None)
        audit.record(session, entity="job", entity_id=row.id, action="cancel requested", who=who)
        return Job.of(row)


def get(engine: Engine, job_id: str) -> Job:
    """A job by its id, or by the beginning of it.

    Raises:
        NoData: no job, or more than one, begins so.
    """
    with transaction(engine) as session:
        row = session.get(JobRow, job_id)
        if row is not None:
            return Job.of(row)
        query = select(JobRow).where(JobRow.id.startswith(job_id, autoescape=True)).limit(2)
        rows = session.scalars(query).all() if job_id else []
    if len(rows) != 1:
        raise (
            _unknown(job_id)
            if not rows
            else NoData(f"the ids of several jobs begin with {job_id!r}.", remedy="give more digits of it.")
        )
    return Job.of(rows[0])


def jobs(
    engine: Engine,
    *,
    status: JobStatus | str | None = None,
    kind: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Listed:
    """Jobs, newest first, in pages that do not shift when new jobs arrive.

    Args:
        cursor: of the page before; None: from the newest.
        limit: at most so many, 1 to 1000.

    Raises:
        ParameterError: `status`, `cursor` or `limit` is none.
    """
    if not 1 <= limit <= LONGEST_PAGE:
        raise ParameterError(f"limit={limit!r} must lie from 1 to {LONGEST_PAGE}.", remedy="take the next page.")
    if status is not None and status not in set(JobStatus):
        raise ParameterError(f"status={status!r} is not one of {', '.join(JobStatus)}.", remedy="use one of these.")
    query = select(JobRow).order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit + 1)
    if status is not None:
        query = query.where(JobRow.status == str(status))
    if kind is not None:
        query = query.where(JobRow.kind == kind)
    with transaction(engine) as session:
        if cursor is not None:
            last = session.get(JobRow, cursor)
            if last is None:
                raise ParameterError(
                    f"cursor={cursor!r} is none of ours.", remedy="take the one that came with the page before."
                )
            query = query.where(tuple_(JobRow.created_at, JobRow.id) < (last.created_at, last.id))
        rows = session.scalars(query).all()
    found = tuple(Job.of(row) for row in rows[:limit])
    return Listed(found, found[-1].id if len(rows) > limit else None)


def alive(engine: Engine, kinds: Collection[str] | None = None) -> int:
    """How many jobs are queued or running."""
    query = select(func.count()).where(JobRow.status.in_([_QUEUED, _RUNNING]), *_of(kinds))
    with transaction(engine) as session:
        return session.scalar(query) or 0


def _claimable(session: Session, now: dt.datetime, gone: Callable[[str], bool]) -> ColumnElement[bool]:
    running = session.execute(select(JobRow.id, JobRow.holder).where(JobRow.status == _RUNNING)).all()
    left = [job_id for job_id, holder in running if holder and gone(holder)]
    ran_out = and_(JobRow.status == _RUNNING, or_(JobRow.lease_until <= now, JobRow.id.in_(left)))
    return or_(and_(JobRow.status == _QUEUED, JobRow.available_at <= now), ran_out)


def _of(kinds: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [] if kinds is None else [JobRow.kind.in_(sorted(kinds))]


def _abandoned(row: JobRow, now: dt.datetime, gone: Callable[[str], bool]) -> bool:
    """Whether a running job has nobody at work on it."""
    if row.status != _RUNNING:
        return False
    return row.lease_until is None or row.lease_until <= now or (row.holder is not None and gone(row.holder))


def _unknown(job_id: str) -> NoData:
    return NoData(f"there is no job {job_id!r}.", remedy="`workbench jobs` shows which there are.")
