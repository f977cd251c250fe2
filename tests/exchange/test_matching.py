"""The matching rules against answers worked out by hand: bar O 100 H 104 L 96 C 102, slippage 1 %."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from workbench.exchange.matching import Bar, Rules, at_close, at_open
from workbench.exchange.records import Order

OPENS = dt.datetime(2024, 3, 5, 14, 30, tzinfo=dt.UTC)
CLOSES = dt.datetime(2024, 3, 5, 21, 0, tzinfo=dt.UTC)
BEFORE = OPENS - dt.timedelta(hours=1)
MIDDAY = OPENS + dt.timedelta(hours=3)
RULES = Rules(slippage=Decimal("0.01"), participation=Decimal("0.10"))


def bar(*, opened="100", high="104", low="96", close="102", volume=None):
    def exact(value):
        return None if value is None else Decimal(value)

    return Bar(
        "ACME", OPENS.date(), OPENS, CLOSES, Decimal(close), exact(opened), exact(high), exact(low), exact(volume)
    )


def order(kind="market", side="buy", *, qty="10", limit=None, stop=None, force="day", at=BEFORE, name="a", **more):
    def exact(value):
        return None if value is None else Decimal(value)

    return Order(
        id=name,
        number=ord(name),
        client_order_id=name,
        symbol="ACME",
        side=side,
        type=kind,
        time_in_force=force,
        qty=exact(qty),
        notional=exact(more.pop("notional", None)),
        limit_price=exact(limit),
        stop_price=exact(stop),
        status="new",
        created_at=at,
        updated_at=at,
        expires_at=CLOSES,
        opening=True,
        reserve_price=Decimal(0),
        **more,
    )


def filled(outcome):
    return [(match.order_id, str(match.qty.normalize()), str(match.price.normalize())) for match in outcome.matches]


@pytest.mark.parametrize(
    ("wish", "price"),
    [
        (order("market", "buy"), "101"),  # 100 · 1.01
        (order("market", "sell"), "99"),  # 100 · 0.99
        (order("limit", "buy", limit="105"), "101"),  # marketable: the open with slippage, better than the limit
        (order("limit", "buy", limit="100.5"), "100.5"),  # slippage would break the limit: the limit
        (order("limit", "buy", limit="99.99"), None),
        (order("limit", "sell", limit="95"), "99"),
        (order("limit", "sell", limit="99.5"), "99.5"),
        (order("limit", "sell", limit="100.01"), None),
        (order("stop", "sell", stop="103"), "99"),  # gapped through: the open, not the stop
        (order("stop", "sell", stop="99"), None),
        (order("stop", "buy", stop="95"), "101"),
        (order("stop", "buy", stop="101"), None),
        (order("market", "buy", force="cls"), None),
        (order("market", "buy", force="opg"), "101"),
        (order("market", "buy", at=OPENS), None),  # came after the open print
    ],
    ids=str,
)
def test_the_open_event(wish, price):
    assert filled(at_open([wish], bar(), rules=RULES)) == ([] if price is None else [("a", "1E+1", price)])


@pytest.mark.parametrize(
    ("wish", "price"),
    [
        (order("limit", "buy", limit="97"), "97"),  # the low 96 touches it
        (order("limit", "buy", limit="96"), "96"),
        (order("limit", "buy", limit="95.99"), None),
        (order("limit", "sell", limit="104"), "104"),
        (order("limit", "sell", limit="104.01"), None),
        (order("stop", "sell", stop="98"), "97.02"),  # 98 · 0.99
        (order("stop", "buy", stop="103"), "104.03"),  # 103 · 1.01
        (order("stop", "sell", stop="95"), None),
        (order("market", "buy", at=MIDDAY), "103.02"),  # 102 · 1.01
        (
            order("limit", "buy", limit="97", at=MIDDAY),
            None,
        ),  # when the low was seen is not known: only the close counts
        (order("limit", "buy", limit="102", at=MIDDAY), "102"),
        (order("stop", "sell", stop="98", at=MIDDAY), None),
        (order("limit", "sell", limit="103", force="cls"), None),  # the closing auction knows one price
        (order("limit", "sell", limit="101.5", force="cls"), "101.5"),
        (order("market", "sell", force="opg"), None),
    ],
    ids=str,
)
def test_the_walk_and_the_close_event(wish, price):
    assert filled(at_close([wish], bar(), rules=RULES)) == ([] if price is None else [("a", "1E+1", price)])


@pytest.mark.parametrize(
    ("wish", "price"),
    [
        (order("market", "buy"), "103.02"),
        (order("limit", "buy", limit="103"), "103"),
        (order("limit", "buy", limit="101"), None),
        (order("stop", "sell", stop="110"), "100.98"),  # gapped through between two closes: the worse price is paid
        (order("stop", "sell", stop="101"), None),
    ],
    ids=str,
)
def test_a_close_only_bar_has_one_event_and_it_is_the_close(wish, price):
    only_close = bar(opened=None, high=None, low=None)
    assert filled(at_open([wish], only_close, rules=RULES)) == []
    assert filled(at_close([wish], only_close, rules=RULES)) == ([] if price is None else [("a", "1E+1", price)])


def test_at_most_a_tenth_of_the_volume_first_come_first_served():
    wishes = [order(name="a", qty="80"), order(name="b", qty="50"), order(name="c", qty="1")]
    outcome = at_open(wishes, bar(volume="1009"), rules=RULES)
    assert filled(outcome) == [
        ("a", "8E+1", "101"),
        ("b", "2E+1", "101"),
    ]  # floor(100.9) = 100 shares, then nothing is left
    assert [match.left for match in outcome.matches] == [Decimal(0), Decimal(30)]


def test_what_was_taken_at_the_open_is_not_there_at_the_close():
    assert filled(at_close([order(qty="80")], bar(volume="1000"), rules=RULES, used=Decimal(70))) == [
        ("a", "3E+1", "103.02")
    ]
    assert filled(at_close([order(qty="80")], bar(volume="1000"), rules=RULES, used=Decimal(100))) == []


def test_no_volume_is_no_fill_and_an_unknown_volume_is_no_bound():
    assert filled(at_open([order(qty="5")], bar(volume="0"), rules=RULES)) == []
    assert filled(at_open([order(qty="1000000")], bar(volume=None), rules=RULES)) == [("a", "1E+6", "101")]


def test_ioc_takes_what_is_there_and_fok_all_or_nothing():
    ioc, fok = order(name="a", qty="80", force="ioc"), order(name="b", qty="80", force="fok")
    outcome = at_open([ioc, fok], bar(volume="1000"), rules=RULES)
    assert filled(outcome) == [("a", "8E+1", "101")]
    assert outcome.canceled == ("b",)
    outcome = at_open([order(name="a", qty="180", force="ioc")], bar(volume="1000"), rules=RULES)
    assert filled(outcome) == [("a", "1E+2", "101")]
    assert outcome.canceled == ("a",)


def test_ioc_waits_for_the_close_where_there_is_no_open():
    only_close = bar(opened=None, high=None, low=None)
    ioc = order("limit", "buy", limit="90", force="ioc")
    assert at_open([ioc], only_close, rules=RULES).canceled == ()
    assert at_close([ioc], only_close, rules=RULES).canceled == ("a",)


def test_a_stop_that_fired_without_volume_goes_on_as_a_market_order():
    stop = order("stop", "sell", stop="98")
    outcome = at_close([stop], bar(volume="0"), rules=RULES)
    assert (outcome.matches, outcome.triggered) == ((), ("a",))
    stop.triggered = True
    assert filled(at_open([stop], bar(opened="200", volume="1000"), rules=RULES)) == [("a", "1E+1", "198")]


def test_stops_are_served_before_limits_because_the_worse_came_first():
    wishes = [order("limit", "sell", limit="104", name="a"), order("stop", "sell", stop="96", name="b")]
    assert filled(at_close(wishes, bar(), rules=RULES)) == [("b", "1E+1", "95.04"), ("a", "1E+1", "104")]


def test_a_notional_order_buys_nine_decimals_of_shares():
    outcome = at_open([order(qty=None, notional="1000")], bar(), rules=RULES)
    assert filled(outcome) == [("a", "9.900990099", "101")]  # 1000/101 = 9.9009900990…, cut


def test_untidy_extremes_are_widened_to_the_prints():
    assert filled(at_close([order("limit", "sell", limit="101.5")], bar(high="101", close="102"), rules=RULES)) == [
        ("a", "1E+1", "101.5")
    ]


def test_the_same_inputs_give_the_same_fills():
    wishes = [
        order(name=name, qty="40", kind=kind, limit=limit)
        for name, kind, limit in [("a", "market", None), ("b", "limit", "99")]
    ]
    first = at_close(wishes, bar(volume="600"), rules=RULES)
    assert first == at_close(wishes, bar(volume="600"), rules=RULES)
    assert filled(first) == [("b", "4E+1", "99"), ("a", "2E+1", "103.02")]
