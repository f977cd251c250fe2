"""Turn: one pass over the outbox, one request after the other, and what follows from each answer."""

from __future__ import annotations

import datetime as dt
from collections import Counter

from workbench.errors import BrokerRefused, ExchangeUnavailable, OutcomeUnknown
from workbench.execution.brokers.broker import Broker, BrokerOrder, Outcome, RateSeen, Reply
from workbench.execution.journal.intent import Intent
from workbench.execution.journal.journal import Journal, Work
from workbench.execution.submitter.pace import Pace
from workbench.market.order import IntentState, OrderClass
from workbench.store.lease import Lease
from workbench.trace import tracing

_UNAUTHORIZED = 401
_FINAL = frozenset({404, 410, 422})  # refusals that say that there is nothing (more) to cancel
_S = IntentState


class Turn:
    """One pass: the parties, what was counted, and what the rest of the pass has to leave alone."""

    def __init__(self, journal: Journal, broker: Broker, lease: Lease, pace: Pace) -> None:
        self.journal, self.broker, self.lease, self.pace = journal, broker, lease, pace
        self.counts: Counter[str] = Counter()
        self.kept: list[str] = []
        self._limited = self._cancels_limited = False

    def stopped(self, kind: str) -> bool:
        """Whether a piece of work must wait for a later pass, because requests have run out."""
        return self._cancels_limited if kind == "cancel" else self._limited

    def do(self, work: Work) -> None:
        """Do one piece of work. Raises LeaseLost."""
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
        claim = self.journal.claim(work, self.lease, per_minute=self.pace.per_minute)
        if claim.intent is None:
            if claim.look:
                self._postpone(work, self.pace.again, note=claim.why)
                self.counts["unknown"] += 1
            else:
                self._not_sent(work, closed=claim.closed, until=claim.until)
            return
        intent = claim.intent
        self.counts["sent"] += 1
        reply = self._replace(intent) if work.kind == "replace" else self.broker.submit(intent.request)
        match reply.outcome:
            case Outcome.PLACED if reply.order is not None:
                self._acked(work, reply.order, compare=False, seen=self._seen(reply))
            case Outcome.REFUSED:
                stop = reply.http_status == _UNAUTHORIZED
                seen = self._seen(reply)
                self.journal.mark_refused(work, self.lease, note=_words(reply), raw=reply.raw, stop=stop, seen=seen)
                self.counts["refused"] += 1
                if work.kind == "replace" and reply.http_status in _FINAL and intent.replaces_id is not None:
                    self._refresh(self.journal.intent(intent.replaces_id).broker_order_id)
            case Outcome.LIMITED:
                self._limit(work, reply.retry_at, _words(reply), seen=self._seen(reply))
            case Outcome.DUPLICATE:
                self._taken(work, reply)
            case _:
                self._unknown(work, _words(reply), at=self._after(intent.sent_at, 0), reply=reply)

    def _replace(self, intent: Intent) -> Reply:
        """Ask for the new order in the place of the old one; only what changes is named."""
        assert intent.replaces_id is not None, "work of kind replace is written with it"
        older, asked = self.journal.intent(intent.replaces_id), intent.request
        assert older.broker_order_id is not None, "the claim has looked"
        before = older.request
        trail = asked.trail_price if asked.trail_percent is None else asked.trail_percent
        old_trail = before.trail_price if before.trail_percent is None else before.trail_percent
        reply = self.broker.replace(
            older.broker_order_id,
            client_order_id=intent.client_order_id,
            qty=None if asked.qty == before.qty else asked.qty,
            limit_price=None if asked.limit_price == before.limit_price else asked.limit_price,
            stop_price=None if asked.stop_price == before.stop_price else asked.stop_price,
            trail=None if trail == old_trail else trail,
        )
        if reply.order is not None and reply.order.id == older.broker_order_id:
            # The old order is no answer to the question whether there is a new one.
            return Reply(Outcome.UNKNOWN, None, reply.http_status, message="the reply has the old order", raw=reply.raw)
        return reply

    def _not_sent(self, work: Work, *, closed: bool, until: dt.datetime | None) -> None:
        """It was due and must not leave: over, unwanted (an end), without a request left, halted (wait)."""
        intent = self.journal.intent(work.intent.id)
        if closed or intent.state.is_end:
            self.counts["closed"] += 1
        elif until is not None:
            self.counts["limited"] += 1
            self._limited = True
        elif intent.state is _S.INTENT and intent.cancel_asked_at is not None:
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
            self._acked(work, order, compare=True, seen=self._seen(reply))
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
                self._limit(work, retry_at, note)
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
        seen = self._seen(reply)
        self.counts["cancels"] += 1
        match reply.outcome:
            case Outcome.PLACED:
                self.journal.mark_done(work, self.lease, note="the broker accepted the cancel", seen=seen)
            case Outcome.LIMITED:
                self._limit(work, reply.retry_at, _words(reply), seen=seen)
            case Outcome.REFUSED if reply.http_status in _FINAL:
                self.journal.mark_done(work, self.lease, note=f"cancel refused: {_words(reply)}", seen=seen)
                self._refresh(broker_order_id)
            case Outcome.REFUSED:
                if reply.http_status == _UNAUTHORIZED:
                    self.journal.stop_account(self.lease, reason=_words(reply))
                self._postpone(work, self.pace.again, note=f"cancel refused: {_words(reply)}")
            case _:
                self._postpone(work, self.pace.again)  # asking twice is harmless

    def _refresh(self, broker_order_id: str | None) -> None:
        """A refused cancel or replacement means mostly that the order is over: read how."""
        if broker_order_id is None:
            return
        try:
            order = self.broker.order(broker_order_id)
        except (ExchangeUnavailable, BrokerRefused, OutcomeUnknown):
            return  # the next reconciliation reads it
        if order is not None:
            self.journal.book_order(order)

    # --- consequences

    def _acked(self, work: Work, order: BrokerOrder, *, compare: bool, seen: RateSeen | None = None) -> None:
        if compare and not order.legs and work.intent.order_class != OrderClass.SIMPLE:
            order = self._with_legs(order)
        self.journal.mark_acked(work, order, compare=compare, seen=seen)
        self.counts["acked"] += 1

    def _with_legs(self, order: BrokerOrder) -> BrokerOrder:
        """The same order with what hangs on it: a look-up by our id brings it alone."""
        try:
            return self.broker.order(order.id) or order
        except (ExchangeUnavailable, BrokerRefused, OutcomeUnknown):
            return order  # the next reconciliation reads it

    def _unknown(self, work: Work, note: str, *, at: dt.datetime, reply: Reply | None = None) -> None:
        raw, seen = (None, None) if reply is None else (reply.raw, self._seen(reply))
        self.journal.mark_unknown(work, self.lease, look_at=at, note=note, raw=raw, seen=seen)
        self.counts["unknown"] += 1

    def _limit(self, work: Work, until: dt.datetime | None, note: str, *, seen: RateSeen | None = None) -> None:
        """Too many requests. Cancels are tried again soon: a share of the budget is theirs alone."""
        now = self.journal.clock()
        soon = now + dt.timedelta(seconds=self.pace.limited)
        over = max(until or soon, now)
        cancel_at = min(over, soon) if work.kind == "cancel" else None
        self.journal.mark_limited(work, self.lease, until=over, note=note, cancel_at=cancel_at, seen=seen)
        self.counts["limited"] += 1
        self._limited = True
        self._cancels_limited |= work.kind == "cancel"

    def _seen(self, reply: Reply) -> RateSeen | None:
        """What the headers said, where requests are counted at all."""
        return None if self.pace.per_minute is None else reply.rate

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
