"""The invented coins: what is drawn is the same every time, knows no future, and alpaca-py's client reads it."""

from __future__ import annotations

import datetime as dt
import itertools
import math

import numpy as np
import pytest
from alpaca.data.historical import CryptoHistoricalDataClient
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoQuoteRequest,
    CryptoSnapshotRequest,
    CryptoTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from workbench.exchange.market.candles import timeframe
from workbench.exchange.market.crypto import COINS, CryptoMarket

SATURDAY = dt.datetime(2024, 3, 2, 12, tzinfo=dt.UTC)


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def coins():
    return CryptoMarket(seed=7)


@pytest.fixture
def client(minute_trader):
    """The client of an account whose clock stands at noon of a Saturday (17:00 UTC)."""
    one = minute_trader(at="2024-03-02 12:00")
    found = CryptoHistoricalDataClient(one.keys.key_id, one.keys.secret_key, url_override=one.url)
    yield found
    found._session.close()


def test_another_draw_is_the_same_and_another_seed_is_not(coins):
    again, other = CryptoMarket(seed=7), CryptoMarket(seed=8)
    assert again.last("BTC/USD", SATURDAY) == coins.last("BTC/USD", SATURDAY)
    assert other.last("BTC/USD", SATURDAY) != coins.last("BTC/USD", SATURDAY)


def test_days_follow_each_other_and_hours_add_up(coins):
    asked = {"known_at": utc("2024-03-10"), "start": utc("2024-03-01"), "end": utc("2024-03-09 23:59")}
    days = list(coins.candles("ETH/USD", timeframe("1Day"), **asked))
    hours = list(coins.candles("ETH/USD", timeframe("1Hour"), **asked))
    assert (len(days), len(hours)) == (9, 216)
    for before, after in itertools.pairwise(days):
        assert before.close == after.open
    for number, day in enumerate(days):
        inside = hours[24 * number : 24 * number + 24]
        assert (day.high, day.low) == (max(h.high for h in inside), min(h.low for h in inside))
        assert day.volume == pytest.approx(sum(h.volume for h in inside))
    week = list(coins.candles("ETH/USD", timeframe("1Week"), **(asked | {"known_at": utc("2024-03-11")})))
    assert [(bar.begins, bar.open, bar.close) for bar in week] == [
        (utc("2024-03-04"), days[3].open, float(coins.last("ETH/USD", utc("2024-03-11")).price))
    ]


def test_a_bar_is_told_when_it_has_ended(coins):
    def newest(text, moment):
        return list(coins.candles("BTC/USD", timeframe(text), known_at=moment, start=utc("2024-03-01")))[-1].begins

    assert newest("1Min", utc("2024-03-02 12:00:59")) == utc("2024-03-02 11:59")
    assert newest("1Hour", utc("2024-03-02 11:59:59")) == utc("2024-03-02 10:00")
    assert newest("1Day", utc("2024-03-02 23:59:59")) == utc("2024-03-01")
    assert coins.last("BTC/USD", utc("2024-03-02 12:00:59")).moment == utc("2024-03-02 12:00")
    assert coins.last("BTC/USD", utc("2015-01-01 00:00:30")) is None


def test_the_volatility_is_the_stated_one(coins):
    closes = [
        bar.close
        for bar in coins.candles("BTC/USD", timeframe("1Day"), known_at=utc("2024-01-01"), start=utc("2020-01-01"))
    ]
    assert np.std(np.diff(np.log(closes))) * math.sqrt(365) == pytest.approx(0.60, rel=0.1)


def test_bars_trades_and_quotes(client):
    start = dt.datetime(2024, 3, 2, 16, 30, tzinfo=dt.UTC)
    bars = client.get_crypto_bars(
        CryptoBarsRequest(symbol_or_symbols=list(COINS), timeframe=TimeFrame.Minute, start=start)
    )
    assert {symbol: len(found) for symbol, found in bars.data.items()} == {"BTC/USD": 30, "ETH/USD": 30}
    tens = client.get_crypto_bars(
        CryptoBarsRequest(symbol_or_symbols="BTC/USD", timeframe=TimeFrame(10, TimeFrameUnit.Minute), start=start)
    )["BTC/USD"]
    assert [bar.close for bar in tens] == [bar.close for bar in bars["BTC/USD"][9::10]]
    trades = client.get_crypto_trades(CryptoTradesRequest(symbol_or_symbols="BTC/USD", start=start, limit=1000))[
        "BTC/USD"
    ]
    assert [trade.price for trade in trades[1:]] == [bar.close for bar in bars["BTC/USD"]]
    quotes = client.get_crypto_quotes(CryptoQuoteRequest(symbol_or_symbols="BTC/USD", start=start))["BTC/USD"]
    assert all(q.bid_price < t.price < q.ask_price for q, t in zip(quotes, trades, strict=True))
    down = client.get_crypto_trades(CryptoTradesRequest(symbol_or_symbols="BTC/USD", start=start, sort="desc"))[
        "BTC/USD"
    ]
    assert [trade.price for trade in down] == [trade.price for trade in trades[::-1]]


def test_the_newest_of_each_kind(client):
    trade = client.get_crypto_latest_trade(CryptoLatestTradeRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
    assert trade.timestamp == utc("2024-03-02 17:00")
    quote = client.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
    bar = client.get_crypto_latest_bar(CryptoLatestBarRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
    assert (bar.timestamp, bar.close) == (utc("2024-03-02 16:59"), trade.price)
    book = client.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
    assert (book.bids[0].price, book.asks[0].price) == (quote.bid_price, quote.ask_price)
    shot = client.get_crypto_snapshot(CryptoSnapshotRequest(symbol_or_symbols="BTC/USD"))["BTC/USD"]
    assert (shot.latest_trade.price, shot.minute_bar.close, shot.daily_bar.close) == (trade.price,) * 3
    assert shot.daily_bar.timestamp == utc("2024-03-02")
    assert shot.previous_daily_bar.timestamp == utc("2024-03-01")
    assert shot.previous_daily_bar.close == shot.daily_bar.open


def test_who_shows_no_keys_is_told_the_walls_moment(minutes_url):
    client = CryptoHistoricalDataClient(url_override=minutes_url)
    before = dt.datetime.now(dt.UTC)
    seen = client.get_crypto_latest_trade(CryptoLatestTradeRequest(symbol_or_symbols="ETH/USD"))["ETH/USD"]
    client._session.close()
    assert before - dt.timedelta(minutes=1) <= seen.timestamp <= dt.datetime.now(dt.UTC)


def test_the_header_says_that_the_prices_are_invented(client, minutes_url):
    answer = client._session.get(f"{minutes_url}/v1beta3/crypto/us/snapshots?symbols=BTC/USD")
    assert "SYNTHETIC coins, invented prices" in answer.headers["X-Market-Data"]
