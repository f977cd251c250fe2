"""What is known of those who may enter a universe: values to rank by, or a list, each as of one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from workbench import sessions
from workbench.data import changes, universe
from workbench.data.collected import collected_ranges
from workbench.data.history import dataset_of, load
from workbench.data.membership import last_changes
from workbench.data.rotation_rules import IndexMembership, Ranked, Rule
from workbench.errors import NoData
from workbench.features.table import newest
from workbench.market.bars import Bars
from workbench.study import Study

if TYPE_CHECKING:
    from workbench.store.workspace import Workspace

GAPS = 21  # a symbol may lack a month of bars and still have its window

Loader = Callable[[tuple[str, ...], pd.Timestamp, int], Bars]
"""Bars of these symbols as known at a moment: the newest so many sessions; a symbol of which nothing is known lacks."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What is known of the candidates: values to rank by, or why each is on the list."""

    values: dict[str, float]
    listed: dict[str, str]


def candidates_of(workspace: Workspace, chosen: Rule, moment: pd.Timestamp, bars: Loader | None) -> Candidates:
    """What a rule needs to know at a moment, from what was known then.

    Raises:
        NoData: the pool is empty or not there, or bars of one of it were not collected.
    """
    if isinstance(chosen, IndexMembership):
        return Candidates({}, _listed(workspace, chosen.index, moment))
    if not isinstance(chosen, Ranked):
        return Candidates({}, {})
    pool = universe.members(workspace, chosen.pool, moment) if isinstance(chosen.pool, str) else chosen.pool
    if not pool:
        raise NoData(f"the pool of {chosen} is empty as of {moment}; nothing was ranked.", remedy="fill it first.")
    count = chosen.by.warm_up + 1 + chosen.stale + GAPS
    known = (bars or stored_bars(workspace, chosen))(tuple(pool), moment, count)
    ranked = newest(known, chosen.by, stale=chosen.stale)[str(chosen.by)]
    values = dict.fromkeys(pool, float("nan")) | {str(symbol): float(value) for symbol, value in ranked.items()}
    return Candidates(values, {})


def _listed(workspace: Workspace, index: str, moment: pd.Timestamp) -> dict[str, str]:
    from workbench.store.engine import transaction

    with transaction(workspace.engine) as session:
        said = changes.read(session, index)
    return {
        symbol: f"in {index!r} since {change.happened.date()}, known since {change.learned.date()}"
        for symbol, change in last_changes(said, at=moment, known=moment).items()
        if change.action == "enter"
    }


def stored_bars(workspace: Workspace, chosen: Ranked) -> Loader:
    """Stored bars as known at a moment. A symbol with collected sessions but no bar is left out, not refused."""

    def loader(symbols: tuple[str, ...], moment: pd.Timestamp, count: int) -> Bars:
        newest_session = sessions.session_of(chosen.venue, moment)
        days = sessions.sessions(chosen.venue, newest_session - pd.Timedelta(days=2 * count + 20), newest_session)
        first = days[-min(count, len(days))]
        study = Study.of(symbols, start=first, as_of=moment, venue=chosen.venue, source=chosen.source, seed=chosen.seed)
        _refuse_uncollected(workspace, study)
        while True:
            try:
                return load(study, workspace=workspace, warm_up=0, actions=chosen.actions).bars
            except NoData as error:
                lacking = set(error.facts.get("missing", ()))
                rest = [symbol for symbol in study.symbols if symbol not in lacking]
                if not lacking or not rest:
                    raise
                study = Study.of(
                    rest, start=first, as_of=moment, venue=chosen.venue, source=chosen.source, seed=chosen.seed
                )

    return loader


def _refuse_uncollected(workspace: Workspace, study: Study) -> None:
    ranges = collected_ranges(workspace.engine, dataset_of(study), study.symbols)
    lacking = [
        symbol for symbol in study.symbols if not ranges.covers(symbol, study.start, study.end, venue=study.venue)
    ]
    if lacking:
        shown = ", ".join(lacking[:6]) + (f" … ({len(lacking)} symbols)" if len(lacking) > 6 else "")
        raise NoData(
            f"bars of {shown} were not collected for {study.start.date()} to {study.end.date()}; nothing was ranked, "
            "because who is missing would decide who is in.",
            remedy="collect the whole pool first.",
            missing=lacking,
        )
