"""The matching rules against answers worked out by hand: bar O 100 H 104 L 96 C 102, slippage 1 %."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from workbench.exchange.matching.legs import legs_at_print
from workbench.exchange.matching.matching import Bar, Rules, at_close, at_open
from workbench.exchange.state.records import Order

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
        active_from=at,
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


def shown(outcome):
    """Fills, stops that fired and new marks of an outcome, in numbers that can be read."""
    plain = [(order_id, f"{qty:f}", f"{price.normalize():f}") for order_id, qty, price, _ in outcome.matches]
    return plain, outcome.triggered, [(order_id, f"{mark.normalize():f}") for order_id, mark in outcome.marks]


class TestStopLimit:
    """Bar O 100 H 104 L 96 C 102, slippage 1 %."""

    def test_at_the_open_it_fires_and_fills_where_the_limit_allows(self):
        allowed = order("stop_limit", "buy", stop="99", limit="101.5")
        assert shown(at_open([allowed], bar(), rules=RULES)) == ([("a", "10", "101")], ("a",), [])  # 100 · 1.01
        bound = order("stop_limit", "buy", stop="99", limit="100.5")
        assert shown(at_open([bound], bar(), rules=RULES)) == ([("a", "10", "100.5")], ("a",), [])
        gapped = order("stop_limit", "sell", stop="103", limit="101")  # opened below its limit: fired, not filled
        assert shown(at_open([gapped], bar(), rules=RULES)) == ([], ("a",), [])
        waiting = order("stop_limit", "sell", stop="99", limit="98")
        assert shown(at_open([waiting], bar(), rules=RULES)) == ([], (), [])

    def test_fired_at_the_open_it_is_a_limit_order_in_the_walk(self):
        fired = order("stop_limit", "sell", stop="103", limit="103.5")
        fired.triggered = True
        assert shown(at_close([fired], bar(), rules=RULES))[0] == [("a", "10", "103.5")]  # the high 104 touches it

    def test_in_the_walk_it_fills_at_the_stop_with_slippage_but_never_beyond_its_limit(self):
        easy = order("stop_limit", "sell", stop="98", limit="97")
        assert shown(at_close([easy], bar(), rules=RULES)) == ([("a", "10", "97.02")], ("a",), [])  # 98 · 0.99
        tight = order("stop_limit", "sell", stop="98", limit="97.5")
        assert shown(at_close([tight], bar(), rules=RULES)) == ([("a", "10", "97.5")], ("a",), [])

    def test_a_limit_better_than_the_stop_waits_for_a_print(self):
        later = order(
            "stop_limit", "buy", stop="103", limit="102.5"
        )  # 104 fires it; at 102 the close is below its limit
        assert shown(at_close([later], bar(), rules=RULES)) == ([("a", "10", "102.5")], ("a",), [])
        never = order("stop_limit", "buy", stop="103", limit="101")
        assert shown(at_close([never], bar(), rules=RULES)) == ([], ("a",), [])


def trailing(side="sell", *, mark, price=None, percent=None, **more):
    made = order("trailing_stop", side, **more)
    made.hwm = Decimal(mark)
    made.trail_price = None if price is None else Decimal(price)
    made.trail_percent = None if percent is None else Decimal(percent)
    return made


class TestTrailingStop:
    """Bar O 100 H 104 L 96 C 102, slippage 1 %."""

    def test_a_percentage_and_a_distance(self):
        assert trailing(mark="200", percent="5").trail_stop == Decimal(190)
        assert trailing("buy", mark="200", percent="5").trail_stop == Decimal(210)
        assert trailing(mark="200", price="7.5").trail_stop == Decimal("192.5")

    def test_the_open_fires_by_the_old_mark_or_moves_it(self):
        fired = trailing(mark="103", price="3")  # stop 100
        assert shown(at_open([fired], bar(), rules=RULES)) == ([("a", "10", "99")], ("a",), [])
        moved = trailing(mark="99", price="3")
        assert shown(at_open([moved], bar(), rules=RULES)) == ([], (), [("a", "100")])
        lower = trailing("buy", mark="101", price="3")
        assert shown(at_open([lower], bar(), rules=RULES)) == ([], (), [("a", "100")])

    def test_the_walk_meets_the_bad_extreme_first(self):
        fired = trailing(mark="100", price="3")  # stop 97; the low is 96
        assert shown(at_close([fired], bar(), rules=RULES)) == ([("a", "10", "96.03")], ("a",), [])  # 97 · 0.99

    def test_then_the_good_extreme_moves_the_mark_and_the_way_to_the_close_may_pass_the_new_stop(self):
        passed = trailing(mark="100", price="5", qty="10")  # stop 95 holds at 96; mark 104, stop 99; the close is 102
        assert shown(at_close([passed], bar(), rules=RULES)) == ([], (), [("a", "104")])
        at_the_close = at_close([trailing(mark="100", price="5")], bar(close="98"), rules=RULES)
        assert shown(at_the_close) == ([("a", "10", "98.01")], ("a",), [("a", "104")])  # 99 · 0.99

    def test_a_buy_is_the_mirror(self):
        fired = trailing("buy", mark="100", percent="3")  # stop 103; the high is 104
        assert shown(at_close([fired], bar(), rules=RULES))[0] == [("a", "10", "104.03")]  # 103 · 1.01
        passed = trailing("buy", mark="100", price="5")  # stop 105 holds; mark 96, stop 101; the close 102 is beyond it
        assert shown(at_close([passed], bar(), rules=RULES)) == ([("a", "10", "102.01")], ("a",), [("a", "96")])

    def test_a_close_only_bar_and_a_late_order_know_the_close_alone(self):
        only_close = bar(opened=None, high=None, low=None, close="95")
        assert shown(at_close([trailing(mark="100", price="5")], only_close, rules=RULES))[0] == [("a", "10", "94.05")]
        late = trailing(mark="100", price="1", at=MIDDAY)  # the low of 96 may have been before it
        assert shown(at_close([late], bar(), rules=RULES)) == ([], (), [("a", "102")])


def test_two_exits_share_one_quantity_and_the_stop_comes_first():
    profit = order("limit", "sell", limit="103", name="a", oco="p", role="take_profit")
    stop = order("stop", "sell", stop="97", name="b", oco="p", role="stop_loss")
    assert filled(at_close([profit, stop], bar(), rules=RULES)) == [("b", "1E+1", "96.03")]
    thin = at_close([profit, stop], bar(volume="60"), rules=RULES)  # six shares to be had: the stop takes them
    assert filled(thin) == [("b", "6", "96.03")]


def test_exits_that_begin_at_an_open_fill_in_the_walk_after_it():
    begun = order("limit", "sell", limit="103")
    begun.active_from = OPENS
    assert filled(at_close([begun], bar(), rules=RULES)) == [("a", "1E+1", "103")]
    begun.active_from = OPENS + dt.timedelta(microseconds=1)
    assert filled(at_close([begun], bar(), rules=RULES)) == []


def test_an_order_that_waits_never_fills():
    held = order()
    held.active_from = None
    assert filled(at_open([held], bar(), rules=RULES)) == filled(at_close([held], bar(), rules=RULES)) == []


def test_half_the_spread_is_paid_on_top_of_the_slippage():
    wide = Rules(slippage=Decimal("0.01"), spread=Decimal("0.02"))
    assert filled(at_open([order()], bar(), rules=wide)) == [("a", "1E+1", "102")]  # 100 · (1 + 0.01 + 0.02/2)


def test_the_queue_is_served_before_a_limit_that_is_only_touched():
    queued = Rules(slippage=Decimal("0.01"), participation=Decimal("0.10"), queue=Decimal("0.06"))
    touched, through = order("limit", "buy", limit="96", qty="80"), order("limit", "buy", limit="96.01", qty="80")
    # floor(0.10 · 1001) = 100, ceil(0.06 · 1001) = 61
    assert filled(at_close([touched], bar(volume="1001"), rules=queued)) == [("a", "39", "96")]
    assert filled(at_close([through], bar(volume="1001"), rules=queued)) == [("a", "8E+1", "96.01")]
    assert filled(at_close([touched], bar(volume=None), rules=queued)) == [("a", "8E+1", "96")]


def test_random_partial_fills_are_the_same_for_the_same_seed():
    rules = Rules(slippage=Decimal(0), partial=Decimal(1), seed=7)
    # blake2b("seed|created_at|moment|price", 16 bytes): v is its second half over 2^64
    import hashlib

    text = b"7|2024-03-05T13:30:00+00:00|2024-03-05T14:30:00+00:00|100.000000000"
    half = hashlib.blake2b(text, digest_size=16).digest()[8:]
    expected = max(1, int.from_bytes(half) * 1000 // 2**64)
    wish = order(qty="1000")
    assert [match.qty for match in at_open([wish], bar(), rules=rules).matches] == [expected]
    assert at_open([wish], bar(), rules=rules) == at_open([wish], bar(), rules=rules)
    assert (
        at_open([wish], bar(), rules=Rules(slippage=Decimal(0), partial=Decimal(1), seed=8)).matches[0].qty != expected
    )
    assert filled(at_open([order(qty="1000", force="fok")], bar(), rules=rules)) == [("a", "1E+3", "1E+2")]
    assert filled(at_open([order(qty="1")], bar(), rules=rules)) == [("a", "1", "1E+2")]


def test_auction_orders_meet_the_auctions_of_the_session_only():
    opening, closing = order(force="opg"), order(force="cls")
    assert filled(at_open([opening], bar(), rules=RULES, auction=False)) == []
    assert filled(at_close([closing], bar(), rules=RULES, auction=False)) == []
    assert filled(at_close([closing], bar(), rules=RULES)) == [("a", "1E+1", "103.02")]


class TestLegs:
    """A vertical: buy one of K at 5.00, sell two of M at 2.00; slippage 1 %."""

    def legs(self, *, limit, qty="3"):
        parent = order("market" if limit is None else "limit", qty=qty, limit=limit, name="p")
        parent.symbol = parent.side = ""
        long, short = order("market", "buy", qty=qty, name="l"), order("market", "sell", qty="6", name="s")
        long.symbol, short.symbol, long.ratio_qty, short.ratio_qty = "K", "M", Decimal(1), Decimal(2)
        return parent, [long, short]

    def match(self, limit, *, room=(None, None)):
        parent, legs = self.legs(limit=limit)
        prices, left = {"K": Decimal(5), "M": Decimal(2)}, dict(zip(("K", "M"), room, strict=True))
        found = legs_at_print(parent, legs, prices, room=left, rules=RULES)
        return [(order_id, f"{qty:f}", f"{price.normalize():f}", f"{rest:f}") for order_id, qty, price, rest in found]

    def test_the_net_is_the_sum_over_the_legs(self):
        # 5 · 1.01 − 2 · 2 · 0.99 = 1.09
        whole = [("l", "3", "5.05", "0"), ("s", "6", "1.98", "0"), ("p", "3", "1.09", "0")]
        assert self.match(None) == self.match("1.09") == whole
        assert self.match("1.08") == []

    def test_every_leg_gets_the_same_number_of_units(self):
        # five contracts of M are two units of it
        assert self.match(None, room=(Decimal(9), Decimal(5))) == [
            ("l", "2", "5.05", "1"),
            ("s", "4", "1.98", "2"),
            ("p", "2", "1.09", "1"),
        ]
        assert self.match(None, room=(Decimal(9), Decimal(1))) == []
