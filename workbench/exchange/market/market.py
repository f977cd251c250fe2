"""What the exchange knows of the market: a feed of bars, read through a moment so that nothing later can be seen.

Stocks have the feed's bars. Options have marks made from their underlying's by a model; see `option_marks`.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import math
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.exchange.clock import Step, StepKind
from workbench.exchange.market.feed import Feed, MemoryFeed, Series
from workbench.exchange.market.option_marks import OptionMarks
from workbench.exchange.market.prices import Candle, Print, Quote, day_start, first_day, joined, last_day
from workbench.exchange.market.source_feed import SourceFeed
from workbench.exchange.matching.matching import Bar
from workbench.exchange.state.records import PRICE_STEP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.exchange.clock import Session, Timeline
    from workbench.exchange.state.occ import Contract

__all__ = ["Bar", "Candle", "Feed", "Market", "MemoryFeed", "Print", "Quote", "Series", "SourceFeed", "day_start"]


_TAIL = 15  # a shorter symbol is no option contract


class Market:
    """The feed as it may be seen: every question names its moment, and no answer is later than that.

    Args:
        slippage: half the spread of the quotes, a fraction of the price: the matching's own number.
    """

    def __init__(self, feed: Feed, timeline: Timeline, *, slippage: Decimal = Decimal("0.0005")) -> None:
        self.feed, self.timeline, self.slippage = feed, timeline, slippage
        self._symbols: frozenset[str] | None = None
        self.options = OptionMarks(timeline, feed.series, self.last)
        self._bar_at = functools.lru_cache(maxsize=1024)(self._bar_at_step)

    def knows(self, symbol: str) -> bool:
        """Whether the symbol exists here at all: a stock of the source, or a well-formed contract on one.

        A contract that is known need not be listed yet or any more; `last` is None then.
        """
        return symbol in self.stocks() or self.contract(symbol) is not None

    def contract(self, symbol: str) -> Contract | None:
        """The option contract of an OCC symbol on one of the stocks here; None for anything else."""
        if len(symbol) <= _TAIL:
            return None
        found = self.options.contract(symbol)
        return found if found is not None and found.underlying in self.stocks() else None

    def stocks(self) -> frozenset[str]:
        """All stocks of the source."""
        if self._symbols is None:
            self._symbols = frozenset(self.feed.symbols())
        return self._symbols

    def last(self, symbol: str, moment: dt.datetime) -> Print | None:
        """The newest print at or before `moment`: the close of the newest finished bar, or the open of the running one.

        None where the symbol has not traded yet. For a contract it is the model's mark.
        """
        contract = self.contract(symbol)
        if contract is not None:
            return self.options.last(contract, moment)
        if self.timeline.intraday:
            session = self.timeline.session_at_or_after(moment)
            if session.opens <= moment:
                seen = self._seen(session, self.feed.intraday(symbol, session.date), moment)
                if seen is not None:
                    return seen
        series = self.feed.series(symbol)
        following = bisect.bisect_right(series.closes_at, moment)
        if not self.timeline.intraday and following < len(series.dates) and not math.isnan(series.open[following]):
            running = self.timeline.session_of(series.dates[following])
            if running is not None and running.opens <= moment:
                return Print(_exact(series.open[following]), running.opens)
        if following == 0:
            return None
        return Print(_exact(series.close[following - 1]), series.closes_at[following - 1])

    def quote(self, symbol: str, moment: dt.datetime) -> Quote | None:
        """The newest print ∓ the slippage; None where there is no print yet. Sizes are not known."""
        seen = self.last(symbol, moment)
        return None if seen is None else self.around(seen)

    def around(self, seen: Print) -> Quote:
        """The quote the matching stands for after that print."""
        bid = (seen.price * (1 - self.slippage)).quantize(PRICE_STEP)
        ask = (seen.price * (1 + self.slippage)).quantize(PRICE_STEP)
        return Quote(bid, ask, seen.moment)

    def bar(self, symbol: str, at: Step | dt.date) -> Bar | None:
        """The bar that opens or closes at a step, for the matching of that step only; or the bar of a whole session.

        A step's bar has `opens_at` = the moment of its OPEN step (its first print) and `closes_at` = that of its CLOSE.
        None where the symbol has no such bar.
        """
        contract = self.contract(symbol)
        if contract is not None:
            below = self.bar(contract.underlying, at)
            return None if below is None else self.options.bar(contract, below)
        if isinstance(at, Step):
            return self._bar_at(symbol, at)
        series = self.feed.series(symbol)
        position = bisect.bisect_left(series.dates, at)
        if position >= len(series.dates) or series.dates[position] != at:
            return None
        return self._bar(symbol, series, position)

    def bars(
        self, symbol: str, *, known_at: dt.datetime, start: dt.datetime | None = None, end: dt.datetime | None = None
    ) -> list[Bar]:
        """Finished daily bars known at `known_at` whose day (New York midnight on) begins in [start, end]."""
        series = self.feed.series(symbol)
        return [self._bar(symbol, series, position) for position in range(*self._within(series, known_at, start, end))]

    def newest(self, symbol: str, *, known_at: dt.datetime, count: int = 1) -> list[Bar]:
        """The newest `count` finished daily bars known at `known_at`, ascending; fewer at the beginning."""
        series = self.feed.series(symbol)
        last = bisect.bisect_right(series.closes_at, known_at)
        return [self._bar(symbol, series, position) for position in range(max(0, last - count), last)]

    def candles(
        self, symbol: str, session: Session, *, known_at: dt.datetime, since: dt.datetime | None = None
    ) -> Iterator[Candle]:
        """The finished bars of one session from `since` on, ascending: intraday bars, or in a daily exchange the one.

        Here a daily bar begins with its session, as it is about prints and not about days.
        """
        contract = self.contract(symbol)
        if contract is not None:
            below = self.candles(contract.underlying, session, known_at=known_at, since=since)
            yield from (made for candle in below if (made := self.options.candle(contract, candle)) is not None)
            return
        if self.timeline.intraday:
            series = self.feed.intraday(symbol, session.date)
            first = 0 if since is None else bisect.bisect_left(series.begins, since)
            for position in range(first, bisect.bisect_right(series.closes_at, known_at)):
                begins = series.begins[position]
                yield _candle(series, position, begins, self.timeline.first_print(session, begins))
            return
        series = self.feed.series(symbol)
        position = bisect.bisect_left(series.dates, session.date)
        if position < bisect.bisect_right(series.closes_at, known_at) and series.dates[position] == session.date:
            yield _candle(series, position, session.opens, session.opens)

    def newest_candle(self, symbol: str, session: Session, moment: dt.datetime) -> Candle | None:
        """The newest finished intraday bar of one session; None where there is none yet, or of a contract."""
        series = (
            self.feed.intraday(symbol, session.date) if self.timeline.intraday and symbol in self.stocks() else None
        )
        position = -1 if series is None else bisect.bisect_right(series.closes_at, moment) - 1
        if series is None or position < 0:
            return None
        begins = series.begins[position]
        return _candle(series, position, begins, self.timeline.first_print(session, begins))

    def candle(self, symbol: str, step: Step) -> Candle | None:
        """The bar of a stock that ends at a CLOSE step, as `candles` tells it; None where there is none."""
        if step.kind is not StepKind.CLOSE:
            return None
        if not self.timeline.intraday:
            return next(self.days(symbol, known_at=step.moment, start=day_start(step.session.date), end=None), None)
        series = self.feed.intraday(symbol, step.session.date)
        position = bisect.bisect_left(series.closes_at, step.moment)
        if position >= len(series.closes_at) or series.closes_at[position] != step.moment:
            return None
        begins = series.begins[position]
        return _candle(series, position, begins, self.timeline.first_print(step.session, begins))

    def days(
        self, symbol: str, *, known_at: dt.datetime, start: dt.datetime | None, end: dt.datetime | None
    ) -> Iterator[Candle]:
        """Finished daily bars known at `known_at` whose New York midnight lies in [start, end], ascending."""
        contract = self.contract(symbol)
        if contract is not None:
            listed = day_start(self.options.grid.listed_on(contract.expiration))
            start = listed if start is None else max(start, listed)
            below = self.days(contract.underlying, known_at=known_at, start=start, end=end)
            yield from (made for candle in below if (made := self.options.candle(contract, candle)) is not None)
            return
        series = self.feed.series(symbol)
        first, last = self._within(series, known_at, start, end)
        for position in range(first, last):
            date = series.dates[position]
            session = self.timeline.session_of(date)
            opens = session.opens if session else series.closes_at[position]
            yield _candle(series, position, day_start(date), opens)

    def running_day(self, symbol: str, moment: dt.datetime) -> Candle | None:
        """The bar of the running session so far, put together from its finished intraday bars; None without any."""
        session = self.timeline.session_at_or_after(moment)
        parts = list(self.candles(symbol, session, known_at=moment)) if self.timeline.intraday else []
        return joined(parts, day_start(session.date)) if parts else None

    @staticmethod
    def _within(
        series: Series, known_at: dt.datetime, start: dt.datetime | None, end: dt.datetime | None
    ) -> tuple[int, int]:
        last = bisect.bisect_right(series.closes_at, known_at)
        first = 0 if start is None else bisect.bisect_left(series.dates, first_day(start))
        if end is not None:
            last = min(last, bisect.bisect_right(series.dates, last_day(end)))
        return first, last

    def _seen(self, session: Session, series: Series, moment: dt.datetime) -> Print | None:
        following = bisect.bisect_right(series.closes_at, moment)
        if following < len(series.closes_at) and not math.isnan(series.open[following]):
            opens = self.timeline.first_print(session, series.begins[following])
            if opens <= moment:
                return Print(_exact(series.open[following]), opens)
        if following == 0:
            return None
        return Print(_exact(series.close[following - 1]), series.closes_at[following - 1])

    def _bar_at_step(self, symbol: str, step: Step) -> Bar | None:
        if not self.timeline.intraday:
            return self.bar(symbol, step.session.date)
        series = self.feed.intraday(symbol, step.session.date)
        find = bisect.bisect_left if step.kind is StepKind.CLOSE else bisect.bisect_right
        position = find(series.closes_at, step.moment)
        if position >= len(series.closes_at):
            return None
        bar = self._bar(symbol, series, position)
        return bar if step.moment in {bar.opens_at, bar.closes_at} else None

    def _bar(self, symbol: str, series: Series, position: int) -> Bar:
        date = series.dates[position]
        session = self.timeline.session_of(date)
        opens = session.opens if session else series.closes_at[position]
        if session and series.begins:
            opens = self.timeline.first_print(session, series.begins[position])
        return Bar(
            symbol=symbol,
            date=date,
            opens_at=opens,
            closes_at=series.closes_at[position],
            close=_exact(series.close[position]),
            open=_known(series.open[position]),
            high=_known(series.high[position]),
            low=_known(series.low[position]),
            volume=_known(series.volume[position]),
        )


def _candle(series: Series, position: int, begins: dt.datetime, opens_at: dt.datetime) -> Candle:
    return Candle(
        begins,
        opens_at,
        series.closes_at[position],
        series.open[position],
        series.high[position],
        series.low[position],
        series.close[position],
        series.volume[position],
    )


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))


def _known(value: float) -> Decimal | None:
    return None if math.isnan(value) else Decimal(repr(value))
