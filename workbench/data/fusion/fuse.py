"""fuse: read what every source says, weigh it, name what is missing, and store one record."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from workbench.data.fusion.expected import VENUE, expected_of, places_of
from workbench.data.fusion.gather import Said, gather
from workbench.data.fusion.known import Shared
from workbench.data.fusion.place import Place
from workbench.data.fusion.quarantined import Beside, look
from workbench.data.fusion.record import EvidenceRecord, Missing
from workbench.data.fusion.rules import CHAIN, METHOD, PAIRS, SERIES, Subject
from workbench.data.fusion.weighing import ORDER, disagreements, weighed
from workbench.data.kinds import dataset_name
from workbench.data.source import symbols_of
from workbench.errors import ParameterError, StudyError
from workbench.store.vintages import Vintages
from workbench.study import moment_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.data.source import Source
    from workbench.store.workspace import Workspace

_Subjects: TypeAlias = dict[Subject, tuple[str, ...]]
_ByDataset: TypeAlias = dict[tuple[str, str], list[Said]]


class Fusion:
    """Fuses one symbol after another; it keeps the opened store between them.

    Args:
        workspace: where facts are read and records are stored.
        sources: those that are expected, by name or (where they are not of the list) as objects; every real vendor of
            the list when None. An invented market is fused only
            when it is named, and never beside a real one.
        seed: which synthetic market `synthetic` is.
        series, pairs: which economic series and exchange rates belong to a record of any symbol.

    Raises:
        DataError: a source is not one of the list.
        ParameterError: none is named, or synthetic and real sources are mixed.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        sources: str | Source | Sequence[str | Source] | None = None,
        seed: int = 7,
        series: Sequence[str] = SERIES,
        pairs: Sequence[str] = PAIRS,
        vintages: Vintages | None = None,
    ) -> None:
        self._workspace = workspace
        self._vintages = vintages or Vintages(workspace.vintages_url)
        self._named = sources is not None
        expected = expected_of(sources, seed)
        self.synthetic = any(source.synthetic for source in expected)
        if self.synthetic and not all(source.synthetic for source in expected):
            names = [source.name for source in expected]
            raise ParameterError(
                f"sources={names!r} mixes an invented market with real ones; nothing was fused.",
                remedy="fuse what is invented by itself.",
            )
        self._places = tuple(places_of(expected))
        self._shared = Shared()
        self._subjects: _Subjects = {"series": tuple(sorted(set(series))), "pair": tuple(sorted(set(pairs)))}

    def of(self, symbol: str, as_of: Any, *, store: bool = True) -> EvidenceRecord:
        """The record of one symbol; see `fuse`."""
        from workbench.store.engine import transaction

        wanted = symbols_of(symbol)
        if len(wanted) != 1:
            raise ParameterError(f"symbol={symbol!r} is not one symbol; nothing was fused.", remedy="fuse one by one.")
        name, moment = wanted[0], _moment(as_of)
        subjects: _Subjects = {"symbol": (name,), **self._subjects}
        said = gather(self._vintages, self._places, subjects, moment, self._shared)
        with transaction(self._workspace.engine) as session:
            beside = look(session, self._places, itertools.chain(*subjects.values()), moment)
            record = self._record(subjects, moment, said, beside)
            if store:
                _store(session, record, moment)
        return record

    def _record(self, subjects: _Subjects, as_of: pd.Timestamp, said: list[Said], beside: Beside) -> EvidenceRecord:
        now = int(as_of.value) // 1000
        fresh: list[Said] = []
        missing: list[Missing] = []
        by_dataset: _ByDataset = {}
        for line in said:
            of = line.subject.split(" ")[0]
            line.held_back(beside.held_of(line.place.dataset, of))
            by_dataset.setdefault((line.place.dataset, of), []).append(line)
        for place in self._places:
            for subject in subjects[place.rule.subject]:
                known = by_dataset.get((place.dataset, subject), [])
                current = [line for line in known if not _why_not(line, now)]
                fresh += current
                if not current and (place.source != CHAIN or self._named):
                    reason, detail = _reason(place, subject, by_dataset, beside, now)
                    missing.append(Missing(place.rule.kind, place.source, subject, reason, detail))
        fresh = _without_chain(fresh)
        return EvidenceRecord(
            symbol=subjects["symbol"][0],
            as_of=as_of.isoformat(),
            method=METHOD,
            synthetic=self.synthetic,
            facts=tuple(sorted(weighed(fresh, now), key=lambda line: (ORDER[line.kind], line.subject, line.source))),
            disagreements=tuple(disagreements(fresh)),
            missing=tuple(sorted(missing, key=lambda line: (ORDER[line.kind], line.subject, line.source))),
        )


def fuse(
    symbol: str,
    as_of: Any,
    *,
    workspace: Workspace,
    sources: str | Source | Sequence[str | Source] | None = None,
    seed: int = 7,
    store: bool = True,
) -> EvidenceRecord:
    """Everything the store knows of a symbol at a moment, as one record; no source is asked and no clock is read.

    The same store gives the same bytes, on every machine and in whatever order its rows were written. What is learned
    later never changes them.

    Args:
        symbol: one symbol.
        as_of: a moment with its timezone, or a day (then: the close of that session in New York).
        workspace: where facts are read and the record is stored.
        sources: those that are expected to say something, each named as missing where it does not; every real vendor
            of the list when None. `"synthetic"` by itself fuses the invented market of `seed`.
        store: whether the record is written down; fusing again finds it there.

    Raises:
        ParameterError: `symbol` is not one symbol, `as_of` is no moment, or real and synthetic sources are mixed.
        DataError: a source is not one of the list.
        StoreError: the store cannot be read.
    """
    return Fusion(workspace, sources=sources, seed=seed).of(symbol, as_of, store=store)


def _reason(place: Place, subject: str, said: _ByDataset, beside: Beside, now: int) -> tuple[str, str]:
    """Why a source says nothing that counts about a subject: one word of `Missing.reason`, and the numbers."""
    known, held = said.get((place.dataset, subject), []), beside.held_of(place.dataset, subject)
    late = [why for line in sorted(known, key=lambda line: line.happened, reverse=True) if (why := _why_not(line, now))]
    if late:
        return late[0]
    if held.rows:
        return "quarantined", f"{held.rows} rows kept back: {', '.join(sorted(held.why))}"
    if place.rule.kind == "sentiment" and said.get((dataset_name("news", place.source), subject)):
        return "not read", "there is news of it, and no reading of that news"
    if (place.dataset, subject) in beside.asked:
        return "nothing known", f"asked, and nothing was known of the last {place.rule.lookback.days} days"
    return "never collected", "nobody asked for days up to this moment"


def _without_chain(said: list[Said]) -> list[Said]:
    """What the chain says repeats one of its members: it counts where no vendor says anything of that kind."""
    vendors = {(line.place.rule.kind, line.subject) for line in said if line.place.source != CHAIN}
    return [line for line in said if line.place.source != CHAIN or (line.place.rule.kind, line.subject) not in vendors]


def _why_not(line: Said, now: int) -> tuple[str, str] | None:
    """Why a source's newest does not count, and None where it does."""
    age = pd.Timedelta(now - line.happened, unit="us")
    bound = line.place.rule.bound
    if age > bound:
        days = age / pd.Timedelta(days=1)
        return "stale", f"the newest happened {days:.1f} days before; bound {bound.days} days"
    if line.place.rule.kind == "sentiment" and "score" not in line.says:
        return "no finding", f"{line.says.get('articles', 0.0):g} articles were read, and nothing was found in them"
    return None


def _moment(as_of: Any) -> pd.Timestamp:
    try:
        return moment_of(as_of, VENUE).as_unit("us")
    except StudyError as error:
        raise ParameterError(f"{error.message} Nothing was fused.", remedy=error.remedy) from error


def _store(session: Session, record: EvidenceRecord, as_of: pd.Timestamp) -> None:
    """Write the record down, once: a hash is made of the content, so the row that is there is the same."""
    from workbench.store.insert import insert_of
    from workbench.store.tables.evidence import EvidenceRecordRow as Row
    from workbench.trace import trace_id

    insert = insert_of(session.get_bind())
    session.execute(
        insert(Row).on_conflict_do_nothing(index_elements=["hash"]),
        {
            "hash": record.hash,
            "symbol": record.symbol,
            "as_of": as_of.to_pydatetime(warn=False),
            "body": record.body,
            "trace_id": trace_id(),
        },
    )
