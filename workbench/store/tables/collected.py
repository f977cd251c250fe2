"""Table of what was collected: which sessions of which symbols a source was asked for."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, utc_now


class CollectedRow(Table):
    """A symbol was asked for from `first` to `last` (sessions, both included); what there was is stored."""

    __tablename__ = "collected"

    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(32), primary_key=True)
    first: Mapped[str] = mapped_column(String(10), primary_key=True)
    last: Mapped[str] = mapped_column(String(10), primary_key=True)
    collected_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
