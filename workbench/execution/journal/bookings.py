"""Bookings: executions become fill rows, each share of an order at most once, whoever reports it and how often."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from workbench.market.order import Fill
from workbench.store import audit
from workbench.store.tables.execution import FillRow, IntentRow
from workbench.trace import trace_id

Span = tuple[Decimal, Decimal]
_FINEST = Decimal("1e-12")  # the decimals that both databases keep


@dataclass(frozen=True, slots=True)
class Booked:
    """What booking a fill did, and what is booked of its order now.

    Attributes:
        written: whether anything was written, be it only the second name of an execution.
        disagrees: whether the fill differs from what was booked for the same shares.
        new: the rows of the shares that were not booked before.
        total, average: shares booked of the order, and their average price (None without any).
    """

    written: bool
    disagrees: bool
    new: tuple[FillRow, ...]
    total: Decimal
    average: Decimal | None


def book_fill(session: Session, row: IntentRow, fill: Fill, *, source: str) -> Booked:
    """Book the part of a fill that no booked fill covers, in the open transaction.

    A fill that ends at cumulative quantity c covers the shares (c − qty, c] of its order. The stream and the activities
    report the same shares under different names, so what counts is which shares are covered, not which name came.
    Only a fill without a cumulative quantity is known by its names alone.
    """
    rows = _rows(session, row)
    written, disagrees, new = _book(session, row, rows, fill, source=source)
    total, average = _sum([*rows, *new])
    if row.booked_qty != total:
        row.booked_qty = total
    return Booked(written, disagrees, tuple(new), total, average)


def _book(
    session: Session, row: IntentRow, rows: Sequence[FillRow], fill: Fill, *, source: str
) -> tuple[bool, bool, list[FillRow]]:
    same = _by_name(rows, fill) or _by_cumulative(rows, fill, source)
    if same is not None and same.busted_at is not None:
        return False, False, []
    named = same is not None and _adopt_name(same, fill, source)
    if same is not None and (fill.cum_qty is None or same.cum_qty is None):
        if same.cum_qty is None and fill.cum_qty is not None and _uncovered(rows, fill) == [_span(fill)]:
            same.cum_qty = _plain(fill.cum_qty)
        return named, (same.qty, same.price) != (fill.qty, fill.price), []
    if fill.cum_qty is None:
        return True, False, [_add(session, row, fill, qty=fill.qty, cum=None, source=source, part=0)]
    pieces = _uncovered(rows, fill)
    first = 0 if same is None else 1
    new = [
        _add(session, row, fill, qty=high - low, cum=high, source=source, part=number)
        for number, (low, high) in enumerate(pieces, start=first)
    ]
    whole = pieces == [_span(fill)]
    disagrees = not whole if same is None else bool(pieces) or (same.qty, same.price) != (fill.qty, fill.price)
    return named or bool(pieces), disagrees, new


def missing_qty(session: Session, row: IntentRow) -> Decimal:
    """Shares that the broker calls filled and no booked execution explains."""
    if not row.filled_qty:
        return Decimal(0)
    booked = row.booked_qty if row.booked_qty is not None else booked_qty(session, row)[0]
    return max(row.filled_qty - booked, Decimal(0))


def booked_qty(session: Session, row: IntentRow) -> tuple[Decimal, Decimal | None]:
    """Shares of an intent that are booked, and their average price (None without a fill)."""
    return _sum(_rows(session, row))


def _sum(rows: Sequence[FillRow]) -> tuple[Decimal, Decimal | None]:
    live = [fill for fill in rows if fill.busted_at is None]
    total = sum((fill.qty for fill in live), Decimal(0))
    paid = sum((fill.qty * fill.price for fill in live), Decimal(0))
    return total, (_plain((paid / total).quantize(_FINEST)) if total else None)


def last_fill_at(session: Session, row: IntentRow) -> dt.datetime | None:
    """The broker's moment of the newest booked fill of an intent; None without one."""
    return max((fill.happened for fill in _rows(session, row)), default=None)


def bust(session: Session, row: IntentRow, execution_id: str | None, *, at: dt.datetime) -> bool:
    """Strike out a booked execution that the broker took back; False when none is booked under that name."""
    for fill in _rows(session, row):
        if fill.busted_at is None and execution_id in {fill.execution_id, fill.activity_id}:
            fill.busted_at, fill.cum_qty = at, None
            after = {"execution_id": execution_id, "qty": str(fill.qty), "price": str(fill.price)}
            audit.record(session, entity="fill", entity_id=fill.id, action="busted", after=after)
            row.booked_qty = booked_qty(session, row)[0]
            return True
    return False


def _rows(session: Session, row: IntentRow) -> Sequence[FillRow]:
    session.flush()
    return session.scalars(select(FillRow).where(FillRow.intent_id == row.id).order_by(FillRow.created_at)).all()


def _by_name(rows: Sequence[FillRow], fill: Fill) -> FillRow | None:
    """The row under the fill's own name. Alpaca's activity ids end in `::` and a name that some events carry alone."""
    names = {fill.execution_id, fill.execution_id.rpartition("::")[2]}
    for found in rows:
        known = {found.execution_id, found.execution_id.rpartition("::")[2]}
        known |= {found.activity_id, found.activity_id.rpartition("::")[2]} if found.activity_id else set()
        if names & known:
            return found
    return None


def _by_cumulative(rows: Sequence[FillRow], fill: Fill, source: str) -> FillRow | None:
    """The row that ends at the same share; without that knowledge, an equal one that only the other source reported."""
    live = [found for found in rows if found.busted_at is None]
    if fill.cum_qty is not None and (exact := next((f for f in live if f.cum_qty == fill.cum_qty), None)) is not None:
        return exact
    for found in live:
        blind = fill.cum_qty is None or found.cum_qty is None
        unnamed = found.activity_id is None if source == "activities" else found.activity_id == found.execution_id
        if blind and unnamed and (found.qty, found.price) == (fill.qty, fill.price):
            return found
    return None


def _adopt_name(found: FillRow, fill: Fill, source: str) -> bool:
    """Note the second name of an execution. True when it was not known."""
    if source == "activities" and found.activity_id is None:
        found.activity_id = fill.execution_id
        return True
    if source == "stream" and found.execution_id == found.activity_id:
        found.execution_id = fill.execution_id
        return True
    return False


def _uncovered(rows: Sequence[FillRow], fill: Fill) -> list[Span]:
    """The parts of (cum − qty, cum] that no row covers, in order; [] without a cumulative quantity."""
    if fill.cum_qty is None:
        return []
    taken = sorted((f.cum_qty - f.qty, f.cum_qty) for f in rows if f.busted_at is None and f.cum_qty is not None)
    low, high = _span(fill)
    free: list[Span] = []
    for start, end in taken:
        if end <= low or start >= high:
            continue
        if start > low:
            free.append((low, start))
        low = max(low, end)
    if low < high:
        free.append((low, high))
    return free


def _span(fill: Fill) -> Span:
    end = fill.cum_qty or Decimal(0)
    return max(end - fill.qty, Decimal(0)), end


def _plain(number: Decimal) -> Decimal:
    """The same number written the one way in which SQLite compares it: without trailing zeros."""
    return number.normalize() + 0


def _add(
    session: Session, row: IntentRow, fill: Fill, *, qty: Decimal, cum: Decimal | None, source: str, part: int
) -> FillRow:
    name = fill.execution_id if part == 0 else f"{fill.execution_id}#{part}"
    booked = FillRow(
        account=row.account,
        execution_id=name,
        activity_id=name if source == "activities" and part == 0 else None,
        intent_id=row.id,
        broker_order_id=fill.broker_order_id,
        symbol=row.symbol,
        side=row.side,
        qty=qty,
        price=fill.price,
        fee=fill.fee if part == 0 else Decimal(0),
        cum_qty=None if cum is None else _plain(cum),
        happened=fill.happened,
        source=source,
        trace_id=trace_id(),
    )
    session.add(booked)
    session.flush()
    after = {"intent": row.id, "execution_id": name, "qty": str(qty), "price": str(fill.price), "source": source}
    audit.record(session, entity="fill", entity_id=booked.id, action="booked", after=after)
    return booked
