"""The verbs of a trading day: data, ideas, arena, execution."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.bench.data import Facts
from workbench.errors import NoData
from workbench.settings import Settings
from workbench.store.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from workbench.arena.decisions import Decision
    from workbench.data.history import Collected
    from workbench.market.history import History
    from workbench.market.view import MarketView
    from workbench.run import Run
    from workbench.strategy import Strategy
    from workbench.study import Study

WARM_UP = 300


@dataclass(frozen=True)
class Day:
    """What a trading day asks of one machine. Every verb takes what it works on; nothing stays between calls."""

    workspace: Workspace
    settings: Settings

    @functools.cached_property
    def data(self) -> Facts:
        """The sources of this machine and what is stored of them: `collect`, `fuse`, `quarantine`, `health`."""
        return Facts(self.workspace, self.settings)

    # -- data ---------------------------------------------------------------------------------------------------------

    def collect(self, study: Study) -> Collected:
        """Bring the study's history to the store; rows that are there already are not written again.

        The study's symbols enter the universe named after the source on the first session they are known.
        """
        from workbench.data import history, universe

        source = self.data.source(study.source, seed=study.seed)
        collected = history.collect(study, workspace=self.workspace, source=source, warm_up=WARM_UP)
        universe.define(self.workspace, study.source, study.symbols, entered=study.start, reason="named by a study")
        return collected

    def universe(self, study: Study) -> tuple[str, ...]:
        """Who was in the study's universe as of its moment."""
        from workbench.data import universe

        return universe.members(self.workspace, study.source, study.as_of)

    def load(self, study: Study) -> History:
        """The history that answers a study; what is missing in the store is collected first.

        Raises:
            NoData: the source does not know a symbol, or nothing was known by then.
        """
        from workbench.data import history

        try:
            return history.load(study, workspace=self.workspace, warm_up=WARM_UP)
        except NoData:
            self.collect(study)
            return history.load(study, workspace=self.workspace, warm_up=WARM_UP)

    # -- ideas --------------------------------------------------------------------------------------------------------

    def strategy(self, name: str, **parameters: Any) -> Strategy:
        """An idea by name with its parameters, e.g. `bench.strategy("sma_cross", fast=20)`.

        Raises:
            ParameterError: no such strategy, or no such parameter, or a wrong value; the message suggests the nearest.
        """
        from workbench.strategies import build

        return build(name, **parameters)

    def strategies(self) -> list[str]:
        """The names that `strategy` knows."""
        from workbench.strategies import registered

        return sorted(registered())

    # -- arena --------------------------------------------------------------------------------------------------------

    def decide(self, known: History | MarketView, *, symbols: Sequence[str] | None = None) -> list[Decision]:
        """Let the analysts debate each symbol as of the moment of `known`; asked again, the stored decisions return.

        Earlier decisions whose horizon is over by then, and that led to nothing, are marked expired.
        """
        from workbench.arena.decisions import decide_all, expire
        from workbench.market.history import History

        view = known.view() if isinstance(known, History) else known
        expire(self.workspace, view.as_of)
        return decide_all(view, workspace=self.workspace, symbols=symbols)

    def decisions_table(self, decisions: Sequence[Decision]) -> pd.DataFrame:
        """One row per decision, for reading."""
        from workbench.arena.frames import as_frame

        return as_frame(decisions)

    def transcript(self, decision: Decision) -> pd.DataFrame:
        """Who said what in which round, and on which evidence."""
        from workbench.arena.frames import transcript

        return transcript(decision)

    def evidence(self, decision: Decision) -> pd.DataFrame:
        """The facts a decision stands on, read from the store by the hash of their pack."""
        from workbench.arena.decisions import pack

        return pack(self.workspace, decision.pack_hash).as_frame()

    # -- execution ----------------------------------------------------------------------------------------------------

    def trade(self, strategy: Strategy, history: History, decisions: Sequence[Decision], *, bot: str = "daily") -> Run:
        """Trade the session after which the history ends, once: asked again, it places no order and shows the answer.

        Paper money on the local exchange unless this machine's settings name another broker.
        """
        from workbench.orchestration.trading_day import trade

        return trade(strategy, history, decisions, workspace=self.workspace, settings=self.settings, bot=bot)

    def traded(self, *, bot: str = "daily") -> pd.DataFrame:
        """The sessions a bot has traded, newest first."""
        from workbench.orchestration.trading_sessions import traded

        return traded(self.workspace, bot=bot)
