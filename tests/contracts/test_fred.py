"""FRED keeps the contracts of every vendor and of every source of economic series."""

from typing import ClassVar

from tests.contracts.fact_contract import MacroContract, Revised, day, utc
from tests.vendors import fred


class TestFred(Revised, MacroContract):
    name = "fred"
    key_in_query = True
    asks: ClassVar = {
        "macro": ("macro", (["OURRATE", "OURCPI"],), {"start": day("2024-01-01"), "end": day("2024-04-01")})
    }
    refusals = (
        fred.NO_SERIES,
        fred.refusal("The value for variable api_key is not registered."),
    )
    revision: ClassVar = {
        "symbol": "OURCPI",
        "session": day("2024-01-01"),
        "value": "value",
        "old": 301.5,
        "new": 301.9,
        "learned": utc("2024-03-14 05:00"),  # the end of 13 March in St. Louis, in summer time
    }

    def routes(self, vendor):
        fred.routes(vendor)
