"""Massive's facts for the contracts."""

from typing import ClassVar

import pandas as pd

from tests.contracts.bars_contract import BarContract
from tests.contracts.fact_contract import ShortInterestContract, ShortVolumeContract
from tests.contracts.http_contract import HttpContract
from tests.contracts.market_contract import ActionContract, NewsContract, OptionContract, QuoteContract, TradeContract
from tests.vendors import massive
from workbench.data.raw import RawBars
from workbench.data.sources.massive import MassiveSource

BOTH = (["AAPL", "MSFT"],)
RANGE = {"start": pd.Timestamp("2024-02-28"), "end": pd.Timestamp("2024-03-20")}
NOTHING = {"status": "OK", "request_id": "r", "results": []}


class Massive(HttpContract):
    name = "massive"
    access: ClassVar = {"feed": "advanced"}
    refusals = massive.REFUSALS
    harmless: ClassVar = {"*": (r"next_url",)}  # left out where there is no more

    def routes(self, vendor):
        massive.routes(vendor)

    def made(self, gateway, access):
        return MassiveSource(gateway, access, clock=self.clock)


class TestBars(Massive, BarContract):
    symbols = ("MSFT", "AAPL")
    says = "Massive · advanced plan · adjusted for splits only"
    timeframes = ("1d", "1h", "5m", "1m")
    lists = False
    end = pd.Timestamp("2015-06-22")
    asks: ClassVar = {"bars": ("bars", BOTH, RANGE)}
    empties: ClassVar = {"bars": tuple({"status": "OK", "ticker": symbol, "resultsCount": 0} for symbol in BOTH[0])}


class TestRawBars(TestBars):
    """The same answers, read by the same code: their fields are not broken a second time."""

    no_json = ("bars",)
    name = "massive-raw"
    says = "Massive · advanced plan · raw"

    def made(self, gateway, access):
        return RawBars(MassiveSource(gateway, access, adjustment="raw", clock=self.clock))


class TestQuotes(Massive, QuoteContract):
    asks: ClassVar = {"quotes": ("quotes", BOTH, RANGE)}
    empties: ClassVar = {"quotes": (NOTHING, NOTHING)}
    optional = (r"results\.\d+\.(bid|ask)_(price|size)",)


class TestTrades(Massive, TradeContract):
    asks: ClassVar = {"trades": ("trades", BOTH, RANGE)}
    empties: ClassVar = {"trades": (NOTHING, NOTHING)}
    harmless: ClassVar = {"*": (r"next_url", r"results\.\d+\.trf_id")}  # not every trade has a reporting facility


class TestNews(Massive, NewsContract):
    asks: ClassVar = {"news": ("news", BOTH, RANGE)}
    empties: ClassVar = {"news": (NOTHING | {"count": 0}, NOTHING)}
    optional = (r"results\.\d+\.(description|author|article_url|publisher|publisher\.name)",)


class TestActions(Massive, ActionContract):
    asks: ClassVar = {"actions": ("actions", BOTH, RANGE)}
    empties: ClassVar = {"actions": (NOTHING, NOTHING)}
    harmless: ClassVar = {"*": (r"next_url", r"results\.\d+\.declaration_date")}  # then it is known at the ex-day


class TestShortInterest(Massive, ShortInterestContract):
    asks: ClassVar = {"short interest": ("short_interest", BOTH, RANGE)}
    empties: ClassVar = {"short interest": NOTHING}
    optional = (r"results\.\d+\.(avg_daily_volume|days_to_cover)",)


class TestShortVolume(Massive, ShortVolumeContract):
    asks: ClassVar = {"short volume": ("short_volume", BOTH, RANGE)}
    empties: ClassVar = {"short volume": NOTHING}
    optional = (r"results\.\d+\.exempt_volume",)


class TestOptions(Massive, OptionContract):
    chain = tuple(sorted(row["details"]["ticker"].removeprefix("O:") for row in massive.CHAIN[:2]))
    asks: ClassVar = {"options": ("options", (["AAPL"],), {})}
    empties: ClassVar = {"options": NOTHING}
    # A contract is quoted, or traded, or neither, and says so by what it leaves out.
    harmless: ClassVar = {"*": (r"next_url", r"results\.\d+\.(last_quote|last_trade)(\.(last_updated|sip_timestamp))?")}
    optional = (
        r"results\.\d+\.(greeks|greeks\.[a-z]+|implied_volatility|open_interest)",
        r"results\.\d+\.(last_quote\.(bid|ask|timeframe)|last_trade\.price)",
    )
