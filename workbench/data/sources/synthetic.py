"""A synthetic market: 100 correlated symbols, fat tails, volatility clusters, bars from minutes to days, headlines.

Every value is a function of seed, symbol and date alone. The whole path from `FIRST` to `LAST` is drawn at once, per
weekday, so the range asked for cannot change it, nor can a later correction of the venue's holidays. (Within one
release: numpy may change its streams from one version to the next, and the lock pins it.)

How it is drawn stands in `workbench.data.simulated`. Headlines are written from templates with a planted tone, which
tells the truth about the symbol's own move of that session in three of four cases. Nothing here says anything about a
real market.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.data import headlines
from workbench.data.simulated import FIRST, LAST, NEWS, SimulatedMarket, draw, joined, widened
from workbench.data.source import DAILY_COLUMNS, INTRADAY_COLUMNS, PRICES, no_bars, symbols_of
from workbench.errors import DataError

SYMBOLS: Final = tuple(f"SYN{number:02d}" for number in range(1, 101))
MINUTES: Final = {"1m": 1, "5m": 5, "15m": 15, "1h": 60}
_FIRST_DRAWN: Final = 20  # these alone are drawn where no other symbol is asked for; that takes a fifth of the time


class SyntheticSource:
    """The synthetic market of one seed. Its label says so, and so must everything that is made of it."""

    name = "synthetic"
    synthetic = True
    venue = "XNYS"

    def __init__(self, *, seed: int = 7) -> None:
        if seed < 0:
            raise DataError(f"seed={seed} must be 0 or greater; no market was drawn.", remedy="use e.g. 7.")
        self.seed = seed
        self.label = f"SYNTHETIC · seed {seed}"

    def symbols(self) -> tuple[str, ...]:
        """`SYN01` … `SYN99`, `SYN100`."""
        return SYMBOLS

    def bars(
        self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars of one day, hour, five minutes or minute; see `BarSource.bars`. Prices are in whole cents, at least one.

        Raises:
            DataError: a symbol that is not one of `SYMBOLS`, or another timeframe.
        """
        if timeframe != "1d" and timeframe not in MINUTES:
            raise DataError(
                f"timeframe={timeframe!r}: the synthetic market has 1d, {', '.join(MINUTES)}; nothing was drawn.",
                remedy="use one of these.",
            )
        columns, days = self._columns(symbols), self._days(start, end)
        if not (columns and len(days)):
            return no_bars(intraday=timeframe != "1d")
        return self._daily(columns, days) if timeframe == "1d" else self._intraday(columns, days, MINUTES[timeframe])

    def news(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Headlines published during the sessions from `start` to `end`, with the tone that was planted in them.

        Returns:
            Long rows by time: `symbol`, `session`, `time`, `headline`, `tone` (−1 bad … 1 good, 0 neutral), `source`
            (always `"SYNTHETIC"`), `happened` and `learned` (the moment of publication, UTC).

        Raises:
            DataError: a symbol that is not one of `SYMBOLS`.
        """
        columns, days = self._columns(symbols), self._days(start, end)
        opens = [sessions.opens(self.venue, day) for day in days]
        rows = [
            row
            for day, opened in zip(days, opens, strict=True)
            for column in columns
            for row in self._headlines(column, day, opened)
        ]
        frame = pd.DataFrame(rows, columns=["symbol", "session", "time", "headline", "tone"])
        frame = frame.astype({"symbol": "str", "session": "datetime64[us]", "headline": "str", "tone": float})
        frame["time"] = pd.to_datetime(frame["time"], utc=True).dt.as_unit("us")
        frame = frame.assign(source="SYNTHETIC", happened=frame["time"], learned=frame["time"])
        return frame.sort_values(["time", "symbol"], ignore_index=True)

    def _columns(self, symbols: str | Sequence[str]) -> list[int]:
        symbols = symbols_of(symbols) if isinstance(symbols, str) else symbols
        unknown = [symbol for symbol in symbols if symbol not in SYMBOLS]
        if unknown:
            raise DataError(
                f"the synthetic market has no {', '.join(unknown)}; nothing was drawn.",
                remedy=f"it has {SYMBOLS[0]} to {SYMBOLS[-1]}.",
            )
        return [SYMBOLS.index(symbol) for symbol in dict.fromkeys(symbols)]

    def _days(self, start: pd.Timestamp, end: pd.Timestamp) -> pd.DatetimeIndex:
        first, last = max(start, pd.Timestamp(FIRST)), min(end, pd.Timestamp(LAST))
        return sessions.sessions(self.venue, first, last).as_unit("us")

    def _market(self, columns: list[int]) -> SimulatedMarket:
        """The market, at least so wide that it has these columns."""
        return self._whole if max(columns) >= _FIRST_DRAWN else self._narrow

    @functools.cached_property
    def _narrow(self) -> SimulatedMarket:
        return draw(self.seed, _FIRST_DRAWN)

    @functools.cached_property
    def _whole(self) -> SimulatedMarket:
        return widened(self._narrow, len(SYMBOLS) - _FIRST_DRAWN)

    def _daily(self, columns: list[int], days: pd.DatetimeIndex) -> pd.DataFrame:
        market = self._market(columns)
        where = market.days.get_indexer(days)
        happened = sessions.close_times(self.venue, days).as_unit("us")
        names = np.array(SYMBOLS)[columns]
        rows = pd.DataFrame(
            {"symbol": pd.Series(np.repeat(names, len(days))).astype("str"), "session": _tiled(days, len(columns))}
        )
        for name in (*PRICES, "volume"):
            rows[name] = getattr(market, name)[np.ix_(where, np.asarray(columns))].ravel(order="F")
        rows["happened"] = _tiled(happened, len(columns))
        rows["learned"] = rows["happened"]
        return rows.loc[:, list(DAILY_COLUMNS)]

    def _intraday(self, columns: list[int], days: pd.DatetimeIndex, minutes: int) -> pd.DataFrame:
        opens = np.array([sessions.opens(self.venue, day).tz_localize(None) for day in days], dtype="datetime64[us]")
        closes = sessions.close_times(self.venue, days).tz_localize(None).to_numpy(dtype="datetime64[us]")
        lengths = (closes - opens).astype("timedelta64[m]").astype(int)
        first = [
            np.arange(0, length, minutes) for length in lengths
        ]  # the minutes at which the bars of each session begin
        count = [len(of_session) for of_session in first]
        begin = np.concatenate(first).astype("timedelta64[m]") + np.repeat(opens, count)
        finish = np.minimum(begin + np.timedelta64(minutes, "m"), np.repeat(closes, count))
        market = self._market(columns)
        parts = [
            joined(market.minutes(column, day, length), minutes)
            for column in columns
            for day, length in zip(days, lengths, strict=True)
        ]
        times = len(columns)
        rows = pd.DataFrame(
            {
                "symbol": pd.Series(np.repeat(np.array(SYMBOLS)[columns], len(begin))).astype("str"),
                "session": np.tile(np.repeat(days.to_numpy(dtype="datetime64[us]"), count), times),
                "time": pd.DatetimeIndex(np.tile(begin, times)).tz_localize("UTC"),
                "happened": pd.DatetimeIndex(np.tile(finish, times)).tz_localize("UTC"),
            }
            | {name: np.concatenate([part[name] for part in parts]) for name in (*PRICES, "volume")}
        )
        return rows.assign(learned=rows["happened"]).loc[:, list(INTRADAY_COLUMNS)]

    def _headlines(self, column: int, day: pd.Timestamp, opened: pd.Timestamp) -> list[tuple[object, ...]]:
        market = self._market([column])
        row = market.days.get_loc(day)
        count = int(market.headlines[row, column])
        if not count:
            return []
        rng = market.generator(NEWS, column, day)
        minutes = np.sort(rng.choice(headlines.MINUTES, size=count, replace=False))
        symbol, own = SYMBOLS[column], float(market.own[row, column])
        return [
            (symbol, day, moment, *headlines.write(symbol, own, rng))
            for moment in opened + pd.to_timedelta(minutes, unit="min")
        ]


def _tiled(index: pd.DatetimeIndex, times: int) -> pd.DatetimeIndex:
    """The index repeated as a whole, its timezone kept."""
    return index[np.tile(np.arange(len(index)), times)]
