"""Kill the process that trades, at any instant: no order is lost, none is doubled."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from workbench.exchange import embedded
from workbench.execution.alpaca import AlpacaBroker
from workbench.execution.journal import Journal
from workbench.market.order import IntentState
from workbench.store.engine import open_engine, transaction
from workbench.store.tables.execution import OutboxRow

WORKER = Path(__file__).with_name("order_path_worker.py")
KILLS = {"sqlite": 60, "postgresql": 20}
ORDERS = 40


class Worker:
    """The forking parent: `live` starts a life, kills it after a while, and says how it ended (0: it was done)."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def live(self, job, *, seconds=None):
        self.process.stdin.write(json.dumps(job) + "\n")
        pid = int(self.process.stdout.readline())
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):  # it was faster
                os.kill(pid, signal.SIGKILL)
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def worker():
    started = Worker()
    yield started
    started.close()


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


def test_no_order_is_lost_and_none_doubled_whenever_the_process_is_killed(
    database_url, request, worker, exchange, open_account
):
    engine, rng = open_engine(database_url), random.Random(7)
    wanted = KILLS[request.node.callspec.params["database_url"]]
    kills, found = 0, Counter()
    for kind in ("504-after-accept", "reset-after", "reset-before"):  # a bad network on top
        embedded.add_fault(exchange.url, kind=kind, probability=0.03)
    while kills < wanted:
        job = job_of(open_account(), exchange, database_url)
        journal = Journal(engine, job["account"])
        while worker.live(job, seconds=rng.uniform(0.02, 0.35)) != 0:
            kills += 1
            assert kills < 10 * wanted, "the process makes no progress between two kills"
            placed = {order.client_order_id for order in orders_of(job)}
            for intent in journal.unknown():
                found[intent.state] += 1
                found["placed" if intent.client_order_id in placed else "not placed"] += 1
        assert_nothing_lost_or_doubled(engine, job)
    engine.dispose()
    # The kills fell inside the order path: orders were caught on their way, some of them live at the exchange already.
    assert found[IntentState.SENDING] > 0
    assert found["placed"] > 0
    print(f"{kills} kills, found on restart: {dict(found)}")


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
    lives = 1
    while worker.live({**job, "die_at": "after the answer"}) != 0:
        lives += 1
    assert lives > 1
    quantities = Counter(int(order.qty) for order in orders_of(job))
    assert sum(quantities.values()) == job["orders"] + lives - 1
    assert max(quantities.values()) > 1
