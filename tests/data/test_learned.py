"""The moments at which a fact that carries only a day could be known."""

import datetime as dt
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data import learned

DAYS = pd.DatetimeIndex(["2024-01-31", "2024-03-31", "2024-10-27", "2024-12-31"])


def test_the_end_of_a_day_is_the_next_midnight_there():
    assert [f"{moment:%m-%d %H:%M}" for moment in learned.end_of(DAYS, zone="Europe/Berlin")] == [
        "01-31 23:00",
        "03-31 22:00",  # summer time begins on this day
        "10-27 23:00",  # and ends on this one
        "12-31 23:00",
    ]
    assert f"{learned.end_of(DAYS, zone='America/Chicago')[0]:%m-%d %H:%M}" == "02-01 06:00"


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (dt.time(16, 30), ["15:30", "14:30", "15:30", "15:30"]),
        (dt.time(2, 30), ["01:30", "01:00", "01:30", "01:30"]),  # skipped: the end of the gap; twice: the second
    ],
)
def test_an_hour_on_the_wall_is_the_later_one_where_clocks_change(time, said):
    assert [f"{moment:%H:%M}" for moment in learned.at(DAYS, time, zone="Europe/Berlin")] == said


def test_nothing_is_learned_after_it_was_read():
    read = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)
    moments = pd.DatetimeIndex(["2024-06-01 11:59", "2024-06-01 12:01"], tz="UTC").as_unit("us")
    assert learned.seen_by(moments, read).tolist() == [moments[0], pd.Timestamp(read)]


@given(
    st.datetimes(pd.Timestamp("1990-01-01").to_pydatetime(), pd.Timestamp("2035-01-01").to_pydatetime()),
    st.sampled_from(["America/New_York", "America/Chicago", "Europe/Berlin"]),
)
def test_a_moment_on_the_wall_is_never_read_earlier_than_its_zone_can_mean(wall, zone):
    (found,) = learned.at(pd.DatetimeIndex([wall]), dt.time(), zone=zone)
    by_hand = [wall.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1)]
    back = found.tz_convert(zone).tz_localize(None)
    if back == wall:  # not in a gap: the later of what it can mean
        assert found == max(moment.astimezone(dt.UTC) for moment in by_hand)
    else:
        assert dt.timedelta(0) < back - wall <= dt.timedelta(hours=1)
