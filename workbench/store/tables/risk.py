"""Tables of what holds an account back: its trading state, its budget of requests and its equity marks."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

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
    """The requests that an account may still send: a token bucket, corrected by what the broker's headers say."""

    __tablename__ = "rate_budget"

    account: Mapped[str] = mapped_column(String(96), primary_key=True)
    capacity: Mapped[float]
    per_second: Mapped[float]
    tokens: Mapped[float]
    updated_at: Mapped[dt.datetime]
    limited_until: Mapped[dt.datetime | None]


class EquityMarkRow(Table):
    """Equity of an account in one session as the broker told it: at its start, at its highest, newest."""

    __tablename__ = "equity_mark"

    account: Mapped[str] = mapped_column(String(96), primary_key=True)
    session: Mapped[str] = mapped_column(String(10), primary_key=True)
    start: Mapped[Decimal]
    peak: Mapped[Decimal]
    newest: Mapped[Decimal]
    updated_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
