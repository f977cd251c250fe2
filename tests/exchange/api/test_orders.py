"""Orders through alpaca-py's own client: submit, look up, list, replace, cancel, and every refusal."""

from __future__ import annotations

import uuid

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopOrderRequest,
)


def field(thing, name):
    """A field of a raw reply or of a model, as text."""
    value = thing[name] if isinstance(thing, dict) else getattr(thing, name)
    return None if value is None else str(getattr(value, "value", value))


def market(symbol="ACME", qty=10, side="buy", force="day", **more):
    return MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide(side), time_in_force=TimeInForce(force), **more)


def limit(price, symbol="ACME", qty=10, side="buy", force="day", **more):
    return LimitOrderRequest(
        symbol=symbol, qty=qty, side=OrderSide(side), time_in_force=TimeInForce(force), limit_price=price, **more
    )


def stop(price, symbol="ACME", qty=10, side="sell", force="day", **more):
    return StopOrderRequest(
        symbol=symbol, qty=qty, side=OrderSide(side), time_in_force=TimeInForce(force), stop_price=price, **more
    )


def refusal(call, *arguments):
    """(status, code or None, body) of a refused call."""
    with pytest.raises(APIError) as caught:
        call(*arguments)
    body = caught.value.response.json()
    return caught.value.status_code, body.get("code"), body


def test_a_market_order_fills_at_the_next_open_with_slippage(both):
    accepted = both.api.submit_order(market(client_order_id="first"))
    assert field(accepted, "status") == "pending_new"
    assert field(both.api.get_order_by_id(field(accepted, "id")), "status") == "new"
    done = both.advance("2024-03-05 16:00")
    assert (done.fills, done.expired) == (1, 0)
    order = both.api.get_order_by_client_id("first")
    assert field(order, "status") == "filled"
    assert field(order, "filled_qty") == "10"
    assert field(order, "filled_avg_price") == "102.051"  # 102 · 1.0005
    assert field(order, "filled_at")[:16].replace("T", " ") == "2024-03-05 14:30"


def test_a_close_only_symbol_fills_at_the_next_close(both):
    accepted = both.api.submit_order(market("FLAT", side="buy"))
    both.advance("2024-03-05 09:30")
    assert field(both.api.get_order_by_id(field(accepted, "id")), "status") == "new"
    both.advance("2024-03-05 16:00")
    order = both.api.get_order_by_id(field(accepted, "id"))
    assert field(order, "filled_avg_price") == "51.0255"  # 51 · 1.0005
    assert field(order, "filled_at")[:16].replace("T", " ") == "2024-03-05 21:00"


def test_a_stop_pays_the_gap(both):
    both.api.submit_order(market())
    both.advance("2024-03-05 16:00")
    protection = both.api.submit_order(stop(100, force="gtc"))
    both.advance("2024-03-06 16:00")
    order = both.api.get_order_by_id(field(protection, "id"))
    assert field(order, "filled_avg_price") == "89.955"  # opened at 90, not at the stop of 100: 90 · 0.9995


def test_a_partial_fill_goes_on_working_until_it_is_done(both):
    accepted = both.api.submit_order(market("THIN", qty=250, force="gtc"))
    seen = []
    for day in (5, 6, 7):
        both.advance(f"2024-03-0{day} 16:00")
        order = both.api.get_order_by_id(field(accepted, "id"))
        seen.append((field(order, "status"), field(order, "filled_qty")))
    assert seen == [("partially_filled", "100"), ("partially_filled", "200"), ("filled", "250")]


def test_what_is_left_of_a_day_order_expires_at_the_close(both):
    accepted = both.api.submit_order(market("THIN", qty=250))
    done = both.advance("2024-03-05 16:00")
    assert (done.fills, done.expired) == (1, 1)
    order = both.api.get_order_by_id(field(accepted, "id"))
    assert (field(order, "status"), field(order, "filled_qty")) == ("expired", "100")


def test_a_fractional_order_and_a_notional_order(both):
    fraction = both.api.submit_order(market(qty=0.5))
    notional = both.api.submit_order(
        MarketOrderRequest(symbol="ACME", notional=1000, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    both.advance("2024-03-05 16:00")
    assert field(both.api.get_order_by_id(field(fraction, "id")), "filled_qty") == "0.5"
    order = both.api.get_order_by_id(field(notional, "id"))
    assert field(order, "qty") is None
    assert field(order, "filled_qty") == "9.799022057"  # 1000 / 102.051 = 9.79902205759…, cut at nine decimals


@pytest.mark.parametrize(
    ("force", "session_price", "status"),
    [
        ("opg", 102, "filled"),
        ("cls", 104, "filled"),
        ("ioc", 102, "filled"),
        ("fok", 102, "filled"),
        ("gtc", 102, "filled"),
    ],
)
def test_times_in_force(trader, force, session_price, status):
    one = trader(at="2024-03-04 19:00")  # from then on the auctions of the next day are open
    accepted = one.api.submit_order(market(force=force))
    one.advance("2024-03-05 16:00")
    order = one.api.get_order_by_id(accepted["id"])
    assert order["status"] == status
    assert float(order["filled_avg_price"]) == pytest.approx(session_price * 1.0005)


def test_an_opening_order_without_an_open_expires_at_the_open(trader):
    one = trader(at="2024-03-04 19:00")
    accepted = one.api.submit_order(market("FLAT", force="opg"))
    one.advance("2024-03-05 09:30")
    assert one.api.get_order_by_id(accepted["id"])["status"] == "expired"


def test_auctions_are_not_entered_too_late(trader):
    one = trader(at="2024-03-05 15:51")
    assert refusal(one.api.submit_order, market(force="cls"))[:2] == (422, 42210000)
    one.advance("2024-03-06 09:28")
    assert refusal(one.api.submit_order, market(force="opg"))[:2] == (422, 42210000)


def test_an_order_of_the_running_session_dies_at_its_close(trader):
    one = trader(at="2024-03-05 12:00")
    working = one.api.submit_order(limit(90))
    one.advance("2024-03-05 16:00")
    assert one.api.get_order_by_id(working["id"])["status"] == "expired"


def test_cancel_one_and_cancel_all(both):
    first, second, third = (both.api.submit_order(limit(price)) for price in (80, 81, 82))
    assert both.api.cancel_order_by_id(field(first, "id")) is None
    assert field(both.api.get_order_by_id(field(first, "id")), "status") == "canceled"
    status, code, body = refusal(both.api.cancel_order_by_id, field(first, "id"))
    assert (status, code, body["message"]) == (422, 42210000, 'order is already in "canceled" state')
    lines = both.api.cancel_orders()
    assert {(field(line, "id"), field(line, "status")) for line in lines} == {
        (field(second, "id"), "200"),
        (field(third, "id"), "200"),
    }
    assert both.api.get_orders() == []
    assert both.advance("2024-03-06 16:00").fills == 0


def test_replace_makes_a_new_order_for_the_rest(both):
    old = both.api.submit_order(limit(10, "THIN", qty=250, force="gtc"))
    both.advance("2024-03-05 16:00")  # 100 filled
    new = both.api.replace_order_by_id(
        field(old, "id"), ReplaceOrderRequest(qty=300, limit_price=10.5, client_order_id=uuid.uuid4().hex)
    )
    replaced = both.api.get_order_by_id(field(old, "id"))
    assert (field(replaced, "status"), field(replaced, "replaced_by")) == ("replaced", field(new, "id"))
    assert field(new, "replaces") == field(old, "id")
    assert (field(new, "qty"), field(new, "limit_price"), field(new, "time_in_force")) == ("200", "10.5", "gtc")
    both.advance("2024-03-07 16:00")
    assert field(both.api.get_order_by_id(field(new, "id")), "status") == "filled"
    assert refusal(both.api.replace_order_by_id, field(new, "id"), ReplaceOrderRequest(qty=1))[:2] == (422, 42210000)


def test_a_refused_replace_leaves_the_old_order_working(trader):
    one = trader(cash=1000)
    old = one.api.submit_order(limit(90, qty=10))
    status, code, body = refusal(one.api.replace_order_by_id, old["id"], ReplaceOrderRequest(qty=1000))
    assert (status, code, body["message"]) == (403, 40310000, "insufficient buying power")
    assert one.api.get_order_by_id(old["id"])["status"] == "new"


class TestListing:
    @pytest.fixture
    def busy(self, trader):
        one = trader(cash=10_000_000)
        for number in range(6):
            one.api.submit_order(
                limit(50 + number, symbol="ACME" if number % 2 else "THIN", client_order_id=f"n{number}")
            )
        one.api.cancel_order_by_id(one.api.get_order_by_client_id("n0")["id"])
        one.api.submit_order(market("CENT", side="sell", client_order_id="short"))
        return one

    def names(self, one, **filters):
        return [order["client_order_id"] for order in one.api.get_orders(GetOrdersRequest(**filters))]

    def test_status(self, busy):
        assert self.names(busy) == ["short", "n5", "n4", "n3", "n2", "n1"]
        assert self.names(busy, status=QueryOrderStatus.CLOSED) == ["n0"]
        assert len(self.names(busy, status=QueryOrderStatus.ALL)) == 7

    def test_side_symbols_limit_direction(self, busy):
        assert self.names(busy, side=OrderSide.SELL) == ["short"]
        assert self.names(busy, symbols=["ACME"], direction="asc") == ["n1", "n3", "n5"]
        assert self.names(busy, symbols=["ACME", "CENT"], limit=2) == ["short", "n5"]

    def test_after_and_until_exclude_their_moment_and_page_through_everything(self, busy):
        third = busy.api.get_order_by_client_id("n3")["submitted_at"]
        assert self.names(busy, after=third, direction="asc") == ["n4", "n5", "short"]
        assert self.names(busy, until=third, status=QueryOrderStatus.ALL) == ["n2", "n1", "n0"]
        seen, newest = [], "2024-01-01T00:00:00Z"
        while page := busy.api.get_orders(
            GetOrdersRequest(status=QueryOrderStatus.ALL, after=newest, direction="asc", limit=2)
        ):
            seen += [order["client_order_id"] for order in page]
            newest = page[-1]["submitted_at"]
        assert seen == ["n0", "n1", "n2", "n3", "n4", "n5", "short"]

    def test_the_limit_is_500(self, busy):
        assert refusal(busy.api.get, "/orders", {"limit": 501})[:2] == (422, 40010001)
        assert refusal(busy.api.get, "/orders", {"after": "soon"})[2]["message"] == "invalid format for after"


class TestRefusals:
    def test_a_client_order_id_is_used_once_even_after_a_cancel(self, trader):
        one = trader()
        one.api.submit_order(limit(80, client_order_id="mine"))
        for _ in range(2):
            status, code, body = refusal(one.api.submit_order, limit(80, client_order_id="mine"))
            assert (status, code, body["message"]) == (422, 40010001, "client_order_id must be unique")
            one.api.cancel_orders()
        assert len(one.api.get_orders(GetOrdersRequest(status=QueryOrderStatus.ALL))) == 1

    def test_two_accounts_may_use_the_same_client_order_id(self, trader):
        orders = [one.api.submit_order(limit(80, client_order_id="ours")) for one in (trader(), trader())]
        assert orders[0]["id"] != orders[1]["id"]

    def test_insufficient_buying_power_says_how_much(self, trader):
        one = trader(cash=1000, multiplier=1)
        status, code, body = refusal(one.api.submit_order, market(qty=10))
        assert (status, code, body["message"]) == (403, 40310000, "insufficient buying power")
        assert (body["buying_power"], body["cost_basis"]) == ("1000", "1035.25")  # 10 · 101 · 1.025

    def test_open_orders_reserve_buying_power_and_a_cancel_gives_it_back(self, trader):
        one = trader(cash=1000, multiplier=1)
        one.api.submit_order(limit(90, qty=10))
        assert one.api.get_account()["buying_power"] == "100"
        assert refusal(one.api.submit_order, limit(90, qty=2))[2]["buying_power"] == "100"
        one.api.cancel_orders()
        assert one.api.get_account()["buying_power"] == "1000"

    def test_nobody_sells_more_than_is_there(self, trader):
        one = trader()
        one.api.submit_order(market(qty=10))
        one.advance("2024-03-05 16:00")
        one.api.submit_order(limit(120, qty=6, side="sell"))
        status, code, body = refusal(one.api.submit_order, market(qty=5, side="sell"))
        assert (status, code) == (403, 40310000)
        assert body["message"] == "insufficient qty available for order (requested: 5, available: 4)"
        assert (body["available"], body["existing_qty"], body["held_for_orders"]) == ("4", "10", "6")
        assert body["symbol"] == "ACME"

    def test_short_selling(self, trader):
        one = trader(shorting=False)
        assert refusal(one.api.submit_order, market(side="sell"))[2]["message"] == "account is not allowed to short"
        other = trader()
        other.api.submit_order(limit(110, side="sell"))
        _, _, body = refusal(other.api.submit_order, limit(100))
        assert body["message"] == "cannot open a long buy while a short sell order is open"
        assert refusal(trader().api.submit_order, market(side="sell", qty=0.5))[:2] == (422, 42210000)

    def test_wash_trade(self, trader):
        one = trader()
        one.api.submit_order(limit(100))
        status, code, body = refusal(one.api.submit_order, limit(99, side="sell"))
        assert (status, code, body["message"]) == (403, 40310000, "potential wash trade detected. use complex orders")

    def test_sub_penny(self, trader):
        one = trader()
        status, code, body = refusal(one.api.submit_order, limit(90.123))
        assert (status, code) == (422, 42210000)
        assert (
            body["message"]
            == "invalid limit_price 90.123. sub-penny increment does not fulfill minimum pricing criteria"
        )
        assert refusal(one.api.submit_order, limit(0.1 + 0.2, "CENT"))[:2] == (422, 42210000)
        assert one.api.submit_order(limit(0.1234, "CENT"))["limit_price"] == "0.1234"

    def test_suspended_by_the_owner(self, trader):
        one = trader()
        one.api.patch("/account/configurations", {"suspend_trade": True})
        status, code, body = refusal(one.api.submit_order, market())
        assert (status, code, body["message"]) == (403, 40310000, "new orders are rejected by user request")
        one.api.patch("/account/configurations", {"suspend_trade": False})
        assert one.api.submit_order(market())["status"] == "pending_new"

    def test_unknown_things(self, trader):
        one = trader()
        assert refusal(one.api.submit_order, market("NOPE"))[2] == {"code": 42210000, "message": "invalid symbol"}
        nobody = str(uuid.uuid4())
        for call in (one.api.get_order_by_id, one.api.cancel_order_by_id, one.api.replace_order_by_id):
            assert refusal(call, nobody)[:2] == (404, 40410000)
        assert refusal(one.api.get_order_by_client_id, "never")[:2] == (404, 40410000)
        assert refusal(one.api.get, "/nowhere")[:2] == (404, 40410000)

    def test_a_symbol_that_has_not_traded_yet(self, trader):
        one = trader()
        assert refusal(one.api.submit_order, market("LATE"))[:2] == (422, 42210000)
        one.advance("2024-03-07 16:00")
        assert one.api.submit_order(market("LATE"))["symbol"] == "LATE"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"qty": None}, 40010001),
            ({"qty": "0"}, 40010001),
            ({"qty": "-1"}, 40010001),
            ({"qty": "NaN"}, 40010001),
            ({"qty": "many"}, 40010001),
            ({"notional": "5"}, 40010001),
            ({"symbol": None}, 40010001),
            ({"side": "hold"}, 40010001),
            ({"type": "trailing_stop"}, 40010001),
            ({"time_in_force": "whenever"}, 40010001),
            ({"type": "limit"}, 40010001),
            ({"type": "stop"}, 40010001),
            ({"limit_price": "90"}, 40010001),
            ({"stop_price": "90"}, 40010001),
            ({"order_class": "bracket"}, 40010001),
            ({"qty": "0.5", "time_in_force": "gtc"}, 42210000),
            ({"qty": "0.0000000001"}, 42210000),
            ({"qty": None, "notional": "5.123"}, 42210000),
            ({"client_order_id": "x" * 129}, 40010001),
            ({"extended_hours": True}, 40010001),
        ],
        ids=str,
    )
    def test_malformed(self, trader, change, code):
        one = trader()
        body = {"symbol": "ACME", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        assert refusal(one.api.post, "/orders", body | change)[:2] == (422, code)
        assert one.api.get_orders() == []

    def test_a_body_that_is_no_json_object(self, trader):
        one = trader()
        assert refusal(one.api.post, "/orders", ["a"])[:2] == (400, 40010000)
