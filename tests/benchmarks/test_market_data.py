"""How fast an exchange of minute bars is stepped, asked and listened to, with a hundred symbols."""

from __future__ import annotations

import asyncio
import datetime as dt

import msgpack
import pytest
import requests
import websockets

from workbench.exchange import embedded
from workbench.exchange.clock import Timeline
from workbench.exchange.market.market import Market, SourceFeed

MIDNIGHT = dt.datetime(2024, 3, 5, tzinfo=dt.UTC)
NOON = dt.datetime(2024, 3, 5, 17, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def market():
    found = Market(SourceFeed("synthetic", seed=7, timeframe="1m"), Timeline("XNYS", "1m"))
    for symbol in found.feed.symbols():
        found.last(symbol, NOON)
    return found


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exchange")
    yield embedded.ensure(folder, source="synthetic", timeframe="1m", exit_with_parent=True)
    embedded.stop(folder)


def test_a_session_of_minutes_for_a_hundred_symbols(benchmark, market):
    """780 steps, at each of them the bar of every symbol: 78,000 bars. Sessions are new ones: reading them counts."""
    symbols, days = market.feed.symbols(), iter(range(1, 200))

    def session():
        start = market.timeline.after(MIDNIGHT.date(), next(days)).opens - dt.timedelta(seconds=1)
        for step in market.timeline.steps(start, start + DAY / 2):
            for symbol in symbols:
                market.bar(symbol, step)

    benchmark.pedantic(session, rounds=5, warmup_rounds=1)


def test_steps_alone(benchmark, market):
    benchmark(lambda: sum(1 for _ in market.timeline.steps(MIDNIGHT, MIDNIGHT + 5 * DAY)))


@pytest.mark.parametrize(
    "path",
    [
        "/v2/stocks/bars/latest?symbols={all}",
        "/v2/stocks/quotes/latest?symbols={all}",
        "/v2/stocks/bars?symbols={all}&timeframe=1Min&start=2024-03-05T16:59:00Z",
        "/v2/stocks/bars?symbols={all}&timeframe=1Min&start=2024-03-05&limit=10000",
        "/v1beta1/options/snapshots/SYN03?limit=1000",
    ],
    ids=["latest bars", "latest quotes", "newest minute", "ten thousand bars", "a chain"],
)
def test_a_question_for_a_hundred_symbols(benchmark, exchange, market, path):
    keys = embedded.open_account(exchange.url, name="asks", cash=10_000, at=NOON)
    headers = {"APCA-API-KEY-ID": keys.key_id, "APCA-API-SECRET-KEY": keys.secret_key}
    url = exchange.url + path.format(all=",".join(market.feed.symbols()))
    with requests.Session() as session:
        assert benchmark(lambda: session.get(url, headers=headers, timeout=30)).status_code == 200


def test_a_session_of_minute_bars_over_the_stream(benchmark, exchange, market):
    """From the advance to the last of 39,000 bars, decoded. The sessions of March 2024 are all of full length."""
    days = iter(range(1, 15))

    def session():
        found = market.timeline.after(MIDNIGHT.date(), next(days))
        at = found.opens - dt.timedelta(minutes=1)
        keys = embedded.open_account(exchange.url, name=f"listens {found.date}", cash=10_000, at=at)
        return asyncio.run(asyncio.wait_for(listen(keys, found.closes), 60))

    async def listen(keys, to):
        count = 0
        async with websockets.connect(
            f"ws{exchange.url[4:]}/v2/iex", additional_headers={"Content-Type": "application/msgpack"}, proxy=None
        ) as socket:
            for message in (
                None,
                {"action": "auth", "key": keys.key_id, "secret": keys.secret_key},
                {"action": "subscribe", "bars": ["*"]},
            ):
                if message is not None:
                    await socket.send(msgpack.packb(message))
                await socket.recv()
            moving = asyncio.create_task(asyncio.to_thread(embedded.advance, exchange.url, name=keys.name, to=to))
            while count < 39_000:
                count += len(msgpack.unpackb(await socket.recv(), timestamp=1))
            await moving
        return count

    assert benchmark.pedantic(session, rounds=3, warmup_rounds=1) == 39_000
