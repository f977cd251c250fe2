"""Bringing the broker's facts home: the stream's events are booked, and the book is compared when it is time to."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.errors import BrokerRefused, ExchangeUnavailable, ExecutionError, StoreError
from workbench.execution.journal.apply import Applied, apply_event, find
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.risk import marks
from workbench.market.order import IntentState
from workbench.store.engine import transaction
from workbench.store.tables.execution import ReconciliationRow
from workbench.trace import get_logger, tracing

if TYPE_CHECKING:
    from workbench.execution.brokers.broker import Broker, BrokerEvent, StreamHandle
    from workbench.execution.journal.journal import Journal
    from workbench.execution.reconciliation.discrepancy import Reconciliation
    from workbench.orchestration.desk_counters import Tally
    from workbench.store.lease import Lease

BLIND_SECONDS = 5.0  # how often to reconcile while the stream is away
PASSES = 3
_MAY_BE_IN_FLIGHT = {IntentState.SENDING, IntentState.UNKNOWN}


class DeskBook:
    """One account's facts, on the desk's thread; what the stream's thread hears waits in a queue.

    Args:
        every: seconds between two comparisons of the book with the broker's.
        venue: whose sessions the equity is marked by.
        lease: the account's; a pass proves it in its transaction.
        wake: set when the stream has brought something.
    """

    def __init__(
        self,
        journal: Journal,
        broker: Broker,
        *,
        every: float,
        venue: str,
        lease: Callable[[], Lease],
        wake: threading.Event,
        tally: Tally,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._journal, self._broker, self._every, self._venue = journal, broker, every, venue
        self._lease, self._wake, self._tally = lease, wake, tally
        self._now, self._sleep = monotonic, sleep
        self._log = get_logger(__name__).bind(account=journal.account)
        self._events: queue.SimpleQueue[BrokerEvent] = queue.SimpleQueue()
        self._connects: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._stream: StreamHandle | None = None
        self._failures = 0
        self._next = self._back_off = 0.0
        self._unanswered = ""
        self.trusted = False  # a pass of this process was clean: trading may begin

    @property
    def trouble(self) -> str:
        """Why the facts may be late; empty when all is well."""
        if self._unanswered:
            return self._unanswered
        return "the stream is away" if self._stream is None or not self._stream.connected else ""

    # --- start and end

    def connect(self, seconds: float) -> bool:
        """Start the stream and wait for it, at most so long; whether it is connected. It goes on trying by itself."""
        self._stream = self._broker.stream(self._hear, self._connected)
        deadline = self._now() + seconds
        while not self._stream.connected and self._now() < deadline:
            self._sleep(0.01)
        return self._stream.connected

    def disconnect(self) -> None:
        """End the stream, and book what it has brought."""
        if self._stream is not None:
            self._stream.close()
        self.apply()

    def begin(self) -> Reconciliation:
        """The first comparison, repeated a few times until it is clean; then the one that follows a connect.

        Raises:
            ExchangeUnavailable, BrokerRefused: the broker could not be read.
            ExecutionError: the book and the broker's do not come to agree.
        """
        done = self._passes("start")
        if not self.trusted:
            raise ExecutionError(
                f"the book of {self._journal.account} and the broker's differ after {PASSES} passes; no order leaves.",
                remedy="look at the discrepancies of this account; fills may still be on their way: start it again.",
            )
        self.listen()
        return done

    def finish(self, grace: float) -> int:
        """Find out what may be live, for up to `grace` seconds; how many orders stay of unknown fate."""
        deadline = self._now() + grace
        while True:
            self._lease().renew()
            self.apply()
            with contextlib.suppress(ExchangeUnavailable, BrokerRefused):
                reconcile(self._journal, self._broker, "close", lease=self._lease(), sleep=self._sleep)
            unsure = [one for one in self._journal.unknown() if one.state in _MAY_BE_IN_FLIGHT]
            if not unsure or self._now() >= deadline:
                return len(unsure)
            self._sleep(0.5)

    # --- inside a turn

    def listen(self) -> None:
        """Take in what the stream brought; compare after a connect, after a loss, and when the time has come."""
        suspicious = self.apply()
        reconnected = False
        while not self._connects.empty():
            self._connects.get()
            reconnected = True
        stream = self._stream
        if stream is not None and stream.failures != self._failures:
            self._failures, suspicious = stream.failures, True
        if self.must_wait:
            return
        if reconnected:
            self.compare("connect")
        elif suspicious:
            self.compare("repair")
        elif self._now() >= self._next:
            self.compare("periodic")

    @property
    def must_wait(self) -> bool:
        """Whether the broker did not answer a moment ago, so that it is not asked again yet."""
        return self._now() < self._back_off

    def compare(self, occasion: str) -> Reconciliation | None:
        """Compare the book until a pass is clean, a few times at most. None: the broker could not be read."""
        try:
            return self._passes(occasion)
        except (ExchangeUnavailable, BrokerRefused) as error:
            self._back_off = self._next = self._now() + BLIND_SECONDS
            self._unanswered = f"the broker does not answer: {error.message}"
            self._log.warning("no reconciliation", occasion=occasion, error=error.message)
            return None

    def apply(self) -> bool:
        """Book every waiting event; whether one left something open that a reconciliation must settle."""
        suspicious = False
        while not self._events.empty():
            event = self._events.get()
            self._tally.count("events")
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

    def _passes(self, occasion: str) -> Reconciliation:
        for _ in range(PASSES):
            done = reconcile(self._journal, self._broker, occasion, lease=self._lease(), sleep=self._sleep)
            self._tally.count("reconciliations")
            self._tally.count("discrepancies", len(done.discrepancies))
            self.trusted |= done.clean
            if done.clean:
                break
        self._mark(done)
        self._unanswered = ""
        self._next = self._now() + (min(self._every, BLIND_SECONDS) if self.trouble else self._every)
        return done

    def _mark(self, done: Reconciliation) -> None:
        """Remember the equity that the broker told: losses of the day and from the peak are measured by it."""
        with transaction(self._journal.engine) as session:
            row = session.get(ReconciliationRow, done.id)
            moment = None if row is None else row.broker_time
        if moment is None:  # it met another account
            return
        # In no transaction: the first question to a calendar reads it, for seconds on a loaded machine. Meanwhile
        # nobody else could write to a SQLite file, and PostgreSQL would end the desk as one that hangs.
        of = marks.session_for(self._venue, moment)
        with transaction(self._journal.engine) as session:
            self._lease().check(session)
            marks.record(session, self._journal.account, done.equity, moment, self._venue, of=of)

    def _book(self, event: BrokerEvent) -> Applied:
        with transaction(self._journal.engine) as session:
            row = find(session, self._journal.account, event.order.id, event.order.client_order_id)
            with tracing(row.trace_id) if row is not None else contextlib.nullcontext():
                return apply_event(session, self._journal.account, event, at=self._journal.clock())

    # --- from the stream's thread

    def _hear(self, event: BrokerEvent) -> None:
        self._events.put(event)
        self._wake.set()

    def _connected(self) -> None:
        self._connects.put(None)
        self._wake.set()
