"""Trading sessions of a venue: which days trade, and when each opens and closes. A thin use of exchange_calendars.

A session is a timezone-naive midnight `Timestamp`; opens and closes are UTC `Timestamp`s.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.errors import StudyError

if TYPE_CHECKING:
    import exchange_calendars

# The library's own default range is twenty years back to one year ahead; bundled data begins in 1990.
FIRST = "1985-01-02"
LAST = "2040-12-31"


@functools.lru_cache(maxsize=8)
def _calendar(venue: str) -> exchange_calendars.ExchangeCalendar:
    # Imported here: it costs a tenth of a second, and `import workbench` must not pay it.
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # exchange_calendars 4.13 trips deprecations of pandas 3 in its own code
        try:
            return exchange_calendars.get_calendar(venue, start=FIRST, end=LAST)
        except InvalidCalendarName as error:
            raise StudyError(
                f"venue={venue!r} is not a known calendar; nothing was looked up.",
                remedy="use an exchange_calendars name such as 'XNYS' (New York) or 'XLON' (London).",
            ) from error


def sessions(venue: str, start: Any, end: Any) -> pd.DatetimeIndex:
    """All sessions from `start` to `end`, both included: timezone-naive midnights, ascending, without freq."""
    calendar = _calendar(venue)
    first, last = _midnight(start), _midnight(end)
    found: pd.DatetimeIndex = calendar.sessions[(calendar.sessions >= first) & (calendar.sessions <= last)]
    # Through numpy: the calendar's business-day frequency upsets libraries that want a fixed one.
    return pd.DatetimeIndex(found.to_numpy())


def is_session(venue: str, session: Any) -> bool:
    """Whether the venue trades on that day."""
    return bool(_midnight(session) in _calendar(venue).sessions)


def opens(venue: str, session: Any) -> pd.Timestamp:
    """The UTC moment at which the session opens. Raises StudyError for a day without trading."""
    return _row(venue, session, "open")


def closes(venue: str, session: Any) -> pd.Timestamp:
    """The UTC moment of the close, early closes included. Raises StudyError for a day without trading."""
    return _row(venue, session, "close")


def open_times(venue: str, of: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The UTC open of each session in `of`, same length and order. Raises StudyError if one is not a session."""
    return pd.DatetimeIndex(_all_sessions(venue, of).opens.loc[of].array)


def close_times(venue: str, of: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The UTC close of each session in `of`, same length and order. Raises StudyError if one is not a session."""
    return pd.DatetimeIndex(_all_sessions(venue, of).closes.loc[of].array)


def _all_sessions(venue: str, of: pd.DatetimeIndex) -> exchange_calendars.ExchangeCalendar:
    calendar = _calendar(venue)
    missing = of.difference(calendar.sessions)
    if len(missing):
        raise StudyError(
            f"{len(missing)} of {len(of)} days are not sessions of {venue}, the first is {missing[0].date()}.",
            remedy="drop or correct these rows.",
        )
    return calendar


def of_bars(venue: str, ends: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The session (timezone-naive midnight) of each intraday bar, given the UTC moments of the ends."""
    calendar = _calendar(venue)
    closes_utc = pd.DatetimeIndex(calendar.closes.array)
    found = closes_utc.searchsorted(ends.tz_convert("UTC"), side="left")
    return pd.DatetimeIndex(calendar.sessions.to_numpy()[found])


def bar_ends(venue: str, start: Any, end: Any, *, minutes: int) -> pd.DatetimeIndex:
    """The UTC end of every bar of `minutes` from session `start` to session `end`; the last of a session may be short.

    Bars are counted from the open; a bar that would pass the close ends with it.
    """
    calendar = _calendar(venue)
    rows = calendar.schedule.loc[_midnight(start) : _midnight(end)]
    opened = pd.DatetimeIndex(rows["open"].array).tz_convert("UTC").tz_localize(None).to_numpy(dtype="datetime64[us]")
    closed = pd.DatetimeIndex(rows["close"].array).tz_convert("UTC").tz_localize(None).to_numpy(dtype="datetime64[us]")
    lengths = (closed - opened).astype("timedelta64[m]").astype(int)
    counts = -(-lengths // minutes)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    ends = np.repeat(opened, counts) + (number * minutes).astype("timedelta64[m]")
    return pd.DatetimeIndex(np.minimum(ends, np.repeat(closed, counts))).tz_localize("UTC")


def minutes_per_session(venue: str) -> int:
    """Minutes of a regular session: the most frequent length of a session of the venue's calendar."""
    schedule = _calendar(venue).schedule
    lengths = (schedule["close"] - schedule["open"]).dt.total_seconds() // 60
    return int(lengths.mode().iloc[0])


def session_of(venue: str, moment: pd.Timestamp) -> pd.Timestamp:
    """The last session whose close is not after `moment`: the newest complete session then."""
    calendar = _calendar(venue)
    closes_utc = pd.DatetimeIndex(calendar.closes.array)
    position = int(closes_utc.searchsorted(moment.tz_convert("UTC"), side="right")) - 1
    if position < 0:
        raise StudyError(
            f"as_of={moment} lies before the first known session of {venue} ({FIRST}).",
            remedy=f"ask for a moment after {FIRST}.",
        )
    return pd.Timestamp(calendar.sessions[position])


def next_session(venue: str, session: Any) -> pd.Timestamp:
    """The first session after `session` (which need not be one itself)."""
    calendar = _calendar(venue)
    position = int(calendar.sessions.searchsorted(_midnight(session), side="right"))
    return pd.Timestamp(calendar.sessions[position])


def previous_session(venue: str, session: Any) -> pd.Timestamp:
    """The last session before `session` (which need not be one itself)."""
    calendar = _calendar(venue)
    position = int(calendar.sessions.searchsorted(_midnight(session), side="left")) - 1
    return pd.Timestamp(calendar.sessions[position])


def timezone(venue: str) -> str:
    """The name of the timezone in which the venue's clock on the wall runs, e.g. 'America/New_York'."""
    return str(_calendar(venue).tz.key)


def _midnight(day: Any) -> pd.Timestamp:
    moment = pd.Timestamp(day)
    if moment.tzinfo is not None:
        moment = moment.tz_localize(None)
    return moment.normalize()


def _row(venue: str, session: Any, side: str) -> pd.Timestamp:
    calendar = _calendar(venue)
    day = _midnight(session)
    if day not in calendar.sessions:
        raise StudyError(
            f"{day.date()} is not a session of {venue}; the session before it is "
            f"{previous_session(venue, day).date()}, the next one {next_session(venue, day).date()}.",
            remedy="use one of these two.",
        )
    return pd.Timestamp(calendar.schedule.loc[day, side])
