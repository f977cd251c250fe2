"""Tables of what holds an account back: its trading state, its budget of requests and its equity marks."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from workbench.market.trading_state import TradingState
from workbench.store.schema import Table, utc_now

_STATES = ",".join(f"'{state.value}'" for state in TradingState)


class TradingStateRow(Table):
    """What an account may do at all. No row: ACTIVE. A change is audited, and going back to ACTIVE has a reason."""

    __tablename__ = "trading_state"
    __table_args__ = (CheckConstraint(f"state IN ({_STATES})", name="state"),)

    account: Mapped[str] = mapped_column(String(96), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    who: Mapped[str] = mapped_column(String(96))
    since: Mapped[dt.datetime] = mapped_column(default=utc_now)
    trace_id: Mapped[str] = mapped_column(String(32))
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here


class RateBudgetRow(Table):
    """The requests that an account may still send: a bucket of tokens, each of which comes back a minute after its use.

    `used` holds pairs [second, tokens used in it]; `told_limit` is the broker's own figure, None until it gave one.
    """

    __tablename__ = "rate_budget"

    account: Mapped[str] = mapped_column(String(96), primary_key=True)
    told_limit: Mapped[int | None]
    used: Mapped[list[Any]]
    limited_until: Mapped[dt.datetime | None]
    updated_at: Mapped[dt.datetime]


class EquityMarkRow(Table):
    """Equity of an account in one session as the broker told it: first, highest, lowest and newest.

    `known` is False while the broker's figure is missing or no number. `high` is the peak that falls are measured from,
    over all sessions since a person last cleared the drawdown, and `drawdown` the largest fall below it since then,
    fraction of the peak.
    """

    __tablename__ = "equity_mark"

    account: Mapped[str] = mapped_column(String(96), primary_key=True)
    session: Mapped[str] = mapped_column(String(10), primary_key=True)
    start: Mapped[Decimal]
    peak: Mapped[Decimal]
    low: Mapped[Decimal]
    newest: Mapped[Decimal]
    high: Mapped[Decimal]
    drawdown: Mapped[Decimal]
    known: Mapped[bool] = mapped_column(default=True)
    updated_at: Mapped[dt.datetime] = mapped_column(default=utc_now)


class LossesClearedRow(Table):
    """When a person last said that the losing trades of a bot (empty: of the whole account) do not count any more."""

    __tablename__ = "losses_cleared"

    account: Mapped[str] = mapped_column(String(96), primary_key=True)
    bot: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[dt.datetime]
    reason: Mapped[str] = mapped_column(Text)
    who: Mapped[str] = mapped_column(String(96))
    trace_id: Mapped[str] = mapped_column(String(32))
