"""What a bot has on order: its intents that have not ended, and the symbols that must wait for one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from workbench.execution.journal.bookings import missing_qty
from workbench.execution.risk.limits import OpenOrder
from workbench.market.order import IntentState, Side
from workbench.store.tables.execution import IntentRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.store.tables.bot import BotRow

UNENDED = tuple(state.value for state in IntentState if not state.is_end)


def open_intents(session: Session, row: BotRow) -> Sequence[IntentRow]:
    """The bot's intents that have not ended: unsent, live, or of unknown fate."""
    return session.scalars(
        select(IntentRow).where(
            IntentRow.account == row.account, IntentRow.bot == row.name, IntentRow.state.in_(UNENDED)
        )
    ).all()


def open_orders(session: Session, row: BotRow) -> list[OpenOrder]:
    """The same at worst case, as the risk check counts them: what is not filled yet is still to come."""
    return [
        OpenOrder(
            symbol=one.symbol,
            side=Side(one.side),
            qty=one.qty - one.filled_qty,
            price=one.limit_price or one.reference_price,
            client_order_id=one.client_order_id,
            bot=row.name,
            limit_price=one.limit_price,
        )
        for one in open_intents(session, row)
        if one.qty > one.filled_qty
    ]


def orders_of(session: Session, row: BotRow, day: dt.date) -> int:
    """How many orders the bot has written for a session."""
    counted = select(func.count()).where(
        IntentRow.account == row.account, IntentRow.bot == row.name, IntentRow.session == day.isoformat()
    )
    return session.scalar(counted) or 0


def busy(session: Session, row: BotRow, *, alone: bool) -> set[str]:
    """Symbols of the bot that must wait: an order of it is open, or it has ended and a fill is not booked yet.

    Args:
        alone: the account wants one order per symbol: an open order of anybody counts.
    """
    question = select(IntentRow.symbol).where(
        IntentRow.account == row.account, IntentRow.state.in_(UNENDED), IntentRow.symbol.in_(row.symbols)
    )
    found = set(session.scalars(question if alone else question.where(IntentRow.bot == row.name)))
    ended = session.scalars(
        select(IntentRow)
        .where(IntentRow.account == row.account, IntentRow.bot == row.name, IntentRow.state.not_in(UNENDED))
        .where(IntentRow.booked_qty.is_(None) | (IntentRow.booked_qty != IntentRow.filled_qty))
    ).all()
    return found | {one.symbol for one in ended if missing_qty(session, one) > 0}
