"""Faults on demand: what the client sees, and whether the order was placed. The truth is asked for afterwards."""

from __future__ import annotations

import time

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import MarketOrderRequest
from pydantic import ValidationError
from requests.adapters import HTTPAdapter

from workbench.errors import ExchangeUnavailable
from workbench.exchange import embedded


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
    [("504-before-accept", 504, False), ("504-after-accept", 504, True), ("500-html", 500, False), ("429", 429, False)],
)
def test_bad_answers(url, trader, kind, status, is_placed):
    one = trader()
    embedded.add_fault(url, kind=kind, count=1)
    with pytest.raises(APIError) as caught:
        one.api.submit_order(order("a"))
    assert caught.value.status_code == status
    assert placed(one) == (["a"] if is_placed else [])
    if kind == "429":
        assert caught.value.response.headers["Retry-After"] == "1"
    if kind == "500-html":
        assert "<html>" in caught.value.response.text
    one.api.submit_order(order("b"))  # the fault was for one request


@pytest.mark.parametrize(("kind", "is_placed"), [("reset-before", False), ("reset-after", True)])
def test_resets_look_the_same_from_outside(url, trader, kind, is_placed):
    one = trader()
    embedded.add_fault(url, kind=kind, count=1)
    with pytest.raises(requests.ConnectionError):
        one.api.submit_order(order("a"))
    assert placed(one) == (["a"] if is_placed else [])


def test_hang_places_the_order_and_never_answers(url, trader):
    one = trader()

    class Patience(HTTPAdapter):
        def send(self, request, **options):
            return super().send(request, **options | {"timeout": (1, 0.3)})

    one.api._session.mount("http://", Patience())
    embedded.add_fault(url, kind="hang", count=1)
    began = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        one.api.submit_order(order("a"))
    assert time.monotonic() - began < 2
    assert placed(one) == ["a"]


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
    ],
)
def test_a_wrong_fault_is_refused(url, body):
    with pytest.raises(ExchangeUnavailable, match="422"):
        embedded.add_fault(url, **body)
    assert requests.get(f"{url}/sim/faults", timeout=5).json() == []
