"""Tables of execution algorithms: parent orders and the slices of their schedules."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class ParentOrderRow(Table):
    """A quantity to be traded over a span of time by an algorithm; its children are intents with its id.

    `decision_price`, `arrival_price` and `market_vwap` are what the slippage of its fills is measured against.
    """

    __tablename__ = "parent_order"
    __table_args__ = (
        UniqueConstraint("account", "key"),
        CheckConstraint("side IN ('buy','sell')", name="side"),
        CheckConstraint("state IN ('working','done','cancelled','expired','failed')", name="state"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96))
    key: Mapped[str] = mapped_column(String(64))
    bot: Mapped[str] = mapped_column(String(64))
    symbol: Mapped[str] = mapped_column(String(32))
    side: Mapped[str] = mapped_column(String(4))
    qty: Mapped[Decimal]
    algorithm: Mapped[str] = mapped_column(String(16))
    params: Mapped[dict[str, Any]]
    starts_at: Mapped[dt.datetime]
    ends_at: Mapped[dt.datetime]
    limit_price: Mapped[Decimal | None]
    decision_price: Mapped[Decimal | None]
    arrival_price: Mapped[Decimal | None]
    market_vwap: Mapped[Decimal | None]
    state: Mapped[str] = mapped_column(String(16), default="working")
    detail: Mapped[str] = mapped_column(Text, default="")
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    ended_at: Mapped[dt.datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class ParentSliceRow(Table):
    """One slice of a schedule: at `due_at`, `qty` shares; `generation` names the child order it became."""

    __tablename__ = "parent_slice"

    parent_id: Mapped[str] = mapped_column(ForeignKey("parent_order.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    due_at: Mapped[dt.datetime]
    qty: Mapped[Decimal]
    intent_id: Mapped[str | None] = mapped_column(ForeignKey("intent.id"))
    state: Mapped[str] = mapped_column(String(16), default="planned")
    detail: Mapped[str] = mapped_column(Text, default="")
