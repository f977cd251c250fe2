"""The market-data resources of stocks: bars, trades and quotes, historical and latest, and snapshots."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from workbench.exchange.api.data_query import DataResource
from workbench.exchange.market.candles import candles
from workbench.exchange.market.prices import NEW_YORK, Candle, Print
from workbench.exchange.telling.data_wire import as_json, bar_message, quote_message, trade_message
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.exchange.market.market import Market

    Row = tuple[dt.datetime, dict[str, Any]]
    Moment = dt.datetime | None


def newest_bar(market: Market, symbol: str, now: dt.datetime) -> Candle | None:
    """The newest finished bar of the exchange's own length."""
    for session in (market.timeline.session_at_or_after(now), market.timeline.previous(now)):
        found = market.newest_candle(symbol, session, now)
        if found is not None:
            return found
    return newest_days(market, symbol, now)[0]


def newest_days(market: Market, symbol: str, now: dt.datetime) -> tuple[Candle | None, Candle | None]:
    """The newest daily bar and the one before it. The running session's bar counts as soon as a part of it is known."""
    since = now - dt.timedelta(days=30)  # longer than any closing of an exchange
    days: list[Candle | None] = [None, None, *market.days(symbol, known_at=now, start=since, end=now)]
    running = market.running_day(symbol, now)
    if running is not None:
        days.append(running)
    return days[-1], days[-2]


def prints(
    market: Market, symbol: str, start: Moment, end: Moment, now: dt.datetime, *, descending: bool
) -> Iterator[Print]:
    """Every print of a symbol known at `now` in [start, end]; without a start from the beginning of `now`'s day."""
    since = now.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0) if start is None else start
    until = now if end is None else min(end, now)
    for session in _days(market, since, until, descending=descending):
        told = []
        for step in market.timeline.steps(session.opens - dt.timedelta(microseconds=1), session.closes):
            if step.moment > until:
                break
            seen = market.last(symbol, step.moment)
            if seen is not None and seen.moment == step.moment >= since:
                told.append(seen)
        yield from reversed(told) if descending else told


def _days(market: Market, since: dt.datetime, until: dt.datetime, *, descending: bool) -> Iterator[Any]:
    days = list(market.timeline.between(since.astimezone(NEW_YORK).date(), until.astimezone(NEW_YORK).date()))
    return iter(days[::-1] if descending else days)


class StockResource(DataResource):
    """What the resources of stocks and options share: rows of one symbol in order of time."""

    @property
    def market(self) -> Market:
        """The market."""
        return self.exchange.venue.market

    def bar_rows(self, symbol: str, start: Moment, end: Moment, descending: bool) -> Iterator[Row]:
        """Bars of the timeframe asked for."""
        length, now = self.length(), self.now
        for candle in candles(self.market, symbol, length, known_at=now, start=start, end=end, descending=descending):
            yield candle.begins, bar_message(candle)

    def trade_rows(self, symbol: str, start: Moment, end: Moment, descending: bool) -> Iterator[Row]:
        """Prints."""
        for seen in prints(self.market, symbol, start, end, self.now, descending=descending):
            yield seen.moment, trade_message(seen)

    def quote_rows(self, symbol: str, start: Moment, end: Moment, descending: bool) -> Iterator[Row]:
        """The quotes after each print."""
        for seen in prints(self.market, symbol, start, end, self.now, descending=descending):
            yield seen.moment, quote_message(self.market.around(seen))

    def latest_trade(self, symbol: str) -> dict[str, Any] | None:
        """The newest print."""
        seen = self.market.last(symbol, self.now)
        return None if seen is None else trade_message(seen)

    def latest_quote(self, symbol: str) -> dict[str, Any] | None:
        """The newest quote."""
        quote = self.market.quote(symbol, self.now)
        return None if quote is None else quote_message(quote)

    def latest_bar(self, symbol: str) -> dict[str, Any] | None:
        """The newest finished bar."""
        candle = newest_bar(self.market, symbol, self.now)
        return None if candle is None else bar_message(candle)

    async def rows(self, kind: str, *, single: str | None = None) -> None:
        """A page of one kind of rows, for the symbols of the query or for one."""
        source = {"bars": self.bar_rows, "trades": self.trade_rows, "quotes": self.quote_rows}[kind]
        if kind == "bars":
            self.length()
        symbols = self.symbols() if single is None else [symbol for symbol in (single,) if self.exists(symbol)]
        await self.pages(kind, symbols, source, single=single)

    async def latest(self, kind: str, *, single: str | None = None) -> None:
        """The newest of one kind, for the symbols of the query or for one. Raises Refusal 404 for one without."""
        self.check_words()
        source = {"bars": self.latest_bar, "trades": self.latest_trade, "quotes": self.latest_quote}[kind]
        if single is None:
            found = {symbol: message for symbol in self.symbols() if (message := source(symbol)) is not None}
            await self.reply({kind: as_json(found)})
            return
        message = source(single) if self.exists(single) else None
        if message is None:
            raise Refusal(404, 40410000, f"no {kind} found for {single}")
        await self.reply({"symbol": single, kind.removesuffix("s"): as_json(message)})


class Rows(StockResource):
    """/v2/stocks/{bars|trades|quotes} and /v2/stocks/{symbol}/{bars|trades|quotes}."""

    async def get(self, *path: str) -> None:
        """Bars that have ended, or every print, or every quote, up to the account's clock; in pages."""
        await self.rows(path[-1], single=path[0] if len(path) > 1 else None)


class Latest(StockResource):
    """/v2/stocks/{bars|trades|quotes}/latest and /v2/stocks/{symbol}/{bars|trades|quotes}/latest."""

    async def get(self, *path: str) -> None:
        """The newest bar of the exchange's own length that has ended, the newest print, or the newest quote."""
        await self.latest(path[-1], single=path[0] if len(path) > 1 else None)


class Snapshots(StockResource):
    """/v2/stocks/snapshots and /v2/stocks/{symbol}/snapshot."""

    async def get(self, *path: str) -> None:
        """Newest print and quote, minute bar (only where the exchange has minutes), daily bar and the one before it.

        In an exchange of intraday bars the daily bar of a running session is that of its finished parts.
        """
        self.check_words()
        if path:
            shot = self._shot(path[0]) if self.exists(path[0]) else None
            if shot is None:
                raise Refusal(404, 40410000, f"no snapshot found for {path[0]}")
            await self.reply(as_json({"symbol": path[0]} | shot))
            return
        found = {symbol: shot for symbol in self.symbols() if (shot := self._shot(symbol)) is not None}
        await self.reply(as_json(found))

    def _shot(self, symbol: str) -> dict[str, Any] | None:
        trade = self.latest_trade(symbol)
        if trade is None:
            return None
        daily, before = newest_days(self.market, symbol, self.now)
        minute = newest_bar(self.market, symbol, self.now) if self.market.timeline.timeframe == "1m" else None
        return {
            "latestTrade": trade,
            "latestQuote": self.latest_quote(symbol),
            "minuteBar": None if minute is None else bar_message(minute),
            "dailyBar": None if daily is None else bar_message(daily),
            "prevDailyBar": None if before is None else bar_message(before),
        }
