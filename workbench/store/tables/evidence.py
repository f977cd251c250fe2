"""Table of evidence records: what all sources said of one symbol at one moment."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, utc_now


class EvidenceRecordRow(Table):
    """A fused record, named by the sha256 of its canonical JSON; written once and never changed."""

    __tablename__ = "evidence_record"
    __table_args__ = (Index("ix_evidence_record_symbol_as_of", "symbol", "as_of"),)

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(32))
    as_of: Mapped[dt.datetime]
    body: Mapped[dict[str, Any]]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
