"""Writing down how runs go: one runner at a time, heartbeats, and ends that are true even when a process was killed.

The rows are the authority. Every write of a runner first proves that the run is still its own, in the same transaction.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from workbench.errors import LeaseLost, PipelineError
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.processes import process_runs
from workbench.store.schema import new_id, utc_now
from workbench.store.tables.pipeline import PipelineRunRow, Status, StepRunRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from workbench.orchestration.plan import Plan

HEARTBEAT_S = 2.0
STALE_AFTER_S = 30.0
_UNFINISHED = (Status.QUEUED.value, Status.RUNNING.value)


@dataclass(frozen=True)
class Claim:
    """A run that this process owns.

    Attributes:
        run_id: its row.
        holder: who owns it: host, process, and a mark that tells this process from a later one with the same number.
        folder: where its files go.
    """

    run_id: str
    holder: str
    folder: Path


class RunStore:
    """The rows of pipeline runs. `clock` gives the UTC time; tests give their own."""

    def __init__(
        self, engine: Engine, *, clock: Callable[[], dt.datetime] = utc_now, stale_after_s: float = STALE_AFTER_S
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._stale_after = dt.timedelta(seconds=stale_after_s)

    def done(self, plan: Plan) -> PipelineRunRow | None:
        """The newest DONE run of an identical question, if there is one."""
        return self._newest(plan, PipelineRunRow.config_hash == plan.config_hash, [Status.DONE])

    def broken(self, plan: Plan) -> PipelineRunRow | None:
        """The newest run of this pipeline and session that failed or was cancelled, whatever its parameters."""
        return self._newest(plan, None, [Status.FAILED, Status.CANCELLED])

    def run(self, run_id: str) -> PipelineRunRow:
        """The row of a run."""
        with transaction(self._engine) as session:
            return session.scalars(select(PipelineRunRow).filter_by(id=run_id)).one()

    def steps(self, run_id: str) -> dict[str, StepRunRow]:
        """The steps of a run by name, in their order."""
        with transaction(self._engine) as session:
            rows = session.scalars(select(StepRunRow).filter_by(run_id=run_id).order_by(StepRunRow.position)).all()
        return {row.step: row for row in rows}

    def running_elsewhere(self) -> int:
        """How many runs of any pipeline are alive in other processes."""
        with transaction(self._engine) as session:
            rows = session.scalars(select(PipelineRunRow).filter_by(status=Status.RUNNING.value)).all()
        here = f":{os.getpid()}:{_place()}:"
        return sum(self._alive(row) for row in rows if here not in row.holder)

    def settle(self, plan: Plan) -> tuple[Path, ...]:
        """Declare a dead runner's run of this session FAILED: old heartbeat, or its process on this machine is gone.

        Returns the executed notebooks it left behind as RUNNING.

        Raises:
            PipelineError: the runner is alive; nothing was changed.
        """
        with transaction(self._engine) as session:
            row = session.scalars(
                select(PipelineRunRow)
                .filter_by(pipeline=plan.pipeline.name, session=plan.session, status=Status.RUNNING.value)
                .with_for_update()
            ).first()
            if row is None:
                return ()
            who = row.holder.rpartition(":")[0].rpartition(":")[0]
            if self._alive(row):
                raise _busy(plan, f"run {row.id[:8]} by {who} since {row.started_at:%Y-%m-%d %H:%M:%S} UTC")
            running = select(StepRunRow.executed).filter_by(run_id=row.id, status=Status.RUNNING.value)
            left = tuple(Path(path) for path in session.scalars(running) if path)
            said = f"its runner {who} stopped without a word; last heartbeat {row.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC"
            self._close(session, row.id, Status.FAILED, code=PipelineError.code, error=said)
            return left

    def begin(self, plan: Plan, runs: Path, *, resumed_from: str | None = None) -> Claim:
        """Claim the session for one run, with all its steps QUEUED.

        Raises:
            PipelineError: another runner is at work on this pipeline and session; nothing was started.
        """
        run_id, now = new_id(), self._clock()
        claim = Claim(run_id, _holder(), runs / plan.pipeline.name / plan.session / run_id)
        try:
            with transaction(self._engine) as session:
                session.add(
                    PipelineRunRow(
                        id=run_id,
                        pipeline=plan.pipeline.name,
                        session=plan.session,
                        config_hash=plan.config_hash,
                        params={"as_of": plan.as_of, **plan.overrides},
                        status=Status.RUNNING.value,
                        holder=claim.holder,
                        heartbeat_at=now,
                        folder=str(claim.folder),
                        resumed_from=resumed_from,
                        trace_id=trace_id(),
                        started_at=now,
                    )
                )
                session.flush()  # the run's row first: its steps point to it
                for position, planned in enumerate(plan.steps):
                    session.add(
                        StepRunRow(
                            run_id=run_id,
                            step=planned.name,
                            position=position,
                            notebook=str(planned.step.notebook.notebook),
                            step_key=planned.key,
                            params=planned.parameters,
                            status=Status.QUEUED.value,
                            outputs={},
                            trace_id=trace_id(),
                        )
                    )
                _audit(session, run_id, "started", {"status": Status.RUNNING.value, "config_hash": plan.config_hash})
        except IntegrityError as error:
            # At most one run of a session is RUNNING, by a unique index: another runner was first.
            raise _busy(plan, "another process") from error
        return claim

    def beat(self, claim: Claim) -> bool:
        """Say that the runner is alive. False: the run is no longer its own."""
        with transaction(self._engine) as session:
            return self._own(session, claim)

    def step(self, claim: Claim, step: str, **values: Any) -> None:
        """Change a step's row. Raises LeaseLost when another runner has taken the run over; nothing was written."""
        with transaction(self._engine) as session:
            self._prove(session, claim)
            before = session.scalars(select(StepRunRow).filter_by(run_id=claim.run_id, step=step)).one()
            old = before.status
            for name, value in values.items():
                setattr(before, name, value.value if isinstance(value, Status) else value)
            if before.status != old:
                after = {"status": before.status, "error": before.error, "reused_from": before.reused_from}
                audit.record(
                    session,
                    entity="step_run",
                    entity_id=before.id,
                    action=before.status.lower(),
                    before={"status": old},
                    after={name: value for name, value in after.items() if value is not None},
                )

    def end(
        self,
        claim: Claim,
        status: Status,
        *,
        report: str | None = None,
        code: str | None = None,
        error: str | None = None,
    ) -> None:
        """Write how the run ended; steps that were not reached become SKIPPED.

        Raises:
            LeaseLost: another runner has taken the run over; nothing was written.
        """
        with transaction(self._engine) as session:
            self._prove(session, claim)
            self._close(session, claim.run_id, status, report=report, code=code, error=error)

    def _newest(self, plan: Plan, condition: Any, statuses: list[Status]) -> PipelineRunRow | None:
        question = (
            select(PipelineRunRow)
            .filter_by(pipeline=plan.pipeline.name, session=plan.session)
            .where(PipelineRunRow.status.in_([status.value for status in statuses]))
            .order_by(PipelineRunRow.started_at.desc(), PipelineRunRow.id)
            .limit(1)
        )
        with transaction(self._engine) as session:
            return session.scalars(question if condition is None else question.where(condition)).first()

    def _close(
        self,
        session: Session,
        run_id: str,
        status: Status,
        *,
        report: str | None = None,
        code: str | None = None,
        error: str | None = None,
    ) -> None:
        now = self._clock()
        for row in session.scalars(
            select(StepRunRow).where(StepRunRow.run_id == run_id, StepRunRow.status.in_(_UNFINISHED))
        ):
            if row.status == Status.RUNNING.value:
                row.status, row.error, row.ended_at = status.value, error, now
            else:
                row.status = Status.SKIPPED.value
        session.execute(
            update(PipelineRunRow)
            .where(PipelineRunRow.id == run_id)
            .values(
                status=status.value,
                report=report,
                error_code=code,
                error=error,
                ended_at=now,
                version=PipelineRunRow.version + 1,
            )
            .execution_options(synchronize_session=False)
        )
        session.flush()
        after = {"status": status.value, "report": report, "error": error}
        _audit(session, run_id, status.value.lower(), {name: value for name, value in after.items() if value})

    def _own(self, session: Session, claim: Claim) -> bool:
        done: Any = session.execute(
            update(PipelineRunRow)
            .where(
                PipelineRunRow.id == claim.run_id,
                PipelineRunRow.holder == claim.holder,
                PipelineRunRow.status == Status.RUNNING.value,
            )
            .values(heartbeat_at=self._clock(), version=PipelineRunRow.version + 1)
            .execution_options(synchronize_session=False)
        )
        return bool(done.rowcount)

    def _prove(self, session: Session, claim: Claim) -> None:
        if not self._own(session, claim):
            raise LeaseLost(
                f"run {claim.run_id} was taken over by another runner; this one stopped writing.",
                remedy="look at `workbench runs` for the run that goes on.",
            )

    def _alive(self, row: PipelineRunRow) -> bool:
        if self._clock() - row.heartbeat_at > self._stale_after:
            return False
        _host, pid, place, _mark = row.holder.split(":")
        if place != _place():
            return True
        return process_runs(int(pid))  # same machine: no need to wait for the heartbeat to age


def _audit(session: Session, run_id: str, action: str, after: dict[str, Any]) -> None:
    audit.record(session, entity="pipeline_run", entity_id=run_id, action=action, after=after)


def _busy(plan: Plan, who: str) -> PipelineError:
    return PipelineError(
        f"pipeline {plan.pipeline.name!r} is already being run for session {plan.session} ({who}); "
        "nothing was started.",
        remedy="wait for it (`workbench runs` shows how far it is), or end that process first.",
    )


def _holder() -> str:
    host = platform.node().replace(":", "-")[:40]
    return f"{host}:{os.getpid()}:{_place()}:{uuid.uuid4().hex[:8]}"


def _place() -> str:
    """A mark of the space in which a process number means something: this boot of this machine, this container."""
    parts = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            parts.append(str(Path(path).readlink()) if path.endswith("pid") else Path(path).read_text().strip())
        except OSError:
            continue  # not Linux: the host's name has to do
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]
