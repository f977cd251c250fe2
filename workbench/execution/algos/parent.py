"""A parent order: the value, how far it is, and the steps that end it in an open transaction."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import StoreError
from workbench.execution.algos.schedule import ZERO
from workbench.execution.algos.tally import Tally, tally_in
from workbench.execution.journal.transitions import ask_cancel
from workbench.market.order import Side
from workbench.store import audit
from workbench.store.tables.algo import ParentOrderRow, ParentSliceRow
from workbench.store.tables.execution import IntentRow, OutboxRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.journal.journal import Journal

WORKING = "working"
_ASK_AGAIN = dt.timedelta(seconds=10)  # a cancel that the broker took, and that did not end the order


@dataclass(frozen=True, slots=True)
class Parent:
    """One parent order as it stands: quantities in shares, prices in currency per share, moments in UTC."""

    id: str
    account: str
    key: str
    bot: str
    session: str
    symbol: str
    side: Side
    qty: Decimal
    lot: Decimal
    algorithm: str
    params: dict[str, Any]
    venue: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    extended_hours: bool
    limit_price: Decimal | None
    decision_price: Decimal | None
    arrival_price: Decimal | None
    market_vwap: Decimal | None
    state: str
    detail: str
    decision_id: str | None
    trace_id: str
    created_at: dt.datetime
    ended_at: dt.datetime | None

    @classmethod
    def of(cls, row: ParentOrderRow) -> Parent:
        """The value of a row."""
        return cls(**{**{name: getattr(row, name) for name in cls.__slots__}, "side": Side(row.side)})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a parent is: `filled` is booked, `to_come` may still be booked by orders on their way, `left` is neither.

    `avg_price` is None where nothing is filled. `slices` counts them by state.
    """

    parent: Parent
    filled: Decimal
    to_come: Decimal
    avg_price: Decimal | None
    slices: Mapping[str, int]

    @property
    def left(self) -> Decimal:
        """Shares that are neither filled nor on their way."""
        return max(ZERO, self.parent.qty - self.filled - self.to_come)

    @property
    def line(self) -> str:
        """The parent on one line."""
        parent = self.parent
        at = "" if self.avg_price is None else f" at {self.avg_price:.4f}"
        way = f", {self.to_come:f} on the way" if self.to_come else ""
        why = f" ({parent.detail})" if parent.detail else ""
        return (
            f"{parent.algorithm} {parent.side.value} {parent.qty:f} {parent.symbol}: {parent.state}{why}, "
            f"{self.filled:f} filled{at}{way}"
        )

    def __repr__(self) -> str:
        return self.line

    def _repr_html_(self) -> str:
        return f"<div>{html.escape(self.line)}</div>"


def load_parent(opened: Session, parent_id: str) -> ParentOrderRow:
    """The row of a parent, locked until the transaction ends. Raises StoreError when there is none."""
    row = opened.scalars(select(ParentOrderRow).where(ParentOrderRow.id == parent_id).with_for_update()).one_or_none()
    if row is None:
        raise StoreError(f"there is no parent order {parent_id!r}; nothing was changed.")
    return row


def slices_in(opened: Session, parent_id: str) -> list[ParentSliceRow]:
    """The slices of a parent in their order."""
    question = select(ParentSliceRow).where(ParentSliceRow.parent_id == parent_id).order_by(ParentSliceRow.number)
    return list(opened.scalars(question))


def cancel_in(opened: Session, row: ParentOrderRow, *, at: dt.datetime, reason: str) -> None:
    """Cancel a working parent and its open children in the open transaction; the journal's lock must be held."""
    if row.state != WORKING:
        return
    ask_children_away(opened, tally_in(opened, row.id), at=at, note=f"its parent was cancelled: {reason}")
    end_in(opened, row, "cancelled", at=at, detail=reason)


def cancel_all_in(opened: Session, journal: Journal, *, reason: str) -> list[ParentOrderRow]:
    """`cancel_in` for every working parent of the account, e.g. in the transaction of a kill."""
    rows = opened.scalars(
        select(ParentOrderRow)
        .where(ParentOrderRow.account == journal.account, ParentOrderRow.state == WORKING)
        .order_by(ParentOrderRow.created_at, ParentOrderRow.id)
        .with_for_update()
    ).all()
    for row in rows:
        cancel_in(opened, row, at=journal.clock(), reason=reason)
    return list(rows)


def ask_children_away(opened: Session, tally: Tally, *, at: dt.datetime, note: str) -> int:
    """Ask for the cancel of every child that has not ended; how many were asked away now.

    One that was asked away is asked again only when the broker has answered and the order is open all the same.
    """
    names = [child.intent.id for child in tally.children if not child.intent.state.is_end]
    if not names:
        return 0
    cancels = select(OutboxRow).where(OutboxRow.intent_id.in_(names), OutboxRow.kind == "cancel")
    running = {out.intent_id for out in opened.scalars(cancels) if out.done_at is None or at - out.done_at < _ASK_AGAIN}
    rows = opened.scalars(select(IntentRow).where(IntentRow.id.in_(names)).with_for_update()).all()
    asked = [row for row in rows if row.id not in running]
    for row in asked:
        ask_cancel(opened, row, at=at, note=note)
    return len(asked)


def end_in(opened: Session, row: ParentOrderRow, state: str, *, at: dt.datetime, detail: str) -> None:
    """End a parent in the open transaction, with its audit row; what was still planned is skipped."""
    for one in slices_in(opened, row.id):
        if one.state == "planned":
            one.state, one.detail = "skipped", f"the parent was {state} before"
    before = {"state": row.state}
    row.state, row.detail, row.ended_at = state, detail, at
    audit.record(
        opened,
        entity="parent_order",
        entity_id=row.id,
        action=state,
        before=before,
        after={"state": state, "detail": detail},
    )


def progress_in(opened: Session, row: ParentOrderRow) -> Progress:
    """How far a parent is, in the open transaction."""
    tally = tally_in(opened, row.id)
    counts: dict[str, int] = {}
    for one in slices_in(opened, row.id):
        counts[one.state] = counts.get(one.state, 0) + 1
    return Progress(Parent.of(row), tally.booked, tally.to_come, tally.avg_price, counts)
