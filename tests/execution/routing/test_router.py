"""Every row of the router's table, and: no plan that the broker would refuse for its type, time in force or hour."""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import ParameterError
from workbench.execution.algos.algorithm import Algorithm, Plan, params_of
from workbench.execution.algos.vwap import VolumeProfile
from workbench.execution.risk.check import check
from workbench.execution.risk.limits import Limits, RefusalCode, SessionFacts
from workbench.execution.routing.router import RouteRules, Urgency, route, table
from workbench.market.book import Book
from workbench.market.hours import Phase, phase_at
from workbench.market.order import OrderClass, OrderType, OrderWish, Side, TimeInForce

NEW_YORK = ZoneInfo("America/New_York")
PRICE, ADV = Decimal("50.00"), Decimal(100_000)
OPTION = "AAPL220715C00140000"


def at(clock, day=dt.date(2022, 6, 30)):
    return dt.datetime.combine(day, dt.time.fromisoformat(clock), NEW_YORK).astimezone(dt.UTC)


def wish(qty=100, symbol="SYN01", side=Side.BUY, limit=None, **more):
    if limit is not None:
        more |= {"type": OrderType.LIMIT, "limit_price": Decimal(str(limit))}
    return OrderWish(symbol, side, Decimal(str(qty)), **more)


def routed(clock="11:00", urgency="normal", price=PRICE, adv=ADV, day=dt.date(2022, 6, 30), **named):
    more = {name: named.pop(name) for name in ("bid", "ask", "profile", "rules") if name in named}
    return route(wish(**named), moment=at(clock, day), price=price, adv=adv, urgency=Urgency(urgency), **more)


def test_a_small_order_is_one_limit_within_the_collar():
    plan = routed(ask=Decimal("50.02"))
    assert (plan.rule, plan.type, plan.time_in_force) == ("direct", OrderType.LIMIT, TimeInForce.DAY)
    assert plan.wish.limit_price == Decimal("50.27")  # 50.02 · 1.005, down to the cent
    assert (plan.algorithm, plan.send_at, plan.wish.extended_hours) == (None, None, False)
    assert "100 are 0.10% of the 100000 that trade on an average day." in plan.why
    assert routed(side=Side.SELL, bid=Decimal("49.99")).wish.limit_price == Decimal("49.75")  # up to the cent


def test_the_wishs_own_limit_is_never_passed():
    assert routed(limit="50.10").wish.limit_price == Decimal("50.10")
    assert routed(limit="60.00").wish.limit_price == Decimal("50.25")
    assert routed(limit="49.90", side=Side.SELL).wish.limit_price == Decimal("49.90")
    assert routed(limit="50.10", urgency="urgent").wish.limit_price == Decimal("50.10")


def test_without_a_price_it_is_a_market_order_and_says_so():
    plan = routed(price=None)
    assert (plan.type, plan.wish.limit_price) == (OrderType.MARKET, None)
    assert any("No price is known" in sentence for sentence in plan.why)


def test_an_urgent_order_takes_what_is_there_and_no_more():
    plan = routed(qty=90_000, urgency="urgent")
    assert (plan.rule, plan.time_in_force, plan.wish.limit_price) == ("urgent", TimeInForce.IOC, Decimal("50.25"))
    assert routed(qty="0.5", urgency="urgent").time_in_force is TimeInForce.DAY  # parts of a share are for the day


def test_a_patient_order_waits_on_its_own_side():
    assert routed(urgency="patient", bid=Decimal("49.98"), ask=Decimal("50.02")).wish.limit_price == Decimal("49.98")
    plan = routed(urgency="patient", side=Side.SELL, bid=Decimal("49.98"), ask=Decimal("50.02"))
    assert (plan.rule, plan.wish.limit_price) == ("patient", Decimal("50.02"))
    assert routed(urgency="patient", limit="49.50").wish.limit_price == Decimal("49.50")


def test_a_large_order_follows_the_volume():
    plan = routed(qty=12_500)
    assert (plan.rule, plan.algorithm, plan.params) == ("large", "pov", {"interval_seconds": 300.0, "rate": 0.10})
    assert (plan.starts_at, plan.ends_at) == (at("11:00"), at("12:00"))
    assert "12500 are 12.50% of the 100000 that trade on an average day." in plan.why
    assert any("10% of what trades" in sentence for sentence in plan.why)


def test_a_middling_order_is_spread_by_the_profile_or_else_evenly():
    profile = VolumeProfile(1800, (1000.0,) * 13, sessions=20)
    plan = routed(qty=5_000, profile=profile)
    assert (plan.rule, plan.algorithm) == ("medium", "vwap")
    assert params_of(Algorithm.VWAP, plan.params).profile == profile.to_dict()
    assert routed(qty=5_000).algorithm == "twap"


def test_where_the_volume_is_not_known_many_shares_are_spread_and_few_are_not():
    plan = routed(qty=5_000, adv=None)
    assert (plan.rule, plan.algorithm) == ("unknown_volume", "twap")
    assert "How much of SYN01 trades on an average day is not known." in plan.why
    assert routed(qty=1_000, adv=None).rule == "direct"


def test_a_schedule_keeps_the_limit_and_ends_before_the_last_minutes():
    plan = routed("15:10", qty=5_000, limit="50.105")
    assert plan.wish.limit_price == Decimal("50.10")
    assert plan.ends_at == at("15:49")


def test_near_the_close_it_goes_into_the_closing_auction_and_after_that_it_crosses():
    plan = routed("15:40", qty=50_000)
    assert (plan.rule, plan.type, plan.time_in_force) == ("near_close", OrderType.MARKET, TimeInForce.CLS)
    assert routed("15:40", limit="50.10").type is OrderType.LIMIT
    plan = routed("15:52", qty=50_000)
    assert (plan.rule, plan.time_in_force) == ("last_minutes", TimeInForce.DAY)
    assert routed("15:40", qty="0.5").rule == "direct"  # the auction takes whole shares


def test_an_early_close_is_near_at_noon():
    assert routed("12:40", qty=50_000, day=dt.date(2022, 11, 25)).rule == "near_close"


@pytest.mark.parametrize("clock", ["21:00", "05:00", "17:00"])
def test_outside_the_regular_session_it_waits_for_the_open_unless_it_is_urgent(clock):
    plan = routed(clock)
    assert plan.rule == "parked"
    assert plan.send_at == (at("09:30") if clock == "05:00" else at("09:30", dt.date(2022, 7, 1)))
    plan = routed(clock, urgency="urgent")
    assert (plan.rule, plan.type, plan.time_in_force) == ("extended", OrderType.LIMIT, TimeInForce.DAY)
    assert plan.wish.extended_hours
    assert routed(clock, urgency="urgent", price=None).rule == "parked"  # no price, so no limit
    assert routed(clock, urgency="urgent", qty="0.5").rule == "parked"
    assert routed(clock, urgency="urgent", symbol=OPTION).rule == "parked"


def test_at_the_weekend_it_waits_for_monday_and_an_urgent_one_for_sunday_evening():
    saturday = dt.date(2022, 7, 9)
    assert routed("12:00", day=saturday).send_at == at("09:30", dt.date(2022, 7, 11))
    assert routed("12:00", day=saturday, urgency="urgent").send_at == at("20:00", dt.date(2022, 7, 10))


def test_crypto_trades_around_the_clock():
    plan = routed("12:00", symbol="BTC/USD", qty="0.25", day=dt.date(2022, 7, 9))
    assert (plan.rule, plan.time_in_force, plan.send_at) == ("crypto", TimeInForce.GTC, None)
    assert routed("12:00", symbol="BTC/USD", qty="0.25", urgency="urgent").time_in_force is TimeInForce.IOC


def test_a_stop_is_left_as_it_is_and_waits_for_the_session():
    stop = {"type": OrderType.STOP, "stop_price": Decimal(45), "time_in_force": TimeInForce.GTC}
    plan = routed(**stop)
    assert (plan.rule, plan.wish) == ("as_wished", wish(**stop))
    assert routed("21:00", **stop).wish == wish(**stop)


@pytest.mark.parametrize("name", ["price", "adv"])
@pytest.mark.parametrize("value", ["NaN", "0", "-1", "Infinity"])
def test_a_number_that_is_none_is_refused_and_not_taken_for_unknown(name, value):
    with pytest.raises(ParameterError, match=name):
        routed(**{name: Decimal(value)})


def test_a_limit_below_the_smallest_tick_is_refused():
    with pytest.raises(ParameterError, match="tick"):
        routed(price=Decimal("0.00002"))


def test_the_table_can_be_read():
    assert list(table().columns) == ["when", "what"]
    assert set(table().index) == {
        "crypto", "extended", "parked", "as_wished", "urgent", "near_close", "last_minutes", "large", "medium",
        "unknown_volume", "patient", "direct",
    }  # fmt: skip


# --- what the broker takes, from its documentation and not from the router

REFUSED_FOR_THE_CLOSE = (dt.time(15, 50), dt.time(19))
WISHES = st.builds(
    wish,
    qty=st.sampled_from(["1", "0.5", "500", "1001", "20000"]),
    symbol=st.sampled_from(["SYN01", OPTION, "BTC/USD"]),
    side=st.sampled_from(Side),
    limit=st.none() | st.decimals("0.5", "99", places=3).map(str),
).filter(lambda one: one.symbol != OPTION or one.qty == one.qty.to_integral_value())
MONTH = st.integers(0, 30 * 24 * 60).map(
    lambda minutes: at("00:00", dt.date(2022, 11, 1)) + dt.timedelta(minutes=minutes)
)
PRICES = st.none() | st.decimals("0.4", "99", places=4)


@settings(deadline=None, max_examples=300)
@given(
    asked=WISHES,
    moment=MONTH,
    quotes=st.fixed_dictionaries({"price": PRICES, "bid": PRICES, "ask": PRICES}),
    adv=st.none() | st.integers(1, 10**6).map(Decimal),
    urgency=st.sampled_from(Urgency),
)
def test_no_plan_is_one_that_the_broker_refuses(asked, moment, quotes, adv, urgency):
    plan = route(asked, moment=moment, adv=adv, urgency=urgency, **quotes)
    assert plan == route(asked, moment=moment, adv=adv, urgency=urgency, **quotes)  # the same answer every time
    assert plan.why
    assert (plan.wish.symbol, plan.wish.side, plan.wish.qty) == (asked.symbol, asked.side, asked.qty)
    if asked.limit_price is not None:  # never worse than the wish
        assert plan.wish.limit_price is not None
        assert asked.side.sign * plan.wish.limit_price <= asked.side.sign * asked.limit_price
    if plan.send_at is not None:
        assert plan.send_at > moment
        assert phase_at("XNYS", plan.send_at) is not Phase.CLOSED
        return  # it is routed again then
    order, phase = plan.wish, phase_at("XNYS", moment)
    local = moment.astimezone(NEW_YORK).time()
    whole = order.qty == order.qty.to_integral_value()
    if asked.symbol == "BTC/USD":
        assert order.time_in_force in {TimeInForce.GTC, TimeInForce.IOC}
        assert not order.extended_hours
    elif asked.symbol == OPTION:
        assert order.time_in_force is TimeInForce.DAY
        assert phase is Phase.REGULAR
    else:
        assert phase is Phase.REGULAR or (order.extended_hours and phase is not Phase.CLOSED)
        assert not order.extended_hours or (order.type, order.time_in_force) == (OrderType.LIMIT, TimeInForce.DAY)
        assert whole or order.time_in_force is TimeInForce.DAY
        if order.time_in_force is TimeInForce.CLS:
            assert not REFUSED_FOR_THE_CLOSE[0] <= local < REFUSED_FOR_THE_CLOSE[1]
    assert (order.limit_price is not None) == (order.type is OrderType.LIMIT)
    if order.limit_price is not None and asked.symbol != "BTC/USD":
        decimals = Decimal("0.01") if order.limit_price >= 1 or asked.symbol == OPTION else Decimal("0.0001")
        assert order.limit_price % decimals == 0
    if plan.algorithm is not None:
        span = (plan.starts_at, plan.ends_at)
        assert phase_at("XNYS", plan.ends_at) is Phase.REGULAR
        params = params_of(Algorithm(plan.algorithm), plan.params)
        assert Plan(params, *span, at("09:30"), at("16:00"), Decimal(1)).slices(order.qty)
    _assert_our_own_check_takes_it(order, moment, phase)


def _assert_our_own_check_takes_it(order, moment, phase):
    price = order.limit_price or PRICE
    checked = check(
        [order],
        book=Book(Decimal(10**12), {}),
        prices={order.symbol: price},
        limits=Limits(allow_short=True, max_order_notional=Decimal(10**9), max_position_notional=Decimal(10**9)),
        facts=SessionFacts(now=moment, phase=phase),
    )
    form = {RefusalCode.ORDER_FORM, RefusalCode.LOT, RefusalCode.TICK, RefusalCode.OUTSIDE_HOURS}
    assert not [refusal for refusal in checked.refusals if refusal.code in form], checked.refusals


def test_a_bracket_is_left_as_it_is():
    bracket = wish(order_class=OrderClass.BRACKET, take_profit_price=Decimal(60), stop_loss_price=Decimal(40))
    assert route(bracket, moment=at("11:00"), price=PRICE, urgency=Urgency.URGENT).wish == bracket
    assert RouteRules().last_minutes >= 11  # a smaller one could send to an auction that is closed
