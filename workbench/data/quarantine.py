"""Quarantine: the rows that were kept back, to be looked at, and to be released or refused by a person.

1. `keep` writes each bad row down once: its id is made of its content, so that the same row, sent again, is known.
2. A released row becomes readable: it is appended to the vintages, learned at the moment of its release and not before.
   From then on the check lets that very row pass; another bad row about the same fact is kept back as ever.
3. A refused row stays where it is, and is not shown among those that wait.

A row that passes a later check by itself (one that came too early, for example) is closed as `passed`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from workbench.data.inspection import DETAIL, WHY, plain
from workbench.data.kinds import kind_of
from workbench.data.source import PRICES
from workbench.errors import DataError, NoData, ParameterError
from workbench.store.schema import utc_now
from workbench.study import digest

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from workbench.store.tables.quality import QuarantinedRow
    from workbench.store.workspace import Workspace

State = Literal["held", "released", "refused", "passed"]
COLUMNS: Final = (
    "id", "dataset", "kind", "symbol", "session", "why", "detail", "state", "found_at", "closed_at", "closed_by",
    "closed_reason", "row",
)  # fmt: skip
_AT_ONCE: Final = 500  # values in one statement


@dataclass(frozen=True, slots=True)
class Known:
    """A row of the quarantine in short: enough to know it again.

    Attributes:
        stored_at: when it became readable; None while it is held, or released but not yet stored.
        row: as plain JSON values.
    """

    id: str
    symbol: str
    session: str
    state: State
    stored_at: pd.Timestamp | None
    row: dict[str, Any]


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
    opened, decided = _decide(workspace, ids, state="released", reason=reason, who=who, now=now, skip=("passed",))
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
    return _decide(workspace, ids, state="refused", reason=reason, who=who, now=now, skip=skip)[1]


def keep(engine: Engine, dataset: str, kind: str, kept_back: pd.DataFrame) -> int:
    """Write down the rows that a check kept back (`Checked.kept_back`); known ones stay as they are.

    Returns:
        How many were new.
    """
    from sqlalchemy import select
    from sqlalchemy.dialects import postgresql, sqlite

    from workbench.store.engine import transaction
    from workbench.store.tables.quality import QuarantinedRow as Row
    from workbench.trace import trace_id

    if kept_back.empty:
        return 0
    bare = kept_back.drop(columns=[WHY, DETAIL])
    values: dict[str, dict[str, Any]] = {}
    for (_, row), why, detail in zip(_floats(bare).iterrows(), kept_back[WHY], kept_back[DETAIL], strict=True):
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
    insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    new = 0
    with transaction(engine) as session:
        for part in _parts(values):
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
        for part in _parts(symbols):
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
        for part in _parts(ids):
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
        for part in _parts(ids):
            session.execute(
                update(Row)
                .where(Row.id.in_(part), Row.state == "released", Row.stored_at.is_(None))
                .values(stored_at=at.to_pydatetime())
            )


def row_id(dataset: str, content: dict[str, Any]) -> str:
    """The id of a row (as plain JSON values): 32 hex digits over its dataset and all of it but `learned`."""
    said = {name: value for name, value in content.items() if name != "learned"}
    return hashlib.sha256(digest([dataset, said]).encode()).hexdigest()[:32]


def ids_of(dataset: str, frame: pd.DataFrame, among: Iterable[Known]) -> pd.Series:
    """The id of each row that is about a symbol and a session of one of `among`; "" for all others."""
    pairs = {(one.symbol, pd.Timestamp(one.session)) for one in among}
    if not pairs or frame.empty:
        return pd.Series("", index=frame.index, dtype="str")
    near = pd.MultiIndex.from_frame(frame[["symbol", "session"]]).isin(list(pairs))
    rows_near = _floats(frame[near])
    made = pd.Series(
        [row_id(dataset, plain(row)) for _, row in rows_near.iterrows()], index=rows_near.index, dtype="str"
    )
    return made.reindex(frame.index, fill_value="")


def frame_of(kind: str, contents: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as plain JSON values as the frame that they were, with the types of their kind."""
    frame = pd.DataFrame(list(contents))
    frame["session"] = pd.to_datetime(frame["session"], format="ISO8601").astype("datetime64[us]")
    for name in ("time", "happened", "learned"):
        if name in frame.columns:
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    return _floats(frame) if kind == "bars" else kind_of(kind).typed(frame)


def learned_by(frame: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """The rows, learned at `moment` at the earliest, and never before they happened."""
    earliest = moment.tz_convert("UTC").as_unit("us")
    learned = frame["learned"].mask(frame["learned"] < earliest, earliest)
    return frame.assign(learned=learned.mask(learned < frame["happened"], frame["happened"]))


def _decide(
    workspace: Workspace,
    ids: str | Sequence[str],
    *,
    state: State,
    reason: str,
    who: str | None,
    now: pd.Timestamp,
    skip: tuple[State, ...],
) -> tuple[dict[tuple[str, str], list[QuarantinedRow]], int]:
    """Write a decision down with its audit rows; what is not stored yet by dataset and kind, and how many changed."""
    from workbench.store import audit
    from workbench.store.engine import transaction

    wanted = list(dict.fromkeys([ids] if isinstance(ids, str) else ids))
    if not wanted or not reason.strip():
        raise ParameterError(
            f"{'no id' if not wanted else 'no reason'} was given; nothing was {state}.",
            remedy="name rows of quarantine.rows(workspace), and say why.",
        )
    by, changed = who or audit.actor(), 0
    with transaction(workspace.engine) as session:
        found = [one for one in _locked(session, wanted) if one.state not in skip and one.stored_at is None]
        opened = _by_place(found)
        if state == "released":
            _refuse_contradictions(opened)
        for one in found:
            if one.state == state:
                continue
            before = {"state": one.state, "reason": one.closed_reason}
            one.state, one.closed_at, one.closed_by, one.closed_reason = state, now.to_pydatetime(), by, reason.strip()
            changed += 1
            audit.record(
                session,
                entity="quarantined_row",
                entity_id=one.id,
                action={"released": "release", "refused": "refuse"}[state],
                before=before,
                after={"state": state, "reason": reason.strip(), "dataset": one.dataset, "row": one.row},
                who=by,
            )
    return opened, changed


def _locked(session: Session, ids: Sequence[str]) -> list[QuarantinedRow]:
    from sqlalchemy import select

    from workbench.store.tables.quality import QuarantinedRow as Row

    found = [
        row
        for part in _parts(ids)
        for row in session.scalars(select(Row).where(Row.id.in_(part)).order_by(Row.id).with_for_update())
    ]
    absent = sorted(set(ids) - {row.id for row in found})
    if absent:
        raise NoData(
            f"{len(absent)} of {len(ids)} rows are not in the quarantine, {absent[0]!r} first; nothing was changed.",
            remedy="look at quarantine.rows(workspace).",
        )
    return found


def _by_place(found: Sequence[QuarantinedRow]) -> dict[tuple[str, str], list[QuarantinedRow]]:
    places: dict[tuple[str, str], list[QuarantinedRow]] = {}
    for one in found:
        places.setdefault((one.dataset, one.kind), []).append(one)
    return places


def _refuse_contradictions(opened: dict[tuple[str, str], list[QuarantinedRow]]) -> None:
    for (dataset, kind), those in opened.items():
        frame = frame_of(kind, [one.row for one in those])
        names = [name for name in ("symbol", "session", "time", "key") if name in frame.columns]
        twice = frame.duplicated(names, keep=False)
        if twice.any():
            row = frame[twice].iloc[0]
            raise DataError(
                f"{int(twice.sum())} of these rows of {dataset} speak of one fact ({row['symbol']}, session "
                f"{row['session'].date()}) and differ; nothing was released.",
                remedy="release the one that is right, and refuse the others.",
            )


def _floats(frame: pd.DataFrame) -> pd.DataFrame:
    """The numbers of bars as float64, so that a row has one form whoever sends it."""
    return frame.astype({name: float for name in (*PRICES, "volume") if name in frame.columns})


def _parts(values: Iterable[str]) -> Iterable[list[str]]:
    every = list(values)
    return (every[begin : begin + _AT_ONCE] for begin in range(0, len(every), _AT_ONCE))
