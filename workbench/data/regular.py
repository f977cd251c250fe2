"""Bars of the regular session out of what vendors call bars, whichever vendor it is.

A vendor names a bar by the moment it begins and has bars before the open and after the close too. Here a day's bar gets
its session and the close as its end, a shorter one its session and its own end, and what lies outside is left out. An
hour is counted from the open, as everywhere here; vendors count it from the full hour, so two of their half hours make
one of ours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

import pandas as pd

from workbench import sessions
from workbench.data.reading import Field
from workbench.data.source import DAILY_COLUMNS, INTRADAY_COLUMNS, PRICES, no_bars
from workbench.errors import BadData, DataError

NEW_YORK: Final = "America/New_York"
VENDOR_MINUTES: Final = {"1h": 30, "5m": 5, "1m": 1}  # what to ask a vendor for, where it counts hours by the clock
TIMEFRAMES: Final = ("1d", *VENDOR_MINUTES)


def fields(begins: Field, names: Sequence[str]) -> dict[str, Field]:
    """What a vendor's bar must have: its first moment, and open, high, low, close, volume under the vendor's names."""
    return {"begins": begins} | dict(zip((*PRICES, "volume"), map(Field, names), strict=True))


def check_timeframe(timeframe: str, known: Sequence[str] = TIMEFRAMES) -> None:
    """Raises DataError: it is not one of the known ones; nothing was asked."""
    if timeframe not in known:
        raise DataError(
            f"timeframe={timeframe!r} is not one of {', '.join(known)}; nothing was read.", remedy="use one of these."
        )


def span(start: pd.Timestamp, end: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The first moment (UTC) of day `start` in New York, and the first one after day `end`."""
    first = pd.Timestamp(start).tz_localize(NEW_YORK)
    last = (pd.Timestamp(end) + pd.Timedelta(days=1)).tz_localize(NEW_YORK)
    return first.tz_convert("UTC"), last.tz_convert("UTC")


def days_of(moments: pd.Series) -> pd.Series:
    """The day in New York of each moment: a timezone-naive midnight."""
    days: pd.Series = moments.dt.tz_convert(NEW_YORK).dt.tz_localize(None).dt.normalize().astype("datetime64[us]")
    return days


def bars(
    rows: pd.DataFrame,
    symbols: Sequence[str],
    *,
    timeframe: str,
    until: dt.datetime | pd.Timestamp,
    since: dt.datetime | pd.Timestamp | None = None,
    delay: dt.timedelta = dt.timedelta(0),
    venue: str = "XNYS",
    hours_from_open: bool = False,
    of: str,
) -> pd.DataFrame:
    """Bars as `BarSource.bars` promises them.

    Args:
        rows: `symbol`, `begins` (UTC), open, high, low, close, volume (finite); hours as half hours.
        symbols: the order.
        until: a bar that ends later is not over and is left out.
        since: a bar that begins before is left out.
        delay: what the vendor's plan holds a bar back; `learned` is its end plus this.
        hours_from_open: the vendor's hours are already counted from the open.
        of: whose bars, for the message.

    Raises:
        BadData: a price is not above 0, or a volume is below 0; none was passed on.
    """
    daily = timeframe == "1d"
    bad = (rows[list(PRICES)] <= 0).any(axis=1) | (rows["volume"] < 0)
    if bad.any():
        row = rows.loc[bad].to_dict("records")[0]
        raise BadData(
            f"{of}: {int(bad.sum())} of {len(rows)} have an impossible price or volume, the first is {row}; "
            "none was passed on.",
            remedy="ask again; if it stays, look at the symbol on the vendor's page.",
        )
    if rows.empty:
        return no_bars(intraday=not daily)
    if daily:
        shaped = _daily(rows, venue)
    else:
        joined = timeframe == "1h" and not hours_from_open
        minutes = 60 if timeframe == "1h" and hours_from_open else VENDOR_MINUTES[timeframe]
        shaped = _intraday(rows, venue, minutes=minutes, join=joined)
    kept = shaped["happened"] <= pd.Timestamp(until)
    if since is not None and not daily:  # half of an hour that begins earlier is not that hour
        kept &= shaped["time"] >= pd.Timestamp(since)
    shaped = shaped.loc[kept]
    place = shaped["symbol"].map({symbol: number for number, symbol in enumerate(symbols)})
    learned = (shaped["happened"] + delay).astype("datetime64[us, UTC]")
    ordered = shaped.assign(place=place, learned=learned).sort_values(["place", "happened"], ignore_index=True)
    return ordered.loc[:, list(DAILY_COLUMNS if daily else INTRADAY_COLUMNS)]


def _daily(rows: pd.DataFrame, venue: str) -> pd.DataFrame:
    days = days_of(rows["begins"])
    known = sessions.sessions(venue, days.min(), days.max()).as_unit("us")
    closes = pd.Series(sessions.close_times(venue, known).as_unit("us"), index=known)
    rows = rows.assign(session=days).loc[days.isin(known).to_numpy()]
    return rows.assign(happened=pd.DatetimeIndex(closes.loc[rows["session"]]))


def _intraday(rows: pd.DataFrame, venue: str, *, minutes: int, join: bool) -> pd.DataFrame:
    """Bars inside the regular session, with their session and their end."""
    length = pd.Timedelta(minutes=minutes)
    ends = pd.DatetimeIndex(rows["begins"] + length)
    of = sessions.of_bars(venue, pd.DatetimeIndex(rows["begins"]) + pd.Timedelta(microseconds=1))
    days = pd.DatetimeIndex(of.unique())
    opens = pd.Series([sessions.opens(venue, day) for day in days], index=days).loc[of].to_numpy()
    closes = pd.Series(sessions.close_times(venue, days), index=days).loc[of].to_numpy()
    begins = rows["begins"].to_numpy()
    inside = (begins >= opens) & (begins < closes)
    happened = pd.DatetimeIndex(pd.DatetimeIndex(closes).where(closes < ends, ends)).as_unit("us")
    rows = rows.assign(session=pd.DatetimeIndex(of).as_unit("us"), time=rows["begins"], happened=happened)
    rows, opened = rows.loc[inside], opens[inside]
    return _joined(rows, pd.DatetimeIndex(opened), venue) if join else rows


def _joined(rows: pd.DataFrame, opened: pd.DatetimeIndex, venue: str) -> pd.DataFrame:
    """Half hours as hours counted from the open; the last one of a session may be half an hour."""
    number = ((pd.DatetimeIndex(rows["time"]) - opened) // pd.Timedelta(hours=1)).to_numpy()
    hours = rows.assign(number=number).sort_values(["symbol", "time"]).groupby(["symbol", "session", "number"])
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    joined = hours.agg({**how, "happened": "last"}).reset_index()
    begins = pd.Series(opened, index=pd.DatetimeIndex(rows["session"])).groupby(level=0).first()
    later = pd.TimedeltaIndex(joined["number"].to_numpy() * pd.Timedelta(hours=1))
    start = pd.DatetimeIndex(begins.loc[joined["session"]]) + later
    # An hour whose second half has no bar ends when the hour ends, not when its last bar did.
    ends = pd.DatetimeIndex(start + pd.Timedelta(hours=1))
    closes = pd.DatetimeIndex(sessions.close_times(venue, pd.DatetimeIndex(joined["session"])))
    return joined.assign(time=start.as_unit("us"), happened=ends.where(ends < closes, closes).as_unit("us"))
