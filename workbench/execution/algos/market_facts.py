"""What an algorithm asks of the market: prices, volumes and the average price of an interval, never later than now."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, Protocol

from workbench import sessions

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data.source import BarSource

_MOST_SESSIONS = 256  # of which bars are kept: a desk runs for weeks
_FIRST_PRINT = dt.timedelta(seconds=1)  # a bar opens after the one before has closed: nobody trades on both at once
_LEAST_PAUSE = dt.timedelta(seconds=1)  # between two readings of a session that grows


class Price(NamedTuple):
    """A price in currency per share, and the UTC moment at which it was made."""

    value: Decimal
    at: dt.datetime


class MarketFacts(Protocol):
    """The market as an algorithm may see it. Every answer is None where it is not known, never 0."""

    @property
    def includes_own(self) -> bool:
        """Whether our own prints are in the volumes: they are in a real market's, not in a replayed history."""
        ...

    def price(self, symbol: str, at: dt.datetime) -> Price | None:
        """The newest price known at `at`."""
        ...

    def volume(self, symbol: str, start: dt.datetime, end: dt.datetime) -> Decimal | None:
        """Shares traded from `start` to `end`, as far as they are known at `end`."""
        ...

    def vwap(self, symbol: str, start: dt.datetime, end: dt.datetime) -> Decimal | None:
        """The volume-weighted average price from `start` to `end`, as far as it is known at `end`."""
        ...


class BarFacts:
    """Market facts from the intraday bars of a source; only bars that are over, and learned, at the asked moment.

    The price is the newest close, or from a second after its beginning the open of the bar that runs. A bar counts to
    an interval when it lies in it whole. The average price is Σ v·(high + low + close)/3 / Σ v, as near as bars can
    tell. A NaN volume makes the volume and the average price of its interval unknown.

    Args:
        source: where the bars come from. A session's bars are read once, and again while it grows.
        timeframe: of the bars, e.g. `"1m"`.
        includes_own: see `MarketFacts`.
    """

    def __init__(self, source: BarSource, *, timeframe: str = "1m", includes_own: bool = False) -> None:
        self._source, self._timeframe, self._includes_own = source, timeframe, includes_own
        self._kept: dict[tuple[str, dt.date], _Kept] = {}

    @property
    def includes_own(self) -> bool:
        """Whether our own prints are in the volumes."""
        return self._includes_own

    def price(self, symbol: str, at: dt.datetime) -> Price | None:
        """The newest open or close of this session, else the last close of the session before."""
        for session in reversed(self._sessions(at)):
            newest: Price | None = None
            for bar in self._bars(symbol, session, at):
                if bar.learned <= at and not math.isnan(bar.close):
                    newest = Price(_exact(bar.close), bar.end)
                elif bar.start + _FIRST_PRINT <= at < bar.end and not math.isnan(bar.open):
                    newest = Price(_exact(bar.open), bar.start + _FIRST_PRINT)
            if newest is not None:
                return newest
        return None

    def volume(self, symbol: str, start: dt.datetime, end: dt.datetime) -> Decimal | None:
        """Shares of the bars between; None without a bar or with a NaN among them."""
        bars = self._between(symbol, start, end)
        total = sum(bar.volume for bar in bars)
        return None if not bars or math.isnan(total) else _exact(total)

    def vwap(self, symbol: str, start: dt.datetime, end: dt.datetime) -> Decimal | None:
        """The average of the bars' typical prices; None without volume."""
        bars = self._between(symbol, start, end)
        total = sum(bar.volume for bar in bars)
        value = sum(bar.volume * (bar.high + bar.low + bar.close) / 3 for bar in bars if bar.volume)
        return None if not total or math.isnan(total) or math.isnan(value) else _exact(round(value / total, 9))

    def _between(self, symbol: str, start: dt.datetime, end: dt.datetime) -> list[_Bar]:
        bars = self._bars(symbol, self._sessions(end)[-1], end)
        return [bar for bar in bars if bar.start >= start and bar.end <= end and bar.learned <= end]

    def _sessions(self, at: dt.datetime) -> tuple[pd.Timestamp, pd.Timestamp]:
        """The newest complete session at `at`, and the one after it. At its close a session is not complete yet."""
        import pandas as pd

        before = sessions.session_of(self._source.venue, pd.Timestamp(at) - pd.Timedelta(1, "us"))
        return before, sessions.next_session(self._source.venue, before)

    def _bars(self, symbol: str, session: pd.Timestamp, at: dt.datetime) -> tuple[_Bar, ...]:
        key = (symbol, session.date())
        found = self._kept.get(key)
        if found is None or found.may_have_grown(at, closes_at=sessions.closes(self._source.venue, session)):
            rows = self._source.bars([symbol], start=session, end=session, timeframe=self._timeframe)
            if len(self._kept) >= _MOST_SESSIONS:
                self._kept.clear()
            self._kept[key] = found = _Kept(_bars_of(rows), at)
        return found.bars


@dataclass(frozen=True, slots=True)
class _Bar:
    start: dt.datetime
    end: dt.datetime
    learned: dt.datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class _Kept:
    """The bars of one session as they were when they were asked for."""

    bars: tuple[_Bar, ...]
    asked_at: dt.datetime

    def may_have_grown(self, at: dt.datetime, *, closes_at: dt.datetime) -> bool:
        """Whether another bar may have ended since."""
        if at - self.asked_at < _LEAST_PAUSE:
            return False
        newest = self.bars[-1] if self.bars else None
        return newest is None or (newest.end < closes_at and at >= newest.end + (newest.end - newest.start))


def _bars_of(rows: pd.DataFrame) -> tuple[_Bar, ...]:
    moments = [[moment.to_pydatetime() for moment in rows[name]] for name in ("time", "happened", "learned")]
    numbers = [rows[name].astype(float).tolist() for name in ("open", "high", "low", "close", "volume")]
    return tuple(_Bar(*values) for values in zip(*moments, *numbers, strict=True))


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
