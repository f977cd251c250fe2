from decimal import Decimal

import pytest

from workbench.errors import ParameterError
from workbench.execution.risk.brackets import bracket, oco
from workbench.market.order import OrderClass, OrderType, OrderWish, Side, TimeInForce

D = Decimal


def wish(side=Side.BUY, **more):
    return OrderWish("SYN01", side, D(10), reference_price=D(100), **more)


def test_a_purchase_gets_its_profit_above_and_its_stop_below_on_the_tick():
    made = bracket(wish(), take_profit=D("110.004"), stop_loss=D("94.996"), stop_limit=D("94.496"))
    assert made.order_class is OrderClass.BRACKET
    # A profit is taken no earlier, a loss stopped no earlier than said; the stop's limit gives way.
    assert (made.take_profit_price, made.stop_loss_price) == (D("110.01"), D("94.99"))
    assert made.stop_loss_limit_price == D("94.49")


def test_a_short_sale_mirrors_it():
    made = bracket(wish(Side.SELL), take_profit=D("90.006"), stop_loss=D("105.001"))
    assert (made.take_profit_price, made.stop_loss_price) == (D("90.00"), D("105.01"))


def test_one_exit_makes_an_oto():
    assert bracket(wish(), stop_loss=D(95)).order_class is OrderClass.OTO


def test_the_limit_of_the_entry_is_what_exits_are_measured_from():
    entry = wish(type=OrderType.LIMIT, limit_price=D(90))
    assert bracket(entry, take_profit=D(95)).take_profit_price == 95
    with pytest.raises(ParameterError, match=r"stop_loss=95\.00 must be below 90"):
        bracket(entry, stop_loss=D(95))


def test_an_oco_closes_what_is_held():
    long = oco("SYN01", D(10), take_profit=D(110), stop_loss=D(95), price=D(100))
    assert (long.side, long.qty, long.type, long.limit_price) == (Side.SELL, 10, OrderType.LIMIT, 110)
    assert (long.order_class, long.time_in_force) == (OrderClass.OCO, TimeInForce.GTC)
    short = oco("SYN01", D(-10), take_profit=D(90), stop_loss=D(105), price=D(100))
    assert (short.side, short.qty) == (Side.BUY, 10)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: bracket(wish()), "neither take_profit nor stop_loss"),
        (lambda: bracket(wish(), take_profit=D(99)), "take_profit=99.00 must be above 100"),
        (lambda: bracket(wish(), take_profit=D("100.00")), "must be above 100"),
        (lambda: bracket(wish(), stop_loss=D(101)), "stop_loss=101.00 must be below 100"),
        (lambda: bracket(wish(Side.SELL), stop_loss=D(99)), "stop_loss=99.00 must be above 100"),
        (lambda: bracket(wish(), stop_loss=D(95), stop_limit=D(96)), "must not be above stop_loss"),
        (lambda: bracket(wish(), take_profit=D(110), stop_limit=D(90)), "stop_limit needs stop_loss"),
        (lambda: bracket(wish(), take_profit=D("NaN")), "take_profit=NaN"),
        (lambda: bracket(OrderWish("SYN01", Side.BUY, D(1)), stop_loss=D(1)), "price=None"),
        (lambda: bracket(wish(extended_hours=True), stop_loss=D(95)), "for the regular session"),
        (lambda: bracket(wish(time_in_force=TimeInForce.IOC), stop_loss=D(95)), "for the day or gtc"),
        (lambda: bracket(wish(type=OrderType.STOP, stop_price=D(101)), stop_loss=D(95)), "cannot carry exits"),
        (lambda: bracket(bracket(wish(), stop_loss=D(95)), stop_loss=D(90)), "a wish of class oto and type market"),
        (lambda: oco("SYN01", D(0), take_profit=D(2), stop_loss=D(1), price=D("1.5")), "held=0"),
        (lambda: oco("SYN01", D("0.5"), take_profit=D(2), stop_loss=D(1), price=D("1.5")), "held=0.5"),
        (lambda: oco("SYN01", D(10), take_profit=D(90), stop_loss=D(80), price=D(100)), "must be above 100"),
    ],
)
def test_an_exit_on_the_wrong_side_or_without_a_ground_is_refused(call, why):
    with pytest.raises(ParameterError) as error:
        call()
    assert why in error.value.message
