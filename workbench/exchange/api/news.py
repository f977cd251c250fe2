"""The resources of news and of corporate actions. A source without headlines has an empty news service.

The synthetic source writes its headlines from templates; author and source of each article say so.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from typing import TYPE_CHECKING, Final

from workbench.exchange.api.data_query import INVALID, DataResource
from workbench.exchange.market.newsroom import Article, article_message
from workbench.exchange.telling.data_wire import as_json
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_ARTICLES, LARGEST_PAGE = 10, 50
MADE: Final = "headlines are the source's; there are no articles behind them"


class News(DataResource):
    """/v1beta1/news."""

    made = MADE

    async def get(self) -> None:
        """Headlines published up to the account's clock, newest first where not asked otherwise; in pages."""
        self.check_words()
        asked = {symbol for text in self.get_query_arguments("symbols") for symbol in text.split(",") if symbol}
        start, end = self.bound("start") or self.exchange.venue.market.timeline.first, self.bound("end") or self.now
        limit, ascending = self.limit(default=DEFAULT_ARTICLES, largest=LARGEST_PAGE), self.query("sort") == "asc"
        seen = self._last_seen()
        contentless = (self.query("exclude_contentless") or "false").lower() == "true"
        found: list[Article] = []
        possible = not contentless and (not asked or asked & self.exchange.venue.market.stocks())
        for month in _months(start.date(), min(end, self.now).date(), ascending=ascending) if possible else ():
            rows = self.exchange.newsroom.of_month(month, start - dt.timedelta(microseconds=1), min(end, self.now))
            rows = [row for row in rows if not asked or row.symbol in asked]
            if seen is not None:
                rows = [
                    row for row in rows if ((row.moment, row.id) > seen if ascending else (row.moment, row.id) < seen)
                ]
            found += rows if ascending else rows[::-1]
            if len(found) > limit:
                break
            await asyncio.sleep(0)
        token = None
        if len(found) > limit:
            last = found[limit - 1]
            token = base64.urlsafe_b64encode(f"{last.moment.isoformat()}|{last.id}".encode()).decode()
        feed = self.exchange.venue.market.feed
        told = [article_message(row, label=feed.label, name=feed.name) | {"images": []} for row in found[:limit]]
        await self.reply({"news": as_json(told), "next_page_token": token})

    def _last_seen(self) -> tuple[dt.datetime, int] | None:
        text = self.query("page_token")
        if text is None:
            return None
        try:
            moment, _, number = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
            return dt.datetime.fromisoformat(moment), int(number)
        except ValueError as error:
            raise Refusal(400, INVALID, "invalid page_token") from error


class CorporateActions(DataResource):
    """/v1/corporate-actions."""

    made = "the source has no corporate actions"

    async def get(self) -> None:
        """No groups: no source of the exchange knows of splits or dividends of its own accord."""
        self.check_words()
        self.limit(default=100, largest=1000)
        await self.reply({"corporate_actions": {}, "next_page_token": None})


def _months(start: dt.date, end: dt.date, *, ascending: bool) -> Iterator[dt.date]:
    count = (end.year - start.year) * 12 + end.month - start.month + 1
    numbers = range(max(0, count))
    for number in numbers if ascending else reversed(numbers):
        month = start.month - 1 + number
        yield dt.date(start.year + month // 12, month % 12 + 1, 1)
