"""Tables of universes: named sets of symbols, and who was in them from when to when."""

from __future__ import annotations

import datetime as dt

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
