"""Ledger: what one account's journal can be asked; reading only, so a notebook may hold one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Engine, Select, func, select
from sqlalchemy.orm import Session

from workbench.errors import StoreError
from workbench.execution.journal.intent import Intent
from workbench.execution.journal.outstanding import worst_case
from workbench.market.book import Book
from workbench.market.order import Fill, IntentState, Side
from workbench.store.engine import transaction
from workbench.store.schema import utc_now
from workbench.store.tables.execution import FillRow, IntentRow

if TYPE_CHECKING:
    import pandas as pd

    from workbench.execution.risk.limits import OpenOrder

Clock = Callable[[], dt.datetime]
UNRESOLVED = (IntentState.SENDING, IntentState.UNKNOWN, IntentState.UNKNOWN_EXPIRED)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The intents and fills of one account.

    Attributes:
        account: the account's name; everything is bound to it.
        clock: wall clock of this process (UTC), for sending times and pauses; broker times are never compared with it.
    """

    engine: Engine
    account: str
    clock: Clock = utc_now

    def intent(self, intent_id: str) -> Intent:
        """One intent. Raises StoreError when there is none in this account."""
        with transaction(self.engine) as opened:
            row = opened.scalars(self._mine().where(IntentRow.id == intent_id)).one_or_none()
        if row is None:
            raise StoreError(f"account {self.account!r} has no intent {intent_id!r}.")
        return Intent.of(row)

    def intents(
        self,
        *,
        states: Sequence[IntentState] | None = None,
        session: dt.date | None = None,
        bot: str | None = None,
    ) -> list[Intent]:
        """Intents in the order written, of the given states, session and bot (all where None)."""
        question = self._mine().order_by(IntentRow.created_at, IntentRow.session, IntentRow.symbol, IntentRow.leg)
        if states is not None:
            question = question.where(IntentRow.state.in_([state.value for state in states]))
        if session is not None:
            question = question.where(IntentRow.session == session.isoformat()[:10])
        if bot is not None:
            question = question.where(IntentRow.bot == bot)
        with transaction(self.engine) as opened:
            return [Intent.of(row) for row in opened.scalars(question)]

    def unknown(self) -> list[Intent]:
        """Intents whose fate is not known: SENDING, UNKNOWN and UNKNOWN_EXPIRED."""
        return self.intents(states=UNRESOLVED)

    def fills(self) -> list[Fill]:
        """Booked fills in the order they happened; busted ones are left out."""
        with transaction(self.engine) as opened:
            found = opened.execute(
                select(FillRow, IntentRow.client_order_id)
                .join(IntentRow, IntentRow.id == FillRow.intent_id)
                .where(FillRow.account == self.account, FillRow.busted_at.is_(None))
            ).all()
        fills = [fill_of(row, cid) for row, cid in found]
        return sorted(fills, key=lambda fill: (fill.happened, fill.broker_order_id, fill.cum_qty or Decimal(0)))

    def last_activity(self) -> str | None:
        """The newest activity id that is booked, where reading the activities can go on; None when there is none."""
        with transaction(self.engine) as opened:
            return opened.scalar(select(func.max(FillRow.activity_id)).where(FillRow.account == self.account))

    def book(self, *, opening_cash: Decimal = Decimal(0)) -> Book:
        """Cash and positions from the booked fills alone, starting with `opening_cash` and no positions."""
        book = Book(cash=opening_cash)
        for fill in self.fills():
            book = book.apply(fill)
        return book

    def open_exposure(self) -> list[OpenOrder]:
        """Every order that may still change the book, at worst case; see `outstanding.worst_case`."""
        with transaction(self.engine) as opened:
            return self.open_exposure_in(opened)

    def open_exposure_in(self, opened: Session) -> list[OpenOrder]:
        """`open_exposure` inside the caller's transaction."""
        return worst_case(opened, self.account)

    def orders_frame(self, *, session: dt.date | None = None, bot: str | None = None) -> pd.DataFrame:
        """One row per intent for reading: prices in currency per share (NaN: none), times UTC (NaT: none)."""
        import pandas as pd

        columns = ["session", "bot", "symbol", "side", "qty", "type", "state", "filled", "price", "limit", "sent_at"]
        columns += ["reason", "note", "client_order_id", "broker_order_id"]
        rows = [
            (
                intent.session,
                intent.bot,
                intent.symbol,
                intent.side.value,
                float(intent.qty),
                intent.type,
                intent.state.value,
                float(intent.filled_qty),
                _number(intent.avg_price),
                _number(intent.limit_price),
                pd.NaT if intent.sent_at is None else pd.Timestamp(intent.sent_at),
                intent.reason,
                intent.note,
                intent.client_order_id,
                intent.broker_order_id or "",
            )
            for intent in self.intents(session=session, bot=bot)
        ]
        return pd.DataFrame(rows, columns=columns)

    def _mine(self) -> Select[IntentRow]:
        return select(IntentRow).where(IntentRow.account == self.account)


def fill_of(row: FillRow, client_order_id: str) -> Fill:
    """A stored execution as a fill of the order with that name."""
    return Fill(
        execution_id=row.execution_id,
        broker_order_id=row.broker_order_id,
        client_order_id=client_order_id,
        symbol=row.symbol,
        side=Side(row.side),
        qty=row.qty,
        price=row.price,
        happened=row.happened,
        fee=row.fee,
        cum_qty=row.cum_qty,
    )


def _number(value: Decimal | None) -> float:
    return float("nan") if value is None else float(value)
