"""What the tests of the order path share: a clock that is moved by hand, a scripted broker, a real local exchange."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from decimal import Decimal

import pytest
from sqlalchemy import create_engine, text

from workbench.errors import ExchangeUnavailable
from workbench.exchange import embedded
from workbench.execution.brokers.broker import BrokerOrder, Outcome, Reply
from workbench.execution.journal.journal import Journal
from workbench.execution.replacement import replace_order
from workbench.execution.risk.limits import Limits
from workbench.market.book import Book
from workbench.store.engine import open_engine
from workbench.store.lease import Lease

NOW = dt.datetime(2015, 6, 30, 20, 0, 5, tzinfo=dt.UTC)


class Time:
    """A clock that stands still until it is moved; `sleep` moves it."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += dt.timedelta(seconds=seconds)


class ScriptedBroker:
    """A broker in memory. `script` holds what the next submits do: an outcome, or `lost` / `lost after` for silence.

    `deaf` look-ups are not answered; `hidden` ids are not found although they are there.
    """

    name = "a"

    def __init__(self, time):
        self.time = time
        self.script = []
        self.cancels = []
        self.live = {}
        self.posts = []
        self.lookups = []
        self.deaf = 0
        self.hidden = 0
        self._number = itertools.count(1)

    def submit(self, order):
        self.posts.append(order.client_order_id)
        step = self.script.pop(0) if self.script else Outcome.PLACED
        if isinstance(step, Reply):
            return step
        if step == "lost":
            return Reply(Outcome.UNKNOWN, message="ReadTimeout")
        if step in {Outcome.PLACED, "lost after"} and order.client_order_id in self.live:
            step = Outcome.DUPLICATE
        if step is Outcome.DUPLICATE:
            return Reply(step, None, 422, 40010001, "client_order_id must be unique")
        placed = self.place(order)
        if step == "lost after":
            return Reply(Outcome.UNKNOWN, message="ReadTimeout")
        return Reply(Outcome.PLACED, placed, 200, raw=placed.raw)

    def place(self, order, **changes):
        raw = {
            "id": f"b{next(self._number)}",
            "client_order_id": order.client_order_id,
            "symbol": order.symbol,
            "side": order.side.value,
            "qty": str(order.qty),
            "filled_qty": "0",
            "status": "new",
            "updated_at": self.time().isoformat(),
            "type": order.type,
            "limit_price": None if order.limit_price is None else str(order.limit_price),
            "stop_price": None if order.stop_price is None else str(order.stop_price),
            **changes,
        }
        placed = BrokerOrder.of(raw)
        self.live[placed.client_order_id] = placed
        return placed

    def order_by_client_id(self, client_order_id):
        self.lookups.append((client_order_id, self.time()))
        if self.deaf:
            self.deaf -= 1
            raise ExchangeUnavailable("no answer")
        if self.hidden:
            self.hidden -= 1
            return None
        return self.live.get(client_order_id)

    def order(self, broker_order_id):
        return next((order for order in self.live.values() if order.id == broker_order_id), None)

    def cancel(self, broker_order_id):
        self.cancels.append(broker_order_id)
        step = self.script.pop(0) if self.script else Outcome.PLACED
        if isinstance(step, Reply):
            return step
        return Reply(step, http_status=204 if step is Outcome.PLACED else None)

    def change(self, client_order_id, **changes):
        """The order as it becomes: `status`, `filled_qty` … as text."""
        raw = {**self.live[client_order_id].raw, "updated_at": self.time().isoformat(), **changes}
        self.live[client_order_id] = BrokerOrder.of(raw)
        return self.live[client_order_id]


WIDE = Limits(
    allow_short=True, max_gross_exposure=10**6, max_position_fraction=10**6, min_cash=-(10**12), price_collar=9
)


def ask_replace(journal, intent_id, **changes):
    """Wish another order in the place of one, by the checked door, on an account that can pay for everything."""
    priced = {one.symbol: one.limit_price or one.reference_price or Decimal(50) for one in journal.intents()}
    book = Book(Decimal(10) ** 9, {})
    (new,) = replace_order(journal, intent_id, prices=priced, book=book, limits=WIDE, **changes).written
    return new


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def broker(time):
    return ScriptedBroker(time)


@pytest.fixture(scope="session")
def sqlite_engine(tmp_path_factory):
    """One SQLite database for all tests of the order path: each has an account of its own."""
    opened = open_engine(f"sqlite:///{tmp_path_factory.mktemp('order-path') / 'test.db'}")
    yield opened
    opened.dispose()


@pytest.fixture(scope="session")
def postgresql_engine(postgresql_server):
    """One PostgreSQL database for all tests of the order path."""
    uri = postgresql_server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    admin = create_engine(uri, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE order_path"))
    opened = open_engine(admin.url.set(database="order_path").render_as_string(hide_password=False))
    yield opened
    opened.dispose()
    with admin.connect() as connection:
        connection.execute(text("DROP DATABASE order_path WITH (FORCE)"))
    admin.dispose()


_number = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def journal(request, time):
    """A journal of a fresh account, on each database."""
    return Journal(request.getfixturevalue(f"{request.param}_engine"), f"account-{next(_number)}", clock=time)


@pytest.fixture
def sqlite_journal(sqlite_engine, time):
    """A journal of a fresh account on SQLite only, for what does not depend on the database."""
    return Journal(sqlite_engine, f"account-{next(_number)}", clock=time)


def lease_of(journal, holder="desk"):
    """The lease of a journal's account, for a year; under the same holder's name it is taken over."""
    return Lease.acquire(journal.engine, journal.account, holder, ttl=dt.timedelta(days=365), clock=journal.clock)


@pytest.fixture
def lease(journal):
    return lease_of(journal)


@pytest.fixture
def sqlite_lease(sqlite_journal):
    return lease_of(sqlite_journal)


@pytest.fixture
def keys(exchange):
    """A fresh account of the exchange with 100 000 in cash, its clock at a close; no faults before or after."""
    embedded.clear_faults(exchange.url)
    opened = embedded.open_account(exchange.url, name=f"test-{next(_number)}", cash=100_000, at=NOW)
    yield dataclasses.replace(opened)
    embedded.clear_faults(exchange.url)
