"""Universes: named sets of symbols with dated membership, so that who was in, as known when, can be asked.

Membership has two clocks. `happened`: from when on a symbol is in or out. `learned`: from when on that could be known.
`members(workspace, name, as_of)` answers with what happened and was learned by then, and nothing else: whatever is said
later with a later `learned` does not alter the answer for an earlier moment.

Whoever says something without a `learned` vouches that it could be known when it happened: `define(…, entered="2015-01-
02")` said today means "it was in then, and one could know". So a study of the past sees the symbols it names itself.
Lists of an index and rotations carry their own `learned`. The clock on the wall is kept beside both (`recorded_at`) and
decides nothing.

A test of this writes changes with both clocks (`supply`, or `define` and `leave` with `learned=`) and asks `members` at
moments in between: the answer is that of the changes with happened <= as_of and learned <= as_of alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.data import changes
from workbench.data.membership import Change, Stay, members_of, moment_of, stays_of
from workbench.data.membership_list import changes_in, refuse_orphans
from workbench.errors import DataError

if TYPE_CHECKING:
    from workbench.store.workspace import Workspace


def define(
    workspace: Workspace, name: str, symbols: str | Sequence[str], *, entered: Any, reason: str, learned: Any = None
) -> int:
    """Let symbols enter a universe, which is created when it is new. Those that are in already stay as they are.

    A symbol that enters before a later stay of its own is in until that stay begins.

    Args:
        workspace: where the universe is kept.
        name: of the universe.
        symbols: one or several.
        entered: from when on, included: a moment with a timezone, or a date (its midnight, UTC).
        reason: why, for the reader of the history.
        learned: from when on that could be known; when it happened, if None (see the head of this module).

    Returns:
        How many symbols entered.

    Raises:
        DataError: no symbol is named, or `entered` or `learned` is no moment.
    """
    from workbench.store.audit import record
    from workbench.store.engine import transaction

    moment, wanted = moment_of("entered", entered), _symbols(symbols)
    known = moment if learned is None else moment_of("learned", learned)
    with transaction(workspace.engine) as session:
        changes.create(session, name, reason)
        inside = members_of(changes.read(session, name, wanted), at=moment, known=known)
        began = [symbol for symbol in wanted if symbol not in inside]
        changes.write(session, name, [Change(symbol, "enter", moment, known, reason) for symbol in began])
        if began:
            clocks = {"entered": moment.isoformat(), **({} if learned is None else {"learned": known.isoformat()})}
            after = {"symbols": began, **clocks, "reason": reason}
            record(session, entity="universe", entity_id=name, action="enter", after=after)
    return len(began)


def leave(
    workspace: Workspace, name: str, symbols: str | Sequence[str], *, left: Any, reason: str, learned: Any = None
) -> int:
    """Let symbols leave a universe; the time they were in stays in its history.

    Args:
        workspace: where the universe is kept.
        name: of the universe.
        symbols: one or several; one whose stay ends at that very moment already is left alone.
        left: from when on they are out: a moment with a timezone, or a date (its midnight, UTC).
        reason: why.
        learned: from when on that could be known; when it happened, if None.

    Returns:
        How many stays ended.

    Raises:
        NoData: there is no such universe.
        DataError: a symbol is not in it at that moment, by what was known then; nobody left.
    """
    from workbench.store.audit import record
    from workbench.store.engine import transaction

    moment, wanted = moment_of("left", left), _symbols(symbols)
    known = moment if learned is None else moment_of("learned", learned)
    with transaction(workspace.engine) as session:
        changes.lock(session, name)
        said = changes.read(session, name, wanted)
        inside = members_of(said, at=moment, known=known, before=True)
        gone = {one.symbol for one in said if (one.action, one.happened) == ("leave", moment) and one.learned <= known}
        absent = [symbol for symbol in wanted if symbol not in inside | gone]
        if absent:
            raise DataError(
                f"{', '.join(absent)} is not in the universe {name!r} before {moment}; nobody left it.",
                remedy="look at universe.history(workspace, name) for who was in, and when.",
            )
        ending = [symbol for symbol in wanted if symbol not in gone]
        before = {symbol: _end_of(stays_of(said), symbol, moment) for symbol in ending}
        changes.write(session, name, [Change(symbol, "leave", moment, known, reason) for symbol in ending])
        if ending:
            clocks = {"left": moment.isoformat(), **({} if learned is None else {"learned": known.isoformat()})}
            record(
                session,
                entity="universe",
                entity_id=name,
                action="leave",
                before=before,
                after={"symbols": ending, **clocks, "reason": reason},
            )
    return len(ending)


def supply(workspace: Workspace, name: str, rows: pd.DataFrame, *, reason: str) -> int:
    """Add a dated list of changes with both clocks: who entered and left an index, and when that was known.

    Args:
        workspace: where the universe is kept; it is created when it is new.
        name: of the universe, e.g. of the index; a rule `index_membership` may follow it.
        rows: columns `symbol`, `action` ("enter" or "leave"), `happened`, `learned` (UTC moments, or dates: their
            midnight, UTC) and, if wanted, `reason`. In any order; rows that were supplied before are left out.
        reason: where the list comes from.

    Returns:
        How many changes were new.

    Raises:
        BadData: a column is missing, an action is another word, or a symbol leaves that never entered; nothing was
            written.
        DataError: a clock is no moment.
    """
    from workbench.store.audit import record
    from workbench.store.engine import transaction

    given = changes_in(rows, reason)
    with transaction(workspace.engine) as session:
        changes.create(session, name, reason)
        before = changes.read(session, name)
        there = {(one.symbol, one.action, one.happened, one.learned) for one in before}
        new = [one for one in given if (one.symbol, one.action, one.happened, one.learned) not in there]
        refuse_orphans([*before, *new], name)
        changes.write(session, name, new)
        if new:
            after = {"changes": len(new), "symbols": sorted({one.symbol for one in new}), "reason": reason}
            record(session, entity="universe", entity_id=name, action="supply", after=after)
    return len(new)


def members(workspace: Workspace, name: str, as_of: pd.Timestamp) -> tuple[str, ...]:
    """Who was in the universe at `as_of` (UTC) by what was known then, in alphabetical order.

    Raises:
        NoData: there is no such universe.
        DataError: `as_of` has no timezone.
    """
    moment = _aware(as_of)
    return tuple(sorted(members_of(_read(workspace, name), at=moment, known=moment)))


def history(workspace: Workspace, name: str, *, as_of: pd.Timestamp | None = None) -> pd.DataFrame:
    """Every stay: `symbol`, `entered` (included), `left` (excluded; NaT: still in), `reason`, `left_reason`, by entry.

    Args:
        workspace: where the universe is kept.
        name: of the universe.
        as_of: only what was learned by then; all that is known by now when None. Announced entries and leaves may lie
            after it.

    Raises:
        NoData: there is no such universe.
        DataError: `as_of` has no timezone.
    """
    from workbench.store.engine import transaction

    if as_of is not None:
        moment = _aware(as_of)
        return _frame(stays_of(one for one in _read(workspace, name) if one.learned <= moment))
    with transaction(workspace.engine) as session:
        stays = changes.picture_of(session, name)
        if not stays:
            _read_or_refuse(session, name)
    return _frame(stays)


def said(workspace: Workspace, name: str) -> pd.DataFrame:
    """The log behind the stays: `symbol`, `action`, `happened`, `learned`, `reason`, `rotation`, in the order written.

    Raises:
        NoData: there is no such universe.
    """
    rows = _read(workspace, name)
    columns = ["symbol", "action", "happened", "learned", "reason", "rotation"]
    return pd.DataFrame([[getattr(row, column) for column in columns] for row in rows], columns=columns)


def picture(
    workspace: Workspace, name: str, *, start: Any = None, end: Any = None, as_of: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Membership over time, to look at and to draw: the stays, cut to a stretch of time, longest members first.

    Args:
        workspace: where the universe is kept.
        name: of the universe.
        start, end: the stretch, dates or moments; from the first entry to `as_of` (or the last change) when None.
        as_of: only what was learned by then; all that is known by now when None.

    Returns:
        `symbol`, `start`, `end` (UTC; where the stay is cut off by the stretch, its bound), `open` (still in at the
        end), `reason`, `left_reason`. `report.figures.membership` draws it.

    Raises:
        NoData: there is no such universe.
        DataError: a bound is no moment, or `end` is not after `start`.
    """
    stays = history(workspace, name, as_of=as_of)
    lasting = stays["left"].dropna()
    newest = max([*stays["entered"], *lasting, *([] if as_of is None else [_aware(as_of)])], default=pd.Timestamp(0))
    first: Any = moment_of("start", start) if start is not None else stays["entered"].min()
    last: Any = moment_of("end", end) if end is not None else newest
    if len(stays) and end is not None and not last > first:
        raise DataError(f"end={last} is not after start={first}; nothing was drawn.", remedy="use a later end.")
    left = stays["left"]
    cut = pd.DataFrame(
        {
            "symbol": stays["symbol"],
            "start": stays["entered"].clip(lower=first),
            "end": left.fillna(last).clip(upper=last),
            "open": left.isna() | (left > last),
            "reason": stays["reason"],
            "left_reason": stays["left_reason"].where(left.notna() & (left <= last)),
        }
    )
    cut = cut[(cut["start"] < cut["end"]) | ((cut["start"] == cut["end"]) & cut["open"])]
    time_in = (cut["end"] - cut["start"]).groupby(cut["symbol"]).sum()
    order = cut.assign(_in=-cut["symbol"].map(time_in).dt.total_seconds()).sort_values(["_in", "symbol", "start"])
    shown: pd.DataFrame = order.drop(columns="_in").reset_index(drop=True)
    return shown


def names(workspace: Workspace) -> tuple[str, ...]:
    """The universes there are, in alphabetical order."""
    from workbench.store.engine import transaction

    with transaction(workspace.engine) as session:
        return changes.names(session)


def _read(workspace: Workspace, name: str) -> list[Change]:
    from workbench.store.engine import transaction

    with transaction(workspace.engine) as session:
        return _read_or_refuse(session, name)


def _read_or_refuse(session: Any, name: str) -> list[Change]:
    found = changes.read(session, name)
    if not found and name not in changes.names(session):
        raise changes.unknown(session, name)
    return found


def _frame(stays: Iterable[Stay]) -> pd.DataFrame:
    columns = ["symbol", "entered", "left", "reason", "left_reason"]
    frame = pd.DataFrame([[getattr(stay, column) for column in columns] for stay in stays], columns=columns)
    for column in ("entered", "left"):
        frame[column] = pd.to_datetime(frame[column], utc=True).dt.as_unit("us")
    return frame


def _end_of(stays: Sequence[Stay], symbol: str, moment: pd.Timestamp) -> str | None:
    """When the stay that holds just before a moment ends, as text; None: open."""
    for stay in stays:
        if stay.symbol == symbol and stay.entered < moment and (stay.left is None or moment <= stay.left):
            return None if stay.left is None else stay.left.isoformat()
    return None


def _aware(as_of: pd.Timestamp) -> pd.Timestamp:
    if as_of.tzinfo is None:
        raise DataError(f"as_of={as_of} has no timezone.", remedy="pass study.as_of, or a UTC Timestamp.")
    return as_of.tz_convert("UTC")


def _symbols(symbols: str | Sequence[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys([symbols] if isinstance(symbols, str) else symbols))
    if not wanted:
        raise DataError("symbols is empty: nobody enters or leaves.", remedy="name at least one symbol.")
    return wanted
