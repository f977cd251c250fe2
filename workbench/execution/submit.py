"""The submitter: passes over the outbox in which each answer of the broker, and each silence, has one consequence."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from workbench.errors import BrokerRefused, ExchangeUnavailable, OutcomeUnknown
from workbench.execution.broker import Broker, BrokerOrder, Outcome, Reply
from workbench.execution.journal import Journal, Work
from workbench.market.order import IntentState
from workbench.store.lease import Lease
from workbench.trace import tracing

_UNAUTHORIZED = 401
_FINAL = frozenset({404, 410, 422})  # refusals that say that there is nothing (more) to cancel
_S = IntentState


@dataclass(frozen=True, slots=True)
class Pace:
    """When to look again; seconds.

    Attributes:
        lookups: an order of unknown fate is looked up by its client_order_id this long after it was sent.
        again: pause between later look-ups, and between cancels without an answer.
        watch_every: pause between look-ups of an order that was given up.
        watch_for: how long after its last sending a given-up order is watched.
        limited: pause after HTTP 429 when the broker does not say how long.
    """

    lookups: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
    again: float = 10.0
    watch_every: float = 30.0
    watch_for: float = 86_400.0
    limited: float = 3.0


@dataclass(frozen=True, slots=True)
class Pumped:
    """What one pass did, and when the next one has something to do (None: never, unless somebody changes something).

    `held` counts work that was due and is kept back by a halt; it does not count for `next_at`.
    """

    sent: int = 0
    acked: int = 0
    refused: int = 0
    limited: int = 0
    unknown: int = 0
    held: int = 0
    cancels: int = 0
    closed: int = 0
    next_at: dt.datetime | None = None


def pump(journal: Journal, broker: Broker, lease: Lease, *, pace: Pace | None = None, limit: int = 1000) -> Pumped:
    """Do the work of the outbox that is due, once, without sleeping. One process at a time: the lease sees to that.

    The outcomes: placed → ACKED; our id is taken → looked up and compared, equal → ACKED, different → the account is
    halted; refused → REJECTED with the broker's words (bad keys halt the account); too many requests → INTENT again,
    until the broker's reset; anything else, silence included → UNKNOWN: looked up by `client_order_id` at
    `pace.lookups`, sent again under the *same* id only when the broker keeps saying that it has no such order while the
    intent is wanted and within its deadline, and otherwise UNKNOWN_EXPIRED, which is watched, never called rejected.

    Raises:
        LeaseLost: another process owns the account. Stop; it carries on.
    """
    turn = _Turn(journal, broker, lease, pace or Pace())
    for work in journal.due(lease, limit=limit):
        turn.do(work)
        if turn.limited:
            break  # the budget of requests is shared by everything that is still to come
    return Pumped(**turn.counts, next_at=journal.next_due_at(but=turn.kept))


def drain(
    journal: Journal,
    broker: Broker,
    lease: Lease,
    *,
    pace: Pace | None = None,
    timeout: float = 30.0,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Pump until the outbox is empty, renewing the lease.

    Time is the journal's clock; `sleep` must let it pass. Returns False when it is not empty after `timeout` seconds,
    or when a halt holds back all that is left.

    Raises:
        LeaseLost: another process owns the account.
    """
    end = journal.clock() + dt.timedelta(seconds=timeout)
    while True:
        done = pump(journal, broker, lease, pace=pace)
        if done.next_at is None:
            return not done.held
        if journal.clock() >= end:
            return False
        lease.renew()
        pause = (min(done.next_at, end) - journal.clock()).total_seconds()
        if pause > 0:
            sleep(min(pause, lease.ttl.total_seconds() / 3))


class _Turn:
    """One pass: the parties, and what was counted."""

    def __init__(self, journal: Journal, broker: Broker, lease: Lease, pace: Pace) -> None:
        self.journal, self.broker, self.lease, self.pace = journal, broker, lease, pace
        self.counts: Counter[str] = Counter()
        self.limited = False
        self.kept: list[str] = []

    def do(self, work: Work) -> None:
        with tracing(work.intent.trace_id):  # what is written on the way belongs to the run that wished the order
            self._do(work)

    def _do(self, work: Work) -> None:
        if work.kind == "cancel":
            self._cancel(work)
            return
        match work.intent.state:
            case _S.INTENT:
                self._send(work)
            case _S.SENDING:
                # A process died between its second and third transaction, or its pass was broken off.
                self._unknown(work, "a process ended while this was being sent", at=self.journal.clock())
            case _S.UNKNOWN | _S.UNKNOWN_EXPIRED:
                self._look_up(work)
            case _:  # the stream brought the answer first
                self.journal.mark_done(work, self.lease)
                self.counts["closed"] += 1

    # --- sending

    def _send(self, work: Work) -> None:
        """Send an INTENT, or an UNKNOWN that the broker does not have."""
        intent = self.journal.mark_sending(work, self.lease)
        if intent is None:
            self._not_sent(work)
            return
        self.counts["sent"] += 1
        reply = self.broker.submit(intent.request)
        match reply.outcome:
            case Outcome.PLACED if reply.order is not None:
                self._acked(work, reply.order, compare=False)
            case Outcome.REFUSED:
                stop = reply.http_status == _UNAUTHORIZED
                self.journal.mark_refused(work, self.lease, note=_words(reply), raw=reply.raw, stop=stop)
                self.counts["refused"] += 1
            case Outcome.LIMITED:
                self._limited(work, reply.retry_at, _words(reply))
            case Outcome.DUPLICATE:
                self._taken(work, reply)
            case _:
                self._unknown(work, _words(reply), at=self._after(intent.sent_at, 0), reply=reply)

    def _not_sent(self, work: Work) -> None:
        """It was due and must not leave: unwanted (an end), halted (wait), or somebody else moved it on."""
        intent = self.journal.intent(work.intent.id)
        if intent.state is _S.INTENT and intent.cancel_asked_at is not None:
            self.journal.mark_done(work, self.lease, to=_S.CANCELED, note="cancelled before it was sent")
            self.counts["closed"] += 1
        elif intent.state is _S.INTENT and intent.deadline is not None and self.journal.clock() > intent.deadline:
            self.journal.mark_done(work, self.lease, to=_S.EXPIRED, note="its deadline passed before it was sent")
            self.counts["closed"] += 1
        else:
            if intent.state is _S.UNKNOWN:
                self._postpone(work, self.pace.again)
            self.kept.append(work.outbox_id)
            self.counts["held"] += 1

    def _taken(self, work: Work, reply: Reply) -> None:
        """422, our id is taken: by an earlier attempt of ours, it is hoped. The order under it decides."""
        try:
            order = self.broker.order_by_client_id(work.intent.client_order_id)
        except (ExchangeUnavailable, BrokerRefused, OutcomeUnknown):
            order = None
        if order is not None:
            self._acked(work, order, compare=True)
        else:
            self._unknown(work, _words(reply), at=self._after(self.journal.clock(), 0), reply=reply)

    # --- after silence

    def _look_up(self, work: Work) -> None:
        intent, now = work.intent, self.journal.clock()
        note, known = "the broker has no such order", True
        try:
            order = self.broker.order_by_client_id(intent.client_order_id)
        except (ExchangeUnavailable, OutcomeUnknown) as error:
            order, known, note = None, False, f"no answer to the look-up: {error.message}"
            retry_at = error.facts.get("retry_at")
            if isinstance(retry_at, dt.datetime):
                self._limited(work, retry_at, note)
                return
        except BrokerRefused as error:
            order, known, note = None, False, f"the look-up was refused: {error.message}"
            if error.facts.get("http_status") == _UNAUTHORIZED:
                self.journal.stop_account(self.lease, reason=note)
        if order is not None:
            self._acked(work, order, compare=True)
        elif intent.state is _S.UNKNOWN_EXPIRED:
            self._watch(work, known=known)
        elif (later := self._next_lookup(intent.sent_at, now)) is not None:
            self.journal.postpone(work, self.lease, until=later, note=note)
            self.counts["unknown"] += 1
        elif not self._wanted(work, now):
            why = f"unknown to the end: {note}; it is watched, and cancelled on sight"
            later = now + dt.timedelta(seconds=self.pace.watch_every)
            self.journal.mark_given_up(work, self.lease, look_at=later, note=why)
            self.counts["unknown"] += 1
        elif known:
            self._send(work)
        else:
            self._postpone(work, self.pace.again, note=note)
            self.counts["unknown"] += 1

    def _watch(self, work: Work, *, known: bool) -> None:
        """A given-up order is not there, or there is no word about it."""
        sent_at = work.intent.sent_at
        over = sent_at is None or self.journal.clock() > sent_at + dt.timedelta(seconds=self.pace.watch_for)
        if known and over:
            note = f"the broker never had it, {self.pace.watch_for / 3600:.0f} hours after it was sent"
            self.journal.mark_done(work, self.lease, to=_S.EXPIRED, note=note)
            self.counts["closed"] += 1
        else:
            self._postpone(work, self.pace.watch_every)
            self.counts["unknown"] += 1

    # --- cancels

    def _cancel(self, work: Work) -> None:
        intent = work.intent
        if intent.state.is_end:
            self.journal.mark_done(work, self.lease)
            self.counts["closed"] += 1
        elif intent.state is _S.INTENT:
            self.journal.ask_cancel(intent.id)  # it came back from SENDING after the cancel was asked for
            self.counts["closed"] += 1
        elif intent.broker_order_id is None:
            self._postpone(work, self.pace.lookups[0])  # until the look-ups say what there is to cancel
        else:
            self._cancel_live(work, intent.broker_order_id)

    def _cancel_live(self, work: Work, broker_order_id: str) -> None:
        reply = self.broker.cancel(broker_order_id)
        self.counts["cancels"] += 1
        match reply.outcome:
            case Outcome.PLACED:
                self.journal.mark_done(work, self.lease, note="the broker accepted the cancel")
            case Outcome.LIMITED:
                self._limited(work, reply.retry_at, _words(reply))
            case Outcome.REFUSED if reply.http_status in _FINAL:
                self.journal.mark_done(work, self.lease, note=f"cancel refused: {_words(reply)}")
                self._refresh(broker_order_id)
            case Outcome.REFUSED:
                if reply.http_status == _UNAUTHORIZED:
                    self.journal.stop_account(self.lease, reason=_words(reply))
                self._postpone(work, self.pace.again, note=f"cancel refused: {_words(reply)}")
            case _:
                self._postpone(work, self.pace.again)  # asking twice is harmless

    def _refresh(self, broker_order_id: str) -> None:
        """A refused cancel means mostly that the order is over: read how."""
        try:
            order = self.broker.order(broker_order_id)
        except (ExchangeUnavailable, BrokerRefused, OutcomeUnknown):
            return  # the next reconciliation reads it
        if order is not None:
            self.journal.book_order(order)

    # --- consequences

    def _acked(self, work: Work, order: BrokerOrder, *, compare: bool) -> None:
        self.journal.mark_acked(work, order, compare=compare)
        self.counts["acked"] += 1

    def _unknown(self, work: Work, note: str, *, at: dt.datetime, reply: Reply | None = None) -> None:
        self.journal.mark_unknown(work, self.lease, look_at=at, note=note, raw=None if reply is None else reply.raw)
        self.counts["unknown"] += 1

    def _limited(self, work: Work, until: dt.datetime | None, note: str) -> None:
        now = self.journal.clock()
        pause_over = max(until or now + dt.timedelta(seconds=self.pace.limited), now)
        self.journal.mark_limited(work, self.lease, until=pause_over, note=note)
        self.counts["limited"] += 1
        self.limited = True

    def _postpone(self, work: Work, seconds: float, *, note: str = "") -> None:
        until = self.journal.clock() + dt.timedelta(seconds=seconds)
        self.journal.postpone(work, self.lease, until=until, note=note)

    def _wanted(self, work: Work, now: dt.datetime) -> bool:
        intent = self.journal.intent(work.intent.id)
        return intent.cancel_asked_at is None and (intent.deadline is None or now <= intent.deadline)

    def _after(self, sent_at: dt.datetime | None, number: int) -> dt.datetime:
        return (sent_at or self.journal.clock()) + dt.timedelta(seconds=self.pace.lookups[number])

    def _next_lookup(self, sent_at: dt.datetime | None, now: dt.datetime) -> dt.datetime | None:
        """The next planned look-up after `now`; None when the plan is used up."""
        if sent_at is None:
            return None
        moments = (sent_at + dt.timedelta(seconds=seconds) for seconds in self.pace.lookups)
        return next((moment for moment in moments if moment > now), None)


def _words(reply: Reply) -> str:
    parts = [f"HTTP {reply.http_status}" if reply.http_status else "no answer"]
    parts += [f"code {reply.code}"] if reply.code is not None else []
    return f"{' '.join(parts)}: {reply.message}"[:1000]
