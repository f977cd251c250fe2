"""Flattening in an open session: market orders until nothing is held, whatever fills late, in part or not at all."""

import dataclasses
import datetime as dt
import itertools
from collections import Counter
from decimal import Decimal

import pytest

from tests.exchange.conftest import running
from workbench.exchange import embedded
from workbench.exchange.market.market import SourceFeed
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.brokers.broker import OrderRequest
from workbench.execution.journal.journal import Journal
from workbench.execution.kill_switch.flatten import flatten
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.risk.trading_state import change
from workbench.execution.submitter.submit import Pace, drain
from workbench.market.order import IntentState, OrderType, OrderWish, Side, TimeInForce
from workbench.market.trading_state import TradingState
from workbench.store.lease import Lease, account_lease

DAY = dt.date(2015, 6, 30)
NOON = dt.datetime(2015, 6, 30, 16, tzinfo=dt.UTC)
FAST = Pace(lookups=(0.02, 0.05), again=0.1, watch_every=0.1, limited=0.05)
_number = itertools.count(1)


@pytest.fixture(scope="module")
def minutes(tmp_path_factory):
    """An exchange that steps through the synthetic market by minutes; nine of ten fills are partial."""
    feed = SourceFeed("synthetic", seed=7, timeframe="1m")
    with running(tmp_path_factory.mktemp("minutes") / "exchange.db", feed, partial=Decimal("0.9")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def journal(request):
    return Journal(request.getfixturevalue(f"{request.param}_engine"), f"flat-{next(_number)}")


@pytest.fixture
def keys(minutes):
    return embedded.open_account(minutes, name=f"flat-{next(_number)}", cash=100_000, at=NOON)


@pytest.fixture
def broker(keys, minutes):
    opened = AlpacaBroker(
        name=keys.name, url=minutes, key_id=keys.key_id, secret_key=keys.secret_key, timeout=(5.0, 5.0)
    )
    yield opened
    opened.close()


class Market:
    """Time at the exchange passes when somebody sleeps: one minute each time. `then` is done after so many sleeps."""

    def __init__(self, url, name):
        self.url, self.name, self.now, self.slept, self.seconds, self.then = url, name, NOON, 0, 0.0, {}

    def sleep(self, seconds):
        self.slept += 1
        self.seconds += seconds
        self.advance(1)
        self.then.pop(self.slept, lambda: None)()

    def advance(self, minutes):
        self.now += dt.timedelta(minutes=minutes)
        embedded.advance(self.url, name=self.name, to=self.now)

    def monotonic(self):
        return self.seconds


@pytest.fixture
def market(minutes, keys):
    return Market(minutes, keys.name)


def hold(journal, broker, market, *wishes):
    """Take up holdings by our own orders, see them filled whole, and leave the account HALTED without a desk."""
    lease = Lease.acquire(journal.engine, account_lease(journal.account), "desk")
    reconcile(journal, broker, "start", lease=lease)
    journal.write(wishes, bot="hold", session=DAY)
    assert drain(journal, broker, lease, pace=FAST)
    for _ in range(60):
        market.advance(1)
        if not broker.open_orders():
            break
    assert reconcile(journal, broker, "test", lease=lease)
    lease.release()
    change(journal.engine, journal.account, TradingState.HALTED, reason="test")
    return {position.symbol: position.qty for position in broker.positions()}


def close(journal, broker, market, **more):
    named = {"reason": "out", "timeout": 600, "sleep": market.sleep, "monotonic": market.monotonic, **more}
    return flatten(journal.engine, broker, journal.account, **named)


def sold(broker, symbol):
    """Signed shares of a symbol that every order of the bot `kill` has filled at the exchange."""
    since = NOON - dt.timedelta(days=1)
    ours = [order for order in broker.orders_since(since) if order.client_order_id.startswith("wb1-kill-")]
    return sum((order.side.sign * order.filled_qty for order in ours if order.symbol == symbol), Decimal(0))


LONG = OrderWish("SYN01", Side.BUY, Decimal(10))
SHORT = OrderWish("SYN02", Side.SELL, Decimal(6))


def test_long_and_short_are_closed_whole_through_partial_fills_by_one_order_each(journal, broker, market):
    assert hold(journal, broker, market, LONG, SHORT) == {"SYN01": 10, "SYN02": -6}
    done = close(journal, broker, market)
    assert (done.held, broker.positions(), broker.open_orders()) == ({}, [], [])
    assert [(one.symbol, one.side, one.qty, one.state) for one in done.intents] == [
        ("SYN01", Side.SELL, 10, IntentState.FILLED),
        ("SYN02", Side.BUY, 6, IntentState.FILLED),
    ]
    assert market.slept > 1, "the fills were partial, and were waited for"
    assert (sold(broker, "SYN01"), sold(broker, "SYN02")) == (-10, 6)
    assert "2 holdings get closing orders: market orders" in done.sentence
    assert not any(position.qty for position in journal.book().positions.values())
    lease = Lease.acquire(journal.engine, account_lease(journal.account), "later")
    assert reconcile(journal, broker, "later", lease=lease).clean, "all of it is booked"


def test_what_is_left_of_a_closing_order_that_somebody_cancelled_is_closed_by_another(journal, broker, market):
    many = dataclasses.replace(LONG, qty=Decimal(200))
    assert hold(journal, broker, market, many) == {"SYN01": 200}
    cancelled = []

    def cancel_by_hand():
        for order in broker.open_orders():
            cancelled.append(order.filled_qty)
            broker.cancel(order.id)

    market.then[1] = cancel_by_hand
    done = close(journal, broker, market)
    assert (done.held, broker.positions()) == ({}, [])
    assert [0 < filled < 200 for filled in cancelled] == [True]
    states = [one.state for one in done.intents]
    assert (states[0], states[-1]) == (IntentState.CANCELED, IntentState.FILLED)
    assert sum(one.filled_qty for one in done.intents) == 200
    assert sold(broker, "SYN01") == -200
    assert {one.generation for one in done.intents} == set(range(len(done.intents)))


def test_shares_that_somebodys_order_holds_are_closed_once_it_lets_go(journal, broker, market):
    hold(journal, broker, market, LONG)
    held = broker.submit(
        OrderRequest(
            "by-hand", "SYN01", Side.SELL, Decimal(4), OrderType.LIMIT, TimeInForce.DAY, limit_price=Decimal(100_000)
        )
    )
    market.then[12] = lambda: broker.cancel(held.order.id)
    done = close(journal, broker, market)
    assert (done.held, broker.positions()) == ({}, [])
    states = Counter(one.state for one in done.intents)
    assert states[IntentState.REJECTED] >= 1
    assert (states[IntentState.FILLED], done.intents[0].qty, done.intents[-1].qty) == (2, 6, 4)
    assert sold(broker, "SYN01") == -10


def test_shares_that_somebodys_order_keeps_are_said_when_the_time_is_over(journal, broker, market):
    hold(journal, broker, market, LONG)
    broker.submit(
        OrderRequest(
            "by-hand", "SYN01", Side.SELL, Decimal(4), OrderType.LIMIT, TimeInForce.DAY, limit_price=Decimal(100_000)
        )
    )
    done = close(journal, broker, market, timeout=40)
    assert done.held == {"SYN01": 4}
    assert "the broker refused: SYN01 (" in done.sentence
    assert "insufficient qty" in done.sentence
    assert 2 < len(done.intents) < 25, "it asks again, and not without a pause"


def test_a_fill_that_is_booked_while_the_holdings_are_read_is_not_closed_again(journal, broker, market, monkeypatch):
    """A desk beside us books the fill of a closing order between our look at the broker and our lock."""
    hold(journal, broker, market, LONG)
    lease = Lease.acquire(journal.engine, account_lease(journal.account), "desk")
    closing = OrderWish("SYN01", Side.SELL, Decimal(10))
    change(journal.engine, journal.account, TradingState.ACTIVE, reason="the desk's own order")
    journal.write([closing], bot="hold", session=DAY, generation=1)
    assert drain(journal, broker, lease, pace=FAST)
    honest = broker.positions

    def fills_meanwhile():
        found = honest()
        monkeypatch.setattr(broker, "positions", honest)
        while broker.open_orders():
            market.advance(1)
        reconcile(journal, broker, "desk", lease=lease)
        lease.release()
        return found

    monkeypatch.setattr(broker, "positions", fills_meanwhile)
    monkeypatch.setattr("workbench.execution.kill_switch.flatten.free_lease", lambda _: None)
    done = close(journal, broker, market)
    assert (done.intents, done.held, broker.positions(), broker.open_orders()) == ((), {}, [], [])


def test_calling_it_again_while_a_closing_order_works_doubles_nothing(journal, broker, market):
    hold(journal, broker, market, LONG)
    first = close(journal, broker, market, timeout=0)  # sends, and does not wait
    assert [one.state.may_be_live for one in first.intents] == [True]
    second = close(journal, broker, market)
    assert (second.held, broker.positions(), broker.open_orders()) == ({}, [], [])
    assert sold(broker, "SYN01") == -10
