"""The table of jobs: work that waits for a worker, who is doing it, how far it is, and how it ended."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now

_ALIVE = "status IN ('QUEUED','RUNNING')"


class JobRow(Table):
    """One job. Of one `key` at most one is queued or running: the database itself sees to it.

    `token` rises with every claim: a worker writes only while the token is its own. `lease_until` is moved forward by
    heartbeats; a job whose lease ran out is claimed by the next worker. `done` of `total` units are finished.
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint("status IN ('QUEUED','RUNNING','DONE','FAILED','CANCELLED')", name="status"),
        Index("ix_job_key_alive", "key", unique=True, sqlite_where=text(_ALIVE), postgresql_where=text(_ALIVE)),
        Index("ix_job_waiting", "status", "available_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(String(64), index=True)
    title: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16), default="QUEUED")
    priority: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    available_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    holder: Mapped[str | None] = mapped_column(String(128))
    token: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[dt.datetime | None]
    heartbeat_at: Mapped[dt.datetime | None]
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    eta_s: Mapped[float | None]
    note: Mapped[str | None] = mapped_column(Text)
    cancel_requested_at: Mapped[dt.datetime | None]
    cancel_requested_by: Mapped[str | None] = mapped_column(String(96))
    error_code: Mapped[str | None] = mapped_column(String(8))
    error: Mapped[str | None] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now, index=True)
    started_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]
