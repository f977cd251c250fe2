"""Orders per second through the whole order path: wish, SENDING and ACKED, each committed to the disk."""

import datetime as dt
import itertools
from decimal import Decimal

import pytest

from workbench.exchange import embedded
from workbench.execution.alpaca import AlpacaBroker
from workbench.execution.broker import BrokerOrder, Outcome, Reply
from workbench.execution.journal import Journal
from workbench.execution.submit import pump
from workbench.market.order import IntentState, OrderType, OrderWish, Side
from workbench.store.lease import Lease

ORDERS = 100
WISHED_PER_SECOND = 200
SESSION = dt.date(2015, 6, 30)
NOW = dt.datetime(2015, 6, 30, 20, 0, 5, tzinfo=dt.UTC)


class Immediate:
    """A broker that accepts at once: what remains is the order path itself."""

    name = "immediate"

    def __init__(self):
        self._number = itertools.count(1)

    def submit(self, order):
        raw = {
            "id": f"b{next(self._number)}",
            "client_order_id": order.client_order_id,
            "symbol": order.symbol,
            "side": order.side.value,
            "qty": str(order.qty),
            "filled_qty": "0",
            "status": "new",
            "updated_at": NOW.isoformat(),
        }
        return Reply(Outcome.PLACED, BrokerOrder.of(raw), 200, raw=raw)


def place(journal, broker, lease, bot):
    """Each order has three commits of its own: it is wished, it is being sent, it is acked."""
    for number in range(ORDERS):
        symbol = f"SYN{number % 20 + 1:02d}"
        wish = OrderWish(symbol, Side.BUY, Decimal(1), OrderType.LIMIT, limit_price=Decimal("0.01"))
        journal.write([wish], bot=f"{bot}-{number}", session=SESSION)
    assert pump(journal, broker, lease).acked == ORDERS


def measure(benchmark, journal, broker, lease):
    rounds = itertools.count()
    benchmark.pedantic(lambda: place(journal, broker, lease, f"r{next(rounds)}"), rounds=3, iterations=1)
    rate = ORDERS / benchmark.stats.stats.min
    benchmark.extra_info["orders_per_second"] = round(rate)
    assert {intent.state for intent in journal.intents()} == {IntentState.ACKED}
    return rate


@pytest.mark.benchmark(group="order path")
def test_three_commits_on_each_database(benchmark, engine):
    journal = Journal(engine, "bench")
    rate = measure(benchmark, journal, Immediate(), Lease.acquire(engine, "bench", "desk"))
    if engine.dialect.name == "sqlite":
        assert rate >= WISHED_PER_SECOND


@pytest.mark.benchmark(group="order path")
def test_three_commits_on_sqlite_through_alpaca_py_to_the_exchange(benchmark, workspace, tmp_path):
    address = embedded.ensure(tmp_path, source="synthetic", exit_with_parent=True)
    keys = embedded.open_account(address.url, name="bench", cash=1e9, at=NOW)
    broker = AlpacaBroker(name="bench", url=address.url, key_id=keys.key_id, secret_key=keys.secret_key)
    journal = Journal(workspace.engine, "bench")
    try:
        measure(benchmark, journal, broker, Lease.acquire(workspace.engine, "bench", "desk"))
    finally:
        broker.close()
        embedded.stop(tmp_path)
