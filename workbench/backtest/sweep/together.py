"""Pieces of work on a few threads at once; who is held up leaves the rest to the others."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def together(pieces: Iterable[Callable[[], object]], *, workers: int) -> None:
    """Call every piece once, in their order, on `workers` threads; the first error is raised when all have ended.

    It pays where pieces run without the interpreter's lock. With one worker no thread is started.
    """
    waiting = iter(list(pieces))
    failed: list[BaseException] = []

    def work_on() -> None:
        try:
            for piece in waiting:  # a list's iterator hands each piece to one thread only
                piece()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that asked
            failed.append(error)

    # This thread works too: a pool of threads takes as long to start as a thousand cells take.
    others = [Thread(target=work_on) for _ in range(workers - 1)]
    for other in others:
        other.start()
    work_on()
    for other in others:
        other.join()
    if failed:
        raise failed[0]
