"""The exchange's time: the opens and closes of one venue's bars as steps, and the text form of a moment.

**Steps.** Prices can change only at a step: where a bar opens and where it closes. With daily bars these are the open
and the close of each session. With intraday bars every bar of the session has both. A bar's first print comes
`FIRST_PRINT` (one second) after the bar before it has ended, and the first bar of a session prints at the session's
open: so the two never share a moment, whoever has seen a bar has that second to place an order that trades at the next
open, and an exchange that is killed between the two knows where it stands.
"""

from __future__ import annotations

import bisect
import datetime as dt
import enum
import functools
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DAILY: Final = "1d"
MINUTES: Final[Mapping[str, int]] = MappingProxyType({"1m": 1, "5m": 5, "15m": 15, "1h": 60})
FIRST_PRINT: Final = dt.timedelta(seconds=1)


class StepKind(enum.StrEnum):
    """What happens at a step."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day: its date and its UTC open and close."""

    date: dt.date
    opens: dt.datetime
    closes: dt.datetime


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing that can change prices: the open or the close of a bar.

    Attributes:
        moment: when (UTC).
        kind: whether the bar opens or closes.
        session: the session of the bar.
        number: which bar of its session it is, from 0; a daily bar is always 0.
    """

    moment: dt.datetime
    kind: StepKind
    session: Session
    number: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the open of the session (opening auction)."""
        return self.kind is StepKind.OPEN and self.moment == self.session.opens

    @property
    def last(self) -> bool:
        """Whether this is the close of the session (closing auction; day orders end)."""
        return self.kind is StepKind.CLOSE and self.moment == self.session.closes


def text_of(moment: dt.datetime) -> str:
    """A UTC moment as fixed-width text (`2022-06-30T20:00:00.000000Z`), which sorts as it happens."""
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def moment_of(text: str) -> dt.datetime:
    """Text with a timezone to a UTC moment, truncated to microseconds. Naive text is UTC, as alpaca-py sends it.

    Raises:
        ValueError: the text is not an ISO 8601 moment or date.
    """
    cleaned = text.strip().replace(" ", "+") if "T" in text else text.strip()
    head, dot, tail = cleaned.partition(".")
    if dot:  # nanoseconds are legal on the wire and more than a datetime holds
        digits = len(tail) - len(tail.lstrip("0123456789"))
        cleaned = f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"
    moment = dt.datetime.fromisoformat(cleaned)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


class Timeline:
    """Sessions of one venue and the steps of their bars. The calendar is loaded at the first question (a third of a s).

    Args:
        venue: calendar name, e.g. `"XNYS"`.
        timeframe: length of the bars: `"1d"` or one of `MINUTES`. The last bar of a session ends with the session.
    """

    def __init__(self, venue: str, timeframe: str = DAILY) -> None:
        if timeframe != DAILY and timeframe not in MINUTES:
            raise ValueError(f"timeframe={timeframe!r} is none of {DAILY}, {', '.join(MINUTES)}")
        self.venue, self.timeframe = venue, timeframe
        self.width = None if timeframe == DAILY else dt.timedelta(minutes=MINUTES[timeframe])

    @property
    def intraday(self) -> bool:
        """Whether a session has more than one bar."""
        return self.width is not None

    def session_at_or_after(self, moment: dt.datetime) -> Session:
        """The session running at `moment` (open ≤ moment < close), or the next one: where a new day order lives."""
        return self._session(bisect.bisect_right(self._closes, moment))

    def session_of(self, date: dt.date) -> Session | None:
        """The session of that day, None on a day without trading."""
        position = bisect.bisect_left(self._dates, date)
        found = position < len(self._dates) and self._dates[position] == date
        return self._session(position) if found else None

    def previous(self, moment: dt.datetime) -> Session:
        """The newest session whose close is not after `moment`."""
        return self._session(bisect.bisect_right(self._closes, moment) - 1)

    def next_step(self, moment: dt.datetime) -> Step:
        """The first open or close of a bar strictly after `moment`."""
        session = self.session_at_or_after(moment)
        if session.opens > moment:
            return Step(session.opens, StepKind.OPEN, session)
        if self.width is None:
            return Step(session.closes, StepKind.CLOSE, session)
        number = (moment - session.opens) // self.width
        begins = session.opens + number * self.width
        opens = self.first_print(session, begins)
        if opens > moment:
            return Step(opens, StepKind.OPEN, session, number)
        return Step(min(begins + self.width, session.closes), StepKind.CLOSE, session, number)

    def steps(self, after: dt.datetime, until: dt.datetime) -> Iterator[Step]:
        """All steps with after < moment ≤ until, in order."""
        while (step := self.next_step(after)).moment <= until:
            yield step
            after = step.moment

    @staticmethod
    def first_print(session: Session, begins: dt.datetime) -> dt.datetime:
        """When a bar that begins there has its first print; see the head of this file."""
        return begins if begins <= session.opens else begins + FIRST_PRINT

    def is_open(self, moment: dt.datetime) -> bool:
        """Whether the regular session runs: open ≤ moment < close."""
        return self.session_at_or_after(moment).opens <= moment

    def next_open(self, moment: dt.datetime) -> dt.datetime:
        """The first open of a session strictly after `moment`."""
        position = bisect.bisect_right(self._closes, moment)
        here = self._session(position)
        return here.opens if here.opens > moment else self._session(position + 1).opens

    def between(self, start: dt.date, end: dt.date) -> Iterator[Session]:
        """Sessions from `start` to `end`, both included."""
        first = bisect.bisect_left(self._dates, start)
        last = bisect.bisect_right(self._dates, end)
        return (self._session(position) for position in range(first, last))

    def after(self, date: dt.date, count: int = 1) -> Session:
        """The `count`-th session after that day (which need not be one itself)."""
        return self._session(bisect.bisect_right(self._dates, date) + count - 1)

    @property
    def first(self) -> dt.datetime:
        """The close of the first session known; accounts cannot be opened before it."""
        return self._closes[0]

    @property
    def last(self) -> dt.datetime:
        """The close of the last session but one: clocks cannot move past it."""
        return self._closes[-2]

    @functools.cached_property
    def _dates(self) -> list[dt.date]:
        return [day.date() for day in self._days]

    @functools.cached_property
    def _closes(self) -> list[dt.datetime]:
        from workbench import sessions

        return _plain(sessions.close_times(self.venue, self._days))

    @functools.cached_property
    def _opens(self) -> list[dt.datetime]:
        from workbench import sessions

        return _plain(sessions.open_times(self.venue, self._days))

    @functools.cached_property
    def _days(self):  # type: ignore[no-untyped-def] # noqa: ANN202 - a DatetimeIndex; pandas is imported only when asked
        from workbench import sessions

        return sessions.sessions(self.venue, sessions.FIRST, sessions.LAST)

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one timeline lives as long as its process
    def _session(self, position: int) -> Session:
        return Session(self._dates[position], self._opens[position], self._closes[position])


def _plain(moments: Any) -> list[dt.datetime]:
    """A DatetimeIndex in UTC as plain datetimes. Through numpy: a Timestamp for each would take longer."""
    values = moments.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[us]").tolist()
    return [moment.replace(tzinfo=dt.UTC) for moment in values]
