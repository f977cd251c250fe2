"""Journal: the file in which a search writes down every trial, so that a killed one goes on where it stopped."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import BacktestError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

STUDY = "search"


class _HeldAlready:
    """optuna's file lock where the whole file is ours: only the threads of this process take turns.

    optuna's own locks outlive a killed process, and the next one would wait half a minute for each.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def acquire(self) -> bool:
        return self._turn.acquire()

    def release(self) -> None:
        self._turn.release()


@contextmanager
def open_journal(path: Path | None) -> Iterator[BaseStorage]:
    """An optuna storage in a file, in memory when None; one process at a time holds the file.

    A line that a killed process left half written is cut off: the next line would otherwise spoil the file.

    Raises:
        BacktestError: another process is searching with this file.
    """
    from optuna.storages import InMemoryStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if path is None:
        yield InMemoryStorage()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system releases it when the process ends, however
        except OSError as error:
            raise BacktestError(
                f"another process is searching with {path.name}; nothing was computed here.",
                remedy="wait for it, or ask another question.",
            ) from error
        _cut_half_line(path)
        lock: Any = _HeldAlready()
        yield JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


@contextmanager
def quiet() -> Iterator[None]:
    """Let optuna say nothing meanwhile; afterwards it is as talkative as its user left it."""
    from optuna import logging as talk

    before = talk.get_verbosity()
    talk.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        talk.set_verbosity(before)


def _cut_half_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
            file.flush()
            os.fsync(file.fileno())
