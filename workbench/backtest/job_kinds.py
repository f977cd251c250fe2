"""The kinds of jobs: what each varies, what it can be asked for, and what a worker does to answer it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from workbench.backtest.examination_options import (
    AuditOptions,
    CrossValidationOptions,
    Options,
    SearchOptions,
    WalkForwardOptions,
)
from workbench.backtest.job_question import JobQuestion
from workbench.backtest.sweep.grid import Grid
from workbench.market.history import History
from workbench.run import Run
from workbench.store.workspace import Workspace
from workbench.strategies import build, kind_of
from workbench.study import Study

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.sweep.setup import Setup

Load = Callable[[Study], History]


class Progress(Protocol):
    """Who wants to know how far the work is; raises JobCancelled when it has to stop."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """So many units of so many are done."""
        ...


@dataclass(frozen=True)
class Means:
    """What a worker has at hand. `compute` is the setting of this machine: where sweeps are computed."""

    workspace: Workspace
    load: Load
    progress: Progress
    compute: str | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    Attributes:
        answer: makes the Run.
        varies: what its question varies parameters over: a `grid`, a `space`, or nothing.
        options: reads what else it can be asked for, and fills in what is left out; None: nothing else.
    """

    answer: Callable[[JobQuestion, Means], Run]
    varies: Literal["grid", "space"] | None = None
    options: type[Options] | None = None


def kinds() -> dict[str, Kind]:
    """Every kind of job, by name."""
    return {
        "backtest": Kind(_backtest),
        "sweep": Kind(_sweep, varies="grid"),
        "walk_forward": Kind(_walk_forward, varies="grid", options=WalkForwardOptions),
        "cross_validation": Kind(_cross_validation, varies="grid", options=CrossValidationOptions),
        "optimize": Kind(_optimize, varies="space", options=SearchOptions),
        "audit": Kind(_audit, options=AuditOptions),
    }


def _backtest(question: JobQuestion, means: Means) -> Run:
    from workbench.backtest import runs

    means.progress(0, 2, "loading the history")
    history = means.load(question.study)
    means.progress(1, 2, "replaying")
    strategy = build(question.strategy, **question.params)
    run = runs.run(strategy, history, workspace=means.workspace, costs=question.costs, rules=question.rules)
    means.progress(2, 2)
    return run


def _sweep(question: JobQuestion, means: Means) -> Run:
    from workbench.backtest import sweeps

    def heard(done: int, cells: int) -> None:
        means.progress(done, cells, "evaluating cells" if done < cells else "judging: is it luck, and what came after?")

    means.progress(0, 0, "loading the history")
    return sweeps.sweep(
        kind_of(question.strategy),
        question.grid,
        means.load(question.study),
        workspace=means.workspace,
        costs=question.costs,
        rules=question.rules,
        fixed=question.params,
        compute=means.compute,
        progress=heard,
    )


def _walk_forward(question: JobQuestion, means: Means) -> Run:
    from workbench.backtest import examined

    setup, cells = _cells(question, means)
    return examined.walk_forward_run(
        setup,
        cells,
        workspace=means.workspace,
        progress=lambda done, steps: means.progress(done, steps, "walking from fold to fold"),
        **question.options,
    )


def _cross_validation(question: JobQuestion, means: Means) -> Run:
    from workbench.backtest import examined

    setup, cells = _cells(question, means)
    return examined.cross_validation_run(
        setup,
        cells,
        workspace=means.workspace,
        progress=lambda done, steps: means.progress(done, steps, "evaluating cells"),
        **question.options,
    )


def _optimize(question: JobQuestion, means: Means) -> Run:
    from workbench.backtest import searches

    def heard(done: int, trials: int) -> None:
        means.progress(done, trials, "searching" if done < trials else "measuring the region, and what came after?")

    return searches.optimize_run(
        _setup(question, means),
        question.space,
        workspace=means.workspace,
        patient=True,
        progress=heard,
        **question.options,
    )


def _audit(question: JobQuestion, means: Means) -> Run:
    from workbench.backtest.audit.auditing import audit

    means.progress(0, 0, "loading the history")
    return audit(
        build(question.strategy, **question.params),
        means.load(question.study),
        workspace=means.workspace,
        costs=question.costs,
        rules=question.rules,
        progress=means.progress,
        **question.options,
    )


def _setup(question: JobQuestion, means: Means) -> Setup:
    from workbench.backtest.sweep.setup import Setup

    means.progress(0, 0, "loading the history")
    return Setup(
        kind=kind_of(question.strategy),
        history=means.load(question.study),
        costs=question.costs,
        rules=question.rules,
        fixed=question.params,
    )


def _cells(question: JobQuestion, means: Means) -> tuple[Setup, pd.DataFrame]:
    setup = _setup(question, means)
    return setup, Grid.of(setup.kind, question.grid, fixed=question.params).cells()
