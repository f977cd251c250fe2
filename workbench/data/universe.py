"""Universes: named sets of symbols with dated membership, so that who was in as of when can be asked."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import DataError, NoData

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.store.tables.universe import UniverseMemberRow
    from workbench.store.workspace import Workspace


def define(workspace: Workspace, name: str, symbols: str | Sequence[str], *, entered: Any, reason: str) -> int:
    """Let symbols enter a universe, which is created when it is new. Those that are in already stay as they are.

    A symbol that enters before a later stay of its own is in until that stay begins.

    Args:
        workspace: where the universe is kept.
        name: of the universe.
        symbols: one or several.
        entered: from when on, included: a moment with a timezone, or a date (its midnight, UTC).
        reason: why, for the reader of the history.

    Returns:
        How many stays began.

    Raises:
        DataError: no symbol is named, or `entered` is no moment.
    """
    from workbench.store.audit import record
    from workbench.store.engine import transaction
    from workbench.store.tables.universe import UniverseMemberRow

    moment, wanted = _moment("entered", entered), _symbols(symbols)
    with transaction(workspace.engine) as session:
        _create(session, name, reason)
        began = []
        for symbol in wanted:
            stays = _stays(session, name, symbol)
            if any(_holds(stay, moment) for stay in stays):
                continue
            later = min((stay.entered for stay in stays if stay.entered > moment), default=None)
            session.add(
                UniverseMemberRow(
                    universe=name,
                    symbol=symbol,
                    entered=moment.to_pydatetime(),
                    left=later,
                    reason=reason,
                    left_reason="entered again" if later else None,
                )
            )
            began.append(symbol)
        if began:
            record(
                session,
                entity="universe",
                entity_id=name,
                action="enter",
                after={"symbols": began, "entered": moment.isoformat(), "reason": reason},
            )
    return len(began)


def leave(workspace: Workspace, name: str, symbols: str | Sequence[str], *, left: Any, reason: str) -> int:
    """Let symbols leave a universe; the time they were in stays in its history.

    Args:
        workspace: where the universe is kept.
        name: of the universe.
        symbols: one or several; one whose stay ends at that very moment already is left alone.
        left: from when on they are out: a moment with a timezone, or a date (its midnight, UTC).
        reason: why.

    Returns:
        How many stays ended.

    Raises:
        NoData: there is no such universe.
        DataError: a symbol is not in it at that moment; nobody left.
    """
    from workbench.store.audit import record
    from workbench.store.engine import transaction

    moment, wanted = _moment("left", left), _symbols(symbols)
    with transaction(workspace.engine) as session:
        _lock(session, name)
        ended, absent = [], []
        for symbol in wanted:
            stays = _stays(session, name, symbol)
            if any(stay.left == moment for stay in stays):
                continue
            held = [stay for stay in stays if _holds(stay, moment) and stay.entered < moment]
            if held:
                ended.append((symbol, held[0].left))
                held[0].left, held[0].left_reason = moment.to_pydatetime(), reason
            else:
                absent.append(symbol)
        if absent:
            raise DataError(
                f"{', '.join(absent)} is not in the universe {name!r} before {moment}; nobody left it.",
                remedy="look at universe.history(workspace, name) for who was in, and when.",
            )
        if ended:
            record(
                session,
                entity="universe",
                entity_id=name,
                action="leave",
                before={symbol: before.isoformat() if before else None for symbol, before in ended},
                after={"symbols": [symbol for symbol, _ in ended], "left": moment.isoformat(), "reason": reason},
            )
    return len(ended)


def members(workspace: Workspace, name: str, as_of: pd.Timestamp) -> tuple[str, ...]:
    """Who was in the universe at `as_of` (UTC), in alphabetical order.

    Raises:
        NoData: there is no such universe.
        DataError: `as_of` has no timezone.
    """
    if as_of.tzinfo is None:
        raise DataError(f"as_of={as_of} has no timezone.", remedy="pass study.as_of, or a UTC Timestamp.")
    stays = history(workspace, name)
    held = (stays["entered"] <= as_of) & (stays["left"].isna() | (stays["left"] > as_of))
    return tuple(sorted(stays.loc[held, "symbol"]))


def history(workspace: Workspace, name: str) -> pd.DataFrame:
    """Every stay: `symbol`, `entered` (included), `left` (excluded; NaT: still in), `reason`, `left_reason`, by entry.

    Raises:
        NoData: there is no such universe.
    """
    from sqlalchemy import select

    from workbench.store.engine import transaction
    from workbench.store.tables.universe import UniverseMemberRow as Row

    with transaction(workspace.engine) as session:
        found = session.execute(
            select(Row.symbol, Row.entered, Row.left, Row.reason, Row.left_reason)
            .where(Row.universe == name)
            .order_by(Row.entered, Row.symbol)
        ).all()
        if not found:
            raise _unknown(session, name)
    stays = pd.DataFrame([tuple(row) for row in found], columns=["symbol", "entered", "left", "reason", "left_reason"])
    for column in ("entered", "left"):
        stays[column] = pd.to_datetime(stays[column], utc=True).dt.as_unit("us")
    return stays


def names(workspace: Workspace) -> tuple[str, ...]:
    """The universes there are, in alphabetical order."""
    from workbench.store.engine import transaction

    with transaction(workspace.engine) as session:
        return _names(session)


def _names(session: Session) -> tuple[str, ...]:
    from sqlalchemy import select

    from workbench.store.tables.universe import UniverseRow

    return tuple(session.scalars(select(UniverseRow.name).order_by(UniverseRow.name)))


def _create(session: Session, name: str, reason: str) -> None:
    """Make sure that the universe is there, and hold it until the transaction ends."""
    from sqlalchemy.dialects import postgresql, sqlite

    from workbench.store.tables.universe import UniverseRow

    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(UniverseRow).on_conflict_do_nothing(index_elements=["name"]), {"name": name, "rule": reason})
    _lock(session, name)


def _lock(session: Session, name: str) -> None:
    """Changes of one universe take turns. SQLite has one writer anyway; elsewhere the row is locked."""
    from workbench.store.tables.universe import UniverseRow

    if session.get(UniverseRow, name, with_for_update=True) is None:
        raise _unknown(session, name)


def _stays(session: Session, name: str, symbol: str) -> list[UniverseMemberRow]:
    from sqlalchemy import select

    from workbench.store.tables.universe import UniverseMemberRow as Row

    return list(session.scalars(select(Row).where(Row.universe == name, Row.symbol == symbol).order_by(Row.entered)))


def _holds(stay: UniverseMemberRow, moment: pd.Timestamp) -> bool:
    return stay.entered <= moment and (stay.left is None or moment < stay.left)


def _unknown(session: Session, name: str) -> NoData:
    known = _names(session)
    near = difflib.get_close_matches(name, known, n=1)
    return NoData(
        f"there is no universe {name!r}; the known ones are {', '.join(known) or 'none'}.",
        remedy=f"did you mean {near[0]!r}?" if near else "define it with universe.define(…).",
    )


def _symbols(symbols: str | Sequence[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys([symbols] if isinstance(symbols, str) else symbols))
    if not wanted:
        raise DataError("symbols is empty: nobody enters or leaves.", remedy="name at least one symbol.")
    return wanted


def _moment(field: str, value: Any) -> pd.Timestamp:
    try:
        moment = pd.Timestamp(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{field}={value!r} is not a moment.", remedy="write '2015-06-30'.") from error
    if pd.isna(moment):
        raise DataError(f"{field}={value!r} is not a moment.", remedy="write '2015-06-30'.")
    if moment.tzinfo is None:
        if moment != moment.normalize():
            raise DataError(
                f"{field}={value!r} has a time of day but no timezone.", remedy="add one, or drop the time."
            )
        return moment.tz_localize("UTC")
    return moment.tz_convert("UTC")
