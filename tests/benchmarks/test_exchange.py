"""How many orders a second go through alpaca-py into the exchange. Run with `pytest --benchmark-only`."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import warnings

import pytest

from workbench.exchange import embedded

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # alpaca-py imports websockets.legacy
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import MarketOrderRequest

ORDERS = 500
AT = dt.datetime(2022, 6, 30, 20, tzinfo=dt.UTC)


@pytest.fixture
def address(tmp_path):
    yield embedded.ensure(tmp_path)
    embedded.stop(tmp_path)


def test_market_orders_through_alpaca_py(benchmark, address):
    """At least 500 market orders a second, each durable before its reply, from one client on one connection."""
    keys = embedded.open_account(address.url, name="fast", cash=1e9, at=AT)
    api = TradingClient(keys.key_id, keys.secret_key, raw_data=True, url_override=address.url)
    numbers = itertools.count()

    def place():
        for _ in range(ORDERS):
            api.submit_order(
                MarketOrderRequest(
                    symbol="AAPL",
                    qty=1,
                    side=OrderSide.BUY,
                    time_in_force=TimeInForce.DAY,
                    client_order_id=f"n{next(numbers)}",
                )
            )

    with contextlib.closing(api._session):
        place()  # the prices are read, the connection stands
        benchmark.pedantic(place, rounds=5)
    assert ORDERS / benchmark.stats.stats.min >= 500


def test_start_until_healthy(benchmark, tmp_path):
    """At most two seconds from nothing to an exchange that answers, on the bundled data."""
    number = itertools.count()

    def start():
        folder = tmp_path / str(next(number))
        embedded.ensure(folder)
        return folder

    def once():
        folder = start()
        embedded.stop(folder)

    benchmark.pedantic(once, rounds=3)
    assert benchmark.stats.stats.min <= 2.0


def test_a_year_of_sessions(benchmark, address):
    """Moving a clock through 252 sessions with a position and no orders."""
    number = itertools.count()

    def opened():
        keys = embedded.open_account(address.url, name=f"year-{next(number)}", cash=1e6, at=AT - dt.timedelta(days=366))
        return (keys.name,), {}

    def advance(name):
        embedded.advance(address.url, name=name, to=AT)

    benchmark.pedantic(advance, setup=opened, rounds=3)
    assert benchmark.stats.stats.min < 2.0
