"""FINRA keeps the contracts of every vendor and of every source of short positions and short volumes."""

import json
from typing import ClassVar

from tests.contracts.fact_contract import Revised, ShortInterestContract, ShortVolumeContract, day, utc
from tests.vendors import finra
from tests.vendors.server import Reply


class TestShortInterest(Revised, ShortInterestContract):
    name = "finra"
    keyless = True
    asks: ClassVar = {
        "short_interest": (
            "short_interest",
            (["QORT", "LUMB.B"],),
            {"start": day("2024-03-01"), "end": day("2024-04-30")},
        )
    }
    refusals = (Reply({"statusCode": "400", "message": "Invalid filter"}, status=400),)
    # FINRA documents null as "not revised"; nobody can see that a flag got lost.
    harmless: ClassVar = {"short_interest": (r"\d+\.revisionFlag",)}
    optional = (r"\d+\.(previousShortPosition|averageDailyVolume|daysToCover)Quantity",)
    revision: ClassVar = {
        "symbol": "QORT",
        "session": day("2024-03-28"),
        "value": "short_shares",
        "old": 5000.0,
        "new": 5500.0,
        "learned": utc("2024-04-26 04:00"),  # the end of the 8th business day after 15 April
    }

    def routes(self, vendor):
        finra.routes(vendor)

    def played(self, source, vendor, label, bodies):
        """FINRA says in a header how many rows there are."""
        whole = [Reply(body, headers={"Record-Total": f"{_rows(body)}"}) for body in bodies]
        vendor._next.clear()
        vendor.next(*whole, *[Reply({"error": "no more"}, status=400)] * 4)
        try:
            return self.ask(source, label)
        finally:
            vendor._next.clear()


def _rows(body):
    said = json.loads(body)
    return len(said) if isinstance(said, list) else 1


class TestShortVolume(ShortVolumeContract):
    name = "finra"
    keyless = True
    asks: ClassVar = {
        "short_volume": (
            "short_volume",
            (["QORT", "LUMB.B"],),
            {"start": day("2024-05-29"), "end": day("2024-05-31")},
        )
    }
    refusals = (Reply("gone", status=410),)
    no_json = ("short_volume",)

    def routes(self, vendor):
        finra.routes(vendor)
