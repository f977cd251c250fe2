"""Questions answered in the background: a handle on a job, and a worker that is started when there is none."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from workbench.backtest import jobs
from workbench.errors import NoData, StoreError
from workbench.orchestration import live_bar
from workbench.orchestration.worker_presence import may_start, present
from workbench.run import Run
from workbench.store import queue
from workbench.store.failure import error_of
from workbench.store.job import Job, JobStatus
from workbench.trace import ENVIRONMENT, trace_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workbench.backtest.job_question import JobQuestion
    from workbench.store.workspace import Workspace

LINGER_S = 60.0  # a worker started from a notebook waits so long for the next question, still warm
_POLL_S = 0.1
_CARE_S = 2.0  # how often a waiting reader sees to it that a worker is there
_STARTS = 3  # a worker that does not come up is started no more often than this


@dataclass(frozen=True, repr=False)
class Background:
    """A question that is being answered by a worker. It goes on when the notebook that asked is closed.

    As the last line of a cell it shows a bar that moves by itself until the job has ended.

    Attributes:
        id: of the job.
    """

    workspace: Workspace
    id: str
    compute: str | None = None

    @property
    def job(self) -> Job:
        """The job as it stands now, with `status`, `percent`, `eta`, `note` and `error`."""
        return queue.get(self.workspace.engine, self.id)

    def cancel(self) -> Job:
        """Ask it to stop, which takes a second at most; what a sweep has finished is kept for the next time."""
        return queue.request_cancel(self.workspace.engine, self.id)

    def wait(self, timeout: float | None = None) -> Run:
        """The answer, as soon as it is there. Interrupting the wait does not interrupt the job.

        Args:
            timeout: seconds to wait; for ever when None.

        Raises:
            WorkbenchError: of the class that the job failed with; JobCancelled when it was cancelled.
            TimeoutError: it is not finished yet, and goes on.
            StoreError: no worker comes up.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        care, starts = 0.0, 0
        while True:
            job, now = self.job, time.monotonic()
            if job.status is JobStatus.DONE:
                return self._run(job)
            if job.status.final:
                raise error_of(job)
            if deadline is not None and now >= deadline:
                raise TimeoutError(f"job {self.id[:8]} is not finished after {timeout:g} s; it goes on. {job!r}")
            if now >= care:
                care = now + _CARE_S
                starts += ensure_worker(self.workspace, job.kind, compute=self.compute)
                if starts > _STARTS:
                    raise StoreError(
                        f"no worker comes up for job {self.id[:8]}; it stays in the queue. Its log ends with:\n"
                        f"{_tail(log_of(self.workspace))}",
                        remedy="`workbench worker` shows what is wrong.",
                    )
            time.sleep(_POLL_S)

    def watch(self) -> None:
        """Show the bar: in a notebook at once, and it moves by itself; elsewhere as lines, until the job has ended."""
        if live_bar.in_notebook():
            live_bar.follow(lambda: self.job)
        else:
            live_bar.print_lines(lambda: self.job)

    def _run(self, job: Job) -> Run:
        folder = self.workspace.artifacts / str((job.result or {}).get("run"))
        try:
            return Run.load(folder)
        except NoData:
            raise NoData(
                f"job {self.id[:8]} is done, but its answer is not in {folder}: worker {job.holder} keeps its files "
                "elsewhere.",
                remedy="let workers and notebooks on one database share one WORKBENCH_HOME; asking again answers anew.",
            ) from None

    def __repr__(self) -> str:
        return repr(self.job)

    def _ipython_display_(self) -> None:
        if live_bar.in_notebook():
            self.watch()
        else:
            print(repr(self))  # noqa: T201 - this is how IPython is told what to show in a terminal


def submit(
    workspace: Workspace,
    question: JobQuestion | Mapping[str, Any],
    *,
    priority: int = 0,
    max_attempts: int = 3,
    compute: str | None = None,
) -> Background:
    """Ask in the background: enqueue the question, and start a worker when none is there.

    Asked while the identical question is queued or running, it is the same job.

    Raises:
        ParameterError, GridRefused, StudyError: what is wrong with the question; nothing was enqueued.
    """
    job = jobs.enqueue(workspace, question, priority=priority, max_attempts=max_attempts)
    ensure_worker(workspace, job.kind, compute=compute)
    return Background(workspace, job.id, compute)


def ensure_worker(workspace: Workspace, kind: str, *, compute: str | None = None, linger_s: float = LINGER_S) -> bool:
    """See that a worker for this kind of job is there or on its way; True when this call has started one.

    It is a process of its own, which outlives this one and ends when nothing is left to do.
    """
    if present(workspace.engine, kind):
        return False
    right = may_start(workspace.engine)
    if right is None:
        return False
    log = log_of(workspace)
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "workbench.orchestration.worker_main", "--home", str(workspace.home)]
    command += ["--until-idle", "--linger", str(linger_s)]
    environment = {
        **os.environ,
        ENVIRONMENT: trace_id(),
        "WORKBENCH_DATABASE_URL": workspace.engine.url.render_as_string(hide_password=False),
        "WORKBENCH_VINTAGES_URL": workspace.vintages_url,
        **({} if compute is None else {"WORKBENCH_COMPUTE": compute}),
    }
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=environment
        )

    def collect() -> None:
        """Somebody has to collect the process when it ends while we are here; then another may be started at once."""
        process.wait()
        with contextlib.suppress(SQLAlchemyError):  # the database is gone: the right runs out by itself
            right.release()

    threading.Thread(target=collect, name="worker-reaper", daemon=True).start()
    return True


def log_of(workspace: Workspace) -> Path:
    """Where workers that were started in the background write what they do."""
    return workspace.home / "workers" / "background.log"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-8:]) if log.exists() else "(no log)"
