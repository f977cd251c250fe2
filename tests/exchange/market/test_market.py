"""What the market tells at a moment, with daily bars and with minutes, of stocks and of option contracts."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pandas as pd
import pytest

from workbench.data.sources import open_source
from workbench.exchange.clock import StepKind, Timeline
from workbench.exchange.market.market import Market, MemoryFeed, SourceFeed
from workbench.exchange.matching.matching import Bar

DAY = dt.date(2024, 3, 5)


def at(text):
    return dt.datetime.fromisoformat(f"2024-03-05 {text}").replace(tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def minutes(minute_feed):
    return Market(minute_feed, Timeline("XNYS", "1m"))


@pytest.fixture(scope="module")
def table():
    """The same minutes straight from the source."""
    day = pd.Timestamp(DAY)
    return open_source("synthetic", seed=7).bars(["SYN03"], start=day, end=day, timeframe="1m")


def test_the_newest_print_walks_through_the_minutes(minutes, table):
    def last(text):
        seen = minutes.last("SYN03", at(text))
        return float(seen.price), seen.moment

    before = minutes.feed.series("SYN03")
    position = before.dates.index(DAY)
    assert last("14:29:59") == (before.close[position - 1], before.closes_at[position - 1])
    assert last("14:30:00") == (table["open"].iloc[0], at("14:30"))
    assert last("14:30:59") == (table["open"].iloc[0], at("14:30"))
    assert last("14:31:00") == (table["close"].iloc[0], at("14:31"))
    assert last("14:31:00.999") == (table["close"].iloc[0], at("14:31"))
    assert last("14:31:01") == (table["open"].iloc[1], at("14:31:01"))
    assert last("20:59:59") == (table["open"].iloc[-1], at("20:59:01"))
    assert last("21:00:00") == (table["close"].iloc[-1], at("21:00"))
    assert last("23:00:00") == (before.close[position], at("21:00"))


def test_each_step_has_the_bar_that_it_opens_or_closes(minutes, table):
    seen = []
    for step in minutes.timeline.steps(at("00:00"), at("23:59")):
        bar = minutes.bar("SYN03", step)
        assert step.moment == (bar.opens_at if step.kind is StepKind.OPEN else bar.closes_at)
        seen.append(bar)
    assert seen[::2] == seen[1::2]
    assert [float(bar.high) for bar in seen[::2]] == table["high"].tolist()
    assert [float(bar.volume) for bar in seen[::2]] == table["volume"].tolist()


def test_the_bar_of_a_session_is_that_of_the_day(minutes, table):
    bar = minutes.bar("SYN03", DAY)
    assert (float(bar.high), float(bar.low)) == (table["high"].max(), table["low"].min())
    assert float(bar.volume) == table["volume"].sum()
    assert minutes.bar("SYN03", dt.date(2024, 3, 3)) is None


def test_a_quote_is_the_newest_print_with_the_slippage_on_both_sides(minutes):
    seen, quote = minutes.last("SYN03", at("15:00")), minutes.quote("SYN03", at("15:00"))
    assert quote.bid == seen.price * Decimal("0.9995")
    assert quote.ask == seen.price * Decimal("1.0005")
    assert (quote.moment, quote.bid_size, quote.ask_size) == (seen.moment, None, None)


def test_many_symbols_are_read_once_a_session(monkeypatch):
    feed = SourceFeed("synthetic", seed=7, timeframe="1m")
    market, asked, real = Market(feed, Timeline("XNYS", "1m")), [], feed.source.bars

    def bars(symbols, **rest):
        if "timeframe" in rest:
            asked.append((len(symbols), rest["start"].date(), rest["end"].date()))
        return real(symbols, **rest)

    monkeypatch.setattr(feed.source, "bars", bars)
    symbols = feed.symbols()[:30]
    for day in (5, 6, 7):
        step = market.timeline.next_step(dt.datetime(2024, 3, day, tzinfo=dt.UTC))
        assert all(market.bar(symbol, step) for symbol in symbols)
    ones = [(1, DAY, DAY)] * 30
    assert asked == [
        *ones,
        (30, dt.date(2024, 3, 6), dt.date(2024, 3, 6)),
        (30, dt.date(2024, 3, 7), dt.date(2024, 3, 7)),
    ]


def handmade(*rows):
    return [
        Bar("ACME", DAY, at(f"{begins}"), at(f"{ends}"), Decimal(close), *map(Decimal, prices), volume)
        for begins, ends, close, prices, volume in rows
    ]


def test_minutes_given_by_hand_make_the_day_and_a_gap_stays_a_gap():
    feed = MemoryFeed(
        handmade(
            ("14:30", "14:31", "10", ("9", "11", "8"), Decimal(100)),
            ("14:32", "14:33", "12", ("10", "13", "10"), Decimal(50)),
        ),
        timeframe="1m",
    )
    market = Market(feed, Timeline("XNYS", "1m"))
    day = market.bar("ACME", DAY)
    assert (day.open, day.high, day.low, day.close, day.volume) == (9, 13, 8, 12, 150)
    steps = {(step.number, step.kind): step for step in market.timeline.steps(at("00:00"), at("14:40"))}
    assert market.bar("ACME", steps[0, StepKind.OPEN]).close == 10
    assert market.bar("ACME", steps[1, StepKind.OPEN]) is None
    assert market.bar("ACME", steps[1, StepKind.CLOSE]) is None
    assert market.bar("ACME", steps[2, StepKind.CLOSE]).close == 12
    assert market.last("ACME", at("14:31:30")).price == 10
    assert market.last("ACME", at("14:29")) is None


def test_a_field_that_one_minute_lacks_the_day_lacks():
    known = Bar("ACME", DAY, at("14:30"), at("14:31"), Decimal(10), Decimal(9), Decimal(11), Decimal(8), Decimal(1))
    bare = Bar("ACME", DAY, at("14:31"), at("14:32"), Decimal(12))
    day = Market(MemoryFeed([known, bare], timeframe="1m"), Timeline("XNYS", "1m")).bar("ACME", DAY)
    assert (day.open, day.high, day.low, day.close, day.volume) == (9, None, None, 12, None)


@pytest.fixture(scope="module")
def at_the_money(minutes):
    """A call and a put whose strike is the next one above the price at noon."""
    price = minutes.last("SYN03", at("17:00")).price
    strikes = minutes.options.grid.strikes_at("SYN03", dt.date(2024, 3, 15), at("17:00"))
    strike = next(one for one in strikes if one > price)
    return tuple(f"SYN03240315{right}{int(strike * 1000):08d}" for right in "CP")


def test_contracts_are_known_and_stocks_stay_stocks(minutes, at_the_money):
    assert all(minutes.knows(symbol) for symbol in (*at_the_money, "SYN03", "SYN100"))
    for wrong in (
        "NOPE240315C00100000",  # no such stock
        "SYN03240314C00100000",  # a Thursday before a Friday that trades
        "SYN03240315C00100100",  # between two strikes
        "SYN03240315X00100000",
        "SYN03240315C00000000",
        "SYN03241315C00100000",
        "",
    ):
        assert not minutes.knows(wrong)


def test_a_mark_moves_with_the_stock_and_is_labelled_by_its_moment(minutes, at_the_money):
    call, put = at_the_money
    for text in ("14:30", "15:00", "18:30:30"):
        stock = minutes.last("SYN03", at(text))
        assert minutes.last(call, at(text)).moment == stock.moment == minutes.last(put, at(text)).moment
    quote, seen = minutes.quote(call, at("17:00")), minutes.last(call, at("17:00"))
    assert quote.bid < seen.price < quote.ask


def test_the_bar_of_a_contract_holds_its_marks(minutes, at_the_money):
    for symbol in at_the_money:
        for step in list(minutes.timeline.steps(at("15:00"), at("15:10"))):
            bar, seen = minutes.bar(symbol, step), minutes.last(symbol, step.moment)
            assert seen.price == (bar.open if step.kind is StepKind.OPEN else bar.close)
            assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
            assert bar.volume is None


def test_a_contract_begins_and_ends(minutes, at_the_money):
    call, _ = at_the_money
    listed = dt.datetime(2023, 3, 16, 4, tzinfo=dt.UTC)  # New York's midnight, a year before
    assert minutes.last(call, listed - dt.timedelta(seconds=1)) is None
    expiry = dt.datetime(2024, 3, 15, 20, tzinfo=dt.UTC)
    stock = minutes.last("SYN03", expiry).price
    strike = Decimal(call[-8:]) / 1000
    assert minutes.last(call, expiry).price == max(Decimal(0), stock - strike)
    assert minutes.last(call, expiry + dt.timedelta(days=30)) == minutes.last(call, expiry)


def test_a_close_only_source_gives_contracts_a_close_only_bar():
    bars = [
        Bar(
            "ACME",
            day,
            dt.datetime(2024, 3, day.day, 14, 30, tzinfo=dt.UTC),
            dt.datetime(2024, 3, day.day, 21, tzinfo=dt.UTC),
            Decimal(100 + day.day),
        )
        for day in (dt.date(2024, 3, 4), DAY)
    ]
    market = Market(MemoryFeed(bars), Timeline("XNYS"))
    made = market.bar("ACME240315C00105000", DAY)
    assert (made.open, made.high, made.low) == (None, None, None)
    assert made.close == market.last("ACME240315C00105000", at("21:00")).price
    assert not math.isnan(float(made.close))
