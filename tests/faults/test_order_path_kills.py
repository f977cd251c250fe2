"""Kill the process that trades, at any instant: no order is lost, none is doubled."""

import contextlib
import logging
import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.journal import Journal
from workbench.market.order import IntentState
from workbench.store.engine import open_engine, transaction
from workbench.store.tables.execution import OutboxRow

WORKER = Path(__file__).with_name("order_path_worker.py")
KILLS = {"sqlite": 30, "postgresql": 12}
ORDERS = 40


def job_of(keys, exchange, database_url, **more):
    return {
        "account": keys.name,
        "url": exchange.url,
        "key_id": keys.key_id,
        "secret_key": keys.secret_key,
        "database": database_url,
        "orders": ORDERS,
        **more,
    }


def orders_of(job):
    """All orders that the exchange has for the account of a job."""
    broker = AlpacaBroker(name="driver", url=job["url"], key_id=job["key_id"], secret_key=job["secret_key"])
    with contextlib.closing(broker):
        return broker.open_orders()


def assert_nothing_lost_or_doubled(engine, job):
    intents, orders = Journal(engine, job["account"]).intents(), orders_of(job)
    assert len(intents) == job["orders"]
    assert Counter(order.client_order_id for order in orders) == {intent.client_order_id: 1 for intent in intents}
    # Not only one per id: one per wish, under whatever id (the quantity says which wish it was).
    assert sorted(int(order.qty) for order in orders) == list(range(1, job["orders"] + 1))
    assert {intent.state for intent in intents} == {IntentState.ACKED}
    named = {order.client_order_id: order.id for order in orders}
    assert {intent.client_order_id: intent.broker_order_id for intent in intents} == named
    with transaction(engine) as session:
        open_work = select(OutboxRow).where(OutboxRow.account == job["account"], OutboxRow.done_at.is_(None))
        assert session.scalars(open_work).all() == []


def test_no_order_is_lost_and_none_doubled_whenever_the_process_is_killed(database_url, worker, exchange, open_account):
    engine, rng = open_engine(database_url), random.Random(7)
    wanted = KILLS[engine.dialect.name]
    kills, found = 0, Counter()
    for kind in ("504-after-accept", "reset-after", "reset-before"):  # a bad network on top
        embedded.add_fault(exchange.url, kind=kind, probability=0.03)

    def enough():
        """Kills as wanted, some of them with an order on its way, some of these live at the exchange already.

        How many that takes depends on the machine; the life after that may end by itself.
        """
        assert kills < 10 * wanted, found
        return kills >= wanted and found[IntentState.SENDING] > 0 and found["placed"] > 0

    while not enough():
        job = job_of(open_account(), exchange, database_url)
        journal = Journal(engine, job["account"])
        placed, idle = set(), 0
        while (end := worker.live(job, seconds=None if enough() else rng.uniform(0, 0.15) * (1 + idle))) != 0:
            assert end == -signal.SIGKILL
            kills += 1
            before, placed = placed, {order.client_order_id for order in orders_of(job)}
            idle = idle + 1 if placed == before else 0  # a slow machine needs longer lives
            for intent in journal.unknown():
                found[intent.state] += 1
                found["placed" if intent.client_order_id in placed else "not placed"] += 1
        assert_nothing_lost_or_doubled(engine, job)
    engine.dispose()
    counted = {str(what): number for what, number in found.items()}
    logging.getLogger(__name__).info("%s: %d kills; caught on the way: %s", engine.dialect.name, kills, counted)


@pytest.mark.parametrize(
    "point", ["after transaction 1", "after transaction 2", "after the answer", "after transaction 3"]
)
def test_death_at_each_point_between_the_transactions(workspace, worker, exchange, open_account, point):
    url = str(workspace.engine.url)
    job = job_of(open_account(), exchange, url, orders=2)
    for _ in range(3):
        assert worker.live({**job, "die_at": point}) in {-signal.SIGKILL, 0}
    assert worker.live(job) == 0
    assert_nothing_lost_or_doubled(workspace.engine, job)


def test_the_careless_way_doubles_orders_so_the_count_has_teeth(tmp_path, worker, exchange, open_account):
    job = job_of(open_account(), exchange, "", orders=10, careless=True, notes=str(tmp_path))
    ends = [worker.live(job) for _ in range(6)]
    assert ends == [-signal.SIGKILL] * 5 + [0]
    quantities = Counter(int(order.qty) for order in orders_of(job))
    assert [quantities[number + 1] for number in range(10)] == [2, 1] * 5
