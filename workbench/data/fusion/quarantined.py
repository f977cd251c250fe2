"""What the database knows beside the facts: what was asked for, and which rows were in quarantine at the moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.data.fusion.place import Place


@dataclass(slots=True)
class Held:
    """Rows of one dataset and subject that were kept back, and why."""

    rows: int = 0
    why: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Beside:
    """By dataset and subject.

    Attributes:
        asked: somebody asked the source for days up to the moment.
        held: what was in quarantine.
    """

    asked: frozenset[tuple[str, str]]
    held: Mapping[tuple[str, str], Held]

    def held_of(self, dataset: str, subject: str) -> Held:
        """What was kept back of a subject; nothing where nothing was."""
        return self.held.get((dataset, subject), Held())


def look(session: Session, places: Iterable[Place], subjects: Iterable[str], as_of: pd.Timestamp) -> Beside:
    """Read both, as they were at the moment.

    A row counts as kept back when its own `learned` lies at or before the moment, and a person had not released it by
    then. What was asked for counts where the range begins at or before the day of the moment.
    """
    from sqlalchemy import select

    from workbench.store.tables.collected import CollectedRow
    from workbench.store.tables.quality import QuarantinedRow

    lookback = {place.dataset: place.rule.lookback for place in places}
    datasets, names = sorted(lookback), sorted(set(subjects))
    day = as_of.tz_localize(None).normalize()
    asked = session.execute(
        select(CollectedRow.dataset, CollectedRow.symbol).where(
            CollectedRow.dataset.in_(datasets),
            CollectedRow.symbol.in_(names),
            CollectedRow.first <= day.date().isoformat(),
        )
    )
    kept = session.execute(
        select(
            QuarantinedRow.dataset,
            QuarantinedRow.symbol,
            QuarantinedRow.session,
            QuarantinedRow.why,
            QuarantinedRow.row,
            QuarantinedRow.state,
            QuarantinedRow.closed_at,
        ).where(QuarantinedRow.dataset.in_(datasets), QuarantinedRow.symbol.in_(names))
    ).all()
    held: dict[tuple[str, str], Held] = {}
    for dataset, symbol, of, why, row, state, closed_at in kept:
        learned = _moment(row.get("learned"))
        if learned is None or learned > as_of or of < (day - lookback[dataset]).date().isoformat():
            continue
        if state != "refused" and closed_at is not None and pd.Timestamp(closed_at) <= as_of:
            continue
        line = held.setdefault((dataset, symbol), Held())
        line.rows += 1
        line.why.update(word for word in why.replace(",", " ").split() if word)
    return Beside(asked=frozenset((dataset, symbol) for dataset, symbol in asked), held=held)


def _moment(text: Any) -> pd.Timestamp | None:
    """The moment in the text of a row that was kept back; None where it has none: then nobody knows since when."""
    try:
        moment = pd.Timestamp(text)
    except (TypeError, ValueError):
        return None
    return None if pd.isna(moment) or moment.tzinfo is None else moment
