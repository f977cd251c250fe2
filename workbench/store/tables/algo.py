"""Tables of execution algorithms: parent orders and the slices of their schedules."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class ParentOrderRow(Table):
    """A quantity to be traded over a span of time by an algorithm; its children are intents with its id.

    `key` is the asker's name for it: asking twice finds the first. `lot` is the unit of all its quantities.
    `decision_price`, `arrival_price` and `market_vwap` are what the slippage of its fills is measured against; None is
    unknown. A parent that has ended works no slice any more; what became of its last child is still booked.
    """

    __tablename__ = "parent_order"
    __table_args__ = (
        UniqueConstraint("account", "key"),
        CheckConstraint("side IN ('buy','sell')", name="side"),
        CheckConstraint("state IN ('working','done','cancelled','expired','failed')", name="state"),
        Index("ix_parent_order_state", "account", "state"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96))
    key: Mapped[str] = mapped_column(String(64))
    bot: Mapped[str] = mapped_column(String(64))
    session: Mapped[str] = mapped_column(String(10))
    symbol: Mapped[str] = mapped_column(String(32))
    side: Mapped[str] = mapped_column(String(4))
    qty: Mapped[Decimal]
    lot: Mapped[Decimal]
    algorithm: Mapped[str] = mapped_column(String(16))
    params: Mapped[dict[str, Any]]
    venue: Mapped[str] = mapped_column(String(16))
    starts_at: Mapped[dt.datetime]
    ends_at: Mapped[dt.datetime]
    extended_hours: Mapped[bool] = mapped_column(default=False, server_default=false())
    limit_price: Mapped[Decimal | None]
    decision_price: Mapped[Decimal | None]
    arrival_price: Mapped[Decimal | None]
    market_vwap: Mapped[Decimal | None]
    state: Mapped[str] = mapped_column(String(16), default="working")
    detail: Mapped[str] = mapped_column(Text, default="")
    decision_id: Mapped[str | None] = mapped_column(ForeignKey("decision.id"))
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    ended_at: Mapped[dt.datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class ParentSliceRow(Table):
    """One slice of a schedule: from `due_at` on, `qty` shares as planned at the start.

    `sent_qty` is what was ordered in fact: the remainder is planned anew before each slice. `arrival_price` was the
    newest price then. `intent_id` is the child; None where none was written, and `detail` says why. A `sweep` takes all
    that is left.
    """

    __tablename__ = "parent_slice"
    __table_args__ = (CheckConstraint("state IN ('planned','sent','skipped','refused')", name="state"),)

    parent_id: Mapped[str] = mapped_column(ForeignKey("parent_order.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    due_at: Mapped[dt.datetime]
    qty: Mapped[Decimal]
    sweep: Mapped[bool] = mapped_column(default=False, server_default=false())
    sent_qty: Mapped[Decimal | None]
    arrival_price: Mapped[Decimal | None]
    intent_id: Mapped[str | None] = mapped_column(ForeignKey("intent.id"))
    state: Mapped[str] = mapped_column(String(16), default="planned")
    detail: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now)
