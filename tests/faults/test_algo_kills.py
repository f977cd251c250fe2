"""Kill what routes a wish and works it by TWAP, at any instant: the whole quantity is traded, and no slice twice."""

import contextlib
import itertools
import random
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from tests.faults.algo_worker import SYMBOL, T0
from workbench.exchange import embedded
from workbench.execution.algos.parents import Parents
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.journal import Journal
from workbench.execution.routing import ordering
from workbench.store.engine import open_engine, transaction
from workbench.store.tables.execution import IntentRow

WORKER = Path(__file__).with_name("algo_worker.py")
KILLS = {"sqlite": 12, "postgresql": 6}
SLICES, QTY = 40, 2_011  # no multiple of 40: eleven slices are one share larger
_number = itertools.count(1)


@pytest.fixture(scope="module")
def minutes(tmp_path_factory):
    """A local exchange that steps through minutes, in a process of its own."""
    folder = tmp_path_factory.mktemp("minutes")
    yield embedded.ensure(folder, source="synthetic", timeframe="1m", exit_with_parent=True)
    embedded.stop(folder)


@pytest.fixture
def new_job(minutes):
    def build(database_url, **more):
        keys = embedded.open_account(minutes.url, name=f"algo-{next(_number)}", cash=1e7, at=T0)
        named = {"account": keys.name, "key_id": keys.key_id, "secret_key": keys.secret_key, "url": minutes.url}
        return {**named, "database": database_url, "slices": SLICES, "qty": QTY, **more}

    embedded.clear_faults(minutes.url)
    yield build
    embedded.clear_faults(minutes.url)


def at_the_exchange(job):
    """Shares that the exchange has filled for the account of a job, and all its orders."""
    broker = AlpacaBroker(name="driver", url=job["url"], key_id=job["key_id"], secret_key=job["secret_key"])
    with contextlib.closing(broker):
        return sum((fill.qty for fill in broker.fills_since()), Decimal(0)), broker.orders_since(T0.replace(year=2000))


def assert_all_of_it_was_traded_once(engine, job):
    (progress,) = Parents(engine, job["account"]).all()
    (said,) = ordering.explained(Journal(engine, job["account"]), progress.parent.key)
    assert (said.outcome, said.parent_id, said.rule) == ("started", progress.parent.id, "unknown_volume")
    filled, orders = at_the_exchange(job)
    schedule = Parents(engine, job["account"]).schedule(progress.parent.id)
    assert progress.parent.state == "done", progress.line
    assert filled == progress.filled == job["qty"]
    # One order for each slice that was sent, and no other; the exchange knows them all by our names.
    with transaction(engine) as session:
        children = session.scalars(select(IntentRow).where(IntentRow.account == job["account"])).all()
    assert {child.algo_id for child in children} == {progress.parent.id}
    assert len(children) == (schedule["state"] == "sent").sum()
    assert Counter(order.client_order_id for order in orders) <= Counter(child.client_order_id for child in children)
    by_slice = schedule.loc[schedule["state"] == "sent"]
    assert (by_slice["filled"] <= by_slice["sent"]).all()
    assert by_slice["filled"].sum() == job["qty"]


def test_whenever_it_is_killed_the_whole_quantity_is_traded_once(database_url, worker, minutes, new_job):
    engine, rng = open_engine(database_url), random.Random(7)
    wanted = KILLS[engine.dialect.name]
    kills = amid = 0

    def enough():
        """Kills as wanted, a third of that many among the slices: how many that takes depends on the machine."""
        assert kills < 10 * wanted, amid
        return kills >= wanted and amid > wanted / 3

    while not enough():
        for kind in ("504-after-accept", "reset-after", "reset-before"):  # a bad network on top
            embedded.add_fault(minutes.url, kind=kind, probability=0.02, path="/v2/orders")
        job = new_job(database_url)
        sent, idle = 0, 0
        while (end := worker.live(job, seconds=None if enough() else rng.uniform(0.02, 0.5) * (1 + idle))) != 0:
            assert end == -signal.SIGKILL
            kills += 1
            before, sent = sent, len(Journal(engine, job["account"]).intents())
            idle = idle + 1 if sent == before else 0  # a slow machine needs longer lives
            amid += 0 < sent < SLICES
        embedded.clear_faults(minutes.url)  # the network is good again for who looks at what came of it
        assert_all_of_it_was_traded_once(engine, job)
    engine.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("point", ["the slice", "the answer"])
def test_death_after_every_slice(database_url, worker, new_job, point):
    """Each life writes one slice and dies: before it is sent, or when it was sent and nobody heard the answer."""
    engine = open_engine(database_url)
    job = new_job(database_url, die_at=point, slices=6, qty=61)
    ends = []
    while not ends or ends[-1] != 0:
        ends.append(worker.live(job))
        assert len(ends) < 20
    assert ends.count(-signal.SIGKILL) >= 6
    assert_all_of_it_was_traded_once(engine, job)
    assert {intent.symbol for intent in Journal(engine, job["account"]).intents()} == {SYMBOL}
    engine.dispose()
