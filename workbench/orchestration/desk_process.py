"""The desk at work: the one process that takes an account's intents to the broker and brings its facts home."""

from __future__ import annotations

import contextlib
import datetime as dt
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.errors import BrokerRefused, ExchangeUnavailable, ExecutionError, LeaseLost, StoreError
from workbench.execution.apply import Applied, apply_event, find
from workbench.execution.journal import Journal
from workbench.execution.reconcile import reconcile
from workbench.execution.submit import Pace, Pumped, pump
from workbench.market.order import IntentState
from workbench.orchestration import desk_state
from workbench.orchestration.desk_state import DeskState
from workbench.store.engine import transaction
from workbench.store.lease import TTL, Lease
from workbench.store.schema import utc_now
from workbench.trace import get_logger, tracing

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workbench.execution.broker import Broker, BrokerEvent, StreamHandle
    from workbench.execution.discrepancy import Reconciliation

BATCH = 4  # orders per step: a step must end soon enough to renew the lease, to hear events and to obey a signal
IDLE_SECONDS = 0.1
HELD_SECONDS = 1.0
STREAM_SECONDS = 10.0
BLIND_SECONDS = 5.0  # how often to reconcile while the stream is away
PASSES = 3
_MAY_BE_IN_FLIGHT = {IntentState.SENDING, IntentState.UNKNOWN}


class Desk:
    """One account's trading: `start`, then `step` again and again (or `run`), then `close`, all on one thread.

    Nothing is sent before a first reconciliation was clean. Facts from the stream wait in a queue and enter in `step`.

    Args:
        broker: the account; this desk closes it.
        url: where the broker is, for others to see; never a key.
        reconcile_seconds: how often the book is compared with the broker's.
        ttl: how long the lease lasts without a sign of life.
    """

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        *,
        url: str = "",
        reconcile_seconds: float = 45.0,
        ttl: dt.timedelta = TTL,
        pace: Pace | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.account = broker.name
        self.journal = Journal(engine, broker.name, clock)
        self.wake = threading.Event()
        self._engine, self._broker, self._url = engine, broker, url
        self._every, self._ttl, self._pace = reconcile_seconds, ttl, pace
        self._clock, self._now, self._sleep = clock, monotonic, sleep
        self._log = get_logger(__name__).bind(account=broker.name)
        self._events: queue.SimpleQueue[BrokerEvent] = queue.SimpleQueue()
        self._connects: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lease: Lease | None = None
        self._stream: StreamHandle | None = None
        self._state, self._detail = DeskState.STARTING, ""
        self._trusted = False  # a pass of this process was clean: trading may begin
        self._failures = 0
        self._next_beat = self._next_reconcile = self._next_pump = 0.0
        self._back_off = 0.0
        self._last = Pumped()

    # --- the life of a desk

    def start(self, *, patience: float = 10.0) -> None:
        """Lease → recovery → first reconciliation, until it is clean → stream → reconciliation after the connect.

        Args:
            patience: seconds to go on asking a broker that does not answer.

        Raises:
            LeaseLost: another desk has this account; the message says which. Nothing was touched.
            ExchangeUnavailable, BrokerRefused: the broker could not be read.
            ExecutionError: the book and the broker's do not come to agree.
        """
        self._lease = desk_state.take(self._engine, self.account, ttl=self._ttl, clock=self._clock)
        desk_state.announce(self._engine, self.account, self._lease, url=self._url)
        self._step_log(1, "lease", token=self._lease.token)
        unresolved = self.journal.recover(self._lease)
        self._step_log(2, "recovery", unresolved=len(unresolved))
        self._say(DeskState.STARTING, "reconciling")
        self._first_reconciliation(patience)
        if not self._trusted:
            raise ExecutionError(
                f"the book of {self.account} and the broker's differ after {PASSES} passes; nothing is traded.",
                remedy="look at the discrepancies of this account; fills may still be on their way: start it again.",
            )
        self._step_log(3, "first reconciliation")
        self._say(DeskState.STARTING, "connecting the stream")
        self._stream = self._broker.stream(self._hear, self._connected)
        deadline = self._now() + STREAM_SECONDS
        while not self._stream.connected and self._now() < deadline:
            self._sleep(0.01)
        self._step_log(4, "stream", connected=self._stream.connected)
        self._listen()
        self._step_log(5, "ready", state=str(self._state))

    def step(self) -> Pumped:
        """One turn: sign of life, events, a reconciliation if one is due, then at most a few orders.

        Raises:
            LeaseLost: another desk owns the account; stop at once.
        """
        lease = self._held()
        self.wake.clear()
        if self._now() >= self._next_beat:
            lease.renew()
            self._say(self._state, self._detail)
            self._next_beat = self._now() + self._ttl.total_seconds() / 3
        self._listen()
        self._answer()
        if self._trusted and self._now() >= self._next_pump:
            # What a halt holds back stands at the head of the queue; the pass must reach past it.
            limit = BATCH + self._last.held
            self._last = pump(self.journal, self._broker, lease, pace=self._pace, limit=limit)
            stuck = _idle(self._last) and 0 < self._last.held < limit
            self._next_pump = self._now() + (HELD_SECONDS if stuck else 0.0)
            return self._last
        return Pumped()

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set. Raises LeaseLost."""
        while not stop.is_set():
            done = self.step()
            if _idle(done):
                self.wake.wait(IDLE_SECONDS)

    def close(self, *, grace: float = 15.0) -> None:
        """The start in reverse: find out what may be live, end the stream, say so, give the lease back.

        No new order leaves. What was sent and never answered is looked for at the broker for up to `grace` seconds;
        what stays unknown then is kept as UNKNOWN for the next desk.
        """
        try:
            if self._lease is not None:
                self._say(DeskState.STOPPING, "")
                self._finish_what_may_be_live(grace)
        except LeaseLost as lost:
            self._log.warning("the lease was lost while stopping", error=lost.message)
        finally:
            if self._stream is not None:
                self._stream.close()
            with contextlib.suppress(LeaseLost):
                self._apply_events()
            if self._lease is not None:
                self._say(DeskState.STOPPED, "")
                self._lease.release()
                self._lease = None
            self._broker.close()
            self._log.info("desk stopped")

    def fail(self, why: str) -> None:
        """Say why this desk could not go on, and give the lease back. After a lost lease neither has an effect."""
        self._log.error("desk failed", why=why)
        if self._stream is not None:
            self._stream.close()
        if self._lease is not None:
            self._say(DeskState.FAILED, why)
            self._lease.release()
            self._lease = None
        self._broker.close()

    # --- from the stream's thread

    def _hear(self, event: BrokerEvent) -> None:
        self._events.put(event)
        self.wake.set()

    def _connected(self) -> None:
        self._connects.put(None)
        self.wake.set()

    # --- inside a step

    def _listen(self) -> None:
        """Take in what the stream brought; reconcile after a connect, after a loss, and when the time has come."""
        suspicious = self._apply_events()
        reconnected = False
        while not self._connects.empty():
            self._connects.get()
            reconnected = True
        stream = self._stream
        if stream is not None and stream.failures != self._failures:
            self._failures, suspicious = stream.failures, True
        if self._now() < self._back_off:
            return
        if reconnected:
            self._reconcile("connect")
        elif suspicious:
            self._reconcile("repair")
        elif self._now() >= self._next_reconcile:
            self._reconcile("periodic")

    def _first_reconciliation(self, patience: float) -> None:
        deadline = self._now() + patience
        while True:
            try:
                self._reconcile("start")
            except ExchangeUnavailable as error:
                if self._now() >= deadline:
                    raise
                self._say(DeskState.STARTING, f"waiting for the broker: {error.message}")
                self._held().renew()
                self._sleep(0.5)
            else:
                return

    def _apply_events(self) -> bool:
        """Book every waiting event; whether one left something open that a reconciliation must settle."""
        suspicious = False
        while not self._events.empty():
            event = self._events.get()
            try:
                applied = self._book(event)
            except StoreError as error:  # one event that does not fit must not silence the others
                self._log.error("event not booked", order=event.order.client_order_id, error=error.message)
                suspicious = True
                continue
            suspicious |= bool(applied.flags) or applied.missing_qty > 0
            facts = {"order": event.order.client_order_id, "state": str(applied.state or "foreign")}
            self._log.info("event", event_kind=event.event, **facts)
        return suspicious

    def _book(self, event: BrokerEvent) -> Applied:
        with transaction(self._engine) as session:
            row = find(session, self.account, event.order.id, event.order.client_order_id)
            with tracing(row.trace_id) if row is not None else contextlib.nullcontext():
                return apply_event(session, self.account, event, at=self._clock())

    def _reconcile(self, occasion: str) -> Reconciliation | None:
        """Compare until a pass is clean, a few times at most. None: the broker could not be read, it is tried again."""
        done = None
        try:
            for _ in range(PASSES):
                done = reconcile(self.journal, self._broker, occasion, lease=self._held(), sleep=self._sleep)
                self._trusted |= done.clean
                if done.clean:
                    break
        except (ExchangeUnavailable, BrokerRefused) as error:
            if self._stream is None:
                raise  # still starting
            self._back_off = self._now() + BLIND_SECONDS
            self._next_reconcile = self._back_off
            self._say(DeskState.DEGRADED, f"the broker does not answer: {error.message}")
            self._log.warning("no reconciliation", occasion=occasion, error=error.message)
            return None
        blind = self._stream is None or not self._stream.connected
        self._next_reconcile = self._now() + min(self._every, BLIND_SECONDS if blind else self._every)
        if self._stream is not None:
            self._say(DeskState.DEGRADED if blind else DeskState.READY, "the stream is away" if blind else "")
        return done

    def _answer(self) -> None:
        """Reconcile because somebody asked, and say which pass is the answer."""
        with transaction(self._engine) as session:
            asks, answered, _ = desk_state.asked(session, self.account)
        if asks > answered and self._now() >= self._back_off:
            self._apply_events()
            done = self._reconcile("asked")
            if done is not None:
                desk_state.answer(self._engine, self.account, self._held().token, number=asks, reconciliation=done.id)

    def _finish_what_may_be_live(self, grace: float) -> None:
        deadline = self._now() + grace
        while True:
            self._held().renew()
            self._apply_events()
            with contextlib.suppress(ExchangeUnavailable, BrokerRefused):
                reconcile(self.journal, self._broker, "close", lease=self._held(), sleep=self._sleep)
            unsure = [one for one in self.journal.unknown() if one.state in _MAY_BE_IN_FLIGHT]
            if not unsure or self._now() >= deadline:
                self._log.info("last reconciliation", unresolved=len(unsure))
                return
            self._sleep(0.5)

    def _held(self) -> Lease:
        if self._lease is None:
            raise ExecutionError(f"the desk of {self.account} was not started.", remedy="call start() first.")
        return self._lease

    def _say(self, state: DeskState, detail: str) -> None:
        if (state, detail) != (self._state, self._detail):
            self._log.info("desk", state=str(state), detail=detail)
        self._state, self._detail = state, detail
        desk_state.say(self._engine, self.account, self._held().token, state, detail)

    def _step_log(self, number: int, what: str, **facts: object) -> None:
        self._log.info("start step", step=f"{number}/5", what=what, **facts)


def _idle(done: Pumped) -> bool:
    """Whether a pass over the outbox moved nothing."""
    return done == Pumped(held=done.held, next_at=done.next_at)
