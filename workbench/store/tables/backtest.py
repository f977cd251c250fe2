"""Tables of backtests: each question with its fate and a summary of the answer, and every trial ever counted."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class BacktestRunRow(Table):
    """One backtest. `config_hash` is unique: an identical question finds the stored answer.

    `kind` is what was asked: `backtest`, `sweep`, `walk_forward`, `audit` … `slice_hash` names the data slice, on which
    every strategy ever tried is counted against the best one's luck. `owner` is the process that is answering or
    answered, `job_id` the job it did so for.
    """

    __tablename__ = "backtest_run"
    __table_args__ = (CheckConstraint("status IN ('QUEUED','RUNNING','DONE','FAILED','CANCELLED')", name="status"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    config_hash: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(16), default="backtest", server_default="backtest")
    status: Mapped[str] = mapped_column(String(16))
    strategy: Mapped[str] = mapped_column(String(64))
    strategy_hash: Mapped[str] = mapped_column(String(64))
    slice_hash: Mapped[str] = mapped_column(String(64), index=True)
    params: Mapped[dict[str, Any]]
    study: Mapped[dict[str, Any]]
    universe: Mapped[list[Any]]
    broker: Mapped[str] = mapped_column(String(32), default="backtest")
    timeframe: Mapped[str] = mapped_column(String(8))
    start: Mapped[str] = mapped_column(String(10))
    end: Mapped[str] = mapped_column(String(10))
    initial_cash: Mapped[float]
    costs: Mapped[dict[str, Any]]
    execution_price: Mapped[str] = mapped_column(String(16))
    fill_rules: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    data_source: Mapped[str] = mapped_column(String(64))
    provenance: Mapped[dict[str, Any]]
    summary: Mapped[dict[str, Any] | None]
    artifacts: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(String(8))
    error: Mapped[str | None] = mapped_column(Text)
    runtime_s: Mapped[float | None]
    owner: Mapped[str] = mapped_column(String(128))
    job_id: Mapped[str | None] = mapped_column(String(32))
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class TrialBatchRow(Table):
    """The strategies that one run tried: `count` keys (uint64) and their annual Sharpe ratios (float32), little-endian.

    A key names an idea (strategy, code, parameters), so that what was tried twice is counted once, over all batches of
    one data slice.
    """

    __tablename__ = "trial_batch"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    run_id: Mapped[str] = mapped_column(ForeignKey("backtest_run.id"), unique=True)
    slice_hash: Mapped[str] = mapped_column(String(64), index=True)
    strategy: Mapped[str] = mapped_column(String(64), index=True)
    count: Mapped[int]
    keys: Mapped[bytes] = mapped_column(LargeBinary)
    sharpes: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
