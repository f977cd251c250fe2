"""Finding: one thing that a check found wrong or strange, and how it is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

if TYPE_CHECKING:
    from sqlalchemy import Engine

Severity = Literal["info", "warning", "error"]
COLUMNS = ("symbol", "session", "kind", "severity", "quarantined", "detail")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in one session of one symbol.

    Attributes:
        dataset: the name under which it is filed, e.g. `"bars/1d/bundled"`.
        symbol: whose row it is.
        session: which session, the first of them where the finding spans several (timezone-naive midnight).
        kind: one word of the table in `workbench.data.quality`.
        severity: `error` where the row cannot be true, `warning` where it is strange, `info` otherwise.
        detail: what was found, with value and bound.
        quarantined: True where the row was not passed on.
        row: the row as plain JSON values (None for NaN); empty where the finding is about a row that is not there.
    """

    dataset: str
    symbol: str
    session: pd.Timestamp
    kind: str
    severity: Severity
    detail: str
    quarantined: bool
    row: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Word:
    """What a source says beside its rows: what it could not bring, and what the reader must know of what it brought.

    Attributes:
        findings: their `dataset` is filled in by whoever stores them.
        unanswered: symbols of which nobody said whether there is anything; their range was not collected.
    """

    findings: tuple[Finding, ...] = ()
    unanswered: tuple[str, ...] = ()

    def of(self, dataset: str) -> list[Finding]:
        """The findings, filed under a dataset."""
        return [replace(each, dataset=dataset) for each in self.findings]


def with_word(rows: pd.DataFrame, word: Word) -> pd.DataFrame:
    """The rows with a source's word beside them, for `word_of`; it does not survive every change of the frame."""
    rows.attrs["word"] = word
    return rows


def word_of(rows: pd.DataFrame) -> Word:
    """What the source said beside these rows; an empty word where it said nothing."""
    said = getattr(rows, "attrs", {}).get("word")
    return said if isinstance(said, Word) else Word()


def as_frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """Findings as a table with the columns `COLUMNS`, one row each; empty when there are none."""
    return pd.DataFrame([[getattr(finding, name) for name in COLUMNS] for finding in findings], columns=list(COLUMNS))


def store_findings(engine: Engine, findings: Sequence[Finding]) -> int:
    """Record findings; one that is known (same dataset, symbol, session and kind) stays as it is.

    Returns:
        How many were new.
    """
    from sqlalchemy import select

    from workbench.store.engine import transaction
    from workbench.store.insert import insert_of
    from workbench.store.tables.quality import QualityFindingRow as Row
    from workbench.trace import trace_id

    by_key = {(each.dataset, each.symbol, each.session.date().isoformat(), each.kind): each for each in findings}
    if not by_key:
        return 0
    insert = insert_of(engine)
    with transaction(engine) as session:
        datasets = sorted({each.dataset for each in findings})
        known = session.execute(
            select(Row.dataset, Row.symbol, Row.session, Row.kind).where(Row.dataset.in_(datasets))
        ).all()
        fresh = {key: each for key, each in by_key.items() if key not in {tuple(row) for row in known}}
        if fresh:
            # A check in another process may record the same between the two statements: its row then stands.
            session.execute(
                insert(Row).on_conflict_do_nothing(index_elements=["dataset", "symbol", "session", "kind"]),
                [
                    {
                        "dataset": dataset,
                        "symbol": symbol,
                        "session": day,
                        "kind": kind,
                        "severity": each.severity,
                        "quarantined": each.quarantined,
                        "detail": each.detail,
                        "row": each.row,
                        "trace_id": trace_id(),
                    }
                    for (dataset, symbol, day, kind), each in fresh.items()
                ],
            )
    return len(fresh)
