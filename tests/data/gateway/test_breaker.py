import threading

import pytest

from tests.vendors.server import Reply
from workbench.data.gateway import Limit
from workbench.errors import SourceRefused, SourceUnavailable

DOWN = Reply("away", status=503)
MANY = 200


@pytest.fixture
def acme(vendor):
    return vendor(attempts=1, breaker_after=3, breaker_for=30.0, breaker_at_most=100.0)


def fail(gateway, acme, times=1):
    for _ in range(times):
        with pytest.raises(SourceUnavailable):
            gateway.get(acme, "/down", kind="news", ttl=0)


def breaker(gateway):
    return gateway.health().set_index("vendor").loc["acme", "breaker"]


@pytest.fixture(autouse=True)
def down(server):
    server.route("/down", DOWN)
    return server


def test_it_opens_after_failures_in_a_row_and_then_nobody_is_asked(gateway, acme, down):
    fail(gateway, acme, 3)
    assert (breaker(gateway), len(down.asked)) == ("open", 3)
    with pytest.raises(SourceUnavailable, match=r"failed 3 times in a row.*until 2026-01-05 15:30:30.*HTTP 503: away"):
        gateway.get(acme, "/ok", kind="news")
    assert len(down.asked) == 3


def test_a_success_in_between_starts_the_count_again(gateway, acme):
    for _ in range(4):
        fail(gateway, acme, 2)
        assert gateway.get(acme, "/ok", kind="news", ttl=0).status == 200
    assert breaker(gateway) == "closed"


def test_a_refusal_is_no_failure(gateway, acme, server):
    server.route("/no", Reply({}, status=401))
    for _ in range(10):
        with pytest.raises(SourceRefused):
            gateway.get(acme, "/no", kind="news", ttl=0)
    assert breaker(gateway) == "closed"


def test_a_busy_vendor_is_not_down(gateway, acme, server):
    server.next(*[Reply({}, status=429, headers={"Retry-After": "1"})] * 10)
    fail(gateway, acme, 10)
    assert breaker(gateway) == "closed"


def test_after_its_time_one_probe_closes_it(gateway, acme, clock):
    fail(gateway, acme, 3)
    clock.later(30)
    assert breaker(gateway) == "half-open"
    assert gateway.get(acme, "/ok", kind="news").status == 200
    assert breaker(gateway) == "closed"
    fail(gateway, acme, 2)
    assert breaker(gateway) == "closed"


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_bound(gateway, acme, down, clock):
    fail(gateway, acme, 3)
    for seconds in (30, 60, 100, 100):
        clock.later(seconds - 1)
        fail(gateway, acme)
        before = len(down.asked)
        clock.later(1)
        fail(gateway, acme)
        assert len(down.asked) == before + 1


def test_a_call_whose_own_attempts_open_it_stops_asking(gateway, vendor, down):
    acme = vendor(breaker_after=2)
    with pytest.raises(SourceUnavailable, match="failed 2 times in a row"):
        gateway.get(acme, "/down", kind="news")
    assert len(down.asked) == 2


def test_half_open_lets_one_request_through_over_all_processes(engine, make, acme, down, clock):
    """Two gateways stand for two processes: the first one's probe is under way while the second asks."""
    one, two = make(engine=engine), make(engine=engine)
    fail(one, acme, 2)
    fail(two, acme)  # the failures of both count together
    clock.later(31)
    under_way, go = threading.Event(), threading.Event()

    def slow(_):
        under_way.set()
        go.wait(60)
        return {"value": 1}

    down.route("/slow", slow)
    answers = []
    probe = threading.Thread(target=lambda: answers.append(one.get(acme, "/slow", kind="news")))
    probe.start()
    assert under_way.wait(60)
    before = len(down.asked)
    for gateway in (one, two):
        with pytest.raises(SourceUnavailable, match="left alone"):
            gateway.get(acme, "/ok", kind="news")
    assert len(down.asked) == before
    go.set()
    probe.join()
    assert answers[0].json() == {"value": 1}
    assert two.get(acme, "/ok", kind="news").status == 200


def test_a_probe_whose_process_died_is_followed_by_another(engine, make, acme, clock):
    gateway = make(engine=engine)
    fail(gateway, acme, 3)
    clock.later(31)
    token = gateway._admission.enter(acme, patience=0)  # and is never heard of again
    assert token.probe
    fail(gateway, acme)
    clock.later(acme.timeout[0] + acme.whole + 10)
    assert gateway.get(acme, "/ok", kind="news").status == 200


def test_a_probe_that_is_interrupted_lets_another_one_through_at_once(make, acme, clock):
    gateway = make()
    fail(gateway, acme, 3)
    clock.later(31)
    send = gateway._wire.send

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    gateway._wire.send = interrupted
    with pytest.raises(KeyboardInterrupt):
        gateway.get(acme, "/ok", kind="news")
    gateway._wire.send = send
    assert gateway.get(acme, "/ok", kind="news").status == 200


def test_a_late_success_neither_closes_it_nor_shortens_it(gateway, acme, down, clock):
    """A request that left before the breaker opened is answered after it did."""
    fail(gateway, acme)
    token = gateway._admission.enter(acme, patience=0)
    fail(gateway, acme, 2)
    gateway._admission.succeeded(acme, token)
    assert breaker(gateway) == "open"
    clock.later(30)
    fail(gateway, acme)  # the probe
    asked = len(down.asked)
    clock.later(59)
    fail(gateway, acme)
    assert len(down.asked) == asked


def test_a_breaker_that_a_wrong_clock_left_open_for_a_year_probes(engine, make, acme, clock):
    gateway = make(engine=engine)
    clock.later(365 * 86400)
    fail(gateway, acme, 3)
    clock.later(-365 * 86400)
    assert gateway.get(acme, "/ok", kind="news").status == 200
    assert breaker(gateway) == "closed"


def test_a_storm_of_503_from_many_threads_costs_few_requests(make, vendor, down):
    gateway, acme = make(), vendor(attempts=1, breaker_after=5, limits=(Limit(1_000, 1.0),))
    begin = threading.Barrier(8)

    def ask():
        begin.wait()
        for number in range(MANY // 8):
            with pytest.raises(SourceUnavailable):
                gateway.get(acme, "/down", kind="news", ttl=0, query={"n": number, "by": threading.get_ident()})

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 5 <= len(down.asked) <= 5 + 8  # those that were under way when it opened
    (line,) = gateway.stats().to_dict("records")
    assert (line["calls"], line["failures"]) == (MANY, MANY)
