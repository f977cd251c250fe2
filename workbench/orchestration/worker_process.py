"""The worker's end of its child process: start it, give it a job, hear how far it is, stop it, and kill it."""

from __future__ import annotations

import multiprocessing
import signal
import time
from typing import TYPE_CHECKING

from workbench.orchestration.worker_messages import Begin, Ended, Moved, Place, Ready, Stop
from workbench.store.code import code_seal

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from workbench.store.job import Job

_ENDING_S = 1.0


class Child:
    """A child process that stays warm between jobs. It is started when it is first needed, and anew after a kill.

    It is also started anew when our source code has changed on disk: a process would go on with what it has loaded, and
    store its answers under the name of the new code.
    """

    def __init__(self, place: Place, perform: str) -> None:
        self._place, self._perform = place, perform
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None
        self._seal = ""
        self.ready = False

    @property
    def pid(self) -> int | None:
        """Its process number; None when there is none."""
        return None if self._process is None else self._process.pid

    @property
    def ended(self) -> str:
        """How the process ended, in words; empty while it runs."""
        code = None if self._process is None else self._process.exitcode
        if code is None:
            return ""
        return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"

    def warm(self) -> None:
        """See that a process with the code as it is now on disk is there."""
        seal = code_seal()
        if self._process is not None and (seal != self._seal or not self._process.is_alive()):
            self.kill()
        if self._process is None:
            context = multiprocessing.get_context("spawn")  # nothing of this process's threads and locks is copied
            self._line, theirs = context.Pipe()
            self._process = context.Process(
                target=_serve, args=(theirs, self._place, self._perform), name="workbench-job"
            )
            self._process.start()
            theirs.close()  # so that its end is seen as the end of the line
            self._seal, self.ready = seal, False

    def begin(self, job: Job) -> None:
        """Give it a job. A process that has just died is noticed by `listen`."""
        self.warm()
        self._send(Begin(job.id, job.payload, job.trace_id))

    def listen(self, seconds: float) -> Moved | Ended | None:
        """The next thing it says, waiting at most so long; None: it said nothing, or it is gone (see `alive`)."""
        if self._line is None:
            return None
        try:
            if not self._line.poll(seconds):
                return None
            said = self._line.recv()
        except (EOFError, OSError):  # its end of the line is closed
            self._line.close()
            self._line = None
            return None
        if isinstance(said, Ready):
            self.ready = True
            return None
        return said if isinstance(said, (Moved, Ended)) else None

    @property
    def alive(self) -> bool:
        """Whether something can still be heard from it."""
        return self._line is not None

    def stop(self, job_id: str, patience: float) -> Ended | None:
        """Ask it to stop; how the job ended, or None: it did not stop in time and was killed."""
        self._send(Stop(job_id))
        deadline = time.monotonic() + patience
        while self.alive and (left := deadline - time.monotonic()) > 0:
            said = self.listen(left)
            if isinstance(said, Ended) and said.job == job_id:
                return said
        self.kill()
        return None

    def wait(self) -> None:
        """Until a process that closed its line has ended, for a moment at most."""
        if self._process is not None:
            self._process.join(_ENDING_S)

    def kill(self) -> None:
        """End the process at once, whatever it does. Does nothing when there is none."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None
        if self._line is not None:
            self._line.close()
            self._line = None

    def _send(self, told: Begin | Stop) -> None:
        if self._line is not None:
            try:
                self._line.send(told)
            except OSError:
                self._line.close()
                self._line = None


def _serve(line: Connection, place: Place, perform: str) -> None:
    """The child's first step: only there the libraries of the work are loaded."""
    from workbench.orchestration.worker_child import serve

    serve(line, place, perform)
