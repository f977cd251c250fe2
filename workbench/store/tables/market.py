"""Tables of the universe and of what data checks found."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class UniverseRow(Table):
    """A named set of symbols."""

    __tablename__ = "universe"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    rule: Mapped[str] = mapped_column(Text, default="manual")
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class UniverseMemberRow(Table):
    """One stay of a symbol in a universe: from `entered` (included) until `left` (excluded; None: still in)."""

    __tablename__ = "universe_member"
    __table_args__ = (UniqueConstraint("universe", "symbol", "entered"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    universe: Mapped[str] = mapped_column(ForeignKey("universe.name"))
    symbol: Mapped[str] = mapped_column(String(32))
    entered: Mapped[dt.datetime]
    left: Mapped[dt.datetime | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    left_reason: Mapped[str | None] = mapped_column(Text)


class CollectedRow(Table):
    """A symbol was asked for from `first` to `last` (sessions, both included); what there was is stored."""

    __tablename__ = "collected"

    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(32), primary_key=True)
    first: Mapped[str] = mapped_column(String(10), primary_key=True)
    last: Mapped[str] = mapped_column(String(10), primary_key=True)
    collected_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    trace_id: Mapped[str] = mapped_column(String(32), index=True)


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
