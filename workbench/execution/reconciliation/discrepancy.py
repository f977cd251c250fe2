"""Discrepancy and Reconciliation: what a comparison with the broker found, what was done about it, and their rows."""

from __future__ import annotations

import datetime as dt
import html
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import select

from workbench import events
from workbench.errors import StoreError
from workbench.store.event_log import publish
from workbench.store.tables.execution import DiscrepancyRow, ReconciliationRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One difference between what was stored here and what the broker says.

    Attributes:
        kind: what differs, e.g. `order_state`, `fill_missing`, `position_drift`, `foreign_order`.
        subject: a client order id, an execution id, a symbol, or `account`.
        ours, theirs: the two sides as plain JSON values; None where that side has nothing.
        action: `inserted`, `updated`, `closed`, `halted`, `cancelling` or `reported`.
        detail: one sentence for a person.
    """

    kind: str
    subject: str
    ours: dict[str, Any] | None
    theirs: dict[str, Any] | None
    action: str
    detail: str


@dataclass(frozen=True)
class Reconciliation:
    """One pass. `clean` says that nothing differed; how many orders, positions and new fills were looked at.

    `cash`, `equity` and `buying_power` are the broker's, in currency, None where it left them out.
    """

    id: str
    account: str
    occasion: str
    discrepancies: tuple[Discrepancy, ...]
    orders: int
    positions: int
    fills: int
    cash: Decimal | None
    equity: Decimal | None
    buying_power: Decimal | None
    started_at: dt.datetime

    @property
    def clean(self) -> bool:
        """Whether our book and the broker's agreed when they were compared."""
        return not self.discrepancies

    def frame(self) -> pd.DataFrame:
        """One row per discrepancy: kind, subject, action, detail."""
        return pd.DataFrame(
            [(found.kind, found.subject, found.action, found.detail) for found in self.discrepancies],
            columns=["kind", "subject", "action", "detail"],
        )

    @property
    def line(self) -> str:
        """The pass on one line."""
        seen = f"{self.orders} orders, {self.positions} positions, {self.fills} fills compared"
        verdict = "clean" if self.clean else f"{len(self.discrepancies)} differences"
        return f"reconciliation of {self.account} ({self.occasion}): {verdict} · {seen}"

    def __repr__(self) -> str:
        return "\n".join(
            [
                self.line,
                *(f"  {found.kind} {found.subject}: {found.action} — {found.detail}" for found in self.discrepancies),
            ]
        )

    def _repr_html_(self) -> str:
        table = "" if self.clean else self.frame().to_html(index=False, escape=True)
        return f"<div><b>{html.escape(self.line)}</b>{table}</div>"


def store(session: Session, done: Reconciliation, *, cash_basis: Decimal | None, **seen: Any) -> None:
    """Write the pass, its discrepancies and their events in the open transaction.

    `seen` are further columns of the pass's row.
    """
    session.add(
        ReconciliationRow(
            id=done.id,
            account=done.account,
            occasion=done.occasion,
            clean=done.clean,
            orders=done.orders,
            positions=done.positions,
            fills=done.fills,
            cash=done.cash,
            equity=done.equity,
            buying_power=done.buying_power,
            cash_basis=cash_basis,
            trace_id=trace_id(),
            started_at=done.started_at,
            **seen,
        )
    )
    session.flush()  # the rows below point at it
    session.add_all(
        DiscrepancyRow(
            reconciliation_id=done.id,
            account=done.account,
            kind=found.kind,
            subject=found.subject,
            ours=found.ours,
            theirs=found.theirs,
            action=found.action,
            detail=found.detail,
            trace_id=trace_id(),
        )
        for found in done.discrepancies
    )
    told = {"account": done.account, "reconciliation_id": done.id}
    publish(
        session,
        *(
            events.DiscrepancyFound(
                what=found.kind, about=found.subject, action=found.action, detail=found.detail, **told
            )
            for found in done.discrepancies
        ),
        events.Reconciled(occasion=done.occasion, clean=done.clean, discrepancies=len(done.discrepancies), **told),
    )


def load(session: Session, identifier: str) -> Reconciliation:
    """A stored pass. Raises StoreError when there is none under this id."""
    row = session.get(ReconciliationRow, identifier)
    if row is None:
        raise StoreError(f"there is no reconciliation {identifier!r}.")
    found = session.scalars(
        select(DiscrepancyRow)
        .where(DiscrepancyRow.reconciliation_id == identifier)
        .order_by(DiscrepancyRow.created_at, DiscrepancyRow.id)
    )
    return Reconciliation(
        id=row.id,
        account=row.account,
        occasion=row.occasion,
        discrepancies=tuple(
            Discrepancy(one.kind, one.subject, one.ours, one.theirs, one.action, one.detail) for one in found
        ),
        orders=row.orders,
        positions=row.positions,
        fills=row.fills,
        cash=row.cash,
        equity=row.equity,
        buying_power=row.buying_power,
        started_at=row.started_at,
    )
