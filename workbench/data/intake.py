"""Intake: the one way of a response into the store: checked, bad rows kept back, good ones appended, then noted.

1. The rows are checked; what was found and what was kept back is written down.
2. The good rows are appended to the vintages.
3. Last, the range is noted as collected: only when its rows are safe.

Killed between two steps, the same call again completes it; called twice, the second changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from workbench.data import quarantine
from workbench.data.collected import forget_collected, record_collected
from workbench.data.fact_quality import check_facts
from workbench.data.finding import Finding, store_findings, word_of
from workbench.data.kept_row import frame_of, ids_of
from workbench.data.kinds import kind_of
from workbench.data.quality import check
from workbench.data.seams import LOOK_BACK, seams
from workbench.data.shape import refuse_wrong_shape
from workbench.errors import ParameterError
from workbench.store.schema import utc_now
from workbench.store.vintages import Vintages

if TYPE_CHECKING:
    import datetime as dt

    from workbench.data.inspection import Checked
    from workbench.data.kept_row import Known
    from workbench.store.workspace import Workspace


_EVER: Final = pd.Timestamp("2200-01-01", tz="UTC")


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of one response.

    Attributes:
        new_rows: rows that were new or revised; 0 when all was there already.
        quarantined: rows that were kept back.
        findings: what the check found, and what the source said beside its rows.
        good: the rows that were passed on.
        unanswered: symbols of which the source could not say whether there is anything; not noted as collected.
        rebased: symbols whose bars stand on another basis than the older ones stored (`workbench.data.seams`): of
            these only the sessions of this response are noted as collected; the older ones must be asked for again.
    """

    new_rows: int
    quarantined: int
    findings: list[Finding]
    good: pd.DataFrame
    unanswered: tuple[str, ...] = ()
    rebased: tuple[str, ...] = ()


def take_in(
    rows: pd.DataFrame,
    *,
    workspace: Workspace,
    kind: str = "bars",
    dataset: str,
    venue: str = "XNYS",
    known_until: pd.Timestamp,
    symbols: Sequence[str] | None = None,
    record: tuple[pd.Timestamp, pd.Timestamp] | None = None,
    clock: Callable[[], dt.datetime] = utc_now,
) -> TakenIn:
    """Take one response of a source into the store.

    Args:
        rows: as the source gave them.
        kind: `bars`, or a kind of `workbench.data.kinds`.
        dataset: where they belong (`workbench.data.kinds.dataset_name`).
        venue: calendar name of the sessions.
        known_until: UTC moment after which nothing in them can have happened.
        symbols: those that were asked for.
        record: first and last day that were asked for, to be noted as collected; None notes nothing.
        clock: the wall clock: the moment at which a released row is learned.

    Raises:
        BadData: the response is malformed as a whole; nothing was stored.
        ParameterError: `record` without `symbols`, or an unknown kind; nothing was stored.
    """
    if record is not None and symbols is None:
        raise ParameterError(
            "record is given without symbols; nothing was stored.", remedy="name the symbols that were asked for."
        )
    word, engine = word_of(rows), workspace.engine
    shaped = _shaped(rows, kind=kind, dataset=dataset)
    known = quarantine.known(engine, dataset, shaped["symbol"].unique())
    released = {one.id: one for one in known if one.state == "released"}
    ids = ids_of(dataset, shaped, known)
    checked = _checked(
        shaped,
        kind=kind,
        dataset=dataset,
        venue=venue,
        known_until=known_until,
        symbols=symbols,
        trusted=ids.isin(list(released)).to_numpy(),
    )
    vintages = Vintages(workspace.vintages_url, clock=lambda: pd.Timestamp(clock()))
    between, again = _seams(checked.good, vintages, dataset) if kind == "bars" else ([], ())
    findings = [*checked.findings, *word.of(dataset), *between]
    quarantine.keep(engine, dataset, kind, checked.kept_back)
    store_findings(engine, findings)
    if record is not None:
        # Before the rows: who is stopped in between must not find old days on another basis noted as collected.
        forget_collected(engine, dataset, again)
    ids = ids_of(dataset, checked.good, known)
    now = pd.Timestamp(clock())
    fresh = _to_append(checked.good, ids, released, kind=kind, dataset=dataset, vintages=vintages, now=now)
    new_rows = vintages.append(dataset, fresh)
    quarantine.note_stored(engine, released.keys() & set(ids), at=now)
    held = {one.id for one in known if one.state == "held"}
    quarantine.close_passed(engine, held.intersection(ids), clock=clock)
    if record is not None:
        answered = [symbol for symbol in symbols or () if symbol not in {*word.unanswered, *again}]
        if answered:
            record_collected(engine, dataset, answered, first=record[0], last=record[1])
        for symbol, of_symbol in checked.good[checked.good["symbol"].isin(again)].groupby("symbol"):
            days = of_symbol["session"]
            record_collected(engine, dataset, [str(symbol)], first=days.min(), last=days.max())
    return TakenIn(new_rows, checked.quarantined, findings, checked.good, word.unanswered, again)


def _seams(good: pd.DataFrame, vintages: Vintages, dataset: str) -> tuple[list[Finding], tuple[str, ...]]:
    if good.empty:
        return [], ()
    first, last = good["session"].min() - LOOK_BACK, good["session"].max()
    stored = vintages.read(dataset, list(good["symbol"].unique()), start=first, end=last, as_of=_EVER)
    return seams(good, stored, dataset=dataset)


def _shaped(rows: pd.DataFrame, *, kind: str, dataset: str) -> pd.DataFrame:
    if kind == "bars":
        refuse_wrong_shape(rows, dataset=dataset)
        bare = rows.reset_index(drop=True)
        bare.attrs = {}  # the word is read; it is no part of the rows
        return bare
    refuse_wrong_shape(rows, dataset=dataset, kind=kind_of(kind))
    return kind_of(kind).typed(rows)


def _checked(
    rows: pd.DataFrame,
    *,
    kind: str,
    dataset: str,
    venue: str,
    known_until: pd.Timestamp,
    symbols: Sequence[str] | None,
    trusted: np.ndarray,
) -> Checked:
    if kind == "bars":
        return check(rows, dataset=dataset, venue=venue, known_until=known_until, symbols=symbols, trusted=trusted)
    return check_facts(
        rows, kind=kind, dataset=dataset, venue=venue, known_until=known_until, symbols=symbols, trusted=trusted
    )


def _to_append(
    good: pd.DataFrame,
    ids: pd.Series,
    released: dict[str, Known],
    *,
    kind: str,
    dataset: str,
    vintages: Vintages,
    now: pd.Timestamp,
) -> pd.DataFrame:
    """The good rows without those that were released and stored before.

    Released rows that are not stored yet are learned now. So is a new word about a fact of which a row was released: a
    correction that claims an older moment would otherwise stay behind the released row for ever.
    """
    if not released or good.empty:
        return good
    names = [name for name in ("symbol", "session", "time", "key") if name in good.columns]
    facts = frame_of(kind, [one.row for one in released.values()])[names]
    about = dict(zip(facts.itertuples(index=False, name=None), released.values(), strict=True))
    is_released = ids.isin(list(released)).to_numpy()
    late = is_released.copy()
    near = pd.MultiIndex.from_frame(good[names]).isin(list(about)) & ~is_released
    for place in np.flatnonzero(near):
        row = good.iloc[place]
        stored_at = about[tuple(row[name] for name in names)].stored_at
        if stored_at is not None and row["learned"] <= stored_at:
            late[place] = not _was_said(row, names, stored_at, dataset, vintages)
    moved = quarantine.learned_by(good[late], now).assign(_released=is_released[late], _claimed=good["learned"][late])
    # Several words about one fact keep their order: the released row first, then the others as they were learned.
    moved = moved.sort_values(["_released", "_claimed"], ascending=[False, True], kind="stable")
    moved["learned"] += pd.to_timedelta(moved.groupby(names, sort=False).cumcount(), unit="us")
    there = [known.id for known in released.values() if known.stored_at is not None]
    rows: pd.DataFrame = good.assign(learned=moved["learned"].reindex(good.index).fillna(good["learned"]))
    return rows[~ids.isin(there)].reset_index(drop=True)


def _was_said(row: pd.Series, names: list[str], before: pd.Timestamp, dataset: str, vintages: Vintages) -> bool:
    """Whether the store said the same of this fact just before a moment."""
    day, moment = row["session"], before - pd.Timedelta(1, unit="us")
    then = vintages.read(dataset, [row["symbol"]], start=day, end=day, as_of=moment)
    values = [name for name in then.columns if name in row.index and name not in {"happened", "learned"}]
    said = pd.Series(data=True, index=then.index)
    for name in {*names, *values}:
        said &= (then[name] == row[name]) | (then[name].isna() & pd.isna(row[name]))
    return bool(said.any())
