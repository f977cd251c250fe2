"""EDGAR keeps the contracts of every vendor and of every source of filings and of fundamentals."""

from typing import ClassVar

from tests.contracts.fact_contract import FilingContract, FundamentalContract, Revised, day, utc
from tests.vendors import edgar
from tests.vendors.server import Reply

# A whole entry of a mapping that is not there is another answer, and no broken one.
OTHER_ANSWERS = (r"0", r"1", r"facts\.us-gaap", r"facts\.us-gaap\.\w+", r"facts\.us-gaap\.\w+\.units\.[\w/]+")


class TestFilings(FilingContract):
    name = "edgar"
    keyless = True
    asks: ClassVar = {
        "filings": ("filings", (["QORT", "LUMB.B"],), {"start": day("2019-01-01"), "end": day("2024-06-03")})
    }
    refusals = (Reply({"message": "Bad Request"}, status=400),)

    def routes(self, vendor):
        edgar.routes(vendor)


class TestFundamentals(Revised, FundamentalContract):
    name = "edgar"
    keyless = True
    asks: ClassVar = {
        "fundamentals": ("fundamentals", (["QORT", "LUMB.B"],), {"start": day("2019-01-01"), "end": day("2024-06-03")})
    }
    refusals = TestFilings.refusals
    # Without a first day it is the number of one day; without a value the row has none, and is kept back later.
    harmless: ClassVar = {"fundamentals": (*OTHER_ANSWERS, r"facts\.us-gaap\..*\.start", r".*\.val")}
    optional = (r".*\.(fy|fp)",)
    revision: ClassVar = {
        "symbol": "QORT",
        "session": day("2023-12-31"),
        "key": "us-gaap:Revenues:USD:2023-01-01",
        "value": "value",
        "old": 1500.0,
        "new": 1430.0,
        "learned": utc("2024-05-15 20:30"),
    }

    def routes(self, vendor):
        edgar.routes(vendor, older=False)

    @staticmethod
    def broken(bodies):
        """The other pages are broken in turn by the class above."""
        return (one for one in FundamentalContract.broken(bodies) if b'"facts"' in bodies[one[0]])

    def days(self, rows):
        filed = {row[0]: row[1] for row in (*edgar.NEWEST, *edgar.OLDER, *edgar.OF_LUMB)}
        return rows["accession"].map(filed | {edgar.UNLISTED: "2023-08-04"}).astype("datetime64[us]")
