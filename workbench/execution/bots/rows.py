"""The rows of bots: finding one, what it may not do, and its plan as columns. For `execution.bots` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import BotRefused, NoData
from workbench.execution.bots.plan import nearest
from workbench.store.tables.bot import BotPositionRow, BotRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.bots.plan import BotPlan


def row_of(session: Session, account: str, name: str, *, lock: bool = True) -> BotRow:
    """The row of a bot by name or id, locked until the transaction ends. Raises NoData, with the nearest name."""
    question = select(BotRow).where(BotRow.account == account, (BotRow.name == name) | (BotRow.id == name))
    row = session.scalars(question.with_for_update() if lock else question).one_or_none()
    if row is None:
        known = session.scalars(select(BotRow.name).where(BotRow.account == account, BotRow.deleted_at.is_(None))).all()
        raise NoData(f"account {account!r} has no bot {name!r}.", remedy=nearest(name, known))
    return row


def held_symbols(session: Session, row: BotRow) -> tuple[str, ...]:
    """The symbols that a bot holds, as its credited fills say."""
    session.flush()
    rows = session.scalars(
        select(BotPositionRow).where(BotPositionRow.bot_id == row.id).order_by(BotPositionRow.symbol)
    )
    return tuple(one.symbol for one in rows if one.qty)


def refuse_taken(session: Session, account: str, name: str) -> None:
    """Raise BotRefused when a bot of the account has, or ever had, that name."""
    found = session.scalars(select(BotRow).where(BotRow.account == account, BotRow.name == name)).one_or_none()
    if found is not None:
        whose = "a deleted bot" if found.deleted_at is not None else "another bot"
        raise BotRefused(
            f"name={name!r} belongs to {whose} of {account}, whose orders are booked under it; nothing was made.",
            remedy=f"choose another one, e.g. {name[:45] + '-2'!r}.",
        )


def refuse_deleted(row: BotRow) -> None:
    """Raise BotRefused when the bot is deleted."""
    if row.deleted_at is not None:
        raise BotRefused(f"bot {row.name!r} is deleted; nothing was changed.", remedy="make a new one.")


def refuse_orphans(session: Session, row: BotRow, plan: BotPlan) -> None:
    """Raise BotRefused when a new plan leaves out a symbol that the bot holds."""
    orphans = [symbol for symbol in held_symbols(session, row) if symbol not in plan.symbols]
    if orphans:
        raise BotRefused(
            f"bot {row.name!r} holds {', '.join(orphans)}, which it would no longer trade; nothing was changed.",
            remedy=f"sell it first: stop({row.name!r}, flatten=True).",
        )


def columns_of(plan: BotPlan) -> dict[str, Any]:
    """The plan as the columns of a row."""
    return {
        "name": plan.name,
        "capital": plan.capital,
        "strategy": plan.strategy,
        "params": plan.params,
        "symbols": list(plan.symbols),
        "every_seconds": plan.every_seconds,
        "timeframe": plan.timeframe,
        "window": plan.window.to_dict(),
        "risk": plan.risk.to_dict(),
    }


def forget(row: BotRow) -> None:
    """Let the bot join the market anew."""
    row.began, row.bar_at, row.waiting, row.barred = None, None, {}, {}
