"""Tables of the event bus: domain events in the order of their commits, and how far each consumer has read."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class EventRow(Table):
    """One domain event, written in the transaction of the change that it tells."""

    __tablename__ = "event"
    __table_args__ = (Index("ix_event_kind", "kind", "seq"),)

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(default=1)
    subject: Mapped[str] = mapped_column(String(96))
    body: Mapped[dict[str, Any]]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    happened: Mapped[dt.datetime] = mapped_column(default=utc_now)


class EventOffsetRow(Table):
    """The last event that a consumer has handled."""

    __tablename__ = "event_offset"

    consumer: Mapped[str] = mapped_column(String(96), primary_key=True)
    seq: Mapped[int]
    updated_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
