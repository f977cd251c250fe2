import datetime as dt
import threading

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.gateway.conftest import Clock
from workbench.data.gateway import Gateway, Limit, Vendor
from workbench.errors import SourceUnavailable


class Noting(httpx.BaseTransport):
    """Notes when each request left; a connection may take its time first."""

    def __init__(self, clock, connecting=()):
        self.clock, self.left, self.connecting = clock, [], list(connecting)

    def handle_request(self, request):
        if self.connecting:
            self.clock.later(self.connecting.pop(0))
        request.extensions["trace"]("http11.send_request_headers.started", {})
        self.left.append(self.clock())
        return httpx.Response(200, content=b"{}")


def fits(left, limit):
    window = dt.timedelta(seconds=limit.seconds)
    moments = sorted(left)
    return all(beyond - first > window for first, beyond in zip(moments, moments[limit.requests :], strict=False))


@given(
    calls=st.lists(st.tuples(st.floats(0, 2.0), st.one_of(st.just(0.0), st.floats(0, 1.5))), min_size=1, max_size=60),
    limits=st.sampled_from([(Limit(10, 1.0),), (Limit(3, 1.0), Limit(8, 10.0)), (Limit(1, 0.1),)]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_requests_leave_within_every_limit_however_long_connections_take(calls, limits):
    clock = Clock()
    wire = Noting(clock, [connecting for _, connecting in calls])
    with Gateway(clock=clock, sleep=clock.sleep, transport=wire) as gateway:
        acme = Vendor("acme", "http://127.0.0.1", limits=limits, patience=3600.0)
        for gap, _ in calls:
            clock.later(gap)
            gateway.get(acme, "/x", kind="quotes", ttl=0)
    assert len(wire.left) == len(calls)
    for limit in limits:
        assert fits(wire.left, limit)


def test_threads_share_the_budget(make, clock):
    wire = Noting(clock)
    gateway, acme = make(transport=wire), Vendor("acme", "http://127.0.0.1", limits=(Limit(5, 1.0),))

    def ask(number):
        for each in range(6):
            gateway.get(acme, f"/{number}-{each}", kind="quotes", ttl=0)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wire.left) == 24
    assert fits(wire.left, Limit(5, 1.0))


def test_two_gateways_on_one_database_share_the_budget(engine, make, clock):
    wires = Noting(clock), Noting(clock)
    acme = Vendor("acme", "http://127.0.0.1", limits=(Limit(3, 1.0),))
    one, two = (make(engine=engine, transport=wire) for wire in wires)
    for number in range(8):
        (one, two)[number % 2].get(acme, "/x", kind="quotes", ttl=0)
    left = [moment for wire in wires for moment in wire.left]
    assert len(left) == 8
    assert fits(left, Limit(3, 1.0))
    assert clock.passed == pytest.approx(2.4)


def test_a_call_that_would_wait_too_long_says_when_and_sends_nothing(make, clock):
    wire = Noting(clock)
    gateway, acme = make(transport=wire), Vendor("acme", "http://127.0.0.1", limits=(Limit(1, 86_400.0),))
    gateway.get(acme, "/x", kind="news", ttl=0)
    with pytest.raises(SourceUnavailable, match=r"2026-01-06 15:30:00 UTC, in 86400.2 s \(limits: 1 per 86400 s\)"):
        gateway.get(acme, "/x", kind="news", ttl=0)
    assert (len(wire.left), clock.slept) == (1, [])


def test_a_call_may_have_less_patience_than_its_vendor(make, clock):
    gateway, acme = make(transport=Noting(clock)), Vendor("acme", "http://127.0.0.1", limits=(Limit(1, 10.0),))
    gateway.get(acme, "/x", kind="news", ttl=0)
    with pytest.raises(SourceUnavailable, match="patience=5 s"):
        gateway.get(acme, "/x", kind="news", ttl=0, patience=5)
    gateway.get(acme, "/x", kind="news", ttl=0)
    assert clock.passed == pytest.approx(10.2)


def test_who_was_waiting_when_the_vendor_asked_to_be_left_alone_waits_on(make, clock):
    """The first caller sleeps for its token; meanwhile, in another process, the vendor answers 429."""
    wire = Noting(clock)
    gateway, acme = make(transport=wire), Vendor("acme", "http://127.0.0.1", limits=(Limit(1, 10.0),))

    def sleep(seconds):
        if not clock.slept:
            gateway._admission.busy(acme, 60, "answered HTTP 429")
        clock.sleep(seconds)

    gateway._admission._sleep = sleep
    gateway.get(acme, "/x", kind="news", ttl=0)
    gateway.get(acme, "/x", kind="news", ttl=0)
    assert (wire.left[1] - wire.left[0]).total_seconds() == pytest.approx(60)


def test_a_pause_that_a_wrong_clock_left_behind_hides_no_true_one(make, clock):
    wire = Noting(clock)
    gateway, acme = make(transport=wire), Vendor("acme", "http://127.0.0.1")
    clock.later(365 * 86_400)
    gateway._admission.busy(acme, 60, "answered HTTP 429")
    clock.later(-365 * 86_400)
    gateway.get(acme, "/x", kind="news", ttl=0)
    assert clock.passed == 0
    gateway._admission.busy(acme, 30, "answered HTTP 429")
    gateway._admission.busy(acme, 10, "answered HTTP 429")
    gateway.get(acme, "/x", kind="news", ttl=0)
    assert clock.passed == pytest.approx(30)


def test_waits_are_counted(make, clock):
    gateway, acme = make(transport=Noting(clock)), Vendor("acme", "http://127.0.0.1", limits=(Limit(1, 10.0),))
    for _ in range(3):
        gateway.get(acme, "/x", kind="news", ttl=0)
    (line,) = gateway.stats().to_dict("records")
    assert (line["waits"], line["waited_ms"]) == (2, 20_400)
