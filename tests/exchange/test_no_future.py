"""Nothing later than an account's clock is ever seen: cut or redraw the future, and no answer changes."""

from __future__ import annotations

import bisect
import datetime as dt
import random

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from workbench.exchange.clock import Timeline
from workbench.exchange.market import Market

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
            answers = [requests.get(address + path, headers=headers, timeout=5) for path in PATHS]
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
