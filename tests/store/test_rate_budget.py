import datetime as dt
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ParameterError
from workbench.store import rate_budget
from workbench.store.engine import open_engine, transaction
from workbench.store.tables.risk import RateBudgetRow

NOW = dt.datetime(2026, 1, 5, 15, 30, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Seen:
    limit: int | None = None
    remaining: int | None = None
    reset: dt.datetime | None = None


def after(seconds):
    return NOW + dt.timedelta(seconds=seconds)


def take(engine, lane="order", *, at=NOW, per_minute=10, account="a"):
    with transaction(engine) as session:
        return rate_budget.take(session, account, lane=lane, at=at, per_minute=per_minute)


def correct(engine, at=NOW, **seen):
    with transaction(engine) as session:
        rate_budget.correct(session, "a", Seen(**seen), at=at)


def left(engine, lane, at=NOW, per_minute=10):
    with transaction(engine) as session:
        return rate_budget.left(session, "a", lane=lane, at=at, per_minute=per_minute)


def test_orders_and_reads_leave_the_share_of_cancels(engine):
    assert [take(engine, "order") for _ in range(4)] == [None] * 4
    assert [take(engine, "read") for _ in range(4)] == [None] * 4
    assert (left(engine, "order"), left(engine, "cancel")) == (0, 2)
    assert take(engine, "order") == take(engine, "read") == after(61)
    assert [take(engine, "cancel") for _ in range(2)] == [None] * 2
    assert take(engine, "cancel") == after(61)


def test_a_token_comes_back_a_minute_after_its_use_and_the_moment_is_told(engine):
    for second in range(8):
        assert take(engine, at=after(second)) is None
    when = take(engine, at=after(8))
    assert when == after(61)
    assert take(engine, at=when - dt.timedelta(microseconds=1)) == when
    assert take(engine, at=when) is None
    assert take(engine, at=when) == after(62)


def test_no_limit_counts_nothing(engine):
    assert take(engine, per_minute=None) is None
    with transaction(engine) as session:
        assert session.get(RateBudgetRow, "a") is None


def test_accounts_have_budgets_of_their_own(engine):
    assert [take(engine, per_minute=1) for _ in range(2)] == [None, after(61)]
    assert take(engine, per_minute=1, account="b") is None


def test_a_limit_below_one_is_refused(engine):
    with pytest.raises(ParameterError, match="per_minute=0 must be at least 1"):
        take(engine, per_minute=0)


def test_a_clock_that_lags_uses_no_token_twice(engine):
    for _ in range(8):
        assert take(engine, at=after(30)) is None
    assert take(engine, at=after(-600)) == after(91)


def test_what_others_used_of_the_brokers_budget_is_used_here_until_its_reset(engine):
    take(engine)
    correct(engine, limit=10, remaining=4, reset=after(20))
    assert (left(engine, "cancel"), left(engine, "order")) == (4, 2)
    assert left(engine, "cancel", at=after(19)) == 4
    assert left(engine, "cancel", at=after(20)) == 9


def test_what_is_on_its_way_stays_counted_when_the_broker_has_not_seen_it(engine):
    for _ in range(5):
        take(engine)
    correct(engine, limit=10, remaining=9)
    assert left(engine, "cancel") == 5


def test_nothing_remaining_means_nothing_until_the_reset_not_even_cancels(engine):
    correct(engine, limit=200, remaining=0, reset=after(33))
    assert take(engine, "cancel", per_minute=200) == after(33)
    assert take(engine, "cancel", at=after(33), per_minute=200) is None


def test_the_smaller_of_our_limit_and_the_brokers_counts(engine):
    correct(engine, limit=5, remaining=5)
    assert left(engine, "cancel", per_minute=200) == 5
    assert left(engine, "cancel", per_minute=3) == 3
    correct(engine, limit=300, remaining=300)
    assert left(engine, "cancel", per_minute=200) == 200


def test_headers_that_say_nothing_change_nothing(engine):
    correct(engine)
    with transaction(engine) as session:
        assert session.get(RateBudgetRow, "a") is None


def test_many_can_be_taken_at_once(engine):
    with transaction(engine) as session:
        named = {"lane": "cancel", "at": NOW, "per_minute": 10}
        assert rate_budget.take_some(session, "a", 7, **named) == (7, None)
        assert rate_budget.take_some(session, "a", 7, **named) == (3, after(61))
        assert rate_budget.take_some(session, "a", 7, **named) == (0, after(61))


def test_a_rollback_gives_the_token_back(engine):
    with transaction(engine) as session:
        assert rate_budget.take(session, "a", lane="order", at=NOW, per_minute=2) is None
        session.rollback()
    assert take(engine, per_minute=2) is None


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('budget') / 'budget.db'}")
    yield engine
    engine.dispose()


def most_in_a_minute(moments):
    ranked = sorted(moments)
    return max((sum(1 for other in ranked if start <= other < start + 60) for start in ranked), default=0)


@given(
    limit=st.integers(1, 12),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["order", "cancel", "read", "headers"]),
            st.floats(0, 40, allow_nan=False),
            st.integers(0, 12),
        ),
        max_size=60,
    ),
)
def test_no_window_of_a_minute_has_more_than_the_limit(shared, limit, steps):
    taken = {"order": [], "cancel": [], "read": []}
    now = NOW
    with transaction(shared) as session:
        for lane, pause, number in steps:
            now += dt.timedelta(seconds=pause)
            if lane == "headers":
                seen = Seen(limit, min(number, limit), now + dt.timedelta(seconds=pause))
                rate_budget.correct(session, "p", seen, at=now)
                continue
            when = rate_budget.take(session, "p", lane=lane, at=now, per_minute=limit)
            if when is None:
                taken[lane].append(now.timestamp())
            else:
                assert when > now
        session.rollback()
    assert most_in_a_minute([moment for lane in taken.values() for moment in lane]) <= limit
    assert most_in_a_minute(taken["order"] + taken["read"]) <= limit - rate_budget.reserved_of(limit)


@given(limit=st.integers(1, 12), used=st.integers(0, 30))
def test_the_moment_that_is_told_is_the_first_at_which_there_is_a_token(shared, limit, used):
    with transaction(shared) as session:
        named = {"lane": "order", "per_minute": limit}
        when = None
        for number in range(used):
            when = rate_budget.take(session, "q", at=NOW + dt.timedelta(seconds=number), **named)
        if when is not None:
            assert rate_budget.take(session, "q", at=when - dt.timedelta(seconds=1), **named) == when
            assert rate_budget.take(session, "q", at=when, **named) is None
        session.rollback()


def test_processes_share_one_budget(database_url):
    open_engine(database_url).dispose()
    command = [sys.executable, str(Path(__file__).with_name("budget_racer.py")), database_url, "120"]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    taken = [json.loads(racer.stdout.readline()) for racer in racers]
    for racer in racers:
        racer.communicate()
        assert racer.returncode == 0
    every = [moment for moments in taken for moment in moments]
    assert most_in_a_minute(every) <= 30
    assert len(every) > 60  # several minutes passed, and the budget was used in each
