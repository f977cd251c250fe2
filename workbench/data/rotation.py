"""Rotation: a universe's rule applied at a moment, with what was known then; stays are written with their reasons.

    set_rule(workspace, "liquid", rule("liquidity", top=100, buffer=20, pool="us", source="alpaca"), reason="…")
    preview(workspace, "liquid", as_of="2015-06-30")     # who would enter and leave, and why; nothing is written
    rotate(workspace, "liquid", as_of="2015-06-30")

A rotation may run late or be filled in for the past: its changes are `learned` at its `as_of`, never before, because
that is the moment whose facts it used. The same `as_of` twice writes nothing. What was rotated is not rewritten: a
rotation before or at the newest one may only confirm what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.data import changes, membership
from workbench.data.candidates import Candidates, Loader, candidates_of
from workbench.data.membership import Change, members_of
from workbench.data.ranking import by_list, by_rank
from workbench.data.rotation_rules import IndexMembership, Ranked, Rule, rotation_sessions, rule
from workbench.data.stored_rules import rule_in_force, rule_of, set_rule
from workbench.errors import DataError, NotYetKnown
from workbench.study import moment_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.store.workspace import Workspace

__all__ = ["Loader", "Rotated", "preview", "rotate", "rotation_sessions", "rotations", "rule", "rule_of", "set_rule"]


@dataclass(frozen=True)
class Rotated:
    """What one rotation did.

    Attributes:
        as_of: the moment whose facts were used; from then on the changes can be known.
        effective: from when on they hold.
        entered, left: symbols, in alphabetical order.
        table: as `preview` gives it.
        written: False where all was there already.
    """

    universe: str
    as_of: pd.Timestamp
    effective: pd.Timestamp
    entered: tuple[str, ...]
    left: tuple[str, ...]
    table: pd.DataFrame
    written: bool

    def __repr__(self) -> str:
        stay = int((self.table["change"] == "stays").sum())
        return (
            f"{self.universe} as of {self.as_of:%Y-%m-%d %H:%M} UTC · {len(self.entered)} entered, "
            f"{len(self.left)} left, {stay} stayed{'' if self.written else ' · nothing new'}"
        )


def preview(
    workspace: Workspace,
    name: str,
    *,
    as_of: Any,
    effective: Any = None,
    chosen: Rule | None = None,
    bars: Loader | None = None,
) -> pd.DataFrame:
    """What `rotate` would do, as a table: one row per candidate and member; nothing is written.

    Args:
        workspace: where the universe and its bars are kept.
        name: of the universe.
        as_of, effective, bars: see `rotate`.
        chosen: a rule to try; the one in force when None.

    Returns:
        Index `symbol`, best first: `rank`, `value`, `member` (is in now), `change` ("enters", "stays", "leaves",
        "out"), `why`.

    Raises:
        NoData: there is no such universe, or bars were not collected.
        DataError: `as_of` is no moment.
    """
    from workbench.store.engine import transaction

    with transaction(workspace.engine) as session:
        rule_now = rule_in_force(session, name)[0] if chosen is None else chosen
    moment, begins = _clocks(rule_now, as_of, effective)
    found = candidates_of(workspace, rule_now, moment, bars)
    with transaction(workspace.engine) as session:
        said = changes.read(session, name)
        return _decide(rule_now, found, _incumbents(session, name, said, moment, begins))


def rotate(
    workspace: Workspace,
    name: str,
    *,
    as_of: Any,
    effective: Any = None,
    bars: Loader | None = None,
    clock: Callable[[], pd.Timestamp] | None = None,
) -> Rotated:
    """Apply the rule in force and write who enters and who leaves, each with its reason; twice changes nothing more.

    Args:
        workspace: where the universe and its bars are kept.
        name: of the universe.
        as_of: the moment whose facts are used, and from which on the result can be known: a moment with a timezone, or
            a date (the close of that session).
        effective: from when on the changes hold; `as_of` when None. Later: they are announced. Earlier: the rotation
            runs late, and nobody who asks about a moment before `as_of` sees them.
        bars: where bars come from; the stored ones as known at `as_of` when None.
        clock: the clock on the wall, which `as_of` may not be ahead of.

    Raises:
        NoData: there is no such universe, or bars of a candidate were not collected; nothing was written.
        NotYetKnown: `as_of` lies in the future.
        DataError: it was rotated at or after `as_of` already, and the rule would change what is there; or `effective`
            lies before that of the rotation before. Nothing was written.
    """
    from workbench.store.audit import record
    from workbench.store.engine import transaction
    from workbench.store.schema import new_id
    from workbench.store.tables.universe import UniverseRotationRow

    with transaction(workspace.engine) as session:
        chosen, version = rule_in_force(session, name)
    moment, begins = _clocks(chosen, as_of, effective)
    ran_at = (clock or _wall)()
    if moment > ran_at:
        raise NotYetKnown(f"as_of={moment} lies in the future (it is {ran_at}); {name!r} was not rotated.")
    found = candidates_of(workspace, chosen, moment, bars)
    with transaction(workspace.engine) as session:
        changes.lock(session, name)
        said = changes.read(session, name)
        table = _decide(chosen, found, _incumbents(session, name, said, moment, begins))
        wanted = set(table.index[table["change"].isin(["stays", "enters"])])
        now = members_of(said, at=begins, known=moment)
        entered, left = tuple(sorted(wanted - now)), tuple(sorted(now - wanted))
        latest, previous = _latest(session, name)
        if latest is not None and latest >= moment:
            if entered or left:
                raise DataError(
                    f"{name!r} was rotated as of {latest} already; as of {moment} the rule would now let "
                    f"{len(entered)} enter and {len(left)} leave, which rewrites the past; nothing was written.",
                    remedy="rotate at a later moment; look at preview(…) for what differs.",
                )
            return Rotated(name, moment, begins, (), (), table, written=False)
        if previous is not None and previous > begins:
            raise DataError(
                f"effective={begins} lies before {previous}, from when on the rotation before holds; {name!r} was not "
                "rotated.",
                remedy="let the changes begin then or later.",
            )
        row = UniverseRotationRow(
            id=new_id(),
            universe=name,
            as_of=moment.to_pydatetime(),
            effective=begins.to_pydatetime(),
            rule_version=version,
            ranked=int(table["rank"].notna().sum()),
            entered=list(entered),
            left=list(left),
            ran_at=ran_at.to_pydatetime(),
        )
        session.add(row)
        session.flush()
        why = {str(symbol): str(text) for symbol, text in table["why"].items()}
        changes.write(
            session,
            name,
            [
                *(Change(one, "enter", begins, moment, why[one], rotation=row.id) for one in entered),
                *(Change(one, "leave", begins, moment, why[one], rotation=row.id) for one in left),
            ],
        )
        record(
            session,
            entity="universe",
            entity_id=name,
            action="rotate",
            after={
                "as_of": moment.isoformat(),
                "effective": begins.isoformat(),
                "rule": version,
                "entered": {one: why[one] for one in entered},
                "left": {one: why[one] for one in left},
            },
        )
    return Rotated(name, moment, begins, entered, left, table, written=True)


def rotations(workspace: Workspace, name: str) -> pd.DataFrame:
    """Every rotation by `as_of`: `as_of`, `effective`, `rule` (version), `ranked`, `entered`, `left`, `ran_at`.

    Raises:
        NoData: there is no such universe.
    """
    from sqlalchemy import select

    from workbench.store.engine import transaction
    from workbench.store.tables.universe import UniverseRotationRow as Row

    with transaction(workspace.engine) as session:
        rule_in_force(session, name)
        rows = session.scalars(select(Row).where(Row.universe == name).order_by(Row.as_of))
        records = [
            (row.as_of, row.effective, row.rule_version, row.ranked, tuple(row.entered), tuple(row.left), row.ran_at)
            for row in rows
        ]
    columns = ["as_of", "effective", "rule", "ranked", "entered", "left", "ran_at"]
    frame = pd.DataFrame(records, columns=columns)
    for column in ("as_of", "effective", "ran_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True).dt.as_unit("us")
    return frame


def _decide(chosen: Rule, found: Candidates, incumbents: set[str]) -> pd.DataFrame:
    if isinstance(chosen, Ranked):
        return by_rank(
            found.values,
            incumbents=incumbents,
            top=chosen.top,
            buffer=chosen.buffer,
            by=str(chosen.by),
            stale=chosen.stale,
        )
    if isinstance(chosen, IndexMembership):
        return by_list(found.listed, incumbents=incumbents, absent=f"not in {chosen.index!r} by what is known")
    return by_list(dict.fromkeys(incumbents, "manual: nobody moves by itself"), incumbents=incumbents, absent="")


def _incumbents(
    session: Session, name: str, said: list[Change], moment: pd.Timestamp, begins: pd.Timestamp
) -> set[str]:
    """Who was in before this rotation: what rotations of this moment or later decided does not count."""
    from sqlalchemy import select

    from workbench.store.tables.universe import UniverseRotationRow as Row

    later = set(session.scalars(select(Row.id).where(Row.universe == name, Row.as_of >= moment.to_pydatetime())))
    return members_of((one for one in said if one.rotation not in later), at=begins, known=moment)


def _latest(session: Session, name: str) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """The newest rotation: its moment, and from when on it holds."""
    from sqlalchemy import select

    from workbench.store.tables.universe import UniverseRotationRow as Row

    row = session.scalars(select(Row).where(Row.universe == name).order_by(Row.as_of.desc()).limit(1)).first()
    if row is None:
        return None, None
    return pd.Timestamp(row.as_of).tz_convert("UTC"), pd.Timestamp(row.effective).tz_convert("UTC")


def _clocks(chosen: Rule, as_of: Any, effective: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    moment = moment_of(as_of, chosen.venue).as_unit("us")
    return moment, moment if effective is None else membership.moment_of("effective", effective)


def _wall() -> pd.Timestamp:
    return pd.Timestamp.now("UTC")
