from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.execution.risk.watched_exits import Watched, look
from workbench.market.order import OrderType, Side

D = Decimal


def only(one, price):
    return look([one], {one.symbol: price})


@pytest.mark.parametrize(
    ("one", "price", "why"),
    [
        (Watched("A", D(10), stop=D(95)), 95.0, "stop loss: 95.0 has reached 95"),
        (Watched("A", D(10), stop=D(95)), 95.01, ""),
        (Watched("A", D(10), target=D(110)), 110, "take profit: 110.0 has reached 110"),
        (Watched("A", D(10), target=D(110)), 109.99, ""),
        (Watched("A", D(-10), stop=D(105)), 105, "stop loss: 105.0 has reached 105"),
        (Watched("A", D(-10), target=D(90)), 90, "take profit: 90.0 has reached 90"),
        (Watched("A", D(10), trailing=D("0.1"), best=D(120)), 108, "trailing stop"),
        (Watched("A", D(10), trailing=D("0.1"), best=D(120)), 108.01, ""),
        (Watched("A", D(-10), trailing=D("0.1"), best=D(80)), 88, "trailing stop"),
        (Watched("A", D(10), stop=D(100), target=D(90)), 95, "stop loss"),  # the loss comes first
        (Watched("A", D(10)), 1, ""),
        (Watched("A", D(0), stop=D(95)), 1, ""),
    ],
)
def test_a_bound_that_is_reached_closes_the_holding_whole(one, price, why):
    wishes = only(one, price).wishes
    assert [wish.reason.startswith(why) for wish in wishes] == ([True] if why else [])
    for wish in wishes:
        assert (wish.qty, wish.type) == (abs(one.qty), OrderType.MARKET)
        assert wish.side is (Side.SELL if one.qty > 0 else Side.BUY)


def test_the_best_price_moves_up_and_is_carried_on():
    first = only(Watched("A", D(10), trailing=D("0.1")), 100)
    assert first.watched[0].best == 100
    second = only(first.watched[0], 130)
    assert (second.watched[0].best, second.wishes) == (130, ())
    third = only(second.watched[0], 117)
    assert (third.watched[0].best, len(third.wishes)) == (130, 1)


@pytest.mark.parametrize("price", [None, float("nan"), float("inf"), 0.0, -5.0])
def test_a_price_that_is_none_decides_nothing_and_is_named(price):
    one = Watched("A", D(10), stop=D(95))
    seen = look([one], {} if price is None else {"A": price})
    assert (seen.wishes, seen.unpriced, seen.watched) == ((), ("A",), (one,))


@given(
    qty=st.integers(-100, 100),
    price=st.floats(1, 1000),
    stop=st.none() | st.decimals(1, 1000, places=2),
    target=st.none() | st.decimals(1, 1000, places=2),
    trailing=st.none() | st.decimals("0.01", "0.99", places=2),
    best=st.none() | st.decimals(1, 1000, places=2),
)
def test_an_exit_only_ever_reduces(qty, price, **bounds):
    seen = only(Watched("A", D(qty), **bounds), price)
    for wish in seen.wishes:
        assert qty + wish.side.sign * wish.qty == 0
