"""FRED and ALFRED: economic series with every vintage: what each observation was said to be, and from which day on.

What to know before believing a number made of them:

- An observation is named by the first day of its period: January's prices are `2024-01-01`, published in February.
- FRED says for each value from which day to which day it stood (`realtime_start`, `realtime_end`). A value is learned
  at the end of its first day in St. Louis. Values older than the archive begin with the archive, later than they were
  published: ALFRED does not know better, and so they are late here, never early.
- "." is not a number: an observation without a value has no row. An observation that had a value and lost it, by "." or
  by leaving the series, has a vintage with the value NaN: whoever looks later must not go on seeing what was withdrawn.
- A question may span 2,000 vintage days at most; longer histories are asked for in spans of them. FRED cuts what a span
  overlaps at the span's ends, so that one value in two spans is joined again here.

Paths and fields: https://fred.stlouisfed.org/docs/api/fred/series_observations.html, series_vintagedates.html.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from workbench.data import learned
from workbench.data.gateway import Limit, Vendor
from workbench.data.kinds import kind_of
from workbench.data.source import symbols_of
from workbench.errors import BadData, DataError

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Answer, Gateway

ZONE: Final = "America/Chicago"  # the day of the Federal Reserve Bank of St. Louis
ALWAYS: Final = "1776-07-04", "9999-12-31"  # FRED's own words for the first and the last day
VINTAGES: Final = 2_000  # of one question, FRED's limit
_PAGE, _PAGE_OF_DAYS = 100_000, 10_000
_DAY = dt.timedelta(days=1)
_SERIES = re.compile(r"[A-Za-z0-9_.\-]{1,60}")
_NUMBER = re.compile(r"\.|[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_KIND = kind_of("macro")

_Value = tuple[dt.date, dt.date, dt.date, float]  # observed, stood from, stood until, value (NaN: ".")


class FredSource:
    """Economic series. A symbol is FRED's name of one: `CPIAUCSL`."""

    name = "fred"
    label = "FRED · Federal Reserve Bank of St. Louis"
    synthetic = False

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._gateway = gateway
        self._secrets = {"api_key": access.key}  # FRED reads it from the query only
        self._vendor = Vendor(
            name=self.name,
            url=access.url or "https://api.stlouisfed.org",
            limits=(Limit(requests=120, seconds=60.0),),
        )

    def macro(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """All vintages of the observations from `start` to `end`, both included: rows of kind `macro`.

        A vintage that withdraws a value has the value NaN.

        Raises:
            DataError: a symbol cannot be the name of a series; nothing was asked.
            SourceRefused: FRED does not know the series, or the key.
            BadData: an answer is not what FRED documents, or stops before its own count; nothing was passed on.
        """
        wanted = symbols_of(symbols)
        for symbol in wanted:
            if not _SERIES.fullmatch(symbol):
                raise DataError(f"{symbol!r} is not the name of a series; nothing was asked.", remedy="e.g. CPIAUCSL.")
        rows = [row for symbol in wanted for row in self._rows(symbol, start, end)]
        if not rows:
            return _KIND.empty()
        frame = pd.DataFrame(rows, columns=["symbol", "session", "value", "from", "read"])
        frame["session"] = pd.to_datetime(frame["session"]).astype("datetime64[us]")
        known = learned.end_of(pd.to_datetime(frame["from"]), zone=ZONE)
        read = pd.DatetimeIndex(pd.to_datetime(frame["read"], utc=True)).as_unit("us")
        known = known.where(known <= read, read)
        # Projections are named by days to come: no fact happens after it is learned.
        observed = learned.at(frame["session"], dt.time(), zone=ZONE)
        happened = observed.where(observed <= known, known)
        return _KIND.typed(frame.assign(happened=happened, learned=known, source=self.name))

    def _rows(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp) -> Iterator[tuple[Any, ...]]:
        """Symbol, day observed, value, first day it stood, and when it was read."""
        values: list[_Value] = []
        read = dt.datetime.min.replace(tzinfo=dt.UTC)
        for begins, ends in self._spans(symbol):
            query = {
                "series_id": symbol,
                "observation_start": f"{start:%Y-%m-%d}",
                "observation_end": f"{end:%Y-%m-%d}",
                "realtime_start": begins,
                "realtime_end": ends,
                "order_by": "observation_date",
                "sort_order": "asc",
            }
            for row, answer in self._pages("/fred/series/observations", query, "observations", _PAGE):
                values.append(_value(answer, row))
                read = max(read, answer.fetched_at)
        inside = [value for value in values if start.date() <= value[0] <= end.date()]
        for observed, since, number in _vintages(symbol, inside, today=read.date() if values else dt.date.max):
            yield symbol, observed, number, since, read

    def _spans(self, symbol: str) -> list[tuple[str, str]]:
        """Spans of real time that hold at most as many vintage days as one question may."""
        query = {"series_id": symbol, "realtime_start": ALWAYS[0], "realtime_end": ALWAYS[1], "sort_order": "asc"}
        pages = self._pages("/fred/series/vintagedates", query, "vintage_dates", _PAGE_OF_DAYS)
        firsts = [_day(answer, day) for day, answer in pages][VINTAGES::VINTAGES]
        begins = [ALWAYS[0], *(f"{first:%Y-%m-%d}" for first in firsts)]
        ends = [*(f"{first - _DAY:%Y-%m-%d}" for first in firsts), ALWAYS[1]]
        return list(zip(begins, ends, strict=True))

    def _pages(self, path: str, query: dict[str, Any], name: str, size: int) -> Iterator[tuple[Any, Answer]]:
        """What stands under `name`, page after page, each with the page that said it."""
        offset = 0
        while True:
            asked = {**query, "file_type": "json", "limit": size, "offset": offset}
            answer = self._gateway.get(self._vendor, path, query=asked, secrets=self._secrets, kind="macro", absent=())
            body = answer.json()
            rows, count = (body.get(name), body.get("count")) if isinstance(body, Mapping) else (None, None)
            if not isinstance(rows, list) or type(count) is not int:
                answer.reject(f"has no {name} with their count")
            if not rows and offset < count:
                answer.reject(f"stops at {offset} of {count} {name}")
            yield from ((row, answer) for row in rows)
            offset += len(rows)
            if offset >= count:
                return


def _value(answer: Answer, row: Any) -> _Value:
    if not isinstance(row, Mapping):
        answer.reject(f"has {row!r:.100} among its observations")
    said = row.get("value")  # FRED writes numbers as text
    if not isinstance(said, str) or not _NUMBER.fullmatch(said):
        answer.reject(f"has {said!r:.100} as a value")
    number = math.nan if said == "." else float(said)
    if math.isinf(number):
        answer.reject(f"has {said!r:.100} as a value")
    observed, since, until = (_day(answer, row.get(name)) for name in ("date", "realtime_start", "realtime_end"))
    return observed, since, until, number


def _day(answer: Answer, said: Any) -> dt.date:
    try:
        return dt.date.fromisoformat(said)
    except (TypeError, ValueError):
        answer.reject(f"has {said!r:.100} where a day belongs")


def _vintages(symbol: str, values: list[_Value], *, today: dt.date) -> Iterator[tuple[dt.date, dt.date, float]]:
    """Per observation and from which day on: its value, or NaN where it had one and has none any more."""
    by_day: dict[dt.date, list[_Value]] = {}
    for said in sorted(values, key=lambda said: said[:3]):
        by_day.setdefault(said[0], []).append(said)
    for observed, stood in by_day.items():
        if any(later[1] <= earlier[2] and not _same(later[3], earlier[3]) for earlier, later in pairwise(stood)):
            raise BadData(f"FRED gives two values at one time for {symbol} of {observed}; none was passed on.")
        last = math.nan
        for place, (_, since, until, value) in enumerate(stood):
            if not _same(value, last):
                yield observed, since, value
                last = value
            if until >= today or math.isnan(last):
                continue
            gone = until + _DAY
            if place + 1 == len(stood) or stood[place + 1][1] > gone:
                yield observed, gone, math.nan
                last = math.nan


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
