"""Which option contracts exist: symbols, expiries, strikes; and that a listing knows nothing of tomorrow."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.exchange.clock import Timeline
from workbench.exchange.market.contracts import Grid, right_of, symbol_of
from workbench.exchange.market.feed import Series
from workbench.exchange.market.market import Market
from workbench.exchange.market.option_marks import LOWEST_VOLATILITY, RATE
from workbench.exchange.state.occ import Contract, contract_of

TIMELINE = Timeline("XNYS")


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def grid(minute_feed):
    return Grid(TIMELINE, minute_feed.series)


def test_an_occ_symbol_reads_as_its_contract():
    assert contract_of("AAPL220715C00150000") == Contract(
        "AAPL220715C00150000", "AAPL", dt.date(2022, 7, 15), True, Decimal(150)
    )
    assert contract_of("F241220P00012500").strike == Decimal("12.5")


@given(
    root=st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True),
    expires=st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)),
    right=st.sampled_from(["call", "put"]),
    mills=st.integers(1, 99_999_999),
)
def test_every_contract_is_read_back_from_its_symbol(root, expires, right, mills):
    symbol = symbol_of(root, expires, right, Decimal(mills) / 1000)
    assert contract_of(symbol) == Contract(symbol, root, expires, right == "call", Decimal(mills) / 1000)
    assert right_of(contract_of(symbol)) == right


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "AAPL",
        "AAPL220715C0015000",
        "220715C00150000",
        "TOOLONG220715C00150000",
        "AAPL220715C0015000x",
        "AA-L220715C00150000",
    ],
)
def test_other_symbols_are_no_contracts(wrong):
    assert contract_of(wrong) is None


def test_expiries_are_third_fridays_and_the_fridays_of_five_weeks(grid):
    """Good Friday 2022 was 15 April, a third Friday: its monthly contracts expired on the Thursday."""
    found = grid.expiries(dt.date(2022, 3, 14))
    assert found[:7] == [
        dt.date(2022, 3, 18),
        dt.date(2022, 3, 25),
        dt.date(2022, 4, 1),
        dt.date(2022, 4, 8),
        dt.date(2022, 4, 14),
        dt.date(2022, 5, 20),
        dt.date(2022, 6, 17),
    ]
    assert found[-1] == dt.date(2023, 2, 17)
    assert grid.expiry(dt.date(2022, 4, 14)).closes == at("2022-04-14 20:00")
    assert grid.expiry(dt.date(2022, 4, 15)) is None
    assert grid.expiry(dt.date(2022, 3, 17)) is None


def test_the_ladder_has_the_step_of_the_price_when_it_was_listed():
    day = TIMELINE.session_of(dt.date(2024, 3, 4))
    later = TIMELINE.session_of(dt.date(2024, 3, 5))
    for price, step in ((20.0, "0.5"), (30.0, "1"), (80.0, "2.5"), (150.0, "5"), (300.0, "10"), (2000.0, "50")):
        series = Series([day.date, later.date], [day.closes, later.closes], close=[price, price * 1.01])
        strikes = Grid(TIMELINE, lambda _, series=series: series).strikes_at("X", dt.date(2024, 3, 15), later.closes)
        assert {after - before for before, after in itertools.pairwise(strikes)} == {Decimal(step)}
        assert strikes[0] <= Decimal(0.7 * price) < strikes[0] + Decimal(step)
        assert strikes[-1] <= Decimal(1.3 * price * 1.01) < strikes[-1] + Decimal(step)


@settings(deadline=None, max_examples=40)
@given(days=st.integers(0, 330), more=st.integers(0, 34))
def test_a_listed_contract_stays_listed_until_it_expires(grid, days, more):
    expires = dt.date(2024, 3, 15)
    early = at("2023-04-03 12:00") + dt.timedelta(days=days)
    late = min(early + dt.timedelta(days=more), at("2024-03-15 19:59"))
    first, then = (set(grid.strikes_at("SYN03", expires, moment)) for moment in (early, late))
    assert first
    assert first <= then


def test_the_listing_knows_nothing_of_tomorrow(minute_feed):
    whole = minute_feed.series("SYN03")
    cut = whole.dates.index(dt.date(2024, 2, 1))
    known = Series(whole.dates[:cut], whole.closes_at[:cut], close=whole.close[:cut])
    wild = Series(whole.dates, whole.closes_at, close=[*whole.close[:cut], *(5 * price for price in whole.close[cut:])])
    moment, expires = whole.closes_at[cut - 1], dt.date(2024, 3, 15)
    ladders = [Grid(TIMELINE, lambda _, s=s: s).strikes_at("SYN03", expires, moment) for s in (known, wild, whole)]
    assert ladders[0] == ladders[1] == ladders[2]


def test_a_mark_is_the_formula_with_the_trailing_volatility(minute_feed):
    """Worked out here once more from the closes, with the standard library only."""
    import math
    import statistics

    market, moment = Market(minute_feed, TIMELINE_1M), at("2024-03-05 21:00")
    series = minute_feed.series("SYN03")
    position = series.dates.index(dt.date(2024, 3, 5))
    closes = series.close[position - 21 : position + 1]
    sigma = statistics.stdev(math.log(b / a) for a, b in itertools.pairwise(closes)) * math.sqrt(252)
    assert sigma > LOWEST_VOLATILITY
    expires, spot = dt.date(2024, 4, 19), closes[-1]
    strike = next(one for one in market.options.grid.strikes_at("SYN03", expires, moment) if one > spot)
    years = (at("2024-04-19 20:00") - moment).total_seconds() / (365 * 86400)
    d1 = (math.log(spot / float(strike)) + (RATE + sigma**2 / 2) * years) / (sigma * math.sqrt(years))
    d2 = d1 - sigma * math.sqrt(years)
    normal = statistics.NormalDist().cdf
    call = spot * normal(d1) - float(strike) * math.exp(-RATE * years) * normal(d2)
    seen = market.last(symbol_of("SYN03", expires, "call", strike), moment)
    assert float(seen.price) == pytest.approx(call, abs=0.005000001)
    assert seen.price == seen.price.quantize(Decimal("0.01"))
    found, used = market.options.valuation(market.contract(symbol_of("SYN03", expires, "call", strike)), moment)
    assert used == pytest.approx(sigma)
    assert found.delta == pytest.approx(normal(d1))


TIMELINE_1M = Timeline("XNYS", "1m")
