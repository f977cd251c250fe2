"""Tables of pipeline runs: the authority on how a run ended, whatever the executed notebook says."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class Status(enum.StrEnum):
    """How a run or a step stands. DONE, FAILED, CANCELLED and SKIPPED are ends."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


_STATUS = f"status IN ({','.join(repr(status.value) for status in Status)})"


class PipelineRunRow(Table):
    """One run of one pipeline for one session. At most one of them is RUNNING: the database itself sees to it."""

    __tablename__ = "pipeline_run"
    __table_args__ = (
        CheckConstraint(_STATUS, name="status"),
        Index("ix_pipeline_run_question", "pipeline", "session", "config_hash"),
        Index(
            "ix_pipeline_run_running",
            "pipeline",
            "session",
            unique=True,
            sqlite_where=text("status = 'RUNNING'"),
            postgresql_where=text("status = 'RUNNING'"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    pipeline: Mapped[str] = mapped_column(String(64))
    session: Mapped[str] = mapped_column(String(10))
    config_hash: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16))
    holder: Mapped[str] = mapped_column(String(96))
    heartbeat_at: Mapped[dt.datetime]
    folder: Mapped[str] = mapped_column(Text)
    report: Mapped[str | None] = mapped_column(Text)
    resumed_from: Mapped[str | None] = mapped_column(ForeignKey("pipeline_run.id"))
    error_code: Mapped[str | None] = mapped_column(String(8))
    error: Mapped[str | None] = mapped_column(Text)
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    started_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    ended_at: Mapped[dt.datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class StepRunRow(Table):
    """One notebook of a run. `step_key` hashes notebook, parameters and upstream keys: an equal key is reusable.

    `runtime_s` is the whole step; `kernel_s` the part of it spent outside cells: kernel, papermill, saving.
    """

    __tablename__ = "step_run"
    __table_args__ = (UniqueConstraint("run_id", "step"), CheckConstraint(_STATUS, name="status"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    run_id: Mapped[str] = mapped_column(ForeignKey("pipeline_run.id"), index=True)
    step: Mapped[str] = mapped_column(String(64))
    position: Mapped[int]
    notebook: Mapped[str] = mapped_column(Text)
    step_key: Mapped[str] = mapped_column(String(64), index=True)
    params: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16))
    executed: Mapped[str | None] = mapped_column(Text)
    outputs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    cells_done: Mapped[int] = mapped_column(default=0)
    cells: Mapped[int] = mapped_column(default=0)
    kernel_s: Mapped[float | None]
    runtime_s: Mapped[float | None]
    error: Mapped[str | None] = mapped_column(Text)
    reused_from: Mapped[str | None] = mapped_column(String(32))
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    started_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here
