"""A market, a broker and an engine in memory, moved by hand: what the tests of parent orders share."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal

import pytest

from workbench.execution.algos.engine import AlgoEngine
from workbench.execution.algos.market_facts import Price
from workbench.execution.algos.parents import Parents
from workbench.execution.brokers.broker import BrokerEvent
from workbench.execution.submitter.submit import pump
from workbench.market.order import IntentState, OrderType, OrderWish, Side
from workbench.store.engine import transaction
from workbench.store.tables.execution import ReconciliationRow

# 14:00 UTC of a summer's session in New York.
T0 = dt.datetime(2015, 6, 30, 14, tzinfo=dt.UTC)
SESSION = dt.date(2015, 6, 30)
SYMBOL = "SYN01"
_number = itertools.count(1)


def after(minutes):
    return T0 + dt.timedelta(minutes=minutes)


class Facts:
    """A market of stated prices and volumes; what is not stated is not known."""

    def __init__(self):
        self.includes_own = False
        self.prices = {SYMBOL: Decimal("50.00")}
        self.volumes = {}
        self.average = Decimal("50.10")

    def price(self, symbol, at):
        value = self.prices.get(symbol)
        return None if value is None else Price(value, at)

    def volume(self, symbol, start, end):
        return self.volumes.get((end - start) // dt.timedelta(minutes=1))

    def vwap(self, symbol, start, end):
        return self.average


class World:
    """One account: its journal, its desk in one line, and an algorithm's engine."""

    def __init__(self, journal, broker, lease, limits=None):
        self.journal, self.broker, self.lease = journal, broker, lease
        self.facts, self.limits = Facts(), limits
        self.parents = Parents(journal.engine, journal.account, clock=journal.clock)
        self.reborn()
        with transaction(journal.engine) as opened:
            opened.add(
                ReconciliationRow(
                    account=journal.account, occasion="start", clean=True, orders=0, positions=0, fills=0,
                    cash=Decimal(10**9), cash_basis=Decimal(10**9), trace_id="t", started_at=T0,
                )
            )  # fmt: skip

    def reborn(self):
        """Another process: nothing but the database is left of the one before."""
        self.engine = AlgoEngine(self.journal, self.facts, limits=self.limits)
        self.engine.start()

    def start(self, qty=1000, *, algorithm="twap", minutes=70, side=Side.BUY, limit=None, key=None, **more):
        params = {"interval_seconds": 600, **more.pop("params", {})}
        kind = OrderType.MARKET if limit is None else OrderType.LIMIT
        wish = OrderWish(SYMBOL, side, Decimal(qty), kind, limit_price=limit, **more.pop("wish", {}))
        named = {"bot": "bot", "session": SESSION, "starts_at": T0, "ends_at": after(minutes), **more}
        return self.parents.start(wish, key=key or f"k{next(_number)}", algorithm=algorithm, params=params, **named)

    def step(self, minutes):
        return self.engine.step(after(minutes))

    def desk(self):
        """The desk sends what is written and hears that what was to be cancelled is."""
        pump(self.journal, self.broker, self.lease)
        for order in self.live():
            if order.id in self.broker.cancels:
                self.say("canceled", order.client_order_id)

    def live(self):
        return [order for order in self.broker.live.values() if order.status in {"new", "partially_filled"}]

    def say(self, status, name, **changes):
        order = self.broker.change(name, status=status, **changes)
        self.journal.book_order(order)

    def fill(self, qty=None, price="50.00", name=None):
        """The live order fills, all of it or `qty` shares."""
        order = self.broker.live[name] if name else self.live()[-1]
        part = order.qty - order.filled_qty if qty is None else Decimal(qty)
        done = order.filled_qty + part
        kind = "fill" if done == order.qty else "partial_fill"
        status = "filled" if kind == "fill" else "partially_filled"
        changed = self.broker.change(order.client_order_id, status=status, filled_qty=str(done))
        event = {
            "event": kind,
            "execution_id": f"x{next(_number)}",
            "order": changed.raw,
            "timestamp": self.broker.time().isoformat(),
            "qty": str(part),
            "price": price,
        }
        self.journal.book_event(BrokerEvent.of(event))

    def children(self):
        return self.journal.intents()

    def open_children(self):
        return [one for one in self.children() if not one.state.is_end]

    def booked(self):
        return sum((fill.qty for fill in self.journal.fills()), Decimal(0))


@pytest.fixture
def world(journal, broker, lease):
    return World(journal, broker, lease)


@pytest.fixture
def sqlite_world(sqlite_journal, broker, sqlite_lease):
    return World(sqlite_journal, broker, sqlite_lease)


__all__ = ["SYMBOL", "T0", "IntentState", "World", "after"]
