"""The order path: orders and intents per second, a reconciliation, and from the decision to the wire.

Wall time depends on the disk and on what else runs; `cpu` figures (process time) do not count waiting for either.
"""

import datetime as dt
import itertools
import time
from decimal import Decimal

import pytest

from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.brokers.broker import BrokerAccount, BrokerClock, BrokerOrder, BrokerPosition, Outcome, Reply
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.risk.limits import Limits
from workbench.execution.submitter.submit import pump
from workbench.execution.trading import place as place_checked
from workbench.market.book import Book
from workbench.market.order import Fill, IntentState, OrderType, OrderWish, Side
from workbench.store.lease import Lease

ORDERS = 100
ORDERS_PER_SECOND = 300
INTENTS = 5_000
INTENTS_PER_SECOND = 10_000
RECONCILED_ORDERS, RECONCILED_POSITIONS, RECONCILE_SECONDS = 500, 100, 1.0
ON_THE_WIRE_SECONDS = 0.020
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


def measure(benchmark, work, count, what):
    """Run `work(round)` a few times; items per second by the wall and by this process's own time."""
    rounds, spent = itertools.count(), []

    def timed():
        began = time.process_time()
        work(next(rounds))
        spent.append(time.process_time() - began)

    benchmark.pedantic(timed, rounds=5, iterations=1, warmup_rounds=1)
    rate = count / benchmark.stats.stats.min
    benchmark.extra_info[f"{what}_per_second"] = round(rate)
    benchmark.extra_info[f"{what}_per_second_of_cpu"] = round(count / min(spent))
    return rate


@pytest.mark.benchmark(group="order path")
def test_three_commits_on_each_database(benchmark, engine):
    journal, lease, broker = Journal(engine, "bench"), Lease.acquire(engine, "bench", "desk"), Immediate()
    rate = measure(benchmark, lambda number: place(journal, broker, lease, f"r{number}"), ORDERS, "orders")
    assert {intent.state for intent in journal.intents()} == {IntentState.ACKED}
    if engine.dialect.name == "sqlite":
        assert rate >= ORDERS_PER_SECOND


@pytest.mark.benchmark(group="order path")
def test_three_commits_on_sqlite_through_alpaca_py_to_the_exchange(benchmark, workspace, tmp_path):
    address = embedded.ensure(tmp_path, source="synthetic", exit_with_parent=True)
    keys = embedded.open_account(address.url, name="bench", cash=1e9, at=NOW)
    broker = AlpacaBroker(name="bench", url=address.url, key_id=keys.key_id, secret_key=keys.secret_key)
    journal, lease = Journal(workspace.engine, "bench"), Lease.acquire(workspace.engine, "bench", "desk")
    try:
        measure(benchmark, lambda number: place(journal, broker, lease, f"r{number}"), ORDERS, "orders")
        assert {intent.state for intent in journal.intents()} == {IntentState.ACKED}
    finally:
        broker.close()
        embedded.stop(tmp_path)


@pytest.mark.benchmark(group="batch")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("checked", [False, True], ids=["journal alone", "with risk checks"])
def test_many_intents_in_one_commit(benchmark, engine, checked):
    # An account of its own for each round: what counts is the batch, not what thousands of unsent orders add to risk.
    symbols = [f"S{number:04d}" for number in range(INTENTS)]
    wishes = [OrderWish(symbol, Side.BUY, Decimal(1), reference_price=Decimal(10)) for symbol in symbols]
    prices, book = dict.fromkeys(symbols, Decimal(10)), Book(Decimal(10**9))
    limits = Limits(max_orders_per_session=10**9, one_order_per_symbol=False)

    def batch(number):
        journal = Journal(engine, f"bench{number}")
        if checked:
            done = place_checked(journal, wishes, bot="bench", session=SESSION, prices=prices, book=book, limits=limits)
            assert len(done.written) == INTENTS, done.refusals[:1]
        else:
            assert len(journal.write(wishes, bot="bench", session=SESSION)) == INTENTS

    assert measure(benchmark, batch, INTENTS, "intents") >= INTENTS_PER_SECOND


class Full:
    """A broker with many orders and holdings, all of which we know."""

    name = "full"

    def __init__(self, journal, lease):
        journal.write(
            [OrderWish(f"S{number % RECONCILED_POSITIONS:03d}", Side.BUY, Decimal(10)) for number in range(500)],
            bot="bench",
            session=SESSION,
        )
        immediate = Immediate()
        assert pump(journal, immediate, lease).acked == RECONCILED_ORDERS
        self.orders, self.fills = [], []
        for number, intent in enumerate(journal.intents()):
            raw = {
                "id": intent.broker_order_id, "client_order_id": intent.client_order_id, "symbol": intent.symbol,
                "side": "buy", "qty": "10", "filled_qty": "10", "filled_avg_price": "7", "status": "filled",
                "updated_at": (NOW + dt.timedelta(seconds=number)).isoformat(),
            }  # fmt: skip
            self.orders.append(BrokerOrder.of(raw))
            self.fills.append(
                Fill(
                    f"20150630::{number}", intent.broker_order_id, "", intent.symbol, Side.BUY, Decimal(10), Decimal(7),
                    NOW, cum_qty=Decimal(10),
                )
            )  # fmt: skip
        held = Decimal(10 * RECONCILED_ORDERS // RECONCILED_POSITIONS)
        symbols = sorted({order.symbol for order in self.orders})
        self.held = [BrokerPosition(symbol, held, Decimal(7), Decimal(7), Decimal(0)) for symbol in symbols]

    def clock(self):
        return BrokerClock(NOW, is_open=True, next_open=None, next_close=None)

    def account(self):
        return BrokerAccount("PA1", Decimal(10**6 - 70 * RECONCILED_ORDERS), Decimal(10**6), Decimal(10**6))

    def positions(self):
        return self.held

    def open_orders(self):
        return []

    def orders_since(self, _moment):
        return self.orders

    def fills_since(self, _activity=None, *, after=None):
        return self.fills


@pytest.mark.benchmark(group="reconcile")
def test_reconciling_orders_and_positions_that_agree(benchmark, engine):
    journal, lease = Journal(engine, "bench"), Lease.acquire(engine, "bench", "desk")
    broker = Full(journal, lease)
    first = time.perf_counter()
    assert len(reconcile(journal, broker, "start", lease=lease).discrepancies) >= RECONCILED_ORDERS
    benchmark.extra_info["seconds_when_everything_differs"] = round(time.perf_counter() - first, 3)
    done = benchmark.pedantic(lambda: reconcile(journal, broker, "periodic", lease=lease), rounds=5, iterations=1)
    assert done.clean
    assert (done.orders, done.positions) == (RECONCILED_ORDERS, RECONCILED_POSITIONS)
    assert benchmark.stats.stats.min < RECONCILE_SECONDS


@pytest.mark.benchmark(group="latency")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_from_the_decision_to_the_wire_one_order_at_a_time(benchmark, workspace, tmp_path):
    address = embedded.ensure(tmp_path, source="synthetic", exit_with_parent=True)
    keys = embedded.open_account(address.url, name="bench", cash=1e9, at=NOW)
    broker = AlpacaBroker(name="bench", url=address.url, key_id=keys.key_id, secret_key=keys.secret_key)
    journal, lease = Journal(workspace.engine, "bench"), Lease.acquire(workspace.engine, "bench", "desk")
    left, numbers = [], itertools.count()
    submit = broker.submit

    def leaving(order):
        left.append(time.perf_counter())
        return submit(order)

    broker.submit = leaving
    prices, book = {"SYN01": Decimal(100)}, Book(Decimal(10**9))
    wish = OrderWish("SYN01", Side.BUY, Decimal(1), OrderType.LIMIT, limit_price=Decimal(95))
    limits = Limits(max_orders_per_session=10**9, one_order_per_symbol=False)
    waited = []

    def decide():
        began = time.perf_counter()
        place_checked(
            journal, [wish], bot=f"b{next(numbers)}", session=SESSION, prices=prices, book=book, limits=limits
        )
        assert pump(journal, broker, lease).acked == 1
        waited.append(left[-1] - began)

    try:
        benchmark.pedantic(decide, rounds=200, iterations=1, warmup_rounds=5)
        ordered = sorted(waited[5:])
        benchmark.extra_info["p50_ms"] = round(ordered[len(ordered) // 2] * 1000, 2)
        benchmark.extra_info["p99_ms"] = round(ordered[int(len(ordered) * 0.99)] * 1000, 2)
        assert ordered[int(len(ordered) * 0.99)] < ON_THE_WIRE_SECONDS
    finally:
        broker.close()
        embedded.stop(tmp_path)
