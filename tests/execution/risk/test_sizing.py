import math
from decimal import Decimal

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from workbench.errors import ParameterError
from workbench.execution.risk.sizing import (
    AtrRisk,
    FixedFraction,
    FixedNotional,
    Kelly,
    Sizing,
    VolatilityTarget,
    atr,
    kelly,
    kelly_of_returns,
    shares,
    size,
    volatility,
)

# Worked out by hand: true ranges 2, 3, 2; with period 2 the first average is 2.5, the second (2.5 + 2) / 2 = 2.25.
HIGH, LOW, CLOSE = [10.0, 11.0, 12.0, 13.0], [8.0, 9.0, 9.0, 11.0], [9.0, 10.0, 11.0, 12.0]
NAN = float("nan")


def test_a_fixed_fraction_is_cut_to_whole_lots():
    # 10 % of 100 000 is 10 000; at 33.33 that is 300.03 shares.
    assert size(FixedFraction(fraction=0.1), equity=100_000, price=33.33).qty == 300
    assert size(FixedFraction(fraction=0.1), equity=100_000, price=33.33, lot=Decimal("0.01")).qty == Decimal("300.03")
    assert size(FixedFraction(fraction=0.1), equity=100_000, price=33.33, lot=Decimal(100)).qty == 300
    assert size(FixedFraction(fraction=0.1), equity=100, price=33.33).qty == 0


def test_a_fixed_notional_does_not_depend_on_the_equity():
    # 5 000 at 70 is 71.4 shares.
    assert size(FixedNotional(notional=5_000), equity=100_000, price=70).qty == 71
    assert size(FixedNotional(notional=5_000), equity=1_000, price=70).qty == 71


def test_wilders_average_true_range_by_hand():
    assert atr(HIGH, LOW, CLOSE, period=2) == 2.25
    assert atr(HIGH[:3], LOW[:3], CLOSE[:3], period=2) == 2.5
    assert atr(HIGH, LOW, CLOSE, period=3) == pytest.approx(7 / 3)


@pytest.mark.parametrize("period", [1, 2, 14, 50])
def test_the_average_true_range_is_that_of_ta_lib(period):
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 200)))
    high, low = close * (1 + rng.uniform(0, 0.02, 200)), close * (1 - rng.uniform(0, 0.02, 200))
    expected = talib.ATR(high, low, close, timeperiod=period)[-1]
    assert atr(high.tolist(), low.tolist(), close.tolist(), period=period) == pytest.approx(expected, rel=1e-12)


def test_an_atr_size_loses_the_risk_at_its_stop():
    # 1 % of 100 000 over 2 × 2.25 is 222.2 shares; their stop 4.50 away costs 999.
    asked = size(AtrRisk(risk=0.01, multiple=2, period=2), equity=100_000, price=12, high=HIGH, low=LOW, close=CLOSE)
    assert asked.qty == 222
    assert "ATR 2.25" in asked.why


def test_an_atr_size_is_capped():
    capped = AtrRisk(risk=0.5, multiple=1, period=2, most=0.2)
    asked = size(capped, equity=100_000, price=12, high=HIGH, low=LOW, close=CLOSE)
    assert asked.qty == 1666  # 20 000 / 12
    assert "capped at 0.2" in asked.why


def test_volatility_is_the_yearly_sample_deviation_of_log_returns():
    # Returns +ln 1.01 and −ln 1.01: sample deviation √2 · ln 1.01.
    assert volatility([100, 101, 100], period=2) == pytest.approx(math.sqrt(2 * 252) * math.log(1.01))
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, 60)))
    expected = np.diff(np.log(closes))[-20:].std(ddof=1) * math.sqrt(252)
    assert volatility(closes.tolist(), period=20) == pytest.approx(expected, rel=1e-12)


def test_a_volatility_target_scales_with_volatility():
    # 22.34 % a year; a target of 10 % is 44.77 % of 100 000: 443.2 shares of 101.
    rule = VolatilityTarget(target=0.10, period=2)
    assert size(rule, equity=100_000, price=101, close=[100, 101, 100]).qty == 443
    calm = size(rule, equity=100_000, price=101, close=[100, 100.1, 100])
    assert calm.qty == 990
    assert "capped" in calm.why


def test_the_kelly_fraction_of_published_bets():
    assert kelly(0.6, 1) == pytest.approx(0.2)  # Kelly (1956): even money, p − q
    assert kelly(0.6, 2) == pytest.approx(0.4)
    assert kelly(0.5, 1) == 0
    assert kelly_of_returns(0.05, 0.0225) == pytest.approx(2.2222, abs=1e-4)


def test_a_kelly_size_is_a_part_and_capped_and_nothing_without_an_edge():
    assert size(Kelly(win_rate=0.6, payoff=1, part=0.5), equity=10_000, price=10).qty == 100  # half of 20 %
    assert size(Kelly(win_rate=0.9, payoff=3, part=1, most=0.25), equity=10_000, price=10).qty == 250
    nothing = size(Kelly(win_rate=0.4, payoff=1), equity=10_000, price=10)
    assert nothing.qty == 0
    assert nothing.why == "the Kelly fraction is -20.00%: there is no edge to bet on"


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: size(FixedFraction(fraction=0.1), equity=NAN, price=10), "equity=nan"),
        (lambda: size(FixedFraction(fraction=0.1), equity=-1, price=10), "equity=-1"),
        (lambda: size(FixedFraction(fraction=0.1), equity=100, price=float("inf")), "price=inf"),
        (lambda: size(FixedNotional(notional=1), equity=100, price=0), "price=0"),
        (lambda: shares(NAN, equity=1, price=1), "fraction=nan"),
        (lambda: shares(0.1, equity=1, price=1, lot=Decimal(0)), "lot=0"),
        (lambda: atr(HIGH, LOW, CLOSE, period=4), "4 bars are too few for period=4: 5 are needed"),
        (lambda: atr(HIGH, LOW, CLOSE[:3], period=1), "close 3"),
        (lambda: atr(HIGH, LOW, [*CLOSE[:3], NAN], period=2), "close=nan"),
        (lambda: atr(LOW, HIGH, CLOSE, period=2), "a high is below its low"),
        (lambda: atr(HIGH, LOW, CLOSE, period=0), "period=0"),
        (lambda: volatility([100, 101], period=2), "2 closes are too few"),
        (lambda: volatility([100, NAN, 100], period=2), "close=nan"),
        (lambda: volatility([100, 100, 100], period=2), "have no volatility"),
        (lambda: volatility([100, 110, 121], period=2), "have no volatility"),
        (lambda: volatility([100, 101], period=1), "period=1"),
        (lambda: size(AtrRisk(period=1), equity=1, price=1, high=[5, 5], low=[5, 5], close=[5, 5]), "ATR=0.0"),
        (lambda: kelly(1.1, 1), "win_rate=1.1"),
        (lambda: kelly(NAN, 1), "win_rate=nan"),
        (lambda: kelly(0.5, 0), "payoff=0"),
        (lambda: kelly_of_returns(NAN, 1), "mean=nan"),
        (lambda: kelly_of_returns(0.1, 0), "variance=0"),
    ],
)
def test_what_cannot_be_sized_is_named(call, named):
    with pytest.raises(ParameterError) as error:
        call()
    assert named in error.value.message


def test_a_rule_is_read_from_plain_values():
    read = TypeAdapter(Sizing).validate_python({"kind": "atr", "risk": 0.02})
    assert read == AtrRisk(risk=0.02)
    for wrong in ({"kind": "hope"}, {"kind": "atr", "risk": NAN}, {"kind": "kelly", "win_rate": 2, "payoff": 1}):
        with pytest.raises(ValidationError):
            TypeAdapter(Sizing).validate_python(wrong)


@given(
    fraction=st.floats(0, 10),
    equity=st.floats(0.01, 1e9),
    price=st.floats(0.0001, 1e6),
    lot=st.sampled_from(["1", "0.01", "100"]),
)
def test_a_size_never_costs_more_than_its_fraction(fraction, equity, price, lot):
    qty = shares(fraction, equity=equity, price=price, lot=Decimal(lot))
    money = Decimal(repr(fraction)) * Decimal(repr(equity))
    noise = money * Decimal("1e-11")
    assert qty >= 0
    assert qty % Decimal(lot) == 0
    assert qty * Decimal(repr(price)) <= money + noise
    assert (qty + Decimal(lot)) * Decimal(repr(price)) >= money - noise
