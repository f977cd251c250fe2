"""Running the steps of one claimed run in order: reuse what is finished, execute the rest, write down each end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import NotebookFailed, PipelineError, WorkbenchError
from workbench.orchestration import notebooks
from workbench.orchestration.cells import Ask
from workbench.orchestration.notebooks import Executed
from workbench.orchestration.pages import REPORT, write_page
from workbench.store.tables.pipeline import Status
from workbench.trace import ENVIRONMENT, get_logger

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from workbench.orchestration.plan import Plan, PlannedStep
    from workbench.orchestration.progress import Progress
    from workbench.orchestration.run_store import Claim, RunStore
    from workbench.store.tables.pipeline import StepRunRow

_TELL_S = 1.0  # the row hears of cells at most this often


@dataclass(frozen=True)
class Job:
    """One run at work: what its steps share.

    Attributes:
        environment: variables for every kernel.
        stop: a text when the run must stop, see `Ask.stop`.
    """

    plan: Plan
    claim: Claim
    store: RunStore
    environment: Mapping[str, str]
    progress: Progress
    clock: Callable[[], dt.datetime]
    stop: Callable[[], str]


def run_steps(job: Job, finished: Mapping[str, StepRunRow]) -> str | None:
    """Run all steps; the path of the report, None when no step makes one.

    Args:
        job: what the steps share.
        finished: steps of an earlier run by name; those that are DONE and have an equal key are not run again.

    Raises:
        NotebookFailed: a step failed; its row says so.
        PipelineError: the run was told to stop.
        LeaseLost: another runner has taken the run over.
    """
    reused: set[str] = set()
    report: str | None = None
    for planned in job.plan.steps:
        earlier = finished.get(planned.name)
        if earlier is not None and set(planned.step.needs) <= reused and _reusable(planned, earlier):
            _reuse(job, planned, earlier)
            reused.add(planned.name)
            values = earlier.outputs
        else:
            values = _execute(job, planned)
        if planned.step.report:
            report = str(values[REPORT])
    return report


def _reusable(planned: PlannedStep, earlier: StepRunRow) -> bool:
    return (
        earlier.status == Status.DONE.value
        and earlier.step_key == planned.key
        and earlier.executed is not None
        and Path(earlier.executed).exists()
        and (not planned.step.report or Path(str(earlier.outputs[REPORT])).exists())
    )


def _reuse(job: Job, planned: PlannedStep, earlier: StepRunRow) -> None:
    origin = earlier.reused_from or earlier.run_id
    now = job.clock()
    job.store.step(
        job.claim,
        planned.name,
        status=Status.DONE,
        executed=earlier.executed,
        outputs=earlier.outputs,
        cells=earlier.cells,
        cells_done=earlier.cells_done,
        reused_from=origin,
        started_at=now,
        ended_at=now,
    )
    job.progress.step_ended(planned.name, f"finished already in run {origin[:8]}, not run again")


def _execute(job: Job, planned: PlannedStep) -> dict[str, Any]:
    executed = job.claim.folder / f"{planned.name}.ipynb"
    notebook = planned.step.notebook
    log = get_logger("workbench.orchestration").bind(run_id=job.claim.run_id, step=planned.name)
    cells = notebook.code_cells + bool(planned.parameters)  # papermill adds a cell with the values
    job.store.step(
        job.claim,
        planned.name,
        status=Status.RUNNING,
        executed=str(executed),
        cells=cells,
        started_at=job.clock(),
    )
    job.progress.step_began(planned.name, cells)
    log.info("step began", notebook=str(notebook.notebook), step_key=planned.key)
    told = time.monotonic()

    def on_cell(done: int, of: int) -> None:
        nonlocal told
        job.progress.cell(done, of)
        if time.monotonic() - told >= _TELL_S:
            told = time.monotonic()
            job.store.step(job.claim, planned.name, cells_done=done, cells=of)

    result = notebooks.execute(
        notebook.notebook,
        executed,
        planned.parameters,
        Ask(
            environment={**job.environment, "WORKBENCH_STEP": planned.name},
            log=executed.with_suffix(".log"),
            timeout_s=planned.step.timeout_s,
            cwd=notebook.notebook.parent,
            identity={
                "pipeline": job.plan.pipeline.name,
                "session": job.plan.session,
                "run_id": job.claim.run_id,
                "step": planned.name,
                "trace_id": job.environment.get(ENVIRONMENT, ""),
            },
            on_cell=on_cell,
            stop=job.stop,
        ),
    )
    values = dict(result.outputs)
    status, reason = _verdict(job, planned, result, values)
    if status is not result.status:
        notebooks.mark(executed, status, reason)
    job.store.step(
        job.claim,
        planned.name,
        status=status,
        outputs=values,
        cells=result.cells,
        cells_done=result.cells_done,
        kernel_s=result.kernel_s,
        runtime_s=result.runtime_s,
        error=reason or None,
        ended_at=job.clock(),
    )
    log.info("step ended", status=status.value, reason=reason, kernel_s=result.kernel_s, runtime_s=result.runtime_s)
    if status is Status.DONE:
        said = f"done in {result.runtime_s:.1f} s ({result.kernel_s:.1f} s of it outside cells)"
        job.progress.step_ended(planned.name, said)
        return values
    job.progress.step_ended(planned.name, f"{status.value}: {reason}")
    raise _failure(job, planned, result, status, reason)


def _verdict(job: Job, planned: PlannedStep, result: Executed, values: dict[str, Any]) -> tuple[Status, str]:
    """DONE only when every promised output is there: a notebook can reach its end without doing its work.

    Adds the path of the page to `values` when the step makes one.
    """
    if result.status is not Status.DONE:
        return result.status, result.reason
    missing = [name for name in planned.step.outputs if name not in values]
    if missing:
        said = f"the notebook ended without recording {', '.join(missing)}"
        return Status.FAILED, f"{said}; it recorded {', '.join(values) or 'nothing'}"
    if planned.step.report:
        trace = job.environment.get(ENVIRONMENT, "")
        try:
            page = write_page(result.path, values, session=job.plan.session, trace_id=trace)
        except WorkbenchError as error:
            return Status.FAILED, error.message
        values[REPORT] = str(page)
    return Status.DONE, ""


def _failure(job: Job, planned: PlannedStep, result: Executed, status: Status, reason: str) -> PipelineError:
    kind = NotebookFailed if status is Status.FAILED else PipelineError
    plan = job.plan
    return kind(
        f"step {planned.name!r} of pipeline {plan.pipeline.name!r} for session {plan.session} "
        f"{'failed' if status is Status.FAILED else 'was cancelled'}: {reason.rstrip('.')}. "
        "The pipeline stopped there; the steps finished before it are kept.",
        remedy=f"open {result.path}, and go on with `workbench run {plan.pipeline.name} "
        f"--as-of {plan.as_of} --resume`.",
        run_id=job.claim.run_id,
        step=planned.name,
        cell=result.cell,
        executed=str(result.path),
    )
