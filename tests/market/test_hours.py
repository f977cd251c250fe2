import datetime as dt
import itertools
import zoneinfo

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench import sessions
from workbench.errors import ParameterError, StudyError
from workbench.market.hours import Phase, TradingWindow, next_change, phase_at, session_at, spans

NEW_YORK, LONDON = zoneinfo.ZoneInfo("America/New_York"), zoneinfo.ZoneInfo("Europe/London")
MINUTE = dt.timedelta(minutes=1)

# Around the days on which clocks change in the United States and in Europe, holidays and early closes among them.
CHANGES = [dt.date(2024, 3, 10), dt.date(2024, 11, 3), dt.date(2025, 3, 30), dt.date(2026, 3, 8), dt.date(2026, 11, 1)]
days = st.one_of(
    st.builds(lambda day, off: day + dt.timedelta(days=off), st.sampled_from(CHANGES), st.integers(-9, 9)),
    st.dates(dt.date(2000, 1, 1), dt.date(2030, 12, 20)),
)
moments = st.builds(
    lambda day, seconds: dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(seconds=seconds),
    days,
    st.integers(0, 86_399),
)
venues = st.sampled_from(["XNYS", "XLON"])
times = st.builds(dt.time, st.integers(0, 23), st.integers(0, 59))


@st.composite
def windows(draw):
    start, end, extended = draw(times), draw(times), draw(st.booleans())
    if not (extended and start >= dt.time(20)):
        if start == end:
            end = dt.time(23, 59) if start < dt.time(23, 59) else end
            start = start if start < end else dt.time(9)
        start, end = min(start, end), max(start, end)
    return TradingWindow(start, end, extended=extended)


def ny(year, month, day, hour=0, minute=0):
    return dt.datetime(year, month, day, hour, minute, tzinfo=NEW_YORK)


def slow_phase(moment):
    """New York's phase written out from the rules, on the wall's clock, without a look at what is tested."""
    wall = moment.astimezone(NEW_YORK)
    day, time = wall.date(), wall.time()
    if time >= dt.time(20):
        return Phase.OVERNIGHT if sessions.is_session("XNYS", day + dt.timedelta(days=1)) else Phase.CLOSED
    if not sessions.is_session("XNYS", day):
        return Phase.CLOSED
    if time < dt.time(4):
        return Phase.OVERNIGHT
    opened = sessions.opens("XNYS", day).tz_convert(NEW_YORK)
    closed = sessions.closes("XNYS", day).tz_convert(NEW_YORK)
    if wall < opened:
        return Phase.PRE
    if wall < closed:
        return Phase.REGULAR
    return Phase.AFTER if wall < closed + pd.Timedelta(hours=4) else Phase.CLOSED


@pytest.mark.parametrize(
    ("moment", "phase"),
    [
        (ny(2026, 11, 15, 19, 59), Phase.CLOSED),  # a Sunday
        (ny(2026, 11, 15, 20), Phase.OVERNIGHT),
        (ny(2026, 11, 16, 3, 59), Phase.OVERNIGHT),
        (ny(2026, 11, 16, 4), Phase.PRE),
        (ny(2026, 11, 16, 9, 29), Phase.PRE),
        (ny(2026, 11, 16, 9, 30), Phase.REGULAR),
        (ny(2026, 11, 16, 15, 59), Phase.REGULAR),
        (ny(2026, 11, 16, 16), Phase.AFTER),
        (ny(2026, 11, 16, 20), Phase.OVERNIGHT),
        (ny(2026, 11, 20, 19, 59), Phase.AFTER),  # a Friday
        (ny(2026, 11, 20, 20), Phase.CLOSED),
        (ny(2026, 11, 21, 12), Phase.CLOSED),
        (ny(2026, 11, 25, 20), Phase.CLOSED),  # the night before Thanksgiving
        (ny(2026, 11, 26, 12), Phase.CLOSED),
        (ny(2026, 11, 26, 20), Phase.OVERNIGHT),
        (ny(2026, 11, 27, 12, 59), Phase.REGULAR),  # closes at 13:00
        (ny(2026, 11, 27, 13), Phase.AFTER),
        (ny(2026, 11, 27, 16, 59), Phase.AFTER),
        (ny(2026, 11, 27, 17), Phase.CLOSED),
        (ny(2026, 3, 8, 20), Phase.OVERNIGHT),  # clocks went forward in the morning
        (ny(2026, 3, 9, 9, 30), Phase.REGULAR),
    ],
)
def test_the_phases_of_known_moments_in_new_york(moment, phase):
    assert phase_at("XNYS", moment) is phase
    assert phase_at("XNYS", moment.astimezone(dt.UTC)) is phase
    assert phase_at("XNYS", pd.Timestamp(moment)) is phase


def test_a_venue_that_sleeps_has_only_regular_hours():
    assert phase_at("XLON", dt.datetime(2026, 3, 27, 16, 29, tzinfo=LONDON)) is Phase.REGULAR
    assert phase_at("XLON", dt.datetime(2026, 3, 27, 16, 30, tzinfo=LONDON)) is Phase.CLOSED
    assert next_change("XLON", dt.datetime(2026, 3, 27, 17, tzinfo=LONDON)) == (
        dt.datetime(2026, 3, 30, 7, tzinfo=dt.UTC),  # 08:00 after the clocks went forward on the 29th
        Phase.REGULAR,
    )


@settings(max_examples=150, deadline=None)
@given(moments)
@example(dt.datetime(2026, 3, 8, 7, tzinfo=dt.UTC))
def test_every_moment_has_the_phase_that_the_wall_clock_says(moment):
    assert phase_at("XNYS", moment) is slow_phase(moment)


@settings(max_examples=60, deadline=None)
@given(venues, days)
def test_phases_divide_time_without_gap_and_without_overlap(venue, day):
    first, last = sessions.previous_session(venue, day).date(), sessions.next_session(venue, day).date()
    every = [span for one in pd.date_range(first, last) for span in spans(venue, one.date())]
    assert every == sorted(every)
    for before, after in itertools.pairwise(every):
        assert before.start < before.end <= after.start
        if before.end < after.start:
            assert phase_at(venue, before.end) is Phase.CLOSED
            assert phase_at(venue, after.start - dt.timedelta(microseconds=1)) is Phase.CLOSED
        assert phase_at(venue, before.start) is before.phase
        assert phase_at(venue, before.end - dt.timedelta(microseconds=1)) is before.phase


@settings(max_examples=80, deadline=None)
@given(venues, moments)
def test_the_next_change_is_the_first_change(venue, moment):
    at, phase = next_change(venue, moment)
    now = phase_at(venue, moment)
    assert at > moment
    assert phase is not now
    assert phase_at(venue, at) is phase
    assert phase_at(venue, at - dt.timedelta(microseconds=1)) is now
    steps = int((at - moment) / MINUTE)
    for number in range(0, steps, 7):
        assert phase_at(venue, moment + number * MINUTE) is now


@settings(max_examples=80, deadline=None)
@given(windows(), days)
def test_a_window_never_leaves_its_session(window, day):
    session = sessions.next_session("XNYS", day).date()
    found, hours = window.span(session), spans("XNYS", session)
    allowed = hours if window.extended else [one for one in hours if one.phase is Phase.REGULAR]
    if found is None:
        with pytest.raises(StudyError, match="no part of"):
            window.opens_at(session)
        return
    start, end = window.opens_at(session), window.closes_at(session)
    assert (start, end) == found
    assert allowed[0].start <= start < end <= allowed[-1].end
    for inside in (start, end - dt.timedelta(microseconds=1)):
        assert window.contains(inside)
        assert window.current(inside) == found
        assert phase_at("XNYS", inside) is not Phase.CLOSED
        assert window.extended or phase_at("XNYS", inside) is Phase.REGULAR
    assert not window.contains(end)
    assert not window.contains(start - dt.timedelta(microseconds=1))


@settings(max_examples=80, deadline=None)
@given(windows(), moments)
def test_a_window_holds_exactly_the_moments_between_its_hours_on_the_wall(window, moment):
    wall = moment.astimezone(NEW_YORK)
    phase, over_midnight = slow_phase(moment), window.end <= window.start
    evening = wall.time() >= dt.time(20)
    if window.extended and window.start >= dt.time(20):
        in_hours = evening and wall.time() >= window.start and (over_midnight or wall.time() < window.end)
        in_hours |= over_midnight and not evening and wall.time() < window.end
    else:
        in_hours = not evening and window.start <= wall.time() < window.end
    may = phase is not Phase.CLOSED if window.extended else phase is Phase.REGULAR
    assert window.contains(moment) == (in_hours and may)


@settings(max_examples=60, deadline=None)
@given(windows(), moments)
def test_the_next_open_is_the_first_after_the_moment(window, moment):
    session = sessions.previous_session("XNYS", moment.date()).date()
    try:
        opened = window.next_open(moment)
    except StudyError:
        assert window.span(dt.date(2026, 11, 16)) is None  # hours in which no ordinary session trades
        return
    assert opened > moment
    assert window.contains(opened)
    assert not window.contains(opened - dt.timedelta(microseconds=1))
    starts = []
    while session <= opened.date() + dt.timedelta(days=1):
        found = window.span(session)
        starts += [found[0]] if found else []
        session = sessions.next_session("XNYS", session).date()
    assert opened == min(start for start in starts if start > moment)


@settings(max_examples=60, deadline=None)
@given(days)
def test_hours_on_the_wall_stay_when_the_clocks_change(day):
    session = sessions.next_session("XNYS", day).date()
    start, end = TradingWindow(dt.time(10, 15), dt.time(12, 45)).span(session)
    assert start.astimezone(NEW_YORK).time() == dt.time(10, 15)
    assert end.astimezone(NEW_YORK).time() == dt.time(12, 45)
    night = TradingWindow(dt.time(21), dt.time(2, 30), extended=True).span(session)
    assert [one.astimezone(NEW_YORK).time() for one in night] == [dt.time(21), dt.time(2, 30)]
    assert night[0].astimezone(NEW_YORK).date() == session - dt.timedelta(days=1)


def test_an_early_close_cuts_the_window_and_a_holiday_has_none():
    window = TradingWindow(dt.time(12, 30), dt.time(16))
    assert window.closes_at(dt.date(2026, 11, 27)) == ny(2026, 11, 27, 13)
    assert window.closes_at(pd.Timestamp("2026-11-27")) == ny(2026, 11, 27, 13)
    assert TradingWindow(dt.time(14), dt.time(16)).span(dt.date(2026, 11, 27)) is None
    assert not window.contains(ny(2026, 11, 26, 12, 45))
    assert window.next_open(ny(2026, 11, 25, 12, 30)) == ny(2026, 11, 27, 12, 30)
    with pytest.raises(StudyError, match="no part of 2026-11-26"):
        window.opens_at(dt.date(2026, 11, 26))


def test_the_session_of_a_night_is_the_day_that_follows():
    assert session_at("XNYS", ny(2026, 11, 15, 22)) == dt.date(2026, 11, 16)
    assert session_at("XNYS", ny(2026, 11, 16, 19)) == dt.date(2026, 11, 16)
    assert session_at("XNYS", ny(2026, 11, 14, 12)) is None
    assert spans("XNYS", dt.date(2026, 11, 26)) == ()


@given(windows())
def test_a_window_survives_a_row(window):
    assert TradingWindow.of(window.to_dict()) == window


def test_a_window_reads_what_people_write():
    assert TradingWindow.of({"start": "09:45", "end": "15:30", "at_end": "flatten"}) == TradingWindow(
        dt.time(9, 45), dt.time(15, 30), at_end="flatten"
    )
    assert str(TradingWindow(extended=True)) == "09:30–16:00 XNYS, extended hours, then hold"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"start": "16:00", "end": "09:30"}, "is empty"),
        ({"start": "10:00", "end": "10:00"}, "is empty"),
        ({"start": "25:00"}, "no time of day"),
        ({"at_end": "sell"}, "neither 'hold' nor 'flatten'"),
        ({"begin": "10:00"}, "has no 'begin'"),
        ({"start": "10:00+02:00"}, "has a timezone"),
    ],
)
def test_a_window_that_no_session_can_have_is_refused(raw, said):
    with pytest.raises(ParameterError, match=said):
        TradingWindow.of(raw)


def test_a_window_outside_of_all_trading_never_opens():
    with pytest.raises(StudyError, match="thirty sessions"):
        TradingWindow(dt.time(5), dt.time(6)).next_open(ny(2026, 11, 16))


def test_a_moment_without_a_timezone_and_a_venue_that_never_closes_are_refused():
    with pytest.raises(ParameterError, match="no timezone"):
        phase_at("XNYS", dt.datetime(2026, 11, 16, 12))  # noqa: DTZ001 - that is what is refused
    with pytest.raises(StudyError, match="does not change"):
        next_change("24/7", ny(2026, 11, 16, 12))
    assert phase_at("24/7", ny(2026, 11, 15, 3)) is Phase.REGULAR
    with pytest.raises(StudyError, match="not a known calendar"):
        phase_at("NOWHERE", ny(2026, 11, 16, 12))
