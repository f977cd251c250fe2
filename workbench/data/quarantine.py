"""Quarantine: the rows that were kept back, to be looked at, and to be released or refused by a person.

1. `keep` writes each bad row down once: its id is made of its content, so that the same row, sent again, is known.
2. A released row becomes readable: it is appended to the vintages, learned at the moment of its release and not before.
   From then on the check lets that very row pass; another bad row about the same fact is kept back as ever.
3. A refused row stays where it is, and is not shown among those that wait.

A row that passes a later check by itself (one that came too early, for example) is closed as `passed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from workbench.data.decision import decide
from workbench.data.inspection import DETAIL, WHY, plain
from workbench.data.kept_row import AT_ONCE, Known, State, floats, frame_of, row_id
from workbench.data.portions import portions
from workbench.store.schema import utc_now

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Engine

    from workbench.store.workspace import Workspace

COLUMNS: Final = (
    "id", "dataset", "kind", "symbol", "session", "why", "detail", "state", "found_at", "closed_at", "closed_by",
    "closed_reason", "row",
)  # fmt: skip


def rows(
    workspace: Workspace,
    dataset: str | None = None,
    symbol: str | None = None,
    *,
    state: State | None = "held",
    limit: int | None = None,
) -> pd.DataFrame:
    """The rows kept back, the newest finding first.

    Args:
        dataset, symbol: only those of it; of all when None.
        state: `held` (nobody has decided), `released`, `refused`, `passed`; all of them when None.
        limit: at most so many.

    Returns:
        Columns `COLUMNS`: `why` are the kinds of findings, `detail` what was said, `row` the row as plain JSON values.
    """
    from sqlalchemy import select

    from workbench.store.engine import transaction
    from workbench.store.tables.quality import QuarantinedRow as Row

    asked = select(Row).order_by(Row.found_at.desc(), Row.symbol, Row.session, Row.id)
    for column, value in ((Row.dataset, dataset), (Row.symbol, symbol), (Row.state, state)):
        asked = asked if value is None else asked.where(column == value)
    with transaction(workspace.engine) as session:
        found = session.scalars(asked if limit is None else asked.limit(limit)).all()
    frame = pd.DataFrame([[getattr(one, name) for name in COLUMNS] for one in found], columns=list(COLUMNS))
    frame["session"] = pd.to_datetime(frame["session"]).astype("datetime64[us]")
    for name in ("found_at", "closed_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    return frame


def release(
    workspace: Workspace,
    ids: str | Sequence[str],
    *,
    reason: str,
    who: str | None = None,
    clock: Callable[[], dt.datetime] = utc_now,
) -> int:
    """Let rows pass that were kept back: they are learned now, since nothing could read them before.

    The decision is written down first, with its audit rows; then the rows are appended, and that is noted. Stopped in
    between, the same call again, or the next collection of the row, does what is missing.

    Args:
        ids: one or several of `rows(…)["id"]`; also of refused ones. What was released before counts no more.
        reason: why they are true after all; kept.
        who: who decides; the user of this process when None.

    Returns:
        How many were released by this call.

    Raises:
        NoData: there is no such row; nothing was released.
        DataError: two of them give different values for one fact; nothing was released.
        ParameterError: no reason, or no id, was given.
    """
    from workbench.store.vintages import Vintages

    now = pd.Timestamp(clock())
    opened, decided = decide(workspace, ids, state="released", reason=reason, who=who, now=now, skip=("passed",))
    vintages = Vintages(workspace.vintages_url, clock=lambda: now)
    for (dataset, kind), those in opened.items():
        vintages.append(dataset, learned_by(frame_of(kind, [one.row for one in those]), now))
        note_stored(workspace.engine, [one.id for one in those], at=now)
    return decided


def refuse(
    workspace: Workspace,
    ids: str | Sequence[str],
    reason: str,
    *,
    who: str | None = None,
    clock: Callable[[], dt.datetime] = utc_now,
) -> int:
    """Close rows without releasing them; they stay readable here and nowhere else. Returns how many were closed now.

    Raises:
        NoData: there is no such row; none was closed.
        ParameterError: no reason, or no id, was given.
    """
    now = pd.Timestamp(clock())
    skip: tuple[State, ...] = ("passed", "released")  # what is in the store cannot be taken out again
    return decide(workspace, ids, state="refused", reason=reason, who=who, now=now, skip=skip)[1]


def keep(engine: Engine, dataset: str, kind: str, kept_back: pd.DataFrame) -> int:
    """Write down the rows that a check kept back (`Checked.kept_back`); known ones stay as they are.

    Returns:
        How many were new.
    """
    from sqlalchemy import select

    from workbench.store.engine import transaction
    from workbench.store.insert import insert_of
    from workbench.store.tables.quality import QuarantinedRow as Row
    from workbench.trace import trace_id

    if kept_back.empty:
        return 0
    bare = kept_back.drop(columns=[WHY, DETAIL])
    values: dict[str, dict[str, Any]] = {}
    for (_, row), why, detail in zip(floats(bare).iterrows(), kept_back[WHY], kept_back[DETAIL], strict=True):
        content = plain(row)
        values.setdefault(
            row_id(dataset, content),
            {
                "dataset": dataset,
                "kind": kind,
                "symbol": content["symbol"],
                "session": content["session"][:10],
                "why": why,
                "detail": detail,
                "row": content,
                "state": "held",
                "trace_id": trace_id(),
            },
        )
    insert = insert_of(engine)
    new = 0
    with transaction(engine) as session:
        for part in portions(tuple(values), AT_ONCE):
            there = set(session.scalars(select(Row.id).where(Row.id.in_(part))))
            fresh = [{"id": one, **values[one]} for one in part if one not in there]
            if fresh:
                session.execute(insert(Row).on_conflict_do_nothing(index_elements=["id"]), fresh)
            new += len(fresh)
    return new


def known(engine: Engine, dataset: str, symbols: Iterable[str]) -> list[Known]:
    """The rows of these symbols that are held or released: what the next collection may bring again."""
    from sqlalchemy import select

    from workbench.store.engine import transaction
    from workbench.store.tables.quality import QuarantinedRow as Row

    found: list[Known] = []
    asked = select(Row.id, Row.symbol, Row.session, Row.state, Row.stored_at, Row.row).where(
        Row.dataset == dataset, Row.state.in_(("held", "released"))
    )
    with transaction(engine) as session:
        for part in portions(tuple(symbols), AT_ONCE):
            for one, symbol, day, state, stored_at, row in session.execute(asked.where(Row.symbol.in_(part))):
                at = None if stored_at is None else pd.Timestamp(stored_at)
                found.append(Known(one, symbol, day, state, at, row))
    return found


def close_passed(engine: Engine, ids: Iterable[str], *, clock: Callable[[], dt.datetime] = utc_now) -> None:
    """Close held rows that a later check let pass."""
    from sqlalchemy import update

    from workbench.store.engine import transaction
    from workbench.store.tables.quality import QuarantinedRow as Row

    with transaction(engine) as session:
        for part in portions(tuple(ids), AT_ONCE):
            session.execute(
                update(Row)
                .where(Row.id.in_(part), Row.state == "held")
                .values(state="passed", closed_at=clock(), closed_by="check", closed_reason="passed a later check")
            )


def note_stored(engine: Engine, ids: Iterable[str], *, at: pd.Timestamp) -> None:
    """Note that released rows are in the vintages, learned at `at`."""
    from sqlalchemy import update

    from workbench.store.engine import transaction
    from workbench.store.tables.quality import QuarantinedRow as Row

    with transaction(engine) as session:
        for part in portions(tuple(ids), AT_ONCE):
            session.execute(
                update(Row)
                .where(Row.id.in_(part), Row.state == "released", Row.stored_at.is_(None))
                .values(stored_at=at.to_pydatetime())
            )


def learned_by(frame: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """The rows, learned at `moment` at the earliest, and never before they happened."""
    earliest = moment.tz_convert("UTC").as_unit("us")
    learned = frame["learned"].mask(frame["learned"] < earliest, earliest)
    return frame.assign(learned=learned.mask(learned < frame["happened"], frame["happened"]))
