"""Rows of a vendor: every field is there and of its type, or none of the rows is passed on."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data import ex_days, quote_sizes, reading
from workbench.data.kinds import kind_of
from workbench.data.reading import Field
from workbench.errors import BadData

FIELDS = {
    "price": Field("p"),
    "bid": Field("q.b", needed=False, nothing=(0, "NaN")),
    "note": Field("n", "text", needed=False),
    "id": Field("i", "whole"),
    "time": Field("t", "moment"),
    "day": Field("d", "day", needed=False),
}
ROW = {"p": 1.5, "q": {"b": 2}, "n": "x", "i": 7, "t": "2024-03-05T14:30:00.1234567Z", "d": "2024-03-05"}
TYPES = {
    "price": "float64",
    "bid": "float64",
    "note": "str",
    "id": "str",
    "time": "datetime64[us, UTC]",
    "day": "datetime64[us]",
}


def table(*rows):
    return reading.table(list(rows), FIELDS, of="a vendor's rows")


def test_a_row_is_read_by_type_and_depth():
    (row,) = table(ROW).to_dict("records")
    assert row == {
        "price": 1.5,
        "bid": 2.0,
        "note": "x",
        "id": "7",
        "time": pd.Timestamp("2024-03-05T14:30:00.123456Z"),
        "day": pd.Timestamp("2024-03-05"),
    }


@pytest.mark.parametrize("rows", [[], [ROW], [ROW, {**ROW, "q": None, "n": None, "d": None}]])
def test_the_types_are_the_same_whatever_is_there(rows):
    assert {name: str(kind) for name, kind in table(*rows).dtypes.items()} == TYPES


@pytest.mark.parametrize("bid", [{}, {"b": None}, {"b": 0}, {"b": "NaN"}])
def test_what_may_be_absent_is_nothing_and_never_zero(bid):
    assert math.isnan(table({**ROW, "q": bid})["bid"].iloc[0])


@pytest.mark.parametrize(
    "change",
    [
        {"p": None}, {"p": "1.5"}, {"p": True}, {"p": math.inf}, {"p": math.nan}, {"p": [1]},
        {"q": 3}, {"q": {"b": "3"}}, {"q": []},
        {"n": 4}, {"n": ["x"]},
        {"i": None}, {"i": "7"}, {"i": 7.5}, {"i": True},
        {"t": None}, {"t": "soon"}, {"t": 5}, {"t": "0001-01-01T00:00:00Z"}, {"t": "2500-01-01T00:00:00Z"},
        {"d": "05/03/2024"}, {"d": "2024-02-30"}, {"d": 20240305},
    ],
)  # fmt: skip
def test_one_bad_field_of_one_row_refuses_all_of_them(change):
    with pytest.raises(BadData, match=r"a vendor's rows: 1 of 3 (lacks|has an impossible) .*none was passed on"):
        table(ROW, ROW | change, ROW)


def test_a_needed_field_that_is_not_there_is_named():
    with pytest.raises(BadData, match="lacks p"):
        table({name: value for name, value in ROW.items() if name != "p"})


@pytest.mark.parametrize("row", [None, 7, "row", [], [ROW]])
def test_what_is_no_row_is_refused_and_not_shown(row):
    with pytest.raises(BadData, match=f"is not an object, the first is a {type(row).__name__}"):
        table(ROW, row)


def test_a_long_row_is_shown_in_part():
    with pytest.raises(BadData) as caught:
        table(ROW | {"p": None, "n": "x" * 10_000})
    assert len(str(caught.value)) < 600


@given(nanoseconds=st.integers(0, 4_000_000_000_000_000_000))
def test_nanoseconds_are_cut_to_microseconds_exactly(nanoseconds):
    fields = {"time": Field("t", "moment", unit="ns")}
    (moment,) = reading.table([{"t": nanoseconds}], fields, of="x")["time"]
    assert moment == pd.Timestamp(nanoseconds // 1000 * 1000, unit="ns", tz="UTC")


@pytest.mark.parametrize(("unit", "value"), [("s", 1_709_649_000), ("ms", 1_709_649_000_000), ("s", 1_709_649_000.5)])
def test_numbers_of_seconds_are_moments(unit, value):
    (moment,) = reading.table([{"t": value}], {"time": Field("t", "moment", unit=unit)}, of="x")["time"]
    assert moment == pd.Timestamp(value, unit=unit, tz="UTC")


@pytest.mark.parametrize("value", [10**30, -(10**30), 1e300, -1e15, "1709649000", True])
def test_a_number_that_is_no_moment_of_these_centuries_is_refused(value):
    with pytest.raises(BadData):
        reading.table([{"t": value}], {"time": Field("t", "moment", unit="s")}, of="x")


def test_a_part_must_be_there_and_of_its_type():
    assert reading.part({"rows": []}, "rows", list, of="x") == []
    for answer in ({}, {"rows": None}, {"rows": {}}, [], None, "rows"):
        with pytest.raises(BadData, match="Nothing was passed on"):
            reading.part(answer, "rows", list, of="x")


def test_an_answer_of_another_shape_is_described_by_its_names_only():
    with pytest.raises(BadData) as caught:
        reading.part({"message": "your key is 12345"}, "rows", list, of="x")
    assert "message" in str(caught.value)
    assert "12345" not in str(caught.value)


def test_a_next_page_is_said_once():
    seen = set()
    assert reading.next_page({"next": "a"}, "next", seen, of="x") == "a"
    assert reading.next_page({"next": None}, "next", seen, of="x") is None
    for answer in ({}, {"next": "a"}, {"next": 7}):
        with pytest.raises(BadData):
            reading.next_page(answer, "next", seen, of="x")


def test_facts_come_as_asked_and_the_last_of_one_moment_stands():
    times = pd.to_datetime(["2024-03-05T15:00Z", "2024-03-05T15:00Z", "2024-03-05T14:00Z", "2024-03-05T14:00Z"])
    rows = pd.DataFrame(
        {
            "symbol": ["A", "A", "B", "C"],
            "session": pd.Timestamp("2024-03-05"),
            "time": times,
            "bid": [1.0, 2.0, 3.0, 4.0],
            "happened": times,
            "learned": times,
            "source": "x",
        }
    )
    found = reading.in_order(kind_of("quotes"), rows, ["B", "A"])
    assert found[["symbol", "bid"]].to_numpy().tolist() == [["B", 3.0], ["A", 2.0]]
    assert found["ask"].isna().all()


def test_an_action_is_known_at_its_open_or_when_it_was_declared_or_now():
    days = pd.Series(pd.to_datetime(["2024-03-05", "2024-07-05", "2024-07-05"]))
    declared = pd.Series(pd.to_datetime(["2024-03-09", "2024-06-20", None]))
    now = pd.Timestamp("2024-07-01T12:00Z").to_pydatetime()
    assert ex_days.known(days, now=now, declared=declared).tolist() == [
        pd.Timestamp("2024-03-05T14:30Z"),
        pd.Timestamp("2024-06-21T04:00Z"),
        pd.Timestamp(now),
    ]
    assert ex_days.processed(days, now=now).tolist() == [
        pd.Timestamp("2024-03-06T05:00Z"),
        pd.Timestamp(now),
        pd.Timestamp(now),
    ]


def test_sizes_are_in_shares_on_both_sides_of_november_2025():
    sessions = pd.Series(pd.to_datetime(["2025-10-31", "2025-11-03"]))
    assert quote_sizes.in_shares(pd.Series([3.0, 3.0]), sessions).tolist() == [300.0, 3.0]
