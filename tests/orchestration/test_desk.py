import contextlib
import dataclasses
import datetime as dt
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from workbench.errors import (
    ExchangeUnavailable,
    ExecutionError,
    LeaseLost,
    NoData,
    OutcomeUnknown,
    SettingsError,
)
from workbench.exchange import embedded
from workbench.execution.brokers.broker import (
    BrokerAccount,
    BrokerClock,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    Outcome,
    Reply,
)
from workbench.execution.journal.journal import Journal
from workbench.execution.risk import kill_file, marks, trading_state
from workbench.execution.risk.halts import halt
from workbench.market.order import Fill, IntentState, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.orchestration import desk, desk_main, desk_state
from workbench.orchestration.desk_process import BLIND_SECONDS, Desk
from workbench.orchestration.desk_state import DeskState
from workbench.orchestration.startup import STEPS
from workbench.settings import Settings
from workbench.store.engine import transaction
from workbench.store.event_log import EventLog
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.execution import FillRow, ReconciliationRow
from workbench.trace import tracing

NOW = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
DAY = dt.date(2015, 6, 30)


class Broker:
    """An account in memory with a stream that the test holds in its hand."""

    name = "paper"

    def __init__(self):
        self.orders, self.fills, self.cash, self.posts, self.replies = {}, [], Decimal(100_000), [], []
        self.down = False
        self.closed = 0
        self.number = itertools.count(1)
        self.on_event = self.on_connect = None
        self.handle = SimpleNamespace(connected=False, failures=0, trouble="", close=self._close)
        self.connects = True

    def submit(self, order):
        self.posts.append(order.client_order_id)
        if self.replies:
            reply = self.replies.pop(0)
            if reply != "lost after":
                return reply
        raw = {
            "id": f"b{next(self.number)}",
            "client_order_id": order.client_order_id,
            "symbol": order.symbol,
            "qty": str(order.qty),
            "side": order.side.value,
            "status": "new",
            "type": order.type,
            "updated_at": self._now(),
        }
        placed = self.orders[order.client_order_id] = BrokerOrder.of(raw)
        if "reply" in locals():
            return Reply(Outcome.UNKNOWN, message="ReadTimeout")
        return Reply(Outcome.PLACED, placed, 200, raw=raw)

    def fill(self, client_order_id, *, say=True):
        old = self.orders[client_order_id]
        raw = {
            **old.raw,
            "status": "filled",
            "filled_qty": str(old.qty),
            "filled_avg_price": "10",
            "updated_at": self._now(),
        }
        new = self.orders[client_order_id] = BrokerOrder.of(raw)
        number = next(self.number)
        self.cash -= old.side.sign * old.qty * 10
        fill = Fill(
            f"x{number}", new.id, client_order_id, new.symbol, new.side, new.qty, Decimal(10), NOW, cum_qty=new.qty
        )
        self.fills.append(dataclasses.replace(fill, execution_id=f"a::x{number}"))
        if say:
            self.on_event(BrokerEvent("fill", new, fill, NOW))

    def stream(self, on_event, on_connect):
        self.on_event, self.on_connect = on_event, on_connect
        if self.connects:
            self.connect()
        return self.handle

    def connect(self):
        self.handle.connected = True
        self.on_connect()

    def clock(self):
        if self.down:
            raise ExchangeUnavailable("nobody answers")
        return BrokerClock(NOW, False, None, None)

    def account(self):
        return BrokerAccount("PA1", self.cash, self.cash, self.cash * 2)

    def positions(self):
        held = {}
        for fill in self.fills:
            held[fill.symbol] = held.get(fill.symbol, Decimal(0)) + fill.side.sign * fill.qty
        return [BrokerPosition(name, qty, Decimal(10), Decimal(10), Decimal(0)) for name, qty in held.items()]

    def open_orders(self):
        return [order for order in self.orders.values() if order.is_open]

    def orders_since(self, _moment):
        return list(self.orders.values())

    def fills_since(self, _activity_id=None, *, after=None):
        return list(self.fills)

    def order(self, broker_order_id):
        return next((order for order in self.orders.values() if order.id == broker_order_id), None)

    def order_by_client_id(self, client_order_id):
        return self.orders.get(client_order_id)

    def close(self):
        self.closed += 1

    def _close(self):
        self.handle.connected = False

    def _now(self):
        return (NOW + dt.timedelta(seconds=next(self.number))).isoformat()


class Time:
    """A monotonic clock that only `sleep` moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def broker():
    return Broker()


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def journal(engine):
    return Journal(engine, "paper")


@pytest.fixture
def made(engine, broker, clock):
    """A desk that was not started; closed in the end if it was."""
    desks = []

    def make(**more):
        desks.append(Desk(engine, broker, monotonic=clock, sleep=clock.sleep, **more))
        return desks[-1]

    yield make
    for one in desks:
        if one._lease is not None:
            one.close(grace=0)


def write(journal, *symbols):
    wishes = [OrderWish(symbol, Side.BUY, Decimal(10), reference_price=Decimal(10)) for symbol in symbols or ["AAPL"]]
    return [one.intent for one in journal.write(wishes, bot="bot", session=DAY)]


def state(engine):
    return desk_state.read(engine, "paper")


def occasions(engine):
    with transaction(engine) as session:
        rows = session.scalars(select(ReconciliationRow).order_by(ReconciliationRow.started_at)).all()
    return [row.occasion for row in rows]


def test_a_desk_starts_in_order_sends_what_is_written_and_books_what_it_hears(engine, journal, broker, made):
    with tracing("e" * 32):
        (intent,) = write(journal)
    one = made(url="http://exchange")
    one.start()
    assert occasions(engine) == ["start", "connect"]
    assert broker.posts == []
    now = state(engine)
    assert (now.ready, now.state, now.pid, now.url, now.waiting) == (
        True,
        DeskState.READY,
        os.getpid(),
        "http://exchange",
        1,
    )
    one.step()
    assert broker.posts == [intent.client_order_id]
    assert journal.intent(intent.id).state is IntentState.ACKED
    broker.fill(intent.client_order_id)
    assert one.wake.is_set()
    one.step()
    assert journal.intent(intent.id).state is IntentState.FILLED
    with transaction(engine) as session:
        (fill,) = session.scalars(select(FillRow)).all()
        assert (fill.source, fill.trace_id) == ("stream", "e" * 32)
        entries = session.scalars(select(AuditRow).where(AuditRow.entity.in_(["intent", "fill"]))).all()
        assert {row.trace_id for row in entries} == {"e" * 32}
    one.close()
    assert occasions(engine)[-1] == "close"
    assert (state(engine).alive, state(engine).state, broker.closed) == (False, DeskState.STOPPED, 1)
    assert broker.posts == [intent.client_order_id]


def test_nothing_is_traded_before_a_pass_was_clean(engine, journal, broker, made):
    (intent,) = write(journal)
    broker.submit(intent.request)
    broker.posts.clear()
    (other,) = journal.write([OrderWish("MSFT", Side.BUY, Decimal(1))], bot="other", session=DAY)
    broker.fill(intent.client_order_id, say=False)
    broker.fills.clear()  # the order says filled, no execution does: the book cannot be believed
    one = made()
    with pytest.raises(ExecutionError, match="differ after"):
        one.start()
    one.fail("differs")
    assert broker.posts == []
    assert journal.intent(other.intent.id).state is IntentState.INTENT
    assert (state(engine).alive, state(engine).state) == (False, DeskState.FAILED)


def test_differences_at_the_start_are_taken_over_and_then_trading_begins(engine, journal, broker, made):
    first, second = write(journal, "AAPL", "MSFT")
    broker.submit(first.request)
    broker.fill(first.client_order_id, say=False)
    broker.posts.clear()
    one = made()
    one.start()
    assert occasions(engine) == ["start", "start", "connect"]
    for _ in range(3):
        one.step()
    assert broker.posts == [second.client_order_id]
    assert journal.intent(first.id).state is IntentState.FILLED


def test_a_second_desk_of_the_account_does_nothing_and_says_who_has_it(engine, made):
    one = made()
    one.start()
    before = occasions(engine)
    other = Desk(engine, Broker())
    with pytest.raises(LeaseLost, match=str(os.getpid())) as caught:
        other.start()
    assert caught.value.facts["holder"] == state(engine).holder
    assert occasions(engine) == before
    other.close()
    assert state(engine).ready
    one.step()


def test_a_desk_that_lost_its_lease_stops_and_sends_nothing(engine, journal, broker, made):
    past = [dt.datetime.now(dt.UTC)]
    one = made(clock=lambda: past[0])
    one.start()
    write(journal)
    past[0] += dt.timedelta(minutes=10)
    successor = Desk(engine, Broker(), clock=lambda: past[0])
    successor.start()
    with pytest.raises(LeaseLost):
        one.step()
    one.fail("lost")
    assert broker.posts == []
    assert state(engine).state is DeskState.READY  # the successor's word stands
    successor.close()


def test_the_lease_of_a_dead_process_is_taken_over_at_once(engine, journal, broker, made):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    one = made()
    one.start()
    (intent,) = write(journal)
    broker.replies = ["lost after"]
    one.step()
    assert journal.intent(intent.id).state is IntentState.UNKNOWN
    token = one._lease.token
    one._lease = None
    with transaction(engine) as session:
        row = session.get(desk_state.DeskRow, "paper")
        row.pid = dead.pid
    assert not state(engine).alive
    successor = made()
    successor.start()
    assert successor._lease.token == token + 1
    assert journal.intent(intent.id).state is IntentState.ACKED
    assert broker.posts == [intent.client_order_id]


def test_it_reconciles_when_the_time_has_come_when_asked_and_when_the_stream_was_away(
    engine, journal, broker, clock, made
):
    one = made(reconcile_seconds=45)
    one.start()
    one.step()
    assert occasions(engine) == ["start", "connect"]
    clock.now += 46
    one.step()
    assert occasions(engine)[2:] == ["periodic"]

    number = desk_state.ask(engine, "paper")
    one.step()
    with transaction(engine) as session:
        _, answered, identifier = desk_state.asked(session, "paper")
        assert session.get(ReconciliationRow, identifier).occasion == "asked"
    assert answered == number

    (intent,) = write(journal)
    one.step()
    broker.handle.connected = False
    broker.fill(intent.client_order_id, say=False)
    broker.handle.failures += 1
    one.step()
    assert occasions(engine)[4:] == ["repair", "repair"]
    assert journal.intent(intent.id).state is IntentState.FILLED
    assert state(engine).state is DeskState.DEGRADED
    clock.now += BLIND_SECONDS
    one.step()
    assert occasions(engine)[6:] == ["periodic"]
    broker.connect()
    one.step()
    assert occasions(engine)[7:] == ["connect"]
    assert state(engine).state is DeskState.READY


def test_a_broker_that_goes_away_is_waited_for(engine, journal, broker, clock, made):
    one = made()
    one.start()
    (intent,) = write(journal)
    one.step()
    broker.down = True
    clock.now += 46
    one.step()
    assert state(engine).state is DeskState.DEGRADED
    assert "nobody answers" in state(engine).detail
    count = len(occasions(engine))
    one.step()
    broker.down = False
    clock.now += BLIND_SECONDS
    one.step()
    assert len(occasions(engine)) == count + 1
    assert state(engine).state is DeskState.READY
    assert journal.intent(intent.id).state is IntentState.ACKED


def test_a_broker_that_is_not_there_at_the_start_ends_the_start(engine, broker, clock, made):
    broker.down = True
    one = made()
    with pytest.raises(ExchangeUnavailable):
        one.start(patience=3)
    assert clock.now >= 1003
    one.fail("away")
    assert state(engine).state is DeskState.FAILED


def test_a_stream_that_does_not_connect_degrades_but_trades(engine, journal, broker, made):
    broker.connects = False
    one = made()
    one.start()
    assert state(engine).state is DeskState.DEGRADED
    (intent,) = write(journal)
    one.step()
    assert broker.posts == [intent.client_order_id]


def test_an_event_that_does_not_fit_is_reconciled_and_does_not_silence_the_others(engine, journal, broker, made):
    one = made()
    one.start()
    first, second = write(journal, "AAPL", "MSFT")
    one.step()
    order = broker.orders[first.client_order_id]
    bad = Fill("bad", order.id, order.client_order_id, "AAPL", Side.BUY, Decimal(-1), Decimal(10), NOW)
    broker.on_event(BrokerEvent("fill", order, bad, NOW))
    broker.fill(second.client_order_id)
    one.step()
    assert journal.intent(first.id).state is IntentState.ACKED
    assert journal.intent(second.id).state is IntentState.FILLED
    assert occasions(engine)[-1] == "repair"


def test_closing_finds_out_what_may_be_live_and_sends_nothing_new(journal, broker, made):
    one = made()
    one.start()
    broker.replies = ["lost after"]
    (lost,) = write(journal)
    one.step()
    (unsent,) = journal.write([OrderWish("MSFT", Side.BUY, Decimal(1))], bot="late", session=DAY)
    assert journal.intent(lost.id).state is IntentState.UNKNOWN
    one.close()
    assert journal.intent(lost.id).state is IntentState.ACKED
    assert journal.intent(unsent.intent.id).state is IntentState.INTENT
    assert broker.posts == [lost.client_order_id]


def test_many_orders_leave_in_small_steps_and_halted_ones_do_not_block_the_rest(engine, journal, broker, made):
    names = [f"S{number:02}" for number in range(12)]
    intents = write(journal, *names)
    with transaction(engine) as session:
        for name in names[:6]:
            halt(session, "paper", name, reason="looked wrong")
    one = made()
    one.start()
    for _ in range(8):
        one.step()
    assert sorted(broker.posts) == sorted(intent.client_order_id for intent in intents[6:])
    assert {journal.intent(intent.id).state for intent in intents[:6]} == {IntentState.INTENT}


def test_a_run_ends_between_two_orders_when_told(journal, broker, made):
    one = made()
    one.start()
    write(journal, *[f"S{number:02}" for number in range(40)])
    stop = threading.Event()
    submit = broker.submit

    def stopping(order):
        stop.set()
        return submit(order)

    broker.submit = stopping
    one.run(stop)
    assert 1 <= len(broker.posts) <= 4
    assert journal.unknown() == []


def test_waiting_says_why_it_ends(workspace):
    journal = Journal(workspace.engine, "paper")
    (intent,) = write(journal)
    with pytest.raises(ExecutionError, match="no desk of paper is alive"):
        desk.settled(workspace, "paper", [intent], timeout=5)
    with pytest.raises(ExecutionError, match="was not compared"):
        desk.reconciled(workspace, "paper", timeout=5)
    assert not desk.stop(workspace, "paper")
    assert "none runs" in str(desk.status(workspace, "paper"))
    assert "1 intents wait" in str(desk.status(workspace, "paper"))
    one = Desk(workspace.engine, Broker())
    one.start()
    with pytest.raises(OutcomeUnknown, match="AAPL intent"):
        desk.settled(workspace, "paper", [intent], timeout=0.05)
    one.step()
    assert [found.state for found in desk.settled(workspace, "paper", [intent])] == [IntentState.ACKED]
    with pytest.raises(OutcomeUnknown, match="not ended"):
        desk.settled(workspace, "paper", [intent], until="ended", timeout=0.05)
    (kept,) = journal.write([OrderWish("MSFT", Side.BUY, Decimal(1))], bot="late", session=DAY)
    with transaction(workspace.engine) as session:
        halt(session, "paper", "MSFT", reason="looked wrong")
    with pytest.raises(ExecutionError, match="kept back by a halt: looked wrong"):
        desk.settled(workspace, "paper", [kept.intent], timeout=30)
    one.close()


# --- the start and the end, step by step


class Bots:
    """Bots that write down what is asked of them; `wants` is when they ask to be called again."""

    def __init__(self, order=None):
        self.order = [] if order is None else order
        self.wants = None
        self.errors = {}

    def __call__(self, journal):
        self.journal = journal
        return self

    def _do(self, what):
        self.order.append(what)
        if what in self.errors:
            raise self.errors[what]

    def warm_up(self, now):
        self._do("warm up")
        return 2

    def start(self):
        self._do("start")
        return 2

    def step(self, now):
        self._do("step")
        self.now = now
        return self.wants

    def close(self):
        self._do("close")


def events_of(engine, *kinds):
    with contextlib.closing(EventLog(engine)) as log:
        return [one.event for one in log.read(kinds=kinds)]


def test_a_start_is_reported_step_by_step_and_the_end_in_reverse(engine, made):
    bots = Bots()
    one = made(bots=bots, venue="XNYS")
    one.start()
    report = state(engine).startup
    assert [(step.step, step.state) for step in report.steps] == [(name, "done") for name in STEPS[2:]]
    assert "2 at work" in str(report)
    assert "XNYS is after" in str(report)
    assert bots.order == ["warm up", "start"]
    one.close()
    told = [(event.step, event.state) for event in events_of(engine, "DeskStepDone")]
    assert told == [
        *((name, "done") for name in STEPS[2:]),
        ("bots", "closed"),
        ("engine", "closed"),
        ("streams", "closed"),
    ]
    states = [(event.before, event.after) for event in events_of(engine, "DeskStatusChanged")]
    assert states == [("", "starting"), ("starting", "ready"), ("ready", "stopping"), ("stopping", "stopped")]
    with transaction(engine) as session:
        rows = session.scalars(select(AuditRow).where(AuditRow.entity == "desk").order_by(AuditRow.happened)).all()
        assert [row.action for row in rows] == ["starting", "ready", "stopping", "stopped"]


@pytest.mark.parametrize("what", ["warm up", "start"])
def test_a_step_that_fails_closes_what_was_started_and_says_why(engine, broker, made, what):
    bots = Bots()
    bots.errors[what] = NoData("no bars of AAPL.", remedy="look at the source.")
    one = made(bots=bots)
    with pytest.raises(NoData) as caught:
        one.start()
    step = {"warm up": "history", "start": "bots"}[what]
    assert caught.value.__notes__ == [f"in step {STEPS.index(step) + 1}/8 of the start, {step}"]
    now = state(engine)
    assert (now.alive, now.state, now.detail) == (False, DeskState.FAILED, "no bars of AAPL.")
    assert (now.startup.failed.step, now.startup.failed.remedy) == (step, "look at the source.")
    assert (broker.handle.connected, broker.closed) == (False, 1)
    one.fail("again")  # harmless
    assert broker.closed == 1
    successor = made()
    successor.start()


def test_a_check_goes_through_the_start_and_trades_nothing(engine, journal, broker, made):
    (intent,) = write(journal)
    bots = Bots()
    one = made(bots=bots, venue="XNYS")
    one.start(check=True)
    one.close()
    assert bots.order == ["warm up"]
    assert broker.posts == []
    assert journal.intent(intent.id).state is IntentState.INTENT
    assert occasions(engine) == ["start", "connect", "close"]
    assert state(engine).startup.complete
    assert [step.state for step in state(engine).startup.steps[-2:]] == ["skipped", "skipped"]


def test_bots_get_their_turns_at_the_markets_time_and_end_before_the_last_look(broker, clock, made):
    bots = Bots()
    one = made(bots=bots)
    one.start()
    one.step()
    assert bots.now == NOW
    one.step()
    assert bots.order.count("step") == 1  # nothing is due before a second has passed
    clock.now += 1
    bots.wants = NOW
    one.step()
    one.step()
    assert bots.order.count("step") == 3  # they asked to go on at once
    bots.order = broker.order_of_ends = []
    close = broker.handle.close
    broker.handle.close = lambda: (bots.order.append("stream closed"), close())
    one.close()
    assert bots.order == ["close", "stream closed"]


def test_what_goes_wrong_in_the_bots_does_not_stop_the_orders(journal, broker, clock, made):
    bots = Bots()
    one = made(bots=bots)
    one.start()
    bots.errors["step"] = RuntimeError("a strategy that nobody tested")
    (intent,) = write(journal)
    one.step()
    assert broker.posts == [intent.client_order_id]
    one.step()
    assert one.counters.bots_failed == 1
    bots.errors["step"] = LeaseLost("another desk has it")
    clock.now += 5
    with pytest.raises(LeaseLost):
        one.step()


def test_the_book_is_compared_when_the_session_closes_and_everybody_is_told(engine, broker, clock, made):
    moment = [NOW - dt.timedelta(hours=1)]
    broker.clock = lambda: BrokerClock(moment[0], True, None, None)
    bots = Bots()
    one = made(venue="XNYS", bots=bots)
    one.start()
    assert (state(engine).phase, state(engine).phase_until) == ("regular", NOW)
    one.step()
    before = occasions(engine)
    moment[0] = NOW
    clock.now += 5
    one.step()
    assert occasions(engine)[len(before) :] == ["session close"]
    assert bots.now == NOW
    (first, second) = events_of(engine, "MarketPhaseChanged")
    assert (first.before, first.after) == ("", "regular")
    assert (second.venue, second.before, second.after, second.at) == ("XNYS", "regular", "after", NOW)
    assert state(engine).phase == "after"
    clock.now += 5
    one.step()
    assert len(events_of(engine, "MarketPhaseChanged")) == 2


def test_a_heartbeat_carries_what_was_done_and_how_long_turns_take(engine, journal, broker, clock, made):
    one = made()
    one.start()
    (intent,) = write(journal)
    broker.replies = ["lost after"]
    one.step()
    broker.fill(intent.client_order_id)
    one.step()
    clock.now += 10
    one.step()
    found = state(engine).counters
    assert (found.sent, found.unknown, found.events, found.turns) == (1, 1, 1, 2)
    assert found.reconciliations == 2
    assert found.loop_max == 0.0  # the clock of this test stands while a desk works
    beaten = state(engine).heartbeat_at
    one.step()
    assert state(engine).heartbeat_at == beaten  # not in every turn


def test_equity_is_marked_after_every_comparison(engine, broker, clock, made):
    one = made(venue="XNYS")
    one.start()
    broker.cash -= 400
    clock.now += 46
    one.step()
    with transaction(engine) as session:
        equity = marks.equity_of(session, "paper")
    assert (equity.start, equity.newest) == (Decimal(100_000), Decimal(99_600))


def test_a_calendar_is_asked_in_no_transaction(engine, made, monkeypatch):
    """The first question reads it, for seconds on a loaded machine; PostgreSQL would end the desk meanwhile."""
    under_way, asked = [], marks.session_for

    def looking(venue, moment):
        under_way.append(engine.pool.checkedout())
        return asked(venue, moment)

    monkeypatch.setattr(marks, "session_for", looking)
    made(venue="XNYS").start()
    assert set(under_way) == {0}


def test_another_trading_state_is_noticed_in_the_next_turn(engine, journal, broker, made, caplog):
    one = made()
    one.start()
    trading_state.change(engine, "paper", TradingState.HALTED, reason="enough", who="me")
    (intent,) = write(journal)
    one.step()
    assert broker.posts == []
    assert journal.intent(intent.id).state is IntentState.INTENT
    said = [json.loads(line) for line in caplog.messages if "the trading state has changed" in line]
    assert [(one["before"], one["after"]) for one in said] == [("active", "halted")]
    (event,) = events_of(engine, "TradingStateChanged")  # of whoever changed it, not of the desk too
    assert (event.after, event.who) == ("halted", "me")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # its folder holds the kill file
def test_a_kill_that_only_the_file_tells_is_published_by_the_desk(engine, made, tmp_path):
    one = made()
    one.start()
    kill_file.write(tmp_path / "home", "paper", TradingState.HALTED, reason="no database", who="me")
    one.step()
    one.step()
    (event,) = events_of(engine, "TradingStateChanged")
    assert (event.before, event.after, event.reason, event.who) == ("active", "halted", "no database", "me")


# --- the process


@pytest.fixture
def keys(exchange, request):
    return embedded.open_account(exchange.url, name=request.node.name[:50], cash=100_000, at=NOW)


def command(workspace, account, *more):
    module = [sys.executable, "-m", "workbench.orchestration.desk"]
    return [*module, "--home", str(workspace.home), "--account", account, *more]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other process finds it by its folder
def test_a_process_of_the_desk_ends_with_its_parent_and_a_second_one_is_told_who_has_the_account(
    workspace, exchange, keys, tmp_path
):
    parent = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    secret = tmp_path / "keys.json"
    secret.write_text(json.dumps({"key_id": keys.key_id, "secret_key": keys.secret_key}))
    secret.chmod(0o600)
    start = {"key_id": keys.key_id, "secret_key": keys.secret_key, "url": exchange.url, "exit_with": parent.pid}
    handle = desk.ensure(workspace, account=keys.name, **start)
    assert handle.started
    if Path("/proc").exists():
        assert keys.secret_key not in Path(f"/proc/{handle.pid}/cmdline").read_text()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(desk.ensure(workspace, account=keys.name, **start)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one.pid, one.started) for one in found] == [(handle.pid, False)] * 2

    second = subprocess.run(
        command(workspace, keys.name, "--url", exchange.url, "--keys-file", str(secret)),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert second.returncode == desk_main.TAKEN
    assert f":{handle.pid}:" in second.stderr
    assert handle.status().ready

    parent.communicate()
    deadline = time.monotonic() + 60
    while handle.status().alive and time.monotonic() < deadline:
        time.sleep(0.05)
    assert handle.status().state is DeskState.STOPPED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other process finds it by its folder
def test_a_check_of_a_process_prints_the_steps_and_finds_the_keys_at_the_local_exchange(workspace, exchange, keys):
    found = subprocess.run(
        command(workspace, keys.name, "--check"),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, "WORKBENCH_EXCHANGE_URL": exchange.url},
    )
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert [line.split()[2] for line in lines[1:9]] == list(STEPS)
    assert [line.split()[0] for line in lines[1:9]] == ["✔"] * 6 + ["–"] * 2
    assert f"keys from the local exchange at {exchange.url}" in found.stdout
    assert keys.secret_key not in found.stdout + found.stderr
    assert desk.status(workspace, keys.name).state is DeskState.STOPPED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other process finds it by its folder
def test_a_start_without_an_exchange_says_which_step_failed(workspace):
    found = subprocess.run(command(workspace, "nobody"), capture_output=True, text=True, timeout=180, check=False)
    assert found.returncode == desk_main.FAILED
    assert "✔ 1/8 configuration" in found.stderr
    assert "✘ 2/8 credentials" in found.stderr
    assert "What to do: start the exchange" in found.stderr
    assert '"closed"' in found.stderr


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other process finds it by its folder
def test_a_process_with_wrong_keys_fails_and_says_so(workspace, exchange, keys):
    with pytest.raises(ExecutionError, match=r"did not become ready(.|\n)*failed"):
        desk.ensure(workspace, account=keys.name, key_id=keys.key_id, secret_key="wrong", url=exchange.url, timeout=180)
    assert desk.status(workspace, keys.name).state is DeskState.FAILED


def test_keys_that_others_can_read_are_not_used(tmp_path):
    settings = Settings.read(alpaca_key_id="from", alpaca_secret_key="settings")
    secret = tmp_path / "keys.json"
    secret.write_text(json.dumps({"key_id": "k", "secret_key": "s"}))
    secret.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        desk_main._keys(secret, settings)
    secret.chmod(0o600)
    assert desk_main._keys(secret, settings) == ("k", "s")
    secret.write_text("{}")
    with pytest.raises(SettingsError, match="holds no keys"):
        desk_main._keys(secret, settings)


def test_keys_of_the_environment_do_not_stay_there(monkeypatch):
    monkeypatch.setenv("WORKBENCH_ALPACA_KEY_ID", "k")
    monkeypatch.setenv("WORKBENCH_ALPACA_SECRET_KEY", "s")
    assert desk_main._keys(None, Settings.read()) == ("k", "s")
    assert "WORKBENCH_ALPACA_SECRET_KEY" not in os.environ


def test_a_local_desk_needs_an_address_and_an_account_a_name(workspace):
    given = desk_main._parser().parse_args(["--account", "a"])
    with pytest.raises(SettingsError, match="--url"):
        desk_main._broker(given, Settings.read(broker="local"), "", ("k", "s"))
    with pytest.raises(ExecutionError, match="1 to 80"):
        desk.ensure(workspace, account="x" * 81, key_id="k", secret_key="s")
