import datetime as dt
import itertools
import threading
from types import SimpleNamespace

import pytest

from workbench.errors import ExchangeUnavailable, LeaseLost
from workbench.execution.submitter.submit import Pumped
from workbench.market.hours import Phase
from workbench.orchestration import desk_lease
from workbench.orchestration.desk_counters import REMEMBERED, Counters, Tally
from workbench.orchestration.desk_hours import ASK_SECONDS, HoursMonitor, MarketTime
from workbench.orchestration.desk_keeper import Fenced, Held, Keeper
from workbench.store.lease import Lease

NOON = dt.datetime(2026, 11, 16, 17, tzinfo=dt.UTC)


class Time:
    """A monotonic clock that only the test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def take(engine, holder="one", seconds=8.0, clock=None):
    return Lease.acquire(engine, "account:paper", holder, ttl=dt.timedelta(seconds=seconds), clock=clock)


# --- hours


def test_the_first_look_is_told_and_then_only_changes():
    monitor = HoursMonitor("XNYS")
    first = monitor.look(NOON)
    assert (first.before, first.after, first.until) == (None, Phase.REGULAR, NOON.replace(hour=21))
    assert not first.is_close
    assert monitor.look(NOON + dt.timedelta(hours=3, minutes=59)) is None
    closed = monitor.look(NOON.replace(hour=21))
    assert (closed.before, closed.after, closed.is_close) == (Phase.REGULAR, Phase.AFTER, True)


def test_time_may_jump_over_phases_and_back():
    monitor = HoursMonitor("XNYS")
    monitor.look(NOON)
    assert monitor.look(NOON + dt.timedelta(days=1)) is None
    assert monitor.look(NOON + dt.timedelta(days=5, hours=1)).after is Phase.CLOSED  # a Saturday
    assert monitor.look(NOON).after is Phase.REGULAR
    assert monitor.look(NOON - dt.timedelta(hours=4)).after is Phase.PRE


def test_a_venue_that_never_closes_has_one_phase():
    monitor = HoursMonitor("24/7")
    assert monitor.look(NOON).until is None
    assert monitor.look(NOON + dt.timedelta(days=400)) is None


def clocked(*moments):
    """A broker whose clock gives these moments in turn; None: it does not answer."""
    given = iter(moments)

    def clock():
        clock.asked += 1
        moment = next(given)
        if moment is None:
            raise ExchangeUnavailable("nobody answers")
        return SimpleNamespace(now=moment)

    clock.asked = 0
    return SimpleNamespace(clock=clock)


def test_a_broker_that_lives_in_our_present_is_asked_once():
    wall, monotonic = [NOON], Time()
    broker = clocked(NOON + dt.timedelta(seconds=20))
    time = MarketTime(broker, clock=lambda: wall[0], monotonic=monotonic)
    assert time() == NOON
    wall[0] += dt.timedelta(hours=1)
    monotonic.now += 3600
    assert time() == wall[0]
    assert broker.clock.asked == 1


def test_a_broker_that_replays_is_asked_now_and_then_and_its_time_stands_in_between():
    monotonic, past = Time(), NOON.replace(year=2015)
    broker = clocked(past, None, past + dt.timedelta(days=1))
    time = MarketTime(broker, clock=lambda: NOON, monotonic=monotonic)
    assert [time(), time()] == [past, past]
    monotonic.now += ASK_SECONDS
    assert time() == past  # no answer
    monotonic.now += ASK_SECONDS
    assert time() == past + dt.timedelta(days=1)
    assert broker.clock.asked == 3


# --- counters


def test_percentiles_are_the_nearest_ranks_of_the_last_turns():
    tally = Tally()
    assert tally.counters() == Counters()
    for number in range(5):
        tally.took(50.0 + number)
    for milliseconds in range(1, REMEMBERED + 1):
        tally.took(milliseconds / 1000)
    found = tally.counters()
    assert (found.loop_p50, found.loop_p90, found.loop_p99, found.loop_max) == (500.0, 900.0, 990.0, 1000.0)
    assert found.turns == REMEMBERED + 5


def test_counts_add_up_and_survive_a_row():
    tally = Tally()
    tally.pumped(Pumped(sent=2, acked=1, unknown=1, held=7))
    tally.pumped(Pumped(sent=1, refused=1, held=3))
    tally.count("events")
    found = tally.counters()
    assert (found.sent, found.acked, found.unknown, found.refused, found.held, found.events) == (3, 1, 1, 1, 3, 1)
    assert Counters.of({**found.to_dict(), "of a later version": 1}) == found


# --- the lease: keeping and proving it


def test_nothing_is_sent_by_whoever_lost_the_lease_while_it_slept(engine):
    now, monotonic, sent = [NOON], Time(), []
    lease = take(engine, clock=lambda: now[0])
    broker = SimpleNamespace(submit=sent.append, order=lambda name: f"order {name}")
    fenced = Fenced(broker, Held(lease, monotonic))
    fenced.submit(1)
    now[0] += dt.timedelta(seconds=60)
    monotonic.now += 60
    fenced.submit(2)  # nobody took over meanwhile: it is renewed and goes on
    assert take(engine, "two", clock=lambda: now[0]) is None
    now[0] += dt.timedelta(seconds=60)
    monotonic.now += 60
    assert take(engine, "two", clock=lambda: now[0]) is not None
    with pytest.raises(LeaseLost):
        fenced.submit(3)
    with pytest.raises(LeaseLost):
        fenced.submit(4)
    assert sent == [1, 2]
    assert fenced.order("x") == "order x"  # asking is allowed


def test_a_fresh_lease_is_not_renewed_for_every_order(engine):
    asked, monotonic = itertools.count(), Time()
    lease = take(engine)
    held = Held(SimpleNamespace(ttl=lease.ttl, renew=lambda: next(asked)), monotonic)
    for _ in range(3):
        held.prove()
    assert next(asked) == 0
    monotonic.now += 4.1  # more than half of its time
    held.prove()
    held.prove()
    assert next(asked) == 2  # one of them was this question's


def test_a_keeper_renews_while_the_loop_lives(engine):
    lease = take(engine, seconds=0.4)
    silent = [0.0]
    renewals = threading.Semaphore(0)
    held = Held(lease)
    renew = held.renew

    def counted():
        renew()
        renewals.release()

    held.renew = counted
    keeper = Keeper(held, lambda: silent[0], patience=5)
    for _ in range(3):
        assert renewals.acquire(timeout=60)
    silent[0] = 6.0
    while renewals.acquire(timeout=0.5):
        pass
    silent[0] = 0.0
    assert renewals.acquire(timeout=60)  # it came back to life
    keeper.close()


def test_a_keeper_that_finds_the_lease_lost_ends_and_nothing_leaves_after_it(engine):
    now = [NOON]
    lease = take(engine, seconds=0.4, clock=lambda: now[0])
    held = Held(lease, Time())
    now[0] += dt.timedelta(seconds=60)
    assert take(engine, "two", seconds=60, clock=lambda: now[0]) is not None
    keeper = Keeper(held, lambda: 0.0)
    keeper._thread.join(60)
    assert not keeper._thread.is_alive()
    with pytest.raises(LeaseLost):
        held.prove()
    keeper.close()


def test_an_account_is_free_without_a_lease_and_after_its_end(engine):
    assert desk_lease.is_free(engine, "paper")
    lease = take(engine, seconds=60)
    assert not desk_lease.is_free(engine, "paper")
    lease.release()
    assert desk_lease.is_free(engine, "paper")
