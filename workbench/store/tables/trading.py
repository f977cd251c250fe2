"""The table of trading sessions: which account a bot traded a session on, so that nobody trades it twice."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import CheckConstraint, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table, new_id, utc_now


class TradingSessionRow(Table):
    """One bot trading after one session.

    `chain` hashes what makes two sessions parts of one life of the bot: the account of the session before is continued
    by the same chain only, so that a what-if never spends another book's money.
    """

    __tablename__ = "trading_session"
    __table_args__ = (
        UniqueConstraint("bot", "chain", "session"),
        CheckConstraint("status IN ('OPEN','CLOSED')", name="status"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    bot: Mapped[str] = mapped_column(String(64))
    chain: Mapped[str] = mapped_column(String(64))
    session: Mapped[str] = mapped_column(String(10))
    filled_in: Mapped[str] = mapped_column(String(10))
    account: Mapped[str] = mapped_column(String(96))
    status: Mapped[str] = mapped_column(String(8))
    run_folder: Mapped[str | None] = mapped_column(Text)
    summary: Mapped[dict[str, Any] | None]
    trace_id: Mapped[str] = mapped_column(String(32), index=True)
    created_at: Mapped[dt.datetime] = mapped_column(default=utc_now)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads a plain dict here
