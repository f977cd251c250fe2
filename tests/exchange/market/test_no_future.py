"""Nothing later than an account's clock is ever seen: cut or redraw the future, and no answer changes."""

from __future__ import annotations

import bisect
import datetime as dt
import random
from decimal import Decimal

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.exchange.clock import Timeline
from workbench.exchange.market.candles import candles, timeframe
from workbench.exchange.market.crypto import CryptoMarket
from workbench.exchange.market.market import Market, MemoryFeed
from workbench.exchange.market.newsroom import Newsroom
from workbench.exchange.matching.matching import Bar
from workbench.exchange.telling.data_hub import CHANNELS, DataHub

PATHS = [
    "/v2/account",
    "/v2/positions",
    "/v2/assets",
    "/v2/orders?status=all",
    "/v2/account/activities",
    "/v2/account/portfolio/history",
    "/v2/stocks/bars?symbols=ACME,FLAT,THIN,LATE,CENT&timeframe=1Day",
    "/v2/stocks/bars?symbols=ACME,FLAT,LATE&timeframe=1Day&sort=desc&limit=2&start=2024-03-01&end=2024-12-31",
    "/v2/stocks/bars/latest?symbols=ACME,FLAT,LATE",
    "/v2/stocks/trades/latest?symbols=ACME,FLAT,LATE",
    "/v2/stocks/quotes/latest?symbols=ACME,FLAT,LATE",
    "/v2/stocks/snapshots?symbols=ACME,FLAT,LATE",
    "/v2/stocks/bars?symbols=ACME,FLAT&timeframe=1Week",
    "/v2/stocks/trades?symbols=ACME,FLAT,LATE&start=2024-03-01&end=2025-01-01",
    "/v2/stocks/quotes?symbols=ACME,FLAT,LATE&start=2024-03-01&sort=desc",
    "/v2/options/contracts?underlying_symbols=ACME,FLAT,LATE&expiration_date_lte=2024-06-30&limit=10000",
    "/v1beta1/options/snapshots/ACME?limit=1000",
    "/v1beta1/options/bars?symbols=ACME240315C00100000,FLAT240315P00050000&timeframe=1Day",
    "/v1beta1/options/trades?symbols=ACME240315C00100000&start=2024-03-01",
    "/v1beta1/news?limit=50",
    "/v3/clock",
]
MOMENTS = ["2024-03-05 09:29", "2024-03-05 09:30", "2024-03-05 15:59", "2024-03-05 16:00", "2024-03-07 12:00"]


def redrawn(rows, cut):
    """The same rows up to what is known at `cut` ("2024-03-05 12:00"), and another future after it."""
    dice = random.Random(cut)
    day, time = cut.split()

    def another(value):
        return None if value is None else round(value * dice.uniform(0.3, 3.0), 2)

    changed = {}
    for symbol, bars in rows.items():
        changed[symbol] = []
        for when, opened, high, low, close, volume in bars:
            if when < day or (when == day and time >= "16:00"):
                changed[symbol].append((when, opened, high, low, close, volume))
            elif when == day and time >= "09:30":  # the open has been seen, the rest has not
                changed[symbol].append((when, opened, another(high), another(low), another(close), another(volume)))
            elif dice.random() < 0.8:
                changed[symbol].append((when, *(another(value) for value in (opened, high, low, close, volume))))
    return changed


@pytest.mark.parametrize("cut", MOMENTS)
def test_another_future_changes_no_answer(an_exchange, a_trader, handmade, tmp_path, cut):
    told = []
    for number, rows in enumerate((handmade.rows, redrawn(handmade.rows, cut))):
        with an_exchange(tmp_path / f"{number}.db", handmade.feed(rows)) as address:
            one = a_trader(address, at="2024-03-04 16:00")
            for symbol in ("ACME", "FLAT"):
                one.api.post(
                    "/orders",
                    {
                        "symbol": symbol,
                        "qty": "5",
                        "side": "buy",
                        "type": "market",
                        "time_in_force": "gtc",
                        "client_order_id": symbol,
                    },
                )
            one.advance(cut)
            headers = one.api._get_default_headers()
            answers = [requests.get(address + path, headers=headers, timeout=60) for path in PATHS]
            assert {answer.status_code for answer in answers} == {200}
            told.append([without_identity(answer.json()) for answer in answers])
            one.close()
    assert told[0] == told[1]


def without_identity(value):
    """The answer without random ids."""
    if isinstance(value, list):
        return [without_identity(entry) for entry in value]
    if isinstance(value, dict):
        return {
            name: without_identity(entry)
            for name, entry in value.items()
            if name not in {"id", "order_id", "account_number", "next_page_token"}
        }
    return value


class Leaking(Market):
    """A market with a planted leak: it shows a session's bar from its open on."""

    def newest(self, symbol, *, known_at, count=1):
        series = self.feed.series(symbol)
        dates = series.dates
        last = bisect.bisect_right(dates, known_at.date())
        return [self._bar(symbol, series, position) for position in range(max(0, last - count), last)]


def leaks(market, known_at):
    """Whether a market tells something later than the moment."""
    for symbol in market.feed.symbols():
        seen = market.last(symbol, known_at)
        if seen is not None and seen.moment > known_at:
            return True
        bars = market.bars(symbol, known_at=known_at) + market.newest(symbol, known_at=known_at, count=3)
        if any(bar.closes_at > known_at for bar in bars):
            return True
    return False


@pytest.fixture(scope="module")
def timeline():
    return Timeline("XNYS")


@pytest.fixture
def build(handmade, timeline):
    return lambda kind: kind(handmade.feed(), timeline)


def test_no_moment_sees_what_comes_after_it(build, handmade):
    market, opening = build(Market), handmade.moment("2024-03-04 09:30").astimezone(dt.UTC)

    @given(minute=st.integers(min_value=-600, max_value=5 * 24 * 60))
    def honest(minute):
        assert not leaks(market, opening + dt.timedelta(minutes=minute))

    honest()


def test_a_planted_leak_is_found(build, handmade):
    assert leaks(build(Leaking), handmade.moment("2024-03-04 10:30").astimezone(dt.UTC))


SYMBOLS = ("ACME", "LATE")
MINUTE = dt.timedelta(minutes=1)
MINUTES = Timeline("XNYS", "1m")
SESSIONS = list(MINUTES.between(dt.date(2024, 3, 4), dt.date(2024, 3, 6)))
CUTS = ["2024-03-05 09:29", "2024-03-05 09:30", "2024-03-05 11:17", "2024-03-05 16:00", "2024-03-06 15:59"]
MINUTE_PATHS = [
    "/v2/stocks/bars?symbols=ACME,LATE&timeframe=1Min&start=2024-03-04&limit=10000",
    "/v2/stocks/bars?symbols=ACME,LATE&timeframe=1Hour&start=2024-03-04&sort=desc",
    "/v2/stocks/trades?symbols=ACME,LATE&start=2024-03-05&limit=10000",
    "/v2/stocks/snapshots?symbols=ACME,LATE",
    "/v1beta1/options/bars?symbols=ACME240315C00100000&timeframe=30Min&start=2024-03-04",
    "/v1beta1/options/snapshots/ACME?limit=1000",
]


def minutes(cut=None):
    """Minute bars of three sessions; what is not known at `cut` is drawn differently, or is not there."""
    return bars_of(MINUTES, cut)


def bars_of(timeline, cut):
    bars = []
    for symbol in SYMBOLS:
        known, other = random.Random(symbol), random.Random(f"{symbol} {cut}")
        for session in SESSIONS:
            begins = session.opens
            while begins < session.closes:
                values = [Decimal(str(round(known.uniform(90, 110), 2))) for _ in range(4)]
                opens, ends = timeline.first_print(session, begins), begins + timeline.width
                unknown = cut is not None and ends > cut
                if unknown:
                    values = [
                        value if n == 0 and opens <= cut else value * Decimal(other.choice(("0.5", "1.7")))
                        for n, value in enumerate(values)
                    ]
                if not (unknown and opens > cut and other.random() < 0.2):
                    first, close, one, two = values
                    extremes = max(values), min(values)
                    bars.append(Bar(symbol, session.date, begins, ends, close, first, *extremes, abs(one * two)))
                begins = ends
    return MemoryFeed(bars, timeframe=timeline.timeframe)


@pytest.mark.parametrize("cut", CUTS)
def test_another_future_changes_no_answer_in_minutes(an_exchange, a_trader, handmade, tmp_path, cut):
    told = []
    for number, feed in enumerate((minutes(), minutes(handmade.moment(cut).astimezone(dt.UTC)))):
        with an_exchange(tmp_path / f"{number}.db", feed) as address:
            one = a_trader(address, at="2024-03-04 16:00")
            one.api.post(
                "/orders", {"symbol": "ACME", "qty": "5", "side": "buy", "type": "market", "time_in_force": "gtc"}
            )
            one.advance(cut)
            headers = one.api._get_default_headers()
            answers = [
                requests.get(address + path, headers=headers, timeout=60) for path in (*MINUTE_PATHS, "/v2/positions")
            ]
            assert {answer.status_code for answer in answers} == {200}
            told.append([without_identity(answer.json()) for answer in answers])
            one.close()
    assert told[0] == told[1]


@pytest.fixture(scope="module")
def whole_market():
    return Market(minutes(), MINUTES)


FIVES = Timeline("XNYS", "5m")


@pytest.fixture(scope="module")
def whole_fives():
    return Market(bars_of(FIVES, None), FIVES)


@settings(max_examples=25, deadline=None)
@given(later=st.timedeltas(dt.timedelta(), SESSIONS[-1].closes - SESSIONS[0].opens))
def test_another_future_changes_nothing_that_the_market_tells(whole_fives, later):
    moment = SESSIONS[0].opens + later
    other = Market(bars_of(FIVES, moment), FIVES)

    def told(market):
        expiry = dt.date(2024, 3, 15)
        strikes = market.options.grid.strikes_at("ACME", expiry, moment)
        contracts = [f"ACME240315{right}{int(strike * 1000):08d}" for strike in strikes for right in "CP"]
        for symbol in (*SYMBOLS, *contracts):
            seen = market.last(symbol, moment)
            assert seen is None or seen.moment <= moment
            yield seen
            yield market.quote(symbol, moment)
        for symbol in (*SYMBOLS, *contracts[:2]):
            for text in ("5Min", "1Hour", "1Day", "1Week"):
                rows = list(
                    candles(market, symbol, timeframe(text), known_at=moment, start=SESSIONS[0].opens - 4 * DAY)
                )
                assert all(row.ends <= moment for row in rows)
                yield rows
        yield from (market.running_day(symbol, moment) for symbol in SYMBOLS)
        yield strikes

    assert repr(list(told(other))) == repr(list(told(whole_fives)))  # as text: a NaN is not equal to itself


DAY = dt.timedelta(days=1)


class LeakingMinutes(Market):
    """A market with a planted leak: the running day includes the running minute."""

    def running_day(self, symbol, moment):
        return super().running_day(symbol, moment + MINUTE)


def test_a_planted_leak_is_found_in_minutes(whole_market, handmade):
    moment = handmade.moment("2024-03-05 11:17").astimezone(dt.UTC)
    leaking = LeakingMinutes(whole_market.feed, MINUTES)
    assert whole_market.running_day("ACME", moment).ends <= moment
    assert leaking.running_day("ACME", moment).ends > moment
    honest = [market.running_day("ACME", moment) for market in (whole_market, Market(minutes(moment), MINUTES))]
    leaked = [market.running_day("ACME", moment) for market in (leaking, LeakingMinutes(minutes(moment), MINUTES))]
    assert honest[0] == honest[1]
    assert leaked[0] != leaked[1]


def test_a_stream_tells_nothing_later_than_its_clock(whole_market):
    """Every message of an hour, told minute by minute, is known at the moment at which it is told."""
    from types import SimpleNamespace

    hub = DataHub(whole_market, CryptoMarket(seed=7), Newsroom(whole_market))
    start = SESSIONS[1].opens - MINUTE
    told: list = []
    clock = [start]
    everything = {channel: {"*"} for channel in CHANNELS["stocks"]}
    wire = SimpleNamespace(
        kind="stocks",
        endpoint="/x",
        account_id="a",
        cursor=start,
        wanted=everything,
        tell=lambda messages: told.extend((clock[0], message) for message in messages),
        pending=lambda: 0,
    )
    hub._wires["a"] = [wire]
    for number in range(60 * 60 // 7):
        clock[0] = start + number * dt.timedelta(seconds=7)
        hub.moved("a", clock[0])
    assert {message["T"] for _, message in told} == {"t", "q", "b", "d"}
    assert len(told) == 2 * (2 * (59 + 58) + 2 * 58)  # 59 opens and 58 closes of two stocks until 10:28:44
    for moment, message in told:
        known = message["t"] + (MINUTE if message["T"] == "b" else dt.timedelta())
        assert moment - dt.timedelta(seconds=7) < known <= moment or message["T"] == "d"
        if message["T"] == "d":
            assert message["c"] == float(whole_market.last(message["S"], moment.replace(second=0)).price)
