"""Table of what data checks found, and of the rows they kept back."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class QualityFindingRow(Table):
    """One finding of a data check; `quarantined` rows were not passed on."""

    __tablename__ = "quality_finding"
    __table_args__ = (UniqueConstraint("dataset", "symbol", "session", "kind"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    dataset: Mapped[str] = mapped_column(String(64))
    symbol: Mapped[str] = mapped_column(String(32))
    session: Mapped[str] = mapped_column(String(10))
    kind: Mapped[str] = mapped_column(String(32))
    severity: Mapped[str] = mapped_column(String(16))
    quarantined: Mapped[bool]
    detail: Mapped[str] = mapped_column(Text)
    row: Mapped[dict[str, Any]]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    found_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class QuarantinedRow(Table):
    """One row that was kept back. Its id is made of its content: the same row is kept once, whenever it comes.

    `stored_at` is when a released row was learned by the vintages; empty while that is still to be done.
    """

    __tablename__ = "quarantined_row"
    __table_args__ = (
        Index("ix_quarantined_row_dataset_symbol", "dataset", "symbol"),
        CheckConstraint("state IN ('held', 'released', 'refused', 'passed')", name="state"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    symbol: Mapped[str] = mapped_column(String(32))
    session: Mapped[str] = mapped_column(String(10))
    why: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    row: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16), default="held")
    closed_at: Mapped[dt.datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(128))
    closed_reason: Mapped[str | None] = mapped_column(Text)
    stored_at: Mapped[dt.datetime | None]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    found_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
