"""Two invented coins that trade around the clock: SYNTHETIC prices for clients of crypto data, drawn from a seed.

Nothing here says anything about a real coin, whatever its name. How a price is made: the logarithm of a day's close
reverts slowly to its anchor, x' = 0.999·x + σ·z, with z a Student-t of 5 degrees of freedom and variance 1, correlated
0.7 between the coins, σ 60 % and 75 % a year. The minutes of a day are a Brownian bridge from the close before to its
own close; a minute's high and low reach beyond its ends by a random half of its deviation. Days are UTC days.

A minute is known when it has ended; its close is the only print. Sizes are not known, volumes are invented too.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from workbench.exchange.market.prices import Candle, Print, Quote, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from workbench.exchange.market.candles import Timeframe

COINS: Final = ("BTC/USD", "ETH/USD")
LABEL: Final = "SYNTHETIC coins, invented prices"
FIRST: Final = dt.date(2015, 1, 1)
LAST: Final = dt.date(2040, 12, 31)
HALF_SPREAD: Final = Decimal("0.0005")
MINUTES_PER_DAY: Final = 1440
_ANCHORS: Final = (40_000.0, 2_500.0)
_SIGMAS: Final = (0.60, 0.75)
_TOGETHER: Final = 0.7
_MEMORY: Final = 0.999
_TAIL: Final = 5.0
_MINUTE: Final = dt.timedelta(minutes=1)
_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Day:
    """The 1440 minutes of one coin on one UTC day, in columns."""

    midnight: dt.datetime
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray

    def bucket(self, first: int, last: int) -> Candle:
        """Minutes `first` to `last` (not included) as one bar."""
        return Candle(
            self.midnight + first * _MINUTE,
            self.midnight + first * _MINUTE,
            self.midnight + last * _MINUTE,
            float(self.open[first]),
            float(self.high[first:last].max()),
            float(self.low[first:last].min()),
            float(self.close[last - 1]),
            float(round(self.volume[first:last].sum(), 4)),
        )


class CryptoMarket:
    """The coins of one seed, read through a moment."""

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self._day = functools.lru_cache(maxsize=512)(self._draw)

    def last(self, symbol: str, moment: dt.datetime) -> Print | None:
        """The close of the newest finished minute; None outside the years that were drawn."""
        ended = moment - _MINUTE
        if not FIRST <= ended.date() <= LAST:
            return None
        minute = ended.hour * 60 + ended.minute
        price = self._day(symbol, ended.date()).close[minute]
        midnight = dt.datetime.combine(ended.date(), dt.time(), dt.UTC)
        return Print(Decimal(repr(float(price))), midnight + (minute + 1) * _MINUTE)

    def quote(self, symbol: str, moment: dt.datetime) -> Quote | None:
        """The newest print ∓ half a tenth of a percent, in cents; sizes are not known."""
        seen = self.last(symbol, moment)
        if seen is None:
            return None
        bid = (seen.price * (1 - HALF_SPREAD)).quantize(_CENT)
        return Quote(bid, (seen.price * (1 + HALF_SPREAD)).quantize(_CENT), seen.moment)

    def prints(self, symbol: str, start: dt.datetime, end: dt.datetime, *, descending: bool) -> Iterator[Print]:
        """The close of every minute that ended in [start, end]."""
        minutes = math.ceil((start - dt.datetime.min.replace(tzinfo=dt.UTC)) / _MINUTE)
        first = dt.datetime.min.replace(tzinfo=dt.UTC) + minutes * _MINUTE
        count = (end - first) // _MINUTE + 1
        for number in reversed(range(count)) if descending else range(count):
            seen = self.last(symbol, first + number * _MINUTE)
            if seen is not None:
                yield seen

    def minute(self, symbol: str, ends: dt.datetime) -> Candle:
        """The bar of the minute that ended then; its day must lie in the years that were drawn."""
        begins = ends - _MINUTE
        number = begins.hour * 60 + begins.minute
        return self._day(symbol, begins.date()).bucket(number, number + 1)

    def day_until(self, symbol: str, ends: dt.datetime) -> Candle:
        """The bar of the UTC day whose newest minute ended then."""
        begins = ends - _MINUTE
        return self._day(symbol, begins.date()).bucket(0, begins.hour * 60 + begins.minute + 1)

    def running_day(self, symbol: str, moment: dt.datetime) -> Candle | None:
        """The bar of the running UTC day so far; None in its first minute."""
        minutes = moment.hour * 60 + moment.minute
        known = FIRST <= moment.date() <= LAST and minutes > 0
        return self._day(symbol, moment.date()).bucket(0, minutes) if known else None

    def candles(
        self,
        symbol: str,
        length: Timeframe,
        *,
        known_at: dt.datetime,
        start: dt.datetime,
        end: dt.datetime | None = None,
        descending: bool = False,
    ) -> Iterator[Candle]:
        """Finished bars known at `known_at` that begin in [start, end]; from UTC midnight, weeks from Monday."""
        until = known_at if end is None else min(end, known_at)
        groups: Iterator[list[Candle]]
        if length.minutes is not None:
            groups = self._short(symbol, length.minutes, start, until, known_at, descending=descending)
        else:
            groups = self._long(symbol, length, start, until, known_at, descending=descending)
        for rows in groups:
            yield from (row for row in rows if start <= row.begins <= until)

    def _short(
        self, symbol: str, minutes: int, start: dt.datetime, until: dt.datetime, known: dt.datetime, *, descending: bool
    ) -> Iterator[list[Candle]]:
        for date in _days(start.date(), until.date(), descending=descending):
            day = self._day(symbol, date)
            edges = [(first, min(first + minutes, MINUTES_PER_DAY)) for first in range(0, MINUTES_PER_DAY, minutes)]
            done = [day.bucket(*edge) for edge in edges if day.midnight + edge[1] * _MINUTE <= known]
            yield done[::-1] if descending else done

    def _long(
        self,
        symbol: str,
        length: Timeframe,
        start: dt.datetime,
        until: dt.datetime,
        known: dt.datetime,
        *,
        descending: bool,
    ) -> Iterator[list[Candle]]:
        if length.unit == "day":
            for date in _days(start.date(), until.date(), descending=descending):
                day = self._day(symbol, date)
                done = day.midnight + MINUTES_PER_DAY * _MINUTE <= known
                yield [day.bucket(0, MINUTES_PER_DAY)] if done else []
            return
        groups: dict[dt.date, list[Candle]] = {}
        for date in _days(length.first(start.date()), known.date(), descending=False):
            day = self._day(symbol, date)
            groups.setdefault(length.first(date), []).append(day.bucket(0, MINUTES_PER_DAY))
        rows = [
            joined(parts, _midnight(first))
            for first, parts in groups.items()
            if _midnight(length.following(first)) <= known
        ]
        yield rows[::-1] if descending else rows

    @functools.cached_property
    def _closes(self) -> np.ndarray:
        """The logarithm of each day's close, (day × coin), the day before the first included."""
        import numpy as np

        days = (LAST - FIRST).days + 2
        rng = np.random.default_rng([self.seed, 71])
        shocks = rng.standard_t(_TAIL, (days, 3)) * math.sqrt((_TAIL - 2) / _TAIL)
        own = math.sqrt(_TOGETHER) * shocks[:, :1] + math.sqrt(1 - _TOGETHER) * shocks[:, 1:]
        steps = own * np.array(_SIGMAS) / math.sqrt(365)
        path = np.zeros_like(steps)
        for row in range(1, days):
            path[row] = _MEMORY * path[row - 1] + steps[row]
        return np.asarray(np.log(np.round(np.exp(path + np.log(_ANCHORS)), 2)))

    def _draw(self, symbol: str, date: dt.date) -> Day:
        import numpy as np

        column, row = COINS.index(symbol), (date - FIRST).days + 1
        before, after = self._closes[row - 1, column], self._closes[row, column]
        rng = np.random.default_rng([self.seed, 72, column, date.toordinal()])
        scale = _SIGMAS[column] / math.sqrt(365 * MINUTES_PER_DAY)
        walk = np.cumsum(scale * rng.standard_normal(MINUTES_PER_DAY))
        share = np.arange(1, MINUTES_PER_DAY + 1) / MINUTES_PER_DAY
        closes = np.round(np.exp(before + walk + share * (after - before - walk[-1])), 2)
        opens = np.concatenate([[np.round(np.exp(before), 2)], closes[:-1]])
        reach = np.exp(0.5 * scale * np.abs(rng.standard_normal((2, MINUTES_PER_DAY))))
        return Day(
            midnight=_midnight(date),
            open=opens,
            high=np.round(np.maximum(opens, closes) * reach[0], 2),
            low=np.round(np.minimum(opens, closes) / reach[1], 2),
            close=closes,
            volume=np.round(rng.lognormal(0.0, 1.0, MINUTES_PER_DAY), 4),
        )


def _midnight(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(), dt.UTC)


def _days(first: dt.date, last: dt.date, *, descending: bool) -> Iterator[dt.date]:
    first, last = max(first, FIRST), min(last, LAST)
    count = max(0, (last - first).days + 1)
    return (first + dt.timedelta(days=number) for number in (reversed(range(count)) if descending else range(count)))
