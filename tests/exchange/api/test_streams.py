"""The trade_updates stream, heard through alpaca-py's own TradingStream and on the bare wire."""

from __future__ import annotations

import asyncio
import json

import pytest
import websockets
from alpaca.trading.enums import OrderSide, TimeInForce, TradeEvent
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, ReplaceOrderRequest


def buy(symbol="ACME", qty=10, force="day", **more):
    return MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=TimeInForce(force), **more)


def limit(price, **more):
    return LimitOrderRequest(
        symbol="ACME", qty=10, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=price, **more
    )


def told(messages):
    return [(message["data"]["event"], message["data"]["order"]["status"]) for message in messages]


def test_the_life_of_an_order_that_fills_in_parts(trader, wait_until):
    one = trader()
    with one.listening() as messages:
        one.api.submit_order(buy("THIN", qty=150, force="gtc"))
        one.advance("2024-03-06 16:00")
        wait_until(lambda: len(messages) >= 4)
        assert told(messages) == [
            ("pending_new", "pending_new"),
            ("new", "new"),
            ("partial_fill", "partially_filled"),
            ("fill", "filled"),
        ]
        data = [message["data"] for message in messages]
        assert data[0]["execution_id"] is None
        assert len({entry["execution_id"] for entry in data[1:]}) == 3
        assert [(entry["qty"], entry["price"], entry["position_qty"]) for entry in data[2:]] == [
            ("100", "10.005", "100"),
            ("50", "10.005", "150"),
        ]
        assert data[3]["order"]["filled_qty"] == "150"
        rows = one.api.get("/account/activities/FILL", {"direction": "asc"})
        assert [row["id"].split("::")[1] for row in rows] == [entry["execution_id"] for entry in data[2:]]


def test_models_understand_every_event(trader, wait_until):
    one = trader(at="2024-03-04 19:00")
    with one.listening(raw=False) as messages:
        first = one.api.submit_order(limit(80))
        second = one.api.replace_order_by_id(first["id"], ReplaceOrderRequest(limit_price=81))
        one.api.cancel_order_by_id(second["id"])
        one.api.submit_order(buy("FLAT", qty=1, force="opg"))
        one.advance("2024-03-05 16:00")
        wait_until(lambda: len(messages) >= 9)
        assert [TradeEvent(message.event).value for message in messages] == [
            "pending_new",
            "new",
            "replaced",
            "pending_new",
            "new",
            "canceled",
            "pending_new",
            "new",
            "expired",
        ]
        assert str(messages[2].order.replaced_by) == second["id"]


def test_an_account_hears_only_of_itself(trader, wait_until):
    one, other = trader(), trader()
    with one.listening() as messages:
        other.api.submit_order(buy(client_order_id="theirs"))
        one.api.submit_order(buy(client_order_id="ours"))
        wait_until(lambda: len(messages) >= 2)
        assert {message["data"]["order"]["client_order_id"] for message in messages} == {"ours"}


def test_who_comes_back_is_not_told_what_was_missed(trader, wait_until):
    one = trader()
    one.api.submit_order(buy(client_order_id="before"))
    with one.listening() as messages:
        one.api.submit_order(buy(client_order_id="after"))
        wait_until(lambda: len(messages) >= 2)
        assert {message["data"]["order"]["client_order_id"] for message in messages} == {"after"}


async def conversation(url, *sent, origin=None):
    """The decoded answers to the sent messages, with the kind of frame they came in."""
    heard = []
    async with websockets.connect(f"ws{url[4:]}/stream", origin=origin, proxy=None, open_timeout=60) as socket:
        for message in sent:
            await socket.send(message if isinstance(message, str) else json.dumps(message))
            frame = await asyncio.wait_for(socket.recv(), 60)
            heard.append((type(frame), json.loads(frame)))
    return heard


def test_the_wire_is_binary_frames_of_json(url, trader):
    keys = trader().keys
    login = {"action": "authenticate", "data": {"key_id": keys.key_id, "secret_key": keys.secret_key}}
    listen = {"action": "listen", "data": {"streams": ["trade_updates"]}}
    assert asyncio.run(conversation(url, login, listen)) == [
        (bytes, {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}),
        (bytes, {"stream": "listening", "data": {"streams": ["trade_updates"]}}),
    ]


def test_a_stranger_is_not_let_in(url, trader):
    login = {"action": "authenticate", "data": {"key_id": trader().keys.key_id, "secret_key": "wrong"}}
    listen = {"action": "listen", "data": {"streams": ["trade_updates"]}}
    refused, unheard = asyncio.run(conversation(url, login, listen))
    assert refused[1]["data"]["status"] == "unauthorized"
    assert "error" in unheard[1]["data"]


def test_noise_ends_the_connection(url):
    with pytest.raises(websockets.ConnectionClosed):
        asyncio.run(conversation(url, "noise"))


def test_a_web_page_cannot_listen(url):
    with pytest.raises(websockets.InvalidStatus, match="403"):
        asyncio.run(conversation(url, origin="http://example.org"))
