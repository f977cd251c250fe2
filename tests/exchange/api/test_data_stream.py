"""Market data over WebSocket: alpaca-py's own stream classes hear the numbers that REST tells, and the bare wire."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import math
from decimal import Decimal
from types import SimpleNamespace

import msgpack
import pytest
import websockets
from alpaca.data.historical import CryptoHistoricalDataClient, NewsClient, OptionHistoricalDataClient
from alpaca.data.live import CryptoDataStream, NewsDataStream, OptionDataStream, StockDataStream
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestOrderbookRequest,
    NewsRequest,
    OptionTradesRequest,
    StockBarsRequest,
    StockQuotesRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame

from tests.exchange.api.hearing import heard
from workbench.exchange import embedded
from workbench.exchange.api.app import Options, assemble
from workbench.exchange.api.data_stream import DataStream
from workbench.exchange.clock import Timeline
from workbench.exchange.ledger.ledger import Ledger
from workbench.exchange.market.crypto import CryptoMarket
from workbench.exchange.market.market import Market
from workbench.exchange.market.newsroom import Newsroom
from workbench.exchange.state.records import ClockKind
from workbench.exchange.telling.data_hub import CHANNELS, DataHub, Wire


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def plain(message):
    """A model without the sizes that nobody knows: a NaN is not equal to itself."""
    return {
        name: value
        for name, value in message.model_dump().items()
        if not (isinstance(value, float) and math.isnan(value))
    }


def same(heard_, told):
    return [plain(message) for message in heard_] == [plain(message) for message in told]


def test_stocks_stream_what_rest_tells(minute_trader, wait_until):
    one = minute_trader(raw=False, at="2024-03-05 09:29")
    trades, quotes, bars, days = [], [], [], []

    def subscribe(stream, _):
        async def keep(message, where):
            where.append(message)

        stream.subscribe_trades(lambda_of(keep, trades), "SYN03", "SYN04")
        stream.subscribe_quotes(lambda_of(keep, quotes), "SYN03")
        stream.subscribe_bars(lambda_of(keep, bars), "*")
        stream.subscribe_daily_bars(lambda_of(keep, days), "SYN03")
        stream.subscribe_updated_bars(lambda_of(keep, days), "SYN03")
        stream.subscribe_trading_statuses(lambda_of(keep, days), "SYN03")

    with heard(one, StockDataStream, "/v2/iex", subscribe, wait_until):
        one.advance("2024-03-05 09:35")
        wait_until(lambda: len(bars) >= 500 and len(days) >= 5 and len(trades) >= 20 and len(quotes) >= 10)
    rest = one.data.get_stock_trades(StockTradesRequest(symbol_or_symbols=["SYN03", "SYN04"]))
    for symbol in ("SYN03", "SYN04"):
        assert same([trade for trade in trades if trade.symbol == symbol], rest[symbol])
    assert same(quotes, one.data.get_stock_quotes(StockQuotesRequest(symbol_or_symbols="SYN03"))["SYN03"])
    symbols = sorted({bar.symbol for bar in bars})
    assert len(symbols) == 100
    minutes = one.data.get_stock_bars(StockBarsRequest(symbol_or_symbols=symbols, timeframe=TimeFrame.Minute))
    for symbol in symbols:
        assert same([bar for bar in bars if bar.symbol == symbol], minutes[symbol])
    for count, day in enumerate(days, 1):
        parts = minutes["SYN03"][:count]
        assert day.timestamp == utc("2024-03-05 05:00")
        assert (day.open, day.close) == (parts[0].open, parts[-1].close)
        assert (day.high, day.volume) == (max(p.high for p in parts), sum(p.volume for p in parts))


def lambda_of(keep, where):
    async def handler(message):
        await keep(message, where)

    return handler


def test_a_halt_is_told_and_its_end(minute_trader, wait_until):
    one = minute_trader(at="2024-03-05 12:00")

    def subscribe(stream, handler):
        stream.subscribe_trading_statuses(handler, "SYN09")

    with heard(one, StockDataStream, "/v2/iex", subscribe, wait_until) as messages:
        for halted in (True, True, False):
            embedded._call(one.url, "POST", "/sim/symbols/SYN09", {"halted": halted})
        wait_until(lambda: len(messages) >= 2)
    assert [(m.symbol, m.status_code, m.status_message, m.timestamp) for m in messages] == [
        ("SYN09", "H", "Trading Halt", utc("2024-03-05 17:00")),
        ("SYN09", "T", "Trading Resumption", utc("2024-03-05 17:00")),
    ]


def test_a_daily_exchange_streams_its_day_at_the_close_and_no_minutes(trader, wait_until):
    one = trader(raw=False, at="2024-03-05 09:00")

    def subscribe(stream, handler):
        stream.subscribe_bars(handler, "ACME")
        stream.subscribe_daily_bars(handler, "ACME", "FLAT")

    with heard(one, StockDataStream, "/v2/sip", subscribe, wait_until) as messages:
        one.advance("2024-03-06 16:00")
        wait_until(lambda: len(messages) >= 4)
    told = one.data.get_stock_bars(
        StockBarsRequest(symbol_or_symbols=["ACME", "FLAT"], timeframe=TimeFrame.Day, start=utc("2024-03-05"))
    )
    for symbol in ("ACME", "FLAT"):
        assert same([bar for bar in messages if bar.symbol == symbol], told[symbol])


def test_options_stream_what_rest_tells(minute_trader, wait_until):
    one = minute_trader(at="2024-03-05 09:29")
    found = one.api.get("/options/contracts", {"underlying_symbols": "SYN03", "expiration_date": "2024-03-15"})
    symbols = [contract["symbol"] for contract in found["option_contracts"]][:2]

    def subscribe(stream, handler):
        stream.subscribe_trades(handler, *symbols)
        stream.subscribe_quotes(handler, symbols[0])

    with heard(one, OptionDataStream, "/v1beta1/indicative", subscribe, wait_until) as messages:
        one.advance("2024-03-05 09:32")
        wait_until(lambda: len(messages) >= 12)
    client = OptionHistoricalDataClient(one.keys.key_id, one.keys.secret_key, url_override=one.url)
    told = client.get_option_trades(OptionTradesRequest(symbol_or_symbols=symbols))
    for symbol in symbols:
        trades = [message for message in messages if message.symbol == symbol and hasattr(message, "price")]
        assert same(trades, told[symbol])
    quotes = [message for message in messages if hasattr(message, "bid_price")]
    assert [quote.timestamp for quote in quotes] == [trade.timestamp for trade in told[symbols[0]]]
    client._session.close()


def test_coins_stream_through_the_weekend(minute_trader, wait_until):
    one = minute_trader(at="2024-03-02 12:00")

    def subscribe(stream, handler):
        stream.subscribe_bars(handler, "BTC/USD")
        stream.subscribe_orderbooks(handler, "ETH/USD")
        stream.subscribe_trades(handler, "ETH/USD")

    with heard(one, CryptoDataStream, "/v1beta3/crypto/us", subscribe, wait_until) as messages:
        one.advance("2024-03-02 12:05")
        wait_until(lambda: len(messages) >= 15)
    client = CryptoHistoricalDataClient(one.keys.key_id, one.keys.secret_key, url_override=one.url)
    asked = CryptoBarsRequest(symbol_or_symbols="BTC/USD", timeframe=TimeFrame.Minute, start=utc("2024-03-02 17:00"))
    bars = client.get_crypto_bars(asked)["BTC/USD"]
    assert same([message for message in messages if message.symbol == "BTC/USD"], bars)
    book = client.get_crypto_latest_orderbook(CryptoLatestOrderbookRequest(symbol_or_symbols="ETH/USD"))["ETH/USD"]
    newest = [message for message in messages if hasattr(message, "bids")][-1]
    assert (newest.timestamp, newest.bids[0].price, newest.asks[0].price) == (
        book.timestamp,
        book.bids[0].price,
        book.asks[0].price,
    )
    client._session.close()


def test_news_streams_what_rest_tells(minute_trader, wait_until):
    one = minute_trader(at="2024-03-05 09:00")
    with heard(
        one, NewsDataStream, "/v1beta1/news", lambda s, handler: s.subscribe_news(handler, "*"), wait_until
    ) as messages:
        one.advance("2024-03-05 16:00")
        client = NewsClient(one.keys.key_id, one.keys.secret_key, url_override=one.url)
        told = client.get_news(NewsRequest(start=utc("2024-03-05 14:00"), sort="asc")).data["news"]
        client._session.close()
        wait_until(lambda: len(messages) >= len(told))
    assert [(m.id, m.headline, m.created_at, m.symbols) for m in messages] == [
        (t.id, t.headline, t.created_at, t.symbols) for t in told
    ]
    assert told


def test_a_real_clock_streams_as_the_wall_goes(minute_feed, tmp_path):
    now = [utc("2024-03-05 14:29:30")]
    with contextlib.closing(Ledger(tmp_path / "exchange.db")) as ledger:
        exchange = assemble(minute_feed, Options(db=tmp_path / "exchange.db"), ledger=ledger, wall=lambda: now[0])
        account = exchange.venue.open_account("real", cash=Decimal(10_000), at=now[0], clock=ClockKind.REAL)
        stocks = FakeWire("stocks", account, trades={"SYN03"}, bars={"SYN03"})
        coins = FakeWire("crypto", account, trades={"BTC/USD"})
        exchange.data.add(stocks)
        exchange.data.add(coins)
        order = {"symbol": "SYN03", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        exchange.venue.submit(account, order)
        for second in range(135):
            now[0] = utc("2024-03-05 14:29:30") + dt.timedelta(seconds=second)
            exchange.venue.catch_up()
            assert all(message["t"] <= now[0] for messages in stocks.told + coins.told for message in messages)
        market, coin = exchange.venue.market, exchange.crypto
        assert stocks.heard("t") == [
            (moment, float(market.last("SYN03", moment).price))
            for moment in map(utc, ("2024-03-05 14:30", "2024-03-05 14:31", "2024-03-05 14:31:01"))
        ]
        assert [moment for moment, _ in stocks.heard("b")] == [utc("2024-03-05 14:30")]
        assert coins.heard("t") == [
            (moment, float(coin.last("BTC/USD", moment).price))
            for moment in map(utc, ("2024-03-05 14:30", "2024-03-05 14:31"))
        ]
        assert set(exchange.venue.account("real").positions) == {"SYN03"}


class FakeWire(Wire):
    """A connection without a network."""

    def __init__(self, kind, account, *, unread=0, progresses=True, **wanted):
        self.kind, self.endpoint, self.account_id, self.cursor = kind, "/x", account.id, account.now
        self.wanted = {channel: set() for channel in CHANNELS[kind]} | wanted
        self.told, self.unread, self.progresses, self.cut = [], unread, progresses, False

    def tell(self, messages):
        self.told.append(messages)

    def heard(self, kind):
        """Moment and price (or close) of the messages of one kind."""
        flat = [message for messages in self.told for message in messages if message["T"] == kind]
        return [(message["t"], message.get("p", message.get("c"))) for message in flat]

    def pending(self):
        return self.unread

    async def progress(self, seconds):
        self.unread = 0 if self.progresses else self.unread
        return self.progresses

    def slow(self):
        self.cut = True


@pytest.fixture
def hub(handmade):
    market = Market(handmade.feed(), Timeline("XNYS"))
    return DataHub(market, CryptoMarket(seed=7), Newsroom(market))


ACCOUNT = SimpleNamespace(id="a", now=utc("2024-03-02"))


def test_an_advance_waits_for_a_reader_and_cuts_one_that_does_not_read(hub):
    reader = FakeWire("stocks", ACCOUNT, unread=10**6)
    sleeper = FakeWire("stocks", ACCOUNT, unread=10**6, progresses=False)
    hub.add(reader)
    hub.add(sleeper)
    asyncio.run(hub.drained("a"))
    assert (reader.cut, sleeper.cut) == (False, True)


def test_a_real_clock_waits_for_nobody(hub):
    sleeper, reader = FakeWire("stocks", ACCOUNT, unread=10**8), FakeWire("stocks", ACCOUNT)
    hub.add(sleeper)
    hub.add(reader)
    hub.moved("a", utc("2024-03-03"))
    assert (sleeper.cut, reader.cut) == (True, False)


def test_two_readers_of_the_running_day_hear_the_same(minute_feed):
    market = Market(minute_feed, Timeline("XNYS", "1m"))
    hub = DataHub(market, CryptoMarket(seed=7), Newsroom(market))
    accounts = [SimpleNamespace(id=name, now=utc("2024-03-05 14:00")) for name in "ab"]
    wires = [FakeWire("stocks", account, dailyBars={"SYN03"}) for account in accounts]
    for wire in wires:
        hub.add(wire)
    hub.moved("a", utc("2024-03-05 14:35"))
    hub.moved("b", utc("2024-03-05 14:33"))  # behind the first, then past it
    hub.moved("b", utc("2024-03-05 14:40"))
    hub.moved("a", utc("2024-03-05 14:40"))
    first, second = ([message for messages in wire.told for message in messages] for wire in wires)
    assert first == second
    assert len(first) == 10
    whole = market.running_day("SYN03", utc("2024-03-05 14:40"))
    assert (first[-1]["h"], first[-1]["v"]) == (whole.high, whole.volume)


class Wired:
    """One bare WebSocket that speaks msgpack, or JSON."""

    def __init__(self, socket, *, binary):
        self.socket, self.binary = socket, binary

    async def hear(self):
        frame = await asyncio.wait_for(self.socket.recv(), 60)
        assert isinstance(frame, bytes) is self.binary
        return msgpack.unpackb(frame, timestamp=3) if self.binary else json.loads(frame)

    async def say(self, message):
        await self.socket.send(msgpack.packb(message) if self.binary else json.dumps(message))
        return await self.hear()


@contextlib.asynccontextmanager
async def wired(url, path="/v2/iex", *, binary=True, headers=None, greeted=True):
    extra = {"Content-Type": "application/msgpack"} if binary else {}
    async with websockets.connect(
        f"ws{url[4:]}{path}", additional_headers=extra | (headers or {}), proxy=None, open_timeout=60
    ) as socket:
        one = Wired(socket, binary=binary)
        if greeted:
            assert await one.hear() == [{"T": "success", "msg": "connected"}]
        yield one


def login(keys, **changes):
    return {"action": "auth", "key": keys.key_id, "secret": keys.secret_key} | changes


AUTHENTICATED = [{"T": "success", "msg": "authenticated"}]


def error(code, text):
    return [{"T": "error", "code": code, "msg": text}]


@pytest.mark.parametrize("binary", [True, False], ids=["msgpack", "json"])
def test_subscriptions_are_told_whole_and_trades_bring_their_corrections(url, trader, binary):
    keys = trader().keys

    async def talk():
        async with wired(url, binary=binary) as one:
            assert await one.say(login(keys)) == AUTHENTICATED
            first = await one.say({"action": "subscribe", "trades": ["ACME", "FLAT"], "bars": ["*"]})
            second = await one.say({"action": "unsubscribe", "trades": ["FLAT"], "bars": ["*"]})
            return first, second

    first, second = asyncio.run(talk())
    silent = {"quotes": [], "updatedBars": [], "dailyBars": [], "statuses": [], "lulds": []}
    assert first == [
        {"T": "subscription", "trades": ["ACME", "FLAT"], "bars": ["*"]}
        | silent
        | {"corrections": ["ACME", "FLAT"], "cancelErrors": ["ACME", "FLAT"]}
    ]
    assert second == [
        {"T": "subscription", "trades": ["ACME"], "bars": []}
        | silent
        | {"corrections": ["ACME"], "cancelErrors": ["ACME"]}
    ]


def test_keys_in_the_headers_log_in_at_once(url, trader):
    keys = trader().keys
    headers = {"APCA-API-KEY-ID": keys.key_id, "APCA-API-SECRET-KEY": keys.secret_key}

    async def talk():
        async with wired(url, headers=headers) as one:
            return await one.hear()

    assert asyncio.run(talk()) == AUTHENTICATED


def test_a_subscription_in_fragments(minutes_url, minute_trader):
    """alpaca-py cuts a long subscription into frames of 32 KiB."""
    keys = minute_trader().keys
    names = [f"NAME{number:05d}" for number in range(10_000)]
    whole = msgpack.packb({"action": "subscribe", "trades": names})
    assert len(whole) > 3 * 32768

    async def talk():
        async with wired(minutes_url) as one:
            await one.say(login(keys))
            await one.socket.send(whole[start : start + 32768] for start in range(0, len(whole), 32768))
            return await one.hear()

    assert asyncio.run(talk())[0]["trades"] == names


def test_errors_have_alpacas_codes(url, trader):
    keys = trader().keys

    async def talk():
        async with wired(url) as one:
            assert await one.say({"action": "subscribe", "trades": ["ACME"]}) == error(401, "not authenticated")
            assert await one.say({"action": "dance"}) == error(400, "invalid syntax")
            assert await one.say(["no", "object"]) == error(400, "invalid syntax")
            await one.socket.send(b"\xc1 no msgpack")
            assert await one.hear() == error(400, "invalid syntax")
            assert await one.say(login(keys, secret="wrong")) == error(402, "auth failed")
            assert await one.say(login(keys)) == AUTHENTICATED
            assert await one.say(login(keys)) == error(403, "already authenticated")
            assert await one.say({"action": "subscribe"}) == error(400, "invalid syntax")
            assert await one.say({"action": "subscribe", "trades": "ACME"}) == error(400, "invalid syntax")
            assert await one.say({"action": "subscribe", "news": ["*"]}) == error(
                410, "invalid subscribe action for this feed"
            )
            async with wired(url) as second:
                assert await second.say(login(keys)) == error(406, "connection limit exceeded")
            async with wired(url, "/v2/sip") as elsewhere:
                assert await elsewhere.say(login(keys)) == AUTHENTICATED
        async with wired(url, "/v2/overnight") as nowhere:
            assert await nowhere.say(login(keys)) == error(409, "insufficient subscription")
        async with wired(url, "/v1beta1/opra") as options:
            await options.say(login(keys))
            many = [f"ACME240315C{number:08d}" for number in range(1001)]
            assert await options.say({"action": "subscribe", "trades": many}) == error(405, "symbol limit exceeded")
            assert (await options.say({"action": "subscribe", "trades": ["*"]}))[0]["code"] == 410

    asyncio.run(talk())


def test_who_has_gone_may_come_again(url, trader):
    keys = trader().keys

    async def talk():
        for _ in range(3):
            async with wired(url) as one:
                assert await one.say(login(keys)) == AUTHENTICATED
                await one.socket.close()

    asyncio.run(talk())


def test_who_does_not_log_in_is_sent_away(an_exchange, tmp_path, monkeypatch):
    monkeypatch.setattr(DataStream, "auth_seconds", 0.05)

    async def talk(address):
        async with wired(address) as one:
            assert await one.hear() == error(404, "auth timeout")
            with pytest.raises(websockets.ConnectionClosed):
                await one.hear()

    with an_exchange(tmp_path / "exchange.db") as address:
        asyncio.run(talk(address))


def test_timestamps_are_msgpack_timestamps_and_absent_values_are_nan(url, trader):
    one = trader(at="2024-03-05 09:29")

    async def talk():
        async with wired(url) as wire:
            await wire.say(login(one.keys))
            await wire.say({"action": "subscribe", "dailyBars": ["FLAT"]})
            await asyncio.to_thread(one.advance, "2024-03-05 16:00")
            return await wire.hear()

    (bar,) = asyncio.run(talk())
    assert (bar["T"], bar["S"], bar["t"], bar["c"]) == ("d", "FLAT", utc("2024-03-05 05:00"), 51.0)
    assert all(math.isnan(bar[name]) for name in "ohlv")


def test_a_fault_cuts_a_data_stream(an_exchange, a_trader, tmp_path):
    with an_exchange(tmp_path / "exchange.db") as address:
        one = a_trader(address, at="2024-03-05 09:29")
        embedded.add_fault(address, text="disconnect:1x@0s:/v2/iex")

        async def talk():
            async with wired(address) as wire:
                await wire.say(login(one.keys))
                await wire.say({"action": "subscribe", "trades": ["ACME"]})
                await asyncio.to_thread(one.advance, "2024-03-05 16:00")
                with pytest.raises(websockets.ConnectionClosed):
                    await wire.hear()

        asyncio.run(talk())
        one.close()


def test_a_web_page_cannot_listen_to_data(url):
    async def talk():
        async with wired(url, headers={"Origin": "http://example.org"}):
            pass

    with pytest.raises(websockets.InvalidStatus, match="403"):
        asyncio.run(talk())
