"""Cancelling everything that is open at the broker, by id, until nothing is: the core of the kill switch."""

from __future__ import annotations

import contextlib
import datetime as dt
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.errors import BrokerRefused, ExchangeUnavailable, OutcomeUnknown
from workbench.execution.brokers.broker import Outcome
from workbench.trace import get_logger, trace_id, tracing

if TYPE_CHECKING:
    from workbench.execution.brokers.broker import Broker, BrokerOrder

FINAL = frozenset({404, 410, 422})  # refusals that say that there is nothing (more) to cancel
_AGAIN = 0.5  # seconds after which an order that is still open is asked for again
_POLL, _LONGEST_POLL = 0.02, 0.5


@dataclass(slots=True)
class Sweep:
    """What came of sweeping.

    Attributes:
        asked: broker ids for which a cancel was accepted.
        left: orders of ours that are still open.
        foreign: open orders that are not ours and were left alone.
        unknown: client_order_ids of which the broker has no order, or does not say.
        rounds: how often the open orders were read.
        trouble: the newest thing that went wrong, in words.
    """

    asked: dict[str, str] = field(default_factory=dict)
    left: list[BrokerOrder] = field(default_factory=list)
    foreign: list[BrokerOrder] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    rounds: int = 0
    first_cancel_s: float | None = None
    zero_s: float | None = None
    trouble: str = ""


@dataclass(slots=True)
class Sweeper:
    """Sweeps one account. `brokers` are sessions of the same account, each used by one thread at a time.

    Attributes:
        unresolved: tells the client_order_ids whose orders may reach the broker at any moment or may be there already
            (SENDING, UNKNOWN), and whether each was sent so recently that its request may still be on its way.
        blind: whether the journal cannot tell, so that a request may be on its way without being known.
        budget: asks for up to n requests of the lane `cancel`: how many may go now, and when there are more.
        clock, sleep: a monotonic clock in seconds.
    """

    brokers: Sequence[Broker]
    include_foreign: bool
    unresolved: Callable[[], dict[str, bool]]
    blind: Callable[[], bool]
    budget: Callable[[int], tuple[int, float]]
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def sweep(self, *, started: float, timeout: float) -> Sweep:
        """Read what is open, cancel it, read again, until nothing of ours is open and no request of ours on its way.

        It ends in any case `timeout` seconds after `started`.
        """
        done, tried, pause = Sweep(), dict[str, float](), _POLL
        while True:
            waiting = self._round(done, tried, started)
            if not waiting or self.clock() - started >= timeout:
                return done
            self.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL)  # each look is a request of the same budget

    def _round(self, done: Sweep, tried: dict[str, float], started: float) -> bool:
        """One reading and the cancels that follow from it. Whether another is needed."""
        pending, blind = self.unresolved(), self.blind()
        found = self._open_orders(done)
        if found is None:
            done.zero_s = None
            return True
        ours = [order for order in found if order.is_ours or self.include_foreign]
        known = {order.client_order_id for order in ours}
        done.foreign = [order for order in found if not order.is_ours and not self.include_foreign]
        done.unknown = []
        on_their_way = blind
        for name, recent in pending.items():
            if name in known:
                continue
            order, said = self._look_up(name, done)
            if order is None:
                done.unknown.append(name)
                on_their_way = on_their_way or recent or not said
            elif order.is_open:
                ours.append(order)
        done.left, done.rounds = ours, done.rounds + 1
        if not ours:
            done.zero_s = done.zero_s if done.zero_s is not None else self.clock() - started
            return on_their_way
        done.zero_s = None
        now = self.clock()
        self._cancel([order for order in ours if now - tried.get(order.id, -_AGAIN) >= _AGAIN], done, tried, started)
        return True

    def _cancel(self, orders: list[BrokerOrder], done: Sweep, tried: dict[str, float], started: float) -> None:
        """Ask for every cancel, as far as the budget goes."""
        if not orders:
            return
        granted, pause = self.budget(len(orders))
        if granted < len(orders):
            done.trouble = f"the budget of requests let {granted} of {len(orders)} cancels go at once"
        if not granted:
            self.sleep(pause)
            return
        if done.first_cancel_s is None:
            done.first_cancel_s = self.clock() - started
        if self._ask_all(orders[:granted], done, tried):
            self.sleep(1.0)

    def _ask_all(self, orders: list[BrokerOrder], done: Sweep, tried: dict[str, float]) -> bool:
        """One thread for each session of the broker. Whether it said that there were too many requests."""
        work: queue.SimpleQueue[BrokerOrder] = queue.SimpleQueue()
        for order in orders:
            work.put(order)
        trace, limited = trace_id(), threading.Event()

        def run(broker: Broker) -> None:
            with tracing(trace), contextlib.suppress(queue.Empty):
                while not limited.is_set():
                    if self._ask(broker, work.get_nowait(), done, tried):
                        limited.set()

        threads = [
            threading.Thread(target=run, args=(broker,), name=f"kill-{number}", daemon=True)
            for number, broker in enumerate(self.brokers[1 : len(orders)], start=1)
        ]
        for thread in threads:
            thread.start()
        run(self.brokers[0])
        for thread in threads:
            thread.join()
        return limited.is_set()

    def _ask(self, broker: Broker, order: BrokerOrder, done: Sweep, tried: dict[str, float]) -> bool:
        """Ask for one cancel. Whether the broker said that there were too many requests."""
        reply = broker.cancel(order.id)
        tried[order.id] = self.clock()
        if reply.outcome is Outcome.PLACED:
            done.asked[order.id] = order.client_order_id
        elif reply.outcome is Outcome.LIMITED:
            tried.pop(order.id, None)
            done.trouble = "the broker answered that there were too many requests (HTTP 429)"
            return True
        elif not (reply.outcome is Outcome.REFUSED and reply.http_status in FINAL):
            done.trouble = f"cancel of {order.client_order_id or order.id}: {reply.message or reply.outcome.value}"
        return False

    def _open_orders(self, done: Sweep) -> list[BrokerOrder] | None:
        try:
            return self.brokers[0].open_orders()
        except (ExchangeUnavailable, BrokerRefused, OutcomeUnknown) as error:
            done.trouble = error.message
            get_logger(__name__).warning("open orders cannot be read", error=error.message)
            retry_at = error.facts.get("retry_at")
            if isinstance(retry_at, dt.datetime):
                self.sleep(1.0)
            return None

    def _look_up(self, name: str, done: Sweep) -> tuple[BrokerOrder | None, bool]:
        """The order under a name of ours, and whether the broker said anything."""
        try:
            return self.brokers[0].order_by_client_id(name), True
        except (ExchangeUnavailable, BrokerRefused, OutcomeUnknown) as error:
            done.trouble = error.message
            return None, False
