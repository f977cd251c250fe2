"""Market data through alpaca-py's typed historical clients alone: stocks, options, coins, news, corporate actions."""

from __future__ import annotations

import datetime as dt

import pytest
from alpaca.data.historical import (
    CryptoHistoricalDataClient,
    NewsClient,
    OptionHistoricalDataClient,
    StockHistoricalDataClient,
)
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    CryptoBarsRequest,
    CryptoLatestBarRequest,
    CryptoLatestOrderbookRequest,
    CryptoLatestQuoteRequest,
    CryptoLatestTradeRequest,
    CryptoQuoteRequest,
    CryptoSnapshotRequest,
    CryptoTradesRequest,
    NewsRequest,
    OptionBarsRequest,
    OptionChainRequest,
    OptionLatestQuoteRequest,
    OptionLatestTradeRequest,
    OptionSnapshotRequest,
    OptionTradesRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame

from tests.exchange.conformance import Watched

START = dt.datetime(2024, 3, 5, 15, tzinfo=dt.UTC)
END = dt.datetime(2024, 3, 5, 16, 59, tzinfo=dt.UTC)
COIN = "BTC/USD"


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def client(minute_trader, watched):
    """Builds a historical client of an account whose clock stands at noon (17:00 UTC) of a Tuesday."""
    one = minute_trader(raw=False, at="2024-03-05 12:00")
    built = []

    def build(kind):
        built.append(watched.watch(kind(one.keys.key_id, one.keys.secret_key, url_override=one.url)))
        return built[-1]

    build.trader = one
    yield build
    for found in built:
        found._session.close()


def test_stocks(client, watched):
    stocks = client(StockHistoricalDataClient)
    span = {"symbol_or_symbols": ["SYN03", "SYN04"], "start": START, "end": END}
    bars = stocks.get_stock_bars(StockBarsRequest(**span, timeframe=TimeFrame.Minute))
    assert [len(bars[symbol]) for symbol in ("SYN03", "SYN04")] == [120, 120]
    paged = stocks.get_stock_bars(StockBarsRequest(**span, timeframe=TimeFrame.Minute, limit=7))
    assert [bar.timestamp for bar in paged["SYN03"]] == [bar.timestamp for bar in bars["SYN03"]][: len(paged["SYN03"])]
    assert stocks.get_stock_bars(StockBarsRequest(**span, timeframe=TimeFrame.Hour))["SYN03"]
    trades = stocks.get_stock_trades(StockTradesRequest(**span))
    quotes = stocks.get_stock_quotes(StockQuotesRequest(**span))
    assert trades["SYN03"]
    assert all(quote.bid_price < quote.ask_price for quote in quotes["SYN04"])
    both = {"symbol_or_symbols": ["SYN03", "SYN04"]}
    latest = stocks.get_stock_latest_bar(StockLatestBarRequest(**both))
    assert set(latest) == {"SYN03", "SYN04"}
    assert stocks.get_stock_latest_trade(StockLatestTradeRequest(**both))["SYN03"].price > 0
    assert stocks.get_stock_latest_quote(StockLatestQuoteRequest(**both))["SYN03"].ask_price > 0
    snapshot = stocks.get_stock_snapshot(StockSnapshotRequest(**both))["SYN03"]
    assert snapshot.minute_bar.close == latest["SYN03"].close
    for what in ("bars", "trades", "quotes"):
        assert watched.saw(f"GET /v2/stocks/{what} 200")
        assert watched.saw(f"GET /v2/stocks/{what}/latest 200")


def test_options(client, watched):
    options = client(OptionHistoricalDataClient)
    chain = options.get_option_chain(
        OptionChainRequest(underlying_symbol="SYN03", expiration_date=dt.date(2024, 3, 15))
    )
    symbol = sorted(chain)[len(chain) // 4]
    assert chain[symbol].greeks.delta > 0
    assert chain[symbol].implied_volatility > 0
    span = {"symbol_or_symbols": symbol, "start": START, "end": END}
    assert options.get_option_bars(OptionBarsRequest(**span, timeframe=TimeFrame.Hour))[symbol]
    assert options.get_option_trades(OptionTradesRequest(**span))[symbol]
    quote = options.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=symbol))[symbol]
    assert 0 <= quote.bid_price < quote.ask_price
    assert options.get_option_latest_trade(OptionLatestTradeRequest(symbol_or_symbols=symbol))[symbol].price > 0
    assert options.get_option_snapshot(OptionSnapshotRequest(symbol_or_symbols=symbol))[symbol].symbol == symbol
    assert options.get_option_exchange_codes()
    assert watched.saw("GET /v1beta1/options/snapshots/SYN03 200")


def test_coins(client, watched):
    coins = client(CryptoHistoricalDataClient)
    span = {"symbol_or_symbols": COIN, "start": START, "end": END}
    assert len(coins.get_crypto_bars(CryptoBarsRequest(**span, timeframe=TimeFrame.Minute))[COIN]) == 120
    assert coins.get_crypto_trades(CryptoTradesRequest(**span))[COIN]
    assert coins.get_crypto_quotes(CryptoQuoteRequest(**span))[COIN]
    assert coins.get_crypto_latest_bar(CryptoLatestBarRequest(symbol_or_symbols=COIN))[COIN].close > 0
    trade = coins.get_crypto_latest_trade(CryptoLatestTradeRequest(symbol_or_symbols=COIN))[COIN]
    quote = coins.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols=COIN))[COIN]
    assert quote.bid_price < trade.price < quote.ask_price
    book = coins.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(symbol_or_symbols=COIN))[COIN]
    assert (book.bids[0].price, book.asks[0].price) == (quote.bid_price, quote.ask_price)
    snapshot = coins.get_crypto_snapshot(CryptoSnapshotRequest(symbol_or_symbols=COIN))[COIN]
    assert (snapshot.latest_trade.price, snapshot.latest_quote.ask_price) == (trade.price, quote.ask_price)
    assert watched.saw("GET /v1beta3/crypto/us/snapshots 200")


def test_news_and_corporate_actions(client):
    news = client(NewsClient).get_news(NewsRequest(start=START - dt.timedelta(days=14), end=END, limit=60))
    articles = news.data["news"]
    assert len(articles) == 60  # two pages: the largest has 50
    assert all(article.created_at <= END for article in articles)
    actions = client(CorporateActionsClient).get_corporate_actions(
        CorporateActionsRequest(start=dt.date(2024, 1, 1), end=dt.date(2024, 3, 5))
    )
    assert actions.data is not None


def test_what_cannot_be_asked_is_refused_in_words(client):
    from alpaca.common.exceptions import APIError

    stocks = client(StockHistoricalDataClient)
    with pytest.raises(APIError) as caught:
        stocks.get("/stocks/bars", {"symbols": "SYN03", "timeframe": "7Weeks", "start": START.isoformat()})
    assert 400 <= caught.value.status_code < 500
