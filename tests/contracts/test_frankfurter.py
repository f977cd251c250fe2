"""Frankfurter keeps the contracts of every vendor and of every source of rates."""

from typing import ClassVar

from tests.contracts.fact_contract import FxContract, day
from tests.vendors import frankfurter


class TestFrankfurter(FxContract):
    name = "frankfurter"
    keyless = True
    asks: ClassVar = {"fx": ("fx", (["EUR/USD", "EUR/GBP"],), {"start": day("2024-04-29"), "end": day("2024-05-06")})}
    refusals = (frankfurter.refusal("invalid currency: ZZZ"),)
    empties: ClassVar = {"fx": b"[]"}

    def routes(self, vendor):
        frankfurter.routes(vendor)
