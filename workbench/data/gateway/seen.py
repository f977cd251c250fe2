"""What is stored of the connectors as tables: health, history, statistics; read in the caller's transaction."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any, Final

import pandas as pd
from sqlalchemy import Connection, select

from workbench.data.gateway import breaker
from workbench.data.gateway.counts import COUNTERS
from workbench.data.gateway.latency import percentile
from workbench.store.tables.connector import ConnectorCountRow, ConnectorMinuteRow, ConnectorRow
from workbench.store.vendor_budget import SECOND, Limit, Standing, believed, left

STATS_COLUMNS: Final = ("vendor", "kind", *COUNTERS, "saved_calls")
HEALTH_COLUMNS: Final = (
    "vendor",
    "state",
    "breaker",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "error_rate",
    "requests",
    "last_success",
    "last_refused",
    "last_failure",
    "last_error",
    "quota_left",
    "limited_until",
)
HISTORY_COLUMNS: Final = (
    "minute",
    "requests",
    "failures",
    "busy",
    "refused",
    "error_rate",
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "last_error",
)
_MINUTE: Final = ConnectorMinuteRow.__table__
_SHARES: Final = {"p50_ms": 0.50, "p95_ms": 0.95, "p99_ms": 0.99}


def stats(connection: Connection) -> pd.DataFrame:
    """What was asked, per vendor and kind, ever and by all processes: one row each, by name.

    Returns:
        Columns `STATS_COLUMNS`. `calls` = `hits` + `misses` + `joined` + `failures`: answered from the cache, by the
        vendor, by another thread's request, not at all. `saved_calls` = `hits` + `joined`. `requests` were sent,
        `retries` of them again; `waits` had to wait for a token, `waited_ms` together. `unreadable` answers were
        rejected by their readers. Bytes are unpacked.
    """
    rows = connection.execute(
        select(ConnectorCountRow.__table__).order_by(ConnectorCountRow.vendor, ConnectorCountRow.kind)
    )
    frame = pd.DataFrame([dict(row) for row in rows.mappings()], columns=list(STATS_COLUMNS[:-1]))
    frame = frame.astype(dict.fromkeys(COUNTERS, "int64")).astype({"vendor": "str", "kind": "str"})
    return frame.assign(saved_calls=frame["hits"] + frame["joined"])


def health(
    connection: Connection, *, at: dt.datetime, minutes: float = 60.0, vendors: Collection[str] = ()
) -> pd.DataFrame:
    """How every vendor that was ever asked is doing, by name.

    Args:
        at: now (UTC).
        minutes: how far back latencies and errors are looked at.
        vendors: names that are shown even if they were never asked.

    Returns:
        Columns `HEALTH_COLUMNS`. `state` is `up` (the newest request was answered, were it with a refusal), `down` (it
        failed or was told to wait, or the breaker is not closed) or `unknown` (never asked). Latencies are milliseconds
        of single requests (NaN: none in that time), within 2.2 % of the true percentile. `error_rate` is the share of
        requests that failed, were told to wait, or were refused. `quota_left` names what is left of each limit, e.g.
        `"3 of 10 per 1 s"`; `limited_until`: the vendor asked to be left alone till then (NaT: it did not).
    """
    since = at - dt.timedelta(minutes=minutes)
    found: dict[str, list[Any]] = {}
    for row in connection.execute(select(_MINUTE).where(_MINUTE.c.minute >= since.replace(second=0, microsecond=0))):
        found.setdefault(row.vendor, []).append(row)
    stored = {row.vendor: row for row in connection.execute(select(ConnectorRow.__table__))}
    at_us = round(at.timestamp() * SECOND)
    lines = [
        {"vendor": name, **_measured(found.get(name, [])), **_standing(stored.get(name), at_us)}
        for name in sorted({*stored, *vendors})
    ]
    frame = pd.DataFrame(lines, columns=list(HEALTH_COLUMNS))
    for column in ("last_success", "last_refused", "last_failure", "limited_until"):
        frame[column] = pd.to_datetime(frame[column], utc=True).astype("datetime64[us, UTC]")
    for column in ("vendor", "state", "breaker", "last_error", "quota_left"):
        frame[column] = frame[column].astype("str")
    return frame


def history(
    connection: Connection, vendor: str, *, since: dt.datetime | None = None, until: dt.datetime | None = None
) -> pd.DataFrame:
    """How a vendor did, one row per minute in which it was asked, oldest first; minutes are kept for 90 days.

    Args:
        since, until: moments (UTC), both included; None: no bound.
    """
    wanted = select(_MINUTE).where(_MINUTE.c.vendor == vendor).order_by(_MINUTE.c.minute)
    if since is not None:
        wanted = wanted.where(_MINUTE.c.minute >= since.replace(second=0, microsecond=0))
    if until is not None:
        wanted = wanted.where(_MINUTE.c.minute <= until)
    rows = [
        {"minute": row.minute, "last_error": row.last_error or "", **_measured([row])}
        for row in connection.execute(wanted)
    ]
    frame = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))
    frame["minute"] = pd.to_datetime(frame["minute"], utc=True).astype("datetime64[us, UTC]")
    counts = dict.fromkeys(("requests", "failures", "busy", "refused"), "int64")
    return frame.astype({**counts, "last_error": "str"})


def _measured(rows: Iterable[Any]) -> dict[str, Any]:
    latencies: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for row in rows:
        latencies.update(row.latencies)
        counts.update(requests=row.requests, failures=row.failures, busy=row.busy, refused=row.refused)
    wrong = counts["failures"] + counts["busy"] + counts["refused"]
    return {
        **{name: counts[name] for name in ("requests", "failures", "busy", "refused")},
        "error_rate": wrong / counts["requests"] if counts["requests"] else math.nan,
        **{name: percentile(latencies, share) for name, share in _SHARES.items()},
    }


def _standing(row: Any, at_us: int) -> dict[str, Any]:
    if row is None:
        return {"state": "unknown", "breaker": "closed", "last_error": "", "quota_left": ""}
    stored = Standing(**{field.name: getattr(row, field.name) for field in fields(Standing)})
    standing = believed(stored, at_us=at_us)
    switch = breaker.state(row.open_until_us, at_us)
    limits = [Limit(int(requests), seconds) for requests, seconds in row.limits]
    alone = standing.limited_until_us
    return {
        "state": _state(row, switch),
        "breaker": switch,
        "last_success": row.last_success,
        "last_refused": row.last_refused,
        "last_failure": row.last_failure,
        "last_error": row.last_error or "",
        "quota_left": ", ".join(f"{left(standing, limit, at_us=at_us)} of {limit}" for limit in limits),
        "limited_until": dt.datetime.fromtimestamp(alone / SECOND, dt.UTC) if alone and alone > at_us else None,
    }


def _state(row: Any, switch: breaker.State) -> str:
    answered = [moment for moment in (row.last_success, row.last_refused) if moment is not None]
    if switch != "closed":
        return "down"
    if row.last_failure is None:
        return "up" if answered else "unknown"
    return "up" if answered and max(answered) >= row.last_failure else "down"
