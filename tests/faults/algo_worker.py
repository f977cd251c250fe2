"""A process that works a parent order against a local exchange and may be killed at any instant; forked for each life.

The parent process imports and draws the market once; each life is a fork with its own connections. One JSON job per
line; each life says when it has begun, and the parent process how it ended. A life moves the account's clock itself, a
minute at a time, so that every life sees the market where the one before has left it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench.data.sources.synthetic import SyntheticSource
from workbench.errors import ExchangeUnavailable
from workbench.exchange import embedded
from workbench.execution.algos.engine import AlgoEngine
from workbench.execution.algos.market_facts import BarFacts
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.routing import ordering
from workbench.execution.routing.router import RouteRules
from workbench.execution.submitter.submit import Pace, drain
from workbench.market.order import OrderWish, Side
from workbench.store.engine import open_engine
from workbench.store.lease import Lease

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a script, it finds what the tests share
from tests.faults.lives import say, serve

PACE = Pace(lookups=(0.02, 0.05, 0.1), again=0.1, watch_every=0.1, limited=0.05)
T0 = dt.datetime(2015, 6, 30, 14, tzinfo=dt.UTC)
SESSION = dt.date(2015, 6, 30)
SYMBOL = "SYN01"
MINUTE = dt.timedelta(minutes=1)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work(job: dict[str, Any], facts: BarFacts) -> None:
    """Work the parent of the job until it has ended, whatever has been done in former lives."""
    engine = open_engine(job["database"], migrate=False)
    journal = Journal(engine, job["account"])
    broker = AlpacaBroker(
        name=job["account"], url=job["url"], key_id=job["key_id"], secret_key=job["secret_key"], timeout=(60.0, 60.0)
    )
    say(began=os.getpid())
    lease = Lease.acquire(engine, job["account"], "desk")
    if lease is None:
        raise SystemExit(3)
    if job.get("die_at") == "the answer":
        submit = broker.submit
        broker.submit = lambda order: (submit(order), die())[0]  # type: ignore[method-assign]
    journal.recover(lease)
    settle(journal, broker, lease, "start")
    start(journal, job, facts)
    algo = AlgoEngine(journal, facts)
    algo.start()
    while True:
        now = embedded.account(job["url"], name=job["account"]).clock  # type: ignore[union-attr]
        before = len(journal.intents())
        following = algo.step(now)
        if job.get("die_at") == "the slice" and len(journal.intents()) > before:
            die()
        drain(journal, broker, lease, pace=PACE, timeout=120)
        if following is None:
            break
        embedded.advance(job["url"], name=job["account"], to=min(following, now + MINUTE))
        settle(journal, broker, lease, "periodic")
    engine.dispose()


def settle(journal: Journal, broker: AlpacaBroker, lease: Lease, occasion: str) -> None:
    """Reconcile, as often as the network makes it necessary."""
    for _ in range(20):
        with contextlib.suppress(ExchangeUnavailable):
            reconcile(journal, broker, occasion, lease=lease)
            return
    raise SystemExit(4)


def start(journal: Journal, job: dict[str, Any], facts: BarFacts) -> None:
    """Wish the quantity at the one door; every life does, under the same key. The router makes a TWAP of it."""
    price = facts.price(SYMBOL, T0)
    assert price is not None
    minutes = float(60 * job["slices"])
    ordering.order(
        journal,
        OrderWish(SYMBOL, Side.BUY, Decimal(job["qty"])),
        key="the one",
        moment=T0,
        prices={SYMBOL: price.value},
        bot="killed",
        rules=RouteRules(direct_qty=Decimal(0), horizon_seconds=minutes, interval_seconds=60.0),
    )


def main() -> None:
    facts = BarFacts(SyntheticSource(seed=7))
    facts.price(SYMBOL, T0)
    serve(lambda job: work(job, facts))


if __name__ == "__main__":
    main()
