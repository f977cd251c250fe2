"""NewsAPI: articles found by a search for words, in English.

What to know before believing a fact made of them:

- **There is no symbol here.** A symbol becomes a search for words in the headline and the description, by default for
  the symbol itself as a whole word: whatever writes "AAPL" is found, about the company or not, and whatever writes
  "Apple" only is not. A symbol that is an English word (`ALL`, `CAT`) finds mostly other things. `words` says for each
  symbol what to search for instead, e.g. `{"AAPL": '"Apple Inc" OR AAPL'}`.
- An article has no id; `key` is its address.
- The plan `developer` answers a day late and reaches back a month: an article counts as known 24 hours after it was
  published; it is not for production. The plan `business` is not late.
- The developer plan gives the first 100 articles of a search. A search that finds more is asked for again in two halves
  of its span, down to an hour; more than 100 in an hour is an error, since the rest cannot be had.
- Articles that were withdrawn ("[Removed]") are left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from pydantic import SecretStr

from workbench.data import learned, reading, regular
from workbench.data.gateway import Limit, Vendor
from workbench.data.kinds import kind_of
from workbench.data.reading import Field
from workbench.data.regular import days_of
from workbench.data.source import symbols_of
from workbench.errors import BadData, ParameterError, SourceRefused
from workbench.store.schema import utc_now

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Gateway

# Developer plan: 100 requests a day. Business: 250,000 a month, here spread over its days.
PLANS: Final[Mapping[str, tuple[Limit, pd.Timedelta]]] = {
    "developer": (Limit(requests=100, seconds=86_400.0), pd.Timedelta(hours=24)),
    "business": (Limit(requests=8_000, seconds=86_400.0), pd.Timedelta(0)),
}
VENDOR: Final = Vendor(name="newsapi", url="https://newsapi.org", limits=(PLANS["developer"][0],))
PAGE: Final = 100
REMOVED: Final = "[Removed]"
_OF: Final = "NewsAPI's articles"
_ARTICLE: Final = {
    "time": Field("publishedAt", "moment"),
    "headline": Field("title", "text"),
    "summary": Field("description", "text", needed=False),
    "publisher": Field("source.name", "text", needed=False),
    "author": Field("author", "text", needed=False),
    "url": Field("url", "text"),
}
_HOUR, _SECOND = pd.Timedelta(hours=1), pd.Timedelta(seconds=1)


class NewsApiSource:
    """Articles of NewsAPI.

    Args:
        access: `key`; `feed` is the plan: `developer` (where it is empty) or `business`.
        words: what to search for, by symbol, in the vendor's language of searches.
        clock: now, UTC.

    Raises:
        ParameterError: the key is empty, or there is no such plan.
    """

    name = "newsapi"
    label = "NewsAPI · a search for words, not for symbols"
    synthetic = False

    def __init__(
        self,
        gateway: Gateway,
        access: Access,
        *,
        words: Mapping[str, str] | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        key, plan = access.key.get_secret_value().strip(), access.feed or "developer"
        if not key:
            raise ParameterError(
                "the key of NewsAPI is empty; no source was made.", remedy="set WORKBENCH_NEWSAPI_KEY."
            )
        if plan not in PLANS:
            raise ParameterError(f"plan={plan!r} is not one of {', '.join(PLANS)}; no source was made.")
        self._gateway, self._key, self._clock = gateway, SecretStr(key), clock
        self._words = dict(words or {})
        limit, self._late = PLANS[plan]
        self._vendor = replace(VENDOR, url=(access.url or VENDOR.url).rstrip("/"), limits=(limit,))

    def __repr__(self) -> str:
        return f"NewsApiSource(at={self._vendor.url!r})"

    def news(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Articles of the days from `start` to `end` in New York in which the words of a symbol stand.

        Raises:
            SourceRefused, SourceUnavailable: NewsAPI said no, or did not answer.
            BadData: an answer cannot be read, or more was found than can be had; nothing was passed on.
        """
        wanted, (first, after) = symbols_of(symbols), regular.span(start, end)
        last = min(after - _SECOND, pd.Timestamp(self._clock()).floor("s"))
        found = [
            page.assign(symbol=pd.Series([symbol] * len(page), dtype="str"))
            for symbol in wanted
            for page in (self._search(symbol, first, last) if first <= last else ())
        ] or [reading.table([], _ARTICLE, of=_OF).assign(symbol=pd.Series(dtype="str"))]
        rows = pd.concat(found, ignore_index=True)
        rows = rows[rows["headline"] != REMOVED].reset_index(drop=True)
        time = rows["time"]
        known = pd.Series(learned.seen_by(pd.DatetimeIndex(time + self._late).as_unit("us"), self._clock()))
        rows = rows.assign(
            key=rows["url"],
            session=days_of(time),
            happened=time,
            learned=known.where(known > time, time).astype("datetime64[us, UTC]"),
            source=self.name,
        )
        inside = rows["session"].between(pd.Timestamp(start), pd.Timestamp(end))
        return reading.in_order(kind_of("news"), rows[inside], wanted)

    def _search(self, symbol: str, first: pd.Timestamp, last: pd.Timestamp) -> Iterator[pd.DataFrame]:
        rows, total = self._page(symbol, first, last)
        if total <= PAGE:
            if len(rows) != total:
                raise BadData(
                    f"{_OF}: {total} were found and {len(rows)} given; none was passed on.", remedy="ask again."
                )
            yield rows
            return
        if last - first <= _HOUR:
            raise BadData(
                f"{_OF}: {total} were found for {symbol} in an hour and {PAGE} can be had; none was passed on.",
                remedy="search for narrower words: words={'" + symbol + "': …}.",
            )
        middle = (first + (last - first) / 2).floor("s")
        yield from self._search(symbol, first, middle)
        yield from self._search(symbol, middle + _SECOND, last)

    def _page(self, symbol: str, first: pd.Timestamp, last: pd.Timestamp) -> tuple[pd.DataFrame, int]:
        answer = self._gateway.get(
            self._vendor,
            "/v2/everything",
            query={
                "q": self._words.get(symbol, f'"{symbol}"'),
                "searchIn": "title,description",
                "language": "en",
                "from": f"{first:%Y-%m-%dT%H:%M:%S}",
                "to": f"{last:%Y-%m-%dT%H:%M:%S}",
                "sortBy": "publishedAt",
                "pageSize": PAGE,
                "page": 1,
            },
            headers={"X-Api-Key": self._key},
            kind="news",
            absent=(),
        )
        with reading.of(answer):
            body = reading.mapping(answer.json(), of=_OF)
            self._check_status(body)
            rows = reading.table(reading.part(body, "articles", list, of=_OF), _ARTICLE, of=_OF)
            total: int = reading.part(body, "totalResults", int, of=_OF)
        return rows, total

    def _check_status(self, body: Mapping[str, Any]) -> None:
        """NewsAPI says no with a status inside the answer, whatever the status of HTTP is."""
        status = reading.word(body, "status", of=_OF)
        if status == "ok":
            return
        if status != "error":
            raise BadData(f"{_OF}: the answer has no known status; nothing was passed on.", remedy="ask again.")
        said = f"{body.get('code')}: {body.get('message')}"[:200].replace(self._key.get_secret_value(), "***")
        raise SourceRefused(
            f"NewsAPI refused ({said}). Nothing was read.", remedy="look at the key, the plan and its day's requests."
        )
