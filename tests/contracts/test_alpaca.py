"""Alpaca's facts for the contracts."""

from typing import ClassVar

import pandas as pd

from tests.contracts.bars_contract import BarContract
from tests.contracts.http_contract import HttpContract
from tests.contracts.market_contract import ActionContract, NewsContract, OptionContract, QuoteContract, TradeContract
from tests.vendors import alpaca
from workbench.data.raw import RawBars
from workbench.data.sources.alpaca import AlpacaSource

BOTH = (["AAPL", "MSFT"],)
RANGE = {"start": pd.Timestamp("2024-03-04"), "end": pd.Timestamp("2024-03-08")}
LAST = {"next_page_token": None}
# Alpaca leaves out a symbol that it has nothing for and the parts of a contract that it does not have.
LEFT_OUT = (
    r"next_page_token",
    r"(bars|quotes|trades|corporate_actions|snapshots)\.[^.]+",
    r"snapshots\.[^.]+\.latestQuote",
    r"AAPL",
)


class Alpaca(HttpContract):
    name = "alpaca"
    refusals = alpaca.REFUSALS
    harmless: ClassVar = {"*": LEFT_OUT}

    def routes(self, vendor):
        alpaca.routes(vendor)

    def made(self, gateway, access):
        return AlpacaSource(gateway, access, clock=self.clock)


class TestBars(Alpaca, BarContract):
    symbols = ("MSFT", "AAPL")
    says = "Alpaca · iex · fully adjusted"
    timeframes = ("1d", "1h", "5m", "1m")
    lists = False
    end = pd.Timestamp("2015-06-22")
    asks: ClassVar = {"bars": ("bars", BOTH, RANGE)}
    empties: ClassVar = {"bars": {"bars": {}} | LAST}


class TestRawBars(TestBars):
    """The same answers, read by the same code: their fields are not broken a second time."""

    no_json = ("bars",)
    name = "alpaca-raw"
    says = "Alpaca · iex · raw"

    def made(self, gateway, access):
        return RawBars(AlpacaSource(gateway, access, adjustment="raw", clock=self.clock))


class TestQuotes(Alpaca, QuoteContract):
    asks: ClassVar = {"quotes": ("quotes", BOTH, RANGE)}
    empties: ClassVar = {"quotes": {"quotes": {}} | LAST}


class TestTrades(Alpaca, TradeContract):
    asks: ClassVar = {"trades": ("trades", BOTH, RANGE)}
    empties: ClassVar = {"trades": {"trades": {}} | LAST}


class TestNews(Alpaca, NewsContract):
    asks: ClassVar = {"news": ("news", BOTH, RANGE)}
    empties: ClassVar = {"news": {"news": []} | LAST}
    optional = (r"news\.\d+\.url",)


class TestActions(Alpaca, ActionContract):
    asks: ClassVar = {"actions": ("actions", BOTH, RANGE)}
    empties: ClassVar = {"actions": {"corporate_actions": {}} | LAST}


class TestOptions(Alpaca, OptionContract):
    chain = tuple(alpaca.CHAIN)
    asks: ClassVar = {
        "options": ("options", (["AAPL"],), {}),
        "option snapshots": ("option_snapshots", (list(alpaca.CHAIN)[:1],), {}),
    }
    empties: ClassVar = {"options": {"snapshots": {}} | LAST, "option snapshots": {"snapshots": {}} | LAST}
    optional = (r"snapshots\.[^.]+\.(latestTrade|impliedVolatility|greeks|greeks\.[a-z]+)",)


class TestNewest(Alpaca):
    asks: ClassVar = {
        "latest quotes": ("latest_quotes", (["AAPL"],), {}),
        "latest trades": ("latest_trades", (["AAPL"],), {}),
        "latest bars": ("latest_bars", (["AAPL"],), {}),
        "snapshots": ("snapshots", (["AAPL"],), {}),
    }
    empties: ClassVar = {
        "latest quotes": {"quotes": {}},
        "latest trades": {"trades": {}},
        "latest bars": {"bars": {}},
        "snapshots": {},
    }
    optional = (r"AAPL\.(latestQuote|dailyBar|prevDailyBar)(\.[a-z]+)?",)
