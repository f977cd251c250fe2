"""Journal: the file in which a search writes down every trial, so that a killed one goes on where it stopped."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import BacktestError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

STUDY = "search"


@contextmanager
def open_journal(path: Path | None, *, anew: bool = False, patient: bool = False) -> Iterator[BaseStorage]:
    """An optuna storage in a file, in memory when None; one process at a time holds the file.

    `anew` empties it first; `patient` waits until nobody else holds it. A line that a killed process left half written
    is cut off, which would otherwise spoil the one after it.

    Raises:
        BacktestError: another process is searching with this file, and `patient` is False.
    """
    from optuna.storages import InMemoryStorage, JournalStorage

    if path is None:
        yield InMemoryStorage()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as handle:
        try:
            fcntl.flock(
                handle, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB)
            )  # the system releases it when the process ends, however
        except OSError as error:
            raise BacktestError(
                f"another process is searching with {path.name}; nothing was computed here.",
                remedy="wait for it, or ask another question.",
            ) from error
        if anew:
            path.unlink(missing_ok=True)
        _cut_half_line(path)
        try:
            yield JournalStorage(_backend(path))
        finally:
            _to_disk(path)


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


def _backend(path: Path) -> Any:
    """The journal file of optuna, in its own format, written without waiting for the disk after every line.

    What was handed to the system survives a killed process; only a machine that loses its power may lose the last
    second. optuna waits for the disk seven times per trial, which was nine tenths of a search of quick cells, and locks
    the file by a link that outlives a killed process; here the whole file is held already.
    """
    from optuna.storages.journal import JournalFileBackend

    class Lines(JournalFileBackend):
        def __init__(self) -> None:
            super().__init__(str(path))
            self._turn = threading.Lock()
            self._safe_at = time.monotonic()

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
            with self._turn, path.open("ab") as file:
                file.write(text.encode())
                file.flush()
                if time.monotonic() - self._safe_at > 1.0:
                    os.fsync(file.fileno())
                    self._safe_at = time.monotonic()

    return Lines()


def _to_disk(path: Path) -> None:
    if path.exists():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _cut_half_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
            file.flush()
            os.fsync(file.fileno())
