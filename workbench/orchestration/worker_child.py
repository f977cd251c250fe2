"""What runs in a worker's child process: one job after the other, as the worker says through a pipe.

The child is a process of its own, so that whatever a strategy or native code does in it (an endless loop, a crash, all
of the memory) cannot take the worker down. It ends when the worker ends, however that came.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from workbench.errors import JobCancelled, NoData
from workbench.orchestration.worker_messages import Begin, Ended, Moved, Place, Ready, Stop
from workbench.store.failure import Failure
from workbench.store.workspace import Workspace
from workbench.study import Study, canonical
from workbench.trace import ENVIRONMENT, get_logger, log_to, tracing

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from workbench.market.history import History

REPORT_S = 0.1  # progress goes up the pipe at most this often
_PR_SET_PDEATHSIG = 1


def serve(line: Connection, place: Place, perform: str) -> None:
    """Do jobs until the other end of `line` closes.

    Args:
        perform: `module:function` that does a job, see `worker_messages`.
    """
    # Ctrl-C and a service manager's SIGTERM reach the whole group; what becomes of the job is the worker's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _end_with_parent()
    if place.logs:
        log_to(None)
    log = get_logger(__name__).bind(pid=os.getpid())
    inbox: queue.SimpleQueue[Begin] = queue.SimpleQueue()
    stops: set[str] = set()
    threading.Thread(target=_listen, args=(line, inbox, stops), name="worker-line", daemon=True).start()
    line.send(Ready(os.getpid()))
    module, _, name = perform.partition(":")
    do = getattr(importlib.import_module(module), name)
    workspace: Workspace | None = None
    while True:
        asked = inbox.get()
        os.environ[ENVIRONMENT] = asked.trace_id  # for threads and processes that the work starts
        with tracing(asked.trace_id):
            try:
                workspace = workspace or Workspace.open(
                    place.home, database_url=place.database_url, vintages_url=place.vintages_url
                )
                result = do(
                    asked.payload,
                    workspace=workspace,
                    progress=_Reporter(line, asked.job, stops),
                    load=_Loader(workspace),
                    compute=place.compute,
                    job_id=asked.job,
                )
                canonical(result)  # what the database would refuse is a defect, and is named as one
                ended = Ended(asked.job, "done", result=result)
            except BaseException as error:
                if isinstance(error, JobCancelled) and asked.job in stops:
                    ended = Ended(asked.job, "stopped")
                else:
                    log.exception("job failed", job=asked.job)
                    ended = Ended(asked.job, "failed", failure=Failure.of(error))
        stops.discard(asked.job)
        line.send(ended)


class _Reporter:
    """The progress of one job: up the pipe now and then, and JobCancelled once the worker has said stop."""

    def __init__(self, line: Connection, job: str, stops: set[str]) -> None:
        self._line, self._job, self._stops = line, job, stops
        self._next = 0.0
        self._note = ""
        self._lock = threading.Lock()  # chunks may be reported by several threads

    def __call__(self, done: int, total: int, note: str = "") -> None:
        if self._job in self._stops:
            raise JobCancelled(f"job {self._job[:8]} was told to stop; what was finished is kept.")
        with self._lock:
            now = time.monotonic()
            if now < self._next and done < total and note == self._note:
                return
            self._next, self._note = now + REPORT_S, note
            self._line.send(Moved(self._job, int(done), int(total), note))


class _Loader:
    """The history of a study from the store; what is missing there is collected first."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __call__(self, study: Study) -> History:
        from workbench.data import history, universe

        try:
            return history.load(study, workspace=self._workspace)
        except NoData:
            history.collect(study, workspace=self._workspace)
            reason = "named by a study"
            universe.define(self._workspace, study.source, study.symbols, entered=study.start, reason=reason)
            return history.load(study, workspace=self._workspace)


def _listen(line: Connection, inbox: queue.SimpleQueue[Begin], stops: set[str]) -> None:
    while True:
        try:
            told = line.recv()
        except (EOFError, OSError):
            os._exit(0)  # the worker is gone: nobody waits for an answer, and another worker will take the job
        if isinstance(told, Stop):
            stops.add(told.job)
        else:
            inbox.put(told)


def _end_with_parent() -> None:
    """On Linux the kernel itself ends this process with its parent, also while native code holds every thread up."""
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was faster
        os._exit(0)
