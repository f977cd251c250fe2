"""The bars that bots see: one panel per timeframe for all of them, brought up to the moment and never past it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from workbench import sessions
from workbench.market.bars import Bars
from workbench.study import MINUTES

if TYPE_CHECKING:
    from workbench.data.source import BarSource

AGAIN = 5  # bars that are read again, because one may come late


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest price of a symbol, currency per share, and the moment at which it was known (UTC)."""

    price: Decimal
    at: dt.datetime


class BarFeed(Protocol):
    """Where bots get their bars and prices from; nothing later than `as_of` may come out of it."""

    @property
    def name(self) -> str:
        """The name of the source, as a Study calls it."""
        ...

    @property
    def venue(self) -> str:
        """The calendar of its sessions."""
        ...

    def bars(
        self, symbols: Sequence[str], *, first: dt.date, as_of: dt.datetime, timeframe: str, after: dt.datetime | None
    ) -> pd.DataFrame:
        """Long rows as `BarSource.bars` gives them, known at `as_of`, from session `first` on.

        Args:
            after: only bars that ended after this moment are wanted (more may come).
        """
        ...

    def prices(self, symbols: Sequence[str], *, as_of: dt.datetime) -> Mapping[str, Seen]:
        """The newest price of each symbol that has one."""
        ...


class SourceFeed:
    """A feed over one of the data sources, for replays and tests: what it knows is cut at `as_of` by `learned`.

    Rows are read session by session and kept, so that a replay reads each session once.

    Args:
        finest: the shortest timeframe of the source: the newest prices are the closes of these bars.
    """

    def __init__(self, source: BarSource, *, finest: str = "1d") -> None:
        self.name, self.venue = source.name, source.venue
        self._source, self._finest = source, finest
        self._kept: dict[tuple[tuple[str, ...], str], tuple[dt.date, dt.date, pd.DataFrame]] = {}

    def bars(
        self, symbols: Sequence[str], *, first: dt.date, as_of: dt.datetime, timeframe: str, after: dt.datetime | None
    ) -> pd.DataFrame:
        """See `BarFeed.bars`."""
        moment = pd.Timestamp(as_of)
        rows = self._rows(tuple(symbols), first, moment.date() + dt.timedelta(days=1), timeframe)
        known = rows["learned"] <= moment
        if after is not None:
            known &= rows["happened"] > pd.Timestamp(after)
        return rows.loc[known]

    def prices(self, symbols: Sequence[str], *, as_of: dt.datetime) -> Mapping[str, Seen]:
        """The newest closes of the finest bars of the last sessions; a symbol without one there is left out."""
        first = sessions.previous_session(self.venue, sessions.previous_session(self.venue, as_of.date())).date()
        rows = self.bars(symbols, first=first, as_of=as_of, timeframe=self._finest, after=None)
        newest = rows.dropna(subset=["close"]).sort_values("happened").groupby("symbol", sort=False).last()
        return {
            str(symbol): Seen(Decimal(str(close)), pd.Timestamp(happened).to_pydatetime())
            for symbol, close, happened in zip(newest.index, newest["close"], newest["happened"], strict=True)
        }

    def _rows(self, symbols: tuple[str, ...], first: dt.date, last: dt.date, timeframe: str) -> pd.DataFrame:
        kept = self._kept.get((symbols, timeframe))
        if kept is None or first < kept[0]:
            rows = self._ask(symbols, first, last, timeframe)
        elif last > kept[1]:
            first = kept[0]
            rows = pd.concat([kept[2], self._ask(symbols, kept[1] + dt.timedelta(days=1), last, timeframe)])
        else:
            return kept[2]
        self._kept[symbols, timeframe] = (first, last, rows)
        return rows

    def _ask(self, symbols: tuple[str, ...], first: dt.date, last: dt.date, timeframe: str) -> pd.DataFrame:
        return self._source.bars(symbols, start=pd.Timestamp(first), end=pd.Timestamp(last), timeframe=timeframe)


class LiveSource(Protocol):
    """A source that can be asked for what came since a moment, and for the newest prices: a broker's market data."""

    @property
    def name(self) -> str: ...

    @property
    def venue(self) -> str: ...

    def bars_since(
        self, symbols: Sequence[str], *, since: dt.datetime, until: dt.datetime, timeframe: str
    ) -> pd.DataFrame:
        """Bars that begin at or after `since` and end at or before `until`, as `BarSource.bars` gives them."""
        ...

    def newest_prices(self, symbols: Sequence[str]) -> Mapping[str, tuple[float, dt.datetime]]:
        """The newest trade of each symbol that has one: price and moment."""
        ...


class LiveFeed:
    """A feed over a broker's market data (`data.sources.alpaca.AlpacaSource`); it is asked for little, and often."""

    def __init__(self, source: LiveSource) -> None:
        self.name, self.venue = source.name, source.venue
        self._source = source

    def bars(
        self, symbols: Sequence[str], *, first: dt.date, as_of: dt.datetime, timeframe: str, after: dt.datetime | None
    ) -> pd.DataFrame:
        """See `BarFeed.bars`."""
        since = sessions.opens(self.venue, sessions.next_session(self.venue, first - dt.timedelta(days=1)))
        begin = since.to_pydatetime() if timeframe != "1d" else dt.datetime(*first.timetuple()[:3], tzinfo=dt.UTC)
        if after is not None:
            begin = max(begin, after)
        rows = self._source.bars_since(symbols, since=begin, until=as_of, timeframe=timeframe)
        return rows.loc[rows["learned"] <= pd.Timestamp(as_of)]

    def prices(self, symbols: Sequence[str], *, as_of: dt.datetime) -> Mapping[str, Seen]:
        """The newest trades, none of them later than `as_of`."""
        found = self._source.newest_prices(symbols)
        return {
            symbol: Seen(Decimal(str(price)), moment) for symbol, (price, moment) in found.items() if moment <= as_of
        }


@dataclass(slots=True)
class _Panel:
    """Bars of one timeframe from session `first` on, as known at `as_of`."""

    symbols: tuple[str, ...]
    first: dt.date
    as_of: dt.datetime
    bars: Bars | None


@dataclass(slots=True)
class Panels:
    """One panel of bars per timeframe for all bots; each moment is read from the feed once, and only what is new."""

    feed: BarFeed
    _panels: dict[str, _Panel] = field(default_factory=dict)

    def upto(self, as_of: dt.datetime, *, timeframe: str, symbols: Iterable[str], first: dt.date) -> Bars | None:
        """The bars of these symbols known at `as_of`, from session `first` (or earlier) on; None when there is none.

        Raises:
            DataError, ExchangeUnavailable: the feed could not be read; what was known stays.
        """
        wanted = tuple(dict.fromkeys(symbols))
        panel = self._panels.get(timeframe)
        lacks = panel is not None and (first < panel.first or not set(wanted) <= set(panel.symbols))
        if panel is None or lacks or panel.bars is None or as_of < panel.as_of:
            union = wanted if panel is None else tuple(dict.fromkeys((*panel.symbols, *wanted)))
            begin = first if panel is None else min(first, panel.first)
            panel = _Panel(union, begin, as_of, self._whole(union, begin, as_of, timeframe))
            self._panels[timeframe] = panel
        elif as_of > panel.as_of:
            panel.bars = self._longer(panel, panel.bars, as_of, timeframe)
            panel.as_of = as_of
        return None if panel.bars is None else panel.bars.of(wanted)

    def forget(self, timeframe: str, *, first: dt.date, symbols: Iterable[str]) -> None:
        """Drop what no bot needs any more: sessions before `first`, and other symbols."""
        panel = self._panels.get(timeframe)
        wanted = set(symbols)
        if panel is None or panel.bars is None:
            return
        kept = tuple(symbol for symbol in panel.symbols if symbol in wanted)
        stamp = pd.Timestamp(first)
        index = panel.bars.sessions
        begin = stamp if index.tz is None else sessions.opens(self.feed.venue, stamp)
        if kept and (kept != panel.symbols or first > panel.first):
            panel.bars = panel.bars.of(kept).between(begin, index[-1])
            panel.symbols, panel.first = kept, max(first, panel.first)

    def _whole(self, symbols: tuple[str, ...], first: dt.date, as_of: dt.datetime, timeframe: str) -> Bars | None:
        rows = self.feed.bars(symbols, first=first, as_of=as_of, timeframe=timeframe, after=None)
        return _wide(rows, symbols, venue=self.feed.venue, timeframe=timeframe)

    def _longer(self, panel: _Panel, bars: Bars, as_of: dt.datetime, timeframe: str) -> Bars:
        """The panel with what came since; the last few bars are read again."""
        last = bars.sessions[-min(AGAIN + 1, len(bars.sessions))]
        after = stamp_of(last)
        begin = (last if last.tz is None else sessions.of_bars(self.feed.venue, pd.DatetimeIndex([last]))[0]).date()
        rows = self.feed.bars(panel.symbols, first=begin, as_of=as_of, timeframe=timeframe, after=after)
        rows = rows.loc[rows["session" if timeframe == "1d" else "happened"] > last]
        new = _wide(rows, panel.symbols, venue=self.feed.venue, timeframe=timeframe, after=last)
        return bars if new is None else _joined(bars.between(bars.sessions[0], last), new)


def stamp_of(index: pd.Timestamp) -> dt.datetime:
    """The stamp of a bar as a UTC moment: its end, or midnight of its session for daily bars."""
    return (index.tz_localize("UTC") if index.tz is None else index).to_pydatetime()


def _wide(
    rows: pd.DataFrame, symbols: tuple[str, ...], *, venue: str, timeframe: str, after: pd.Timestamp | None = None
) -> Bars | None:
    """Long rows over every bar of the calendar from the first (the one behind `after`) to the last of them."""
    if rows.empty:
        return None
    stamps = rows["session" if timeframe == "1d" else "happened"]
    begin = rows["session"].min()
    if after is not None:
        begin = after if after.tz is None else sessions.of_bars(venue, pd.DatetimeIndex([after]))[0]
    if timeframe == "1d":
        index = sessions.sessions(venue, begin, stamps.max())
    else:
        index = sessions.bar_ends(venue, begin, rows["session"].max(), minutes=MINUTES[timeframe])
    index = index[(index >= stamps.min() if after is None else index > after) & (index <= stamps.max())]
    return Bars.from_long(rows.assign(session=stamps), index=index.as_unit("us"), symbols=symbols)


def _joined(old: Bars, new: Bars) -> Bars:
    """Old rows, then the new ones; a field that only one of them has is unknown in the other."""
    fields, later = dict(iter(old)), dict(iter(new))
    joined: dict[str, pd.DataFrame] = {}
    for name in dict.fromkeys((*fields, *later)):
        head = fields[name] if name in fields else old.close * float("nan")
        tail = later[name] if name in later else new.close * float("nan")
        joined[name] = pd.concat([head, tail])
    return Bars(**joined)
