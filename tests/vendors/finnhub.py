"""Finnhub's company news on loopback, in its documented shape, with invented articles."""

from __future__ import annotations

import pandas as pd

from tests.vendors.server import Reply

BAD_KEY = Reply({"error": "Invalid API key."}, status=401)
NOT_IN_PLAN = Reply({"error": "You don't have access to this resource."}, status=403)
REFUSALS = (BAD_KEY, NOT_IN_PLAN)


def article(number, moment, symbol="AAPL", **changed):
    """One article of this moment."""
    return {
        "category": "company",
        "datetime": int(pd.Timestamp(moment).timestamp()),
        "headline": f"Invented headline {number}",
        "id": number,
        "image": "",
        "related": symbol,
        "source": "loopback wire",
        "summary": "Made up for a test.",
        "url": f"https://news.example.org/{number}",
    } | changed


NEWS = [
    article(501, "2024-03-06T02:00:00Z"),
    article(502, "2024-03-05T13:00:00Z"),
    article(503, "2024-03-04T02:00:00Z"),
]


def company_news(articles=None):
    """The articles of the days asked for (days of UTC), the newest first."""

    def reply(asked):
        first, last = asked.query["from"], asked.query["to"]
        known = NEWS if articles is None else articles
        return [
            one | {"related": asked.query["symbol"]}
            for one in known
            if asked.query["symbol"] in {"AAPL", "MSFT"}
            and first <= f"{pd.Timestamp(one['datetime'], unit='s'):%Y-%m-%d}" <= last
        ]

    return reply


def routes(vendor):
    """The one address that is asked."""
    vendor.route(r"/company-news", company_news())
