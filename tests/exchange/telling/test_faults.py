"""Faults on demand: what the client sees, and whether the order was placed. The truth is asked for afterwards."""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import time

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest
from pydantic import ValidationError
from requests.adapters import HTTPAdapter

from workbench.errors import ExchangeUnavailable, ParameterError
from workbench.exchange import embedded
from workbench.exchange.telling.faults import KINDS, Fault, Faults, parse


def order(name):
    return MarketOrderRequest(
        symbol="ACME", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, client_order_id=name
    )


@pytest.fixture(autouse=True)
def calm_again(url):
    yield
    embedded.clear_faults(url)


def placed(one):
    return [found["client_order_id"] for found in one.api.get("/orders")]


@pytest.mark.parametrize(
    ("kind", "status", "is_placed"),
    [
        ("504-before-accept", 504, False),
        ("504-after-accept", 504, True),
        ("500-html", 500, False),
        ("502-html", 502, False),
        ("429", 429, False),
    ],
)
def test_bad_answers(url, trader, kind, status, is_placed):
    one = trader()
    embedded.add_fault(url, kind=kind, count=1)
    before = time.time()
    with pytest.raises(APIError) as caught:
        one.api.submit_order(order("a"))
    after = time.time()
    assert caught.value.status_code == status
    assert placed(one) == (["a"] if is_placed else [])
    if kind == "429":
        headers = caught.value.response.headers
        assert (headers["Retry-After"], headers["X-RateLimit-Remaining"]) == ("1", "0")
        # A second after the answer was made, which was between the two looks at the clock; rounded up.
        assert math.ceil(before + 1) <= int(headers["X-RateLimit-Reset"]) <= math.ceil(after + 1)
    if kind.endswith("-html"):
        assert "<html>" in caught.value.response.text
    one.api.submit_order(order("b"))  # the fault was for one request


@pytest.mark.parametrize(("kind", "is_placed"), [("reset-before", False), ("reset-after", True)])
def test_resets_look_the_same_from_outside(url, trader, kind, is_placed):
    one = trader()
    embedded.add_fault(url, kind=kind, count=1)
    with pytest.raises(requests.ConnectionError):
        one.api.submit_order(order("a"))
    assert placed(one) == (["a"] if is_placed else [])


def test_hang_places_the_order_and_never_answers(url, trader, wait_until):
    one = trader()

    class Impatience(HTTPAdapter):
        def send(self, request, **options):
            return super().send(request, **options | {"timeout": (60, 0.3)})

    one.api._session.mount(f"{url}/v2/orders", Impatience())
    embedded.add_fault(url, kind="hang", count=1)
    with pytest.raises(requests.ReadTimeout):
        one.api.submit_order(order("a"))
    one.api._session.adapters.pop(f"{url}/v2/orders").close()
    wait_until(lambda: placed(one) == ["a"])


def test_an_unmodified_client_places_two_orders_on_one_504(url, trader):
    """Why the workbench switches the library's retries off and always names its orders."""
    one = trader()
    one.api._retry, one.api._retry_wait = 3, 0
    embedded.add_fault(url, kind="504-after-accept", count=1)
    one.api.submit_order(order(None))
    assert len(placed(one)) == 2
    embedded.add_fault(url, kind="504-after-accept", count=1)
    with pytest.raises(APIError, match="client_order_id must be unique"):
        one.api.submit_order(order("named"))
    assert placed(one).count("named") == 1


def test_an_unknown_status_breaks_models_though_the_order_is_live(url, trader):
    one = trader(raw=False)
    embedded.add_fault(url, kind="unknown-status", count=1)
    with pytest.raises(ValidationError):
        one.api.submit_order(order("a"))
    assert one.api.get_order_by_client_id("a").status.value == "new"
    raw = trader(raw=True)
    embedded.add_fault(url, kind="unknown-status", count=1)
    assert raw.api.submit_order(order("b"))["status"] not in {"new", "pending_new", "accepted"}


def test_events_come_twice_or_not_at_all(url, trader, wait_until):
    one = trader()
    with one.listening() as messages:
        embedded.add_fault(url, kind="duplicate-events", count=2)
        one.api.submit_order(order("a"))
        wait_until(lambda: len(messages) >= 4)
        assert [message["data"]["event"] for message in messages] == ["pending_new", "pending_new", "new", "new"]
        assert messages[2] == messages[3]
        messages.clear()
        embedded.add_fault(url, kind="drop-events", count=1)
        one.api.submit_order(order("b"))
        wait_until(lambda: len(messages) >= 1)
        assert [message["data"]["event"] for message in messages] == ["new"]


def test_a_path_and_a_method_of_ones_own(url, trader):
    one = trader()
    embedded.add_fault(url, kind="504-before-accept", count=1, path="GET /v2/account*")
    one.api.submit_order(order("a"))
    with pytest.raises(APIError):
        one.api.get_account()
    embedded.add_fault(url, kind="504-before-accept", count=1, path="/v2/positions")
    with pytest.raises(APIError):
        one.api.close_all_positions()


def test_probability_strikes_some_and_is_switched_off(url, trader):
    one = trader()
    embedded.add_fault(url, kind="504-before-accept", probability=0.5)
    failed = 0
    for number in range(60):
        try:
            one.api.submit_order(order(f"p{number}"))
        except APIError:
            failed += 1
    assert 15 <= failed <= 45  # seeded, so it is always the same number; the bounds are six sigma
    assert len(placed(one)) == min(50, 60 - failed)  # a page of the list is 50
    embedded.clear_faults(url)
    for number in range(10):
        one.api.submit_order(order(f"q{number}"))


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "earthquake"},
        {"kind": "429", "count": 0},
        {"kind": "429", "probability": 2},
        {"kind": "429", "count": 1, "probability": 1.0},
        {"kind": "slow", "seconds": -1},
        {"kind": "hang", "seconds": 601},
        {"text": "slow:often"},
    ],
)
def test_a_wrong_fault_is_refused(url, body):
    with pytest.raises(ExchangeUnavailable, match="422"):
        embedded.add_fault(url, **body)
    assert requests.get(f"{url}/sim/faults", timeout=60).json() == []


def test_a_slow_answer_comes_late_and_right(url, trader):
    one = trader()
    embedded.add_fault(url, text="slow:1x@0.3s")
    began = time.monotonic()
    assert one.api.submit_order(order("a"))["client_order_id"] == "a"
    assert time.monotonic() - began >= 0.3  # a lower bound holds under any load


def test_a_message_is_overtaken_by_the_next_one_and_not_lost_without_one(url, trader, wait_until):
    one = trader()
    with one.listening() as messages:
        embedded.add_fault(url, kind="reorder-events", count=1)
        one.api.submit_order(order("a"))
        wait_until(lambda: len(messages) >= 2)
        assert [message["data"]["event"] for message in messages] == ["new", "pending_new"]
        messages.clear()
        found = one.api.get_order_by_client_id("a")
        embedded.add_fault(url, kind="reorder-events", count=1)
        one.api.cancel_order_by_id(found["id"])
        wait_until(lambda: len(messages) >= 1)
        assert messages[-1]["data"]["event"] == "canceled"


def test_a_cut_stream_has_lost_what_happened_in_the_gap_and_is_refused_while_it_lasts(url, trader, wait_until):
    one = trader()
    with one.listening() as messages:
        embedded.add_fault(url, text="disconnect:1x@600s")  # until it is cleared, however slow the machine
        one.api.submit_order(order("a"))
        assert one._listeners() == 0
        handshake = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        assert requests.get(f"{url}/stream", headers=handshake, timeout=60).status_code == 503
        embedded.clear_faults(url)
        wait_until(lambda: one._listeners() == 1)
        one.api.submit_order(order("b"))
        wait_until(lambda: len(messages) >= 2)
    told = [message["data"]["order"]["client_order_id"] for message in messages]
    assert "a" not in told
    assert told.count("b") == 2
    assert placed(one)[::-1][:2] == ["a", "b"]


def test_a_skewed_clock_is_off_everywhere_and_understands_its_own_moments(url, trader, wait_until):
    one = trader(at="2024-03-04 16:00")
    right = dt.datetime(2024, 3, 4, 21, tzinfo=dt.UTC)
    one.api.submit_order(order("before"))
    embedded.add_fault(url, text="clock-skew@-90s")
    told = dt.datetime.fromisoformat(one.api.get_clock()["timestamp"])
    assert told == right - dt.timedelta(seconds=90)
    before = time.time()
    seen = one.api._session.get(f"{url}/v2/clock", headers=one.api._get_default_headers(), timeout=60)
    wall = email.utils.parsedate_to_datetime(seen.headers["Date"]).timestamp()
    assert math.floor(before) - 90 <= wall <= time.time() - 90
    with one.listening() as messages:
        one.api.submit_order(order("skewed"))
        wait_until(lambda: len(messages) >= 2)
        created = dt.datetime.fromisoformat(messages[0]["data"]["order"]["created_at"])
    assert abs(created - told) < dt.timedelta(seconds=1)
    asked = (told - dt.timedelta(seconds=1)).isoformat()
    listed = [found["client_order_id"] for found in one.api.get("/orders", {"after": asked})]
    assert {"before", "skewed"} <= set(listed)
    assert one.api.get("/orders", {"after": (told + dt.timedelta(seconds=60)).isoformat()}) == []
    embedded.clear_faults(url)
    assert dt.datetime.fromisoformat(one.api.get_clock()["timestamp"]) == right


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("504-after-accept:0.1", Fault("504-after-accept", "POST /v2/orders", 0.1, None)),
        ("hang:2x", Fault("hang", "POST /v2/orders", 1.0, 2, 600.0)),
        ("slow:0.2@1.5s", Fault("slow", "POST /v2/orders", 0.2, None, 1.5)),
        ("429:0.05:/v2/account", Fault("429", "/v2/account", 0.05, None, 1.0)),
        ("reset-before", Fault("reset-before", "POST /v2/orders", 1.0, 1)),
        (
            "500-html:1:GET /v2/orders:by_client_order_id",
            Fault("500-html", "GET /v2/orders:by_client_order_id", 1, None),
        ),
        ("drop-events:.5", Fault("drop-events", "/stream", 0.5, None)),
        ("disconnect:1x@3s:/v2/iex", Fault("disconnect", "/v2/iex", 1.0, 1, 3.0)),
        ("clock-skew@-90s", Fault("clock-skew", "*", 1.0, None, -90.0)),
    ],
)
def test_a_fault_is_read_from_its_text(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "earthquake",
        "hang:2.5x",
        "hang:0x",
        "hang:0",
        "hang:1.5",
        "slow@-1s",
        "slow@1.5",
        "hang:often",
        "429:0.1:v2",
    ],
)
def test_a_text_that_is_no_fault_is_refused_with_what_to_do(text):
    with pytest.raises(ParameterError) as caught:
        parse(text)
    assert caught.value.remedy


def test_a_number_that_is_none_is_refused():
    for seconds in (math.nan, math.inf, True, "1"):
        with pytest.raises(ParameterError, match="seconds"):
            Fault("slow", "/x", 1.0, 1, seconds)
    with pytest.raises(ParameterError, match="probability"):
        Fault("slow", "/x", math.nan, None)


def test_strikes_repeat_with_their_seed_and_are_counted():
    def struck(seed):
        faults = Faults(seed=seed)
        for kind in KINDS:
            faults.add(parse(f"{kind}:0.3:*"))
        hits = [faults.strike("POST", "/v2/orders") for _ in range(200)]
        return [hit.kind if hit else "" for hit in hits], faults.struck

    first, again, other = struck(7), struck(7), struck(8)
    assert first == again
    assert first != other
    kinds, counts = first
    assert sum(counts.values()) == sum(kind != "" for kind in kinds)


def test_a_gap_lasts_its_seconds_and_is_of_one_path():
    now = [100.0]
    faults = Faults(clock=lambda: now[0])
    faults.cut("/stream", 0.4)
    assert (faults.is_cut("/stream"), faults.is_cut("/v2/iex")) == (True, False)
    now[0] += 0.39
    assert faults.is_cut("/stream")
    now[0] += 0.02
    assert not faults.is_cut("/stream")
    faults.cut("/stream", 600)
    assert faults.clear() == 0
    assert not faults.is_cut("/stream")


def test_the_admin_api_is_never_struck():
    faults = Faults()
    faults.add(parse("hang:1:*"))
    assert faults.strike("POST", "/sim/accounts") is None
    assert faults.strike("GET", "/v2/clock").kind == "hang"


def test_an_exchange_is_started_with_faults(an_exchange, a_trader, tmp_path):
    with an_exchange(tmp_path / "x.db", faults=("504-after-accept:1x", "slow:1x@0s")) as address:
        one = a_trader(address)
        with pytest.raises(APIError):
            one.api.submit_order(order("a"))
        one.api.submit_order(order("b"))
        assert embedded.struck(address) == {"504-after-accept": 1, "slow": 1}
        one.close()
