"""The stored log of what was said about the members of universes, and the picture of stays that follows from it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workbench.data.membership import Change, Stay, stays_of
from workbench.errors import NoData

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def create(session: Session, name: str, reason: str) -> None:
    """Make sure that the universe is there, and hold it until the transaction ends."""
    from workbench.store.insert import insert_of
    from workbench.store.tables.universe import UniverseRow

    insert = insert_of(session.get_bind())
    session.execute(insert(UniverseRow).on_conflict_do_nothing(index_elements=["name"]), {"name": name, "rule": reason})
    lock(session, name)


def lock(session: Session, name: str) -> None:
    """Changes of one universe take turns: its row is locked. Raises NoData when there is no such universe."""
    from workbench.store.tables.universe import UniverseRow

    if session.get(UniverseRow, name, with_for_update=True) is None:
        raise unknown(session, name)


def read(session: Session, name: str, symbols: Collection[str] | None = None) -> list[Change]:
    """What was said of a universe, or of some of its symbols; empty when nothing was.

    Of a symbol of which the log says nothing, its stays count as said when they began and ended.
    """
    from sqlalchemy import select

    from workbench.store.tables.universe import UniverseChangeRow as Row

    asked = select(Row).where(Row.universe == name).order_by(Row.number)
    rows = session.scalars(asked if symbols is None else asked.where(Row.symbol.in_(symbols)))
    logged = [
        Change(
            symbol=row.symbol,
            action="enter" if row.action == "enter" else "leave",
            happened=_utc(row.happened),
            learned=_utc(row.learned),
            reason=row.reason,
            number=row.number,
            rotation=row.rotation,
        )
        for row in rows
    ]
    return [*_unlogged(session, name, {change.symbol for change in logged}, symbols), *logged]


def write(session: Session, name: str, said: Sequence[Change]) -> None:
    """Add what was said to the log, and draw the stays of these symbols anew. The universe must be locked.

    `number` is given here. What the log did not know yet of these symbols is written down first.
    """
    from sqlalchemy import delete, func, select

    from workbench.store.tables.universe import UniverseChangeRow, UniverseMemberRow

    if not said:
        return
    symbols = {change.symbol for change in said}
    before = read(session, name, symbols)
    added = [*(change for change in before if change.number <= 0), *said]
    newest = session.scalar(select(func.max(UniverseChangeRow.number)).where(UniverseChangeRow.universe == name)) or 0
    session.add_all(
        UniverseChangeRow(
            universe=name,
            number=newest + place,
            symbol=change.symbol,
            action=change.action,
            happened=change.happened.to_pydatetime(),
            learned=change.learned.to_pydatetime(),
            reason=change.reason,
            rotation=change.rotation,
        )
        for place, change in enumerate(added, start=1)
    )
    session.execute(
        delete(UniverseMemberRow).where(UniverseMemberRow.universe == name, UniverseMemberRow.symbol.in_(symbols))
    )
    session.flush()
    session.add_all(
        UniverseMemberRow(
            universe=name,
            symbol=stay.symbol,
            entered=stay.entered.to_pydatetime(),
            left=None if stay.left is None else stay.left.to_pydatetime(),
            reason=stay.reason,
            left_reason=stay.left_reason,
        )
        for stay in stays_of(read(session, name, symbols))
    )


def picture_of(session: Session, name: str) -> list[Stay]:
    """The stored stays, with all that is known by now, by entry and symbol."""
    from sqlalchemy import select

    from workbench.store.tables.universe import UniverseMemberRow as Row

    rows = session.scalars(select(Row).where(Row.universe == name).order_by(Row.entered, Row.symbol))
    return [
        Stay(row.symbol, _utc(row.entered), None if row.left is None else _utc(row.left), row.reason, row.left_reason)
        for row in rows
    ]


def names(session: Session) -> tuple[str, ...]:
    """The universes there are, in alphabetical order."""
    from sqlalchemy import select

    from workbench.store.tables.universe import UniverseRow

    return tuple(session.scalars(select(UniverseRow.name).order_by(UniverseRow.name)))


def unknown(session: Session, name: str) -> NoData:
    """The error for a universe that is not there, with the nearest name."""
    known = names(session)
    near = difflib.get_close_matches(name, known, n=1)
    return NoData(
        f"there is no universe {name!r}; the known ones are {', '.join(known) or 'none'}.",
        remedy=f"did you mean {near[0]!r}?" if near else "define it with universe.define(…).",
    )


def _unlogged(session: Session, name: str, logged: set[str], symbols: Collection[str] | None) -> list[Change]:
    """The stays of symbols that the log does not know, as changes; their numbers are 0 and less."""
    found: list[Change] = []
    for stay in picture_of(session, name):
        if stay.symbol in logged or (symbols is not None and stay.symbol not in symbols):
            continue
        found.append(Change(stay.symbol, "enter", stay.entered, stay.entered, stay.reason))
        if stay.left is not None and stay.left_reason != "entered again":
            found.append(Change(stay.symbol, "leave", stay.left, stay.left, stay.left_reason or ""))
    return [_numbered(change, place - len(found) + 1) for place, change in enumerate(found)]


def _numbered(change: Change, number: int) -> Change:
    return Change(change.symbol, change.action, change.happened, change.learned, change.reason, number)


def _utc(moment: object) -> pd.Timestamp:
    return pd.Timestamp(moment).tz_convert("UTC").as_unit("us")  # type: ignore[arg-type]  # a datetime with a zone
