"""Finnhub's and NewsAPI's facts for the contracts."""

from typing import ClassVar

import pandas as pd

from tests.contracts.market_contract import NewsContract
from tests.vendors import finnhub, newsapi
from workbench.data.sources.newsapi import NewsApiSource

RANGE = {"start": pd.Timestamp("2024-03-04"), "end": pd.Timestamp("2024-03-06")}
BOTH = (["AAPL", "MSFT"],)


class TestFinnhub(NewsContract):
    name = "finnhub"
    asks: ClassVar = {"news": ("news", BOTH, RANGE)}
    refusals = finnhub.REFUSALS
    empties: ClassVar = {"news": ([], [])}

    def routes(self, vendor):
        finnhub.routes(vendor)


class TestNewsApi(NewsContract):
    name = "newsapi"
    asks: ClassVar = {"news": ("news", BOTH, RANGE)}
    refusals = newsapi.REFUSALS
    empties: ClassVar = {"news": ({"status": "ok", "totalResults": 0, "articles": []},) * 2}
    optional = (r"articles\.\d+\.(author|description|source|source\.name)",)

    def routes(self, vendor):
        newsapi.routes(vendor)

    def made(self, gateway, access):
        return NewsApiSource(gateway, access, clock=self.clock)
