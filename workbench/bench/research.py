"""The verbs of research: backtest, sweep, walk forward, search, audit, in the foreground or in the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.bench.day import Day
from workbench.study import Study

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from workbench.backtest.costs import Costs
    from workbench.backtest.fill_rules import FillRules
    from workbench.backtest.optimize.optimized import Optimized
    from workbench.backtest.paging import Page
    from workbench.backtest.sweep.setup import Setup
    from workbench.backtest.validation.cross_validation import CrossValidation
    from workbench.backtest.validation.walk_forward import WalkForward
    from workbench.market.history import History
    from workbench.orchestration.background import Background
    from workbench.run import Run
    from workbench.store.stored_strategy import Stored
    from workbench.strategy import Strategy


@dataclass(frozen=True)
class Research(Day):
    """What research asks of one machine. Where a verb takes a study or a history, a study is loaded first."""

    def backtest(
        self, strategy: Strategy, asked: Study | History, *, costs: Costs | None = None, rules: FillRules | None = None
    ) -> Run:
        """Replay a strategy through the past, after costs. An identical question returns the stored answer."""
        from workbench.backtest import runs

        return runs.run(strategy, self._history(asked), workspace=self.workspace, costs=costs, rules=rules)

    def compare(self, runs: Sequence[Run], *, benchmark: Run) -> pd.DataFrame:
        """One row per run, with the odds that its Sharpe ratio is luck, deflated by the number ever tried."""
        from workbench.backtest.runs import compare

        return compare(runs, benchmark=benchmark, workspace=self.workspace)

    def metrics(self, run: Run, *, benchmark: Run | None = None) -> pd.DataFrame:
        """Every metric of a backtest with its value, unit, formula and source."""
        from workbench.backtest.summary import kpi_table

        return kpi_table(run, benchmark=benchmark, periods=run.study.bars_per_year)

    def sweep(
        self,
        strategy: type[Strategy] | str,
        grid: Mapping[str, Iterable[Any]],
        asked: Study | History,
        *,
        costs: Costs | None = None,
        rules: FillRules | None = None,
        fixed: Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Run:
        """Evaluate every cell of a grid, find the plateau, walk it forward, and ask whether it is luck.

        Computed where the setting `compute` says: on the threads of this machine, or on a Dask cluster. See
        `workbench.backtest.sweeps.sweep`.
        """
        from workbench.backtest import sweeps

        return sweeps.sweep(
            strategy,
            grid,
            self._history(asked),
            workspace=self.workspace,
            costs=costs,
            rules=rules,
            fixed=fixed,
            compute=self.settings.compute,
            progress=progress,
        )

    def walk_forward(
        self,
        strategy: type[Strategy] | str,
        grid: Mapping[str, Iterable[Any]],
        asked: Study | History,
        *,
        costs: Costs | None = None,
        rules: FillRules | None = None,
        fixed: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> WalkForward:
        """Choose a region on the past, trade its centre on what follows, and go on; one account all the way.

        Args:
            options: `scheme="anchored"`, `train=504`, `test=126`, `metric`, …: see
                `workbench.backtest.validation.walk_forward.walk_forward`.
        """
        from workbench.backtest import examined

        setup, cells = self._cells(strategy, grid, asked, costs=costs, rules=rules, fixed=fixed)
        return examined.walk_forward(setup, cells, workspace=self.workspace, **options)

    def cross_validate(
        self,
        strategy: type[Strategy] | str,
        grid: Mapping[str, Iterable[Any]],
        asked: Study | History,
        *,
        costs: Costs | None = None,
        rules: FillRules | None = None,
        fixed: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> CrossValidation:
        """Examine the choice of a region on every split of the sessions, purged and embargoed.

        Args:
            options: `scheme="kfold"`, `folds=10`, `test_folds=2`, `purge`, `embargo`, …: see
                `workbench.backtest.validation.cross_validation.cross_validate`.
        """
        from workbench.backtest import examined

        setup, cells = self._cells(strategy, grid, asked, costs=costs, rules=rules, fixed=fixed)
        return examined.cross_validate(setup, cells, workspace=self.workspace, **options)

    def optimize(
        self,
        strategy: type[Strategy] | str,
        space: Mapping[str, Any],
        asked: Study | History,
        *,
        costs: Costs | None = None,
        rules: FillRules | None = None,
        fixed: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Optimized:
        """Search a space for the best region; `.walk_forward()` examines it on sessions that the search never saw.

        Args:
            space: by parameter a range (low, high), a list of values or a `range`.
            options: `method="tpe"`, `trials=100`, `objective`, …: see `workbench.backtest.optimize.search.optimize`.
        """
        from workbench.backtest import searches

        setup = self._setup(strategy, asked, costs=costs, rules=rules, fixed=fixed)
        return searches.optimize(setup, space, workspace=self.workspace, **options)

    def audit(
        self,
        strategy: Strategy,
        asked: Study | History,
        *,
        costs: Costs | None = None,
        rules: FillRules | None = None,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> Run:
        """Does it peek, and how fragile is it? Redrawn futures, shorter warm-ups, delays, costs, trades and symbols."""
        from workbench.backtest.audit.auditing import audit

        return audit(
            strategy, self._history(asked), workspace=self.workspace, costs=costs, rules=rules, progress=progress
        )

    def fidelity(
        self, strategy: Strategy, asked: Study | History, *, costs: Costs | None = None, rules: FillRules | None = None
    ) -> Run:
        """Live = backtest: the strategy replayed on the local exchange, each fill beside the backtest's."""
        from workbench.orchestration.fidelity import replay_on_exchange

        return replay_on_exchange(strategy, self._history(asked), workspace=self.workspace, costs=costs, rules=rules)

    # -- in the background --------------------------------------------------------------------------------------------

    def submit(
        self,
        strategy: Strategy | type[Strategy] | str,
        study: Study,
        *,
        kind: str | None = None,
        grid: Mapping[str, Iterable[Any]] | None = None,
        space: Mapping[str, Any] | None = None,
        costs: Costs | None = None,
        rules: FillRules | None = None,
        fixed: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Background:
        """Ask in the background; a worker is started when none is there.

        As the last line of a cell the answer shows a bar that moves by itself; `.wait()` returns the Run, `.cancel()`
        stops it within a second. The job goes on when the notebook is closed, and after a kill where it was.

        Args:
            kind: `backtest`, `sweep`, `walk_forward`, `cross_validation`, `optimize` or `audit`. When None: a search
                of a `space`, a sweep of a `grid`, and else a backtest.
            options: what that kind can be asked for, as of the verb of that name, e.g. `scheme="anchored"` of a
                walk-forward or `trials=100` of a search.

        Raises:
            ParameterError, GridRefused: what is wrong with the question; nothing was enqueued.
        """
        from workbench.backtest.job_question import JobQuestion
        from workbench.orchestration.background import submit

        question = JobQuestion.of(
            kind or ("optimize" if space is not None else "backtest" if grid is None else "sweep"),
            strategy,
            study,
            params=fixed,
            grid=grid,
            space=space,
            costs=costs,
            rules=rules,
            options=options,
        )
        return submit(self.workspace, question, compute=self.settings.compute)

    def jobs(self, *, last: int = 20) -> pd.DataFrame:
        """The newest jobs, whoever asked for them."""
        from workbench.orchestration import job_list

        return job_list.jobs(self.workspace.engine, last=last)[0]

    # -- named strategies ---------------------------------------------------------------------------------------------

    def registry(self, *, kind: str | None = None) -> list[Stored]:
        """The stored strategies with their newest versions; `workbench.store.registry` creates, changes, deletes."""
        from workbench.store import registry

        return registry.listed(self.workspace.engine, kind=kind)

    # -- stored answers -----------------------------------------------------------------------------------------------

    def page(self, run_id: str, table: str = "trades", *, after: str | None = None, limit: int = 100) -> Page:
        """The rows of a stored run's table after a cursor: long tables in pages, without reading all of them.

        The page after this one begins after `page.cursor`, None at the end. See `workbench.backtest.paging.page`.
        """
        from workbench.backtest.paging import folder_of, page

        return page(folder_of(self.workspace, run_id), table, after=after, limit=limit)

    # -- what they share ----------------------------------------------------------------------------------------------

    def _history(self, asked: Study | History) -> History:
        return self.load(asked) if isinstance(asked, Study) else asked

    def _setup(
        self,
        strategy: type[Strategy] | str,
        asked: Study | History,
        *,
        costs: Costs | None,
        rules: FillRules | None,
        fixed: Mapping[str, Any] | None,
    ) -> Setup:
        from workbench.backtest.costs import Costs
        from workbench.backtest.fill_rules import FillRules
        from workbench.backtest.sweep.setup import Setup
        from workbench.strategies import kind_of

        return Setup(
            kind=kind_of(strategy) if isinstance(strategy, str) else strategy,
            history=self._history(asked),
            costs=costs or Costs(),
            rules=rules or FillRules(),
            fixed=dict(fixed or {}),
        )

    def _cells(
        self,
        strategy: type[Strategy] | str,
        grid: Mapping[str, Iterable[Any]],
        asked: Study | History,
        *,
        costs: Costs | None,
        rules: FillRules | None,
        fixed: Mapping[str, Any] | None,
    ) -> tuple[Setup, pd.DataFrame]:
        from workbench.backtest.sweep.grid import Grid

        setup = self._setup(strategy, asked, costs=costs, rules=rules, fixed=fixed)
        return setup, Grid.of(setup.kind, grid, fixed=fixed).cells()
