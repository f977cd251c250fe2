"""The rules of the risk check one by one: what each refuses, at its bound and beyond it."""

import dataclasses
import datetime as dt
import json
from decimal import Decimal

import pytest

from workbench.execution.risk.check import check
from workbench.execution.risk.limits import Equity, Limits, OpenOrder, RefusalCode, SessionFacts
from workbench.market.book import Book, Position
from workbench.market.hours import Phase
from workbench.market.order import OptionLeg, OrderClass, OrderType, OrderWish, Side, TimeInForce
from workbench.market.trading_state import TradingState

D = Decimal
NOON = dt.datetime(2015, 6, 30, 16, tzinfo=dt.UTC)  # a Tuesday, 12:00 in New York
PRICES = {"AAPL": 100.0, "MSFT": 50.0, "BTC/USD": 100.0, "AAPL150717C00100000": 2.0, "PENNY": 0.5}
CALL, PUT = "AAPL150717C00100000", "AAPL150717P00100000"
BUY, SELL = Side.BUY, Side.SELL
LIMIT, MARKET, STOP = OrderType.LIMIT, OrderType.MARKET, OrderType.STOP
DAY, GTC = TimeInForce.DAY, TimeInForce.GTC
FREE = Limits(max_position_fraction=D(100), max_gross_exposure=D(100), min_cash=D(-(10**9)), price_collar=D(9))


def wish(symbol="AAPL", qty="10", side=BUY, **more):
    return OrderWish(symbol, side, D(qty), **more)


def limit(price, **more):
    return wish(type=LIMIT, limit_price=D(str(price)), **more)


def book(cash="100000", **held):
    return Book(D(cash), {name: Position(name, D(qty), D(50)) for name, qty in held.items()})


def first(one, *, limits=FREE, held=None, prices=PRICES, facts=None, live=()):
    """The refusal of one wish; None when it was accepted. Its numbers must be fit for a database."""
    facts = facts or SessionFacts()
    checked = check([one], book=held or book(), prices=prices, limits=limits, facts=facts, open_exposure=live)
    for refusal in checked.refusals:
        json.dumps(refusal.numbers, allow_nan=False)
    return checked.refusals[0] if checked.refusals else None


def code(one, **more):
    refusal = first(one, **more)
    return None if refusal is None else refusal.code.value


def changed(**limits):
    return FREE.model_copy(update=limits)


# --- what the account may do at all


@pytest.mark.parametrize(
    ("state", "bot", "one", "expected"),
    [
        (TradingState.HALTED, "bot", wish(side=SELL), "trading_halted"),
        (TradingState.HALTED, "kill", wish(side=SELL), None),
        (TradingState.HALTED, "kill", wish(), "trading_halted"),
        (TradingState.HALTED, "kill", wish(side=SELL, qty="11"), "trading_halted"),
        (TradingState.REDUCING, "bot", wish(side=SELL), None),
        (TradingState.REDUCING, "bot", wish(side=SELL, qty="11"), "trading_reducing"),
        (TradingState.REDUCING, "bot", wish("MSFT"), "trading_reducing"),
        (TradingState.ACTIVE, "bot", wish(), None),
    ],
)
def test_the_trading_state_stands_above_every_limit(state, bot, one, expected):
    facts = SessionFacts(trading_state=state, bot=bot)
    assert code(one, held=book(AAPL="10"), facts=facts) == expected


def test_reducing_counts_sales_that_may_be_live():
    facts = SessionFacts(trading_state=TradingState.REDUCING)
    live = [OpenOrder("AAPL", SELL, D(4))]
    limits = changed(one_order_per_symbol=False)
    assert code(wish(side=SELL, qty="7"), held=book(AAPL="10"), facts=facts, live=live, limits=limits) is not None
    assert code(wish(side=SELL, qty="6"), held=book(AAPL="10"), facts=facts, live=live, limits=limits) is None


def test_the_kill_switch_may_leave_what_is_halted():
    facts = SessionFacts(halted={"*": "x", "AAPL": "y"}, bot="kill")
    assert code(wish(side=SELL), held=book(AAPL="10"), facts=facts) is None


def losing(low="97", newest="97", drawdown="0", start="100"):
    return SessionFacts(equity=Equity(D(start), D(low), D(newest), D(drawdown)))


@pytest.mark.parametrize(
    ("bounds", "facts", "expected"),
    [
        ({"max_daily_loss": D("0.03")}, losing(), "daily_loss"),
        ({"max_daily_loss": D("0.03")}, losing("97.01", "97.01"), None),
        ({"max_daily_loss": D("0.03")}, losing("96", "99"), "daily_loss"),  # it came back, and the session is over
        ({"max_daily_loss": D("0.03")}, SessionFacts(), "no_equity"),
        ({"max_daily_loss": D("0.03")}, losing(newest="NaN"), "no_equity"),
        ({"max_daily_loss": D("0.03")}, losing(start="NaN"), "no_equity"),
        ({"max_daily_loss": D("0.03")}, losing(start="0"), "no_equity"),
        ({"max_daily_loss": D("0.03")}, losing(low="-Infinity"), "no_equity"),
        ({"max_drawdown": D("0.1")}, losing(drawdown="0.1"), "drawdown"),
        ({"max_drawdown": D("0.1")}, losing(drawdown="0.0999"), None),
        ({"max_drawdown": D("0.1")}, losing(drawdown="NaN"), "no_equity"),
        ({"max_drawdown": D("0.1")}, SessionFacts(), "no_equity"),
        ({"max_consecutive_losses": 3}, SessionFacts(losses_in_a_row=3), "consecutive_losses"),
        ({"max_consecutive_losses": 3}, SessionFacts(losses_in_a_row=2), None),
        ({"max_consecutive_losses": 3}, SessionFacts(), "consecutive_losses"),
    ],
)
def test_losses_are_bounded_and_an_unknown_figure_never_lifts_the_bound(bounds, facts, expected):
    assert code(wish(), facts=facts, limits=changed(**bounds)) == expected
    assert code(wish(side=SELL), held=book(AAPL="10"), facts=facts, limits=changed(**bounds)) is None


# --- the form of an order


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (wish(limit_price=D(100)), "a market order has no limit_price"),
        (wish(type=LIMIT), "a limit order needs limit_price"),
        (wish(type=STOP), "a stop order needs stop_price"),
        (limit(100, stop_price=D(99)), "a limit order has no stop_price"),
        (wish(type=OrderType.STOP_LIMIT, stop_price=D(99)), "a stop_limit order needs limit_price"),
        (wish(type=OrderType.TRAILING_STOP), "needs one of trail_price and trail_percent"),
        (wish(type=OrderType.TRAILING_STOP, trail_price=D(1), trail_percent=D(1)), "needs one of"),
        (wish(trail_price=D(1)), "has neither trail_price nor trail_percent"),
        (wish(type=STOP, stop_price=D(99), time_in_force=TimeInForce.OPG), "a stop order cannot be opg"),
        (wish(extended_hours=True), "extended_hours needs a limit order for the day"),
        (limit(100, extended_hours=True, time_in_force=GTC), "extended_hours needs a limit order for the day"),
        (wish(take_profit_price=D(110)), "has 0 of take_profit_price and stop_loss_price, not 1"),
        (wish(order_class=OrderClass.BRACKET, take_profit_price=D(110)), "has 2 of"),
        (wish(order_class=OrderClass.OTO), "has 1 of"),
        (
            wish(
                order_class=OrderClass.BRACKET, take_profit_price=D(110), stop_loss_price=D(90),
                time_in_force=TimeInForce.IOC,
            ),
            "an order of class bracket is for the day or gtc",
        ),
        (wish(order_class=OrderClass.OCO, take_profit_price=D(110), stop_loss_price=D(90)), "oco is of type limit"),
        (wish("BTC/USD"), "time in force day is not taken for cryptos"),
        (wish("BTC/USD", type=STOP, stop_price=D(9), time_in_force=GTC), "a stop order is not taken for cryptos"),
        (wish(CALL, time_in_force=GTC), "time in force gtc is not taken for options"),
        (wish(CALL, type=STOP, stop_price=D(2)), "a stop order is not taken for options"),
        (wish(order_class=OrderClass.MLEG), "an mleg order has 2 to 4 legs, not 0"),
        (wish(legs=(OptionLeg(CALL, BUY, 1, "buy_to_open"),)), "only an mleg order has legs"),
    ],
)  # fmt: skip
def test_an_order_whose_parts_do_not_go_together_is_refused(one, why):
    refusal = first(one)
    assert (refusal.code, why in refusal.message) == (RefusalCode.ORDER_FORM, True), refusal.message


def spread(*legs, price="1.5"):
    legs = tuple(OptionLeg(symbol, side, ratio, "buy_to_open") for symbol, side, ratio in legs)
    return OrderWish("AAPL", BUY, D(1), LIMIT, limit_price=D(price), order_class=OrderClass.MLEG, legs=legs)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (spread((CALL, BUY, 1), (PUT, SELL, 1)), None),
        (spread((CALL, BUY, 1), (PUT, SELL, 1), price="-1.5"), None),  # a credit
        (spread((CALL, BUY, 1)), "2 to 4 legs, not 1"),
        (spread((CALL, BUY, 1), (CALL, SELL, 1)), "of different contracts"),
        (spread((CALL, BUY, 3), (PUT, SELL, 3)), "the common divisor 3"),
        (spread((CALL, BUY, 0), (PUT, SELL, 1)), "at least 1"),
    ],
)
def test_the_legs_of_an_options_order(one, why):
    refusal = first(one)
    assert refusal is None if why is None else why in refusal.message


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (wish(qty="0.5"), None),
        (wish(qty="0.0000000001"), "lot"),
        (wish(qty="0.5", time_in_force=GTC), "lot"),
        (wish(qty="0.5", type=OrderType.TRAILING_STOP, trail_percent=D(1)), "lot"),
        (wish(qty="0.5", order_class=OrderClass.OTO, stop_loss_price=D(90)), "lot"),
        (wish(CALL, qty="0.5"), "lot"),
        (wish("BTC/USD", qty="0.5", time_in_force=GTC), None),
        (limit("100.01"), None),
        (limit("100.001"), "tick"),
        (limit("0.5001", symbol="PENNY"), None),
        (limit("0.50001", symbol="PENNY"), "tick"),
        (limit("2.005", symbol=CALL), "tick"),
        (wish(type=STOP, stop_price=D("99.999")), "tick"),
        (wish(order_class=OrderClass.OTO, stop_loss_price=D("90.005")), "tick"),
        (limit("100.0000001", symbol="BTC/USD", time_in_force=GTC), None),
        (wish(reference_price=D("100.00001")), None),  # it is not sent
    ],
)
def test_quantities_and_prices_are_on_their_grid(one, expected):
    assert code(one) == expected


def test_a_lot_of_ones_own_is_kept():
    assert code(wish(qty="150"), limits=changed(lot=D(100))) == "lot"
    assert code(wish(qty="200"), limits=changed(lot=D(100))) is None


@pytest.mark.parametrize(
    "name", ["trail_price", "trail_percent", "take_profit_price", "stop_loss_price", "qty", "limit_price"]
)
@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-1", "0"])
def test_every_number_of_a_wish_is_finite_and_above_zero(name, value):
    assert code(dataclasses.replace(limit(100), **{name: D(value)})) == "not_a_number"


# --- hours

CLOCKS = {
    "regular": NOON,
    "after": dt.datetime(2015, 6, 30, 21, tzinfo=dt.UTC),
    "pre": dt.datetime(2015, 6, 30, 12, tzinfo=dt.UTC),
    "closed": dt.datetime(2015, 7, 4, 12, tzinfo=dt.UTC),
}


@pytest.mark.parametrize(
    ("phase", "one", "expected"),
    [
        ("regular", wish(), None),
        ("after", wish(), "outside_hours"),
        ("after", limit(100), "outside_hours"),
        ("after", limit(100, extended_hours=True), None),
        ("pre", limit(100, extended_hours=True), None),
        ("closed", limit(100, extended_hours=True), "outside_hours"),
        ("closed", wish(), "outside_hours"),
        ("closed", wish("BTC/USD", time_in_force=GTC), None),
        ("pre", wish(time_in_force=TimeInForce.OPG), None),
        ("regular", wish(time_in_force=TimeInForce.OPG), "outside_hours"),
        ("regular", wish(time_in_force=TimeInForce.CLS), None),
        ("after", wish(time_in_force=TimeInForce.CLS), "outside_hours"),
    ],
)
def test_an_order_is_taken_only_when_it_can_work(phase, one, expected):
    facts = SessionFacts(now=CLOCKS[phase], venue="XNYS")
    assert code(one, facts=facts) == expected


@pytest.mark.parametrize(
    ("utc", "time_in_force", "taken"),
    [
        ((2015, 6, 30, 13, 27, 59), TimeInForce.OPG, True),
        ((2015, 6, 30, 13, 28), TimeInForce.OPG, False),
        ((2015, 6, 30, 22, 59), TimeInForce.OPG, False),
        ((2015, 6, 30, 23), TimeInForce.OPG, True),  # 19:00 in New York
        ((2015, 6, 30, 19, 49, 59), TimeInForce.CLS, True),
        ((2015, 6, 30, 19, 50), TimeInForce.CLS, False),
        ((2015, 11, 27, 17, 49), TimeInForce.CLS, True),  # closes at 13:00
        ((2015, 11, 27, 17, 51), TimeInForce.CLS, False),
        ((2015, 7, 4, 15), TimeInForce.OPG, True),
    ],
)
def test_the_auctions_take_orders_until_shortly_before_them(utc, time_in_force, taken):
    facts = SessionFacts(now=dt.datetime(*utc, tzinfo=dt.UTC), venue="XNYS")
    assert (code(wish(time_in_force=time_in_force), facts=facts) is None) is taken


def test_hours_are_not_checked_when_nobody_says_them_and_queueing_can_be_allowed():
    assert code(wish(), facts=SessionFacts(now=CLOCKS["closed"])) is None
    closed = SessionFacts(phase=Phase.CLOSED)
    assert code(wish(), facts=closed) == "outside_hours"
    assert code(wish(), facts=closed, limits=changed(allow_queued=True)) is None


# --- prices and sides


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (wish(order_class=OrderClass.BRACKET, take_profit_price=D(110), stop_loss_price=D(90)), None),
        (wish(order_class=OrderClass.BRACKET, take_profit_price=D(100), stop_loss_price=D(90)), "exit_side"),
        (wish(order_class=OrderClass.BRACKET, take_profit_price=D(110), stop_loss_price=D(100)), "exit_side"),
        (limit(95, order_class=OrderClass.BRACKET, take_profit_price=D(99), stop_loss_price=D(90)), None),
        (limit(95, order_class=OrderClass.BRACKET, take_profit_price=D(99), stop_loss_price=D(96)), "exit_side"),
        (wish(order_class=OrderClass.OTO, stop_loss_price=D(90), stop_loss_limit_price=D(91)), "exit_side"),
        (wish(order_class=OrderClass.OTO, stop_loss_price=D(90), stop_loss_limit_price=D(89)), None),
    ],
)
def test_exits_lie_on_their_own_side(one, expected):
    assert code(one) == expected


@pytest.mark.parametrize(
    ("profit", "stop", "expected"), [(110, 90, None), (90, 110, "exit_side"), (110, 105, "exit_side")]
)
def test_the_exits_of_a_holding_lie_around_the_price(profit, stop, expected):
    one = limit(profit, side=SELL, order_class=OrderClass.OCO, take_profit_price=D(profit), stop_loss_price=D(stop))
    assert code(one, held=book(AAPL="10")) == expected


@pytest.mark.parametrize(
    ("one", "ours", "expected"),
    [
        (wish(), OpenOrder("AAPL", SELL, D(1), D(120), limit_price=D(120)), "self_cross"),
        (limit(100), OpenOrder("AAPL", SELL, D(1), limit_price=D(100)), "self_cross"),
        (limit("99.99"), OpenOrder("AAPL", SELL, D(1), limit_price=D(100)), None),
        (limit(99), OpenOrder("AAPL", SELL, D(1)), "self_cross"),
        (limit(100), OpenOrder("AAPL", BUY, D(1)), None),
        (limit(100), OpenOrder("MSFT", SELL, D(1)), None),
        (limit(100, side=SELL), OpenOrder("AAPL", BUY, D(1), limit_price=D(100)), "self_cross"),
        (limit(101, side=SELL), OpenOrder("AAPL", BUY, D(1), limit_price=D(100)), None),
    ],
)
def test_an_order_that_could_meet_our_own_is_refused(one, ours, expected):
    free = changed(one_order_per_symbol=False)
    held = book(AAPL="100", MSFT="10")
    assert code(one, held=held, live=[ours], limits=free) == expected
    assert code(one, held=held, live=[ours], limits=free.model_copy(update={"allow_self_cross": True})) is None


# --- flow


def test_orders_per_minute_count_those_of_the_list():
    limits = changed(max_orders_per_minute=3)
    checked = check(
        [wish("AAPL", "1"), wish("MSFT", "1")],
        book=book(),
        prices=PRICES,
        limits=limits,
        facts=SessionFacts(orders_last_minute=2),
    )
    assert [refusal.code.value for refusal in checked.refusals] == ["orders_per_minute"]
    assert checked.refusals[0].numbers == {"orders": 4, "max": 3}


def test_the_same_wish_within_the_window_is_a_duplicate():
    facts = SessionFacts(recent=frozenset({("AAPL", BUY, D("10.0"))}))
    limits = changed(duplicate_window=dt.timedelta(seconds=2))
    assert code(wish(), facts=facts, limits=limits) == "duplicate_intent"
    assert code(wish(qty="11"), facts=facts, limits=limits) is None
    assert code(wish(), facts=facts) is None


def test_several_wishes_for_a_symbol_pass_when_allowed_and_are_counted_as_legs():
    limits = changed(one_wish_per_symbol=False, max_order_qty=D(10))
    checked = check([wish(qty="1"), wish(qty="11"), wish(qty="2")], book=book(), prices=PRICES, limits=limits)
    assert [one.qty for one in checked.accepted] == [1, 2]
    assert [(refusal.code.value, refusal.leg) for refusal in checked.refusals] == [("order_qty", 1)]


# --- exposure


@pytest.mark.parametrize(
    ("one", "held", "bounds", "expected"),
    [
        (wish("MSFT", "40"), {}, {"max_net_exposure": D("0.02")}, None),
        (wish("MSFT", "41"), {}, {"max_net_exposure": D("0.02")}, "net_exposure"),
        # Long 2 000 of one, short 2 000 of the other: nothing net, 4 000 gross.
        (wish("MSFT", "40", SELL), {"AAPL": "20"}, {"max_net_exposure": D("0.01"), "allow_short": True}, None),
        (wish("MSFT", "40"), {"AAPL": "20"}, {"account_budget": D(4000)}, None),
        (wish("MSFT", "41"), {"AAPL": "20"}, {"account_budget": D(4000)}, "account_budget"),
        (wish("MSFT", "40", SELL), {"AAPL": "20"}, {"account_budget": D(3999), "allow_short": True}, "account_budget"),
    ],
)
def test_net_exposure_and_the_budget_of_the_account(one, held, bounds, expected):
    limits = changed(**bounds)
    cash = D(100_000) - sum(D(qty) * D(str(PRICES[name])) for name, qty in held.items())
    assert code(one, held=book(str(cash), **held), limits=limits) == expected


def test_the_budget_of_a_bot_counts_its_own_holdings_and_its_orders_of_unknown_fate():
    limits = changed(bot_budget=D(1000), one_order_per_symbol=False)
    facts = SessionFacts(bot="mine", own={"AAPL": D(3)})
    live = [OpenOrder("AAPL", BUY, D(2), bot="mine"), OpenOrder("AAPL", BUY, D(900), bot="other")]
    held = book(AAPL="500")
    assert code(wish(qty="5"), held=held, facts=facts, live=live, limits=limits) is None
    refusal = first(wish(qty="6"), held=held, facts=facts, live=live, limits=limits)
    assert refusal.code.value == "bot_budget"
    assert refusal.numbers == {"before": 500, "after": 1100, "max": 1000}


@pytest.mark.parametrize(
    ("one", "facts", "expected"),
    [
        (wish(side=SELL), SessionFacts(), None),
        (wish(side=SELL), SessionFacts(shortable={"AAPL": True}), None),
        (wish(side=SELL), SessionFacts(shortable={"AAPL": False}), "short_unavailable"),
        (wish(side=SELL, qty="0.5"), SessionFacts(), "short_unavailable"),
        (wish("BTC/USD", side=SELL, time_in_force=GTC), SessionFacts(), "short_unavailable"),
        (wish(side=SELL), SessionFacts(buying_power=D(1030)), None),
        (wish(side=SELL), SessionFacts(buying_power=D("1029.99")), "buying_power"),
    ],
)
def test_a_short_sale_needs_something_to_borrow_and_buying_power(one, facts, expected):
    assert code(one, facts=facts, limits=changed(allow_short=True)) == expected


def test_part_of_a_share_that_is_held_can_be_sold():
    assert code(wish(side=SELL, qty="0.5"), held=book(AAPL="0.5")) is None


def test_a_contract_counts_for_a_hundred_shares():
    # 10 contracts at 2.00 are 2 000 in currency.
    assert code(wish(CALL), limits=changed(max_order_notional=D(2000))) is None
    assert code(wish(CALL), limits=changed(max_order_notional=D(1999))) == "order_notional"
    assert code(wish(CALL), limits=changed(account_budget=D(1999))) == "account_budget"
    checked = check([wish(CALL)], book=book("2000"), prices=PRICES, limits=changed(min_cash=D(0)))
    assert len(checked.accepted) == 1
    assert code(wish(CALL), held=book("1999.99"), limits=changed(min_cash=D(0))) == "cash"


def test_exits_that_exclude_each_other_count_once():
    limits = changed(one_order_per_symbol=False, allow_self_cross=True)
    pair = [OpenOrder("AAPL", SELL, D(6), group="p", limit_price=D(120)), OpenOrder("AAPL", SELL, D(6), group="p")]
    assert code(wish(side=SELL, qty="4"), held=book(AAPL="10"), live=pair, limits=limits) is None
    assert code(wish(side=SELL, qty="5"), held=book(AAPL="10"), live=pair, limits=limits) == "short"
    apart = [dataclasses.replace(one, group="") for one in pair]
    assert code(wish(side=SELL, qty="4"), held=book(AAPL="12"), live=apart, limits=limits) == "short"


def test_the_defaults_bound_nothing_new_and_the_guarded_ones_do():
    plain, guarded = Limits(), Limits.guarded(max_drawdown=D("0.2"))
    for name in (
        "max_orders_per_minute", "max_cancels_per_minute", "duplicate_window", "max_daily_loss", "max_drawdown",
        "max_consecutive_losses",
    ):  # fmt: skip
        assert getattr(plain, name) is None
        assert getattr(guarded, name) is not None
    assert guarded.max_drawdown == D("0.2")
