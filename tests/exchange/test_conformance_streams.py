"""All streams through alpaca-py's own stream classes, typed and raw: what they hear has the fields of the list."""

from __future__ import annotations

import datetime as dt

import msgpack
import pytest
from alpaca.data.live import CryptoDataStream, NewsDataStream, OptionDataStream, StockDataStream
from alpaca.data.models import Bar, News, Orderbook, Quote, Trade
from alpaca.trading.enums import OrderSide, TimeInForce, TradeEvent
from alpaca.trading.models import TradeUpdate
from alpaca.trading.requests import GetOptionContractsRequest, LimitOrderRequest, MarketOrderRequest

from tests.exchange.api.hearing import heard
from tests.exchange.conformance import Watched, hold

BUY, DAY = OrderSide.BUY, TimeInForce.DAY


@pytest.fixture
def one(minute_trader):
    trader = minute_trader(raw=False, at="2024-03-05 12:00")
    Watched().watch(trader.api)
    return trader


def as_json(value):
    """A raw message of a data stream as REST would tell it."""
    if isinstance(value, dict):
        return {name: as_json(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [as_json(entry) for entry in value]
    if isinstance(value, msgpack.Timestamp):
        return value.to_datetime().isoformat()
    return "NaN" if isinstance(value, float) and value != value else value  # noqa: PLR0124 - a NaN is not itself


def test_trade_updates_typed_and_raw(one, wait_until):
    def trade():
        one.api.submit_order(MarketOrderRequest(symbol="SYN03", qty=10, side=BUY, time_in_force=DAY))
        order = one.api.submit_order(
            LimitOrderRequest(symbol="SYN03", qty=1, side=BUY, time_in_force=DAY, limit_price=1)
        )
        one.api.cancel_order_by_id(order.id)

    with one.listening(raw=True, wake="SYN03") as messages:
        trade()
        one.advance("2024-03-05 12:05")
        wait_until(lambda: "fill" in {message["data"]["event"] for message in messages})
        wait_until(lambda: "canceled" in {message["data"]["event"] for message in messages})
    for message in messages:
        assert message["stream"] == "trade_updates"
        hold("update", message["data"])
    with one.listening(raw=False, wake="SYN03") as updates:
        trade()
        one.advance("2024-03-05 12:10")
        wait_until(lambda: TradeEvent.FILL in {update.event for update in updates})
    assert all(isinstance(update, TradeUpdate) for update in updates)
    filled = next(update for update in updates if update.event == TradeEvent.FILL)
    assert (filled.qty, filled.position_qty, filled.order.filled_qty) == (10, 20, "10")


STREAMS = [
    (
        StockDataStream,
        "/v2/iex",
        lambda stream, handler: (
            stream.subscribe_trades(handler, "SYN03"),
            stream.subscribe_quotes(handler, "SYN03"),
            stream.subscribe_bars(handler, "SYN03", "SYN04"),
        ),
        {"t": "trade", "q": "quote", "b": "bar"},
        {Trade, Quote, Bar},
    ),
    (
        CryptoDataStream,
        "/v1beta3/crypto/us",
        lambda stream, handler: (
            stream.subscribe_trades(handler, "BTC/USD"),
            stream.subscribe_quotes(handler, "BTC/USD"),
            stream.subscribe_bars(handler, "BTC/USD"),
            stream.subscribe_orderbooks(handler, "BTC/USD"),
        ),
        {"t": "trade", "q": "quote", "b": "bar", "o": "orderbook"},
        {Trade, Quote, Bar, Orderbook},
    ),
    (
        NewsDataStream,
        "/v1beta1/news",
        lambda stream, handler: stream.subscribe_news(handler, "*"),
        {"n": "article"},
        {News},
    ),
]


@pytest.mark.parametrize("stream", STREAMS, ids=["stocks", "coins", "news"])
def test_a_data_stream_typed_and_raw(one, wait_until, stream):
    kind, path, subscribe, fields, models = stream
    to = "2024-03-06 12:00" if kind is NewsDataStream else "2024-03-05 12:03"
    with heard(one, kind, path, subscribe, wait_until, raw=True) as messages:
        one.advance(to)
        wait_until(lambda: {message["T"] for message in messages} >= fields.keys())
    for message in messages:
        assert isinstance(message["S"] if "S" in message else message["symbols"][0], str)
        hold(fields[message["T"]], as_json(message))
    later = "2024-03-07 12:00" if kind is NewsDataStream else "2024-03-05 12:06"
    with heard(one, kind, path, subscribe, wait_until) as typed:
        one.advance(later)
        wait_until(lambda: {type(message) for message in typed} >= models)


def test_the_options_stream_typed_and_raw(one, wait_until):
    spot = one.data.get("/stocks/SYN03/trades/latest")["trade"]["p"]
    contracts = one.api.get_option_contracts(
        GetOptionContractsRequest(underlying_symbols=["SYN03"], expiration_date=dt.date(2024, 3, 15), limit=1000)
    ).option_contracts
    symbol = min(contracts, key=lambda contract: abs(contract.strike_price - spot)).symbol

    def subscribe(stream, handler):
        stream.subscribe_trades(handler, symbol)
        stream.subscribe_quotes(handler, symbol)

    with heard(one, OptionDataStream, "/v1beta1/indicative", subscribe, wait_until, raw=True) as messages:
        one.advance("2024-03-05 12:03")
        wait_until(lambda: {message["T"] for message in messages} >= {"t", "q"})
    for message in messages:
        assert message["S"] == symbol
        hold({"t": "trade", "q": "quote"}[message["T"]], as_json(message))
    with heard(one, OptionDataStream, "/v1beta1/indicative", subscribe, wait_until) as typed:
        one.advance("2024-03-05 12:06")
        wait_until(lambda: {type(message) for message in typed} >= {Trade, Quote})
