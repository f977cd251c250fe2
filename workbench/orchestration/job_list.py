"""Jobs as frames and sentences: the questions behind `workbench jobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workbench.store import queue

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workbench.store.job import Job

_JOBS = ("job", "kind", "title", "status", "percent", "left_s", "seconds", "attempts", "created", "error")


def jobs(
    engine: Engine, *, status: str | None = None, kind: str | None = None, cursor: str | None = None, last: int = 20
) -> tuple[pd.DataFrame, str | None]:
    """The newest jobs, newest first, and the cursor of the next page (None at the end).

    `percent`, `left_s` (estimated seconds) and `seconds` (of the last attempt, NaN while it runs) are NaN where
    unknown; times are UTC.

    Raises:
        ParameterError: `status`, `cursor` or `last` is none.
    """
    found = queue.jobs(engine, status=status, kind=kind, cursor=cursor, limit=last)
    rows = [
        (
            job.id,
            job.kind,
            job.title,
            str(job.status),
            job.percent,
            None if job.eta is None else job.eta.total_seconds(),
            _seconds(job),
            f"{job.attempts}/{job.max_attempts}",
            job.created_at,
            _error(job),
        )
        for job in found.jobs
    ]
    frame = pd.DataFrame(rows, columns=list(_JOBS))
    return frame.astype({"percent": float, "left_s": float, "seconds": float}), found.cursor


def job(engine: Engine, job_id: str) -> pd.DataFrame:
    """Everything about one job, one row per field; an id's first digits are enough. Raises NoData."""
    found = queue.get(engine, job_id)
    result = found.result or {}
    told = {
        "job": found.id,
        "title": found.title,
        "status": str(found.status),
        "percent": None if found.percent is None else f"{found.percent:.1f}",
        "progress": f"{found.done:,} of {found.total:,}" if found.total else None,
        "left": found.eta,
        "note": found.note,
        "attempts": f"{found.attempts} of {found.max_attempts}",
        "worker": found.holder,
        "created": found.created_at,
        "started": found.started_at,
        "ended": found.ended_at,
        "cancelled by": found.cancel_requested_by,
        "error": _error(found),
        "run": result.get("run"),
        "from the store": result.get("reused"),
        "trace": found.trace_id,
    }
    rows = [(name, str(value)) for name, value in told.items() if value is not None and value != ""]
    return pd.DataFrame(rows, columns=["field", "value"])


def cancel(engine: Engine, job_id: str, *, who: str | None = None) -> str:
    """Ask for a job to stop; a sentence that says what became of it. Raises NoData when there is no such job."""
    found = queue.get(engine, job_id)
    if found.status.final:
        return f"{found.id[:8]} had ended before: {found.status}."
    asked = queue.request_cancel(engine, found.id, who=who)
    if asked.status.final:
        return f"{asked.id[:8]} is {asked.status}."
    return f"{asked.id[:8]} was asked to stop; its worker obeys within a second, and what is finished is kept."


def _seconds(job: Job) -> float | None:
    if job.started_at is None or job.ended_at is None:
        return None
    return (job.ended_at - job.started_at).total_seconds()


def _error(job: Job) -> str:
    return f"{job.error_code}: {job.error}" if job.error_code and job.error else ""
