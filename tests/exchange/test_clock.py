"""The steps of a venue's bars: where prices can change, in order, and none at the same moment as another."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.exchange.clock import FIRST_PRINT, MINUTES, StepKind, Timeline

DAILY, BY_MINUTE, BY_HOUR = Timeline("XNYS"), Timeline("XNYS", "1m"), Timeline("XNYS", "1h")


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def steps(timeline, day):
    return list(timeline.steps(at(day), at(day) + dt.timedelta(days=1)))


def test_a_daily_session_has_an_open_and_a_close():
    found = [(step.kind, step.moment, step.first, step.last, step.number) for step in steps(DAILY, "2024-03-05")]
    assert found == [
        (StepKind.OPEN, at("2024-03-05 14:30"), True, False, 0),
        (StepKind.CLOSE, at("2024-03-05 21:00"), False, True, 0),
    ]


def test_every_minute_opens_and_closes_and_the_flags_mark_the_sessions_ends():
    found = steps(BY_MINUTE, "2024-03-05")
    assert len(found) == 2 * 390
    assert [step.kind for step in found] == [StepKind.OPEN, StepKind.CLOSE] * 390
    assert [step.number for step in found] == [number for number in range(390) for _ in range(2)]
    assert [step for step in found if step.first] == found[:1]
    assert [step for step in found if step.last] == found[-1:]
    assert [step.moment for step in found[:4]] == [
        at("2024-03-05 14:30"),
        at("2024-03-05 14:31"),
        at("2024-03-05 14:31") + FIRST_PRINT,
        at("2024-03-05 14:32"),
    ]


def test_the_last_bar_of_a_session_is_cut_by_its_close():
    closes = [step.moment for step in steps(BY_HOUR, "2024-03-05") if step.kind is StepKind.CLOSE]
    assert closes[-2:] == [at("2024-03-05 20:30"), at("2024-03-05 21:00")]
    assert len(closes) == 7
    early = [step.moment for step in steps(BY_HOUR, "2024-07-03") if step.kind is StepKind.CLOSE]
    assert early[-2:] == [at("2024-07-03 16:30"), at("2024-07-03 17:00")]


def test_summer_time_moves_the_open():
    assert steps(DAILY, "2024-03-08")[0].moment == at("2024-03-08 14:30")
    assert steps(DAILY, "2024-03-11")[0].moment == at("2024-03-11 13:30")


@pytest.mark.parametrize("timeline", [DAILY, BY_HOUR, BY_MINUTE], ids=["1d", "1h", "1m"])
def test_a_walk_of_steps_is_strictly_ascending_and_skips_nothing(timeline):
    @settings(deadline=None)  # the first one loads the calendar
    @given(
        start=st.timedeltas(dt.timedelta(), dt.timedelta(days=700)).map(lambda later: at("2023-01-01") + later),
        pause=st.timedeltas(dt.timedelta(), dt.timedelta(hours=9)),
    )
    def walk(start, pause):
        whole = list(timeline.steps(start, start + pause))
        moments = [step.moment for step in whole]
        assert moments == sorted(set(moments))
        assert all(start < moment <= start + pause for moment in moments)
        # Whoever stands anywhere between two steps is told the same next one.
        for before, after in zip([start, *moments], whole, strict=False):
            middle = before + (after.moment - before) / 2
            assert timeline.next_step(before) == after
            assert timeline.next_step(middle) == after

    walk()


def test_a_length_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="7m"):
        Timeline("XNYS", "7m")
    assert set(MINUTES) == {"1m", "5m", "15m", "1h"}


def test_sessions_after_a_day():
    assert DAILY.after(dt.date(2024, 3, 8)).date == dt.date(2024, 3, 11)
    assert DAILY.after(dt.date(2024, 7, 3), 2).date == dt.date(2024, 7, 8)
