"""Alpaca's market data on loopback, in its documented shapes, with invented numbers."""

from __future__ import annotations

import pandas as pd

from tests.vendors import prices
from tests.vendors.server import Reply

BAD_KEY = Reply({"message": "unauthorized."}, status=401)
NOT_IN_PLAN = Reply({"message": "subscription does not permit querying recent SIP data"}, status=403)
BAD_SYMBOL = Reply({"code": 42210000, "message": "invalid symbol"}, status=422)
REFUSALS = (BAD_KEY, NOT_IN_PLAN, BAD_SYMBOL)
MINUTES = {"1Day": None, "30Min": 30, "5Min": 5, "1Min": 1}
KNOWN = ("AAPL", "MSFT", "BRK.B")


def quote(moment, bid, ask, **changed):
    """One quote; a bid of 0 is none."""
    return {
        "t": moment,
        "ax": "V",
        "ap": ask,
        "as": 3,
        "bx": "V",
        "bp": bid,
        "bs": 4 if bid else 0,
        "c": ["R"],
    } | changed


def trade(moment, price, number, venue="V"):
    """One trade; its number is its own on its venue only."""
    return {"t": moment, "x": venue, "p": price, "s": 30, "i": number, "c": ["@"], "z": "C"}


QUOTES = {
    "AAPL": [
        quote("2024-03-05T14:30:00.000000123Z", 50.2, 50.25),
        quote("2024-03-05T14:30:01.5Z", 0, 50.27),
        quote("2024-03-05T20:59:59Z", 50.3, 50.31),
        quote("2024-03-06T15:00:00Z", 50.4, 50.45),
    ],
    "MSFT": [quote("2024-03-06T14:30:00Z", 90.1, 90.3)],
}
TRADES = {
    "AAPL": [
        trade("2024-03-05T14:30:00.000000123Z", 50.21, 7001),
        trade("2024-03-05T14:30:00.000000123Z", 50.22, 7001, venue="P"),
        trade("2024-03-05T15:00:00Z", 50.4, 7002),
    ],
    "MSFT": [trade("2024-03-06T14:30:00Z", 90.2, 7001)],
}


def article(number, moment, *symbols, revised=None, **changed):
    """One article about these symbols."""
    return {
        "id": number,
        "headline": f"Invented headline {number}",
        "author": "Nobody",
        "source": "loopback wire",
        "summary": "Made up for a test.",
        "content": "",
        "url": f"https://news.example.org/{number}",
        "symbols": list(symbols),
        "created_at": moment,
        "updated_at": revised or moment,
    } | changed


NEWS = [
    article(9001, "2024-03-05T13:00:00Z", "AAPL", "MSFT", "OTHER", revised="2024-03-05T13:05:00Z"),
    article(9002, "2024-03-06T01:30:00Z", "AAPL", author="", summary="", url=None),
    article(9003, "2024-03-06T13:00:00Z", "MSFT"),
]
ACTIONS = [
    {
        "forward_splits": [
            {
                "id": "fs-1",
                "symbol": "AAPL",
                "new_rate": 4,
                "old_rate": 1,
                "process_date": "2024-03-06",
                "ex_date": "2024-03-06",
            }
        ],
        "cash_dividends": [
            {
                "id": "cd-1",
                "symbol": "AAPL",
                "rate": 0.31,
                "process_date": "2024-03-20",
                "ex_date": "2024-03-04",
            }
        ],
    },
    {
        "stock_dividends": [
            {"id": "sd-1", "symbol": "MSFT", "rate": 0.05, "process_date": "2024-03-07", "ex_date": "2024-03-07"}
        ],
        "spin_offs": [
            {
                "id": "so-1",
                "source_symbol": "MSFT",
                "source_rate": 2,
                "new_symbol": "NEWCO",
                "new_rate": 1,
                "process_date": "2024-03-05",
                "ex_date": "2024-03-05",
            }
        ],
        "stock_and_cash_mergers": [
            {
                "id": "sc-1",
                "acquirer_symbol": "MSFT",
                "acquirer_rate": 0.5,
                "acquiree_symbol": "OLDCO",
                "acquiree_rate": 1,
                "cash_rate": 3.5,
                "process_date": "2024-03-05",
                "effective_date": "2024-03-05",
            }
        ],
        "name_changes": [{"id": "nc-1", "old_symbol": "AAPL", "new_symbol": "APPL", "process_date": "2024-03-08"}],
        "worthless_removals": [{"id": "wr-1", "symbol": "MSFT", "process_date": "2024-03-08"}],
    },
]
CHAIN = {
    "AAPL240419C00050000": {
        "latestTrade": {"t": "2024-03-05T19:58:00Z", "x": "C", "p": 1.85, "s": 2, "c": "a"},
        "latestQuote": {
            "t": "2024-03-05T20:59:58Z", "ax": "A", "ap": 1.9, "as": 10, "bx": "A", "bp": 1.8, "bs": 11, "c": " "
        },
        "impliedVolatility": 0.31,
        "greeks": {"delta": 0.52, "gamma": 0.06, "rho": 0.02, "theta": -0.03, "vega": 0.07},
    },
    "AAPL240419P00045000": {
        "latestQuote": {
            "t": "2024-03-05T20:59:57Z", "ax": "A", "ap": 0.05, "as": 9, "bx": "A", "bp": 0, "bs": 0, "c": " "
        },
    },
}  # fmt: skip
QUIET = {"AAPL240419C00090000": {}}  # listed, never quoted


def bars(asked):
    """Pages of bars: symbol after symbol, seven days on a page."""
    query = asked.query
    page = 7 if query["timeframe"] == "1Day" else 2_000
    first, last = (pd.Timestamp(query[name]) for name in ("start", "end"))
    days = (first.tz_convert("America/New_York").date(), last.tz_convert("America/New_York").date())
    rows = [
        (symbol, moment)
        for symbol in sorted(set(query["symbols"].split(",")) & set(KNOWN))
        for moment in prices.begins(*days, minutes=MINUTES[query["timeframe"]])
        if first <= moment <= last
    ]
    begin = int(query.get("page_token") or 0)
    found = {}
    for symbol, moment in rows[begin : begin + page]:
        made = prices.bar(symbol, moment)
        row = {"t": moment.isoformat().replace("+00:00", "Z")} | {name[0]: value for name, value in made.items()}
        found.setdefault(symbol, []).append(row | {"n": 12, "vw": made["close"]})
    more = begin + page < len(rows)
    return {"bars": found, "next_page_token": str(begin + page) if more else None}


def rows(what, values, *, page=2):
    """The rows of one kind for symbols and span, two of them on a page."""

    def reply(asked):
        query = asked.query
        first, last = (pd.Timestamp(query[name]) for name in ("start", "end"))
        found = [
            (symbol, row)
            for symbol in sorted(set(query["symbols"].split(",")) & set(values))
            for row in values[symbol]
            if first <= pd.Timestamp(row["t"]) <= last
        ]
        begin = int(query.get("page_token") or 0)
        told = {}
        for symbol, row in found[begin : begin + page]:
            told.setdefault(symbol, []).append(row)
        return {what: told, "next_page_token": str(begin + page) if begin + page < len(found) else None}

    return reply


def newest(what, value):
    """The newest of one kind."""
    return lambda asked: {what: {symbol: value for symbol in asked.query["symbols"].split(",") if symbol in KNOWN}}


def news(asked):
    """The articles revised in the span, one on a page."""
    wanted = set(asked.query["symbols"].split(","))
    first, last = (pd.Timestamp(asked.query[name]) for name in ("start", "end"))
    found = [one for one in NEWS if wanted & set(one["symbols"]) and first <= pd.Timestamp(one["updated_at"]) <= last]
    begin = int(asked.query.get("page_token") or 0)
    return {"news": found[begin : begin + 1], "next_page_token": str(begin + 1) if begin + 1 < len(found) else None}


def actions(asked):
    """What was carried out in the span, in two pages with different groups."""
    wanted, second = set(asked.query["symbols"].split(",")), asked.query.get("page_token") == "more"
    page = {
        group: [
            row
            for row in found
            if wanted & {value for name, value in row.items() if name.endswith("symbol")}
            and asked.query["start"] <= row["process_date"] <= asked.query["end"]
        ]
        for group, found in ACTIONS[1 if second else 0].items()
        if group.removesuffix("s") in asked.query["types"].split(",")
    }
    return {
        "corporate_actions": {group: found for group, found in page.items() if found},
        "next_page_token": None if second else "more",
    }


def chain(asked):
    """Two pages of one contract each; the second has a contract that nobody quoted, too."""
    if not asked.path.endswith("/AAPL"):
        return {"snapshots": {}, "next_page_token": None}
    second = asked.query.get("page_token") == "more"
    names = list(CHAIN)
    found = {names[1]: CHAIN[names[1]]} | QUIET if second else {names[0]: CHAIN[names[0]]}
    return {"snapshots": found, "next_page_token": None if second else "more"}


def contracts(asked):
    """Snapshots of the contracts asked for."""
    wanted = asked.query["symbols"].split(",")
    return {"snapshots": {name: CHAIN[name] for name in wanted if name in CHAIN}, "next_page_token": None}


def snapshots(asked):
    """How each symbol stands."""
    day = {"t": "2024-03-05T05:00:00Z", "o": 50.0, "h": 51.0, "l": 49.5, "c": 50.4, "v": 1000, "n": 9, "vw": 50.2}
    whole = {
        "latestTrade": TRADES["AAPL"][2],
        "latestQuote": QUOTES["AAPL"][2],
        "minuteBar": None,
        "dailyBar": day,
        "prevDailyBar": day | {"t": "2024-03-04T05:00:00Z", "c": 49.9},
    }
    return {symbol: whole for symbol in asked.query["symbols"].split(",") if symbol in KNOWN}


def routes(vendor):
    """Everything that the source asks for."""
    minute = {"t": "2024-03-05T20:59:00Z", "o": 50.0, "h": 50.4, "l": 49.9, "c": 50.3, "v": 210, "n": 3, "vw": 50.2}
    vendor.route(r"/v2/stocks/bars", bars)
    vendor.route(r"/v2/stocks/quotes", rows("quotes", QUOTES))
    vendor.route(r"/v2/stocks/trades", rows("trades", TRADES))
    vendor.route(r"/v2/stocks/bars/latest", newest("bars", minute))
    vendor.route(r"/v2/stocks/quotes/latest", newest("quotes", QUOTES["AAPL"][2]))
    vendor.route(r"/v2/stocks/trades/latest", newest("trades", TRADES["AAPL"][2]))
    vendor.route(r"/v2/stocks/snapshots", snapshots)
    vendor.route(r"/v1beta1/news", news)
    vendor.route(r"/v1/corporate-actions", actions)
    vendor.route(r"/v1beta1/options/snapshots", contracts)
    vendor.route(r"/v1beta1/options/snapshots/.+", chain)
