"""Collect and load: bring a study's bars to the store once, and read them back as they were known at its moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from workbench import sessions
from workbench.data.adjust import SAYS, adjusted, adjustment_of, as_actions, not_applied
from workbench.data.collected import collected_ranges
from workbench.data.facts import read_facts
from workbench.data.finding import as_frame
from workbench.data.intake import take_in
from workbench.data.kinds import dataset_name
from workbench.data.source import DAILY_COLUMNS
from workbench.data.sources import about, open_source
from workbench.errors import DataError, NoData
from workbench.market.actions import Actions
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.store.facts import fingerprint
from workbench.store.vintages import Vintages
from workbench.study import MINUTES, SESSIONS_PER_YEAR, digest
from workbench.trace import get_logger

if TYPE_CHECKING:
    from workbench.data.source import BarSource
    from workbench.store.workspace import Workspace
    from workbench.study import Study

WARM_UP = 300


@dataclass(frozen=True)
class Collected:
    """What one collection brought.

    Attributes:
        dataset: where the rows lie in the vintages.
        label: what the reader must be told about the source.
        coverage: one row per symbol: `symbol`, `first`, `last` (sessions; NaT without a row), `sessions` (how many have
            a bar), `missing` (sessions of the calendar between first and last without one), `close_only`, `source`.
        findings: what the quality check found, one row each.
        new_rows: rows that were new or revised; 0 when all was there already.
        quarantined: rows that were refused.
    """

    dataset: str
    label: str
    coverage: pd.DataFrame
    findings: pd.DataFrame
    new_rows: int
    quarantined: int

    def __repr__(self) -> str:
        return (
            f"{self.label} · {self.dataset} · {len(self.coverage)} symbols, {int(self.coverage['sessions'].sum())} bars"
            f" · {self.new_rows} new, {self.quarantined} quarantined, {len(self.findings)} findings"
        )


def dataset_of(study: Study) -> str:
    """Where a study's bars lie in the vintages, e.g. `"bars/1d/bundled"`; each synthetic seed has its own place."""
    source = about(study.source, seed=study.seed)
    seed = study.seed if source.synthetic else None
    return dataset_name("bars", source.name, timeframe=study.timeframe, seed=seed)


def collect(
    study: Study, *, workspace: Workspace, source: BarSource | None = None, warm_up: int = WARM_UP
) -> Collected:
    """Ask the source for the study's bars, check them, and append what is new. Doing it twice changes nothing.

    Args:
        study: which symbols, from when to when.
        workspace: where to store.
        source: the supplier; the one the study names when None.
        warm_up: bars before `study.start` that are brought too, where the source has them.

    Raises:
        DataError: the source is not the one the study names, or does not know a symbol or the timeframe.
        BadData: the source's response is malformed as a whole; nothing was stored.
    """
    source = _source_of(study, source)
    dataset = dataset_of(study)
    first = _warm_first(study, warm_up)
    rows = source.bars(study.symbols, start=first, end=study.end, timeframe=study.timeframe)
    known_until = min(study.as_of, sessions.closes(study.venue, study.end))
    taken = take_in(
        rows,
        workspace=workspace,
        dataset=dataset,
        venue=study.venue,
        known_until=known_until,
        symbols=study.symbols,
        record=(first, study.end),
    )
    collected = Collected(
        dataset=dataset,
        label=source.label,
        coverage=_coverage(taken.good, study=study, label=source.label),
        findings=as_frame(taken.findings),
        new_rows=taken.new_rows,
        quarantined=taken.quarantined,
    )
    get_logger(__name__).info(
        "collected", dataset=dataset, study=study.hash, new_rows=taken.new_rows, quarantined=taken.quarantined
    )
    return collected


def load(
    study: Study, *, workspace: Workspace, warm_up: int = WARM_UP, actions: str | None = None, adjust: bool = True
) -> History:
    """The bars of a study as they were known at `study.as_of`, read from the store and from nowhere else.

    Args:
        study: the question.
        workspace: where to read.
        warm_up: bars before `study.start` that strategies may use for their indicators. Fewer come where the data
            begins later.
        actions: the source of the corporate actions of raw bars, e.g. `"alpaca"`; None takes the bars as they are.
        adjust: with `actions`: True adjusts the prices for the splits and dividends known at `study.as_of`
            (`workbench.data.adjust`); False leaves them raw and gives the actions along, for a replay.

    Returns:
        A History whose bars run over every session of the calendar from the first one known (warm-up included) to
        `study.end`; NaN where a symbol has no bar. `provenance` names source, dataset, range, number of rows, what
        the prices are adjusted for, and the sha256 `fingerprint` of the stored rows.

    Raises:
        NoData: the range of a symbol was not collected, or nothing was known of it, or the last session is empty.
        DataError: `actions` was given and the source adjusts its bars itself: they would be adjusted twice.
        BadData: an action contradicts the bars.
    """
    source = about(study.source, seed=study.seed)
    dataset, first = dataset_of(study), _warm_first(study, warm_up)
    _refuse_uncollected(study, workspace=workspace, dataset=dataset, first=first)
    rows = Vintages(workspace.vintages_url).read(dataset, study.symbols, start=first, end=study.end, as_of=study.as_of)
    present = set(rows["symbol"].unique())
    missing = [symbol for symbol in study.symbols if symbol not in present]
    if missing:
        raise NoData(
            f"nothing is known of {', '.join(missing)} from {first.date()} to {study.end.date()} as of {study.as_of}.",
            remedy=f"drop it from the study, or ask another source than {study.source!r}.",
            missing=missing,
        )
    index = _index(study, rows["session"].min())
    if rows["session"].max() < study.end:
        raise NoData(
            f"the newest bar known of these {len(study.symbols)} symbols is of {rows['session'].max().date()}, but the "
            f"study ends {study.end.date()}: nothing could be decided then.",
            remedy=f"ask with as_of <= {rows['session'].max().date()}, or use another source.",
        )
    learned_until, stored = rows["learned"].max(), fingerprint(rows.loc[:, _fingerprinted(study)])
    done, replayed, label = SAYS[adjustment_of(source)], Actions(), source.label
    if actions is not None:
        known = _actions(study, workspace=workspace, source=actions, first=first)
        learned_until = max([learned_until, *known["learned"]])
        stored = digest([stored, fingerprint(known)])
        done = f"{'adjusted' if adjust else 'raw, to be replayed'} with the actions of {actions} known as of the study"
        label = f"{label} · {'adjusted as known then' if adjust else 'raw'}"
        if adjust:
            rows = adjusted(rows, known, until=study.end)
        else:
            replayed = as_actions(known, venue=study.venue)
        left = not_applied(known)
        if len(left):
            done += f"; not applied: {', '.join(left['symbol'] + ' ' + left['key'])}"
    return History(
        study=study,
        bars=Bars.from_long(rows.assign(session=rows[_stamp(study)]), index=index, symbols=study.symbols),
        label=label,
        synthetic=source.synthetic,
        provenance={
            "source": source.name,
            "label": label,
            "dataset": dataset,
            "first": index[0].date().isoformat(),
            "last": index[-1].date().isoformat(),
            "as_of": study.as_of.isoformat(),
            "rows": len(rows),
            "learned_until": learned_until.isoformat(),
            "adjustment": done,
            **({"sources": _sources(rows)} if "source" in rows.columns else {}),
            "fingerprint": stored,
        },
        actions=replayed,
    )


def _sources(rows: pd.DataFrame) -> dict[str, str]:
    """Who gave the rows of each symbol, joined by " + "."""
    said = rows.groupby("symbol", sort=True)["source"].unique()
    return {str(symbol): " + ".join(sorted(map(str, names))) for symbol, names in said.items()}


def _fingerprinted(study: Study) -> list[str]:
    return [*DAILY_COLUMNS, *(["time"] if study.timeframe != "1d" else [])]


def _actions(study: Study, *, workspace: Workspace, source: str, first: pd.Timestamp) -> pd.DataFrame:
    """The actions of the study's symbols known at its moment; refused where the bars are adjusted, or nobody asked."""
    if adjustment_of(about(study.source, seed=study.seed)) != "raw":
        raise DataError(
            f"actions={source!r} is given, but {study.source!r} adjusts its bars itself; nothing was adjusted twice.",
            remedy="leave actions out, or collect raw bars.",
        )
    dataset = dataset_name("actions", source)
    _refuse_uncollected(study, workspace=workspace, dataset=dataset, first=first)
    return read_facts(workspace, "actions", source, study.symbols, start=first, end=study.end, as_of=study.as_of)


def _index(study: Study, first: pd.Timestamp) -> pd.DatetimeIndex:
    """Every session from `first` to the study's end; for intraday bars the UTC end of every bar in them."""
    if study.timeframe == "1d":
        return sessions.sessions(study.venue, first, study.end)
    return sessions.bar_ends(study.venue, first, study.end, minutes=MINUTES[study.timeframe])


def _stamp(study: Study) -> str:
    """The column that stamps a bar: its session, or the moment of its end, which is when it is known."""
    return "session" if study.timeframe == "1d" else "happened"


def _source_of(study: Study, source: BarSource | None) -> BarSource:
    if source is None:
        opened: BarSource = open_source(study.source, seed=study.seed)
        return opened
    seed = getattr(source, "seed", study.seed)
    if source.name != study.source or seed != study.seed:
        raise DataError(
            f"the study names source={study.source!r} with seed {study.seed}, but {source.name!r} with seed {seed} was "
            "given; nothing was collected.",
            remedy="open the source with open_source(study.source, seed=study.seed).",
        )
    stored = adjustment_of(about(study.source, seed=study.seed))
    if source.name != "market" and adjustment_of(source) != stored:
        raise DataError(
            f"the bars of {source.name!r} are stored as {stored!r}, and this source gives {adjustment_of(source)!r}; "
            "nothing was collected.",
            remedy="open the source without naming an adjustment.",
        )
    return source


def _warm_first(study: Study, warm_up: int) -> pd.Timestamp:
    """The session that lies `warm_up` bars before the study starts (the calendar's first, if there are fewer)."""
    if warm_up < 0:
        raise DataError(f"warm_up={warm_up} must be 0 or greater; nothing was done.", remedy="use e.g. 300.")
    warm_up = -(-warm_up * SESSIONS_PER_YEAR // study.bars_per_year)
    # Seven days hold at least three sessions, in every year and venue.
    before = sessions.sessions(study.venue, study.start - pd.Timedelta(days=7 * (warm_up // 3 + 1)), study.start)
    return pd.Timestamp(before[max(0, len(before) - 1 - warm_up)])


def _refuse_uncollected(study: Study, *, workspace: Workspace, dataset: str, first: pd.Timestamp) -> None:
    ranges = collected_ranges(workspace.engine, dataset, study.symbols)
    lacking = [symbol for symbol in study.symbols if not ranges.covers(symbol, first, study.end, venue=study.venue)]
    if lacking:
        shown = ", ".join(lacking[:6]) + (f" … ({len(lacking)} symbols)" if len(lacking) > 6 else "")
        raise NoData(
            f"{shown} was not collected for the sessions {first.date()} to {study.end.date()}; nothing was loaded.",
            remedy="collect first: workbench.data.history.collect(study, workspace=…) or the notebook `data`.",
            missing=lacking,
        )


def _coverage(rows: pd.DataFrame, *, study: Study, label: str) -> pd.DataFrame:
    records: list[tuple[object, ...]] = []
    by_symbol = dict(list(rows.groupby("symbol", sort=False)))
    for symbol in study.symbols:
        of_symbol = by_symbol.get(symbol)
        if of_symbol is None:
            records.append((symbol, pd.NaT, pd.NaT, 0, 0, False, label))
            continue
        days = pd.DatetimeIndex(of_symbol["session"].unique())
        expected = len(sessions.sessions(study.venue, days[0], days[-1]))
        close_only = bool(of_symbol["open"].isna().all())
        said = " + ".join(of_symbol["source"].unique()) if "source" in of_symbol.columns else label
        records.append((symbol, days[0], days[-1], len(days), expected - len(days), close_only, said))
    columns = ["symbol", "first", "last", "sessions", "missing", "close_only", "source"]
    return pd.DataFrame(records, columns=columns).astype({"first": "datetime64[us]", "last": "datetime64[us]"})
