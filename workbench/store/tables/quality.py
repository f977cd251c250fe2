"""Table of what data checks found, and of the rows they kept back."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import String, Text, UniqueConstraint
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
