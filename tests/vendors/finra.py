"""FINRA on loopback, with positions and volumes of our own: filters, pages with their number of rows, daily files."""

import json

from tests.vendors.server import Reply

POSITIONS = "/data/group/otcMarket/name/consolidatedShortInterest"


def position(symbol, settled, shares, before, *, volume=1000, days=None, revised=None):
    return {
        "accountingYearMonthNumber": int(settled.replace("-", "")),
        "symbolCode": symbol,
        "issueName": f"{symbol} Common Stock",
        "issuerServicesGroupExchangeCode": "A",
        "marketClassCode": "NYSE",
        "currentShortPositionQuantity": shares,
        "previousShortPositionQuantity": before,
        "stockSplitFlag": None,
        "averageDailyVolumeQuantity": volume,
        "daysToCoverQuantity": days if days is not None else round(shares / volume, 2),
        "revisionFlag": revised,
        "changePercent": 0.0,
        "changePreviousNumber": shares - (before or 0),
        "settlementDate": settled,
    }


SETTLED = [
    position("QORT", "2024-03-28", 5000, 4000),
    position("QORT", "2024-04-15", 6000, 5500, revised="R"),  # 5,000 became 5,500
    position("QORT", "2024-04-30", 7000, 6000),
    position("LUMBB", "2024-04-15", 120, None, volume=0, days=0),  # FINRA's LUMB.B
    position("LUMBB", "2024-04-30", 90, 120, volume=30),
    position("OTHER", "2024-04-30", 1, 2),
]
HEADER = "Date|Symbol|ShortVolume|ShortExemptVolume|TotalVolume|Market"
# 30 May 2024 is a Thursday; 27 May is Memorial Day.
VOLUMES = {
    "20240529": {"QORT": ("4000", "0", "9000"), "LUMB/B": ("10.5", "1", "40.25"), "OTHER": ("1", "0", "2")},
    "20240530": {"QORT": ("3000.125", "12", "8000"), "OTHER": ("1", "0", "2")},
    "20240531": {"LUMB/B": ("7", "0", "30"), "QORT": ("100", "0", "100")},
}
FORBIDDEN = Reply("<Error><Code>AccessDenied</Code></Error>", status=403)


def daily_file(day, lines):
    body = [f"{day}|{symbol}|{'|'.join(numbers)}|B,Q,N" for symbol, numbers in lines.items()]
    return "\r\n".join([HEADER, *body, f"{len(body)}"]) + "\r\n"


def routes(vendor, *, settled=None, volumes=None, page=None):
    """`page`: how many rows the vendor gives at most, whatever is asked for."""
    settled = SETTLED if settled is None else settled
    volumes = VOLUMES if volumes is None else volumes

    def positions(asked):
        body = json.loads(asked.body)
        (wanted,) = body["domainFilters"]
        found = [row for row in settled if row[wanted["fieldName"]] in wanted["values"]]
        for one in body["compareFilters"]:
            name, bound, how = one["fieldName"], one["fieldValue"], one["compareType"]
            found = [row for row in found if (row[name] >= bound if how == "GTE" else row[name] <= bound)]
        offset = body["offset"]
        part = found[offset : offset + min(body["limit"], page or 5_000)]
        if not found:
            return Reply(b"", status=204)
        return Reply(part, headers={"Record-Total": f"{len(found)}", "Record-Offset": f"{offset}"})

    vendor.route(POSITIONS, positions)
    vendor.route(r"/equity/regsho/daily/.*", Reply("not there", status=404))
    for day, lines in volumes.items():
        reply = Reply(daily_file(day, lines), headers={"Content-Type": "text/plain"})
        vendor.route(rf"/equity/regsho/daily/CNMSshvol{day}\.txt", reply)
