"""FINRA: when positions and files are public, what a revision is, pages, spellings, and files that are not whole."""

import math
from email.utils import format_datetime

import pandas as pd
import pytest

from tests.vendors import finra
from tests.vendors.finra import position
from tests.vendors.server import HTML, Reply, Vendor
from workbench.data.access import Access
from workbench.data.sources.finra import FinraSource, published
from workbench.errors import BadData, SourceRefused

SPRING = {"start": pd.Timestamp("2024-03-01"), "end": pd.Timestamp("2024-04-30")}
MAY = {"start": pd.Timestamp("2024-05-24"), "end": pd.Timestamp("2024-06-03")}


def utc(text):
    return pd.Timestamp(text, tz="UTC")


@pytest.fixture
def vendor():
    with Vendor() as opened:
        finra.routes(opened)
        yield opened


@pytest.fixture
def source(vendor, gateway):
    return FinraSource(gateway, Access(url=vendor.url))


def said(rows):
    return [
        (row["symbol"], f"{row['session']:%m-%d}", row["short_shares"], f"{row['learned']:%m-%d %H}")
        for row in rows.to_dict("records")
    ]


@pytest.mark.parametrize(
    ("settled", "eighth"),
    [
        ("2024-04-15", "2024-04-26 04:00"),  # 16 17 18 19 | 22 23 24 25
        ("2024-03-28", "2024-04-11 04:00"),  # Good Friday is closed: 1 2 3 4 5 | 8 9 10
        ("2023-12-29", "2024-01-12 05:00"),  # 2 3 4 5 | 8 9 10 11
        ("2024-01-12", "2024-01-26 05:00"),  # Martin Luther King's Day on the 15th: 16 17 18 19 | 22 23 24 25
        ("2024-10-31", "2024-11-14 05:00"),  # Veterans Day on the 11th, a session: 1 | 4 5 6 7 8 | 12 13
        ("2024-09-30", "2024-10-11 04:00"),  # 1 2 3 4 | 7 8 9 10, before Columbus Day
        ("2024-12-31", "2025-01-15 05:00"),  # a day of mourning on the 9th: 2 3 | 6 7 8 10 | 13 14
        ("2024-06-14", "2024-06-28 04:00"),  # Juneteenth: 17 18 20 21 | 24 25 26 27
    ],
)
def test_positions_are_public_at_the_end_of_the_eighth_business_day(settled, eighth):
    assert published(pd.DatetimeIndex([settled])).tolist() == [utc(eighth)]


def test_the_question_names_days_symbols_and_pages_as_finra_wants_them(source, vendor):
    source.short_interest(["QORT", "LUMB.B"], **SPRING)
    (asked,) = vendor.asked
    assert asked.method == "POST"
    assert asked.headers["accept"] == "application/json"
    assert asked.json == {
        "compareFilters": [
            {"fieldName": "settlementDate", "fieldValue": "2024-03-01", "compareType": "GTE"},
            # the cycle after the last one asked for, whose rows say what was revised
            {"fieldName": "settlementDate", "fieldValue": "2024-05-25", "compareType": "LTE"},
        ],
        "domainFilters": [{"fieldName": "symbolCode", "values": ["LUMB.B", "LUMB/B", "LUMBB", "QORT"]}],
        "limit": 5000,
        "offset": 0,
    }


def test_a_revision_is_a_vintage_learned_with_the_cycle_that_says_so(source):
    assert said(source.short_interest("QORT", **SPRING)) == [
        ("QORT", "03-28", 5000.0, "04-11 04"),
        ("QORT", "03-28", 5500.0, "04-26 04"),
        ("QORT", "04-15", 6000.0, "04-26 04"),
        ("QORT", "04-30", 7000.0, "05-11 04"),  # 1 2 3 | 6 7 8 9 10
    ]


def test_a_revision_is_seen_by_who_asks_for_the_old_cycle_only_and_not_given_to_who_asks_for_the_new_one(source):
    old = source.short_interest("QORT", start=SPRING["start"], end=pd.Timestamp("2024-03-28"))
    assert said(old) == [("QORT", "03-28", 5000.0, "04-11 04"), ("QORT", "03-28", 5500.0, "04-26 04")]
    assert math.isnan(old["days_to_cover"].iloc[1])
    assert old["days_to_cover"].iloc[0] == 5.0
    new = source.short_interest("QORT", start=pd.Timestamp("2024-04-01"), end=SPRING["end"])
    assert new["session"].nunique() == len(new) == 2


def test_a_number_that_was_written_over_is_not_learned_before_its_revision(source, vendor):
    rows = [position("QORT", "2024-03-28", 5500, 4000), position("QORT", "2024-04-15", 6000, 5500, revised="R")]
    finra.routes(vendor, settled=rows)
    assert said(source.short_interest("QORT", **SPRING)) == [
        ("QORT", "03-28", 5500.0, "04-26 04"),
        ("QORT", "04-15", 6000.0, "04-26 04"),
    ]


def test_a_revision_of_a_cycle_without_a_row_is_no_fact_of_ours(source, vendor):
    finra.routes(
        vendor, settled=[position("QORT", "2024-01-31", 1, 1), position("QORT", "2024-04-15", 6, 5, revised="R")]
    )
    rows = source.short_interest("QORT", start=pd.Timestamp("2024-01-01"), end=SPRING["end"])
    assert said(rows) == [("QORT", "01-31", 1.0, "02-13 05"), ("QORT", "04-15", 6.0, "04-26 04")]


def test_pages_are_read_to_the_number_of_rows_that_finra_names(source, vendor):
    whole = source.short_interest(["QORT", "LUMB.B"], **SPRING)
    for page in (1, 2, 3):
        finra.routes(vendor, page=page)
        pd.testing.assert_frame_equal(source.short_interest(["QORT", "LUMB.B"], **SPRING), whole)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(finra.SETTLED[:1]),  # no number of rows
        Reply(finra.SETTLED[:1], headers={"Record-Total": "many"}),
        Reply([], headers={"Record-Total": "1"}),
        Reply({"QORT": 1}, headers={"Record-Total": "1"}),
        Reply([position("QORT", "2099-04-15", 1, 1)], headers={"Record-Total": "1"}),
        Reply([position("QORT", "1950-04-14", 1, 1)], headers={"Record-Total": "1"}),
        Reply([position("ELSE", "2024-04-15", 1, 1)], headers={"Record-Total": "1"}),
        Reply([position("QORT", "2024-04-15", 1, None, revised="R")], headers={"Record-Total": "1"}),
        Reply(
            [position("QORT", "2024-04-15", 1, 1), position("QORT", "2024-04-15", 2, 1)], headers={"Record-Total": "2"}
        ),
    ],
)
def test_what_is_not_what_finra_documents_is_not_passed_on(reply, source, vendor):
    vendor.route(finra.POSITIONS, reply)
    with pytest.raises(BadData):
        source.short_interest("QORT", **SPRING)


def test_equal_rows_are_one_and_no_row_is_none(source, vendor):
    vendor.route(finra.POSITIONS, Reply([position("QORT", "2024-04-15", 1, 1)] * 2, headers={"Record-Total": "2"}))
    assert len(source.short_interest("QORT", **SPRING)) == 1
    for nothing in (Reply(b"", status=204), Reply([], headers={"Record-Total": "0"})):
        vendor.route(finra.POSITIONS, nothing)
        assert source.short_interest("QORT", **SPRING).empty


def test_a_class_share_is_found_under_finras_spellings_unless_one_of_them_was_asked_for_itself(source):
    rows = source.short_interest("LUMB.B", **SPRING)
    assert rows["symbol"].unique().tolist() == ["LUMB.B"]
    both = source.short_interest(["LUMB.B", "LUMBB"], **SPRING)
    assert both["symbol"].unique().tolist() == ["LUMBB"]


def test_without_a_volume_there_is_none_and_no_days_to_cover(source):
    row = source.short_interest("LUMB.B", **SPRING).iloc[0]
    assert row["short_shares"] == 120
    assert row[["average_volume", "days_to_cover", "previous_shares"]].isna().all()


def test_positions_read_before_the_rule_says_so_are_learned_when_they_were_read(source, clock):
    clock.now = utc("2024-04-25 15:00").to_pydatetime()  # FINRA was a day earlier than it must be
    rows = source.short_interest("QORT", start=pd.Timestamp("2024-04-15"), end=pd.Timestamp("2024-04-15"))
    assert rows["learned"].tolist() == [utc("2024-04-25 15:00")]


def test_many_symbols_are_asked_in_parts(source, vendor):
    names = [f"S{number:03d}" for number in range(250)]
    finra.routes(vendor, settled=[position(name, "2024-04-15", 1, 1) for name in names])
    assert source.short_interest(names, **SPRING)["symbol"].tolist() == names
    assert [len(asked.json["domainFilters"][0]["values"]) for asked in vendor.asked] == [100, 100, 50]


# --- files of short volume


def test_one_file_is_read_per_session_and_none_on_a_weekend_or_a_holiday(source, vendor):
    rows = source.short_volume(["QORT", "LUMB.B"], **MAY)
    days = [asked.path[-12:-4] for asked in vendor.asked]
    assert days == ["20240524", "20240528", "20240529", "20240530", "20240531", "20240603"]  # the 27th is Memorial Day
    found = rows[["symbol", "session", "short_volume", "short_exempt_volume", "total_volume"]]
    assert found.astype({"session": str}).to_numpy().tolist() == [
        ["QORT", "2024-05-29", 4000.0, 0.0, 9000.0],
        ["QORT", "2024-05-30", 3000.125, 12.0, 8000.0],
        ["QORT", "2024-05-31", 100.0, 0.0, 100.0],
        ["LUMB.B", "2024-05-29", 10.5, 1.0, 40.25],
        ["LUMB.B", "2024-05-31", 7.0, 0.0, 30.0],
    ]


def test_a_volume_happened_at_the_close_and_was_learned_at_six_in_the_evening(source):
    row = source.short_volume("QORT", **MAY).iloc[0]
    assert (row["happened"], row["learned"]) == (utc("2024-05-29 20:00"), utc("2024-05-29 22:00"))


@pytest.mark.parametrize(
    ("changed", "learned"),
    [
        ("2024-05-29 21:10", "2024-05-29 22:00"),  # posted early: the rule holds
        ("2024-05-29 22:40", "2024-05-29 22:40"),  # posted late
        ("2024-05-31 15:00", "2024-05-31 15:00"),  # replaced
        ("2024-09-01 00:00", "2024-05-29 22:00"),  # moved to another server
    ],
)
def test_a_file_that_was_replaced_is_learned_when_it_was(changed, learned, source, vendor, clock):
    clock.now = utc("2024-10-01").to_pydatetime()
    text = finra.daily_file("20240529", finra.VOLUMES["20240529"])
    headers = {"Last-Modified": format_datetime(utc(changed).to_pydatetime(), usegmt=True)}
    vendor.route(r".*CNMSshvol20240529\.txt", Reply(text, headers=headers))
    day = pd.Timestamp("2024-05-29")
    assert source.short_volume("QORT", start=day, end=day)["learned"].tolist() == [utc(learned)]


def test_a_file_read_before_six_is_learned_when_it_was_read(source, clock):
    clock.now = utc("2024-05-29 21:00").to_pydatetime()
    day = pd.Timestamp("2024-05-29")
    assert source.short_volume("QORT", start=day, end=day)["learned"].tolist() == [utc("2024-05-29 21:00")]


WHOLE = finra.daily_file("20240529", finra.VOLUMES["20240529"])


@pytest.mark.parametrize(
    "text",
    [
        WHOLE.replace("\r\n3\r\n", "\r\n2\r\n"),  # another number of lines than its last line says
        WHOLE.replace("\r\n3\r\n", "\r\n"),  # no last line
        WHOLE.replace("20240529|QORT", "20240528|QORT"),
        WHOLE.replace("|9000|", "|"),
        WHOLE.replace("|9000|", "|many|"),
        WHOLE.replace("|9000|", "|nan|"),
        WHOLE.replace("|9000|", "|-1|"),
        WHOLE.replace("OTHER", "QORT"),
        WHOLE.replace("ShortVolume|", ""),
        "",
    ],
)
def test_a_file_that_is_not_whole_or_not_finras_is_not_passed_on(text, source, vendor):
    vendor.route(r".*CNMSshvol20240529\.txt", Reply(text))
    with pytest.raises(BadData):
        source.short_volume("QORT", **MAY)
    vendor.route(r".*CNMSshvol20240529\.txt", HTML)
    with pytest.raises(BadData):
        source.short_volume("QORT", **MAY)


@pytest.mark.parametrize("text", [finra.HEADER, f"{finra.HEADER}\r\n0\r\n"])
def test_a_file_without_lines_has_no_facts(text, source, vendor):
    vendor.route(r".*CNMSshvol.*", Reply(text))
    assert source.short_volume("QORT", **MAY).empty


def test_a_file_that_is_kept_back_is_absent_when_it_is_new_and_a_refusal_when_it_is_old(source, vendor):
    vendor.route(r".*CNMSshvol20240603\.txt", finra.FORBIDDEN)
    assert len(source.short_volume("QORT", **MAY)) == 3
    vendor.route(r".*CNMSshvol20240524\.txt", finra.FORBIDDEN)
    with pytest.raises(SourceRefused, match="2024-05-24"):
        source.short_volume("QORT", **MAY)
