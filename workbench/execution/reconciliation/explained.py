"""What the booked fills of an account add up to, symbol by symbol: holdings, profit, and the cash that they moved."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from workbench.execution.risk.instrument import multiplier
from workbench.market.book import Book, Position
from workbench.market.order import Fill, Side
from workbench.store.tables.execution import FillRow, IntentRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Explained:
    """What the booked fills of one symbol add up to: signed shares, profit realized, when the holding began."""

    position: Position
    opened_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    strategy: str | None = None
    trace_id: str | None = None


_BOOKED = (
    select(
        FillRow.execution_id,
        FillRow.broker_order_id,
        FillRow.symbol,
        FillRow.side,
        FillRow.qty,
        FillRow.price,
        FillRow.fee,
        FillRow.happened,
        FillRow.trace_id,
        IntentRow.client_order_id,
        IntentRow.bot,
    )
    .join(IntentRow, FillRow.intent_id == IntentRow.id)
    .where(FillRow.account == bindparam("account"), FillRow.busted_at.is_(None))
    .order_by(FillRow.happened, FillRow.created_at, FillRow.id)
)


def explained(session: Session, account: str) -> tuple[dict[str, Explained], Decimal]:
    """Per symbol what the booked fills explain, and the cash they moved in all (currency, negative when spent)."""
    rows = session.execute(_BOOKED, {"account": account})
    found: dict[str, Explained] = {}
    moved: dict[str, Decimal] = {}
    for row in rows:
        # A book of its own for each symbol: none of them grows, however many symbols there are.
        last = found.get(row.symbol)
        held = {} if last is None else {row.symbol: last.position}
        before = ZERO if last is None else last.position.qty
        book = Book(ZERO, held).apply(_fill(row))
        now = book.positions[row.symbol]
        # A quantity of options counts contracts, a price is per share; a fee is a fee.
        moved[row.symbol] = moved.get(row.symbol, ZERO) + (book.cash + row.fee) * multiplier(row.symbol) - row.fee
        opens = before * now.qty <= 0 and now.qty
        found[row.symbol] = Explained(
            position=now,
            opened_at=row.happened if opens or last is None else last.opened_at,
            ended_at=None if now.qty else row.happened,
            strategy=row.bot,
            trace_id=row.trace_id,
        )
    for symbol, one in found.items():
        if one.position.realized and multiplier(symbol) != 1:
            realized = one.position.realized * multiplier(symbol)
            found[symbol] = replace(one, position=replace(one.position, realized=realized))
    return found, sum(moved.values(), ZERO)


def _fill(row: Any) -> Fill:
    return Fill(
        execution_id=row.execution_id,
        broker_order_id=row.broker_order_id,
        client_order_id=row.client_order_id,
        symbol=row.symbol,
        side=Side(row.side),
        qty=row.qty,
        price=row.price,
        happened=row.happened,
        fee=row.fee,
    )
