"""Market hours: which phase of trading a moment lies in, when the next one begins, and the daily window of a bot.

Regular hours are the calendar's, early closes included; a break at noon is not known here. Where stocks trade around
the clock (the venues of the United States), a session also has a night before it and an evening after it, all in the
exchange's time: OVERNIGHT from 20:00 of the evening before to 04:00, PRE from 04:00 to the open, AFTER for four hours
from the close (to 20:00; to 17:00 after an early close). The night before a holiday does not trade, and neither does a
weekend: it belongs to no session. Daylight saving moves the UTC moments, never the hours on the wall.
https://docs.alpaca.markets/us/docs/245-trading
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from workbench import sessions
from workbench.errors import ParameterError, StudyError

AROUND_THE_CLOCK = frozenset({"XNYS", "NYSE", "XNAS", "NASDAQ", "ARCX", "XASE", "BATS"})  # one calendar, several names
_EVENING, _MORNING = dt.time(20), dt.time(4)
_AFTER = dt.timedelta(hours=4)
_DAY = dt.timedelta(days=1)
_LOOK_AHEAD = 3  # sessions; a venue that does not change its phase in three sessions never does


class Phase(enum.StrEnum):
    """What kind of trading goes on. CLOSED: none; an order waits for the next open."""

    CLOSED = "closed"
    OVERNIGHT = "overnight"
    PRE = "pre"
    REGULAR = "regular"
    AFTER = "after"


class Span(NamedTuple):
    """A stretch of time in one phase: from `start` (in it) to `end` (no longer in it), both in UTC."""

    start: dt.datetime
    end: dt.datetime
    phase: Phase


def phase_at(venue: str, moment: dt.datetime) -> Phase:
    """The phase at `moment` (with a timezone). The first moment of a phase belongs to it, the last does not.

    Raises:
        ParameterError: the moment has no timezone. StudyError: the venue is not known.
    """
    found = _span_at(venue, _utc(moment))
    return Phase.CLOSED if found is None else found[1].phase


def session_at(venue: str, moment: dt.datetime) -> dt.date | None:
    """The session whose hours, the night before and the evening after included, hold `moment`; None when closed."""
    found = _span_at(venue, _utc(moment))
    return None if found is None else found[0]


def next_change(venue: str, moment: dt.datetime) -> tuple[dt.datetime, Phase]:
    """The first moment after `moment` at which the phase is another one, in UTC, and that phase.

    Raises:
        StudyError: the venue never closes, or the known calendar ends here.
    """
    at = _utc(moment)
    now, end = Phase.CLOSED, at
    found = _span_at(venue, at)
    if found is not None:
        now, end = found[1].phase, found[1].end
    for span in _spans_from(venue, at):
        if span.end <= at or (found is not None and span.start < end):
            continue
        if now is not Phase.CLOSED and span.start > end:
            return end, Phase.CLOSED
        if span.phase is not now:
            return span.start, span.phase
        end = span.end
    raise StudyError(
        f"venue={venue!r} is {now} at {at.isoformat()} and does not change within {_LOOK_AHEAD} sessions.",
        remedy="a venue that never closes needs no monitor of its hours.",
    )


def spans(venue: str, session: dt.date) -> tuple[Span, ...]:
    """The phases of one session in their order, without CLOSED; empty for a day without trading."""
    return _spans(venue, _date(session))


@dataclass(frozen=True, slots=True)
class TradingWindow:
    """The hours of every session in which a bot may trade, on the clock of the exchange's wall.

    The window never leaves the session: it is cut where the session opens late or closes early, and a session that has
    no part of it has none. With `extended` the night before and the evening after count as session too, and a `start`
    from 20:00 is that of the evening before.

    Attributes:
        start, end: wall-clock times without a timezone; `start` is inside, `end` is not.
        at_end: what a bot does with its holdings at the end: hold them, or flatten them.
    """

    start: dt.time = dt.time(9, 30)
    end: dt.time = dt.time(16)
    venue: str = "XNYS"
    at_end: Literal["hold", "flatten"] = "hold"
    extended: bool = False

    def __post_init__(self) -> None:
        """Refuse a window that no session can have.

        Raises:
            ParameterError: which part is wrong, and the bound.
        """
        for name, value in (("start", self.start), ("end", self.end)):
            if value.tzinfo is not None:
                raise ParameterError(f"{name}={value} has a timezone.", remedy="give the exchange's wall-clock time.")
        if self.at_end not in {"hold", "flatten"}:
            raise ParameterError(
                f"at_end={self.at_end!r} is neither 'hold' nor 'flatten'.", remedy="choose one of them."
            )
        if self.end <= self.start and not self._begins_the_evening_before:
            raise ParameterError(
                f"the window {self.start:%H:%M} to {self.end:%H:%M} is empty: end must be after start.",
                remedy="give a later end" + ("." if self.extended else ", or extended=True for a window over night."),
            )

    @property
    def _begins_the_evening_before(self) -> bool:
        return self.extended and self.start >= _EVENING

    def span(self, session: dt.date) -> tuple[dt.datetime, dt.datetime] | None:
        """From when to when it is open in that session, in UTC; None where the session has no part of it."""
        day = _date(session)
        hours = [
            span for span in _spans(self.venue, day) if self.extended or span.phase is Phase.REGULAR
        ]  # without gaps: one phase begins where the other ends
        if not hours:
            return None
        zone = _zone(self.venue)
        first = day - _DAY if self._begins_the_evening_before else day
        last = first if self.end > self.start else day
        start = max(_on_the_wall(first, self.start, zone), hours[0].start)
        end = min(_on_the_wall(last, self.end, zone), hours[-1].end)
        return (start, end) if start < end else None

    def contains(self, moment: dt.datetime) -> bool:
        """Whether it is open at `moment`."""
        return self.current(moment) is not None

    def current(self, moment: dt.datetime) -> tuple[dt.datetime, dt.datetime] | None:
        """From when to when the window that holds `moment` is open, in UTC; None outside of it.

        The end is the deadline of whatever is ordered now: nothing is sent after it.
        """
        at = _utc(moment)
        session = session_at(self.venue, at)
        found = None if session is None else self.span(session)
        return found if found is not None and found[0] <= at < found[1] else None

    def opens_at(self, session: dt.date) -> dt.datetime:
        """The UTC moment at which it opens in that session. Raises StudyError where the session has no part of it."""
        return self._of(session)[0]

    def closes_at(self, session: dt.date) -> dt.datetime:
        """The UTC moment at which it is over in that session. Raises StudyError where the session has no part of it."""
        return self._of(session)[1]

    def next_open(self, moment: dt.datetime) -> dt.datetime:
        """The first UTC moment after `moment` at which it opens.

        Raises:
            StudyError: it does not open within thirty sessions: no session of the venue reaches into it.
        """
        at = _utc(moment)
        day = sessions.previous_session(self.venue, _local(self.venue, at))
        for _ in range(30):
            found = self.span(day.date())
            if found is not None and found[0] > at:
                return found[0]
            day = sessions.next_session(self.venue, day)
        raise StudyError(
            f"the window {self} does not open in the thirty sessions after {at.isoformat()}.",
            remedy="choose hours in which the venue trades.",
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a row or a form; `of` reads it back."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "venue": self.venue,
            "at_end": self.at_end,
            "extended": self.extended,
        }

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> TradingWindow:
        """Read what `to_dict` wrote; a missing field has its default.

        Raises:
            ParameterError: a field is not known, or a time cannot be read.
        """
        named = dict(raw)
        if unknown := sorted(named.keys() - cls.__dataclass_fields__.keys()):
            raise ParameterError(
                f"a trading window has no {unknown[0]!r}.", remedy=f"use {', '.join(cls().to_dict())}."
            )
        for name in {"start", "end"} & named.keys():
            try:
                named[name] = dt.time.fromisoformat(str(named[name]))
            except ValueError as error:
                raise ParameterError(
                    f"{name}={named[name]!r} is no time of day.", remedy="write it as HH:MM."
                ) from error
        return cls(**named)

    def __str__(self) -> str:
        """One line: hours, venue, and what differs from the ordinary."""
        more = ", extended hours" if self.extended else ""
        return f"{self.start:%H:%M}–{self.end:%H:%M} {self.venue}{more}, then {self.at_end}"

    def _of(self, session: dt.date) -> tuple[dt.datetime, dt.datetime]:
        found = self.span(session)
        if found is None:
            raise StudyError(
                f"the window {self} has no part of {_date(session)}.",
                remedy="ask for a session of the venue that reaches into the window.",
            )
        return found


@functools.lru_cache(maxsize=4096)
def _spans(venue: str, day: dt.date) -> tuple[Span, ...]:
    if not sessions.is_session(venue, day):
        return ()
    opened, closed = _utc(sessions.opens(venue, day)), _utc(sessions.closes(venue, day))
    regular = Span(opened, closed, Phase.REGULAR)
    if venue not in AROUND_THE_CLOCK:
        return (regular,)
    zone = _zone(venue)
    night, morning = _on_the_wall(day - _DAY, _EVENING, zone), _on_the_wall(day, _MORNING, zone)
    evening = min(closed + _AFTER, _on_the_wall(day, _EVENING, zone))
    around = (Span(night, morning, Phase.OVERNIGHT), Span(morning, opened, Phase.PRE), regular)
    return (*around, Span(closed, evening, Phase.AFTER))


def _span_at(venue: str, at: dt.datetime) -> tuple[dt.date, Span] | None:
    """The span that holds a UTC moment, with its session: that of the local day, or of a neighbour over midnight."""
    today = _local(venue, at)
    for day in (today, today + _DAY, today - _DAY):
        for span in _spans(venue, day):
            if span.start <= at < span.end:
                return day, span
    return None


def _spans_from(venue: str, at: dt.datetime) -> Iterator[Span]:
    """The spans of the sessions around a UTC moment and of a few after it, in order."""
    day = sessions.previous_session(venue, _local(venue, at))
    for _ in range(_LOOK_AHEAD + 2):
        yield from _spans(venue, day.date())
        day = sessions.next_session(venue, day)


@functools.lru_cache(maxsize=64)
def _zone(venue: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(sessions.timezone(venue))


def _local(venue: str, at: dt.datetime) -> dt.date:
    return at.astimezone(_zone(venue)).date()


def _on_the_wall(day: dt.date, time: dt.time, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    return dt.datetime.combine(day, time, zone).astimezone(dt.UTC)


def _date(session: dt.date) -> dt.date:
    return session.date() if isinstance(session, dt.datetime) else session


def _utc(moment: dt.datetime) -> dt.datetime:
    """A plain UTC datetime: pandas' moments are datetimes too, but compare and print in their own way."""
    if moment.tzinfo is None:
        raise ParameterError(f"moment={moment} has no timezone.", remedy="give a moment in UTC.")
    whole = moment.astimezone(dt.UTC)
    return dt.datetime(
        whole.year, whole.month, whole.day, whole.hour, whole.minute, whole.second, whole.microsecond, tzinfo=dt.UTC
    )
