"""The exchange's time: opens and closes of one venue as steps, and the text form of a moment."""

from __future__ import annotations

import bisect
import datetime as dt
import enum
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    """The next thing that can change prices: a session's open or its close."""

    moment: dt.datetime
    kind: StepKind
    session: Session


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
    """Sessions of one venue, looked up by moment. Loaded at the first question (a third of a second)."""

    def __init__(self, venue: str) -> None:
        self.venue = venue

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
        """The first open or close strictly after `moment`."""
        session = self.session_at_or_after(moment)
        if session.opens > moment:
            return Step(session.opens, StepKind.OPEN, session)
        return Step(session.closes, StepKind.CLOSE, session)

    def is_open(self, moment: dt.datetime) -> bool:
        """Whether the regular session runs: open ≤ moment < close."""
        return self.session_at_or_after(moment).opens <= moment

    def next_open(self, moment: dt.datetime) -> dt.datetime:
        """The first open strictly after `moment`."""
        position = bisect.bisect_right(self._closes, moment)
        here = self._session(position)
        return here.opens if here.opens > moment else self._session(position + 1).opens

    def between(self, start: dt.date, end: dt.date) -> Iterator[Session]:
        """Sessions from `start` to `end`, both included."""
        first = bisect.bisect_left(self._dates, start)
        last = bisect.bisect_right(self._dates, end)
        return (self._session(position) for position in range(first, last))

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

        closes = sessions.close_times(self.venue, self._days).tz_localize(None).to_numpy().astype("datetime64[us]")
        return [moment.replace(tzinfo=dt.UTC) for moment in closes.tolist()]

    @functools.cached_property
    def _days(self):  # type: ignore[no-untyped-def] # noqa: ANN202 - a DatetimeIndex; pandas is imported only when asked
        from workbench import sessions

        return sessions.sessions(self.venue, sessions.FIRST, sessions.LAST)

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one timeline lives as long as its process
    def _session(self, position: int) -> Session:
        from workbench import sessions

        opens = sessions.opens(self.venue, self._days[position]).to_pydatetime()
        return Session(self._dates[position], opens, self._closes[position])
