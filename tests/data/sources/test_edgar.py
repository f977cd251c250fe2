"""EDGAR: who asks, how often, which company a symbol is, and when a filing or a number was public."""

import datetime as dt
import math

import pandas as pd
import pytest

from tests.vendors import edgar
from tests.vendors.server import Reply, Vendor
from workbench.data.access import Access
from workbench.data.fact_quality import check_facts
from workbench.data.gateway import Gateway
from workbench.data.sources.edgar import EdgarSource
from workbench.errors import BadData, DataError, SourceRefused, SourceUnavailable

CONTACT = "Test Person test@example.org"
ALL = {"start": pd.Timestamp("2019-01-01"), "end": pd.Timestamp("2024-06-03")}
REVENUES = "us-gaap:Revenues:USD:2023-01-01"


def utc(text):
    return pd.Timestamp(text, tz="UTC")


@pytest.fixture
def vendor():
    with Vendor() as opened:
        edgar.routes(opened)
        yield opened


@pytest.fixture
def source(vendor, gateway):
    return EdgarSource(gateway, Access(contact=CONTACT, url=vendor.url))


def filed(vendor, *rows, number=edgar.QORT):
    vendor.route(rf"/submissions/CIK{number:010d}\.json", edgar.submissions(number, rows))


def with_facts(vendor, *rows, tag="Revenues", unit="USD"):
    body = edgar.company_facts(tags={tag: {unit: list(rows)}})
    vendor.route(rf"/api/xbrl/companyfacts/CIK{edgar.QORT:010d}\.json", body)


def test_everybody_is_told_who_asks_and_nobody_else_is(source, vendor):
    source.fundamentals("QORT", **ALL)
    assert {asked.headers["user-agent"] for asked in vendor.asked} == {CONTACT}
    assert "example.org" not in repr(source)


@pytest.mark.parametrize(
    "contact",
    ["", "  ", "nobody", "test@example.org", "Test Person", "A b@c", "A b@c.d\nX: y", "A\nb@c.d", "Jörg a@b.c"],
)
def test_without_a_name_and_an_address_the_source_is_not_opened(contact, vendor):
    with Gateway() as gateway, pytest.raises(DataError, match="WORKBENCH_EDGAR_CONTACT") as caught:
        EdgarSource(gateway, Access(contact=contact, url=vendor.url))
    assert "example.org" not in caught.value.message


def test_a_company_is_asked_for_by_its_number_of_ten_digits(source, vendor):
    source.fundamentals("QORT", **ALL)
    assert [asked.path for asked in vendor.asked] == [
        "/files/company_tickers.json",
        "/api/xbrl/companyfacts/CIK0001900001.json",
        "/submissions/CIK0001900001.json",
        "/submissions/CIK0001900001-submissions-001.json",
    ]


def test_a_delisted_company_is_found_by_its_number_and_the_list_is_not_asked(source, vendor):
    rows = source.filings(f"CIK{edgar.LUMB:010d}", **ALL)
    assert rows["symbol"].tolist() == ["CIK0001900002"]
    assert [asked.path for asked in vendor.asked] == ["/submissions/CIK0001900002.json"]


def test_a_symbol_that_is_not_listed_is_refused_by_name_and_nothing_more_is_asked(source, vendor):
    with pytest.raises(SourceRefused, match=r"(?s)'NOTHERE'.*CIK0"):
        source.filings(["QORT", "NOTHERE"], **ALL)
    assert len(vendor.asked) == 1
    with pytest.raises(SourceRefused, match="no filer CIK0009999999"):
        source.filings("CIK0009999999", **ALL)


def test_two_symbols_of_one_company_have_its_filings_each(source, vendor):
    vendor.route(r"/files/.*", edgar.SYMBOLS | {"2": {"cik_str": edgar.LUMB, "ticker": "LUMB-A", "title": "x"}})
    rows = source.filings(["LUMB.A", "lumb.b"], **ALL)
    assert rows["symbol"].tolist() == ["LUMB.A", "lumb.b"]
    assert set(rows["key"]) == {edgar.OF_LUMB[0][0]}


def test_pages_of_older_filings_are_read_only_where_they_are_needed(source, vendor):
    rows = source.filings("QORT", start=pd.Timestamp("2023-03-03"), end=ALL["end"])
    assert rows["key"].tolist() == [edgar.EVENING, edgar.YEARLY_23, edgar.AMENDED_23]
    assert not any("submissions-001" in asked.path for asked in vendor.asked)
    edge = source.filings("QORT", start=pd.Timestamp("2023-03-02"), end=pd.Timestamp("2023-03-02"))
    assert edge["key"].tolist() == [edgar.YEARLY_22]


def test_a_filing_says_what_it_is_and_where_it_lies(source):
    row = source.filings("QORT", **ALL).set_index("key").loc[edgar.EVENING]
    assert (row["form"], row["period"], row["items"]) == ("8-K", "2024-02-06", "2.02,9.01")
    assert row["url"] == "https://www.sec.gov/Archives/edgar/data/1900001/000190000124000009/q8k.htm"
    assert row["session"] == pd.Timestamp("2024-02-07")


@pytest.mark.parametrize(
    "clocks",
    [
        # 16:05:10 in New York if it is UTC, 21:05:10 if it is New York's clock: learned at the later of the two.
        ("2024-02-20T21:05:10.000Z", "2024-02-20", "2024-02-20 21:05:10", "2024-02-21 02:05:10"),
        ("2024-05-15T16:30:00.000Z", "2024-05-15", "2024-05-15 16:30", "2024-05-15 20:30"),  # summer time
        # In the evening, dated the next day: public from 06:00 of that day, whichever clock it is.
        ("2024-02-06T23:40:00.000Z", "2024-02-07", "2024-02-06 23:40", "2024-02-07 11:00"),
        ("2024-02-06T18:40:00.000Z", "2024-02-07", "2024-02-06 18:40", "2024-02-07 11:00"),
        ("2024-03-08T23:40:00.000Z", "2024-03-11", "2024-03-08 23:40", "2024-03-11 10:00"),  # over a change of clocks
        ("2024-03-10T02:30:00.000Z", "2024-03-08", "2024-03-10 02:30", "2024-03-10 07:00"),  # no such hour in New York
        ("2023-11-05T01:30:00.000Z", "2023-11-03", "2023-11-05 01:30", "2023-11-05 06:30"),  # the second of two
    ],
)
def test_a_filing_is_learned_at_the_latest_moment_that_its_acceptance_can_mean(clocks, source, vendor):
    said, day, happened, learned = clocks
    filed(vendor, (edgar.EVENING, day, "", said, "8-K", "", "x.htm"))
    (row,) = source.filings("QORT", **ALL).to_dict("records")
    assert (row["time"], row["happened"], row["learned"]) == (utc(happened), utc(happened), utc(learned))


def test_what_lies_before_us_is_learned_now_and_not_hours_from_now(source, vendor, clock):
    filed(vendor, (edgar.EVENING, "2024-06-03", "", "2024-06-03T20:30:00.000Z", "8-K", "", "x.htm"))
    (row,) = source.filings("QORT", **ALL).to_dict("records")
    assert row["learned"] == utc("2024-06-03 21:00") == clock()


@pytest.mark.parametrize("form", ["CORRESP", "UPLOAD", "DRS", "DRS/A", "DRSLTR"])
def test_letters_and_drafts_are_learned_when_we_read_them_since_nobody_says_when_they_became_public(
    form, source, vendor, clock
):
    filed(vendor, (edgar.LETTER, "2024-01-10", "", "2024-01-10T15:00:00.000Z", form, "", "x.htm"))
    (row,) = source.filings("QORT", **ALL).to_dict("records")
    assert row["session"] == pd.Timestamp("2024-01-10")
    assert row["learned"] >= pd.Timestamp(clock()) - pd.Timedelta(seconds=1)


def test_a_repeated_number_is_one_fact_and_a_restated_one_two_vintages(source):
    rows = source.fundamentals("QORT", **ALL)
    said = rows[["key", "session", "value", "form", "accession", "learned"]].astype(str).to_numpy().tolist()
    assert sorted(said) == sorted(
        [
            # learned: accepted 22:01:02, read as New York's clock (winter: 5 hours behind)
            [
                "us-gaap:Revenues:USD:2022-01-01",
                "2022-12-31",
                "1200.0",
                "10-K",
                edgar.YEARLY_22,
                "2023-03-03 03:01:02+00:00",
            ],
            [REVENUES, "2023-12-31", "1500.0", "10-K", edgar.YEARLY_23, "2024-02-21 02:05:10+00:00"],
            [REVENUES, "2023-12-31", "1430.0", "10-K/A", edgar.AMENDED_23, "2024-05-15 20:30:00+00:00"],
            # no page of submissions knows this filing: the end of 4 August in New York
            ["us-gaap:Assets:USD:", "2023-06-30", "8800.0", "10-Q", edgar.UNLISTED, "2023-08-05 04:00:00+00:00"],
            ["us-gaap:Assets:USD:", "2023-12-31", "9000.0", "10-K", edgar.YEARLY_23, "2024-02-21 02:05:10+00:00"],
            [
                "us-gaap:EPS:USD/shares:2023-01-01",
                "2023-12-31",
                "1.25",
                "10-K",
                edgar.YEARLY_23,
                "2024-02-21 02:05:10+00:00",
            ],
        ]
    )


def test_a_number_that_goes_back_to_what_it_was_is_three_vintages(source, vendor):
    def said(value, accession, day):
        return edgar.fact("2022-12-31", value, accession, "10-K", day, start="2022-01-01")

    with_facts(
        vendor,
        said(10, edgar.YEARLY_22, "2023-03-02"),
        said(12, edgar.YEARLY_23, "2024-02-20"),
        said(10, edgar.AMENDED_23, "2024-05-15"),
    )
    assert source.fundamentals("QORT", **ALL)["value"].tolist() == [10.0, 12.0, 10.0]


def test_of_two_values_at_one_moment_the_later_filing_counts(source, vendor):
    first, second = "0001900001-23-000501", "0001900001-23-000502"
    with_facts(
        vendor,
        edgar.fact("2022-12-31", 11, second, "10-K/A", "2023-05-05", start="2022-01-01"),
        edgar.fact("2022-12-31", 10, first, "10-K", "2023-05-05", start="2022-01-01"),
    )
    rows = source.fundamentals("QORT", **ALL)
    assert rows[["value", "accession"]].to_numpy().tolist() == [[11.0, second]]


def test_a_number_that_is_not_said_is_a_row_that_the_checks_keep_back(source, vendor, clock):
    with_facts(vendor, edgar.fact("2022-12-31", None, edgar.YEARLY_22, "10-K", "2023-03-02", start="2022-01-01"))
    rows = source.fundamentals("QORT", **ALL)
    assert [math.isnan(value) for value in rows["value"]] == [True]
    checked = check_facts(rows, kind="fundamentals", dataset="t", venue="XNYS", known_until=pd.Timestamp(clock()))
    assert checked.quarantined == 1


def test_a_company_without_numbers_has_no_rows(source, vendor):
    vendor.route(r"/api/xbrl/.*", Reply("<Error><Code>NoSuchKey</Code></Error>", status=404))
    assert source.fundamentals(["QORT", "LUMB.B"], **ALL).empty


@pytest.mark.parametrize("ended", ["2023-03-02", "2024-01-01", "9999-12-31"])  # on its day of filing, or a slip
def test_a_number_happens_no_later_than_it_is_learned(ended, source, vendor):
    with_facts(vendor, edgar.fact(ended, 5, edgar.YEARLY_22, "10-K", "2023-03-02"))
    (row,) = source.fundamentals("QORT", **ALL).to_dict("records")
    assert row["happened"] == row["learned"] == utc("2023-03-03 03:01:02")


def test_a_number_beyond_all_numbers_is_not_passed_on(source, vendor):
    with_facts(vendor, edgar.fact("2022-12-31", 10**400, edgar.YEARLY_22, "10-K", "2023-03-02", start="2022-01-01"))
    with pytest.raises(BadData):
        source.fundamentals("QORT", **ALL)


@pytest.mark.parametrize(
    "name", ["../../secret.json", "CIK0001900001-submissions-1.json", "https://example.org/x.json"]
)
def test_a_page_that_cannot_be_one_of_the_company_is_not_fetched(name, source, vendor):
    page = {"name": name, "filingCount": 1, "filingFrom": "2019-03-01", "filingTo": "2023-03-02"}
    vendor.route(r"/submissions/CIK0001900001\.json", edgar.submissions(edgar.QORT, edgar.NEWEST, [page]))
    with pytest.raises(BadData):
        source.filings("QORT", **ALL)
    assert len(vendor.asked) == 2


def test_an_answer_about_another_company_is_not_passed_on(source, vendor):
    vendor.route(r"/submissions/CIK0001900001\.json", edgar.submissions(edgar.LUMB, edgar.OF_LUMB))
    with pytest.raises(BadData, match="CIK0001900001"):
        source.filings("QORT", **ALL)
    vendor.route(r"/api/xbrl/.*", edgar.company_facts(edgar.LUMB))
    with pytest.raises(BadData, match="CIK0001900001"):
        source.fundamentals("QORT", **ALL)


def test_never_more_than_ten_questions_come_in_any_second(source, vendor, clock):
    arrived = []

    def answer(_):
        arrived.append(clock())
        return edgar.submissions(edgar.LUMB, edgar.OF_LUMB)

    vendor.route(r"/submissions/CIK0001900002\.json", answer)
    for _ in range(40):
        source.filings("CIK0001900002", **ALL)
    assert len(arrived) == 40
    for moment in arrived:
        inside = [other for other in arrived if moment <= other < moment + dt.timedelta(seconds=1)]
        assert len(inside) <= 10
    assert arrived[-1] - arrived[0] < dt.timedelta(seconds=6)  # and no slower than it must be


def test_403_means_too_often_and_nobody_is_asked_again_for_ten_minutes(source, vendor, clock):
    vendor.next(edgar.LIMITED)
    with pytest.raises(SourceUnavailable):
        source.filings("CIK0001900002", **ALL)
    asked = len(vendor.asked)
    clock.now += dt.timedelta(minutes=5)
    with pytest.raises(SourceUnavailable):
        source.filings("CIK0001900002", **ALL)
    assert len(vendor.asked) == asked
    clock.now += dt.timedelta(minutes=6)
    assert len(source.filings("CIK0001900002", **ALL)) == 1
