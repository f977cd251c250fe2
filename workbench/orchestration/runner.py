"""Running a pipeline for one session or for many in order: once each, resumable, and with an end written down."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import sessions
from workbench.errors import LeaseLost, PipelineError, WorkbenchError
from workbench.orchestration import notebooks
from workbench.orchestration.heart import Heart
from workbench.orchestration.plan import Plan
from workbench.orchestration.progress import Progress, Silent
from workbench.orchestration.run_store import Claim, RunStore
from workbench.orchestration.steps import Job, run_steps
from workbench.store.schema import utc_now
from workbench.store.tables.pipeline import Status
from workbench.trace import ENVIRONMENT, get_logger, log_to, trace_id, tracing

if TYPE_CHECKING:
    from workbench.orchestration.pipeline import Pipeline
    from workbench.store.tables.pipeline import StepRunRow
    from workbench.store.workspace import Workspace

# Opens what the notebooks need for as long as the run lasts (an exchange, a desk) and yields variables for the kernels.
Hosting = Callable[[Plan], AbstractContextManager[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class StepSummary:
    """How a step went. `kernel_s` is the part of `runtime_s` spent outside of cells; None for a reused step."""

    name: str
    status: Status
    executed: Path | None
    outputs: dict[str, Any]
    kernel_s: float | None
    runtime_s: float | None
    reused_from: str | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run went.

    Attributes:
        report: path of the page, None when the pipeline has no step with `report: true`.
        reused: True when nothing ran because an identical run was DONE already.
    """

    run_id: str
    pipeline: str
    session: str
    status: Status
    report: Path | None
    folder: Path
    steps: tuple[StepSummary, ...]
    trace_id: str
    runtime_s: float
    reused: bool = False


def run(
    pipeline: Pipeline,
    *,
    workspace: Workspace,
    as_of: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
    resume: bool = False,
    again: bool = False,
    hosting: Hosting | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    clock: Callable[[], dt.datetime] = utc_now,
) -> RunSummary:
    """Run a pipeline for one session.

    An identical run (same notebooks, parameters, session and version) that is DONE already is not run again.

    Args:
        pipeline: what to run.
        workspace: where rows and files go.
        as_of, parameters, texts: see `Plan.of`.
        resume: reuse the finished steps of the last run of this session that did not end DONE.
        again: run even though an identical run is DONE.
        hosting: opens what the notebooks need while they run; not opened when nothing runs.
        progress: told how far it is.
        cancel: set by another thread to stop; the run then ends CANCELLED.
        clock: UTC now, for the rows.

    Raises:
        ParameterError, StudyError, PipelineError: it cannot be asked so, or somebody else runs it; nothing was run.
        NotebookFailed: a step failed; the steps before it are kept for `resume`.
        LeaseLost: another runner declared this one dead and took over.
        KeyboardInterrupt: the process was interrupted; the run ended CANCELLED.
    """
    plan = Plan.of(pipeline, as_of=as_of, parameters=parameters, texts=texts)
    store = RunStore(workspace.engine, clock=clock)
    shown: Progress = progress or Silent()
    before = None if again else store.done(plan)
    if before is not None and (before.report is None or Path(before.report).exists()):
        shown.said(
            f"{pipeline.name} · {plan.session} · run {before.id[:8]} of {before.started_at:%Y-%m-%d %H:%M} UTC "
            "asked the same and is done; nothing was run"
        )
        return _summary(store, before.id, reused=True)
    with tracing():
        for left in store.settle(plan):
            notebooks.mark(left, Status.FAILED, "the process that ran it stopped without a word")
        broken = store.broken(plan) if resume else None
        if resume and broken is None:
            shown.said(f"{pipeline.name} · {plan.session} · no run of this session is broken, so all steps are run")
        claim = store.begin(plan, workspace.runs, resumed_from=broken.id if broken else None)
        with _logging_to(claim.folder / "run.log"):
            _Attempt(plan, claim, store, shown).run(
                store.steps(broken.id) if broken else {},
                workspace=workspace,
                hosting=hosting,
                cancel=cancel,
                clock=clock,
            )
    return _summary(store, claim.run_id)


def backfill(
    pipeline: Pipeline, *, start: Any, end: Any, hosting: Hosting | None = None, **options: Any
) -> list[RunSummary]:
    """Run a pipeline for every session from `start` to `end`, both included, in order; stops at the first failure.

    Args:
        pipeline: what to run.
        start, end: days; days without trading are left out.
        hosting: opened once for all sessions.
        options: as for `run`, but for `as_of`.

    Raises:
        PipelineError: no session lies between the two days; nothing was run.
        Everything `run` raises, for the session it stopped at; the sessions before it stay done.
    """
    asked = sessions.sessions(pipeline.venue, start, end)
    if not len(asked):
        raise PipelineError(
            f"no session of {pipeline.venue} lies from {start} to {end}; nothing was run.",
            remedy="give the earlier day first, and a range with a trading day in it.",
        )
    for session in asked:  # wrong parameters are said before the first session runs, not after it
        Plan.of(
            pipeline,
            as_of=str(session.date()),
            parameters=options.get("parameters"),
            texts=options.get("texts"),
        )
    with contextlib.ExitStack() as stack:
        shared: list[Mapping[str, str]] = []

        @contextlib.contextmanager
        def opened_once(plan: Plan) -> Iterator[Mapping[str, str]]:
            if not shared and hosting is not None:
                shared.append(stack.enter_context(hosting(plan)))
            yield shared[0] if shared else {}

        return [run(pipeline, as_of=str(session.date()), hosting=opened_once, **options) for session in asked]


class _Attempt:
    """One claimed run: whatever happens inside, its row says how it ended."""

    def __init__(self, plan: Plan, claim: Claim, store: RunStore, progress: Progress) -> None:
        self.plan = plan
        self.claim = claim
        self.store = store
        self.progress = progress
        self.log = get_logger("workbench.orchestration").bind(run_id=claim.run_id, pipeline=plan.pipeline.name)

    def run(
        self,
        finished: Mapping[str, StepRunRow],
        *,
        workspace: Workspace,
        hosting: Hosting | None,
        cancel: threading.Event | None,
        clock: Callable[[], dt.datetime],
    ) -> None:
        plan, claim = self.plan, self.claim
        steps = len(plan.steps)
        title = f"{plan.pipeline.name} · {plan.session} · run {claim.run_id[:8]}"
        try:
            with Heart(self.store, claim) as heart, self.progress, contextlib.ExitStack() as stack:
                self.progress.run_began(f"{title} · {steps} steps", steps)
                self.log.info("run began", session=plan.session, config_hash=plan.config_hash)
                hosted = stack.enter_context(hosting(plan)) if hosting is not None else {}
                job = Job(
                    plan=plan,
                    claim=claim,
                    store=self.store,
                    environment={**_environment(plan, claim, workspace), **hosted},
                    progress=self.progress,
                    clock=clock,
                    stop=lambda: heart.lost or ("it was cancelled" if cancel and cancel.is_set() else ""),
                )
                report = run_steps(job, finished)
                heart.check()
            self.store.end(claim, Status.DONE, report=report)
            self.log.info("run ended", status=Status.DONE.value, report=report)
        except LeaseLost:
            self.log.warning("run lost")  # the row belongs to another process now
            raise
        except BaseException as error:
            self._failed(error, cancelled=bool(cancel and cancel.is_set()))
            raise

    def _failed(self, error: BaseException, *, cancelled: bool) -> None:
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        status = Status.CANCELLED if cancelled or interrupted else Status.FAILED
        if isinstance(error, WorkbenchError):
            code, said = error.code, error.message
        else:
            code = None
            said = "the process was interrupted" if interrupted else f"{type(error).__name__}: {error}"
        self.store.end(self.claim, status, code=code, error=said)
        self.log.warning("run ended", status=status.value, error=said)


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    handler = log_to(path)
    try:
        yield
    finally:
        logging.getLogger("workbench").removeHandler(handler)
        handler.close()


def _environment(plan: Plan, claim: Claim, workspace: Workspace) -> dict[str, str]:
    """What every kernel of a run is told: where this machine's state lives, and which run it is part of."""
    return {
        "WORKBENCH_HOME": str(workspace.home),
        "WORKBENCH_DATABASE_URL": workspace.engine.url.render_as_string(hide_password=False),
        "WORKBENCH_VINTAGES_URL": workspace.vintages_url,
        "WORKBENCH_PIPELINE": plan.pipeline.name,
        "WORKBENCH_SESSION": plan.session,
        "WORKBENCH_RUN_ID": claim.run_id,
        "WORKBENCH_RUN_FOLDER": str(claim.folder),
        ENVIRONMENT: trace_id(),
    }


def _summary(store: RunStore, run_id: str, *, reused: bool = False) -> RunSummary:
    row = store.run(run_id)
    ended = row.ended_at or row.heartbeat_at
    return RunSummary(
        run_id=row.id,
        pipeline=row.pipeline,
        session=row.session,
        status=Status(row.status),
        report=None if row.report is None else Path(row.report),
        folder=Path(row.folder),
        steps=tuple(
            StepSummary(
                name=step.step,
                status=Status(step.status),
                executed=None if step.executed is None else Path(step.executed),
                outputs=dict(step.outputs),
                kernel_s=step.kernel_s,
                runtime_s=step.runtime_s,
                reused_from=step.reused_from,
            )
            for step in store.steps(row.id).values()
        ),
        trace_id=row.trace_id,
        runtime_s=(ended - row.started_at).total_seconds(),
        reused=reused,
    )
