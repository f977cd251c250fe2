"""Jobs of the backtest: how a question is put into the queue, what a worker does with it, and what comes out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from workbench.backtest.job_kinds import Kind, Load, Means, Progress, kinds
from workbench.backtest.job_question import JobQuestion
from workbench.backtest.question import ANSWERING
from workbench.errors import ParameterError
from workbench.store import queue
from workbench.store.code import code_seal
from workbench.store.engine import transaction
from workbench.store.tables.backtest import BacktestRunRow
from workbench.store.workspace import Workspace
from workbench.study import digest

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workbench.store.job import Job

__all__ = ["Kind", "enqueue", "key_of", "kinds", "perform"]


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
    given = question if isinstance(question, JobQuestion) else JobQuestion.from_payload(question)
    asked = _checked(given, kinds() if known is None else known)
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
    question = _checked(JobQuestion.from_payload(payload), found)
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


def _checked(question: JobQuestion, known: Mapping[str, Kind]) -> JobQuestion:
    """The question with every option said, if the kind of job exists and can be asked this."""
    if question.kind not in known:
        raise ParameterError(
            f"kind={question.kind!r} is no kind of job; nothing was enqueued.", remedy=f"it can be {', '.join(known)}."
        )
    kind = known[question.kind]
    given = [what for what, values in (("grid", question.grid), ("space", question.space)) if values]
    wanted = [] if kind.varies is None else [kind.varies]
    for what in (*(one for one in given if one not in wanted), *(one for one in wanted if one not in given)):
        said, remedy = _varying(question.kind, kind.varies, what)
        raise ParameterError(f"{said}; nothing was enqueued.", remedy=remedy)
    if kind.options is None:
        for name in question.options:
            raise ParameterError(
                f"a {question.kind} has no option {name!r}; nothing was enqueued.", remedy="it has none."
            )
        return question
    return dataclasses.replace(question, options=kind.options.read(question.options).to_dict())


def _varying(kind: str, varies: str | None, what: str) -> tuple[str, str]:
    """What is wrong, and what to do, where a grid or a space is missing or is too much."""
    if varies == what:
        return f"{_a(kind)} needs a {what}", f"give the {what} of its parameters."
    if varies is None:
        return f"{_a(kind)} varies no parameter, but a {what} was given", "vary parameters in a sweep."
    return f"{_a(kind)} varies a {varies}, but a {what} was given", f"give a {varies}."


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


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
