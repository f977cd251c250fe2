"""Bars of any timeframe that an exchange's own bars can be put together to: minutes, hours, days, weeks, months.

A bar is told when it has ended and never before. Minutes and hours are counted from New York's midnight, as Alpaca
does: the hour that begins at 9:00 holds the first half hour of the session. Only where the exchange's own bars are an
hour long (9:30 to 10:30) are they counted from the open. Weeks begin on Monday, months on their first, several months
in January; the timestamp of a bar of a day or longer is New York's midnight of its first day.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workbench.exchange.clock import MINUTES
from workbench.exchange.market.prices import NEW_YORK, Candle, day_start, joined, last_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.exchange.clock import Session, Timeline
    from workbench.exchange.market.market import Market

_UNITS: Final = {"MIN": "minute", "T": "minute", "HOUR": "hour", "H": "hour", "DAY": "day", "D": "day"}
_LONG: Final = {"WEEK": "week", "W": "week", "MONTH": "month", "M": "month"}
_ALLOWED: Final = {
    "minute": range(1, 60),
    "hour": range(1, 24),
    "day": range(1, 2),
    "week": range(1, 2),
    "month": (1, 2, 3, 4, 6, 12),
}
_HALF_HOUR: Final = 30


class NoSuchTimeframe(ValueError):
    """A timeframe that does not exist, or that these bars cannot be put together to."""


@dataclass(frozen=True, slots=True)
class Timeframe:
    """`amount` of `unit`s: minute, hour, day, week or month."""

    amount: int
    unit: str

    @property
    def minutes(self) -> int | None:
        """Its length, None for a day and longer."""
        return {"minute": self.amount, "hour": 60 * self.amount}.get(self.unit)

    def first(self, date: dt.date) -> dt.date:
        """The first day of the week or of the months that hold that day."""
        if self.unit == "week":
            return date - dt.timedelta(days=date.weekday())
        return date.replace(month=(date.month - 1) // self.amount * self.amount + 1, day=1)

    def following(self, first: dt.date) -> dt.date:
        """The first day of the week or of the months after those that begin on that day."""
        if self.unit == "week":
            return first + dt.timedelta(days=7)
        month = first.month - 1 + self.amount
        return first.replace(year=first.year + month // 12, month=month % 12 + 1)


def timeframe(text: str) -> Timeframe:
    """The timeframe of `1Min`, `15T`, `1Hour`, `1Day`, `1Week`, `3Month` … in any case. Raises NoSuchTimeframe."""
    found = re.fullmatch(r"(\d{0,2})([A-Za-z]+)", text)
    unit = (_UNITS | _LONG).get(found[2].upper()) if found else None
    amount = int(found[1] or 1) if found else 0
    if unit is None or amount not in _ALLOWED[unit]:
        raise NoSuchTimeframe(f"invalid timeframe: {text}")
    return Timeframe(amount, unit)


def candles(
    market: Market,
    symbol: str,
    length: Timeframe,
    *,
    known_at: dt.datetime,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
    descending: bool = False,
) -> Iterator[Candle]:
    """Finished bars known at `known_at` that begin in [start, end]; without a start from the first (minutes: today).

    Raises:
        NoSuchTimeframe: the exchange's own bars are too long for it.
    """
    if length.minutes is None:
        yield from _long(market, symbol, length, known_at=known_at, start=start, end=end, descending=descending)
        return
    whole = width(market.timeline, length)
    first = day_start(known_at.astimezone(NEW_YORK).date()) if start is None else start
    for session in _sessions(market, symbol, first, min(known_at, end or known_at), descending=descending):
        since = first if length.minutes == whole else _floor(first, session, length.minutes)
        own = list(market.candles(symbol, session, known_at=known_at, since=since))
        rows = list(_grouped(own, session, whole, length.minutes, known_at))
        yield from (
            row
            for row in (rows[::-1] if descending else rows)
            if first <= row.begins and (end is None or row.begins <= end)
        )


def width(timeline: Timeline, length: Timeframe) -> int:
    """Minutes of the exchange's own bars. Raises NoSuchTimeframe where `length` is not a multiple of them."""
    own = MINUTES.get(timeline.timeframe)
    if own is None or length.minutes is None or length.minutes % own or (own > _HALF_HOUR and length.minutes != own):
        offered = "1Day and longer" if own is None else f"multiples of {own} minutes, 1Day and longer"
        raise NoSuchTimeframe(
            f"the bars of this exchange are {timeline.timeframe} long: it offers {offered} "
            "(start one with --timeframe 1m for minutes)"
        )
    return own


def _sessions(
    market: Market, symbol: str, start: dt.datetime, end: dt.datetime, *, descending: bool
) -> Iterator[Session]:
    days = list(market.timeline.between(start.astimezone(NEW_YORK).date(), end.astimezone(NEW_YORK).date()))
    contract = market.contract(symbol)
    stock = symbol if contract is None else contract.underlying
    ahead: set[dt.date] = set()
    for session in reversed(days) if descending else days:
        if session.date not in ahead:  # a month at once, but only as somebody reads on
            month = session.date.replace(day=1)
            coming = [one.date for one in days if one.date.replace(day=1) == month]
            if len(coming) > 1:
                market.feed.read_ahead(stock, coming[0], coming[-1])
            ahead.update(coming)
        yield session


def _grouped(
    own: list[Candle], session: Session, own_minutes: int, minutes: int, known: dt.datetime
) -> Iterator[Candle]:
    if minutes == own_minutes:
        yield from own
        return
    groups: dict[dt.datetime, list[Candle]] = {}
    for candle in own:
        groups.setdefault(_floor(candle.begins, session, minutes), []).append(candle)
    for begins, parts in groups.items():
        if min(begins + dt.timedelta(minutes=minutes), session.closes) <= known:
            yield joined(parts, begins)


def _floor(moment: dt.datetime, session: Session, minutes: int) -> dt.datetime:
    """The beginning of the bar that holds the moment, counted from New York's midnight of the session's day."""
    midnight, length = day_start(session.date), dt.timedelta(minutes=minutes)
    return midnight + (moment - midnight) // length * length


def _long(
    market: Market,
    symbol: str,
    length: Timeframe,
    *,
    known_at: dt.datetime,
    start: dt.datetime | None,
    end: dt.datetime | None,
    descending: bool,
) -> Iterator[Candle]:
    if length.unit == "day":
        days = market.days(symbol, known_at=known_at, start=start, end=end)
        yield from reversed(list(days)) if descending else days
        return
    since = None if start is None else day_start(length.first(start.astimezone(NEW_YORK).date()))
    groups: dict[dt.date, list[Candle]] = {}
    for candle in market.days(symbol, known_at=known_at, start=since, end=None):
        groups.setdefault(length.first(candle.begins.astimezone(NEW_YORK).date()), []).append(candle)
    rows = [
        joined(parts, day_start(first))
        for first, parts in groups.items()
        if (start is None or day_start(first) >= start)
        and (end is None or first <= last_day(end))
        and _is_over(market.timeline, first, length, known_at)
    ]
    yield from rows[::-1] if descending else rows


def _is_over(timeline: Timeline, first: dt.date, length: Timeframe, known_at: dt.datetime) -> bool:
    """Whether the last session of the week or of the months has closed."""
    coming = timeline.session_at_or_after(known_at).date
    return coming >= length.following(first)
