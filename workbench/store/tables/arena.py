"""Tables of the arena: evidence packs, the analysts' views of them, and the decisions they ended in."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class EvidencePackRow(Table):
    """A point-in-time evidence pack, named by the sha256 of its canonical JSON."""

    __tablename__ = "evidence_pack"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(32))
    as_of: Mapped[dt.datetime]
    body: Mapped[dict[str, Any]]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class DecisionRow(Table):
    """What the arena concluded. One row per (symbol, as_of, pack, config): asking again finds it.

    The id is derived from that key, so two processes that decide at once write the same row, not two.
    """

    __tablename__ = "decision"
    __table_args__ = (
        UniqueConstraint("symbol", "as_of", "pack_hash", "config_hash"),
        CheckConstraint("status IN ('proposed','executed','rejected','expired')", name="status"),
        CheckConstraint("action IN ('buy','hold','sell','abstain')", name="action"),
        CheckConstraint("p_up IS NULL OR (p_up > 0 AND p_up < 1)", name="p_up"),
        CheckConstraint("(action = 'abstain') = (p_up IS NULL)", name="abstained"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(32), index=True)
    as_of: Mapped[dt.datetime]
    pack_hash: Mapped[str] = mapped_column(ForeignKey("evidence_pack.hash"))
    config_hash: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(8))
    p_up: Mapped[float | None]
    confidence: Mapped[float | None]
    horizon: Mapped[int]
    expires: Mapped[dt.datetime] = mapped_column(index=True)
    label: Mapped[str] = mapped_column(String(64))
    reasons: Mapped[list[Any]]
    evidence: Mapped[list[Any]]
    cost: Mapped[Decimal]
    status: Mapped[str] = mapped_column(String(16), default="proposed")
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class AnalystViewRow(Table):
    """One analyst's contribution to one decision, in one round."""

    __tablename__ = "analyst_view"
    __table_args__ = (
        UniqueConstraint("decision_id", "analyst", "round"),
        CheckConstraint("p_up IS NULL OR (p_up > 0 AND p_up < 1)", name="p_up"),
        CheckConstraint("role IN ('voice','risk')", name="role"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    decision_id: Mapped[str] = mapped_column(ForeignKey("decision.id"), index=True)
    analyst: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    role: Mapped[str] = mapped_column(String(8))
    round: Mapped[int]
    abstained: Mapped[bool]
    veto: Mapped[bool]
    p_up: Mapped[float | None]
    reasons: Mapped[list[Any]]
    evidence: Mapped[list[Any]]
    cost: Mapped[Decimal] = mapped_column(default=Decimal(0))
    note: Mapped[str] = mapped_column(Text, default="")
