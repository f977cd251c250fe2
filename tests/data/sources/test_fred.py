"""FRED: every vintage, what withdrawn values become, long histories in spans, pages, limits, and the key."""

import datetime as dt
import math
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tests.vendors import fred
from tests.vendors.server import Vendor
from workbench.data.access import Access
from workbench.data.sources.fred import FredSource, _vintages
from workbench.errors import BadData, DataError, SourceRefused

KEY = "0123456789abcdef0123456789abcdef"
YEAR = {"start": pd.Timestamp("2024-01-01"), "end": pd.Timestamp("2024-12-31")}
LAST = dt.date.max


@pytest.fixture
def vendor():
    with Vendor() as opened:
        fred.routes(opened)
        yield opened


@pytest.fixture
def source(vendor, gateway):
    return FredSource(gateway, Access(key=SecretStr(KEY), url=vendor.url))


def said(rows):
    """Day, value and moment learned, as text: worked out by hand on the other side."""
    return [
        (f"{row['session']:%m-%d}", "gone" if math.isnan(row["value"]) else row["value"], f"{row['learned']:%m-%d %H}")
        for row in rows.to_dict("records")
    ]


def test_every_vintage_comes_learned_at_the_end_of_its_day_in_st_louis(source):
    assert said(source.macro("OURCPI", **YEAR)) == [
        ("01-01", 301.5, "02-14 06"),  # 13 February, winter time
        ("01-01", 301.9, "03-14 05"),  # 13 March, summer time
        ("02-01", 302.75, "03-14 05"),
        ("03-01", 304.1, "05-16 05"),  # the "." before it was never a value
    ]


def test_a_value_that_leaves_the_series_or_becomes_a_dot_has_a_vintage_without_a_value(source):
    assert said(source.macro("OURRATE", **YEAR)) == [
        ("01-01", 4.5, "02-02 06"),
        ("01-01", "gone", "03-03 06"),  # it stood until 1 March
        ("01-01", 4.25, "04-02 05"),
        ("02-01", 4.75, "03-02 06"),
        ("02-01", "gone", "04-02 05"),
        ("04-01", 5.0, "03-21 05"),
    ]


def test_a_projection_happens_no_later_than_it_is_learned(source):
    (row,) = source.macro("OURRATE", start=pd.Timestamp("2024-04-01"), end=YEAR["end"]).to_dict("records")
    assert row["happened"] == row["learned"] == pd.Timestamp("2024-03-21 05:00", tz="UTC")


def test_a_value_that_stands_until_today_is_not_withdrawn_tomorrow(source, vendor):
    fred.routes(vendor, series={"X": [("2024-01-01", "2024-02-01", "2024-06-03", "1.0")]})
    assert said(source.macro("X", **YEAR)) == [("01-01", 1.0, "02-02 06")]


def test_what_was_published_today_is_learned_now(source, vendor, clock):
    fred.routes(vendor, series={"X": [("2024-05-01", "2024-06-03", fred.LAST, "1.0")]})
    (row,) = source.macro("X", **YEAR).to_dict("records")
    assert row["learned"] == clock() == pd.Timestamp("2024-06-03 21:00", tz="UTC")


def test_pages_are_read_to_the_end(source, vendor):
    whole = source.macro(["OURRATE", "OURCPI"], **YEAR)
    for page in (1, 2):
        fred.routes(vendor, page=page)
        pd.testing.assert_frame_equal(source.macro(["OURRATE", "OURCPI"], **YEAR), whole)


def test_a_history_of_more_vintages_than_one_question_may_span_is_asked_in_spans_and_comes_whole(source, vendor):
    """A value for each of 4,100 days, published the day after; the first was revised twice, once at a span's edge."""
    days = [day.date() for day in pd.date_range("2010-01-01", periods=4_100)]
    next_day = dt.timedelta(days=1)
    edge = days[2_000] + next_day  # the 2,001st vintage day, on which the second span begins
    first = [
        (days[0], days[0] + next_day, edge - next_day, "-1.0"),
        (days[0], edge, days[3_000], "-2.0"),
        (days[0], days[3_000] + next_day, None, "-3.0"),
    ]
    rest = [(day, day + next_day, None, f"{number}") for number, day in enumerate(days[1:], start=1)]
    rows = [(str(day), str(since), str(until or fred.LAST), value) for day, since, until, value in (*first, *rest)]
    fred.routes(vendor, series={"LONG": rows})
    found = source.macro("LONG", start=pd.Timestamp("2010-01-01"), end=pd.Timestamp("2024-12-31"))
    assert len(found) == 4_102
    assert found["value"].tolist() == [-1.0, -2.0, -3.0, *map(float, range(1, 4_100))]
    published = found["learned"].dt.tz_convert("America/Chicago").dt.tz_localize(None) - pd.Timedelta(days=1)
    wanted = [edge - dt.timedelta(days=2_000), edge, days[3_000] + next_day, *(day + next_day for day in days[1:])]
    assert [day.date() for day in published] == wanted
    asked = [one.query for one in vendor.asked if one.path.endswith("observations")]
    assert [one["realtime_start"] for one in asked] == [fred.FIRST, str(edge), str(days[4_000] + next_day)]


def test_two_values_at_one_time_are_not_passed_on(source, vendor):
    rows = [("2024-01-01", "2024-02-01", fred.LAST, "1"), ("2024-01-01", "2024-03-01", fred.LAST, "2")]
    fred.routes(vendor, series={"X": rows})
    with pytest.raises(BadData, match="two values"):
        source.macro("X", **YEAR)


@pytest.mark.parametrize("value", ["", "1,000", "nan", "inf", "1e999999", "0x1F", " 1", "--"])
def test_what_is_no_number_is_not_passed_on(value, source, vendor):
    fred.routes(vendor, series={"X": [("2024-01-01", "2024-02-01", fred.LAST, value)]})
    with pytest.raises(BadData):
        source.macro("X", **YEAR)


def test_an_answer_that_stops_before_its_own_count_is_not_passed_on(source, vendor):
    vendor.route(r"/fred/series/observations", {"count": 3, "offset": 0, "limit": 100_000, "observations": []})
    with pytest.raises(BadData, match="stops at 0 of 3"):
        source.macro("OURCPI", **YEAR)


@pytest.mark.parametrize("since", ["9999-12-31", "0001-01-01", "2024-13-01", "yesterday"])
def test_a_day_that_cannot_be_is_refused_or_capped_but_never_a_crash(since, source, vendor, clock):
    fred.routes(vendor, series={"X": [("2024-01-01", since, fred.LAST, "1")]})
    vendor.route(r"/fred/series/vintagedates", {"count": 0, "vintage_dates": []})
    body = {"realtime_start": since, "realtime_end": fred.LAST, "date": "2024-01-01", "value": "1"}
    vendor.route(r"/fred/series/observations", {"count": 1, "observations": [body]})
    try:
        rows = source.macro("X", **YEAR)
    except BadData:
        return
    assert (rows["learned"] <= clock()).all()


@pytest.mark.parametrize("name", ["A B", "A&api_key=x", "../x", "A" * 61])
def test_a_name_that_no_series_has_is_refused_before_anybody_is_asked(name, source, vendor):
    with pytest.raises(DataError, match="not the name of a series"):
        source.macro(["OURCPI", name], **YEAR)
    assert vendor.asked == []


def test_a_series_that_is_not_there_is_refused_in_freds_words_and_the_key_is_in_none_of_them(source, vendor):
    with pytest.raises(SourceRefused, match="The series does not exist") as caught:
        source.macro("NOTHERE", **YEAR)
    assert KEY not in f"{caught.value}{caught.value.facts}{source!r}"
    assert {asked.query["api_key"] for asked in vendor.asked} == {KEY}
    assert all(KEY not in str(asked.headers) for asked in vendor.asked)


def test_never_more_than_120_questions_come_in_a_minute(source, vendor, clock):
    arrived = []
    plain = dict.fromkeys(("count", "offset", "limit"), 0)

    def answer(_):
        arrived.append(clock())
        return plain | {"observations": [], "vintage_dates": []}

    vendor.route(r"/fred/.*", answer)
    for _ in range(65):
        source.macro("OURCPI", **YEAR)
    assert len(arrived) == 130
    for place, moment in enumerate(arrived[:-120]):
        assert arrived[place + 120] - moment >= dt.timedelta(minutes=1)


BEGIN = dt.date(2020, 1, 1)
PIECES = st.lists(
    st.tuples(st.integers(1, 20), st.sampled_from([1.0, 2.0, 3.0, math.nan, None])), min_size=1, max_size=8
)


@given(PIECES, st.lists(st.integers(1, 150), max_size=4), st.booleans())
def test_however_a_history_is_cut_into_spans_each_day_has_the_value_that_stood_then(pieces, cuts, ends):
    """`pieces`: for so many days this value, "." (NaN), or no row at all (None); the last for ever unless it `ends`."""
    observed, rows, truth, day = dt.date(2019, 12, 1), [], {}, BEGIN
    for number, (length, value) in enumerate(pieces):
        until = day + dt.timedelta(days=length - 1)
        for ahead in range(length):
            truth[day + dt.timedelta(days=ahead)] = value
        if value is not None:
            for_ever = number == len(pieces) - 1 and not ends
            rows.append((observed, day, LAST if for_ever else until, value))
        day = until + dt.timedelta(days=1)
    truth[day] = None if ends else pieces[-1][1]
    edges = sorted({BEGIN + dt.timedelta(days=cut) for cut in cuts})
    spans = list(zip([dt.date.min, *edges], [*(edge - dt.timedelta(days=1) for edge in edges), LAST], strict=True))
    cut = [
        (observed, max(since, first), min(until, last), value)
        for first, last in spans
        for _, since, until, value in rows
        if since <= last and until >= first
    ]
    found = list(_vintages("X", cut, today=dt.date(2030, 1, 1)))
    assert found == sorted(found, key=lambda one: one[1])
    for moment, value in truth.items():
        standing = [number for _, since, number in found if since <= moment]
        now = standing[-1] if standing else math.nan
        wanted = math.nan if value is None else value
        assert now == wanted or (math.isnan(now) and math.isnan(wanted)), (moment, found)
    values = [number for _, _, number in found]
    assert not any(a == b or (math.isnan(a) and math.isnan(b)) for a, b in pairwise(values))
    assert not (values and math.isnan(values[0]))
