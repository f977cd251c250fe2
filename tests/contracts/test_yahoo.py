"""Yahoo's bars for the contracts."""

from typing import ClassVar

import pandas as pd

from tests.contracts.bars_contract import BarContract
from tests.contracts.http_contract import HttpContract
from tests.vendors import yahoo
from workbench.data.sources.yahoo import YahooSource

RANGE = {"start": pd.Timestamp("2024-03-04"), "end": pd.Timestamp("2024-03-06")}
HOURS = {"start": RANGE["end"], "end": RANGE["end"], "timeframe": "1h"}


class TestBars(HttpContract, BarContract):
    name = "yahoo"
    symbols = ("MSFT", "AAPL")
    says = "Yahoo · undocumented, last resort"
    timeframes = ("1d", "1h", "5m", "1m")
    lists = False
    end = pd.Timestamp("2015-06-22")
    asks: ClassVar = {"days": ("bars", (["AAPL"],), RANGE), "hours": ("bars", (["AAPL"],), HOURS)}
    refusals = yahoo.REFUSALS

    def routes(self, vendor):
        yahoo.routes(vendor)

    def made(self, gateway, access):
        return YahooSource(gateway, access, clock=self.clock)
