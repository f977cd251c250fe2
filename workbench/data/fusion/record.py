"""EvidenceRecord: what all sources say of one symbol at one moment, in bytes that do not depend on the machine."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import DataError, NoData
from workbench.study import canonical, digest

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store.workspace import Workspace

SCHEMA: Final = 1
Value = float | str


@dataclass(frozen=True, slots=True)
class Fact:
    """The newest that one source says about one subject.

    Attributes:
        id: `kind:source` or `kind:source:subject`; what a citation names.
        subject: the symbol, or the series, pair or tag.
        session: the day it belongs to, ISO.
        happened, learned: the two clocks, ISO 8601 in UTC.
        age_s: seconds from when it happened to the moment of the record; 0 for what is announced and still to come.
        known_s: seconds from when it was learned to the moment of the record.
        quality: in [0, 1]; `notes` say what is wrong where it is below 1.
        weight: in [0, 1]; the weights of the sources of one kind and subject sum to 1.
        says: column -> value; what is not said is not there.
    """

    id: str
    kind: str
    source: str
    subject: str
    session: str
    happened: str
    learned: str
    age_s: float
    known_s: float
    quality: float
    weight: float
    says: dict[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """A source that was expected to say something and does not.

    Attributes:
        reason: `never collected` (nobody asked for days up to the moment), `nothing known` (asked, and nothing was
            known), `stale` (the newest is older than its bound), `quarantined` (all that came was kept back),
            `not read` (there is news, but no reading of it), `no finding` (news was read, and nothing found in it).
        detail: with the numbers.
    """

    kind: str
    source: str
    subject: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How far the sources of one kind are apart, in the newest session of which at least two say something.

    Closes are compared as each source adjusts them: where one knows of a split that another does not, they are apart.

    Attributes:
        session: ISO; of fundamentals the period (first day/last day), of sentiment empty: the tally of the moment.
        measure: `relative` ((max − min) / mean of the absolute values) or `absolute` (max − min).
        by_source: source -> what it says.
    """

    kind: str
    subject: str
    field: str
    session: str
    measure: str
    spread: float
    by_source: dict[str, float]


@dataclass(frozen=True)
class EvidenceRecord:
    """Everything that is known of a symbol at a moment, and what is not.

    Attributes:
        as_of: ISO 8601 in UTC.
        method: the version of the rules that weighed.
        synthetic: True where the facts are of an invented market.
        facts: by kind, subject and source.
        disagreements: none where fewer than two sources can be compared; that is not agreement.
        missing: by kind, subject and source.
    """

    symbol: str
    as_of: str
    method: str
    synthetic: bool
    facts: tuple[Fact, ...]
    disagreements: tuple[Disagreement, ...]
    missing: tuple[Missing, ...]

    @functools.cached_property
    def body(self) -> dict[str, Any]:
        """The record as plain JSON values; `from_body` is its inverse."""
        return {
            "schema": SCHEMA,
            "symbol": self.symbol,
            "as_of": self.as_of,
            "method": self.method,
            "synthetic": self.synthetic,
            "facts": [_plain(line) for line in self.facts],
            "disagreements": [_plain(line) for line in self.disagreements],
            "missing": [_plain(line) for line in self.missing],
        }

    @functools.cached_property
    def text(self) -> str:
        """The canonical JSON of the body: the bytes that are hashed."""
        return canonical(self.body)

    @functools.cached_property
    def hash(self) -> str:
        """sha256 (64 hex digits) of `text`."""
        return digest(self.body)

    def of(self, kind: str) -> tuple[Fact, ...]:
        """The facts of one kind."""
        return tuple(fact for fact in self.facts if fact.kind == kind)

    def best(self, kind: str, subject: str | None = None) -> Fact | None:
        """The fact of a kind with the greatest weight (of equal ones the first by source), None where there is none."""
        found = [fact for fact in self.of(kind) if subject is None or fact.subject == subject]
        return min(found, key=lambda fact: (-fact.weight, fact.subject, fact.source)) if found else None

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> EvidenceRecord:
        """Rebuild a record from its body, as the store keeps it. Raises DataError when it has another schema."""
        if body.get("schema") != SCHEMA:
            raise DataError(
                f"the evidence record has schema {body.get('schema')!r}; this version reads {SCHEMA}.",
                remedy="read it with the version of the product that wrote it.",
            )
        return cls(
            symbol=body["symbol"],
            as_of=body["as_of"],
            method=body["method"],
            synthetic=body["synthetic"],
            facts=tuple(Fact(**{**line, "notes": tuple(line["notes"])}) for line in body["facts"]),
            disagreements=tuple(Disagreement(**line) for line in body["disagreements"]),
            missing=tuple(Missing(**line) for line in body["missing"]),
        )

    def as_frame(self) -> pd.DataFrame:
        """The record for a notebook: one row per fact and per missing source, index kind, subject, source.

        Columns: `says` (text), `age_h`, `known_h` (hours), `quality`, `weight` (NaN where missing), `spread` (NaN where
        fewer than two sources can be compared) and `note`.
        """
        import pandas as pd

        spreads = {(line.kind, line.subject): line.spread for line in self.disagreements}
        rows: list[tuple[object, ...]] = [
            (
                fact.kind,
                fact.subject,
                fact.source,
                ", ".join(
                    f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                    for name, value in fact.says.items()
                ),
                fact.age_s / 3600,
                fact.known_s / 3600,
                fact.quality,
                fact.weight,
                spreads.get((fact.kind, fact.subject), math.nan),
                "; ".join(fact.notes),
            )
            for fact in self.facts
        ]
        rows += [
            (line.kind, line.subject, line.source, "", *[math.nan] * 5, f"missing, {line.reason}: {line.detail}")
            for line in self.missing
        ]
        names = ["kind", "subject", "source", "says", "age_h", "known_h", "quality", "weight", "spread", "note"]
        return pd.DataFrame(rows, columns=names).set_index(names[:3])

    def __repr__(self) -> str:
        label = "SYNTHETIC · " if self.synthetic else ""
        return (
            f"{label}{self.symbol} · as_of {self.as_of} · {len(self.facts)} facts of "
            f"{len({fact.source for fact in self.facts})} sources, {len(self.missing)} missing · {self.hash[:12]}"
        )


def read_record(name: str, *, workspace: Workspace) -> EvidenceRecord:
    """A stored record by its sha256. Raises NoData when there is none."""
    from sqlalchemy import select

    from workbench.store.engine import transaction
    from workbench.store.tables.evidence import EvidenceRecordRow as Row

    with transaction(workspace.engine) as session:
        body = session.execute(select(Row.body).where(Row.hash == name)).scalar_one_or_none()
    if body is None:
        raise NoData(f"no evidence record is named {name!r}.", remedy="fuse(symbol, as_of, workspace=…) makes one.")
    return EvidenceRecord.from_body(body)


def _plain(line: Fact | Missing | Disagreement) -> dict[str, Any]:
    # dataclasses.asdict copies deeply and takes ten times as long; these fields are plain values.
    made = {field.name: getattr(line, field.name) for field in dataclasses.fields(line)}
    if "notes" in made:
        made["notes"] = list(made["notes"])
    return made
