"""`python -m workbench.orchestration.certify_worker FD…`: the process that trades in a certificate, and is killed.

Imports cost a second, and a life lasts a tenth of one. So a process imports, forks one foreman per socket, and each
foreman forks a life per job: a process of its own, with its own database connections and sockets, that dies alone. A
job is one JSON line; a life says on a line that it has begun, and its foreman how it ended. A job that `warms` is done
by the foreman itself: the statements that it has compiled need not be compiled in each life.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from workbench.errors import ExchangeUnavailable
from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.brokers.broker import Broker
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.submitter.submit import Pace, drain
from workbench.market.order import OrderType, OrderWish, Side, TimeInForce
from workbench.store.engine import open_engine
from workbench.store.lease import Lease

Job = dict[str, Any]
Say = Callable[..., None]
Life = Callable[[Job, Say, Engine], int]

SESSION = dt.date(2015, 6, 30)
PACE = Pace(lookups=(0.02, 0.05, 0.1), again=0.1, watch_every=0.1, limited=0.05)
PLACED_SECONDS = 30.0
QUIET_SECONDS = 0.1
CONNECT_SECONDS = 15.0
MOST_READINGS, PAUSE_SECONDS = 50, 0.05
AT_ONCE = 6  # orders between two moves of the clock
NOT_FINISHED, NOT_OURS = 4, 3


def wish(number: int) -> OrderWish:
    """The wish with that number; its quantity says so. Every second one is for a price that nobody sells at."""
    symbol, qty = f"SYN{number % 20 + 1:02d}", Decimal(1 + number)
    if number % 2:
        return OrderWish(symbol, Side.BUY, qty, OrderType.MARKET, TimeInForce.GTC)
    return OrderWish(symbol, Side.BUY, qty, OrderType.LIMIT, TimeInForce.GTC, limit_price=Decimal("0.01"))


def broker_of(job: Job) -> AlpacaBroker:
    """The account of a job, with little patience: what does not answer at once is of unknown fate."""
    return AlpacaBroker(
        name=job["account"],
        url=job["url"],
        key_id=job["key_id"],
        secret_key=job["secret_key"],
        timeout=(1.0, job["patience"]),
    )


def trade(job: Job, say: Say, engine: Engine, *, broker_of: Callable[[Job], Broker] = broker_of) -> int:
    """Place the orders of a job that former lives have not placed, and end reconciled. Returns the exit code."""
    journal, broker = Journal(engine, job["account"]), broker_of(job)
    say(began=os.getpid())
    lease = Lease.acquire(engine, job["account"], "certify")
    if lease is None:
        return NOT_OURS
    journal.recover(lease)
    _reconcile(journal, broker, "start", lease)
    if job["listens"]:
        _listen(job, journal, broker, lease)
    for number in range(len(journal.intents()), job["orders"]):
        journal.write([wish(number)], bot=f"bot{number}", session=SESSION)
        drain(journal, broker, lease, pace=PACE, timeout=0.0)
    done = drain(journal, broker, lease, pace=PACE, timeout=PLACED_SECONDS)
    _reconcile(journal, broker, "close", lease)
    broker.close()
    return 0 if done else NOT_FINISHED


def _listen(job: Job, journal: Journal, broker: Broker, lease: Lease) -> None:
    """Place orders a few at a time and move the exchange's clock, while the stream tells what becomes of them."""
    heard, connected = [time.monotonic()], threading.Event()

    def on_event(event: Any) -> None:
        heard[0] = time.monotonic()
        journal.book_event(event)

    handle = broker.stream(on_event, connected.set)
    try:
        for first in range(len(journal.intents()), job["orders"], AT_ONCE):
            _wait_until(lambda: handle.connected)
            if connected.is_set():
                connected.clear()
                _reconcile(journal, broker, "connect", lease)
            for number in range(first, min(first + AT_ONCE, job["orders"])):
                journal.write([wish(number)], bot=f"bot{number}", session=SESSION)
            drain(journal, broker, lease, pace=PACE, timeout=PLACED_SECONDS)
            now = broker.clock().now
            if now is not None:
                embedded.advance(job["url"], name=job["account"], to=now + dt.timedelta(days=1))
            _wait_until(lambda: time.monotonic() - heard[0] > QUIET_SECONDS)
    finally:
        handle.close()


def _reconcile(journal: Journal, broker: Broker, occasion: str, lease: Lease) -> None:
    """Reconcile, again after a pause where the exchange gave no readable answer, as a desk does."""
    for _ in range(MOST_READINGS):
        try:
            reconcile(journal, broker, occasion, lease=lease)
        except ExchangeUnavailable:
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, for as long as a connection may take; whoever goes on without it is reconciled later."""
    end = time.monotonic() + CONNECT_SECONDS
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)


def main(sockets: list[int], life: Life = trade) -> None:
    """Fork one foreman per socket and wait for them."""
    foremen = []
    for number in sockets:
        foreman = os.fork()
        if foreman == 0:
            code = 1
            try:
                for other in sockets:
                    if other != number:
                        os.close(other)
                _serve(number, life)
                code = 0
            finally:
                os._exit(code)
        foremen.append(foreman)
    for number in sockets:
        os.close(number)
    for foreman in foremen:
        os.waitpid(foreman, 0)


def _serve(number: int, life: Life) -> None:
    """Fork one life per line of the socket, until it is closed at the other end."""
    with socket.socket(fileno=number) as connection, connection.makefile("r") as lines:

        def say(**what: int) -> None:
            connection.sendall(json.dumps(what).encode() + b"\n")

        engine = None
        for line in lines:
            job = json.loads(line)
            engine = engine or open_engine(job["database"], migrate=False)
            if job.get("warms"):
                ended = life(job, lambda **_: None, engine)
                engine.dispose()  # no connection may be open when a life is forked
                say(ended=ended)
                continue
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    engine.dispose(close=False)
                    code = life(job, say, engine)
                except BaseException:
                    sys.excepthook(*sys.exc_info())
                    raise
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            _, status = os.waitpid(child, 0)
            say(ended=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]])
