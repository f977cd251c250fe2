"""Decision: what a person says about rows in quarantine, written down with its reason and its audit rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workbench.data.kept_row import AT_ONCE, State, frame_of
from workbench.data.portions import portions
from workbench.errors import DataError, NoData, ParameterError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.store.tables.quality import QuarantinedRow
    from workbench.store.workspace import Workspace


def decide(
    workspace: Workspace,
    ids: str | Sequence[str],
    *,
    state: State,
    reason: str,
    who: str | None,
    now: pd.Timestamp,
    skip: tuple[State, ...],
) -> tuple[dict[tuple[str, str], list[QuarantinedRow]], int]:
    """Write a decision about rows down, with its audit rows, in one transaction.

    Args:
        ids: one or several; all must be there.
        state: `released` or `refused`.
        reason: kept; not empty.
        skip: rows in these states stay as they are.

    Returns:
        The rows that are not stored yet, by dataset and kind; and how many changed their state.

    Raises:
        NoData: there is no such row; nothing was changed.
        DataError: two rows to be released give different values for one fact; nothing was changed.
        ParameterError: no reason, or no id, was given.
    """
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
        for part in portions(ids, AT_ONCE)
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
