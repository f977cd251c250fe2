"""The write-ahead journal of one account: a wish is committed before it is sent, an answer before it is believed."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from workbench.execution.brokers.broker import BrokerEvent, BrokerOrder
from workbench.execution.brokers.replies import without_secrets
from workbench.execution.journal.apply import Applied, apply_event, apply_fill, apply_order
from workbench.execution.journal.intent import Intent
from workbench.execution.journal.ledger import UNRESOLVED
from workbench.execution.journal.outbox import Outbox
from workbench.execution.journal.transitions import ask_cancel, load, step
from workbench.execution.journal.work import Claim, Work
from workbench.execution.journal.writing import Author, Written, write_wishes
from workbench.execution.risk.halts import halt
from workbench.execution.risk.limits import ACCOUNT
from workbench.market.order import Fill, IntentState, OrderWish
from workbench.store.engine import transaction
from workbench.store.lease import Lease
from workbench.store.tables.execution import IntentRow

__all__ = ["Claim", "Journal", "Work", "Written", "without_secrets"]


@dataclass(frozen=True, slots=True)
class Journal(Outbox):
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
        algo_id: str | None = None,
    ) -> list[Written]:
        """Write wishes down, with the work of sending them, in a transaction of its own; see `write_in`."""
        named: dict[str, Any] = {"decisions": decisions, "deadline": deadline, "generation": generation}
        with transaction(self.engine) as opened:
            return self.write_in(opened, wishes, bot=bot, session=session, algo_id=algo_id, **named)

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
        algo_id: str | None = None,
    ) -> list[Written]:
        """Write wishes down inside the caller's transaction, so that a risk check can stand in the same one.

        The key of an intent is (account, bot, session, symbol, leg, generation); the n-th wish for a symbol is leg n. A
        key that is there already is returned as it stands, marked `existed`, and never overwritten: where the new wish
        asks for something else, `differs` says in what. A deliberate second order has a higher `generation`. Many
        wishes cost few statements and one commit.

        Args:
            session: the trading session the wish belongs to.
            decisions: decision id per symbol, where a decision caused the wish.
            deadline: wall-clock moment after which the order is not sent (again); None: no such moment.
            algo_id: the parent order of the execution algorithm whose children these are.
        """
        self.lock(opened)
        author = Author(self.account, bot, session, generation, deadline, algo_id)
        return write_wishes(opened, list(wishes), author, decisions=decisions)

    def lock(self, opened: Session) -> None:
        """Let one writer at a time into this account's journal until the transaction ends (SQLite has one anyway)."""
        if opened.get_bind().dialect.name == "postgresql":
            digest = hashlib.sha256(f"journal:{self.account}".encode()).digest()
            opened.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int.from_bytes(digest[:7], "big")})

    # --- what was written may be wished away; wishing it otherwise is `replacement.replace_order`

    def ask_cancel(self, intent_id: str) -> Intent:
        """Wish an order away: written down like an order, done by `pump`. Asking again is harmless.

        An intent that was never sent is cancelled here and now; one that has ended stays as it is. What takes the place
        of the order goes with it; an order whose replacement is wished away stays.
        """
        with transaction(self.engine) as opened:
            row = load(opened, intent_id)
            ask_cancel(opened, row, at=self.clock())
            return Intent.of(row)

    # --- facts, and what a dead process left

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
