"""Refusals in the database: each wish that a limit turned down, once, with its audit row."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.store import audit
from workbench.store.schema import new_id
from workbench.store.tables.execution import RiskRefusalRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from sqlalchemy.orm import Session

    from workbench.execution.risk.refusal import Refusal


def store_refusals(
    opened: Session, refusals: Iterable[Refusal], *, account: str, bot: str, session: dt.date, generation: int = 0
) -> list[RiskRefusalRow]:
    """Write refusals with their audit rows in the open transaction; one that is stored already is left as it stands.

    The key is (account, bot, session, symbol, leg, generation, code). The journal's lock must be held, as `place` does.
    """
    stored = {
        (row.symbol, row.leg, row.code): row
        for row in opened.scalars(
            select(RiskRefusalRow).where(
                RiskRefusalRow.account == account,
                RiskRefusalRow.bot == bot,
                RiskRefusalRow.session == session.isoformat(),
                RiskRefusalRow.generation == generation,
            )
        )
    }
    new: list[RiskRefusalRow] = []
    for refusal in refusals:
        wish = refusal.wish
        if (wish.symbol, refusal.leg, refusal.code.value) in stored:
            continue
        row = RiskRefusalRow(
            id=new_id(),
            account=account,
            bot=bot,
            session=session.isoformat(),
            symbol=wish.symbol,
            leg=refusal.leg,
            generation=generation,
            code=refusal.code.value,
            message=refusal.message,
            numbers={
                **refusal.numbers,
                "limit": refusal.limit,
                "wish": {
                    "side": wish.side.value,
                    "qty": str(wish.qty),
                    "type": wish.type.value,
                    "reference_price": None if wish.reference_price is None else str(wish.reference_price),
                },
            },
            trace_id=trace_id(),
        )
        stored[wish.symbol, refusal.leg, refusal.code.value] = row
        new.append(row)
        opened.add(row)
        after = {"symbol": wish.symbol, "code": row.code, "message": row.message}
        audit.record(opened, entity="risk_refusal", entity_id=row.id, action="refused", after=after)
    return new


def stored_refusals(
    opened: Session, account: str, bot: str, day: dt.date, *, generation: int = 0
) -> list[dict[str, Any]]:
    """The refusals of one bot, session and generation: symbol, leg, side, qty, price, code, message."""
    rows = opened.scalars(
        select(RiskRefusalRow)
        .where(RiskRefusalRow.account == account, RiskRefusalRow.bot == bot, RiskRefusalRow.session == day.isoformat())
        .where(RiskRefusalRow.generation == generation)
        .order_by(RiskRefusalRow.created_at, RiskRefusalRow.symbol, RiskRefusalRow.code)
    )
    return [
        {
            "symbol": row.symbol,
            "leg": row.leg,
            "side": row.numbers["wish"]["side"],
            "qty": float(row.numbers["wish"]["qty"]),
            "price": _number(row.numbers["wish"]["reference_price"]),
            "code": row.code,
            "message": row.message,
        }
        for row in rows
    ]


def _number(value: Decimal | str | None) -> float:
    return float("nan") if value is None else float(value)
