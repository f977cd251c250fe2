"""Tables of bots: what each one is, what it owns, what it decided and what came of its trades."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class BotRow(Table):
    """A strategy at work on an account.

    `number` counts the versions of its settings and `version` every write. `decisions` counts its decisions of
    `session`: the generation of their orders. `began` is the session from which the strategy counts, `bar_at` the stamp
    of the newest bar whose wishes were acted on. `waiting` are the wishes (symbol → weight) that wait for an order to
    end; `barred` the symbols that a stop or target took it out of, with the side it held: out until the strategy wishes
    otherwise. `day` is the session of `day_equity`, what the bot was worth at the first look of that session; `equity`
    is what it was worth at the last one. `ending` asks for its holdings to be sold before it stops. A deleted bot keeps
    its name: its orders and fills are booked under it.
    """

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
    number: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(16), default="created")
    detail: Mapped[str] = mapped_column(Text, default="")
    ending: Mapped[bool] = mapped_column(default=False, server_default=false())
    cash: Mapped[Decimal]
    realized: Mapped[Decimal] = mapped_column(default=Decimal(0))
    session: Mapped[str | None] = mapped_column(String(10))
    decisions: Mapped[int] = mapped_column(default=0)
    decided_at: Mapped[dt.datetime | None]
    began: Mapped[str | None] = mapped_column(String(10))
    bar_at: Mapped[dt.datetime | None]
    waiting: Mapped[dict[str, Any]] = mapped_column(default=dict)
    barred: Mapped[dict[str, Any]] = mapped_column(default=dict)
    equity: Mapped[Decimal | None]
    day: Mapped[str | None] = mapped_column(String(10))
    day_equity: Mapped[Decimal | None]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now)
    deleted_at: Mapped[dt.datetime | None]
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class BotPositionRow(Table):
    """The part of a holding that one bot owns, with its watched exits.

    `high` is the best price since it was opened (the lowest for a short holding): what a trailing stop follows.
    `market_price` is the newest price that the bot has seen, at `priced_at`. `filled_at` is the broker's moment of the
    newest credited fill, `synced_at` when the fills were last credited.
    """

    __tablename__ = "bot_position"

    bot_id: Mapped[str] = mapped_column(ForeignKey("bot.id"), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(32), primary_key=True)
    qty: Mapped[Decimal]
    avg_price: Mapped[Decimal]
    realized: Mapped[Decimal] = mapped_column(default=Decimal(0))
    stop: Mapped[Decimal | None]
    target: Mapped[Decimal | None]
    high: Mapped[Decimal | None]
    market_price: Mapped[Decimal | None]
    priced_at: Mapped[dt.datetime | None]
    opened_at: Mapped[dt.datetime | None]
    filled_at: Mapped[dt.datetime | None]
    synced_at: Mapped[dt.datetime]
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
    outcome: Mapped[str] = mapped_column(String(64), default="")
    intent_id: Mapped[str | None] = mapped_column(ForeignKey("intent.id"), index=True)
    at: Mapped[dt.datetime]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class BotFillRow(Table):
    """The share of a booked fill that one bot owns, credited once; `bot_id` is empty for the part that is nobody's.

    A bot's own fill is one share. What the kill switch sold is shared among the bots that held it. `qty` is signed
    (bought > 0), `fee` the share's part of the fee and `realized` the profit or loss that this share realized, fees
    taken off. `busted` is set when the broker took the fill back: the share counts no more.
    """

    __tablename__ = "bot_fill"

    fill_id: Mapped[str] = mapped_column(ForeignKey("fill.id"), primary_key=True)
    share: Mapped[int] = mapped_column(primary_key=True)
    bot_id: Mapped[str | None] = mapped_column(ForeignKey("bot.id"), index=True)
    symbol: Mapped[str] = mapped_column(String(32))
    qty: Mapped[Decimal]
    price: Mapped[Decimal]
    fee: Mapped[Decimal] = mapped_column(default=Decimal(0))
    realized: Mapped[Decimal] = mapped_column(default=Decimal(0))
    busted: Mapped[bool] = mapped_column(default=False, server_default=false())
    decision_id: Mapped[str | None] = mapped_column(ForeignKey("bot_decision.id"))
    credited_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
