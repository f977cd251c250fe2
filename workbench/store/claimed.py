"""Claimed: a job in the hands of one worker. Every write proves by its token that the job is still this worker's."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from workbench.errors import JobCancelled, JobLost
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.eta import Eta
from workbench.store.job import Job, JobStatus
from workbench.store.tables.job import JobRow

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

Clock = Callable[[], dt.datetime]
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0


class Claimed:
    """A claim on a job. The row in the database is the truth; this value remembers only its token.

    Each claim raises the token by one, so whoever slept through its lease cannot write any more, however long it slept.
    """

    def __init__(self, engine: Engine, job: Job, *, token: int, ttl: dt.timedelta, clock: Clock) -> None:
        self.job = job
        self.token = token
        self._engine, self._ttl, self._clock = engine, ttl, clock
        self._eta = Eta()

    def heartbeat(self) -> None:
        """Extend the lease and bring the estimate up to the moment.

        Raises:
            JobLost: another worker has the job; nothing was written.
            JobCancelled: somebody asked for it to stop (the lease was extended).
        """
        self._beat(self._clock(), {})

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Say that `done` of `total` units are finished, and extend the lease. Raises as `heartbeat`."""
        now = self._clock()
        self._eta.heard(done, total, now.timestamp())
        self._beat(now, {"done": done, "total": total, "note": note or None})

    def check(self) -> None:
        """Look only, write nothing. Raises as `heartbeat`."""
        query = select(JobRow.cancel_requested_by, JobRow.cancel_requested_at).where(*self._mine())
        with transaction(self._engine) as session:
            found = session.execute(query).one_or_none()
            if found is None:
                raise self._lost(session)
        self._obey(*found)

    def finish(self, result: dict[str, Any]) -> Job:
        """DONE, with what came out (plain JSON values). Raises JobLost; nothing is written then."""
        with transaction(self._engine) as session:
            row = self._own(session)
            told: dict[str, Any] = {"done": row.total, "error_code": None, "error": None, "note": None}
            return move(session, row, JobStatus.DONE, self._clock(), result=result, **told)

    def cancelled(self) -> Job:
        """CANCELLED: the work was stopped. Raises JobLost; nothing is written then."""
        with transaction(self._engine) as session:
            return move(session, self._own(session), JobStatus.CANCELLED, self._clock(), note=None)

    def fail(self, code: str, error: str, *, retryable: bool, rng: random.Random) -> Job:
        """The attempt failed: QUEUED again after a wait if that may help and attempts are left, else FAILED.

        Args:
            code: of the tree of errors.
            retryable: whether the same work may succeed later. A job that was asked to stop is not tried again.
            rng: spreads the waits, so that many jobs which failed together do not come back together.

        Raises:
            JobLost: another worker has the job; nothing was written.
        """
        with transaction(self._engine) as session:
            row = self._own(session)
            said: dict[str, Any] = {"error_code": code, "error": error, "note": None}
            if retryable and row.cancel_requested_at is not None:
                return move(session, row, JobStatus.CANCELLED, self._clock(), **said)
            if not retryable or row.attempts >= row.max_attempts:
                return move(session, row, JobStatus.FAILED, self._clock(), **said)
            later = self._clock() + backoff(row.attempts, rng)
            return move(session, row, JobStatus.QUEUED, self._clock(), available_at=later, **said)

    def give_back(self) -> Job:
        """QUEUED again at once, and the attempt is not counted: it is the worker that stops, not the work that failed.

        A job that was asked to stop is CANCELLED instead. Raises JobLost; nothing is written then.
        """
        with transaction(self._engine) as session:
            row, now = self._own(session), self._clock()
            if row.cancel_requested_at is not None:
                return move(session, row, JobStatus.CANCELLED, now, note=None)
            return move(session, row, JobStatus.QUEUED, now, attempts=row.attempts - 1, available_at=now, note=None)

    def _beat(self, now: dt.datetime, values: dict[str, Any]) -> None:
        beat = (
            update(JobRow)
            .where(*self._mine())
            .values(lease_until=now + self._ttl, heartbeat_at=now, eta_s=self._eta.left(now.timestamp()), **values)
            .returning(JobRow.cancel_requested_by, JobRow.cancel_requested_at)
        )
        with transaction(self._engine) as session:
            found = session.execute(beat).one_or_none()
            if found is None:
                raise self._lost(session)
        self._obey(*found)

    def _mine(self) -> tuple[Any, ...]:
        return JobRow.id == self.job.id, JobRow.token == self.token, JobRow.status == JobStatus.RUNNING.value

    def _own(self, session: Session) -> JobRow:
        row = session.scalars(select(JobRow).where(*self._mine()).with_for_update()).one_or_none()
        if row is None:
            raise self._lost(session)
        return row

    def _obey(self, by: str | None, at: dt.datetime | None) -> None:
        if at is not None:
            raise JobCancelled(
                f"{by} asked for job {self.job.id[:8]} ({self.job.title}) to stop; what was finished is kept.",
                remedy="submit it again to go on.",
                job=self.job.id,
            )

    def _lost(self, session: Session) -> JobLost:
        row = session.get(JobRow, self.job.id, populate_existing=True)
        found = f"it is {row.status} with token {row.token}, held by {row.holder}" if row else "its row is gone"
        return JobLost(
            f"job {self.job.id[:8]} ({self.job.title}) is no longer this worker's: ours had token {self.token}, but "
            f"{found}. Nothing was written.",
            remedy="nothing: whoever has it now carries on.",
            job=self.job.id,
            token=self.token,
        )


def backoff(attempts: int, rng: random.Random) -> dt.timedelta:
    """The wait after attempt number `attempts`: 1 s, 2 s, 4 s … up to a minute, of which a random half to the whole."""
    longest = min(FIRST_WAIT_S * 2.0 ** (attempts - 1), LONGEST_WAIT_S)
    return dt.timedelta(seconds=longest * rng.uniform(0.5, 1.0))


def move(
    session: Session, row: JobRow, status: JobStatus, now: dt.datetime, *, who: str | None = None, **values: Any
) -> Job:
    """Change the state of a job in the open transaction, with its audit row; the job leaves the hands it was in."""
    before = {"status": row.status, "token": row.token}
    row.status = status.value
    row.lease_until = None
    row.eta_s = None
    if status.final:
        row.ended_at = now
    for name, value in values.items():
        setattr(row, name, value)
    told = {"status": row.status, "attempts": row.attempts, "error_code": row.error_code, "holder": row.holder}
    audit.record(
        session,
        entity="job",
        entity_id=row.id,
        action=row.status,
        before=before,
        after={name: value for name, value in told.items() if value is not None},
        who=who,
    )
    session.flush()
    return Job.of(row)
