"""What a feed of bars promises the exchange, and the feed of bars given by hand."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from workbench.exchange.clock import DAILY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.exchange.matching.matching import Bar

VALUES: Final = ("open", "high", "low", "close", "volume")


@dataclass(slots=True)
class Series:
    """Bars of one symbol in columns of equal length, ascending; NaN where the source has no value.

    All daily bars, or the intraday bars of one session (then `begins` holds their first moments).
    """

    dates: Sequence[dt.date] = field(default_factory=list)
    closes_at: Sequence[dt.datetime] = field(default_factory=list)
    open: Sequence[float] = field(default_factory=list)
    high: Sequence[float] = field(default_factory=list)
    low: Sequence[float] = field(default_factory=list)
    close: Sequence[float] = field(default_factory=list)
    volume: Sequence[float] = field(default_factory=list)
    begins: Sequence[dt.datetime] = field(default_factory=list)


NOTHING: Final = Series((), (), (), (), (), (), (), ())


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

    @property
    def timeframe(self) -> str:
        """The length of its finest bars: `"1d"` or one of `clock.MINUTES`."""
        ...

    def symbols(self) -> tuple[str, ...]:
        """All symbols that can be traded."""
        ...

    def series(self, symbol: str) -> Series:
        """All daily bars of one of `symbols()`."""
        ...

    def intraday(self, symbol: str, date: dt.date) -> Series:
        """The finest bars of one symbol in one session; empty where it has none. Only where `timeframe` is intraday."""
        ...

    def read_ahead(self, symbol: str, first: dt.date, last: dt.date) -> None:
        """Somebody is about to ask for these sessions of one symbol, in a row."""
        ...

    def headlines(self, first: dt.date, last: dt.date) -> list[tuple[dt.datetime, str, str]]:
        """(moment, symbol, text) of the headlines of these sessions, ascending; empty where the source has none."""
        ...


class MemoryFeed:
    """A feed of bars given by hand: of whole sessions, or (with `timeframe`) of parts of them.

    `opens_at` of a part is where it begins. The daily bars are then put together from the parts.
    """

    def __init__(
        self,
        bars: Iterable[Bar],
        *,
        name: str = "memory",
        label: str = "bars given by hand",
        timeframe: str = DAILY,
        headlines: Iterable[tuple[dt.datetime, str, str]] = (),
    ) -> None:
        self.name, self.label, self.venue, self.timeframe = name, label, "XNYS", timeframe
        self._headlines = sorted(headlines)
        self._series: dict[str, Series] = {}
        self._parts: dict[tuple[str, dt.date], Series] = {}
        for bar in sorted(bars, key=lambda bar: (bar.symbol, bar.closes_at)):
            values = [_float(getattr(bar, name)) for name in VALUES]
            daily = self._series.setdefault(bar.symbol, Series())
            closes_at = bar.closes_at if timeframe == DAILY else self._close_of(bar.date)
            if timeframe != DAILY:
                part = self._parts.setdefault((bar.symbol, bar.date), Series())
                _append(part, bar, values)
                part.begins.append(bar.opens_at)  # type: ignore[attr-defined] # a list, made above
            if daily.dates and daily.dates[-1] == bar.date:
                _extend(daily, values)
            else:
                _append(daily, bar, values)
                daily.closes_at[-1] = closes_at  # type: ignore[index] # a list, made above

    def symbols(self) -> tuple[str, ...]:
        """The symbols of the given bars."""
        return tuple(self._series)

    def series(self, symbol: str) -> Series:
        """The daily bars of one symbol."""
        return self._series[symbol]

    def intraday(self, symbol: str, date: dt.date) -> Series:
        """The given bars of one session."""
        return self._parts.get((symbol, date), NOTHING)

    def read_ahead(self, symbol: str, first: dt.date, last: dt.date) -> None:
        """Everything is here already."""

    def _close_of(self, date: dt.date) -> dt.datetime:
        """A day is over when its session is, not with its last part: nobody knows before that it was the last."""
        from workbench import sessions

        return sessions.closes(self.venue, date).to_pydatetime()

    def headlines(self, first: dt.date, last: dt.date) -> list[tuple[dt.datetime, str, str]]:
        """The given headlines of these UTC days."""
        return [row for row in self._headlines if first <= row[0].date() <= last]


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _append(series: Any, bar: Bar, values: list[float]) -> None:
    series.dates.append(bar.date)
    series.closes_at.append(bar.closes_at)
    for name, value in zip(VALUES, values, strict=True):
        getattr(series, name).append(value)


def _extend(daily: Any, values: list[float]) -> None:
    """One more part of the newest day; what one part does not have the day does not have."""
    _, high, low, close, volume = values
    daily.close[-1] = close
    for name, value, better in (("high", high, max), ("low", low, min)):
        column = getattr(daily, name)
        column[-1] = math.nan if math.isnan(value) or math.isnan(column[-1]) else better(column[-1], value)
    daily.volume[-1] += volume
