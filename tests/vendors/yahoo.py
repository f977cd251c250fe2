"""Yahoo's chart on loopback, in the shape that its readers describe, with invented numbers."""

from __future__ import annotations

import pandas as pd

from tests.vendors import prices
from tests.vendors.server import Reply

TOO_OLD = Reply(
    {"chart": {"result": None, "error": {"code": "Unprocessable Entity", "description": "1m data not available"}}},
    status=422,
)
IN_THE_BODY = Reply({"chart": {"result": None, "error": {"code": "Bad Request", "description": "Invalid input"}}})
UNKNOWN = Reply(
    {"chart": {"result": None, "error": {"code": "Not Found", "description": "No data found, symbol may be delisted"}}},
    status=404,
)
REFUSALS = (TOO_OLD, IN_THE_BODY)
MINUTES = {"1d": None, "1h": 60, "5m": 5, "1m": 1}
KNOWN = ("AAPL", "MSFT", "BRK-B")
FACTOR = 0.98  # of the adjusted close


def chart(asked):
    """The chart of one symbol: arrays side by side, a day's moment at its open, as the vendor has it."""
    symbol = asked.path.split("/")[-1]
    if symbol not in KNOWN:
        return UNKNOWN
    first, last = (pd.Timestamp(int(asked.query[name]), unit="s", tz="UTC") for name in ("period1", "period2"))
    minutes = MINUTES[asked.query["interval"]]
    days = (first.tz_convert("America/New_York").date(), last.tz_convert("America/New_York").date())
    moments = [moment for moment in prices.begins(*days, minutes=minutes) if first <= moment < last]
    made = [prices.bar(symbol, moment) for moment in moments]
    opened = [moment + pd.Timedelta(minutes=570) if minutes is None else moment for moment in moments]
    result = {
        "meta": {"symbol": symbol, "currency": "USD", "exchangeTimezoneName": "America/New_York"},
        "timestamp": [int(moment.timestamp()) for moment in opened],
        "indicators": {"quote": [{name: [row[name] for row in made] for name in prices.NAMES}]},
    }
    if minutes is None:
        result["indicators"]["adjclose"] = [{"adjclose": [row["close"] * FACTOR for row in made]}]
    if not moments:
        del result["timestamp"]
        result["indicators"] = {"quote": [{}], "adjclose": [{}]}
    return {"chart": {"result": [result], "error": None}}


def routes(vendor):
    """The one address there is."""
    vendor.route(r"/v8/finance/chart/.+", chart)
