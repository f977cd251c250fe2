"""Brackets, OCO and OTO, stop-limit and trailing stops, through alpaca-py's own client."""

from __future__ import annotations

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import OrderClass, OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

SUB_PENNY = "sub-penny increment does not fulfill minimum pricing criteria"


def field(thing, name):
    value = thing[name] if isinstance(thing, dict) else getattr(thing, name)
    return None if value is None else str(getattr(value, "value", value))


def bracket(symbol="ACME", qty=10, *, side="buy", profit=110, loss=95, force="gtc", limit=None, bound=None, **more):
    exits = {
        "order_class": OrderClass.BRACKET,
        "take_profit": TakeProfitRequest(limit_price=profit),
        "stop_loss": StopLossRequest(stop_price=loss, limit_price=bound),
    }
    common = {"symbol": symbol, "qty": qty, "side": OrderSide(side), "time_in_force": TimeInForce(force)}
    if limit is None:
        return MarketOrderRequest(**common, **exits, **more)
    return LimitOrderRequest(limit_price=limit, **common, **exits, **more)


def refused(call, *arguments):
    with pytest.raises(APIError) as caught:
        call(*arguments)
    body = caught.value.response.json()
    return caught.value.status_code, body["code"], body["message"]


def statuses(one, parent):
    """(entry, take-profit, stop-loss) statuses."""
    whole = one.api.get_order_by_id(parent, GetOrderByIdRequest(nested=True))
    by_type = {leg["type"]: leg["status"] for leg in whole["legs"]}
    return whole["status"], by_type["limit"], by_type.get("stop") or by_type.get("stop_limit")


class TestBracket:
    def test_the_reply_holds_the_exits_with_names_of_their_own(self, both):
        order = both.api.submit_order(bracket(client_order_id="entry"))
        legs = order["legs"] if both.raw else order.legs
        assert field(order, "order_class") == "bracket"
        assert [field(leg, "type") for leg in legs] == ["limit", "stop"]
        assert [field(leg, "side") for leg in legs] == ["sell", "sell"]
        assert [field(leg, "status") for leg in legs] == ["held", "held"]
        assert [field(leg, "qty") for leg in legs] == ["10", "10"]
        names = {field(order, "client_order_id"), *(field(leg, "client_order_id") for leg in legs)}
        assert len(names) == 3
        assert "entry" in names
        assert field(both.api.get_order_by_client_id(field(legs[1], "client_order_id")), "stop_price") == "95"

    def test_the_target_cancels_the_stop(self, trader):
        one = trader()  # entry at 102 · 1.0005 on the 5th, whose high is 105
        entry = one.api.submit_order(bracket(profit=104.5, loss=95))["id"]
        assert statuses(one, entry) == ("new", "held", "held")
        one.advance("2024-03-05 09:30")
        assert statuses(one, entry) == ("filled", "new", "held")
        one.advance("2024-03-05 16:00")
        assert statuses(one, entry) == ("filled", "filled", "canceled")
        assert one.api.get_all_positions() == []
        assert one.api.get_account()["cash"] == "100024.49"  # 10 · (104.5 − 102.051)

    def test_the_stop_cancels_the_target(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket(profit=120, loss=95))["id"]
        one.advance("2024-03-06 09:30")  # opens at 90: the gap is paid
        assert statuses(one, entry) == ("filled", "canceled", "filled")
        assert one.api.get_account()["cash"] == "99879.04"  # 10 · (90 · 0.9995 − 102.051)

    def test_a_short_bracket_is_the_mirror(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket(side="sell", profit=92, loss=110))["id"]
        one.advance("2024-03-06 09:30")
        assert statuses(one, entry) == ("filled", "filled", "canceled")
        assert one.api.get_all_positions() == []

    def test_exits_wait_until_the_entry_is_complete_and_end_with_it(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket("THIN", qty=250, profit=11.5, loss=8.5, limit=10.5))["id"]
        one.advance("2024-03-06 16:00")
        assert statuses(one, entry) == ("partially_filled", "held", "held")
        one.advance("2024-03-07 16:00")
        assert statuses(one, entry) == ("filled", "new", "held")
        other = one.api.submit_order(bracket("ACME", limit=50, profit=60, loss=40))["id"]
        one.api.cancel_order_by_id(other)
        assert statuses(one, other) == ("canceled", "canceled", "canceled")

    def test_whoever_cancels_one_exit_cancels_the_rest(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket(limit=50, profit=60, loss=40))
        one.api.cancel_order_by_id(entry["legs"][1]["id"])
        assert statuses(one, entry["id"]) == ("canceled", "canceled", "canceled")
        again = one.api.submit_order(bracket(profit=120, loss=80))
        one.advance("2024-03-05 16:00")
        one.api.cancel_order_by_id(again["legs"][0]["id"])
        assert statuses(one, again["id"]) == ("filled", "canceled", "canceled")

    def test_a_partial_target_leaves_the_stop_for_the_rest(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket("THIN", qty=150, profit=11, loss=9.5, force="gtc"))["id"]
        one.advance("2024-03-05 16:00")  # 100 of 150
        one.advance("2024-03-06 09:30")  # the other 50; then 50 are left of the bar's volume, and its low is 9
        one.advance("2024-03-06 16:00")
        whole = one.api.get_order_by_id(entry, GetOrderByIdRequest(nested=True))
        profit, stop = whole["legs"]
        assert (stop["status"], stop["filled_qty"], stop["qty"]) == ("partially_filled", "50", "150")
        assert (profit["status"], profit["qty"]) == ("new", "100")
        one.advance("2024-03-07 16:00")
        assert statuses(one, entry) == ("filled", "canceled", "filled")
        assert one.api.get_all_positions() == []

    def test_shares_that_are_gone_meanwhile_are_not_sold_again(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket("THIN", qty=150, profit=20, loss=5, limit=10.5))["id"]
        one.advance("2024-03-05 16:00")  # 100 of 150
        sale = {"symbol": "THIN", "qty": "60", "side": "sell", "type": "limit", "limit_price": "10.6"}
        one.api.post("/orders", sale | {"time_in_force": "day"})
        one.advance("2024-03-06 16:00")
        whole = one.api.get_order_by_id(entry, GetOrderByIdRequest(nested=True))
        assert whole["status"] == "filled"
        (position,) = one.api.get_all_positions()
        assert {leg["qty"] for leg in whole["legs"]} == {"90"}  # 150 less the 60 that the sale held then
        assert position["qty"] == "100"  # the volume let it have 50

    def test_only_the_entry_reserves(self, trader):
        one = trader(cash=1000, multiplier=1)
        one.api.submit_order(bracket(qty=10, limit=90, profit=110, loss=80))
        assert one.api.get_account()["buying_power"] == "100"

    def test_the_exits_hold_the_shares_once(self, trader):
        one = trader()
        one.api.submit_order(bracket(profit=120, loss=80))
        one.advance("2024-03-05 16:00")
        (position,) = one.api.get_all_positions()
        assert (position["qty"], position["qty_available"]) == ("10", "0")
        assert refused(one.api.close_position, "ACME")[2] == (
            "insufficient qty available for order (requested: 10, available: 0)"
        )
        lines = one.api.close_all_positions(cancel_orders=True)
        assert [line["status"] for line in lines] == [200]

    def test_prices_of_an_exit_can_be_replaced_and_its_quantity_cannot(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket(profit=120, loss=80))
        one.advance("2024-03-05 16:00")
        profit, stop = (leg["id"] for leg in entry["legs"])
        new = one.api.replace_order_by_id(stop, ReplaceOrderRequest(stop_price=91))
        assert (new["replaces"], new["stop_price"], new["order_class"]) == (stop, "91", "bracket")
        assert one.api.get_order_by_id(stop)["replaced_by"] == new["id"]
        assert refused(one.api.replace_order_by_id, profit, ReplaceOrderRequest(qty=5))[:2] == (422, 42210000)
        assert refused(one.api.replace_order_by_id, profit, ReplaceOrderRequest(limit_price=90))[2] == (
            "take_profit.limit_price must be > stop_loss.stop_price"
        )
        one.advance("2024-03-06 09:30")  # opens at 90, below the new stop
        assert one.api.get_order_by_id(new["id"])["status"] == "filled"
        assert one.api.get_order_by_id(profit)["status"] == "canceled"

    def test_a_replaced_entry_keeps_its_exits(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket(limit=50, profit=120, loss=40))
        new = one.api.replace_order_by_id(entry["id"], ReplaceOrderRequest(qty=20, limit_price=103))
        one.advance("2024-03-05 09:30")
        whole = one.api.get_order_by_id(new["id"], GetOrderByIdRequest(nested=True))
        assert [leg["qty"] for leg in whole["legs"]] == ["20", "20"]
        assert statuses(one, new["id"]) == ("filled", "new", "held")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"profit": 100}, "take_profit.limit_price must be >= base_price + 0.01"),
            ({"loss": 101}, "stop_loss.stop_price must be <= base_price - 0.01"),
            ({"profit": 90, "loss": 95}, "take_profit.limit_price must be > stop_loss.stop_price"),
            ({"side": "sell", "profit": 90, "loss": 100}, "stop_loss.stop_price must be >= base_price + 0.01"),
            ({"force": "ioc"}, "bracket orders must be DAY or GTC orders"),
            ({"qty": 0.5, "force": "day"}, "fractional orders must be simple orders"),
            ({"profit": 110.001}, f"invalid take_profit.limit_price 110.001. {SUB_PENNY}"),
            ({"bound": 96}, "stop_loss.limit_price must be <= stop_loss.stop_price"),
        ],
        ids=str,
    )  # fmt: skip
    def test_refused(self, trader, change, message):
        assert refused(trader().api.submit_order, bracket(**change))[2] == message

    def test_an_exit_is_no_entry(self, trader):
        one = trader()
        one.api.submit_order(bracket(profit=120, loss=80))
        one.advance("2024-03-05 16:00")
        one.api.cancel_orders()
        selling = bracket(side="sell", profit=80, loss=120)
        assert refused(one.api.submit_order, selling) == (422, 42210000, "bracket orders must be entry orders")


class TestListing:
    def test_nested_rolls_up_and_flat_lists_all(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket(limit=50, profit=60, loss=40))
        flat = one.api.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN))
        assert [order["legs"] for order in flat] == [None, None, None]
        (whole,) = one.api.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, nested=True))
        assert whole["id"] == entry["id"]
        assert [leg["id"] for leg in whole["legs"]] == [leg["id"] for leg in entry["legs"]]

    def test_exits_of_a_filled_entry_are_listed_on_their_own(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket(profit=120, loss=80))
        one.advance("2024-03-05 16:00")
        found = one.api.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN, nested=True))
        assert {order["id"] for order in found} == {leg["id"] for leg in entry["legs"]}

    def test_cancel_all_names_every_order_once(self, trader):
        one = trader()
        entry = one.api.submit_order(bracket(limit=50, profit=60, loss=40))
        lines = one.api.cancel_orders()
        assert sorted(line["id"] for line in lines) == sorted([entry["id"], *(leg["id"] for leg in entry["legs"])])
        assert {line["status"] for line in lines} == {200}


def oco(profit=110, loss=95, **more):
    return LimitOrderRequest(
        symbol="ACME",
        qty=10,
        side=OrderSide.SELL,
        time_in_force=TimeInForce.GTC,
        order_class=OrderClass.OCO,
        take_profit=TakeProfitRequest(limit_price=profit),
        stop_loss=StopLossRequest(stop_price=loss),
        **more,
    )


class TestOco:
    @pytest.fixture
    def holder(self, trader):
        one = trader()
        one.api.submit_order(
            MarketOrderRequest(symbol="ACME", qty=10, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
        )
        one.advance("2024-03-05 16:00")
        return one

    @pytest.mark.parametrize(
        ("profit", "loss", "expected"), [(120, 91, ("canceled", "filled")), (94, 85, ("filled", "canceled"))]
    )
    def test_one_cancels_the_other(self, holder, profit, loss, expected):
        pair = holder.api.submit_order(oco(profit, loss))
        assert (pair["type"], pair["limit_price"], len(pair["legs"])) == ("limit", str(profit), 1)
        holder.advance("2024-03-06 16:00")  # O 90 H 95 L 88 C 92
        whole = holder.api.get_order_by_id(pair["id"], GetOrderByIdRequest(nested=True))
        assert (whole["status"], whole["legs"][0]["status"]) == expected
        assert holder.api.get_all_positions() == []

    def test_a_cancel_of_either_ends_both(self, holder):
        for which in (0, 1):
            pair = holder.api.submit_order(oco())
            holder.api.cancel_order_by_id([pair["id"], pair["legs"][0]["id"]][which])
            assert holder.api.get_orders() == []

    def test_it_is_for_exits_only(self, trader, holder):
        assert refused(trader().api.submit_order, oco()) == (422, 42210000, "oco orders must be exit orders")
        body = oco().to_request_fields() | {"type": "market"}
        assert refused(holder.api.post, "/orders", body)[2] == "oco orders must be limit orders"


class TestOto:
    def test_a_stop_follows_the_entry(self, trader):
        one = trader()
        order = one.api.submit_order(
            MarketOrderRequest(
                symbol="ACME",
                qty=10,
                side=OrderSide.BUY,
                time_in_force=TimeInForce.GTC,
                order_class=OrderClass.OTO,
                stop_loss=StopLossRequest(stop_price=95, limit_price=80),
            )
        )
        one.advance("2024-03-05 16:00")
        (leg,) = one.api.get_order_by_id(order["id"], GetOrderByIdRequest(nested=True))["legs"]
        assert (leg["status"], leg["type"]) == ("new", "stop_limit")
        one.advance("2024-03-06 09:30")
        assert one.api.get_order_by_id(leg["id"])["filled_avg_price"] == "89.955"  # 90 · 0.9995, above its limit of 80

    def test_one_exit_and_not_two(self, trader):
        body = {"symbol": "ACME", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        one = trader()
        for exits in ({}, {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}):
            code = refused(one.api.post, "/orders", body | {"order_class": "oto"} | exits)[:2]
            assert code == (422, 40010001)


class TestStops:
    def test_a_stop_limit_that_is_gapped_through_waits_for_its_limit(self, both):
        both.api.submit_order(
            MarketOrderRequest(symbol="ACME", qty=10, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
        )
        both.advance("2024-03-05 16:00")
        order = both.api.submit_order(
            StopLimitOrderRequest(
                symbol="ACME",
                qty=10,
                side=OrderSide.SELL,
                time_in_force=TimeInForce.GTC,
                stop_price=100,
                limit_price=94,
            )
        )
        both.advance("2024-03-06 09:30")
        assert field(both.api.get_order_by_id(field(order, "id")), "status") == "new"  # 90 is below the limit
        both.advance("2024-03-06 16:00")
        assert field(both.api.get_order_by_id(field(order, "id")), "filled_avg_price") == "94"  # the high was 95

    def test_a_trailing_stop_shows_its_mark_and_its_stop(self, both):
        both.api.submit_order(
            MarketOrderRequest(symbol="ACME", qty=10, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
        )
        both.advance("2024-03-05 16:00")
        order = both.api.submit_order(
            TrailingStopOrderRequest(
                symbol="ACME", qty=10, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, trail_percent=25
            )
        )
        shown = {name: field(order, name) for name in ("hwm", "stop_price", "trail_percent", "trail_price")}
        assert shown == {"hwm": "104", "stop_price": "78", "trail_percent": "25", "trail_price": None}
        changed = both.api.replace_order_by_id(field(order, "id"), ReplaceOrderRequest(trail=10))
        assert (field(changed, "hwm"), field(changed, "stop_price")) == ("104", "93.6")
        both.advance("2024-03-06 09:30")
        assert field(both.api.get_order_by_id(field(changed, "id")), "filled_avg_price") == "89.955"

    @pytest.mark.parametrize(
        "prices", [{}, {"trail_price": "1", "trail_percent": "1"}, {"trail_percent": "100"}, {"trail_price": "-1"}]
    )
    def test_a_trailing_stop_has_one_distance(self, trader, prices):
        body = {"symbol": "ACME", "qty": "1", "side": "buy", "type": "trailing_stop", "time_in_force": "day"}
        assert refused(trader().api.post, "/orders", body | prices)[:2] == (422, 40010001)
