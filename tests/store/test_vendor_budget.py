import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from workbench.errors import ParameterError
from workbench.store import vendor_budget
from workbench.store.engine import open_engine
from workbench.store.relaxed import relaxed
from workbench.store.tables.connector import ConnectorRow
from workbench.store.vendor_budget import GRAINS, MOST_AHEAD, SECOND, SLACK, USE_WITHIN, Limit, Standing

NOW = 1_767_627_000 * SECOND
EMPTY = Standing([], {}, 0, None, 0, 0, None, None)
SEC = (Limit(10, 1.0),)


def us(seconds):
    return round(seconds * SECOND)


def take(engine, limits=SEC, *, at=0.0, patience=0.0, vendor="acme"):
    """The token's moment in seconds after NOW; None: there was none within the patience."""
    with engine.begin() as connection:
        standing = vendor_budget.locked(connection, vendor)
        moment, taken = vendor_budget.take(
            connection, vendor, standing, limits, at_us=NOW + us(at), latest_us=NOW + us(at + patience)
        )
    return (moment - NOW) / SECOND if taken else None


def left(engine, limit, *, at=0.0, vendor="acme"):
    with engine.begin() as connection:
        return vendor_budget.left(vendor_budget.locked(connection, vendor), limit, at_us=NOW + us(at))


def test_ten_at_once_and_the_eleventh_after_its_window(engine):
    assert [take(engine) for _ in range(10)] == [0.0] * 10
    assert take(engine, at=0.5) is None
    assert take(engine, at=1.0 + SLACK - 0.001) is None
    assert take(engine, at=1.0 + SLACK) == 1.0 + SLACK


def test_who_waits_is_told_when_and_nobody_overtakes(engine):
    limits = (Limit(2, 1.0),)
    assert [take(engine, limits, patience=10) for _ in range(5)] == [0.0, 0.0, 1.2, 1.2, 2.4]
    assert take(engine, limits, at=1.3, patience=10) == 2.4
    assert take(engine, limits, at=1.3, patience=1) is None  # 3.6: what is not taken costs nothing
    assert take(engine, limits, at=1.3, patience=2.3) == 3.6


def test_several_limits_hold_at_once(engine):
    limits = (Limit(3, 60.0), Limit(2, 1.0))
    assert [take(engine, limits, patience=100) for _ in range(4)] == [0.0, 0.0, 1.2, 60.2]
    assert [left(engine, limit, at=0.5) for limit in limits] == [0, 0]
    assert [left(engine, limit, at=60.2) for limit in limits] == [1, 1]


def test_vendors_have_budgets_of_their_own(engine):
    assert [take(engine, (Limit(1, 1.0),), vendor=vendor) for vendor in ("a", "a", "b")] == [0.0, None, 0.0]


def test_a_clock_that_lags_uses_no_token_twice(engine):
    for _ in range(10):
        assert take(engine, at=5) == 5
    assert take(engine, at=0) is None
    assert take(engine, at=0, patience=7) == 6.2


def test_a_moment_that_only_a_wrong_clock_can_have_written_counts_as_now(engine):
    year = 365 * 86400.0
    for _ in range(10):
        assert take(engine, at=year) == year
    assert take(engine, at=0) is None  # they are counted all the same
    assert take(engine, at=0, patience=2) == 1.2
    assert take(engine, at=MOST_AHEAD / 2) == MOST_AHEAD / 2


def test_a_vendor_that_wants_to_be_left_alone_is_for_everybody(engine):
    assert take(engine) == 0.0
    with engine.begin() as connection:
        vendor_budget.change(connection, "acme", limited_until_us=NOW + us(33))
    assert (take(engine, at=32), left(engine, SEC[0], at=32)) == (None, 0)
    assert take(engine, at=32, patience=2) == 33
    assert left(engine, SEC[0], at=34) == 9


def test_another_process_with_other_limits_counts_what_this_one_sent(engine):
    for _ in range(5):
        take(engine, (Limit(5, 1.0),))
    assert left(engine, Limit(6, 10.0)) == 1  # a window nobody had counted yet knows the tokens of the longest one
    assert take(engine, (Limit(6, 10.0),)) == 0.0
    assert take(engine, (Limit(6, 10.0),)) is None
    assert take(engine, (Limit(6, 1.0),)) is None  # what the second process sent is in the first one's window as well


def test_the_limits_as_last_given_are_stored(engine):
    take(engine, (Limit(60, 60.0), Limit(30, 1.0)))
    with engine.begin() as connection:
        assert connection.scalar(select(ConnectorRow.limits)) == [[60, 60.0], [30, 1.0]]


def test_a_large_limit_is_counted_in_few_parts():
    limit = Limit(10_000, 60.0)
    standing, taken = EMPTY, 0
    for step in range(20_000):
        at = NOW + step * 6_000  # 10,000 in 60 s
        moment = vendor_budget.next_moment(standing, (limit,), at_us=at)
        if moment > at:
            break
        standing = replace(standing, used=vendor_budget.with_token(standing.used, (limit,), moment), newest_us=moment)
        taken += 1
    (kept,) = standing.used.values()
    assert taken >= 10_000
    assert len(kept) <= GRAINS + 2


@pytest.mark.parametrize(("requests", "seconds"), [(0, 1.0), (1, 0.0), (1, float("nan")), (1, float("inf")), (1.5, 1)])
def test_a_limit_that_cannot_be_is_refused(requests, seconds):
    with pytest.raises(ParameterError, match=r"requests=|seconds="):
        Limit(requests, seconds)


LIMITS = st.lists(
    st.builds(Limit, st.integers(1, 130), st.sampled_from([0.05, 0.5, 1.0, 7.5])),
    min_size=1,
    max_size=3,
    unique_by=lambda limit: limit.seconds,
)
# which process asks, how long after the one before, how long after its token's moment it sends
ASKS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.one_of(st.just(0.0), st.floats(0, 0.3), st.floats(0, 9.0)),
        st.floats(0, USE_WITHIN * 0.999),
    ),
    max_size=200,
)


@given(limits=LIMITS, asks=ASKS, skews=st.tuples(*[st.floats(0, SLACK - USE_WITHIN)] * 3), crowd=st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_never_more_than_the_limit_in_any_window_whatever_the_clocks_say(limits, asks, skews, crowd):
    """Windows open or closed at either end; clocks that differ; requests that leave late; bursts of a crowd."""
    standing, true, sent = EMPTY, float(NOW), []
    for process, gap, delay in asks:
        true += gap * SECOND
        for _ in range(crowd):
            at = round(true + skews[process] * SECOND)
            moment = vendor_budget.next_moment(standing, limits, at_us=at)
            used = vendor_budget.with_token(standing.used, limits, moment)
            standing = replace(standing, used=json.loads(json.dumps(used)), newest_us=moment)
            sent.append(max(moment - skews[process] * SECOND, true) + delay * SECOND)
    sent.sort()
    for limit in limits:
        for first, beyond in zip(sent, sent[limit.requests :], strict=False):
            assert beyond - first > limit.seconds * SECOND


@given(limits=LIMITS, gaps=st.lists(st.floats(0, 3.0), max_size=150))
@settings(max_examples=100, deadline=None)
def test_a_token_comes_no_later_than_its_windows_ask_for(limits, gaps):
    """Beside a plain list of all moments: exact for small limits, up to one part of the window later for large ones."""
    standing, at, moments = EMPTY, NOW, []
    for gap in gaps:
        at += us(gap)
        moment = vendor_budget.next_moment(standing, limits, at_us=at)
        soonest = max([at, *moments[-1:]])
        late = 0
        for limit in limits:
            if len(moments) >= limit.requests:
                soonest = max(soonest, moments[-limit.requests] + limit.window_us + us(SLACK))
            if limit.requests > GRAINS:
                late = max(late, -(-limit.window_us // GRAINS))
        assert soonest <= moment <= soonest + late
        used = vendor_budget.with_token(standing.used, limits, moment)
        standing = replace(standing, used=used, newest_us=moment)
        moments.append(moment)


WORKER = """
import json, sys, time
import httpx
from workbench.data.gateway import Gateway, Limit, Vendor
from workbench.store.engine import open_engine

class Stamp(httpx.BaseTransport):
    def __init__(self):
        self.sent = []
    def handle_request(self, request):
        now = time.time()  # before the token is looked at for the last time: later, this process may stand still
        request.extensions["trace"]("http11.send_request_headers.started", {})
        self.sent.append(now)
        return httpx.Response(200, content=b"{}")

url, requests, seconds, count = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
engine, stamp = open_engine(url, migrate=False), Stamp()
vendor = Vendor("acme", "http://127.0.0.1:1", limits=(Limit(requests, seconds),))
with Gateway(engine=engine, transport=stamp) as gateway:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        gateway.get(vendor, "/x", kind="quotes", query={"n": number}, ttl=0)
        if number == 0:
            print("under way", flush=True)
            sys.stdin.readline()
engine.dispose()
print(json.dumps(stamp.sent))
"""


@pytest.mark.usefixtures("engine")
def test_two_processes_share_one_budget(database_url):
    requests, seconds, count = 8, 0.2, 16
    arguments = [sys.executable, "-c", WORKER, database_url, str(requests), str(seconds), str(count)]
    workers = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
        for _ in range(2)
    ]
    for said in ("ready\n", "under way\n"):  # nobody ends before both have begun
        for worker in workers:
            assert worker.stdout.readline() == said
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
    both = [json.loads(worker.communicate(timeout=180)[0]) for worker in workers]
    sent = sorted(moment for each in both for moment in each)
    assert len(sent) == 2 * count
    assert all(beyond - first > seconds for first, beyond in zip(sent, sent[requests:], strict=False))
    assert max(min(each) for each in both) < min(max(each) for each in both)  # they did send at the same time


def test_a_relaxed_engine_sees_and_is_seen(engine):
    quick = relaxed(engine)
    assert take(quick, (Limit(2, 1.0),)) == 0.0
    assert take(engine, (Limit(2, 1.0),)) == 0.0
    assert take(quick, (Limit(2, 1.0),)) is None
    with quick.connect() as connection:
        asked = "PRAGMA synchronous" if engine.dialect.name == "sqlite" else "SHOW synchronous_commit"
        assert str(connection.exec_driver_sql(asked).scalar_one()) in {"1", "off"}
    quick.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_relaxed_engine_leaves_the_other_one_as_it_is(engine, database_url):
    quick = relaxed(engine)
    again = open_engine(database_url)
    for opened, level in ((quick, 1), (engine, 2), (again, 2)):
        with opened.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == level
        opened.dispose()
