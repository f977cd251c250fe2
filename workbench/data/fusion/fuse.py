"""fuse: read what every source says, weigh it, name what is missing, and store one record."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from workbench import sessions
from workbench.data.fusion.gather import Said, gather
from workbench.data.fusion.place import Place
from workbench.data.fusion.quarantined import Beside, look
from workbench.data.fusion.record import Disagreement, EvidenceRecord, Fact, Missing, significant
from workbench.data.fusion.rules import (
    CHAIN,
    METHOD,
    NOT_EXPECTED,
    PAIRS,
    RELIABILITY,
    RULES,
    SERIES,
    UNKNOWN_SOURCE,
    Subject,
)
from workbench.data.kinds import dataset_name
from workbench.data.source import symbols_of
from workbench.data.sources import SOURCES, listed
from workbench.errors import ParameterError
from workbench.store.vintages import Vintages

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.data.source import Source
    from workbench.store.workspace import Workspace

_ORDER = {kind: place for place, kind in enumerate(RULES)}
_VENUE = "XNYS"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
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
        expected = _expected(sources, seed)
        self.synthetic = any(source.synthetic for source in expected)
        if self.synthetic and not all(source.synthetic for source in expected):
            names = [source.name for source in expected]
            raise ParameterError(
                f"sources={names!r} mixes an invented market with real ones; nothing was fused.",
                remedy="fuse what is invented by itself.",
            )
        self._places = tuple(_places(expected))
        self._subjects: _Subjects = {"series": tuple(sorted(set(series))), "pair": tuple(sorted(set(pairs)))}

    def of(self, symbol: str, as_of: Any, *, store: bool = True) -> EvidenceRecord:
        """The record of one symbol; see `fuse`."""
        from workbench.store.engine import transaction

        wanted = symbols_of(symbol)
        if len(wanted) != 1:
            raise ParameterError(f"symbol={symbol!r} is not one symbol; nothing was fused.", remedy="fuse one by one.")
        name, moment = wanted[0], _moment(as_of)
        subjects: _Subjects = {"symbol": (name,), **self._subjects}
        said = gather(self._vintages, self._places, subjects, moment)
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
            facts=tuple(sorted(_weighed(fresh, now), key=lambda line: (_ORDER[line.kind], line.subject, line.source))),
            disagreements=tuple(_disagreements(fresh)),
            missing=tuple(sorted(missing, key=lambda line: (_ORDER[line.kind], line.subject, line.source))),
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


@dataclass(frozen=True, slots=True)
class _Expected:
    """A source from which something is expected: its name in the store, what it can be asked for, is it invented."""

    name: str
    kinds: tuple[str, ...]
    synthetic: bool


def _expected(sources: str | Source | Sequence[str | Source] | None, seed: int) -> list[_Expected]:
    """Those of the list by name, others as objects: what these can be asked for are their methods."""
    if sources is None:
        given: list[str | Source] = [name for name in SOURCES if name not in NOT_EXPECTED]
    elif isinstance(sources, Sequence) and not isinstance(sources, str):
        given = list(sources)
    else:
        given = [sources]
    if not given:
        raise ParameterError("sources is empty; nothing was fused.", remedy="name at least one, or leave it out.")
    found = {}
    for one in given:
        if isinstance(one, str):
            name = listed(one.strip()).name
            invented = name == "synthetic"
            made = _Expected(f"{name}-{seed}" if invented else name, listed(name).kinds, invented)
        else:
            kinds = tuple(kind for kind in RULES if callable(getattr(one, kind, None)))
            made = _Expected(one.name, kinds, one.synthetic)
        found[made.name] = made
    return [found[name] for name in sorted(found)]


def _places(expected: Iterable[_Expected]) -> Iterable[Place]:
    """Every kind that each source can be asked for, and the reading of its news."""
    for source in expected:
        for kind in (*source.kinds, *(("sentiment",) if "news" in source.kinds else ())):
            if kind in RULES:
                timeframe = "1d" if kind == "bars" else ""
                yield Place(RULES[kind], source.name, dataset_name(kind, source.name, timeframe=timeframe), _VENUE)


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


def _weighed(said: list[Said], now: int) -> Iterable[Fact]:
    by_subject: dict[tuple[str, str], list[Said]] = {}
    for line in said:
        by_subject.setdefault((line.place.rule.kind, line.subject), []).append(line)
    for (kind, subject), lines in by_subject.items():
        youngest = max(line.happened for line in lines)  # ages count from it, so that old facts do not all weigh 0
        half_life = RULES[kind].half_life / pd.Timedelta(1, unit="us")
        raw = [
            2.0 ** (-(youngest - line.happened) / half_life) * line.quality * _reliability(line.place.source)
            for line in lines
        ]
        total = sum(sorted(raw))
        for line, weight in zip(lines, raw, strict=True):
            about = "" if " " not in subject and RULES[kind].subject == "symbol" else f":{subject.split(' ')[-1]}"
            yield Fact(
                id=f"{kind}:{line.place.source}{about}",
                kind=kind,
                source=line.place.source,
                subject=subject,
                session=line.session,
                happened=_iso(line.happened),
                learned=_iso(line.learned),
                age_s=significant(max(0, now - line.happened) / 1e6),
                known_s=significant((now - line.learned) / 1e6),
                quality=significant(line.quality),
                weight=significant(weight / total if total else 1.0 / len(lines)),
                says=line.says,
                notes=tuple(line.notes),
            )


def _disagreements(said: list[Said]) -> list[Disagreement]:
    by_subject: dict[tuple[str, str], list[Said]] = {}
    for line in said:
        by_subject.setdefault((line.place.rule.kind, line.subject), []).append(line)
    found = []
    for kind, subject in sorted(by_subject, key=lambda key: (_ORDER[key[0]], key[1])):
        lines, rule = by_subject[(kind, subject)], RULES[kind]
        if len(lines) < 2:
            continue
        days = sorted({day for line in lines for day in line.compared}, reverse=True)
        for day in days:
            values = {line.place.source: line.compared[day] for line in lines if day in line.compared}
            if len(values) > 1:
                spread = max(values.values()) - min(values.values())
                size = sum(sorted(abs(value) for value in values.values())) / len(values)
                if rule.spread == "relative":
                    spread = spread / size if size else 0.0
                shown = {source: significant(values[source]) for source in sorted(values)}
                found.append(Disagreement(kind, subject, rule.compare, day, rule.spread, significant(spread), shown))
                break
    return found


def _reliability(source: str) -> float:
    return RELIABILITY.get("synthetic" if source.startswith("synthetic") else source, UNKNOWN_SOURCE)


def _iso(micro: int) -> str:
    return (_EPOCH + dt.timedelta(microseconds=micro)).isoformat()


def _moment(as_of: Any) -> pd.Timestamp:
    try:
        moment = pd.Timestamp(as_of)
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"as_of={as_of!r} is no moment; nothing was fused.", remedy="write '2015-06-30'."
        ) from error
    if pd.isna(moment):
        raise ParameterError(f"as_of={as_of!r} is empty; nothing was fused.", remedy="write '2015-06-30'.")
    if moment.tzinfo is None:
        if moment != moment.normalize():
            raise ParameterError(
                f"as_of={as_of!r} has a time of day but no timezone; nothing was fused.",
                remedy="add one, e.g. '2015-06-30T20:00Z', or give the day alone for that session's close.",
            )
        moment = sessions.closes(_VENUE, moment)
    return moment.tz_convert("UTC").as_unit("us")


def _store(session: Session, record: EvidenceRecord, as_of: pd.Timestamp) -> None:
    """Write the record down, once: a hash is made of the content, so the row that is there is the same."""
    from sqlalchemy import select
    from sqlalchemy.dialects import postgresql, sqlite

    from workbench.store.tables.evidence import EvidenceRecordRow as Row
    from workbench.trace import trace_id

    if session.execute(select(Row.hash).where(Row.hash == record.hash)).first() is not None:
        return
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
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
