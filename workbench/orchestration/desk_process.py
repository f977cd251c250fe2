"""The desk at work: the one process that takes an account's intents to the broker and brings its facts home."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.exc import SQLAlchemyError

from workbench.errors import ExchangeUnavailable, ExecutionError, LeaseLost, WorkbenchError
from workbench.execution.journal.journal import Journal
from workbench.execution.submitter.submit import Pace, Pumped, pump
from workbench.orchestration import desk_lease, desk_state
from workbench.orchestration.desk_book import BLIND_SECONDS, DeskBook
from workbench.orchestration.desk_bots import BotsAtWork, BotTurns
from workbench.orchestration.desk_counters import Counters, Tally
from workbench.orchestration.desk_hours import MarketTime
from workbench.orchestration.desk_keeper import Fenced, Held, Keeper
from workbench.orchestration.desk_state import DeskState
from workbench.orchestration.desk_watch import DeskWatch
from workbench.orchestration.startup import Startup, StepReport
from workbench.store.engine import transaction
from workbench.store.lease import TTL, Lease
from workbench.store.schema import utc_now
from workbench.trace import get_logger

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workbench.execution.brokers.broker import Broker

__all__ = ["BLIND_SECONDS", "BotsAtWork", "Desk"]

BATCH = 4  # orders per step: a step must end soon enough to hear events and to obey a signal
IDLE_SECONDS = 0.1
HELD_SECONDS = 1.0
STREAM_SECONDS = 3.0
_SESSION_CLOSE = "session close"


class Desk:
    """One account's trading: `start`, then `step` again and again (or `run`), then `close`, all on one thread.

    Nothing is sent before a first reconciliation was clean. Facts from the stream wait in a queue and enter in `step`.

    Args:
        broker: the account; this desk closes it.
        url: where the broker is, for others to see; never a key.
        reconcile_seconds: how often the book is compared with the broker's.
        ttl: how long the lease lasts without a sign of life.
        keep: renew the lease on a thread of its own, so that it may be short.
        bots: makes the engine of the account's bots from its journal; None: none work here.
        venue: whose hours are watched, and by whose sessions equity is marked; None: no hours are watched.
        startup: steps that were done before; the desk's own follow them.
        clock: the wall's, for moments that are written. monotonic, sleep: for what lasts.
    """

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        *,
        url: str = "",
        reconcile_seconds: float = 45.0,
        ttl: dt.timedelta = TTL,
        keep: bool = False,
        pace: Pace | None = None,
        bots: Callable[[Journal], BotsAtWork] | None = None,
        venue: str | None = None,
        startup: Startup | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.account = broker.name
        self.journal = Journal(engine, broker.name, clock)
        self.wake = threading.Event()
        self._engine, self._broker, self._url = engine, broker, url
        self._ttl, self._keep, self._pace = ttl, keep, pace
        self._clock, self._now, self._sleep = clock, monotonic, sleep
        self._log = get_logger(__name__).bind(account=broker.name)
        self._lease: Lease | None = None
        self._kept: Held | None = None
        self._keeper: Keeper | None = None
        self._state, self._detail, self._why = DeskState.STARTING, "", ""
        self._alive_at = monotonic()
        self._next_beat = self._next_pump = 0.0
        self._last = Pumped()
        self._grace = 0.0
        self._closed = False
        self._tally = Tally()
        self._market_time = MarketTime(broker, clock=clock, monotonic=monotonic)
        made = None if bots is None else bots(self.journal)
        self._bots = BotTurns(made, self._market_time, tally=self._tally, monotonic=monotonic, account=broker.name)
        self._watch = DeskWatch(engine, broker.name, venue=venue, market_time=self._market_time, tell=self._tell)
        self._startup = startup or Startup(broker.name, monotonic=monotonic)
        self._startup.on_step = self._told
        self._mark = self._startup.mark()
        self._book = DeskBook(
            self.journal,
            broker,
            every=reconcile_seconds,
            venue=venue or "XNYS",
            lease=self._held,
            wake=self.wake,
            tally=self._tally,
            monotonic=monotonic,
            sleep=sleep,
        )

    # --- the life of a desk

    def start(self, *, patience: float = 10.0, check: bool = False) -> None:
        """Connections → history → streams → engine → bots → monitoring, each timed and reported.

        A step that fails closes all that was started, in reverse, and is named in a note of what it raises.

        Args:
            patience: seconds to go on asking a broker that does not answer.
            check: leave out what trades: the book is compared, no bot looks, nothing is sent.

        Raises:
            LeaseLost: another desk has this account; the message says which. Nothing was touched.
            ExchangeUnavailable, BrokerRefused: the broker could not be read.
            ExecutionError: the book and the broker's do not come to agree.
        """
        step, bots = self._startup.step, self._bots.engine
        try:
            step("connections", lambda: self._connect(patience), undo=self._disconnect, detail=str)
            if bots is None:
                self._startup.skip("history", "no bots work on this desk")
            else:
                step("history", lambda: bots.warm_up(self._market_time()), detail=lambda n: f"of {n} bots")
            step("streams", self._stream, undo=self._book.disconnect, detail=str)
            step("engine", self._begin, undo=self._finish, detail=str)
            if bots is None or check:
                self._startup.skip("bots", "nothing is traded in a check" if check else "none work on this desk")
            else:
                step("bots", bots.start, undo=bots.close, detail=lambda n: f"{n} at work")
            if check:
                self._startup.skip("monitoring", "a check ends here")
            else:
                step("monitoring", self._look_first, detail=str)
        except BaseException as error:
            self._why = error.message if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
            self._startup.close(self._mark)
            raise

    def step(self) -> Pumped:
        """One turn: sign of life, events, a reconciliation if one is due, the bots, then at most a few orders.

        Raises:
            LeaseLost: another desk owns the account; stop at once.
        """
        lease = self._held()
        self.wake.clear()
        self._alive_at = began = self._now()
        self._beat()
        self._book.listen()
        self._answer()
        self._look_around()
        self._say_how_it_is()
        if self._book.trusted:
            self._bots.turn()
        done = self._pump(lease)
        self._tally.pumped(done)
        self._tally.took(self._now() - began)
        return done

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set. Raises LeaseLost."""
        while not stop.is_set():
            done = self.step()
            if _idle(done):
                self.wake.wait(IDLE_SECONDS)

    def close(self, *, grace: float = 15.0) -> None:
        """The start in reverse: bots, what may be live, the stream, the lease, each timed and reported.

        No new order leaves. What was sent and never answered is looked for at the broker for up to `grace` seconds;
        what stays unknown then is kept as UNKNOWN for the next desk.
        """
        self._grace = grace
        self._startup.close(self._mark)
        self._close_broker()
        self._log.info("desk stopped")

    def fail(self, why: str) -> None:
        """Say why this desk could not go on, and give the lease back. After a lost lease neither has an effect."""
        self._log.error("desk failed", why=why)
        self._why = why
        self._startup.close(self._mark)
        self._close_broker()

    @property
    def counters(self) -> Counters:
        """What it has done so far."""
        return self._tally.counters()

    # --- the steps of the start, and how they are undone

    def _connect(self, patience: float) -> str:
        """The lease, and a broker that answers."""
        clock = None if self._clock is utc_now else self._clock
        self._lease = desk_lease.take(self._engine, self.account, ttl=self._ttl, clock=clock)
        self._kept = Held(self._lease, self._now)
        if self._keep:
            self._keeper = Keeper(self._kept, lambda: self._now() - self._alive_at)
        desk_state.announce(self._engine, self.account, self._lease, url=self._url, startup=self._startup.report)
        deadline = self._now() + patience
        while True:
            try:
                theirs = self._broker.clock().now
            except ExchangeUnavailable as error:
                if self._now() >= deadline:
                    raise
                self._say(DeskState.STARTING, f"waiting for the broker: {error.message}")
                self._held().renew()
                self._sleep(0.5)
            else:
                told = "" if theirs is None else f", the broker's time is {theirs:%Y-%m-%d %H:%M:%S} UTC"
                return f"lease with token {self._lease.token}{told}"

    def _disconnect(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
        if self._lease is not None:
            self._say(DeskState.FAILED if self._why else DeskState.STOPPED, self._why, counters=self.counters)
            self._lease.release()
            self._lease = None
        self._close_broker()

    def _close_broker(self) -> None:
        if not self._closed:
            self._closed = True
            self._broker.close()

    def _stream(self) -> str:
        self._say(DeskState.STARTING, "connecting the stream")
        return "connected" if self._book.connect(STREAM_SECONDS) else "not connected yet; it goes on trying"

    def _begin(self) -> str:
        self._say(DeskState.STARTING, "reconciling")
        unresolved = self.journal.recover(self._held())
        done = self._book.begin()
        return f"book clean, {done.orders} orders, {done.positions} positions, {len(unresolved)} were unresolved"

    def _finish(self) -> None:
        """Nothing is given up that may be live, unless the lease is lost or nothing could be read from the start."""
        if self._lease is None or self._why:
            return
        try:
            self._say(DeskState.STOPPING, "")
            unsure = self._book.finish(self._grace)
            self._log.info("last reconciliation", unresolved=unsure)
        except LeaseLost as lost:
            self._log.warning("the lease was lost while stopping", error=lost.message)

    def _look_first(self) -> str:
        self._watch.begin()
        self._say_how_it_is()
        return self._watch.line

    def _told(self, one: StepReport) -> None:
        """Report a step: to the log, the desk's row and the event log (from the lease on)."""
        self._alive_at = self._now()
        facts = {"seconds": round(one.seconds, 3), "detail": one.detail}
        self._log.info("start step", step=f"{one.number}/8", what=one.step, state=one.state, **facts)
        if self._lease is None:
            return
        told = (desk_state.step_event(self.account, one),)
        try:
            self._tell(startup=self._startup.report, events=told)
        except SQLAlchemyError as error:
            if one.state != "closed":
                raise
            self._log.warning("a closed step was not written down", error=f"{type(error).__name__}: {error}")

    # --- inside a step

    def _beat(self) -> None:
        """A sign of life with the counters, and a longer lease where no keeper renews it."""
        if self._now() < self._next_beat:
            return
        if self._keeper is None:
            self._proved().renew()
        self._proved().prove()
        self._tell(counters=self.counters)
        self._next_beat = self._now() + self._ttl.total_seconds() / 3

    def _answer(self) -> None:
        """Reconcile because somebody asked, and say which pass is the answer; notice another trading state."""
        with transaction(self._engine) as session:
            asks, answered, _ = desk_state.asked(session, self.account)
            allowed = self._watch.allowed(session)
        self._watch.noticed(allowed)
        if asks > answered and not self._book.must_wait:
            self._book.apply()
            done = self._book.compare("asked")
            if done is not None:
                desk_state.answer(self._engine, self.account, self._held().token, number=asks, reconciliation=done.id)

    def _look_around(self) -> None:
        """Notice that the market opened or closed: bots may look at once, and the book is compared at the close."""
        change = self._watch.hours()
        if change is None:
            return
        self._bots.soon()
        if change.is_close and not self._book.must_wait:
            self._book.compare(_SESSION_CLOSE)

    def _pump(self, lease: Lease) -> Pumped:
        if not self._book.trusted or self._now() < self._next_pump:
            return Pumped()
        # What a halt holds back stands at the head of the queue; the pass must reach past it.
        limit = BATCH + self._last.held
        fenced = cast("Broker", Fenced(self._broker, self._proved()))
        self._last = pump(self.journal, fenced, lease, pace=self._pace, limit=limit)
        stuck = _idle(self._last) and 0 < self._last.held < limit
        self._next_pump = self._now() + (HELD_SECONDS if stuck else 0.0)
        return self._last

    def _say_how_it_is(self) -> None:
        """READY, or DEGRADED and why; written down when it is not what was said last."""
        trouble = self._book.trouble
        state = DeskState.DEGRADED if trouble else DeskState.READY
        if (state, trouble) != (self._state, self._detail):
            self._say(state, trouble)

    def _held(self) -> Lease:
        if self._lease is None:
            raise ExecutionError(f"the desk of {self.account} was not started.", remedy="call start() first.")
        return self._lease

    def _proved(self) -> Held:
        self._held()
        return cast("Held", self._kept)

    def _tell(self, **more: Any) -> None:
        self._say(self._state, self._detail, **more)

    def _say(self, state: DeskState, detail: str, **more: Any) -> None:
        if (state, detail) != (self._state, self._detail):
            self._log.info("desk", state=str(state), detail=detail)
        self._state, self._detail = state, detail
        desk_state.say(self._engine, self.account, self._held().token, state, detail, **more)


def _idle(done: Pumped) -> bool:
    """Whether a pass over the outbox moved nothing."""
    return done == Pumped(held=done.held, next_at=done.next_at)
