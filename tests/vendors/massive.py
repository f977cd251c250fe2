"""Massive on loopback, in its documented shapes, with invented numbers."""

from __future__ import annotations

import urllib.parse

import pandas as pd

from tests.vendors import prices
from tests.vendors.server import Reply

BAD_KEY = Reply({"status": "ERROR", "request_id": "r", "error": "Unknown API Key"}, status=401)
NOT_IN_PLAN = Reply(
    {"status": "NOT_AUTHORIZED", "request_id": "r", "message": "You are not entitled to this data."}, status=403
)
IN_THE_BODY = Reply({"status": "NOT_AUTHORIZED", "request_id": "r", "message": "You are not entitled to this data."})
REFUSALS = (BAD_KEY, NOT_IN_PLAN, IN_THE_BODY)
KNOWN = ("AAPL", "MSFT", "BRK.B")


def ns(text):
    return pd.Timestamp(text).value


def quote(moment, bid, ask):
    """One quote; a bid of 0 is none."""
    sizes = {"bid_size": 4 if bid else 0, "ask_size": 3, "bid_exchange": 15}
    return {"sip_timestamp": ns(moment), "bid_price": bid, "ask_price": ask} | sizes


def trade(moment, price, **changed):
    """One trade; its id is its own on its venue only."""
    return {"sip_timestamp": ns(moment), "price": price, "size": 30, "exchange": 11, "id": "71"} | changed


def article(number, moment, symbol, **more):
    """One article, in as few fields as the vendor sends."""
    return {"id": number, "title": f"Invented headline {number}", "published_utc": moment, "tickers": [symbol]} | more


QUOTES = {
    "AAPL": [
        quote("2024-03-05T14:30:00.000000123Z", 50.2, 50.25),
        quote("2024-03-05T14:30:01.5Z", 0, 50.27),
        quote("2024-03-06T15:00:00Z", 50.4, 50.45),
    ],
    "MSFT": [quote("2024-03-06T14:30:00Z", 90.1, 90.3)],
}
TRADES = {
    "AAPL": [
        trade("2024-03-05T14:30:00.1Z", 50.2, exchange=4, trf_id=12),
        trade("2024-03-05T14:30:00.1Z", 50.3),
        trade("2024-03-06T15:00:00Z", 50.4),
    ],
    "MSFT": [trade("2024-03-06T14:30:00Z", 90.2)],
}
NEWS = {
    "AAPL": [
        article(
            "a1",
            "2024-03-05T13:00:00Z",
            "AAPL",
            publisher={"name": "loopback wire", "homepage_url": "https://news.example.org"},
            author="Nobody",
            article_url="https://news.example.org/a1",
            description="Made up for a test.",
        ),
        article("a2", "2024-03-06T01:30:00Z", "AAPL"),
    ],
    "MSFT": [article("a1", "2024-03-06T13:00:00Z", "MSFT")],
}
SPLITS = [
    {
        "id": "s1",
        "ticker": "AAPL",
        "execution_date": "2024-03-06",
        "split_from": 1,
        "split_to": 4,
        "adjustment_type": "forward_split",
        "historical_adjustment_factor": 0.25,
    }
]
DIVIDENDS = [
    {
        "id": "d1",
        "ticker": "AAPL",
        "ex_dividend_date": "2024-03-07",
        "declaration_date": "2024-02-20",
        "cash_amount": 0.31,
        "currency": "USD",
        "frequency": 4,
        "split_adjusted_cash_amount": 0.1,
    },
    {"id": "d2", "ticker": "MSFT", "ex_dividend_date": "2024-03-05", "cash_amount": 0.2, "currency": "USD"},
]
INTEREST = [
    {"ticker": "AAPL", "settlement_date": "2024-02-29", "short_interest": 1_200_000, "avg_daily_volume": 600_000,
     "days_to_cover": 2.0},
    {"ticker": "AAPL", "settlement_date": "2024-03-15", "short_interest": 1_100_000},
    {"ticker": "MSFT", "settlement_date": "2024-02-29", "short_interest": 90_000},
]  # fmt: skip
VOLUME = [
    {"ticker": "AAPL", "date": "2024-03-05", "short_volume": 4_000, "exempt_volume": 20, "total_volume": 9_000},
    {"ticker": "AAPL", "date": "2024-03-06", "short_volume": 5_000, "total_volume": 9_500},
    {"ticker": "MSFT", "date": "2024-03-05", "short_volume": 1_000, "total_volume": 2_000},
]
CHAIN = [
    {
        "details": {"ticker": "O:AAPL240419C00050000", "contract_type": "call", "strike_price": 50},
        "last_quote": {
            "bid": 1.8, "ask": 1.9, "last_updated": ns("2024-03-05T20:59:58Z"), "timeframe": "DELAYED"
        },
        "last_trade": {"price": 1.85, "sip_timestamp": ns("2024-03-05T19:58:00Z"), "size": 2},
        "implied_volatility": 0.31,
        "open_interest": 812,
        "greeks": {"delta": 0.52, "gamma": 0.06, "theta": -0.03, "vega": 0.07},
    },
    {
        "details": {"ticker": "O:AAPL240419P00045000", "contract_type": "put", "strike_price": 45},
        "last_trade": {"price": 0.05, "sip_timestamp": ns("2024-03-05T18:00:00Z"), "size": 1},
        "greeks": {},
        "open_interest": 3,
    },
    {"details": {"ticker": "O:AAPL240419C00090000", "contract_type": "call", "strike_price": 90}, "greeks": {}},
]  # fmt: skip


def paged(asked, rows, *, page, host, **more):
    """A page of rows, and the address of the next one on this host."""
    begin = int(asked.query.get("cursor") or 0)
    body = {"status": "OK", "request_id": "r", "results": rows[begin : begin + page]} | more
    if begin + page < len(rows):
        query = urllib.parse.urlencode(asked.query | {"cursor": begin + page})
        body["next_url"] = f"{host}{asked.path}?{query}"
    return body


def bars(asked, host):
    """Aggregates, seven days on a page; where there are none, the rows are left out."""
    _, _, _, _, symbol, _, number, unit, start, end = asked.path.split("/")
    minutes, page = (None, 7) if unit == "day" else (int(number), 2_000)
    rows = [
        {"t": moment.value // 1_000_000, "n": 12, "vw": 1.0}
        | {name[0]: value for name, value in prices.bar(symbol, moment).items()}
        for moment in (prices.begins(start, end, minutes=minutes) if symbol in KNOWN else ())
    ]
    about = {"ticker": symbol, "adjusted": True, "queryCount": len(rows)}
    if not rows:
        return {"status": "OK", "request_id": "r", "resultsCount": 0} | about
    return paged(asked, rows, page=page, host=host, resultsCount=page, **about)


def routes(vendor):
    """Everything that the source asks for."""

    def ticks(values):
        def reply(asked):
            first, last = (int(asked.query[f"timestamp.{name}"]) for name in ("gte", "lt"))
            found = [row for row in values.get(asked.path.split("/")[-1], ()) if first <= row["sip_timestamp"] < last]
            return paged(asked, found, page=1, host=vendor.url)

        return reply

    def news(asked):
        first, last = (asked.query[f"published_utc.{name}"] for name in ("gte", "lt"))
        found = [row for row in NEWS.get(asked.query["ticker"], ()) if first <= row["published_utc"] < last]
        return paged(asked, found, page=1, host=vendor.url)

    def chain(asked):
        return paged(asked, CHAIN if asked.path.endswith("/AAPL") else [], page=2, host=vendor.url)

    def listed(rows, day):
        def reply(asked):
            wanted = asked.query["ticker.any_of"].split(",")
            first, last = (asked.query[f"{day}.{name}"] for name in ("gte", "lte"))
            found = [row for row in rows if row["ticker"] in wanted and first <= row[day] <= last]
            return paged(asked, found, page=2, host=vendor.url)

        return reply

    vendor.route(r"/v2/aggs/ticker/.+", lambda asked: bars(asked, vendor.url))
    vendor.route(r"/v3/quotes/.+", ticks(QUOTES))
    vendor.route(r"/v3/trades/.+", ticks(TRADES))
    vendor.route(r"/v2/reference/news", news)
    vendor.route(r"/v3/snapshot/options/.+", chain)
    vendor.route(r"/stocks/v1/splits", listed(SPLITS, "execution_date"))
    vendor.route(r"/stocks/v1/dividends", listed(DIVIDENDS, "ex_dividend_date"))
    vendor.route(r"/stocks/v1/short-interest", listed(INTEREST, "settlement_date"))
    vendor.route(r"/stocks/v1/short-volume", listed(VOLUME, "date"))
