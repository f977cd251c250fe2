from decimal import Decimal

import pytest

from workbench.execution.risk.exits import better, reached


def d(value):
    return None if value is None else Decimal(str(value))


@pytest.mark.parametrize(
    ("qty", "price", "bounds", "begins"),
    [
        (10, 95, (95, 110, None, None), "stop loss"),
        (10, 95.01, (95, 110, None, None), ""),
        (10, 110, (95, 110, None, None), "take profit"),
        (10, 109.99, (95, 110, None, None), ""),
        (10, 108, (None, None, 120, 0.1), "trailing stop"),
        (10, 108.01, (None, None, 120, 0.1), ""),
        (-10, 105, (105, 90, None, None), "stop loss"),
        (-10, 104.99, (105, 90, None, None), ""),
        (-10, 90, (105, 90, None, None), "take profit"),
        (-10, 88, (None, None, 80, 0.1), "trailing stop"),
        (-10, 87.99, (None, None, 80, 0.1), ""),
        (10, 90, (95, 80, None, None), "stop loss"),
        (10, 1, (None, None, 120, None), ""),
        (10, 1, (None, None, None, 0.1), ""),
    ],
)
def test_a_bound_is_reached_at_its_price_and_the_loss_comes_first(qty, price, bounds, begins):
    named = dict(zip(("stop", "target", "best", "trailing"), map(d, bounds), strict=True))
    why = reached(d(qty), d(price), **named)
    assert why.startswith(begins)
    assert bool(why) == bool(begins)


def test_the_best_price_is_the_highest_of_a_long_and_the_lowest_of_a_short_holding():
    assert better(d(1), None, d(5)) == 5
    assert [better(d(1), d(5), d(price)) for price in (4, 6)] == [5, 6]
    assert [better(d(-1), d(5), d(price)) for price in (4, 6)] == [4, 5]
