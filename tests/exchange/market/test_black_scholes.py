"""The value of an option against the published examples of Hull's textbook, parity, and derivatives taken by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.exchange.market.black_scholes import value


def test_hulls_example_of_a_call_and_a_put():
    """Options, Futures, and Other Derivatives, Example 15.6: 42, strike 40, 10 %, 20 %, half a year: 4.76 and 0.81."""
    given_ = {"spot": 42, "strike": 40, "rate": 0.10, "volatility": 0.20, "years": 0.5}
    assert round(value("call", **given_).price, 2) == 4.76
    assert round(value("put", **given_).price, 2) == 0.81


def test_hulls_example_of_the_greeks():
    """The same book's chapter on the Greek letters: 49, strike 50, 5 %, 20 %, twenty weeks (0.3846 years)."""
    found = value("call", spot=49, strike=50, rate=0.05, volatility=0.20, years=0.3846)
    assert round(found.price, 1) == 2.4
    assert round(found.delta, 3) == 0.522
    assert round(found.gamma, 3) == 0.066
    assert round(found.theta, 2) == -4.31
    assert round(found.vega, 1) == 12.1
    assert round(found.rho, 2) == 8.91


markets = st.fixed_dictionaries(
    {
        "spot": st.floats(20, 400),
        "strike": st.floats(20, 400),
        "rate": st.floats(0, 0.1),
        "volatility": st.floats(0.1, 1.0),
        "years": st.floats(0.05, 2.0),
    }
)


@given(markets)
def test_a_call_less_a_put_is_the_stock_less_the_discounted_strike(market):
    call, put = value("call", **market), value("put", **market)
    forward = market["spot"] - market["strike"] * math.exp(-market["rate"] * market["years"])
    assert call.price - put.price == pytest.approx(forward, abs=1e-8)
    assert call.price >= max(0.0, forward) - 1e-8
    assert put.price >= max(0.0, -forward) - 1e-8


@given(markets, st.sampled_from(["call", "put"]))
def test_the_greeks_are_the_derivatives_of_the_price(market, right):
    found = value(right, **market)

    def slope(name, step):
        up, down = market | {name: market[name] + step}, market | {name: market[name] - step}
        return (value(right, **up).price - value(right, **down).price) / (2 * step)

    spot = market["spot"] * 1e-4
    up, down = (value(right, **market | {"spot": market["spot"] + side * spot}).price for side in (1, -1))
    assert found.delta == pytest.approx(slope("spot", spot), abs=1e-5)
    assert found.gamma == pytest.approx((up - 2 * found.price + down) / spot**2, abs=1e-4)
    assert found.theta == pytest.approx(-slope("years", 1e-5), rel=1e-4, abs=1e-3)
    assert found.vega == pytest.approx(slope("volatility", 1e-5), rel=1e-4, abs=1e-3)
    assert found.rho == pytest.approx(slope("rate", 1e-6), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize(
    ("right", "spot", "worth"), [("call", 110, 10), ("call", 90, 0), ("put", 90, 10), ("put", 110, 0)]
)
def test_an_expired_option_is_worth_what_exercise_brings(right, spot, worth):
    for years in (0.0, -1.0):
        found = value(right, spot=spot, strike=100, years=years, rate=0.05, volatility=0.2)
        assert (found.price, found.gamma, found.vega) == (worth, 0.0, 0.0)
