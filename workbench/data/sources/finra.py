"""FINRA: short interest twice a month, consolidated over the venues, and short sale volume of each session.

What to know before believing a number made of them:

- Short interest is a stock of open positions; short volume is a flow, off-exchange trades of one session only, much of
  it market making. Neither says how much of the other there is.
- Firms report two business days after the settlement day; FINRA compiles the reports and publishes them on the 8th
  business day (as Nasdaq and FINRA describe their schedules; often it is the 7th). Here a position is learned at the
  end of that 8th day in New York. A business day is a session of New York on which banks are open: on Columbus and
  Veterans Day there is trading and no settlement, so that who counts them would have it a day earlier.
- FINRA does not rewrite the old row when it revises a position: the row of the NEXT cycle says `revisionFlag` R, and
  its `previousShortPositionQuantity` is the revised number. So a revision is a vintage learned with the next cycle.
  Where the old row already says the revised number, what it said first is lost, and it is learned with the revision.
- A daily file is posted by 18:00 New York time of its session, and rarely replaced days later. It is learned at 18:00,
  or when its server says that it was last changed, if that is within a week of the session.
- FINRA writes class shares in three ways: `BRK.B` is BRKB in short interest and BRK/B in the daily files. All are asked
  for, except that a compressed name which was itself asked for is that other symbol.

Paths and fields: https://developer.finra.org (Query API, consolidatedShortInterest), and FINRA's page of daily files.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.data import learned
from workbench.data.gateway import Limit, Vendor
from workbench.data.kinds import kind_of
from workbench.data.portions import portions
from workbench.data.source import symbols_of
from workbench.errors import BadData, SourceRefused

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Answer, Gateway

ZONE: Final = "America/New_York"
VENUE: Final = "XNYS"
PUBLISHED_AFTER: Final = 8  # business days
POSTED: Final = dt.time(18, 0)
_REPLACED_WITHIN = pd.Timedelta(days=7)
_CYCLE = pd.Timedelta(days=25)  # the next settlement day lies 10 to 18 days later, its row tells of revisions
_PAGE, _OFFSETS = 5_000, 500_000  # FINRA's limits: rows of a reply, and how far one may page
_SYMBOLS = 100  # of one question
_POSITIONS = "/data/group/otcMarket/name/consolidatedShortInterest"
_VOLUME_TEXT = re.compile(r"\d+(\.\d+)?")  # volumes may be fractional
_FILE_HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market"
_NUMBERS = {
    "short_shares": "currentShortPositionQuantity",
    "previous_shares": "previousShortPositionQuantity",
    "average_volume": "averageDailyVolumeQuantity",
    "days_to_cover": "daysToCoverQuantity",
}
_INTEREST, _VOLUME = kind_of("short_interest"), kind_of("short_volume")


class FinraSource:
    """Short positions and short sale volumes of US stocks. A symbol is ours: `AAPL`, `BRK.B`."""

    name = "finra"
    label = "FINRA"
    synthetic = False

    def __init__(self, gateway: Gateway, access: Access) -> None:
        self._gateway = gateway
        self._vendor = Vendor(
            name=self.name, url=access.url or "https://api.finra.org", limits=(Limit(requests=20, seconds=1.0),)
        )
        # The file server names no limit; five a second is a polite reader.
        self._files = Vendor(
            name=f"{self.name}-files",
            url=access.url or "https://cdn.finra.org",
            limits=(Limit(requests=5, seconds=1.0),),
        )

    def short_interest(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Positions of the settlement days from `start` to `end`, both included, and their revisions.

        Raises:
            BadData: an answer is not what FINRA documents, or says two things of one position; nothing was passed on.
        """
        wanted = symbols_of(symbols)
        spelled = _spelled(wanted)
        last = end + _CYCLE
        parts = [_positions(answer, spelled, start, last) for answer in self._pages(spelled, start, last)]
        if not parts:
            return _INTEREST.empty()
        frame = pd.concat(parts, ignore_index=True).drop_duplicates(["symbol", "session", *_NUMBERS, "revised"])
        twice = frame.duplicated(["symbol", "session"])
        if twice.any():
            row = frame[twice].iloc[0]
            raise BadData(
                f"FINRA gives two positions of {row['symbol']} on {row['session'].date()}; none was passed on.",
                remedy="ask for one of its symbols at a time.",
            )
        rows = _with_revisions(frame.sort_values(["symbol", "session"]).reset_index(drop=True))
        rows = rows[rows["session"].between(start, end)]
        happened = learned.end_of(rows["session"], zone=ZONE)
        known = pd.DatetimeIndex(rows["learned"])
        rows = rows.assign(happened=happened.where(happened <= known, known), source=self.name)
        return _INTEREST.typed(_ordered(rows, wanted))

    def short_volume(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Volumes of the sessions from `start` to `end`, both included; one file is read for each of them.

        Raises:
            SourceRefused: the server keeps a file back that must have been posted.
            BadData: a file is not what FINRA documents, or not whole; nothing was passed on.
        """
        wanted = symbols_of(symbols)
        spelled = _spelled(wanted)
        frames = []
        for day in sessions.sessions(VENUE, start, end):
            path = f"/equity/regsho/daily/CNMSshvol{day:%Y%m%d}.txt"
            # The server says 403 as well as 404 of a file that is not there.
            answer = self._gateway.get(self._files, path, kind="short_volume", absent=(403, 404))
            posted = learned.at(pd.DatetimeIndex([day]), POSTED, zone=ZONE)[0]
            if answer.absent:
                if answer.status == 403 and answer.fetched_at > posted + _REPLACED_WITHIN:
                    raise SourceRefused(
                        f"FINRA keeps back the file of {day.date()}, which must be there; nothing was passed on.",
                        remedy="wait an hour: so many files may have been too many.",
                        http_status=answer.status,
                    )
                continue
            frame = _volumes(answer, day, spelled)
            known = learned.seen_by(pd.DatetimeIndex([_changed(answer, posted)]), answer.fetched_at)[0]
            frames.append(frame.assign(session=day, happened=min(sessions.closes(VENUE, day), known), learned=known))
        if not frames:
            return _VOLUME.empty()
        return _VOLUME.typed(_ordered(pd.concat(frames, ignore_index=True).assign(source=self.name), wanted))

    def _pages(self, spelled: Mapping[str, str], start: pd.Timestamp, end: pd.Timestamp) -> Iterator[Answer]:
        """Page after page of positions, as long as there are any."""
        for names in portions(sorted(spelled), _SYMBOLS):
            offset, total = 0, 1
            while offset < total:
                if offset >= _OFFSETS:
                    raise BadData(f"FINRA has {total} positions for this question, too many.", remedy="ask for less.")
                body = {
                    "compareFilters": [
                        {"fieldName": "settlementDate", "fieldValue": f"{start:%Y-%m-%d}", "compareType": "GTE"},
                        {"fieldName": "settlementDate", "fieldValue": f"{end:%Y-%m-%d}", "compareType": "LTE"},
                    ],
                    "domainFilters": [{"fieldName": "symbolCode", "values": list(names)}],
                    "limit": _PAGE,
                    "offset": offset,
                }
                answer = self._gateway.post(
                    self._vendor,
                    _POSITIONS,
                    body=body,
                    headers={"Accept": "application/json"},
                    kind="short_interest",
                    absent=(),
                )
                if answer.status == 204:
                    if offset:
                        answer.reject(f"stops at {offset} of {total} positions")
                    break
                rows, said = answer.json(), answer.headers.get("record-total", "")
                if not isinstance(rows, list) or not said.isdigit():
                    answer.reject("is not a list of positions with their number (Record-Total)")
                # A reply may hold fewer rows than were asked for: only the number of all of them ends the paging.
                total = int(said)
                if not rows and offset < total:
                    answer.reject(f"stops at {offset} of {total} positions")
                if rows:
                    yield answer
                offset += len(rows)


def _spelled(wanted: Sequence[str]) -> dict[str, str]:
    """FINRA's spellings of the symbols, each with ours. Case counts: `BACpB` is not `BACPB`."""
    spelled = {symbol: symbol for symbol in wanted}
    for symbol in wanted:
        stem, dot, share = symbol.partition(".")
        if dot and len(share) == 1:
            for name in (f"{stem}/{share}", f"{stem}{share}"):
                spelled.setdefault(name, symbol)
    return spelled


def _positions(answer: Answer, spelled: Mapping[str, str], start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """The rows of one page: our symbol, `session`, the numbers, `revised`, `learned`. Raises BadData."""
    rows = []
    for row in answer.json():
        try:
            symbol, day = spelled[row["symbolCode"]], dt.date.fromisoformat(row["settlementDate"])
            numbers = [_number(row.get(field)) for field in _NUMBERS.values()]
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
            answer.reject(f"has a row that cannot be read, or was not asked for: {row!r:.300}")
        revised = row.get("revisionFlag") == "R"
        if math.isnan(numbers[0]) or (revised and math.isnan(numbers[1])):
            answer.reject(f"has no position for {symbol} of {day}, or revises the one before without saying to what")
        rows.append((symbol, day, *numbers, revised))
    frame = pd.DataFrame(rows, columns=["symbol", "session", *_NUMBERS, "revised"])
    days = pd.to_datetime(frame["session"]).astype("datetime64[us]")
    if not days.between(start, end).all():
        answer.reject("has positions of days that were not asked for")
    # FINRA writes 0 where it has no volume to divide by; absence is no number.
    frame.loc[frame["average_volume"] == 0, ["average_volume", "days_to_cover"]] = np.nan
    known = learned.seen_by(published(pd.DatetimeIndex(days)), answer.fetched_at)
    return frame.assign(session=days, learned=known)


def _number(said: Any) -> float:
    """A number, NaN where none is said. Raises TypeError."""
    if said is None:
        return math.nan
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise TypeError(said)
    return float(said)


def published(settled: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """When positions of these settlement days are public: the end of the 8th business day after each, New York."""
    from pandas.tseries.holiday import USFederalHolidayCalendar

    if settled.empty:
        return pd.DatetimeIndex([], tz="UTC").as_unit("us")
    first, last = settled.min(), settled.max() + pd.Timedelta(days=30)
    days = sessions.sessions(VENUE, first, last)
    days = days[~days.isin(USFederalHolidayCalendar().holidays(first, last))]
    return learned.end_of(days[days.searchsorted(settled, side="right") + PUBLISHED_AFTER - 1], zone=ZONE)


def _with_revisions(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows, and for each cycle that revises the one before it a vintage of that one; by symbol and session."""
    before = frame.shift().where(frame["symbol"] == frame["symbol"].shift())
    is_next = frame["session"] - before["session"] <= _CYCLE
    said_anew = frame["revised"].astype(bool) & is_next & frame["previous_shares"].notna()
    overwritten = said_anew & (before["short_shares"] == frame["previous_shares"])
    revised = said_anew & ~overwritten
    late = overwritten.shift(-1, fill_value=False)  # the row before: its first number is lost
    rows = frame.assign(learned=frame["learned"].where(~late, frame["learned"].shift(-1)))
    vintages = before[revised].assign(short_shares=frame["previous_shares"], learned=frame["learned"])
    vintages["days_to_cover"] = np.nan  # those of the first number; FINRA does not say them anew
    return pd.concat([rows, vintages.astype(rows.dtypes.to_dict())], ignore_index=True)


def _volumes(answer: Answer, day: pd.Timestamp, spelled: Mapping[str, str]) -> pd.DataFrame:
    """The lines of the symbols in a daily file. Raises BadData."""
    head, _, rest = answer.text.replace("\r\n", "\n").strip("\n").partition("\n")
    if head != _FILE_HEADER:
        answer.reject("does not begin as FINRA's files do")
    # The last line counts the others; a file of one line only says that there was nothing.
    body, _, last = rest.rpartition("\n")
    lines = body.split("\n") if body else []
    if rest and last != f"{len(lines)}":
        answer.reject(f"is not whole: {len(lines)} lines before the last, which is {last!r:.100}")
    begin = f"{day:%Y%m%d}|"
    # Ten thousand lines: what every one of them must have is counted, and only those that are wanted are taken apart.
    if f"\n{body}".count(f"\n{begin}") != len(lines) or body.count("|") != 5 * len(lines):
        answer.reject(f"has lines that are not of {day.date()}, or not of six fields")
    rows: dict[str, tuple[float, ...]] = {}
    for line in lines:
        symbol = spelled.get(line[len(begin) : line.find("|", len(begin))])
        if symbol is None:
            continue
        fields = line.split("|")
        if len(fields) != 6 or symbol in rows or not all(_VOLUME_TEXT.fullmatch(text) for text in fields[2:5]):
            answer.reject(f"has a line that cannot be read, or two of one symbol: {line!r:.100}")
        rows[symbol] = tuple(map(float, fields[2:5]))
    columns = ["symbol", "short_volume", "short_exempt_volume", "total_volume"]
    return pd.DataFrame([(symbol, *numbers) for symbol, numbers in rows.items()], columns=columns)


def _changed(answer: Answer, posted: pd.Timestamp) -> pd.Timestamp:
    """When the file was posted, or replaced: its server's `Last-Modified`, where that can mean the one or the other."""
    try:
        changed = pd.Timestamp(email.utils.parsedate_to_datetime(answer.headers.get("last-modified", "")))
    except (TypeError, ValueError):
        return posted
    # Much later, the file was moved rather than changed: the archive has moved from one server to another before.
    known = changed.tzinfo is not None and posted < changed <= posted + _REPLACED_WITHIN
    return changed.tz_convert("UTC").as_unit("us") if known else posted


def _ordered(rows: pd.DataFrame, wanted: Sequence[str]) -> pd.DataFrame:
    """By symbol as asked, then session, then vintage."""
    place = rows["symbol"].map({symbol: place for place, symbol in enumerate(wanted)})
    return rows.assign(place=place).sort_values(["place", "session", "learned"], kind="stable")
