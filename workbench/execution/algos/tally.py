"""What became of a parent's children: booked, still open, reported and not yet booked. From the journal alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import select

from workbench.execution.algos.schedule import ZERO
from workbench.execution.journal.intent import Intent
from workbench.market.order import IntentState
from workbench.store.tables.execution import FillRow, IntentRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Child:
    """One order of a parent with its booked fills: shares, Σ qty × price and fees in currency."""

    intent: Intent
    booked: Decimal
    value: Decimal
    fee: Decimal
    first_fill: dt.datetime | None
    last_fill: dt.datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it may still fill: it has not ended, or the broker reports more than is booked."""
        return self.to_come > 0

    @property
    def to_come(self) -> Decimal:
        """Shares that may still be booked, at worst case."""
        most = self.intent.filled_qty if self.intent.state.is_end else self.intent.qty
        return max(ZERO, most - self.booked)

    @property
    def is_lost_sight_of(self) -> bool:
        """Whether its fate was looked for in vain; it is watched, and may still turn out to have filled."""
        return self.intent.state is IntentState.UNKNOWN_EXPIRED


@dataclass(frozen=True, slots=True)
class Tally:
    """All children of one parent, in the order written."""

    children: tuple[Child, ...]

    @property
    def booked(self) -> Decimal:
        """Shares booked."""
        return sum((child.booked for child in self.children), ZERO)

    @property
    def to_come(self) -> Decimal:
        """Shares that may still be booked, at worst case."""
        return sum((child.to_come for child in self.children), ZERO)

    @property
    def value(self) -> Decimal:
        """Σ qty × price of the booked fills, currency."""
        return sum((child.value for child in self.children), ZERO)

    @property
    def fee(self) -> Decimal:
        """Fees of the booked fills, currency."""
        return sum((child.fee for child in self.children), ZERO)

    @property
    def open(self) -> tuple[Child, ...]:
        """Children that may still fill."""
        return tuple(child for child in self.children if child.is_open)

    @property
    def avg_price(self) -> Decimal | None:
        """Mean price of the booked fills; None without one."""
        return self.value / self.booked if self.booked else None


def tally_in(opened: Session, parent_id: str) -> Tally:
    """The children of a parent in the open transaction, with those that took the place of one at the broker."""
    rows = {row.id: row for row in opened.scalars(select(IntentRow).where(IntentRow.algo_id == parent_id))}
    newest = set(rows)
    while newest:
        found = opened.scalars(select(IntentRow).where(IntentRow.replaces_id.in_(newest)))
        newest = {row.id for row in found if row.id not in rows}
        rows |= {row.id: row for row in opened.scalars(select(IntentRow).where(IntentRow.id.in_(newest)))}
    fills: dict[str, list[FillRow]] = {}
    for fill in opened.scalars(
        select(FillRow).where(FillRow.intent_id.in_(rows), FillRow.busted_at.is_(None)).order_by(FillRow.happened)
    ):
        fills.setdefault(fill.intent_id or "", []).append(fill)
    ordered = sorted(rows.values(), key=lambda row: (row.generation, row.created_at, row.id))
    return Tally(tuple(_child(row, fills.get(row.id, [])) for row in ordered))


def _child(row: IntentRow, fills: Iterable[FillRow]) -> Child:
    booked = list(fills)
    return Child(
        intent=Intent.of(row),
        booked=sum((fill.qty for fill in booked), ZERO),
        value=sum((fill.qty * fill.price for fill in booked), ZERO),
        fee=sum((fill.fee for fill in booked), ZERO),
        first_fill=booked[0].happened if booked else None,
        last_fill=booked[-1].happened if booked else None,
    )
