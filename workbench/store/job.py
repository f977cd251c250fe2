"""Job: one piece of work in the queue as a value: what it is, how far it is, how it ended, and how that looks."""

from __future__ import annotations

import datetime as dt
import html
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from workbench.store.schema import utc_now

if TYPE_CHECKING:
    from workbench.store.tables.job import JobRow

# Each state has a colour with a contrast of at least 3:1 on white and on a dark page; the word always stands beside it.
_COLOURS = {"QUEUED": "#7F7F7F", "RUNNING": "#0072B2", "DONE": "#009E73", "FAILED": "#D55E00", "CANCELLED": "#7F7F7F"}
_TRACK = "rgba(127,127,127,0.28)"


class JobStatus(StrEnum):
    """Where a job stands. QUEUED and RUNNING are alive; the other three are final."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self not in {JobStatus.QUEUED, JobStatus.RUNNING}


@dataclass(frozen=True, slots=True, repr=False)
class Job:
    """A job as it stood when it was read. Read it again to see it move.

    Attributes:
        id: 32 hex digits.
        kind: what sort of work, e.g. `backtest` or `sweep`.
        key: names the question; of one key at most one job is alive.
        title: for people.
        payload: the question, as plain JSON values.
        attempts: how often it was begun; at most `max_attempts`.
        available_at: not claimed before (the wait after a failed attempt).
        holder: the worker that has or had it.
        done, total: units finished; total is 0 while nobody knows.
        eta_s: estimated seconds left as of `heartbeat_at`; None while unknown.
        note: what it is doing.
        error_code, error: how it failed (while it is alive: how the last attempt failed), by the tree of errors.
        result: what came out, as plain JSON values.
        started_at, ended_at: of the last attempt, and of the job; UTC.
    """

    id: str
    kind: str
    key: str
    title: str
    payload: dict[str, Any]
    status: JobStatus
    priority: int
    attempts: int
    max_attempts: int
    available_at: dt.datetime
    holder: str | None
    lease_until: dt.datetime | None
    heartbeat_at: dt.datetime | None
    done: int
    total: int
    eta_s: float | None
    note: str | None
    cancel_requested_at: dt.datetime | None
    cancel_requested_by: str | None
    error_code: str | None
    error: str | None
    result: dict[str, Any] | None
    trace_id: str
    created_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None

    @classmethod
    def of(cls, row: JobRow) -> Job:
        """The value of a row."""
        named = {item.name: getattr(row, item.name) for item in fields(cls) if item.name != "status"}
        return cls(status=JobStatus(row.status), **named)

    @property
    def percent(self) -> float | None:
        """How much is done, 0 to 100; None while nobody knows how much there is to do."""
        if self.status is JobStatus.DONE:
            return 100.0
        if self.total <= 0:
            return None
        return 100.0 * min(max(self.done, 0), self.total) / self.total

    @property
    def eta(self) -> dt.timedelta | None:
        """Estimated time left when the worker last spoke; None while unknown, and when the job does not run."""
        if self.status is not JobStatus.RUNNING or self.eta_s is None:
            return None
        return dt.timedelta(seconds=self.eta_s)

    @property
    def cancelling(self) -> bool:
        """Whether it was asked to stop and has not yet."""
        return self.cancel_requested_at is not None and not self.status.final

    def elapsed(self, at: dt.datetime) -> dt.timedelta | None:
        """How long the last attempt took, or takes by `at`; None when it was not begun."""
        if self.started_at is None:
            return None
        return max((self.ended_at or at) - self.started_at, dt.timedelta(0))

    def facts(self, at: dt.datetime) -> list[str]:
        """Percent, units, times, note and error, each as a short phrase; those that are unknown are left out."""
        percent, elapsed, eta = self.percent, self.elapsed(at), self.eta
        running = self.status is JobStatus.RUNNING
        said = [
            f"{percent:.0f} %" if percent is not None else "",
            f"{self.done:,} of {self.total:,}" if self.total > 1 else "",
            f"{_span(elapsed)} {'elapsed' if running else 'in all'}"
            if elapsed is not None and self.status is not JobStatus.QUEUED
            else "",
            f"about {_span(max(eta - self._silence(at), dt.timedelta(0)))} left"
            if eta is not None and self.done < self.total
            else "",
            f"attempt {self.attempts} of {self.max_attempts}" if self.attempts > 1 else "",
            "stopping" if self.cancelling else "",
            self.note or "" if running else "",
            f"{self.error_code}: {self.error}" if self.error and self.status is not JobStatus.DONE else "",
        ]
        return [phrase for phrase in said if phrase]

    def html(self, at: dt.datetime) -> str:
        """A bar with the facts under it; legible on light and on dark pages, no script and no widget."""
        percent = self.percent
        colour = _COLOURS[self.status]
        known = f' aria-valuenow="{percent:.0f}"' if percent is not None else ""
        facts = " · ".join(html.escape(phrase) for phrase in self.facts(at))
        return (
            f'<div style="max-width:640px"><div><b>{html.escape(self.title)}</b> · '
            f'<span style="color:{colour};font-weight:600">{self.status}</span></div>'
            f'<div role="progressbar" aria-valuemin="0" aria-valuemax="100"{known} '
            f'style="height:8px;border-radius:4px;overflow:hidden;background:{_TRACK}">'
            f'<div style="width:{percent or 0.0:.1f}%;height:100%;background:{colour}"></div></div>'
            f'<small style="opacity:0.85">{facts or "waiting for a worker"}</small></div>'
        )

    def __repr__(self) -> str:
        return " · ".join([f"{self.title} — {self.status}", *self.facts(utc_now()), f"job {self.id[:8]}"])

    def _repr_html_(self) -> str:
        return self.html(utc_now())

    def _silence(self, at: dt.datetime) -> dt.timedelta:
        return dt.timedelta(0) if self.heartbeat_at is None else max(at - self.heartbeat_at, dt.timedelta(0))


def _span(length: dt.timedelta) -> str:
    """`8 s`, `3 min 20 s`, `2 h 5 min`; tenths below ten seconds."""
    seconds = length.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
