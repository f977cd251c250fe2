"""What goes on the wire for each type and class of order, and what is read back: text, ticks and objects."""

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.execution.brokers.broker import BrokerOrder, OrderRequest, RateSeen
from workbench.execution.brokers.order_body import replace_body, submit_body
from workbench.execution.brokers.rate_headers import rate_of
from workbench.market.order import OptionLeg, Side


def request(side=Side.BUY, **more):
    return OrderRequest("wb1-x", "AAPL", side, Decimal(100), **more)


PLAIN = {
    "symbol": "AAPL",
    "qty": "100",
    "side": "buy",
    "type": "market",
    "time_in_force": "day",
    "client_order_id": "wb1-x",
}


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ({}, {}),
        ({"type": "limit", "limit_price": Decimal("10.129")}, {"limit_price": "10.12"}),
        ({"type": "stop", "stop_price": Decimal("10.121")}, {"stop_price": "10.13"}),
        (
            {"type": "stop_limit", "stop_price": Decimal("10.121"), "limit_price": Decimal("10.5")},
            {"stop_price": "10.13", "limit_price": "10.50"},
        ),
        ({"type": "trailing_stop", "trail_price": Decimal("1.001")}, {"trail_price": "1.01"}),
        ({"type": "trailing_stop", "trail_percent": Decimal("2.5")}, {"trail_percent": "2.5"}),
        ({"extended_hours": True}, {"extended_hours": True}),
        ({"position_intent": "buy_to_open"}, {"position_intent": "buy_to_open"}),
        (
            {
                "order_class": "bracket",
                "take_profit_price": Decimal("60.001"),
                "stop_loss_price": Decimal("45.009"),
                "stop_loss_limit_price": Decimal("44.501"),
            },
            {
                "order_class": "bracket",
                "take_profit": {"limit_price": "60.01"},
                "stop_loss": {"stop_price": "45.00", "limit_price": "44.51"},
            },
        ),
        (
            {"order_class": "oto", "stop_loss_price": Decimal(45)},
            {"order_class": "oto", "stop_loss": {"stop_price": "45.00"}},
        ),
        (
            {"order_class": "oco", "take_profit_price": Decimal("60.001"), "stop_loss_price": Decimal("45.001")},
            {
                "order_class": "oco",
                "type": "limit",
                "take_profit": {"limit_price": "60.00"},
                "stop_loss": {"stop_price": "45.01"},
            },
        ),
    ],
)  # fmt: skip
def test_the_body_of_each_class_and_type(more, body):
    expected = {**PLAIN, **({"type": more["type"]} if "type" in more else {}), **body}
    assert submit_body(request(**more)) == expected


def test_a_multi_leg_order_has_its_symbols_and_sides_in_its_legs():
    legs = (
        OptionLeg("SPY150717C00200000", Side.BUY, 1, "buy_to_open"),
        OptionLeg("SPY150717C00210000", Side.SELL, 2, "sell_to_open"),
    )
    body = submit_body(request(type="limit", limit_price=Decimal("-0.505"), order_class="mleg", legs=legs))
    assert body == {
        "qty": "100",
        "type": "limit",
        "time_in_force": "day",
        "client_order_id": "wb1-x",
        "order_class": "mleg",
        "limit_price": "-0.51",
        "legs": [
            {"symbol": legs[0].symbol, "side": "buy", "ratio_qty": "1", "position_intent": "buy_to_open"},
            {"symbol": legs[1].symbol, "side": "sell", "ratio_qty": "2", "position_intent": "sell_to_open"},
        ],
    }


def test_a_replacement_names_only_what_changes():
    assert replace_body(client_order_id="n") == {"client_order_id": "n"}
    assert replace_body(client_order_id="n", qty=Decimal("1E+2"), trail=Decimal("0.5"), time_in_force="gtc") == {
        "client_order_id": "n",
        "qty": "100",
        "trail": "0.5",
        "time_in_force": "gtc",
    }


@given(
    side=st.sampled_from(Side),
    price=st.decimals("0.0001", "5000", places=6),
    kind=st.sampled_from(["limit_price", "stop_price", "take_profit_price", "stop_loss_price"]),
)
def test_no_price_on_the_wire_is_off_the_tick_or_worse_for_us(side, price, kind):
    more = {"order_class": "bracket"} if kind in {"take_profit_price", "stop_loss_price"} else {}
    body = submit_body(request(side, **{kind: price}, **more))
    sent = {
        "limit_price": lambda: body["limit_price"],
        "stop_price": lambda: body["stop_price"],
        "take_profit_price": lambda: body["take_profit"]["limit_price"],
        "stop_loss_price": lambda: body["stop_loss"]["stop_price"],
    }[kind]()
    number = Decimal(sent)
    assert "E" not in sent
    assert number == number.quantize(Decimal("0.01") if number >= 1 else Decimal("0.0001"))
    leaving = kind in {"take_profit_price", "stop_loss_price"}
    buys = (side is Side.BUY) != leaving
    limits = kind in {"limit_price", "take_profit_price"}
    assert number <= price if buys == limits else number >= price


def test_an_order_is_read_with_everything_that_hangs_on_it():
    raw = {
        "id": "p", "client_order_id": "wb1-p", "order_class": "bracket", "trail_percent": "2", "hwm": "101.5",
        "notional": "250.5", "replaces": "o", "replaced_by": None, "position_intent": "buy_to_open",
        "extended_hours": True, "legs": [{"id": "tp", "side": "sell_to_close"}, {"no": "id"}, "nonsense", {"id": "sl"}],
    }  # fmt: skip
    order = BrokerOrder.of(raw)
    assert (order.order_class, order.trail_percent) == ("bracket", 2)
    assert (order.hwm, order.notional) == (Decimal("101.5"), Decimal("250.5"))
    assert (order.replaces, order.replaced_by, order.position_intent, order.extended_hours) == (
        "o",
        None,
        "buy_to_open",
        True,
    )
    assert [leg.id for leg in order.legs] == ["tp", "sl"]
    assert order.legs[0].side is Side.SELL
    assert [one.id for one in order.family] == ["p", "tp", "sl"]


def test_the_budget_is_read_from_headers_and_is_unknown_without_them():
    reset = dt.datetime(2015, 6, 30, 20, 1, tzinfo=dt.UTC)
    headers = {
        "X-RateLimit-Limit": "200",
        "X-RateLimit-Remaining": "7",
        "X-RateLimit-Reset": str(int(reset.timestamp())),
    }
    assert rate_of(headers) == RateSeen(200, 7, reset)
    assert rate_of({**headers, "X-RateLimit-Reset": "soon"}) == RateSeen(200, 7)
    assert rate_of({"X-RateLimit-Limit": "200"}) is None
    assert rate_of({**headers, "X-RateLimit-Remaining": "few"}) is None
