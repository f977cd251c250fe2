"""The write-ahead journal of one account: a wish is committed before it is sent, an answer before it is believed."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.orm import Session

from workbench.execution.apply import Applied, apply_event, apply_fill, apply_order
from workbench.execution.broker import BrokerEvent, BrokerOrder, Raw
from workbench.execution.halts import halt, halted
from workbench.execution.intent import Intent, ask_cancel, differs, load, step, wanted
from workbench.execution.ledger import UNRESOLVED, Ledger
from workbench.execution.limits import ACCOUNT
from workbench.market.order import Fill, IntentState, OrderWish, client_order_id
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.lease import Lease
from workbench.store.schema import new_id
from workbench.store.tables.execution import IntentRow, OutboxRow
from workbench.trace import trace_id

# Asked in every transaction of the order path: building a statement costs as much as running it.
_WORK = (
    select(OutboxRow, IntentRow)
    .join(IntentRow, IntentRow.id == OutboxRow.intent_id)
    .where(OutboxRow.id == bindparam("outbox"))
    .with_for_update(
        of=IntentRow
    )  # whoever changes work holds its intent; locking both could deadlock with `ask_cancel`
)
_KNOWN = select(IntentRow).where(
    IntentRow.account == bindparam("account"),
    IntentRow.bot == bindparam("bot"),
    IntentRow.session == bindparam("session"),
    IntentRow.generation == bindparam("generation"),
    IntentRow.symbol.in_(bindparam("symbols", expanding=True)),
)
_LAST = select(func.max(OutboxRow.seq)).where(OutboxRow.account == bindparam("account"))
_SECRET = ("secret", "key_id", "authorization", "password", "token")


@dataclass(frozen=True, slots=True)
class Written:
    """What `write` did with one wish. `existed`: it stood there already; `differs`: and asked for something else."""

    intent: Intent
    existed: bool = False
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """One open row of the outbox: `kind` is `submit` or `cancel`, `tries` how often it ended without a final word."""

    outbox_id: str
    kind: str
    tries: int
    intent: Intent


@dataclass(frozen=True, slots=True)
class Journal(Ledger):
    """The ledger that can also be written: intents and their outbox. Every change is one audited transaction.

    The three commits of an order are `write` (it is wished), `mark_sending` (it is about to leave) and one of the other
    `mark_…` (what the broker said). Between any two of them the process may die.
    """

    # --- transaction 1: wishes become intents

    def write(
        self,
        wishes: Iterable[OrderWish],
        *,
        bot: str,
        session: dt.date,
        decisions: Mapping[str, str] | None = None,
        deadline: dt.datetime | None = None,
        generation: int = 0,
    ) -> list[Written]:
        """Write wishes down, with the work of sending them, in a transaction of its own; see `write_in`."""
        named: dict[str, Any] = {"decisions": decisions, "deadline": deadline, "generation": generation}
        with transaction(self.engine) as opened:
            return self.write_in(opened, wishes, bot=bot, session=session, **named)

    def write_in(
        self,
        opened: Session,
        wishes: Iterable[OrderWish],
        *,
        bot: str,
        session: dt.date,
        decisions: Mapping[str, str] | None = None,
        deadline: dt.datetime | None = None,
        generation: int = 0,
    ) -> list[Written]:
        """Write wishes down inside the caller's transaction, so that a risk check can stand in the same one.

        The key of an intent is (account, bot, session, symbol, leg, generation); the n-th wish for a symbol is leg n. A
        key that is there already is returned as it stands, marked `existed`, and never overwritten: where the new wish
        asks for something else, `differs` says in what. A deliberate second order has a higher `generation`.

        Args:
            session: the trading session the wish belongs to.
            decisions: decision id per symbol, where a decision caused the wish.
            deadline: wall-clock moment after which the order is not sent (again); None: no such moment.
        """
        self.lock(opened)
        wishes = list(wishes)
        key = {"account": self.account, "bot": bot, "session": session.isoformat()[:10], "generation": generation}
        found_rows = opened.scalars(_KNOWN, {**key, "symbols": sorted({wish.symbol for wish in wishes})})
        known = {(row.symbol, row.leg): row for row in found_rows}
        legs: dict[str, int] = {}
        written: list[Written] = []
        new: list[IntentRow] = []
        for wish in wishes:
            leg = legs.get(wish.symbol, 0)
            legs[wish.symbol] = leg + 1
            found = known.get((wish.symbol, leg))
            if found is not None:
                written.append(Written(Intent.of(found), existed=True, differs=differs(found, wish)))
                continue
            row = self._row(wish, bot=bot, session=session, leg=leg, generation=generation)
            row.deadline, row.decision_id = deadline, (decisions or {}).get(wish.symbol)
            new.append(row)
            written.append(Written(Intent.of(row)))
        self._add(opened, new)
        return written

    def lock(self, opened: Session) -> None:
        """Let one writer at a time into this account's journal until the transaction ends (SQLite has one anyway)."""
        if opened.get_bind().dialect.name == "postgresql":
            digest = hashlib.sha256(f"journal:{self.account}".encode()).digest()
            opened.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int.from_bytes(digest[:7], "big")})

    def ask_cancel(self, intent_id: str) -> Intent:
        """Wish an order away: written down like an order, done by `pump`. Asking again is harmless.

        An intent that was never sent is cancelled here and now; one that has ended stays as it is.
        """
        with transaction(self.engine) as opened:
            row = load(opened, intent_id)
            ask_cancel(opened, row, at=self.clock())
            return Intent.of(row)

    # --- the outbox

    def due(self, lease: Lease, *, limit: int = 100) -> list[Work]:
        """Open work whose pause is over: cancels first, then in the order written. `mark_sending` claims it.

        Raises:
            LeaseLost: another process owns the account.
        """
        question = (
            select(OutboxRow, IntentRow)
            .join(IntentRow, IntentRow.id == OutboxRow.intent_id)
            .where(OutboxRow.account == self.account, OutboxRow.done_at.is_(None))
            .where(OutboxRow.not_before.is_(None) | (OutboxRow.not_before <= self.clock()))
            .order_by(OutboxRow.seq, OutboxRow.created_at, OutboxRow.id)
            .limit(limit)
        )
        with transaction(self.engine) as opened:
            lease.check(opened)
            return [Work(out.id, out.kind, out.tries, Intent.of(row)) for out, row in opened.execute(question)]

    def next(self, lease: Lease) -> Work | None:
        """The first of `due`; None when nothing is due. Raises LeaseLost."""
        work = self.due(lease, limit=1)
        return work[0] if work else None

    def next_due_at(self, *, but: Sequence[str] = ()) -> dt.datetime | None:
        """When the next open work may be done (now, if it may be done now); None when no work is open.

        Args:
            but: outbox rows that do not count.
        """
        question = select(OutboxRow.id, OutboxRow.not_before)
        question = question.where(OutboxRow.account == self.account, OutboxRow.done_at.is_(None))
        with transaction(self.engine) as opened:
            moments = [not_before for name, not_before in opened.execute(question) if name not in but]
        now = self.clock()
        return min((max(moment or now, now) for moment in moments), default=None)

    # --- transaction 2: claim, and say that it is being sent

    def mark_sending(self, work: Work, lease: Lease) -> Intent | None:
        """Claim a submit and commit SENDING with the next attempt number, before the request leaves.

        Returns:
            The intent to send; None when it must not be sent now: it is halted, no longer wanted, past its deadline, or
            not in a state from which an order is sent.

        Raises:
            LeaseLost: another process owns the account; nothing was changed.
        """
        now = self.clock()
        with self._open(work, lease) as (opened, out, row):
            if out is None or row.state not in {IntentState.INTENT, IntentState.UNKNOWN} or not wanted(row, now=now):
                return None
            if {ACCOUNT, row.symbol} & halted(opened, self.account).keys():
                return None
            out.claimed_token, out.tries = lease.token, 0
            row.attempt += 1
            row.sent_at = now
            step(opened, row, IntentState.SENDING, attempt=row.attempt, fencing=lease.token)
            return Intent.of(row)

    # --- transaction 3: what came of it. A fact that came through the stream meanwhile is never taken back.

    def mark_acked(self, work: Work, order: BrokerOrder, *, compare: bool) -> Applied:
        """Book the broker's word that it has the order. A fact needs no lease: whoever hears it writes it down.

        Args:
            compare: whether the order was found rather than just placed, so that it must be the one we asked for.
        """
        with self._open(work) as (opened, out, row):
            ours = None if compare else row.id
            applied = apply_order(opened, self.account, order, at=self.clock(), intent_id=ours, compare=compare)
            row.reply = without_secrets(order.raw)
            if out is not None:
                out.done_at = self.clock()
            return applied

    def mark_refused(
        self, work: Work, lease: Lease, *, note: str, raw: Raw | None = None, stop: bool = False
    ) -> Intent:
        """The broker said no: REJECTED with its words. `stop` halts the whole account too (its keys were refused)."""
        with self._open(work, lease) as (opened, out, row):
            if row.state in UNRESOLVED:
                step(opened, row, IntentState.REJECTED, note=note)
            row.reply = without_secrets(raw or {})
            if out is not None:
                out.done_at = self.clock()
            if stop:
                halt(opened, self.account, ACCOUNT, reason=note)
            return Intent.of(row)

    def mark_limited(self, work: Work, lease: Lease, *, until: dt.datetime, note: str) -> Intent:
        """Too many requests, nothing was done: a submit goes back to INTENT, and all open work waits until `until`."""
        with self._open(work, lease) as (opened, out, row):
            if work.kind == "submit" and row.state == IntentState.SENDING:
                step(opened, row, IntentState.INTENT, note=note)
            if out is not None:
                out.claimed_token = None
            opened.execute(
                update(OutboxRow)
                .where(OutboxRow.account == self.account, OutboxRow.done_at.is_(None))
                .where(OutboxRow.not_before.is_(None) | (OutboxRow.not_before < until))
                .values(not_before=until)
            )
            return Intent.of(row)

    def mark_unknown(
        self, work: Work, lease: Lease, *, look_at: dt.datetime, note: str, raw: Raw | None = None
    ) -> Intent:
        """No word, or no readable one: UNKNOWN, to be looked up by client_order_id at `look_at`."""
        with self._open(work, lease) as (opened, out, row):
            if row.state == IntentState.SENDING:
                step(opened, row, IntentState.UNKNOWN, note=note)
            row.reply = without_secrets(raw or {})
            if out is not None:
                out.not_before = look_at
            return Intent.of(row)

    def mark_given_up(self, work: Work, lease: Lease, *, look_at: dt.datetime, note: str) -> Intent:
        """UNKNOWN_EXPIRED: not sent again, still watched and counted in risk, cancelled on sight."""
        with self._open(work, lease) as (opened, out, row):
            if row.state == IntentState.UNKNOWN:
                step(opened, row, IntentState.UNKNOWN_EXPIRED, note=note)
            if out is not None:
                out.tries, out.not_before = 0, look_at
            return Intent.of(row)

    def mark_done(self, work: Work, lease: Lease, *, to: IntentState | None = None, note: str = "") -> Intent:
        """Close work that needs no more requests; `to` ends the intent as well, where no broker has the order."""
        with self._open(work, lease) as (opened, out, row):
            if to is not None:
                step(opened, row, to, note=note)
            elif note:
                row.note = note
            if out is not None:
                out.done_at = self.clock()
            return Intent.of(row)

    def postpone(self, work: Work, lease: Lease, *, until: dt.datetime, note: str = "") -> None:
        """Work ended without a final word: count the try, and wait until `until`."""
        with self._open(work, lease) as (_opened, out, row):
            if note:
                row.note = note
            if out is not None:
                out.tries, out.not_before = out.tries + 1, until

    def stop_account(self, lease: Lease, *, reason: str) -> None:
        """Halt the whole account until a person clears it."""
        with transaction(self.engine) as opened:
            lease.check(opened)
            halt(opened, self.account, ACCOUNT, reason=reason)

    def book_order(self, order: BrokerOrder) -> Applied:
        """Apply an order read from the broker, in a transaction of its own."""
        with transaction(self.engine) as opened:
            return apply_order(opened, self.account, order, at=self.clock())

    def book_event(self, event: BrokerEvent) -> Applied:
        """Apply an event of the stream, in a transaction of its own."""
        with transaction(self.engine) as opened:
            return apply_event(opened, self.account, event, at=self.clock())

    def book_fill(self, fill: Fill) -> Applied:
        """Apply a fill of the activities, in a transaction of its own. Book its order before it."""
        with transaction(self.engine) as opened:
            return apply_fill(opened, self.account, fill, source="activities", at=self.clock())

    def recover(self, lease: Lease) -> list[Intent]:
        """At start: what was SENDING when a process died counts as UNKNOWN. Returns all whose fate is not known.

        Raises:
            LeaseLost: another process owns the account.
        """
        with transaction(self.engine) as opened:
            lease.check(opened)
            rows = opened.scalars(self._mine().where(IntentRow.state.in_(UNRESOLVED)).with_for_update()).all()
            found = [(IntentState(row.state), row) for row in rows]
            for state, row in found:
                if state is IntentState.SENDING:
                    step(opened, row, IntentState.UNKNOWN, note="a process ended while this was being sent")
            return [Intent.of(row) for _, row in found]

    # --- inside

    @contextmanager
    def _open(self, work: Work, lease: Lease | None = None) -> Iterator[tuple[Session, OutboxRow | None, IntentRow]]:
        """A transaction holding the lease (where given), the intent, and the outbox row if that is still open."""
        with transaction(self.engine) as opened:
            if lease is not None:
                lease.check(opened)
            out, row = opened.execute(_WORK, {"outbox": work.outbox_id}).one()
            yield opened, (out if out.done_at is None else None), row

    def _add(self, opened: Session, rows: list[IntentRow]) -> None:
        opened.add_all(rows)
        opened.flush()  # the outbox points at them
        last = opened.scalar(_LAST, {"account": self.account}) or 0
        for number, row in enumerate(rows, start=last + 1):
            opened.add(OutboxRow(account=self.account, intent_id=row.id, kind="submit", seq=number))
            after = {
                "client_order_id": row.client_order_id,
                "symbol": row.symbol,
                "side": row.side,
                "qty": str(row.qty),
            }
            audit.record(opened, entity="intent", entity_id=row.id, action="written", after=after)

    def _row(self, wish: OrderWish, *, bot: str, session: dt.date, leg: int, generation: int) -> IntentRow:
        name = client_order_id(
            account=self.account, bot=bot, session=session, symbol=wish.symbol, leg=leg, generation=generation
        )
        return IntentRow(
            id=new_id(),
            account=self.account,
            bot=bot,
            session=session.isoformat()[:10],
            symbol=wish.symbol,
            leg=leg,
            generation=generation,
            client_order_id=name,
            side=wish.side.value,
            qty=wish.qty,
            type=wish.type.value,
            time_in_force=wish.time_in_force.value,
            limit_price=wish.limit_price,
            stop_price=wish.stop_price,
            reference_price=wish.reference_price,
            state=IntentState.INTENT.value,
            attempt=0,
            filled_qty=Decimal(0),
            reason=wish.reason,
            note="",
            trace_id=trace_id(),
        )


def without_secrets(raw: Any) -> Any:
    """A reply fit for storing: entries whose name sounds like a credential are left out, at any depth."""
    if isinstance(raw, Mapping):
        return {
            str(name): without_secrets(value)
            for name, value in raw.items()
            if not any(word in str(name).lower().replace("-", "_") for word in _SECRET)
        }
    return [without_secrets(value) for value in raw] if isinstance(raw, list) else raw
