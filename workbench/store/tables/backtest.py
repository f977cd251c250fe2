"""The table of backtest runs: the question, its fate and a summary of the answer."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class BacktestRunRow(Table):
    """One backtest. `config_hash` is unique: an identical question finds the stored answer.

    `slice_hash` names the data slice (symbols, span, timeframe, source): every strategy ever tried on it is counted
    against the best one's luck. `owner` is the process that is answering or answered.
    """

    __tablename__ = "backtest_run"
    __table_args__ = (CheckConstraint("status IN ('QUEUED','RUNNING','DONE','FAILED','CANCELLED')", name="status"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    config_hash: Mapped[str] = mapped_column(String(64), unique=True)
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
    data_source: Mapped[str] = mapped_column(String(64))
    provenance: Mapped[dict[str, Any]]
    summary: Mapped[dict[str, Any] | None]
    artifacts: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(String(8))
    error: Mapped[str | None] = mapped_column(Text)
    runtime_s: Mapped[float | None]
    owner: Mapped[str] = mapped_column(String(128))
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here
