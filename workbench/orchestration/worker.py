"""The worker: takes jobs from the queue one after the other, has each done in a child process, and says how it ended.

A beat of the loop: hear the child → write its progress → look whether the job shall stop, is lost, or the worker shall
end. The worker itself computes nothing, so its heartbeats come on time whatever the work does.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from workbench.backtest.abandoned import settle
from workbench.errors import JobCancelled, JobLost
from workbench.orchestration.worker_messages import PERFORM, Ended, Moved, Place
from workbench.orchestration.worker_presence import Presence
from workbench.orchestration.worker_process import Child
from workbench.store import queue
from workbench.store.failure import Failure
from workbench.store.job import JobStatus
from workbench.trace import get_logger, tracing

if TYPE_CHECKING:
    from workbench.store.claimed import Claimed
    from workbench.store.job import Job
    from workbench.store.workspace import Workspace

POLL_S = 0.25  # how often an idle worker looks for a job
_LOOK_S = 0.1  # how often a busy one looks whether the job shall stop
_WRITE_S = 0.25  # progress is written at most this often
_STOP_S = 0.5  # how long the work has to stop by itself before its process is killed
_PRESENCE_S = 5.0
_SETTLE_S = 60.0  # how long the end of a job is tried to be written while the database is away


@dataclass
class Worked:
    """How many jobs ended how in the hands of one worker; `again` went back to the queue, `lost` to another worker."""

    done: int = 0
    failed: int = 0
    cancelled: int = 0
    again: int = 0
    lost: int = 0

    def __str__(self) -> str:
        named = {"done": self.done, "failed": self.failed, "cancelled": self.cancelled}
        named |= {"back in the queue": self.again, "lost to another worker": self.lost}
        return ", ".join(f"{number} {what}" for what, number in named.items() if number) or "no job"


class _Beat:
    """The signs of life of one job: what it says of itself goes to the database, what was asked of it comes back."""

    def __init__(self, claimed: Claimed, ttl: dt.timedelta) -> None:
        self.moved: Moved | None = None
        self._claimed, self._every = claimed, ttl.total_seconds() / 5
        self._written = time.monotonic()

    def look(self) -> None:
        """Write progress or a heartbeat if it is time, else only look. Raises JobCancelled, JobLost."""
        quiet = time.monotonic() - self._written
        if self.moved is not None and quiet >= _WRITE_S:
            moved, self.moved = self.moved, None
            self._written += quiet
            self._claimed.progress(moved.done, moved.total, moved.note)
        elif quiet >= self._every:
            self._written += quiet
            self._claimed.heartbeat()
        else:
            self._claimed.check()


class Worker:
    """One worker on the queue of a workspace. `run` it; `stop` it from a signal handler or another thread.

    Args:
        kinds: only jobs of these kinds; all when None.
        compute: where sweeps are computed, see the setting of that name.
        perform: what does a job, see `worker_messages`.
        ttl: how long a job outlives a worker that fell silent (a worker of this machine that is gone is seen at once).
        grace_s: how long a job may go on after `stop`, so that what is nearly finished gets finished.
        said: is told one line per job that begins or ends.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        kinds: Collection[str] | None = None,
        compute: str | None = None,
        perform: str = PERFORM,
        ttl: dt.timedelta = queue.TTL,
        poll_s: float = POLL_S,
        grace_s: float = 3.0,
        rng: random.Random | None = None,
        said: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine = workspace.engine
        url = workspace.engine.url.render_as_string(hide_password=False)
        logs = logging.getLogger("workbench").hasHandlers()  # the child's lines go where ours go
        self._child = Child(Place(workspace.home, url, workspace.vintages_url, compute, logs), perform)
        self._kinds, self._ttl, self._poll = kinds, ttl, poll_s
        self._grace, self._said = grace_s, said
        self._rng = rng or random.Random()  # spreads retries in time; no answer depends on it
        self._presence = Presence(workspace.engine, kinds)
        self._next_presence = 0.0
        self._stop = threading.Event()
        self._stopped_at: float | None = None
        self._log = get_logger(__name__).bind(worker=self._presence.holder)
        self.worked = Worked()

    def stop(self) -> None:
        """Take no further job; the present one has `grace_s` to finish, then it goes back to the queue.

        Called again: it goes back now.
        """
        if self._stop.is_set():
            self._grace = 0.0
        self._stop.set()

    def run(self, *, until_idle: bool = False, once: bool = False, linger_s: float = 0.0) -> Worked:
        """Work until `stop`.

        Args:
            until_idle: end when no job is queued or running any more, and none came for `linger_s` seconds.
            once: end after one job, or at once when there is none to take.
        """
        idle_since: float | None = None
        self._child.warm()
        try:
            while not self._stop.is_set():
                self._show()
                claimed = self._claim()
                if claimed is not None:
                    with tracing(claimed.job.trace_id):
                        self._do(claimed)
                    idle_since = None
                    if not (once or self._stop.is_set()):
                        self._child.warm()  # after a kill: only now, so that nobody waits for it to hear of the end
                elif until_idle and self._idle():
                    idle_since = time.monotonic() if idle_since is None else idle_since
                    if time.monotonic() - idle_since >= linger_s and self._left():
                        break
                else:
                    idle_since = None
                if once:
                    break
                if claimed is None:
                    self._stop.wait(self._poll)
        finally:
            self._child.kill()
            self._quietly(self._presence.leave)
        return self.worked

    def _do(self, claimed: Claimed) -> None:
        """One job, from the claim to its end."""
        job, child = claimed.job, self._child
        self._say(f"begin: {job.title}", job)
        child.begin(job)
        beat = _Beat(claimed, self._ttl)
        while True:
            said = child.listen(_LOOK_S)
            if isinstance(said, Ended) and said.job == job.id:
                return self._ended(claimed, said)
            if isinstance(said, Moved) and said.job == job.id:
                beat.moved = said
            if not child.alive:
                return self._crashed(claimed)
            if self._over():
                return self._ended(claimed, self._stopped(job, "its worker was stopped"))
            try:
                beat.look()
            except JobCancelled as asked:
                return self._ended(claimed, self._stopped(job, asked.message), asked_to=True)
            except JobLost as lost:
                self._stopped(job, lost.message)
                return self._count(None, job)
            except SQLAlchemyError as error:  # it may come back before the lease runs out
                self._log.warning("the database does not answer", job=job.id, error=str(error))
            self._show()

    def _over(self) -> bool:
        """Whether this worker was told to stop and the grace of its present job has passed."""
        if not self._stop.is_set():
            return False
        now = time.monotonic()
        self._stopped_at = now if self._stopped_at is None else self._stopped_at
        return now - self._stopped_at >= self._grace

    def _stopped(self, job: Job, why: str) -> Ended:
        """Stop the work: politely, then by killing its process. How the job ended; it may have been faster."""
        process = self._child.pid
        ended = self._child.stop(job.id, _STOP_S)
        if ended is None:
            self._settle_answers(process, "CANCELLED", code=JobCancelled.code, error=why)
        return ended or Ended(job.id, "stopped")

    def _ended(self, claimed: Claimed, ended: Ended, *, asked_to: bool = False) -> None:
        """Write how a job ended."""
        failure = ended.failure
        if ended.how == "done" and ended.result is not None:
            result = ended.result
            self._write(claimed, lambda: claimed.finish(result))
        elif failure is not None:
            code, text, retryable = failure
            self._write(claimed, lambda: claimed.fail(code, text, retryable=retryable, rng=self._rng))
        elif asked_to:
            self._write(claimed, claimed.cancelled)
        else:
            self._write(claimed, claimed.give_back)

    def _crashed(self, claimed: Claimed) -> None:
        """The child is gone without a word: killed from outside, out of memory, or a crash of native code."""
        process = self._child.pid
        self._child.wait()
        how = f"the process that did the work ended {self._child.ended}"
        self._child.kill()
        failure = Failure.lost(how)
        self._settle_answers(process, "FAILED", code=failure.code, error=how)
        self._ended(claimed, Ended(claimed.job.id, "failed", failure=failure))

    def _settle_answers(self, process: int | None, status: str, *, code: str, error: str) -> None:
        """Say how the stored answers ended that a killed child had under way."""
        if process is None:
            return
        self._quietly(lambda: settle(self._engine, process, status, code=code, error=error))

    def _write(self, claimed: Claimed, end: Callable[[], Job]) -> None:
        """Write the end of a job, patiently: the answer is stored, only its row has to say so."""
        deadline = time.monotonic() + _SETTLE_S
        while True:
            try:
                self._count(end(), claimed.job)
            except JobLost:
                self._count(None, claimed.job)
            except SQLAlchemyError as error:
                self._log.warning("the end of a job is not written yet", job=claimed.job.id, error=str(error))
                if time.monotonic() < deadline:
                    time.sleep(self._poll)
                    continue
                self._count(None, claimed.job)
            return

    def _count(self, ended: Job | None, job: Job) -> None:
        """Count how a job left this worker's hands; None: nobody may write it any more from here."""
        names = {JobStatus.DONE: "done", JobStatus.FAILED: "failed", JobStatus.CANCELLED: "cancelled"}
        name = "lost" if ended is None else names.get(ended.status, "again")
        setattr(self.worked, name, getattr(self.worked, name) + 1)
        error = f": {ended.error}" if ended is not None and ended.error else ""
        self._say(f"{'lost' if ended is None else ended.status}: {job.title}{error}", job)

    def _claim(self) -> Claimed | None:
        try:
            return queue.claim(self._engine, holder=self._presence.holder, kinds=self._kinds, ttl=self._ttl)
        except SQLAlchemyError as error:
            self._log.warning("the database does not answer", error=str(error))
            return None

    def _idle(self) -> bool:
        """Whether nothing is queued or running, as far as is known."""
        try:
            return queue.alive(self._engine, self._kinds) == 0
        except SQLAlchemyError as error:
            self._log.warning("the database does not answer", error=str(error))
            return False

    def _left(self) -> bool:
        """Leave, and look once more: whoever enqueues looks for a worker afterwards, so that one of the two sees."""
        self._quietly(self._presence.leave)
        self._next_presence = 0.0
        return self._idle()

    def _show(self) -> None:
        now = time.monotonic()
        if now >= self._next_presence:
            self._next_presence = now + _PRESENCE_S
            self._quietly(self._presence.renew)

    def _quietly(self, call: Callable[[], object]) -> None:
        """What may fail while the database is away, and is made good later or by others."""
        try:
            call()
        except SQLAlchemyError as error:
            self._log.warning("the database does not answer", error=str(error))

    def _say(self, line: str, job: Job) -> None:
        self._log.info(line, job=job.id, attempt=job.attempts)
        self._said(f"{job.id[:8]} {line}")
