"""SEC EDGAR on loopback, with companies and numbers of our own: symbols, submissions in two pages, company facts."""

from tests.vendors.server import Reply

QORT, LUMB = 1900001, 1900002
SYMBOLS = {
    "0": {"cik_str": QORT, "ticker": "QORT", "title": "Quorta Works Inc"},
    "1": {"cik_str": LUMB, "ticker": "LUMB-B", "title": "Lumber & Daughters"},
}
COLUMNS = (
    "accessionNumber",
    "filingDate",
    "reportDate",
    "acceptanceDateTime",
    "form",
    "items",
    "primaryDocument",
)
YEARLY_22, YEARLY_23, AMENDED_23 = "0001900001-23-000007", "0001900001-24-000011", "0001900001-24-000020"
EVENING, LETTER, FIRST = "0001900001-24-000009", "0001900001-24-000004", "0001900001-19-000001"
UNLISTED = "0001900001-23-000099"  # in the facts, in no page of submissions
NEWEST = (
    (AMENDED_23, "2024-05-15", "2023-12-31", "2024-05-15T16:30:00.000Z", "10-K/A", "", "q10ka.htm"),
    (YEARLY_23, "2024-02-20", "2023-12-31", "2024-02-20T21:05:10.000Z", "10-K", "", "q10k.htm"),
    # Accepted on 6 February 18:40 New York time: dated and made public on the next day.
    (EVENING, "2024-02-07", "2024-02-06", "2024-02-06T23:40:00.000Z", "8-K", "2.02,9.01", "q8k.htm"),
)
A_LETTER = (LETTER, "2024-01-10", "", "2024-01-10T15:00:00.000Z", "CORRESP", "", "letter.htm")
OLDER = (
    (YEARLY_22, "2023-03-02", "2022-12-31", "2023-03-02T22:01:02.000Z", "10-K", "", "q10k22.htm"),
    (FIRST, "2019-03-01", "2019-02-28", "2019-03-01T13:00:00.000Z", "8-K", "5.02", "q8k19.htm"),
)
OF_LUMB = (("0001900002-24-000003", "2024-04-01", "", "2024-04-01T10:30:00.000Z", "S-1", "", "s1.htm"),)


def columns(rows):
    return {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}


def submissions(number, rows, files=()):
    return {
        "cik": f"{number:010d}",
        "name": "a company",
        "tickers": [],
        "filings": {"recent": columns(rows), "files": list(files)},
    }


def fact(end, val, accn, form, filed, *, start=None, fy=None, fp="FY", frame=None):
    said = {"end": end, "val": val, "accn": accn, "fy": fy, "fp": fp, "form": form, "filed": filed}
    return said | ({"start": start} if start else {}) | ({"frame": frame} if frame else {})


REVENUES = [
    fact("2022-12-31", 1200, YEARLY_22, "10-K", "2023-03-02", start="2022-01-01", fy=2022),
    fact("2022-12-31", 1200, YEARLY_23, "10-K", "2024-02-20", start="2022-01-01", fy=2023, frame="CY2022"),  # repeated
    fact("2023-12-31", 1500, YEARLY_23, "10-K", "2024-02-20", start="2023-01-01", fy=2023),
    fact("2023-12-31", 1430, AMENDED_23, "10-K/A", "2024-05-15", start="2023-01-01", fy=2023, frame="CY2023"),
]
ASSETS = [
    fact("2023-06-30", 8800, UNLISTED, "10-Q", "2023-08-04", fy=2023, fp="Q2"),
    fact("2023-12-31", 9000, YEARLY_23, "10-K", "2024-02-20", fy=2023),
    fact("2023-12-31", 9000, AMENDED_23, "10-K/A", "2024-05-15", fy=2023, frame="CY2023Q4I"),  # repeated
]
EARNINGS = [fact("2023-12-31", 1.25, YEARLY_23, "10-K", "2024-02-20", start="2023-01-01", fy=2023)]


def company_facts(number=QORT, tags=None):
    tags = tags or {"Revenues": {"USD": REVENUES}, "Assets": {"USD": ASSETS}, "EPS": {"USD/shares": EARNINGS}}
    return {
        "cik": number,
        "entityName": "Quorta Works Inc",
        "facts": {
            "us-gaap": {name: {"label": name, "description": None, "units": units} for name, units in tags.items()}
        },
    }


def routes(vendor, *, older=True):
    """`older`: whether the older filings stand in a page of their own, or nowhere."""
    name = f"CIK{QORT:010d}-submissions-001.json"
    page = {"name": name, "filingCount": len(OLDER), "filingFrom": "2019-03-01", "filingTo": "2023-03-02"}
    vendor.route(r"/files/company_tickers\.json", SYMBOLS)
    vendor.route(rf"/submissions/CIK{QORT:010d}\.json", submissions(QORT, NEWEST, [page] if older else []))
    vendor.route(rf"/submissions/{name}", columns(OLDER))
    vendor.route(rf"/submissions/CIK{LUMB:010d}\.json", submissions(LUMB, OF_LUMB))
    vendor.route(rf"/api/xbrl/companyfacts/CIK{QORT:010d}\.json", company_facts())
    vendor.route(
        rf"/api/xbrl/companyfacts/CIK{LUMB:010d}\.json",
        company_facts(
            LUMB,
            {"Assets": {"USD": [fact("2023-12-31", 77, OF_LUMB[0][0], "S-1", "2024-04-01", fy=None, fp=None)]}},
        ),
    )


LIMITED = Reply("<html><title>SEC.gov | Request Rate Threshold Exceeded</title></html>", status=403)
