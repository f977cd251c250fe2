"""A process that trades through the order path and may be killed at any instant; started once, forked for every life.

Imports cost a second, and a life lasts a tenth of one: so a parent imports, and each life is a fork of it, a process of
its own with its own database connections and sockets. The parent reads one JSON job per line. Each life says on a line
that it has begun, and the parent how it ended.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.brokers.broker import OrderRequest
from workbench.execution.journal.journal import Journal
from workbench.execution.submitter.submit import Pace, drain
from workbench.market.order import OrderType, OrderWish, Side
from workbench.store.engine import open_engine
from workbench.store.lease import Lease

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a script, it finds what the tests share
from tests.faults.lives import say, serve

PACE = Pace(lookups=(0.02, 0.05, 0.1), again=0.1, watch_every=0.1, limited=0.05)
SESSION = dt.date(2015, 6, 30)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wish(number: int) -> OrderWish:
    """A purchase at a price that nobody sells at: the order stays open."""
    symbol = f"SYN{number % 20 + 1:02d}"
    return OrderWish(symbol, Side.BUY, Decimal(1 + number), OrderType.LIMIT, limit_price=Decimal("0.01"))


def broker_of(job: dict[str, Any]) -> AlpacaBroker:
    return AlpacaBroker(
        name=job["account"], url=job["url"], key_id=job["key_id"], secret_key=job["secret_key"], timeout=(60.0, 60.0)
    )


def trade(job: dict[str, Any]) -> None:
    """Place `orders` orders, one wish at a time, whatever has been done in former lives."""
    engine = open_engine(job["database"], migrate=False)
    journal, broker = Journal(engine, job["account"]), broker_of(job)
    say(began=os.getpid())
    lease = Lease.acquire(engine, job["account"], "desk")
    if lease is None:
        raise SystemExit(3)
    point = job.get("die_at")
    if point:
        journal, broker = _mined(point, journal, broker)
    journal.recover(lease)
    for number in range(len(journal.intents()), job["orders"]):
        journal.write([wish(number)], bot=f"bot{number}", session=SESSION)
        if point == "after transaction 1":
            die()
        drain(journal, broker, lease, pace=PACE, timeout=0.0)
    drain(journal, broker, lease, pace=PACE, timeout=120)
    engine.dispose()


def trade_carelessly(job: dict[str, Any]) -> None:
    """What many do: a random id per attempt, and the note that an order was placed is made after the answer."""
    broker, notes = broker_of(job), Path(job["notes"])
    say(began=os.getpid())
    for number in range(job["orders"]):
        note = notes / str(number)
        if note.exists():
            continue
        asked = wish(number)
        broker.submit(
            OrderRequest(uuid.uuid4().hex, asked.symbol, asked.side, asked.qty, "limit", "day", asked.limit_price)
        )
        tried = notes / f"{number} tried"
        if number % 2 == 0 and not tried.exists():
            tried.touch()
            die()
        note.touch()


def _mined(point: str, journal: Journal, broker: AlpacaBroker) -> tuple[Journal, AlpacaBroker]:
    """The same order path, with death waiting at one point of it."""
    submit = broker.submit

    def mined_submit(order: OrderRequest) -> Any:
        if point == "after transaction 2":
            die()
        reply = submit(order)
        if point == "after the answer":
            die()
        return reply

    broker.submit = mined_submit  # type: ignore[method-assign]
    if point == "after transaction 3":

        class Mined(Journal):
            def mark_acked(self, *arguments: Any, **named: Any) -> Any:
                super().mark_acked(*arguments, **named)
                die()

        journal = Mined(journal.engine, journal.account)
    return journal, broker


def live(job: dict[str, Any]) -> None:
    (trade_carelessly if job.get("careless") else trade)(job)


if __name__ == "__main__":
    serve(live)
