import datetime as dt
import random
from email.utils import format_datetime

import pytest

from tests.data.gateway.conftest import START
from tests.vendors.server import Reply, half
from workbench.data.gateway import Limit, retry
from workbench.errors import BadData, ParameterError, SourceRefused, SourceUnavailable

BUSY = Reply({"message": "slow down"}, status=429)
DOWN = Reply("upstream is away", status=503)


def busy(said):
    return Reply({"message": "slow down"}, status=429, headers={"Retry-After": said})


def test_what_fails_is_asked_again_after_1_2_and_4_seconds(gateway, vendor, server, clock):
    server.next(DOWN, Reply(reset=True), half({"value": 1}))
    assert gateway.get(vendor(), "/ok", kind="news").json() == {"value": 1}
    assert clock.slept == [1, 2, 4]
    assert len(server.asked) == 4
    (line,) = gateway.stats().to_dict("records")
    assert (line["calls"], line["requests"], line["retries"], line["failures"]) == (1, 4, 3, 0)


def test_after_the_last_attempt_the_error_says_what_happened(gateway, vendor, server):
    server.next(*[DOWN] * 4)
    with pytest.raises(
        SourceUnavailable, match=r"acme was asked 4 times.*HTTP 503: upstream is away.*Nothing was read"
    ):
        gateway.get(vendor(), "/ok", kind="news")
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(reset=True), "the connection broke"),
        (half({"value": 1}), "broke off in the middle of its answer"),
        (Reply(b"\x1f\x8b nonsense", headers={"Content-Encoding": "gzip"}), "cannot be unpacked"),
        (Reply({}, status=500), "HTTP 500"),
        (Reply({}, status=504), "HTTP 504"),
        (Reply({}, status=408), "HTTP 408"),
    ],
)
def test_every_passing_fault_is_asked_again_and_named(gateway, vendor, server, reply, said):
    server.next(reply, reply)
    with pytest.raises(SourceUnavailable, match=said):
        gateway.get(vendor(attempts=2), "/ok", kind="news")
    assert len(server.asked) == 2


def test_a_vendor_that_hangs_is_not_waited_for(gateway, vendor, server):
    server.next(Reply({}, wait=0.6))
    with pytest.raises(SourceUnavailable, match=r"did not answer in time \(ReadTimeout"):
        gateway.get(vendor(attempts=1, timeout=(1.0, 0.05)), "/ok", kind="news")


def test_nobody_at_the_address_is_unavailable_too(gateway, vendor):
    with pytest.raises(SourceUnavailable, match="could not be reached"):
        gateway.get(vendor(url="http://127.0.0.1:1", attempts=1), "/ok", kind="news")


def test_an_answer_that_never_ends_is_given_up(make, vendor, server):
    ticks = iter(range(0, 10_000, 60))
    gateway = make(timer=lambda: next(ticks))
    server.route("/long", Reply(b"x" * 3_000_000))
    with pytest.raises(SourceUnavailable, match="was still sending its answer"):
        gateway.get(vendor(attempts=1, whole=100.0), "/long", kind="news")


def test_an_answer_larger_than_allowed_is_not_read_and_not_asked_for_again(gateway, vendor, server):
    server.route("/large", Reply(b"x" * 300_000))
    with pytest.raises(BadData, match=r"more than 200,000 bytes"):
        gateway.get(vendor(largest=200_000), "/large", kind="news")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 405, 410, 418, 422, 451])
def test_a_refusal_is_not_asked_again(gateway, vendor, server, status):
    server.next(Reply({"message": "no such plan"}, status=status))
    with pytest.raises(SourceRefused, match=rf"HTTP {status}: .*no such plan.*Nothing was read") as caught:
        gateway.get(vendor(), "/ok", kind="news")
    assert caught.value.facts["http_status"] == status
    assert len(server.asked) == 1


def test_what_the_caller_calls_absent_is_an_answer(gateway, vendor, server):
    assert gateway.get(vendor(), "/nowhere", kind="news").absent
    server.next(Reply({}, status=422), Reply({}, status=404), Reply("", status=503))
    assert gateway.get(vendor(), "/ok", kind="news", absent=(422,), ttl=0).absent
    with pytest.raises(SourceRefused, match="HTTP 404"):
        gateway.get(vendor(), "/ok", kind="news", absent=(), ttl=0)
    assert gateway.get(vendor(), "/ok", kind="news", absent=(503,), ttl=0).absent
    assert not gateway.get(vendor(), "/ok", kind="news", ttl=0).absent


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_is_honoured_as_seconds_and_as_a_date(gateway, vendor, server, clock, date):
    server.next(busy(format_datetime(START + dt.timedelta(seconds=30), usegmt=True) if date else "30"))
    assert gateway.get(vendor(), "/ok", kind="news").status == 200
    assert clock.passed == pytest.approx(30)


def test_retry_after_of_a_503_is_honoured_too(gateway, vendor, server, clock):
    server.next(Reply("", status=503, headers={"Retry-After": "20"}))
    gateway.get(vendor(), "/ok", kind="news")
    assert clock.passed == pytest.approx(20)


def test_retry_after_that_is_longer_than_the_patience_says_when(gateway, vendor, server, clock):
    server.next(busy("600"))
    with pytest.raises(SourceUnavailable, match=r"may be asked again at 2026-01-05 15:40:00 UTC.*patience=120 s"):
        gateway.get(vendor(), "/ok", kind="news")
    assert clock.passed < 5
    with pytest.raises(SourceUnavailable, match="15:40:00 UTC"):  # for every other call as well
        gateway.get(vendor(), "/else", kind="quotes")
    assert len(server.asked) == 1
    clock.later(600)
    assert gateway.get(vendor(), "/ok", kind="news").status == 200


def test_retry_after_is_capped(gateway, vendor, server):
    server.next(busy("99999999"))
    with pytest.raises(SourceUnavailable, match="15:31:40 UTC"):
        gateway.get(vendor(busy_at_most=100.0, patience=10.0), "/ok", kind="news")


@pytest.mark.parametrize("said", ["soon", "", "nan", "Thu, 99 Foo"])
def test_a_retry_after_that_cannot_be_read_is_the_vendors_usual_pause(gateway, vendor, server, clock, said):
    server.next(busy(said))
    gateway.get(vendor(busy_for=7.0), "/ok", kind="news")
    assert clock.passed == pytest.approx(7)


def test_a_vendor_may_say_403_when_it_is_asked_too_often(gateway, vendor, server, clock):
    server.next(Reply("Request Rate Threshold Exceeded", status=403))
    sec = vendor(busy_statuses=(403, 429), busy_for=60.0)
    assert gateway.get(sec, "/ok", kind="filings").status == 200
    assert clock.passed == pytest.approx(60)


def test_every_attempt_takes_a_token(gateway, vendor, server, clock):
    server.next(DOWN, DOWN)
    gateway.get(vendor(limits=(Limit(2, 50.0),)), "/ok", kind="news")
    assert clock.passed == pytest.approx(50.2)


def test_patience_is_for_the_whole_call(gateway, vendor, server, clock):
    server.next(busy("40"), busy("40"), busy("40"))
    with pytest.raises(SourceUnavailable, match="patience="):
        gateway.get(vendor(patience=100.0), "/ok", kind="news")
    assert clock.passed < 100


def test_a_redirect_within_the_host_is_followed_and_takes_a_token(gateway, vendor, server, clock, key):
    server.route("/old", Reply(b"", status=302, headers={"Location": "/ok?page=2"}))
    acme = vendor(limits=(Limit(1, 10.0),))
    assert gateway.get(acme, "/old", kind="news", secrets={"apikey": key}).json() == {"value": 1}
    assert server.asked[-1].query == {"page": "2", "apikey": key.get_secret_value()}
    assert clock.passed == pytest.approx(10.2)


@pytest.mark.parametrize("there", ["http://elsewhere.invalid/ok", "//elsewhere.invalid/ok", "https://127.0.0.1/ok"])
def test_a_redirect_to_another_host_is_not_followed(gateway, vendor, server, key, there):
    server.route("/old", Reply(b"", status=301, headers={"Location": there}))
    with pytest.raises(SourceRefused, match="moved to another host"):
        gateway.get(vendor(), "/old", kind="news", headers={"X-Key": key})
    assert len(server.asked) == 1


def test_a_redirect_in_a_circle_ends(gateway, vendor, server):
    server.route("/old", Reply(b"", status=302, headers={"Location": "/old"}))
    with pytest.raises(SourceRefused, match="in a circle"):
        gateway.get(vendor(), "/old", kind="news")
    assert len(server.asked) == 4


def test_an_answer_that_is_neither_yes_nor_no_is_refused(gateway, vendor, server):
    server.next(Reply(b"", status=304))
    with pytest.raises(SourceRefused, match="not asked for"):
        gateway.get(vendor(), "/ok", kind="news")


def test_a_question_with_a_body_is_asked_again_as_well(gateway, vendor, server):
    server.next(DOWN)
    gateway.post(vendor(), "/ok", kind="short_interest", body={"limit": 5, "a": [1]})
    assert [(asked.method, asked.json, asked.headers["content-type"]) for asked in server.asked] == [
        ("POST", {"limit": 5, "a": [1]}, "application/json")
    ] * 2


def test_waits_grow_and_jitter_only_lengthens_them():
    rng = random.Random(1)
    for attempt, least in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0)):
        waits = [retry.backoff(attempt, rng) for _ in range(200)]
        assert least <= min(waits) < max(waits) <= 1.25 * least
        assert len(set(waits)) > 100


@pytest.mark.parametrize("patience", [-1, 3601, float("nan")])
def test_a_patience_that_cannot_be_is_refused(gateway, vendor, server, patience):
    with pytest.raises(ParameterError, match="patience="):
        gateway.get(vendor(), "/ok", kind="news", patience=patience)
    assert not server.asked
