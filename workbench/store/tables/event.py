"""Tables of the event bus: domain events, how far each consumer has read, and what it could not handle."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class EventRow(Table):
    """One domain event, written in the transaction of the change that it tells.

    `seq` grows and is never used twice, also after the newest rows were pruned. On PostgreSQL it is taken before the
    commit, so the rows may appear in another order: read through `store/event_log`, which waits for late ones.
    """

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_kind", "kind", "seq"),
        Index("ix_event_account", "account", "seq"),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96))
    kind: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(default=1)
    subject: Mapped[str] = mapped_column(String(96))
    body: Mapped[dict[str, Any]]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    happened: Mapped[dt.datetime] = mapped_column(default=utc_now)


class EventOffsetRow(Table):
    """The last event that a consumer has handled or parked."""

    __tablename__ = "event_offset"

    consumer: Mapped[str] = mapped_column(String(96), primary_key=True)
    seq: Mapped[int]
    updated_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class EventParkedRow(Table):
    """An event that a consumer's handler refused again and again: it was laid aside, with the error, to be retried."""

    __tablename__ = "event_parked"

    consumer: Mapped[str] = mapped_column(String(96), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    attempts: Mapped[int]
    error: Mapped[str] = mapped_column(Text)
    parked_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
