"""The headlines of a market's source as articles, read through a moment. A source without headlines has none."""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from workbench.exchange.market.market import Market

_ID_BYTES: Final = 6  # 48 bits: a whole number that JSON readers keep exact


@dataclass(frozen=True, slots=True, order=True)
class Article:
    """One headline about one symbol, published at `moment` (UTC)."""

    moment: dt.datetime
    id: int
    symbol: str
    headline: str


class Newsroom:
    """The headlines of a market's source, read through a moment."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._month = functools.lru_cache(maxsize=64)(self._read)

    def published(self, after: dt.datetime, until: dt.datetime) -> list[Article]:
        """Those with after < moment ≤ until, ascending."""
        found: list[Article] = []
        month = after.date().replace(day=1)
        while month <= until.date():
            found += self.of_month(month, after, until)
            month = _next(month)
        return found

    def of_month(self, month: dt.date, after: dt.datetime, until: dt.datetime) -> list[Article]:
        """Those of one UTC month with after < moment ≤ until, ascending."""
        rows = self._month(month)
        first = bisect.bisect_right(rows, after, key=_moment)
        return rows[first : bisect.bisect_right(rows, until, key=_moment)]

    def _read(self, month: dt.date) -> list[Article]:
        last = _next(month) - dt.timedelta(days=1)
        rows = self._market.feed.headlines(month, last)
        return sorted(Article(moment, _id_of(moment, symbol, text), symbol, text) for moment, symbol, text in rows)


def article_message(article: Article, *, label: str, name: str) -> dict[str, Any]:
    """One article; there is nothing behind the headline."""
    return {
        "id": article.id,
        "headline": article.headline,
        "author": label,
        "source": name,
        "created_at": article.moment,
        "updated_at": article.moment,
        "summary": "",
        "content": "",
        "url": None,
        "symbols": [article.symbol],
    }


def _moment(article: Article) -> dt.datetime:
    return article.moment


def _id_of(moment: dt.datetime, symbol: str, text: str) -> int:
    digest = hashlib.sha256(f"{moment.isoformat()}|{symbol}|{text}".encode()).digest()
    return int.from_bytes(digest[:_ID_BYTES])


def _next(month: dt.date) -> dt.date:
    return (month + dt.timedelta(days=31)).replace(day=1)
