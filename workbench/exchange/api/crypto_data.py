"""The market-data resources of the invented coins. They need no keys: without keys it is the wall clock's moment."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from workbench.exchange.api.data_query import DataResource
from workbench.exchange.market import crypto
from workbench.exchange.telling.data_wire import as_json, bar_message, orderbook_message, quote_message, trade_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Row = tuple[dt.datetime, dict[str, Any]]
    Moment = dt.datetime | None

_DAY: Final = dt.timedelta(days=1)


class CryptoResource(DataResource):
    """What the resources of coins share."""

    made = crypto.LABEL

    def admit(self) -> None:
        """Who shows keys is asked for them as everywhere; who shows none may read too."""
        self.moment = self.exchange.venue.wall()
        if self.request.headers.get("APCA-API-KEY-ID"):
            super().admit()
            self.moment = self.account.now

    @property
    def now(self) -> dt.datetime:
        """The moment whose knowledge is told."""
        return self.moment

    def exists(self, symbol: str) -> bool:
        """Whether there is such a coin."""
        return symbol in crypto.COINS

    def bar_rows(self, symbol: str, start: Moment, end: Moment, descending: bool) -> Iterator[Row]:
        """Bars of the timeframe asked for."""
        since = self._since(start)
        for candle in self.exchange.crypto.candles(
            symbol, self.length(), known_at=self.now, start=since, end=end, descending=descending
        ):
            yield candle.begins, bar_message(candle)

    def trade_rows(self, symbol: str, start: Moment, end: Moment, descending: bool) -> Iterator[Row]:
        """The print at the end of each minute."""
        until = self.now if end is None else min(end, self.now)
        for seen in self.exchange.crypto.prints(symbol, self._since(start), until, descending=descending):
            yield seen.moment, trade_message(seen)

    def quote_rows(self, symbol: str, start: Moment, end: Moment, descending: bool) -> Iterator[Row]:
        """The quote after each print."""
        for moment, _ in self.trade_rows(symbol, start, end, descending):
            quote = self.exchange.crypto.quote(symbol, moment)
            if quote is not None:
                yield moment, quote_message(quote)

    def latest_trade(self, symbol: str) -> dict[str, Any] | None:
        """The newest print."""
        seen = self.exchange.crypto.last(symbol, self.now)
        return None if seen is None else trade_message(seen)

    def latest_quote(self, symbol: str) -> dict[str, Any] | None:
        """The newest quote."""
        quote = self.exchange.crypto.quote(symbol, self.now)
        return None if quote is None else quote_message(quote)

    def latest_bar(self, symbol: str) -> dict[str, Any] | None:
        """The newest finished minute."""
        return self._newest(symbol, "1Min", self.now - 2 * dt.timedelta(minutes=1))[0]

    def latest_book(self, symbol: str) -> dict[str, Any] | None:
        """The newest order book."""
        quote = self.latest_quote(symbol)
        return None if quote is None else orderbook_message(quote)

    def days(self, symbol: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """The bar of the running day so far (or the newest), and the one before it."""
        newest, before = self._newest(symbol, "1Day", self.now - 3 * _DAY)
        running = self.exchange.crypto.running_day(symbol, self.now)
        return (newest, before) if running is None else (bar_message(running), newest)

    def _newest(
        self, symbol: str, text: str, since: dt.datetime
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        from workbench.exchange.market.candles import timeframe

        found = self.exchange.crypto.candles(symbol, timeframe(text), known_at=self.now, start=since)
        rows: list[dict[str, Any] | None] = [None, None, *(bar_message(candle) for candle in found)]
        return rows[-1], rows[-2]

    def _since(self, start: Moment) -> dt.datetime:
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0) if start is None else start


class CryptoRows(CryptoResource):
    """/v1beta3/crypto/{where}/{bars|trades|quotes}."""

    async def get(self, kind: str) -> None:
        """Bars that have ended, or the print or quote at the end of each minute; in pages."""
        self.length()
        rows = {"bars": self.bar_rows, "trades": self.trade_rows, "quotes": self.quote_rows}
        await self.pages(kind, self.symbols(), rows[kind])


class CryptoLatest(CryptoResource):
    """/v1beta3/crypto/{where}/latest/{bars|trades|quotes|orderbooks}."""

    async def get(self, kind: str) -> None:
        """The newest of each coin."""
        source: dict[str, Callable[[str], dict[str, Any] | None]] = {
            "bars": self.latest_bar,
            "trades": self.latest_trade,
            "quotes": self.latest_quote,
            "orderbooks": self.latest_book,
        }
        found = {symbol: message for symbol in self.symbols() if (message := source[kind](symbol)) is not None}
        await self.reply({kind: as_json(found)})


class CryptoSnapshots(CryptoResource):
    """/v1beta3/crypto/{where}/snapshots."""

    async def get(self) -> None:
        """Newest print, quote, minute, day so far and the day before of each coin."""
        shown = {}
        for symbol in self.symbols():
            trade = self.latest_trade(symbol)
            if trade is None:
                continue
            daily, before = self.days(symbol)
            shown[symbol] = {
                "latestTrade": trade,
                "latestQuote": self.latest_quote(symbol),
                "minuteBar": self.latest_bar(symbol),
                "dailyBar": daily,
                "prevDailyBar": before,
            }
        await self.reply({"snapshots": as_json(shown)})
