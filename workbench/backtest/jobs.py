"""What the jobs of the backtest are: how each kind is enqueued, what a worker does for it, and what comes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import update

from workbench.backtest.job_question import JobQuestion
from workbench.backtest.question import ANSWERING
from workbench.errors import ParameterError
from workbench.market.history import History
from workbench.run import Run
from workbench.store import queue
from workbench.store.code import code_seal
from workbench.store.engine import transaction
from workbench.store.tables.backtest import BacktestRunRow
from workbench.store.workspace import Workspace
from workbench.strategies import build, kind_of
from workbench.study import Study, digest

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workbench.store.job import Job

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
        grid: whether its question varies parameters.
        options: names of what else it can be asked for.
    """

    answer: Callable[[JobQuestion, Means], Run]
    grid: bool = False
    options: frozenset[str] = frozenset()


def kinds() -> dict[str, Kind]:
    """Every kind of job, by name."""
    return {"backtest": Kind(_backtest), "sweep": Kind(_sweep, grid=True)}


def enqueue(
    workspace: Workspace,
    question: JobQuestion | Mapping[str, Any],
    *,
    priority: int = 0,
    max_attempts: int = 3,
    known: Mapping[str, Kind] | None = None,
) -> Job:
    """Put a question into the queue; while the identical one is queued or running, that job is returned.

    The question is checked first: an unknown strategy, a bad parameter or bad costs are named and nothing is enqueued.
    An identical question that was answered before is answered from the store as soon as a worker sees it.

    Args:
        question: a value, or its payload (of a request, say).
        known: the kinds of jobs; `kinds()` when None.

    Raises:
        ParameterError, GridRefused, StudyError: what is wrong with the question.
    """
    asked = question if isinstance(question, JobQuestion) else JobQuestion.from_payload(question)
    _check(asked, kinds() if known is None else known)
    return queue.enqueue(
        workspace.engine,
        kind=asked.kind,
        key=key_of(asked),
        title=asked.title,
        payload=asked.to_payload(),
        priority=priority,
        max_attempts=max_attempts,
    )


def key_of(question: JobQuestion) -> str:
    """sha256 (hex) of what determines the answer and is known before the data are read, our own code included."""
    return digest({"question": question.to_payload(), "code": code_seal(*ANSWERING)})


def perform(
    payload: Mapping[str, Any],
    *,
    workspace: Workspace,
    progress: Progress,
    load: Load,
    compute: str | None = None,
    job_id: str | None = None,
    known: Mapping[str, Kind] | None = None,
) -> dict[str, Any]:
    """Answer the question of a job, or find the stored answer; what is finished is kept when this is killed.

    Args:
        load: gives the history of a study.
        progress: is told how far it is, and raises JobCancelled when the job has to stop.
        compute: where a sweep is computed, see the setting of that name.
        job_id: noted in the row of the run that this job answers.

    Returns:
        Plain JSON values: `run` (id), `kind`, `title`, `reused`, `runtime_s`, and `summary` with the headline numbers,
        None where undefined.
    """
    found = kinds() if known is None else known
    question = JobQuestion.from_payload(payload)
    _check(question, found)
    means = Means(workspace=workspace, load=load, progress=progress, compute=compute)
    run = found[question.kind].answer(question, means)
    if job_id is not None and not run.reused:
        _note_job(workspace.engine, run.id, job_id)
    return {
        "run": run.id,
        "kind": run.kind,
        "title": run.title,
        "reused": run.reused,
        "runtime_s": run.runtime_s,
        "summary": {name: _finite(value) for name, value in run.summary.items()},
    }


def _check(question: JobQuestion, known: Mapping[str, Kind]) -> None:
    """Whether the kind of job exists and can be asked this."""
    if question.kind not in known:
        raise ParameterError(
            f"kind={question.kind!r} is no kind of job; nothing was enqueued.", remedy=f"it can be {', '.join(known)}."
        )
    kind = known[question.kind]
    if kind.grid != bool(question.grid):
        said = "needs a grid" if kind.grid else "varies no parameter, but a grid was given"
        raise ParameterError(f"a {question.kind} {said}; nothing was enqueued.", remedy="vary parameters in a sweep.")
    for name in question.options:
        if name not in kind.options:
            raise ParameterError(
                f"a {question.kind} has no option {name!r}; nothing was enqueued.",
                remedy=f"it has {', '.join(sorted(kind.options)) or 'none'}.",
            )


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


def _note_job(engine: Engine, run_id: str, job_id: str) -> None:
    with transaction(engine) as session:
        session.execute(
            update(BacktestRunRow)
            .where(BacktestRunRow.id == run_id, BacktestRunRow.job_id.is_(None))
            .values(job_id=job_id)
            .execution_options(synchronize_session=False)
        )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
