import datetime as dt
import threading

import pytest
from sqlalchemy import select

from workbench.errors import LeaseLost
from workbench.store.engine import transaction
from workbench.store.lease import Lease
from workbench.store.tables.execution import LeaseRow

NOW = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
TTL = dt.timedelta(seconds=30)


class Time:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += dt.timedelta(seconds=seconds)


@pytest.fixture
def time():
    return Time()


def acquire(engine, holder, time):
    return Lease.acquire(engine, "account", holder, ttl=TTL, clock=time)


def stored(engine):
    with transaction(engine) as session:
        return session.scalars(select(LeaseRow)).one()


def test_a_free_lease_is_taken_once(engine, time):
    first = acquire(engine, "one", time)
    assert first.token == 1
    assert acquire(engine, "two", time) is None
    row = stored(engine)
    assert (row.holder, row.token, row.expires_at) == ("one", 1, NOW + TTL)


def test_an_expired_lease_goes_to_the_next_one_and_shuts_out_the_old(engine, time):
    first = acquire(engine, "one", time)
    time.pass_by(29.9)
    assert acquire(engine, "two", time) is None
    time.pass_by(0.1)
    second = acquire(engine, "two", time)
    assert second.token == first.token + 1
    with pytest.raises(LeaseLost, match="two holds it with token 2"), transaction(engine) as session:
        first.check(session)
    with transaction(engine) as session:
        second.check(session)


def test_renewing_keeps_others_out_until_the_lease_is_lost(engine, time):
    first = acquire(engine, "one", time)
    time.pass_by(20)
    first.renew()
    time.pass_by(20)
    assert acquire(engine, "two", time) is None
    time.pass_by(10)
    second = acquire(engine, "two", time)
    with pytest.raises(LeaseLost):
        first.renew()
    assert stored(engine).expires_at == time.now + TTL
    assert stored(engine).holder == second.holder


def test_a_released_lease_is_free_at_once_and_its_token_is_spent(engine, time):
    first = acquire(engine, "one", time)
    first.release()
    second = acquire(engine, "two", time)
    assert second.token == 2
    first.release()  # late: must not throw the new holder out
    assert acquire(engine, "three", time) is None
    with pytest.raises(LeaseLost), transaction(engine) as session:
        first.check(session)


def test_a_restarted_holder_need_not_wait_but_its_former_self_is_shut_out(engine, time):
    before = acquire(engine, "desk", time)
    after = acquire(engine, "desk", time)
    assert after.token == before.token + 1
    with pytest.raises(LeaseLost), transaction(engine) as session:
        before.check(session)


def test_a_write_of_a_lost_lease_is_rolled_back(engine, time):
    first = acquire(engine, "one", time)
    time.pass_by(60)
    acquire(engine, "two", time)

    def write():
        with transaction(engine) as session:
            session.add(LeaseRow(name="trace of the old holder", holder="one", token=1, expires_at=NOW))
            session.flush()
            first.check(session)

    with pytest.raises(LeaseLost):
        write()
    assert stored(engine).name == "account"


def test_leases_of_different_names_do_not_touch_each_other(engine, time):
    assert Lease.acquire(engine, "a", "one", ttl=TTL, clock=time).token == 1
    assert Lease.acquire(engine, "b", "two", ttl=TTL, clock=time).token == 1


def test_of_many_at_once_one_wins(engine, time):
    won, start = [], threading.Barrier(6)

    def contend(holder):
        start.wait()
        lease = acquire(engine, holder, time)
        if lease is not None:
            won.append(lease)

    threads = [threading.Thread(target=contend, args=(f"holder {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [lease.token for lease in won] == [1]
    assert stored(engine).holder == won[0].holder


def test_a_takeover_waits_for_the_transaction_that_has_checked(engine, time):
    first = acquire(engine, "one", time)
    time.pass_by(60)
    order = []

    def take_over():
        acquire(engine, "two", time)
        order.append("taken over")

    with transaction(engine) as session:
        first.check(session)
        thread = threading.Thread(target=take_over)
        thread.start()
        thread.join(0.2)
        order.append("committed")
    thread.join()
    assert order == ["committed", "taken over"]
