"""What the exchange knows of the market: a feed of bars, read through a moment so that nothing later can be seen."""

from __future__ import annotations

import bisect
import datetime as dt
import math
import threading
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from workbench.exchange.matching import Bar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.data.source import BarSource
    from workbench.exchange.clock import Timeline

_FIRST, _LAST = "1985-01-02", "2040-12-28"


@dataclass(frozen=True, slots=True)
class Print:
    """One price at one moment: a session's open or its close."""

    price: Decimal
    moment: dt.datetime


@dataclass(slots=True)
class Series:
    """All bars of one symbol in columns of equal length, ascending; NaN where the source has no value."""

    dates: list[dt.date] = field(default_factory=list)
    closes_at: list[dt.datetime] = field(default_factory=list)
    open: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    close: list[float] = field(default_factory=list)
    volume: list[float] = field(default_factory=list)


class Feed(Protocol):
    """Where bars come from. A feed knows the future; only the `Market` reads it."""

    @property
    def name(self) -> str:
        """What a Study calls the source."""
        ...

    @property
    def label(self) -> str:
        """What is said under every number made of it."""
        ...

    @property
    def venue(self) -> str:
        """The calendar of its sessions."""
        ...

    def symbols(self) -> tuple[str, ...]:
        """All symbols that can be traded."""
        ...

    def series(self, symbol: str) -> Series:
        """All bars of one of `symbols()`."""
        ...


class MemoryFeed:
    """A feed of bars given by hand."""

    def __init__(self, bars: Iterable[Bar], *, name: str = "memory", label: str = "bars given by hand") -> None:
        self.name, self.label, self.venue = name, label, "XNYS"
        self._series: dict[str, Series] = {}
        for bar in sorted(bars, key=lambda bar: (bar.symbol, bar.date)):
            series = self._series.setdefault(bar.symbol, Series())
            series.dates.append(bar.date)
            series.closes_at.append(bar.closes_at)
            series.close.append(float(bar.close))
            for column in ("open", "high", "low", "volume"):
                value = getattr(bar, column)
                getattr(series, column).append(math.nan if value is None else float(value))

    def symbols(self) -> tuple[str, ...]:
        """The symbols of the given bars."""
        return tuple(self._series)

    def series(self, symbol: str) -> Series:
        """The given bars of one symbol."""
        return self._series[symbol]


class SourceFeed:
    """A feed over one of the workbench's data sources. Opened and read at the first question, then kept in memory."""

    def __init__(self, name: str, *, seed: int) -> None:
        self.name, self.seed = name, seed
        self._lock = threading.RLock()  # the warm-up thread and the event loop may ask at the same time
        self._source: BarSource | None = None
        self._series: dict[str, Series] = {}

    @property
    def source(self) -> BarSource:
        """The opened source. Raises DataError for a name that does not exist."""
        with self._lock:
            if self._source is None:
                from workbench.data.sources import open_source

                self._source = open_source(self.name, seed=self.seed)
            return self._source

    @property
    def label(self) -> str:
        """What is said under every number made of this source."""
        return self.source.label

    @property
    def venue(self) -> str:
        """The calendar of the source's sessions."""
        return self.source.venue

    def symbols(self) -> tuple[str, ...]:
        """The symbols of the source."""
        return self.source.symbols()

    def series(self, symbol: str) -> Series:
        """All daily bars of one symbol."""
        with self._lock:
            if symbol not in self._series:
                self._series[symbol] = self._read(symbol)
            return self._series[symbol]

    def _read(self, symbol: str) -> Series:
        import pandas as pd

        rows = self.source.bars([symbol], start=pd.Timestamp(_FIRST), end=pd.Timestamp(_LAST))
        rows = rows[rows["close"].notna()].sort_values("session")
        # Through numpy: a Timestamp for each row would take longer than reading the source.
        happened = rows["happened"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[us]")
        return Series(
            dates=rows["session"].to_numpy().astype("datetime64[D]").tolist(),
            closes_at=[moment.replace(tzinfo=dt.UTC) for moment in happened.tolist()],
            **{name: rows[name].astype(float).tolist() for name in ("open", "high", "low", "close", "volume")},
        )


class Market:
    """The feed as it may be seen: every question names its moment, and no answer is later than that."""

    def __init__(self, feed: Feed, timeline: Timeline) -> None:
        self.feed, self.timeline = feed, timeline
        self._symbols: frozenset[str] | None = None

    def knows(self, symbol: str) -> bool:
        """Whether the symbol exists here at all."""
        if self._symbols is None:
            self._symbols = frozenset(self.feed.symbols())
        return symbol in self._symbols

    def last(self, symbol: str, moment: dt.datetime) -> Print | None:
        """The newest print at or before `moment`: the close of a finished session or the open of the running one.

        None where the symbol has not traded yet.
        """
        series = self.feed.series(symbol)
        following = bisect.bisect_right(series.closes_at, moment)
        if following < len(series.dates) and not math.isnan(series.open[following]):
            session = self.timeline.session_of(series.dates[following])
            if session is not None and session.opens <= moment:
                return Print(_exact(series.open[following]), session.opens)
        if following == 0:
            return None
        return Print(_exact(series.close[following - 1]), series.closes_at[following - 1])

    def bar(self, symbol: str, date: dt.date) -> Bar | None:
        """The bar of one session, for the matching of that session's own open and close events only."""
        series = self.feed.series(symbol)
        position = bisect.bisect_left(series.dates, date)
        if position >= len(series.dates) or series.dates[position] != date:
            return None
        return self._bar(symbol, series, position)

    def bars(
        self, symbol: str, *, known_at: dt.datetime, start: dt.datetime | None = None, end: dt.datetime | None = None
    ) -> list[Bar]:
        """Finished bars known at `known_at` whose session's day (New York midnight on) begins in [start, end]."""
        series = self.feed.series(symbol)
        last = bisect.bisect_right(series.closes_at, known_at)
        first = 0 if start is None else bisect.bisect_left(series.dates, _day_from(start))
        if end is not None:
            last = min(last, bisect.bisect_right(series.dates, _day_until(end)))
        return [self._bar(symbol, series, position) for position in range(first, last)]

    def newest(self, symbol: str, *, known_at: dt.datetime, count: int = 1) -> list[Bar]:
        """The newest `count` finished bars known at `known_at`, ascending; fewer at the beginning."""
        series = self.feed.series(symbol)
        last = bisect.bisect_right(series.closes_at, known_at)
        return [self._bar(symbol, series, position) for position in range(max(0, last - count), last)]

    def _bar(self, symbol: str, series: Series, position: int) -> Bar:
        date = series.dates[position]
        session = self.timeline.session_of(date)
        return Bar(
            symbol=symbol,
            date=date,
            opens_at=session.opens if session else series.closes_at[position],
            closes_at=series.closes_at[position],
            close=_exact(series.close[position]),
            open=_known(series.open[position]),
            high=_known(series.high[position]),
            low=_known(series.low[position]),
            volume=_known(series.volume[position]),
        )


def day_start(date: dt.date) -> dt.datetime:
    """The UTC moment of New York's midnight of that day: the timestamp of a daily bar on Alpaca's wire."""
    from zoneinfo import ZoneInfo

    return dt.datetime.combine(date, dt.time(), ZoneInfo("America/New_York")).astimezone(dt.UTC)


def _day_from(start: dt.datetime) -> dt.date:
    """The first day whose midnight is not before `start`."""
    date = start.date() - dt.timedelta(days=1)
    while day_start(date) < start:
        date += dt.timedelta(days=1)
    return date


def _day_until(end: dt.datetime) -> dt.date:
    """The last day whose midnight is not after `end`."""
    date = end.date()
    return date if day_start(date) <= end else date - dt.timedelta(days=1)


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))


def _known(value: float) -> Decimal | None:
    return None if math.isnan(value) else Decimal(repr(value))
