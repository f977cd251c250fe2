import datetime as dt
import math
import subprocess
import sys
import threading

import httpx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.data import health
from workbench.data.gateway import Gateway, Limit, Vendor
from workbench.data.gateway.counts import COUNTERS, EVERY, KEPT_DAYS
from workbench.data.gateway.latency import class_of, percentile
from workbench.data.gateway.seen import HEALTH_COLUMNS, HISTORY_COLUMNS, STATS_COLUMNS
from workbench.errors import SourceRefused, SourceUnavailable

START = dt.datetime(2026, 1, 5, 15, 30, 20, tzinfo=dt.UTC)
ACME = Vendor("acme", "http://127.0.0.1", limits=(Limit(10, 1.0), Limit(60, 60.0)), attempts=1)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def later(self, seconds):
        self.now += dt.timedelta(seconds=seconds)


class Script(httpx.BaseTransport):
    """Answers with one status after another, each after so many seconds of the test's timer."""

    def __init__(self):
        self.time, self.plan, self.body = 0.0, [], b"{}"

    def handle_request(self, request):
        status, seconds = self.plan.pop(0) if self.plan else (200, 0.01)
        self.time += seconds
        if status == 0:
            raise httpx.ConnectError("no")
        return httpx.Response(status, content=self.body)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def make(engine, clock, script):
    opened = []

    def made(**given):
        given = {"engine": engine, "clock": clock, "sleep": clock.later, "transport": script} | given
        opened.append(Gateway(**given, timer=lambda: script.time))
        return opened[-1]

    yield made
    for gateway in opened:
        gateway.close()


def ask(gateway, *plan, vendor=ACME, kind="quotes"):
    gateway._wire._given.plan += plan
    for _ in plan:
        try:
            gateway.get(vendor, "/x", kind=kind, ttl=0)
        except (SourceRefused, SourceUnavailable):
            continue


def line(frame, vendor="acme"):
    return frame.set_index("vendor").loc[vendor]


def test_the_table_says_how_a_vendor_is_doing(make, engine, clock):
    gateway = make()
    ask(gateway, *[(200, 0.010)] * 8, (500, 0.200), (200, 0.050))
    found = gateway.health()
    assert list(found.columns) == list(HEALTH_COLUMNS)
    row = line(found)
    assert (row["state"], row["breaker"], row["requests"]) == ("up", "closed", 10)
    assert row["error_rate"] == pytest.approx(0.1)
    assert row["p50_ms"] == pytest.approx(10, rel=0.023)
    assert row["p95_ms"] == pytest.approx(200, rel=0.023)
    assert row["last_success"] == row["last_failure"] == START
    assert row["last_error"] == "answered HTTP 500: {}"
    assert row["quota_left"] == "0 of 10 per 1 s, 50 of 60 per 60 s"
    pd.testing.assert_frame_equal(health.health(engine, clock=clock), found)


def test_a_vendor_nobody_asked_is_unknown(make):
    gateway = make()
    assert gateway.health().empty
    row = line(gateway.health(vendors=["fred"]), "fred")
    assert (row["state"], row["breaker"], row["requests"], row["quota_left"]) == ("unknown", "closed", 0, "")
    assert math.isnan(row["p50_ms"])
    assert math.isnan(row["error_rate"])
    assert pd.isna(row["last_success"])


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        ([(200, 0.1)], "up"),
        ([(200, 0.1), (0, 0.1)], "down"),
        ([(200, 0.1), (503, 0.1)], "down"),
        ([(0, 0.1), (200, 0.1)], "up"),
        ([(401, 0.1)], "up"),
        ([(0, 0.1), (401, 0.1)], "up"),
        ([(429, 0.1)], "down"),
        ([(0, 0.1)] * 5, "down"),
    ],
)
def test_up_is_who_answered_last(make, clock, plan, state):
    gateway = make()
    for each in plan:
        ask(gateway, each)
        clock.later(1)
    assert line(gateway.health())["state"] == state


def test_a_refusal_is_told_with_its_moment(make):
    gateway = make()
    ask(gateway, (403, 0.1))
    row = line(gateway.health())
    assert (row["last_refused"], row["last_error"]) == (START, "answered HTTP 403: {}")
    assert pd.isna(row["last_success"])


def test_a_message_that_no_database_would_take_is_stored_as_far_as_it_can_be_read(make, script):
    gateway = make()
    script.body = b"so\x00 wrong\n\xff\xfe \x1b[31m" + b"x" * 10_000
    ask(gateway, (500, 0.1), (403, 0.1))
    (found,) = gateway.history("acme")["last_error"]
    assert found.startswith("answered HTTP 403: so wrong \ufffd\ufffd [31mxxx")
    assert len(found) < 250


def test_the_breaker_and_a_vendors_wish_are_shown(make, clock):
    gateway = make()
    ask(gateway, *[(0, 0.1)] * 5)
    assert line(gateway.health())["breaker"] == "open"
    clock.later(30)
    assert line(gateway.health())["breaker"] == "half-open"
    ask(gateway, (429, 0.1))
    row = line(gateway.health())
    assert (row["breaker"], row["limited_until"]) == ("closed", START + dt.timedelta(seconds=35))
    assert row["quota_left"].startswith("0 of 10")
    clock.later(6)
    assert pd.isna(line(gateway.health())["limited_until"])


def test_history_is_kept_by_the_minute_over_processes_and_restarts(make, engine, clock):
    first = make()
    ask(first, (200, 0.01), (500, 0.02))
    clock.later(60)
    ask(first, (200, 0.04))
    first.close()
    second = make()
    ask(second, (401, 0.04))
    found = second.history("acme")
    assert list(found.columns) == list(HISTORY_COLUMNS)
    minute = START.replace(second=0)
    assert list(found["minute"]) == [minute, minute + dt.timedelta(minutes=1)]
    assert found[["requests", "failures", "busy", "refused"]].to_numpy().tolist() == [[2, 1, 0, 0], [2, 0, 0, 1]]
    assert list(found["error_rate"]) == [0.5, 0.5]
    assert found["p99_ms"].to_numpy() == pytest.approx([20, 40], rel=0.023)
    assert list(found["last_error"]) == ["answered HTTP 500: {}", "answered HTTP 401: {}"]
    assert list(second.history("acme", since=clock())["minute"]) == [minute + dt.timedelta(minutes=1)]
    assert list(health.history(engine, "acme", until=START)["minute"]) == [minute]
    assert health.history(engine, "nobody").empty


def test_only_the_newest_minutes_make_up_the_table(make, clock):
    gateway = make()
    ask(gateway, *[(500, 0.5)] * 4)
    clock.later(3 * 60)
    ask(gateway, (200, 0.01))
    assert line(gateway.health(minutes=60))["requests"] == 5
    assert line(gateway.health(minutes=1))["requests"] == 1


def test_minutes_go_after_their_time(make, clock):
    gateway = make()
    ask(gateway, (200, 0.01))
    gateway.stats()
    clock.later((KEPT_DAYS + 1) * 86_400)
    ask(gateway, (200, 0.01))
    assert len(gateway.history("acme")) == 1
    assert gateway.stats()["calls"].sum() == 2  # counters stay


def test_statistics_are_per_vendor_and_kind_and_add_up_over_gateways(make, engine):
    one, two = make(), make()
    other = Vendor("beta", "http://127.0.0.1")
    ask(one, (200, 0.1), (200, 0.1))
    ask(two, (200, 0.1), kind="news")
    ask(two, (401, 0.1), vendor=other)
    one.stats()
    found = two.stats()
    assert list(found.columns) == list(STATS_COLUMNS)
    assert found[["vendor", "kind", "calls", "requests", "misses", "failures"]].to_numpy().tolist() == [
        ["acme", "news", 1, 1, 1, 0],
        ["acme", "quotes", 2, 2, 2, 0],
        ["beta", "quotes", 1, 1, 0, 1],
    ]
    assert (found["calls"] == found[["hits", "misses", "joined", "failures"]].sum(axis=1)).all()
    pd.testing.assert_frame_equal(health.stats(engine), found)


def test_hits_and_saved_bytes_are_counted(make, tmp_path):
    gateway = make(cache=tmp_path / "answers")
    for _ in range(5):
        gateway.get(ACME, "/x", kind="news")
    row = gateway.stats().iloc[0]
    assert (row["calls"], row["hits"], row["misses"], row["saved_calls"]) == (5, 4, 1, 4)
    assert (row["bytes_network"], row["bytes_cache"]) == (2, 8)


def test_no_statistics_are_an_empty_table_of_the_same_shape(make):
    found = make().stats()
    assert found.empty
    assert list(found.columns) == list(STATS_COLUMNS)
    assert set(found[list(COUNTERS)].dtypes.astype(str)) == {"int64"}


def test_counts_are_written_while_asking_not_only_at_the_end(make, engine, clock):
    gateway = make()
    ask(gateway, (200, 0.01))
    assert health.stats(engine).empty
    clock.later(EVERY)
    ask(gateway, (200, 0.01))
    assert health.stats(engine)["requests"].sum() == 2


def test_what_cannot_be_written_is_written_later(make, clock):
    gateway = make()
    ask(gateway, (200, 0.01), (401, 0.02))
    write = gateway._counts._transaction

    def broken():
        raise OSError("the disk is full")

    gateway._counts._transaction = broken
    clock.later(EVERY)
    ask(gateway, (200, 0.01))  # an answer is worth more than its count
    with pytest.raises(OSError, match="disk is full"):
        gateway.stats()
    gateway._counts._transaction = write
    assert gateway.stats()["requests"].sum() == 3
    assert gateway.history("acme")["requests"].sum() == 3
    assert line(gateway.health())["last_refused"] == START


def test_threads_lose_no_count(make):
    gateway = make()
    free = Vendor("free", "http://127.0.0.1")

    def work():
        for _ in range(50):
            gateway.get(free, f"/{threading.get_ident()}", kind="quotes", ttl=0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gateway.stats()[["calls", "requests"]].sum().tolist() == [200, 200]
    assert gateway.history("free")["requests"].sum() == 200


LEFT_OPEN = """
import sys
import httpx
from workbench.data.gateway import Gateway, Vendor
from workbench.store.engine import open_engine
wire = httpx.MockTransport(lambda _: httpx.Response(200))
gateway = Gateway(engine=open_engine(sys.argv[1], migrate=False), transport=wire)
gateway.get(Vendor("acme", "http://127.0.0.1"), "/x", kind="news")
"""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_kernel_that_ends_without_closing_has_written_its_counts(engine, database_url):
    ended = subprocess.run([sys.executable, "-c", LEFT_OPEN, database_url], check=True, capture_output=True, text=True)
    assert ended.stderr == ""
    assert health.stats(engine)["calls"].tolist() == [1]


def test_without_a_database_a_gateway_counts_for_itself():
    with Gateway(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as gateway:
        gateway.get(ACME, "/x", kind="quotes", ttl=0)
        assert gateway.stats()["calls"].tolist() == [1]
        assert line(gateway.health())["state"] == "up"
        assert len(gateway.history("acme")) == 1


@given(st.lists(st.floats(1e-6, 500.0), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_within_its_promise(seconds, share):
    counts = {}
    for each in seconds:
        counts[str(class_of(each))] = counts.get(str(class_of(each)), 0) + 1
    true = np.quantile(seconds, share, method="inverted_cdf") * 1000
    assert percentile(counts, share) == pytest.approx(true, rel=0.0221)


def test_no_latency_has_no_percentile():
    assert math.isnan(percentile({}, 0.5))
    assert class_of(0.0) == class_of(-1.0) == 0
