"""How long the kill switch takes from the command to zero open orders, with 200 open; the target is p99 < 2 s.

Run: python -m pytest tests/benchmarks/test_kill.py --benchmark-only -o addopts=--import-mode=importlib -p no:randomly
"""

import datetime as dt
import itertools
from decimal import Decimal

import pytest

from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.journal import Journal
from workbench.execution.kill_switch.kill import kill
from workbench.execution.risk.trading_state import change
from workbench.execution.submitter.submit import drain
from workbench.market.order import OrderType, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.store.engine import open_engine
from workbench.store.lease import Lease

ORDERS, ROUNDS = 200, 25
NOW = dt.datetime(2015, 6, 30, 20, 0, 5, tzinfo=dt.UTC)
_number = itertools.count(1)


@pytest.mark.parametrize("sessions", [1, 4])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_from_the_command_to_zero_open_orders(  # noqa: PLR0917 - fixtures
    benchmark, request, tmp_path, exchange, database, sessions
):
    url = f"sqlite:///{tmp_path / 'kill.db'}" if database == "sqlite" else request.getfixturevalue("postgresql_url")
    engine = open_engine(url)
    keys = embedded.open_account(exchange.url, name=f"bench-{next(_number)}", cash=10_000_000, at=NOW)
    named = {"name": keys.name, "url": exchange.url, "key_id": keys.key_id, "secret_key": keys.secret_key}
    brokers = [AlpacaBroker(**named) for _ in range(sessions)]
    journal, zero = Journal(engine, keys.name), []
    numbers = itertools.count()

    def orders():
        change(engine, keys.name, TradingState.ACTIVE, reason="benchmark")
        lease = Lease.acquire(engine, keys.name, "desk")
        wishes = [
            OrderWish(f"SYN{n % 20 + 1:02d}", Side.BUY, Decimal(1), OrderType.LIMIT, limit_price=Decimal("0.01"))
            for n in range(ORDERS)
        ]
        journal.write(wishes, bot="bot", session=NOW.date(), generation=next(numbers))
        assert drain(journal, brokers[0], lease, timeout=120)
        lease.release()

    def throw():
        done = kill(engine, brokers[0], keys.name, reason="benchmark", helpers=brokers[1:], home=tmp_path)
        assert (len(done.cancelled), done.left) == (ORDERS, ()), done.sentence
        zero.append(done.timings["zero"])

    benchmark.pedantic(throw, setup=orders, rounds=ROUNDS)
    ranked = sorted(zero)
    benchmark.extra_info["zero_open_s"] = {"median": ranked[len(ranked) // 2], "worst": ranked[-1], "rounds": ROUNDS}
    for broker in brokers:
        broker.close()
    engine.dispose()
