"""The outbox of one account: what is to be done at the broker, who may do it now, and what came of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from workbench.execution.brokers.broker import BrokerOrder, RateSeen, Raw
from workbench.execution.brokers.replies import without_secrets
from workbench.execution.journal.announce import announce_refusal
from workbench.execution.journal.apply import Applied, apply_order
from workbench.execution.journal.fast_lane import ack_plain, claim_plain
from workbench.execution.journal.intent import Intent
from workbench.execution.journal.lanes import pause, take_now
from workbench.execution.journal.ledger import UNRESOLVED, Ledger
from workbench.execution.journal.transitions import step, wanted
from workbench.execution.journal.work import Claim, Work
from workbench.execution.risk import trading_state
from workbench.execution.risk.halts import halt, halted
from workbench.execution.risk.limits import ACCOUNT
from workbench.market.order import IntentState
from workbench.store import rate_budget
from workbench.store.engine import transaction
from workbench.store.lease import Lease
from workbench.store.tables.execution import IntentRow, OutboxRow

_S = IntentState
_LIVE = frozenset({_S.ACKED, _S.PARTIALLY_FILLED})
# Asked in every transaction of the order path: building a statement costs as much as running it.
_WORK = (
    select(OutboxRow, IntentRow)
    .join(IntentRow, IntentRow.id == OutboxRow.intent_id)
    .where(OutboxRow.id == bindparam("outbox"))
    # Whoever changes work holds its intent; locking both could deadlock with `ask_cancel`.
    .with_for_update(of=IntentRow)
)
_DUE = (
    select(OutboxRow, IntentRow)
    .join(IntentRow, IntentRow.id == OutboxRow.intent_id)
    .where(OutboxRow.account == bindparam("account"), OutboxRow.done_at.is_(None))
    .where(OutboxRow.not_before.is_(None) | (OutboxRow.not_before <= bindparam("now")))
    .order_by(OutboxRow.seq, OutboxRow.created_at, OutboxRow.id)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Outbox(Ledger):
    """The ledger and its outbox. Every method is one transaction; one that needs the lease proves it in there.

    Where a method takes `seen`, it corrects the stored budget of requests by what the response's headers said.
    """

    def due(self, lease: Lease, *, limit: int = 100, per_minute: int | None = None) -> list[Work]:
        """Open work whose pause is over: cancels first, then in the order written. `mark_sending` claims it.

        Args:
            per_minute: requests that the account may send; cancels and look-ups take theirs here, and those for which
                there is none left wait. None: not counted.

        Raises:
            LeaseLost: another process owns the account.
        """
        now = self.clock()
        with transaction(self.engine) as opened:
            lease.check(opened)
            rows = opened.execute(_DUE, {"account": self.account, "now": now, "most": limit}).all()
            waiting = take_now(opened, self.account, [(out, row) for out, row in rows], now=now, per_minute=per_minute)
            return [Work(out.id, out.kind, out.tries, Intent.of(row)) for out, row in rows if out.id not in waiting]

    def next(self, lease: Lease) -> Work | None:
        """The first of `due`; None when nothing is due. Raises LeaseLost."""
        work = self.due(lease, limit=1)
        return work[0] if work else None

    def next_due_at(self, *, but: Sequence[str] = ()) -> dt.datetime | None:
        """When the next open work may be done (now, if it may be done now); None when no work is open.

        Args:
            but: outbox rows that do not count.
        """
        question = select(OutboxRow.id, OutboxRow.not_before) if but else _OPEN_WORK
        question = question.where(OutboxRow.account == self.account, OutboxRow.done_at.is_(None))
        now = self.clock()
        with transaction(self.engine) as opened:
            if not but:
                first, count, paused = opened.execute(question).one()
                return None if not count else now if count > paused else max(first, now)
            moments = [not_before for name, not_before in opened.execute(question) if name not in but]
        return min((max(moment or now, now) for moment in moments), default=None)

    # --- transaction 2: claim, and say that it is being sent

    def mark_sending(self, work: Work, lease: Lease, *, per_minute: int | None = None) -> Intent | None:
        """Claim a submit or a replace and commit SENDING with the next attempt number, before the request leaves.

        Returns:
            The intent to send; None when it must not be sent now: it is halted, no longer wanted, past its deadline,
            not in a state from which an order is sent, or no request is left (see `claim`, which says which).

        Raises:
            LeaseLost: another process owns the account; nothing was changed.
        """
        return self.claim(work, lease, per_minute=per_minute).intent

    def claim(self, work: Work, lease: Lease, *, per_minute: int | None = None) -> Claim:
        """`mark_sending`, and why not where the answer is no. Raises LeaseLost."""
        now = self.clock()
        if per_minute is None and work.kind == "submit" and work.intent.state is _S.INTENT:
            with transaction(self.engine) as opened:
                lease.check(opened)
                plain = claim_plain(
                    opened, self.account, outbox_id=work.outbox_id, intent=work.intent, token=lease.token, now=now
                )
                if plain is not None:
                    return Claim(plain)
        return self._claim(work, lease, now=now, per_minute=per_minute)

    def _claim(self, work: Work, lease: Lease, *, now: dt.datetime, per_minute: int | None) -> Claim:
        with self._open(work, lease) as (opened, out, row):
            if out is None or row.state not in {_S.INTENT, _S.UNKNOWN}:
                return Claim(why="somebody else moved it on", closed=out is None)
            if not wanted(row, now=now):
                return Claim(why="nobody wants it any more")
            # The kill switch may leave what is halted; `may_send` sees to it that it only reduces then.
            stopped = {} if row.bot == trading_state.KILL_BOT else halted(opened, self.account)
            why = stopped.get(ACCOUNT) or stopped.get(row.symbol) or trading_state.may_send(opened, row)
            if why:
                return Claim(why=why)
            if work.kind == "replace" and (over := self._nothing_to_replace(opened, out, row, now=now)) is not None:
                return over
            until = rate_budget.take(opened, self.account, lane="order", at=now, per_minute=per_minute)
            if until is not None:
                pause(opened, self.account, until, cancels=False)
                return Claim(why="no request is left", until=until)
            out.claimed_token, out.tries = lease.token, 0
            row.attempt += 1
            row.sent_at = now
            step(opened, row, _S.SENDING, attempt=row.attempt, fencing=lease.token)
            return Claim(Intent.of(row))

    # --- transaction 3: what came of it. A fact that came through the stream meanwhile is never taken back.

    def mark_acked(self, work: Work, order: BrokerOrder, *, compare: bool, seen: RateSeen | None = None) -> Applied:
        """Book the broker's word that it has the order. A fact needs no lease: whoever hears it writes it down.

        Args:
            compare: whether the order was found rather than just placed, so that it must be the one we asked for.
        """
        if seen is None and not compare:
            with transaction(self.engine) as opened:
                plain = ack_plain(
                    opened,
                    self.account,
                    outbox_id=work.outbox_id,
                    intent=work.intent,
                    order=order,
                    now=self.clock(),
                )
                if plain is not None:
                    return plain
        with self._open(work, seen=seen) as (opened, out, row):
            ours = None if compare else row.id
            applied = apply_order(opened, self.account, order, at=self.clock(), intent_id=ours, compare=compare)
            row.reply = without_secrets(order.raw)
            if out is not None:
                out.done_at = self.clock()
            return applied

    def mark_refused(
        self,
        work: Work,
        lease: Lease,
        *,
        note: str,
        raw: Raw | None = None,
        stop: bool = False,
        seen: RateSeen | None = None,
    ) -> Intent:
        """The broker said no: REJECTED with its words. `stop` halts the whole account too (its keys were refused)."""
        with self._open(work, lease, seen=seen) as (opened, out, row):
            if row.state in UNRESOLVED:
                step(opened, row, _S.REJECTED, note=note)
                code = str((raw or {}).get("code") or (raw or {}).get("http_status") or "")
                announce_refusal(opened, row, code=code, message=note)
            row.reply = without_secrets(raw or {})
            if out is not None:
                out.done_at = self.clock()
            if stop:
                halt(opened, self.account, ACCOUNT, reason=note)
            return Intent.of(row)

    def mark_limited(
        self,
        work: Work,
        lease: Lease,
        *,
        until: dt.datetime,
        note: str,
        cancel_at: dt.datetime | None = None,
        seen: RateSeen | None = None,
    ) -> Intent:
        """Too many requests, nothing was done: a submit goes back to what it was, and what is not a cancel waits.

        Args:
            until: when submits, replacements and look-ups may go on. Cancels do not wait for it: a share of the budget
                is theirs alone.
            cancel_at: when this cancel, which was limited itself, and all others are tried again.
        """
        with self._open(work, lease, seen=seen) as (opened, out, row):
            if work.kind != "cancel" and row.state == _S.SENDING:
                # This attempt did nothing; an earlier one that nobody answered may have placed the order all the same.
                step(opened, row, _S.UNKNOWN if work.intent.state is _S.UNKNOWN else _S.INTENT, note=note)
            if out is not None:
                out.claimed_token = None
            opened.flush()
            pause(opened, self.account, until, cancels=False)
            if cancel_at is not None:
                pause(opened, self.account, cancel_at, cancels=True)
            return Intent.of(row)

    def mark_unknown(
        self,
        work: Work,
        lease: Lease,
        *,
        look_at: dt.datetime,
        note: str,
        raw: Raw | None = None,
        seen: RateSeen | None = None,
    ) -> Intent:
        """No word, or no readable one: UNKNOWN, to be looked up by client_order_id at `look_at`."""
        with self._open(work, lease, seen=seen) as (opened, out, row):
            if row.state == _S.SENDING:
                step(opened, row, _S.UNKNOWN, note=note)
            row.reply = without_secrets(raw or {})
            if out is not None:
                out.not_before = look_at
            return Intent.of(row)

    def mark_given_up(self, work: Work, lease: Lease, *, look_at: dt.datetime, note: str) -> Intent:
        """UNKNOWN_EXPIRED: not sent again, still watched and counted in risk, cancelled on sight."""
        with self._open(work, lease) as (opened, out, row):
            if row.state == _S.UNKNOWN:
                step(opened, row, _S.UNKNOWN_EXPIRED, note=note)
            if out is not None:
                out.tries, out.not_before = 0, look_at
            return Intent.of(row)

    def mark_done(
        self,
        work: Work,
        lease: Lease,
        *,
        to: IntentState | None = None,
        note: str = "",
        seen: RateSeen | None = None,
    ) -> Intent:
        """Close work that needs no more requests; `to` ends the intent as well, where no broker has the order."""
        with self._open(work, lease, seen=seen) as (opened, out, row):
            if to is not None:
                step(opened, row, to, note=note)
            elif note:
                row.note = note
            if out is not None:
                out.done_at = self.clock()
            return Intent.of(row)

    def postpone(
        self, work: Work, lease: Lease, *, until: dt.datetime, note: str = "", seen: RateSeen | None = None
    ) -> None:
        """Work ended without a final word: count the try, and wait until `until`."""
        with self._open(work, lease, seen=seen) as (_opened, out, row):
            if note:
                row.note = note
            if out is not None:
                out.tries, out.not_before = out.tries + 1, until

    # --- inside

    @contextmanager
    def _open(
        self, work: Work, lease: Lease | None = None, *, seen: RateSeen | None = None
    ) -> Iterator[tuple[Session, OutboxRow | None, IntentRow]]:
        """A transaction holding the lease (where given), the intent, and the outbox row if that is still open."""
        with transaction(self.engine) as opened:
            if lease is not None:
                lease.check(opened)
            if seen is not None:
                rate_budget.correct(opened, self.account, seen, at=self.clock())
            out, row = opened.execute(_WORK, {"outbox": work.outbox_id}).one()
            yield opened, (out if out.done_at is None else None), row

    def _nothing_to_replace(self, opened: Session, out: OutboxRow, row: IntentRow, *, now: dt.datetime) -> Claim | None:
        """Why a replacement must not leave: the order that it was for is over, or was replaced by nobody knows what."""
        older = opened.get(IntentRow, row.replaces_id) if row.replaces_id else None
        if older is not None and IntentState(older.state) in _LIVE and older.broker_order_id is not None:
            return None
        if older is not None and older.state == _S.REPLACED and row.state == _S.UNKNOWN:
            return Claim(why="the order before it was replaced; what took its place is looked for", look=True)
        over = "is not known" if older is None else f"is {older.state}"
        note = f"the order that it was to replace {over}"
        step(opened, row, _S.REJECTED, note=note)
        announce_refusal(opened, row, code="nothing_to_replace", message=note)
        out.done_at = now
        return Claim(why=note, closed=True)


_OPEN_WORK = select(func.min(OutboxRow.not_before), func.count(OutboxRow.id), func.count(OutboxRow.not_before))
