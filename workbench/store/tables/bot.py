"""Tables of bots: what each one is, what it owns, what it decided and what came of its trades."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class BotRow(Table):
    """A strategy at work on an account. `decisions` counts its decisions of `session`: the generation of its orders."""

    __tablename__ = "bot"
    __table_args__ = (
        UniqueConstraint("account", "name"),
        CheckConstraint("state IN ('created','running','paused','stopped','failed')", name="state"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(String(96), index=True)
    name: Mapped[str] = mapped_column(String(64))
    capital: Mapped[Decimal]
    strategy: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]]
    symbols: Mapped[list[Any]] = mapped_column(JSON)
    every_seconds: Mapped[float]
    timeframe: Mapped[str] = mapped_column(String(8))
    window: Mapped[dict[str, Any]]
    risk: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16), default="created")
    detail: Mapped[str] = mapped_column(Text, default="")
    cash: Mapped[Decimal]
    realized: Mapped[Decimal] = mapped_column(default=Decimal(0))
    session: Mapped[str | None] = mapped_column(String(10))
    decisions: Mapped[int] = mapped_column(default=0)
    decided_at: Mapped[dt.datetime | None]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class BotPositionRow(Table):
    """The part of a holding that one bot owns, with its watched exits."""

    __tablename__ = "bot_position"

    bot_id: Mapped[str] = mapped_column(ForeignKey("bot.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(32), primary_key=True)
    qty: Mapped[Decimal]
    avg_price: Mapped[Decimal]
    realized: Mapped[Decimal] = mapped_column(default=Decimal(0))
    stop: Mapped[Decimal | None]
    target: Mapped[Decimal | None]
    opened_at: Mapped[dt.datetime | None]
    updated_at: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now)


class BotDecisionRow(Table):
    """One decision of a bot about one symbol that asked for something: why, on which indicator values, what came of it.

    The orders of a decision are the intents with its bot, session and generation.
    """

    __tablename__ = "bot_decision"
    __table_args__ = (
        UniqueConstraint("bot_id", "session", "generation", "symbol"),
        Index("ix_bot_decision_at", "bot_id", "at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    bot_id: Mapped[str] = mapped_column(ForeignKey("bot.id"))
    session: Mapped[str] = mapped_column(String(10))
    generation: Mapped[int]
    symbol: Mapped[str] = mapped_column(String(32))
    action: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(Text, default="")
    price: Mapped[Decimal | None]
    indicators: Mapped[dict[str, Any]]
    outcome: Mapped[str] = mapped_column(String(32), default="")
    intent_id: Mapped[str | None] = mapped_column(ForeignKey("intent.id"))
    at: Mapped[dt.datetime]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class BotFillRow(Table):
    """A booked fill credited to the bot that wished it, once, with the profit or loss it realized."""

    __tablename__ = "bot_fill"

    fill_id: Mapped[str] = mapped_column(ForeignKey("fill.id"), primary_key=True)
    bot_id: Mapped[str] = mapped_column(ForeignKey("bot.id"), index=True)
    symbol: Mapped[str] = mapped_column(String(32))
    qty: Mapped[Decimal]
    price: Mapped[Decimal]
    realized: Mapped[Decimal] = mapped_column(default=Decimal(0))
    decision_id: Mapped[str | None] = mapped_column(ForeignKey("bot_decision.id"))
    credited_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
