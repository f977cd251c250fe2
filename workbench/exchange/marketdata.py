"""The resources of the market as the asking account may see it: clock, calendar, assets, bars, prints."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from workbench.exchange.clock import moment_of
from workbench.exchange.intake import MALFORMED
from workbench.exchange.matching import Bar
from workbench.exchange.resource import AccountResource
from workbench.exchange.wire import Refusal, asset_id, asset_json, bar_json, quote_json, trade_json

NEW_YORK = ZoneInfo("America/New_York")
DEFAULT_BARS, LARGEST_BARS = 1000, 10_000
_DAILY = frozenset({"1day", "1d", "day"})


class ClockResource(AccountResource):
    """/v2/clock."""

    async def get(self) -> None:
        """The account's own clock; `is_open` is the regular session."""
        timeline, now = self.exchange.venue.market.timeline, self.account.now
        await self.reply(
            {
                "timestamp": _eastern(now),
                "is_open": timeline.is_open(now),
                "next_open": _eastern(timeline.next_open(now)),
                "next_close": _eastern(timeline.session_at_or_after(now).closes),
            }
        )


class CalendarResource(AccountResource):
    """/v2/calendar."""

    async def get(self) -> None:
        """Sessions from `start` to `end`, both included; the next 31 days where they are not given."""
        start = _day(self.query("start"), self.account.now.date())
        end = _day(self.query("end"), start + dt.timedelta(days=31))
        await self.reply(
            [
                {
                    "date": session.date.isoformat(),
                    "open": f"{session.opens.astimezone(NEW_YORK):%H:%M}",
                    "close": f"{session.closes.astimezone(NEW_YORK):%H:%M}",
                    "session_open": "0400",
                    "session_close": "2000",
                }
                for session in self.exchange.venue.market.timeline.between(start, end)
            ]
        )


class Assets(AccountResource):
    """/v2/assets."""

    async def get(self) -> None:
        """All symbols of the source; tradable from their first price on."""
        if (self.query("status") or "active").lower() != "active" or (
            self.query("asset_class") or "us_equity"
        ).lower() != "us_equity":
            await self.reply([])
            return
        market = self.exchange.venue.market
        await self.reply([self.describe(symbol) for symbol in sorted(market.feed.symbols())])

    def describe(self, symbol: str) -> dict[str, Any]:
        """One asset at the account's moment."""
        return asset_json(symbol, tradable=self.exchange.venue.market.last(symbol, self.account.now) is not None)


class OneAsset(Assets):
    """/v2/assets/{symbol or asset id}."""

    async def get(self, symbol_or_id: str) -> None:  # type: ignore[override] # tornado hands over what the path holds
        """One asset. 404 where there is none."""
        for symbol in self.exchange.venue.market.feed.symbols():
            if symbol_or_id in {symbol, asset_id(symbol)}:
                await self.reply(self.describe(symbol))
                return
        raise Refusal(404, 40410000, f"asset not found for {symbol_or_id}")


class DataResource(AccountResource):
    """What the market data resources share."""

    def symbols(self) -> list[str]:
        """The symbols asked for, once each, in order. Unknown ones are dropped, as Alpaca does."""
        asked = [symbol for text in self.get_query_arguments("symbols") for symbol in text.split(",") if symbol]
        if not asked:
            raise Refusal(400, 40010001, "symbols is required")
        return [symbol for symbol in dict.fromkeys(asked) if self.exchange.venue.market.knows(symbol)]


class Bars(DataResource):
    """/v2/stocks/bars."""

    async def get(self) -> None:
        """Finished daily bars known at the account's clock; `limit` over all symbols, pages by `page_token`."""
        timeframe = (self.query("timeframe") or "1Day").lower()
        if timeframe not in _DAILY:
            raise Refusal(400, MALFORMED, f"timeframe {timeframe} is not offered by the local exchange; use 1Day")
        symbols = sorted(self.symbols())
        start, end = self._bound("start"), self._bound("end")
        descending = (self.query("sort") or "asc").lower() == "desc"
        limit = self._limit()
        after_symbol, after_time = self._token()
        pages: dict[str, list[dict[str, Any]]] = {}
        left = limit
        for symbol in symbols:
            if symbol < after_symbol:
                continue
            rows = self.exchange.venue.market.bars(symbol, known_at=self.account.now, start=start, end=end)
            rows = rows[::-1] if descending else rows
            if symbol == after_symbol:
                rows = [row for row in rows if (_mark(row) < after_time if descending else _mark(row) > after_time)]
            if not rows:
                continue
            if left == 0:
                await self._page(pages, more=True)
                return
            pages[symbol] = [bar_json(row) for row in rows[:left]]
            if len(rows) > left:
                await self._page(pages, more=True)
                return
            left -= len(rows)
        await self._page(pages, more=False)

    async def _page(self, pages: dict[str, list[dict[str, Any]]], *, more: bool) -> None:
        token = None
        if more:
            symbol = next(reversed(pages))
            token = base64.urlsafe_b64encode(f"{symbol}|{pages[symbol][-1]['t'][:10]}".encode()).decode()
        await self.reply({"bars": pages, "next_page_token": token})

    def _token(self) -> tuple[str, str]:
        text = self.query("page_token")
        if text is None:
            return "", ""
        try:
            symbol, _, day = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
            dt.date.fromisoformat(day)
        except ValueError as error:
            raise Refusal(400, 40010001, "invalid page_token") from error
        return symbol, day

    def _bound(self, name: str) -> dt.datetime | None:
        text = self.query(name)
        if text is None:
            return None
        try:
            return moment_of(text)
        except ValueError as error:
            raise Refusal(400, 40010001, f"invalid format for {name}") from error

    def _limit(self) -> int:
        text = self.query("limit") or str(DEFAULT_BARS)
        if not text.isdecimal() or not 1 <= int(text) <= LARGEST_BARS:
            raise Refusal(400, 40010001, f"limit must be between 1 and {LARGEST_BARS}")
        return int(text)


class LatestBars(DataResource):
    """/v2/stocks/bars/latest."""

    async def get(self) -> None:
        """The newest finished daily bar of each symbol."""
        market, now = self.exchange.venue.market, self.account.now
        found = {symbol: market.newest(symbol, known_at=now) for symbol in self.symbols()}
        await self.reply({"bars": {symbol: bar_json(bars[-1]) for symbol, bars in found.items() if bars}})


class LatestTrades(DataResource):
    """/v2/stocks/trades/latest."""

    async def get(self) -> None:
        """The newest print of each symbol: the last close, or the open of the running session."""
        seen = {symbol: self.exchange.venue.market.last(symbol, self.account.now) for symbol in self.symbols()}
        await self.reply({"trades": {symbol: trade_json(found) for symbol, found in seen.items() if found}})


class LatestQuotes(DataResource):
    """/v2/stocks/quotes/latest."""

    async def get(self) -> None:
        """The newest print ∓ the slippage of each symbol."""
        venue = self.exchange.venue
        seen = {symbol: venue.market.last(symbol, self.account.now) for symbol in self.symbols()}
        slippage = venue.rules.slippage
        quotes = {symbol: quote_json(found, slippage=slippage) for symbol, found in seen.items() if found}
        await self.reply({"quotes": quotes})


class Snapshots(DataResource):
    """/v2/stocks/snapshots."""

    async def get(self) -> None:
        """Newest print, quote and the two newest finished daily bars of each symbol; there are no minute bars."""
        venue, now = self.exchange.venue, self.account.now
        shown: dict[str, Any] = {}
        for symbol in self.symbols():
            seen = venue.market.last(symbol, now)
            if seen is None:
                continue
            bars: list[Bar | None] = [None, None, *venue.market.newest(symbol, known_at=now, count=2)]
            shown[symbol] = {
                "latestTrade": trade_json(seen),
                "latestQuote": quote_json(seen, slippage=venue.rules.slippage),
                "minuteBar": None,
                "dailyBar": bar_json(bars[-1]) if bars[-1] else None,
                "prevDailyBar": bar_json(bars[-2]) if bars[-2] else None,
            }
        await self.reply(shown)


def _mark(bar: Bar) -> str:
    return bar.date.isoformat()


def _eastern(moment: dt.datetime) -> str:
    return moment.astimezone(NEW_YORK).isoformat()


def _day(text: str | None, default: dt.date) -> dt.date:
    if text is None:
        return default
    try:
        return moment_of(text).date()
    except ValueError as error:
        raise Refusal(422, MALFORMED, f"invalid format for date: {text}") from error
