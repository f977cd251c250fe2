"""What the market tells of prices: prints, quotes and candles, and the timestamp of a daily bar."""

from __future__ import annotations

import datetime as dt
import functools
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NEW_YORK: Final = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class Print:
    """One price at one moment: the open or the close of a bar."""

    price: Decimal
    moment: dt.datetime


@dataclass(frozen=True, slots=True)
class Quote:
    """The bid and the ask that the matching stands for; a size that nobody knows is None."""

    bid: Decimal
    ask: Decimal
    moment: dt.datetime
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Candle:
    """One bar as research sees it: floats, NaN where the source has no value.

    Attributes:
        begins: its first moment; of a bar of a day or longer New York's midnight (UTC).
        opens_at: when its open was printed.
        ends: when it was known.
    """

    begins: dt.datetime
    opens_at: dt.datetime
    ends: dt.datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


def joined(parts: Sequence[Candle], begins: dt.datetime) -> Candle:
    """One candle of several that follow each other (at least one). A field that one does not have is absent."""
    return Candle(
        begins,
        parts[0].opens_at,
        parts[-1].ends,
        parts[0].open,
        _extreme(max, [part.high for part in parts]),
        _extreme(min, [part.low for part in parts]),
        parts[-1].close,
        sum(part.volume for part in parts),
    )


@functools.lru_cache(maxsize=16_384)
def day_start(date: dt.date) -> dt.datetime:
    """The UTC moment of New York's midnight of that day: the timestamp of a daily bar on Alpaca's wire."""
    return dt.datetime.combine(date, dt.time(), NEW_YORK).astimezone(dt.UTC)


def first_day(start: dt.datetime) -> dt.date:
    """The first day whose midnight is not before `start`."""
    date = start.date() - dt.timedelta(days=1)
    while day_start(date) < start:
        date += dt.timedelta(days=1)
    return date


def last_day(end: dt.datetime) -> dt.date:
    """The last day whose midnight is not after `end`."""
    date = end.date()
    return date if day_start(date) <= end else date - dt.timedelta(days=1)


def _extreme(better: Callable[[list[float]], float], values: list[float]) -> float:
    return math.nan if any(math.isnan(value) for value in values) else better(values)
