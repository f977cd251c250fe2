"""A small market made by hand, an exchange on it in a thread, and alpaca-py's own clients for its accounts."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import itertools
import threading
import time
import warnings
from decimal import Decimal
from types import SimpleNamespace

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # alpaca-py imports websockets.legacy
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.trading.client import TradingClient
    from alpaca.trading.stream import TradingStream

from workbench.exchange import embedded
from workbench.exchange.api.app import Options, serve
from workbench.exchange.market.market import MemoryFeed, SourceFeed
from workbench.exchange.matching.matching import Bar

_number = itertools.count()

# Five sessions of March 2024 (New York is five hours behind UTC then). ACME has everything, FLAT only closes, THIN a
# small volume, CENT costs less than a dollar, LATE begins on the fourth day.
ROWS = {
    "ACME": [
        ("2024-03-04", 100, 102, 99, 101, 1_000_000),
        ("2024-03-05", 102, 105, 101, 104, 1_000_000),
        ("2024-03-06", 90, 95, 88, 92, 1_000_000),
        ("2024-03-07", 93, 96, 92, 95, 1_000_000),
        ("2024-03-08", 96, 97, 94, 95, 1_000_000),
    ],
    "FLAT": [
        ("2024-03-04", None, None, None, 50, None),
        ("2024-03-05", None, None, None, 51, None),
        ("2024-03-06", None, None, None, 45, None),
        ("2024-03-07", None, None, None, 52, None),
        ("2024-03-08", None, None, None, 53, None),
    ],
    "THIN": [(f"2024-03-0{day}", 10, 11, 9, 10, 1_000) for day in range(4, 9)],
    "CENT": [(f"2024-03-0{day}", 0.5, 0.55, 0.45, 0.5, 1_000_000) for day in range(4, 9)],
    "LATE": [(f"2024-03-0{day}", 20, 21, 19, 20, 1_000_000) for day in range(7, 9)],
}


def moment(text: str) -> dt.datetime:
    """`"2024-03-05 16:00"` in New York's winter time, as a UTC moment."""
    return dt.datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=dt.timezone(dt.timedelta(hours=-5)))


def market(rows=ROWS):
    """A feed of these rows."""

    def exact(value):
        return None if value is None else Decimal(str(value))

    return MemoryFeed(
        Bar(
            symbol=symbol,
            date=dt.date.fromisoformat(day),
            opens_at=moment(f"{day} 09:30"),
            closes_at=moment(f"{day} 16:00").astimezone(dt.UTC),
            open=exact(opened),
            high=exact(high),
            low=exact(low),
            close=exact(close),
            volume=exact(volume),
        )
        for symbol, bars in rows.items()
        for day, opened, high, low, close, volume in bars
    )


@contextlib.contextmanager
def running(db, feed=None, **options):
    """An exchange in a thread of this process, until the block ends."""
    ready, state = threading.Event(), SimpleNamespace(url=None, loop=None, stop=None, error=None)

    def started(url):
        state.url = url
        ready.set()

    async def main():
        state.loop, state.stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(feed or market(), Options(db=db, **options), stop=state.stop, started=started)

    def target():
        try:
            asyncio.run(main())
        except Exception as error:  # noqa: BLE001 - handed to the test
            state.error = error
            ready.set()

    thread = threading.Thread(target=target)
    thread.start()
    try:
        assert ready.wait(60)
        if state.error is not None:
            raise state.error
        yield state.url
    finally:
        if state.error is None:
            state.loop.call_soon_threadsafe(state.stop.set)
        thread.join(60)
        assert not thread.is_alive()


class Trader:
    """One account and the clients of its owner."""

    def __init__(self, url, *, raw=True, at="2024-03-04 16:00", cash=100_000, **options):
        self.url, self.raw = url, raw
        self.keys = embedded.open_account(url, name=f"trader-{next(_number)}", cash=cash, at=moment(at), **options)
        self.api = TradingClient(self.keys.key_id, self.keys.secret_key, raw_data=raw, url_override=url)
        self.data = StockHistoricalDataClient(self.keys.key_id, self.keys.secret_key, raw_data=raw, url_override=url)
        self.api._retry = self.data._retry = 0  # no three-second pauses in tests

    def advance(self, to):
        return embedded.advance(self.url, name=self.keys.name, to=moment(to))

    def close(self):
        self.api._session.close()
        self.data._session.close()

    def _listeners(self):
        return embedded._call(self.url, "GET", f"/sim/accounts/{self.keys.name}")["listeners"]

    @contextlib.contextmanager
    def listening(self, *, raw=True, wake="FLAT"):
        """The messages of alpaca-py's own TradingStream, as a list that grows; at the end one for `wake` is placed."""
        messages: list = []

        async def handler(message):
            messages.append(message)

        stream = TradingStream(
            self.keys.key_id, self.keys.secret_key, raw_data=raw, url_override=f"ws{self.url[4:]}/stream"
        )
        stream.subscribe_trade_updates(handler)

        def run():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stream.run()

        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: self._listeners() == 1)
        try:
            yield messages
        finally:
            # The client looks at its stop flag only after a message or five seconds: stop, then give it a message.
            asyncio.run_coroutine_threadsafe(stream.stop_ws(), stream._loop).result(60)
            self.api.post("/orders", wake_up() | {"symbol": wake})
            thread.join(60)
            assert not thread.is_alive()


def wake_up():
    return {"symbol": "FLAT", "qty": "1", "side": "buy", "type": "limit", "limit_price": "1", "time_in_force": "day"}


def until(condition, seconds=60.0):
    """Wait until the condition holds; fails the test where it never does. A loaded machine may need long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """An exchange on the handmade market, shared by the tests of a file: each opens its own accounts."""
    with running(tmp_path_factory.mktemp("exchange") / "exchange.db") as address:
        yield address


@pytest.fixture
def trader(url):
    """Opens accounts: `trader(at=…, cash=…, raw=…)`."""
    opened = []

    def build(**options):
        opened.append(Trader(url, **options))
        return opened[-1]

    yield build
    for one in opened:
        one.close()


@pytest.fixture(params=[True, False], ids=["raw", "models"])
def both(request, trader):
    """A trader with raw replies, then one with alpaca-py's models."""
    return trader(raw=request.param)


@pytest.fixture
def an_exchange():
    """The context manager that runs an exchange of one's own: `with an_exchange(db, feed) as url`."""
    return running


@pytest.fixture
def a_trader():
    """The class of traders, for an exchange of one's own."""
    return Trader


@pytest.fixture
def handmade():
    """Builds a feed from rows like `ROWS`; `handmade.rows` are those."""
    return SimpleNamespace(feed=market, rows=ROWS, moment=moment)


@pytest.fixture
def wait_until():
    """`until`, for tests."""
    return until


@pytest.fixture(scope="session")
def minute_feed():
    """The synthetic market in minutes."""
    return SourceFeed("synthetic", seed=7, timeframe="1m")


@pytest.fixture(scope="module")
def minutes_url(tmp_path_factory, minute_feed):
    """An exchange of minute bars on the synthetic market, shared by the tests of a file."""
    with running(tmp_path_factory.mktemp("minutes") / "exchange.db", minute_feed) as address:
        yield address


@pytest.fixture
def minute_trader(minutes_url):
    """Opens accounts there: `minute_trader(at=…)`."""
    opened = []

    def build(**options):
        opened.append(Trader(minutes_url, **options))
        return opened[-1]

    yield build
    for one in opened:
        one.close()
