import datetime as dt
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time as wall
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.brokers.broker import OrderRequest
from workbench.execution.journal.journal import Journal
from workbench.execution.kill_switch import kill as kill_switch
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.risk import kill_file, trading_state
from workbench.execution.risk.halts import halt
from workbench.execution.submitter.submit import Pace, drain, pump
from workbench.market.order import IntentState, OrderType, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.store import rate_budget
from workbench.store.engine import transaction
from workbench.store.lease import Lease, account_lease
from workbench.store.tables.audit import AuditRow

DAY = dt.date(2015, 6, 30)
FAST = Pace(lookups=(0.02, 0.05), again=0.1, watch_every=0.1, limited=0.05)
_number = itertools.count(1)


def kill(*arguments, **more):
    """The switch with the patience that a loaded machine needs; what it does without any has tests of its own."""
    return kill_switch.kill(*arguments, **{"patience": 60.0, "timeout": 60.0, **more})


def until(condition):
    """Wait until the condition holds; fails the test where it never does."""
    end = wall.monotonic() + 60
    while not condition():
        assert wall.monotonic() < end, "waited in vain"
        wall.sleep(0.02)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture
def journal(engine):
    return Journal(engine, f"kill-{next(_number)}")


def session_of(exchange, keys):
    return AlpacaBroker(
        name=keys.name, url=exchange.url, key_id=keys.key_id, secret_key=keys.secret_key, timeout=(60.0, 60.0)
    )


@pytest.fixture
def broker(exchange, keys):
    opened = session_of(exchange, keys)
    yield opened
    opened.close()


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def far(number):
    """A purchase at a price that nobody sells at: it stays open."""
    symbol = f"SYN{number % 20 + 1:02d}"
    return OrderWish(symbol, Side.BUY, Decimal(1 + number), OrderType.LIMIT, limit_price=Decimal("0.01"))


def place(journal, broker, count, *, bot="bot"):
    lease = Lease.acquire(journal.engine, account_lease(journal.account), "desk")
    journal.write([far(number) for number in range(count)], bot=bot, session=DAY)
    assert drain(journal, broker, lease, pace=FAST, timeout=120)
    lease.release()


def states(journal):
    return sorted({intent.state.value for intent in journal.intents()})


def test_everything_of_ours_is_cancelled_and_nothing_new_leaves(journal, broker, home):
    place(journal, broker, 7)
    journal.write([far(1)], bot="later", session=DAY)
    foreign = broker.submit(
        OrderRequest("by-hand", "SYN01", Side.BUY, Decimal(1), "limit", limit_price=Decimal("0.01"))
    )
    done = kill(journal.engine, broker, journal.account, reason="test", home=home)
    assert done.clean, done.sentence
    assert (len(done.cancelled), done.unsent, done.left, done.unknown) == (7, 1, (), ())
    assert done.foreign == (foreign.order.id,)
    assert done.halted_in == ("database", "file")
    assert [order.id for order in broker.open_orders()] == [foreign.order.id]
    assert 0 <= done.timings["halted"] <= done.timings["first_cancel"] <= done.timings["zero"] <= done.timings["total"]
    assert states(journal) == ["canceled"]
    assert kill_file.read(home, journal.account).state is TradingState.HALTED
    assert "is HALTED (database and file); 7 orders cancelled, 1 ended before they were sent" in done.sentence
    assert "1 open orders are not ours and were left alone" in done.sentence
    with transaction(journal.engine) as opened:
        asked = select(AuditRow.action).where(AuditRow.entity == "kill", AuditRow.entity_id == journal.account)
        assert opened.scalars(asked).all() == ["killed"]
    again = kill(journal.engine, broker, journal.account, reason="again", home=home)
    assert (again.clean, again.cancelled, again.unsent) == (True, (), 0)


def test_foreign_orders_go_too_when_asked(journal, broker, home):
    broker.submit(OrderRequest("by-hand", "SYN01", Side.BUY, Decimal(1), "limit", limit_price=Decimal("0.01")))
    done = kill(journal.engine, broker, journal.account, reason="all", home=home, include_foreign=True)
    assert done.cancelled == ("by-hand",)
    assert broker.open_orders() == []


def test_several_sessions_cancel_side_by_side(journal, exchange, keys, broker, home):
    place(journal, broker, 20)
    helpers = [session_of(exchange, keys) for _ in range(3)]
    done = kill(journal.engine, broker, journal.account, reason="test", home=home, helpers=helpers)
    for helper in helpers:
        helper.close()
    assert len(done.cancelled) == 20
    assert broker.open_orders() == []


def test_an_order_of_unknown_fate_is_looked_up_and_cancelled(journal, exchange, broker, home):
    embedded.add_fault(exchange.url, kind="504-after-accept", count=1)
    lease = Lease.acquire(journal.engine, account_lease(journal.account), "desk")
    journal.write([far(0)], bot="bot", session=DAY)
    pump(journal, broker, lease, pace=Pace(lookups=(60.0,)))
    assert states(journal) == ["unknown"]
    done = kill(journal.engine, broker, journal.account, reason="test", home=home)
    assert len(done.cancelled) == 1
    assert done.unknown == ()
    assert broker.open_orders() == []


def test_an_order_that_never_arrived_is_named_and_waits_for_nobody(journal, exchange, broker, home):
    embedded.add_fault(exchange.url, kind="504-before-accept", count=1)
    lease = Lease.acquire(journal.engine, account_lease(journal.account), "desk")
    (written,) = journal.write([far(0)], bot="bot", session=DAY)
    pump(journal, broker, lease, pace=Pace(lookups=(60.0,)))
    later = dt.timedelta(seconds=30)
    done = kill(journal.engine, broker, journal.account, reason="test", home=home, now=lambda: journal.clock() + later)
    assert done.unknown == (written.intent.client_order_id,)
    assert not done.clean
    assert "1 of unknown fate are cancelled on sight" in done.sentence
    assert journal.intents()[0].cancel_asked_at is not None


class Slow:
    """A session whose requests leave late: the desk has said SENDING, and the order is not there before `go`."""

    def __init__(self, broker):
        self._broker = broker
        self.said, self.go = threading.Event(), threading.Event()

    def submit(self, order):
        self.said.set()
        assert self.go.wait(60)
        return self._broker.submit(order)

    def __getattr__(self, name):
        return getattr(self._broker, name)


class LookedUp:
    """A session that says when an order was looked up for the first time."""

    def __init__(self, broker, said):
        self._broker, self._said = broker, said

    def order_by_client_id(self, client_order_id):
        found = self._broker.order_by_client_id(client_order_id)
        self._said.set()
        return found

    def __getattr__(self, name):
        return getattr(self._broker, name)


@pytest.mark.parametrize("fault", ["", "504-after-accept"])
def test_an_order_being_sent_while_the_switch_is_thrown_ends_cancelled(  # noqa: PLR0917 - fixtures
    journal, exchange, keys, broker, home, fault
):
    if fault:
        embedded.add_fault(exchange.url, kind=fault, count=1)
    lease = Lease.acquire(journal.engine, account_lease(journal.account), "desk")
    journal.write([far(0), far(1)], bot="bot", session=DAY)
    other = session_of(exchange, keys)
    slow = Slow(other)
    desk = threading.Thread(target=pump, args=(journal, slow, lease), kwargs={"pace": Pace(lookups=(60.0,))})
    desk.start()
    assert slow.said.wait(60)
    # The order leaves when the switch has looked for it in vain.
    looking = LookedUp(broker, slow.go)
    done = kill(journal.engine, looking, journal.account, reason="test", home=home, grace=60.0)
    desk.join()
    assert len(done.cancelled) == 1
    assert broker.open_orders() == []
    assert len(broker.orders_since(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))) == 1  # the second one never left
    other.close()


class Stepped:
    """A monotonic clock that only sleeping moves: a slow machine has as much time as a fast one."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_the_share_kept_for_cancels_is_used_and_the_rest_waits(journal, broker, home):
    place(journal, broker, 6)
    with transaction(journal.engine) as opened:
        at = journal.clock()
        while rate_budget.take(opened, journal.account, lane="order", at=at, per_minute=20) is None:
            pass
    time = Stepped()
    few = {"per_minute": 20, "timeout": 0.3, "now": lambda: at, "clock": time, "sleep": time.sleep}
    done = kill(journal.engine, broker, journal.account, reason="test", home=home, **few)
    assert len(done.cancelled) == rate_budget.reserved_of(20) == 4
    assert len(done.left) == 2
    assert "the budget of requests" in done.trouble
    assert {intent.cancel_asked_at is not None for intent in journal.intents()} == {True}


def test_a_broker_that_does_not_answer_leaves_the_account_halted_and_is_said(journal, home):
    deaf = AlpacaBroker(name="x", url="http://127.0.0.1:9", key_id="k", secret_key="s", timeout=(0.2, 0.2))
    done = kill(journal.engine, deaf, journal.account, reason="test", home=home, timeout=0.2)
    deaf.close()
    assert done.halted_in == ("database", "file")
    assert not done.clean
    assert "what is open at the broker could not be read" in done.sentence


def test_the_broker_itself_refuses_new_orders_when_asked_to(journal, broker, home):
    done = kill(journal.engine, broker, journal.account, reason="test", home=home, suspend=True)
    assert done.suspended is True
    refused = broker.submit(OrderRequest("wb1-x", "SYN01", Side.BUY, Decimal(1)))
    assert (refused.http_status, "new orders are rejected by user request" in refused.message) == (403, True)
    broker.suspend(suspended=False)


# --- flattening


def hold(journal, broker, exchange, keys):
    """Buy some of two symbols, and let the exchange fill them at the next open."""
    lease = Lease.acquire(journal.engine, account_lease(journal.account), "desk")
    wishes = [OrderWish("SYN01", Side.BUY, Decimal(10)), OrderWish("SYN02", Side.BUY, Decimal(5))]
    journal.write(wishes, bot="hold", session=DAY)
    assert drain(journal, broker, lease, pace=FAST, timeout=120)
    embedded.advance(exchange.url, name=keys.name, to=dt.datetime(2015, 7, 1, 20, 0, 5, tzinfo=dt.UTC))
    reconcile(journal, broker, "test", lease=lease)
    return lease


def test_holdings_are_closed_by_our_own_orders(journal, broker, exchange, keys, home):
    hold(journal, broker, exchange, keys).release()
    done = kill(journal.engine, broker, journal.account, reason="out", home=home, flatten=True)
    flat = done.flattened
    assert [(i.bot, i.symbol, i.side, i.qty) for i in flat.intents] == [
        ("kill", "SYN01", Side.SELL, 10),
        ("kill", "SYN02", Side.SELL, 5),
    ], done.sentence
    assert {i.state for i in flat.intents} == {IntentState.ACKED}
    assert flat.taken_over == ""
    assert flat.held == {"SYN01": 10, "SYN02": 5}
    assert "2 holdings get closing orders: limit orders for the after session" in done.sentence
    assert {order.client_order_id[:9] for order in broker.open_orders()} == {"wb1-kill-"}


def test_a_halted_holding_is_closed_as_well(journal, broker, exchange, keys, home):
    hold(journal, broker, exchange, keys).release()
    with transaction(journal.engine) as opened:
        halt(opened, journal.account, "SYN01", reason="drift")
        halt(opened, journal.account, reason="a key was refused")
    flat = kill(journal.engine, broker, journal.account, reason="out", home=home, flatten=True).flattened
    assert {(i.symbol, i.state) for i in flat.intents} == {("SYN01", IntentState.ACKED), ("SYN02", IntentState.ACKED)}


def test_a_holding_that_is_not_ours_is_reported(journal, broker, exchange, keys, home):
    broker.submit(OrderRequest("by-hand", "SYN03", Side.BUY, Decimal(2)))
    hold(journal, broker, exchange, keys).release()
    done = kill(journal.engine, broker, journal.account, reason="out", home=home, flatten=True)
    assert done.flattened.foreign == {"SYN03": 2}
    assert "left alone, as no order of ours was ever for it: 2 SYN03" in done.sentence
    again = kill(journal.engine, broker, journal.account, reason="all", home=home, flatten=True, include_foreign=True)
    assert {(i.symbol, i.generation) for i in again.flattened.intents} == {("SYN01", 1), ("SYN02", 1), ("SYN03", 1)}
    assert len(broker.open_orders()) == 3  # those of the first call are gone


def test_nothing_held_is_said(journal, broker, home):
    done = kill(journal.engine, broker, journal.account, reason="out", home=home, flatten=True)
    assert (done.flattened.intents, done.flattened.sentence) == ((), "nothing is held")


def stopped_desk(journal, exchange, keys, *, stop, orders=3):
    """A process that has sent three orders, holds the lease, and is stopped as a debugger would stop it."""
    journal.write([far(number) for number in range(orders)], bot="bot", session=DAY)
    job = {
        "database": journal.engine.url.render_as_string(hide_password=False),
        "account": journal.account,
        "url": exchange.url,
        "key_id": keys.key_id,
        "secret_key": keys.secret_key,
        "stop": stop,
    }
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("kill_worker.py")), json.dumps(job)],
        stdout=subprocess.PIPE,
        text=True,
    )
    while process.stdout.readline() != "sent\n":
        assert process.poll() is None
    # It stops itself, where it says so: stopped from here, it might be inside a transaction or not, as luck has it.
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    return process


def end(process):
    process.kill()
    process.stdout.close()
    process.wait()


def test_it_works_beside_a_hung_desk_and_takes_the_account_over_from_it(journal, broker, exchange, keys, home):
    hold(journal, broker, exchange, keys).release()
    process = stopped_desk(journal, exchange, keys, stop="idle")
    try:
        done = kill(journal.engine, broker, journal.account, reason="hung", home=home, flatten=True)
        assert len(done.cancelled) == 3
        assert done.flattened.taken_over == "desk"
        assert {intent.state for intent in done.flattened.intents} == {IntentState.ACKED}
        journal.write([far(9)], bot="bot", session=DAY, generation=7)
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.readline() == "lease lost\n"
        assert {order.client_order_id[:9] for order in broker.open_orders()} == {"wb1-kill-"}
    finally:
        end(process)


def test_a_hung_desk_that_holds_the_database_cannot_delay_it(journal, broker, exchange, keys, home):
    process = stopped_desk(journal, exchange, keys, stop="writing")
    try:
        done = kill(journal.engine, broker, journal.account, reason="hung", home=home, patience=0.2, grace=0.5)
        assert len(done.cancelled) == 3
        assert broker.open_orders() == []
        assert "file" in done.halted_in
        if journal.engine.dialect.name == "sqlite":
            assert done.halted_in == ("file",)
            assert "database" in done.trouble
    finally:
        end(process)
    until(lambda: trading_state.known(journal.engine, journal.account).told_by == "database")
    assert trading_state.known(journal.engine, journal.account).state is TradingState.HALTED
