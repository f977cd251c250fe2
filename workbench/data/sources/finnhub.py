"""Finnhub: articles about North American companies, tagged with a symbol by the vendor.

What to know before believing a fact made of them:

- Matching is the vendor's: it answers with articles that it tagged with the symbol.
- The free plan reaches back a year. The vendor answers with the newest articles of a span and leaves the rest out
  without saying so; it does not say how many it gives. An answer of 100 or more is therefore asked for again in two
  halves, down to single days; of one day nothing more can be had.
- An article counts as known when it was published, which is all that the vendor says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pandas as pd
from pydantic import SecretStr

from workbench.data import reading
from workbench.data.gateway import Limit, Vendor
from workbench.data.kinds import kind_of
from workbench.data.reading import Field
from workbench.data.regular import days_of
from workbench.data.source import symbols_of
from workbench.errors import BadData, ParameterError

if TYPE_CHECKING:
    from workbench.data.access import Access
    from workbench.data.gateway import Gateway

# Free plan: 60 requests a minute; all plans: 30 a second.
VENDOR: Final = Vendor(
    name="finnhub",
    url="https://finnhub.io/api/v1",
    limits=(Limit(requests=60, seconds=60.0), Limit(requests=30, seconds=1.0)),
)
MANY: Final = 100  # articles after which an answer may have been cut
_OF: Final = "Finnhub's news"
_ARTICLE: Final = {
    "key": Field("id", "whole"),
    "time": Field("datetime", "moment", unit="s"),
    "headline": Field("headline", "text"),
    "summary": Field("summary", "text"),
    "publisher": Field("source", "text"),
    "url": Field("url", "text"),
    "related": Field("related", "text"),
}
_DAY: Final = pd.Timedelta(days=1)


class FinnhubSource:
    """Articles of Finnhub.

    Raises:
        ParameterError: the key is empty.
    """

    name = "finnhub"
    label = "Finnhub · company news"
    synthetic = False

    def __init__(self, gateway: Gateway, access: Access) -> None:
        key = access.key.get_secret_value().strip()
        if not key:
            raise ParameterError(
                "the key of Finnhub is empty; no source was made.", remedy="set WORKBENCH_FINNHUB_KEY."
            )
        self._gateway, self._headers = gateway, {"X-Finnhub-Token": SecretStr(key)}
        self._vendor = replace(VENDOR, url=(access.url or VENDOR.url).rstrip("/"))

    def __repr__(self) -> str:
        return f"FinnhubSource(at={self._vendor.url!r})"

    def news(self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Articles of the days from `start` to `end` in New York: rows of kind `news`.

        Raises:
            SourceRefused, SourceUnavailable: Finnhub said no, or did not answer.
            BadData: an answer cannot be read, or is about another symbol; nothing was passed on.
        """
        wanted = symbols_of(symbols)
        first, last = pd.Timestamp(start), pd.Timestamp(end)
        # The vendor's days are not those of New York: one more on each side, and what is too much is left out.
        pages = [page for symbol in wanted for page in self._pages(symbol, first - _DAY, last + _DAY)]
        rows = pd.concat(pages, ignore_index=True)
        rows = rows.assign(session=days_of(rows["time"]), happened=rows["time"], learned=rows["time"], source=self.name)
        return reading.in_order(kind_of("news"), rows[rows["session"].between(first, last)], wanted)

    def _pages(self, symbol: str, first: pd.Timestamp, last: pd.Timestamp) -> Iterator[pd.DataFrame]:
        answer = self._gateway.get(
            self._vendor,
            "/company-news",
            query={"symbol": symbol, "from": f"{first:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}"},
            headers=self._headers,
            kind="news",
            absent=(),
        )
        with reading.of(answer):
            rows = reading.table(reading.listing(answer.json(), of=_OF), _ARTICLE, of=_OF)
            about = rows["related"].str.split(",").map(lambda named: symbol in named)
            if not about.all():
                raise BadData(f"{_OF}: {symbol} was asked for, and {int((~about).sum())} articles are not about it.")
        if len(rows) < MANY or first >= last:
            yield rows.assign(symbol=pd.Series([symbol] * len(rows), dtype="str"))
            return
        middle = (first + (last - first) / 2).normalize()
        yield from self._pages(symbol, first, middle)
        yield from self._pages(symbol, middle + _DAY, last)
