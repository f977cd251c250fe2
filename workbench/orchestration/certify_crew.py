"""The crew of a certificate: foremen in a process of their own that start lives, which are killed from here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from workbench.errors import ExecutionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

COMMAND = (sys.executable, "-m", "workbench.orchestration.certify_worker")
ANSWER_SECONDS = 180.0
KILLED = -signal.SIGKILL


class Crew:
    """`workers` foremen; each has one life at a time. Used as a context manager.

    Args:
        command: the process that is started; it gets the numbers of its sockets as arguments.
        log: file that gets what it writes to stderr.
    """

    def __init__(self, workers: int, *, command: Sequence[str] = COMMAND, log: Path) -> None:
        self._log = log
        pairs = [socket.socketpair() for _ in range(workers)]
        theirs = [pair[1].fileno() for pair in pairs]
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module, or the caller's
                [*command, *map(str, theirs)],
                pass_fds=theirs,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        for ours, other in pairs:
            other.close()
            ours.settimeout(ANSWER_SECONDS)
        self._sockets = [ours for ours, _ in pairs]
        self._lines = [ours.makefile("r") for ours in self._sockets]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the foremen go; they end when nobody speaks to them any more."""
        for lines, ours in zip(self._lines, self._sockets, strict=True):
            lines.close()
            ours.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def live(self, worker: int, job: dict[str, Any], *, seconds: float | None = None) -> int:
        """One life: started, killed `seconds` after it began (None: not), and how it ended (0: done, -9: killed).

        Raises:
            ExecutionError: it ended in another way, or not at all; the message holds the end of its log.
        """
        with contextlib.suppress(OSError):  # who has ended is heard to have ended
            self._sockets[worker].sendall(json.dumps(job).encode() + b"\n")
        said = self._hear(worker)
        if "began" in said:
            if seconds is not None:
                time.sleep(seconds)
                with contextlib.suppress(ProcessLookupError):  # it was faster
                    os.kill(said["began"], signal.SIGKILL)
            said = self._hear(worker)
        if said.get("ended") not in {0, KILLED}:
            raise self._failed(f"a life on account {job['account']} ended with {said.get('ended')}")
        return int(said["ended"])

    def _hear(self, worker: int) -> dict[str, int]:
        try:
            line = self._lines[worker].readline()
        except TimeoutError as error:
            raise self._failed(f"a worker was silent for {ANSWER_SECONDS:.0f} s") from error
        except OSError:
            line = ""
        if not line:
            raise self._failed("the worker process has ended")
        heard: dict[str, int] = json.loads(line)
        return heard

    def _failed(self, what: str) -> ExecutionError:
        end = "\n".join(self._log.read_text(errors="replace").splitlines()[-12:])
        return ExecutionError(
            f"{what}; the certificate was broken off. The end of the worker's log:\n{end}",
            remedy="this is a defect of the order path or of the certificate: report it with that log.",
        )
