"""Tables of the connectors: the budget and breaker of each vendor, what was asked, how fast it answered."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from workbench.store.schema import Table


class ConnectorRow(Table):
    """One vendor as all processes see it; it is locked while a process decides whether it may ask.

    Moments that end in `_us` are whole microseconds since 1970 UTC: they are compared on every request. `used` holds,
    per window in microseconds, pairs [moment, requests]; `limits` pairs [requests, seconds] as they were last given.
    `failures` counts requests that failed one after the other, `opened` how often the breaker opened since one
    succeeded. `last_refused` is when it last said no to a question: it is there, but
    not for us. `open_until_us` is set while the breaker is not closed, `probe_until_us` while a probe is on its way.
    """

    __tablename__ = "connector"

    vendor: Mapped[str] = mapped_column(String(64), primary_key=True)
    limits: Mapped[list[Any]]
    used: Mapped[dict[str, Any]]
    newest_us: Mapped[int] = mapped_column(BigInteger)
    limited_until_us: Mapped[int | None] = mapped_column(BigInteger)
    failures: Mapped[int]
    opened: Mapped[int]
    open_until_us: Mapped[int | None] = mapped_column(BigInteger)
    probe_until_us: Mapped[int | None] = mapped_column(BigInteger)
    last_success: Mapped[dt.datetime | None]
    last_refused: Mapped[dt.datetime | None]
    last_failure: Mapped[dt.datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)


class ConnectorMinuteRow(Table):
    """The requests to a vendor in one minute, of all processes: how many, how they ended, how long they took.

    `latencies` counts requests by class of latency (`workbench.data.gateway.latency`).
    """

    __tablename__ = "connector_minute"

    vendor: Mapped[str] = mapped_column(String(64), primary_key=True)
    minute: Mapped[dt.datetime] = mapped_column(primary_key=True, index=True)
    requests: Mapped[int]
    failures: Mapped[int]
    busy: Mapped[int]
    refused: Mapped[int]
    latencies: Mapped[dict[str, Any]]
    last_error: Mapped[str | None] = mapped_column(Text)


class ConnectorCountRow(Table):
    """What was asked of a vendor for one kind of facts, ever: counters that only grow."""

    __tablename__ = "connector_count"

    vendor: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    hits: Mapped[int] = mapped_column(BigInteger)
    misses: Mapped[int] = mapped_column(BigInteger)
    joined: Mapped[int] = mapped_column(BigInteger)
    requests: Mapped[int] = mapped_column(BigInteger)
    retries: Mapped[int] = mapped_column(BigInteger)
    waits: Mapped[int] = mapped_column(BigInteger)
    waited_ms: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(BigInteger)
    unreadable: Mapped[int] = mapped_column(BigInteger)
    bytes_network: Mapped[int] = mapped_column(BigInteger)
    bytes_cache: Mapped[int] = mapped_column(BigInteger)
