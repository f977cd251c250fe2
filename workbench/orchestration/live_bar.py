"""A bar that follows a job: in a notebook it moves by itself under its cell, elsewhere it is a line now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from workbench.store.schema import utc_now

if TYPE_CHECKING:
    from workbench.store.job import Job

EVERY_S = 0.25  # a bar is drawn at most four times a second
LINE_S = 5.0


class Shown(Protocol):
    """What stands in a notebook and can be replaced by something newer."""

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        """Replace it."""
        ...


def in_notebook() -> bool:
    """Whether output goes to a front end that can replace what it shows (a kernel; not a terminal)."""
    import sys

    if "IPython" not in sys.modules:  # nobody has started one, and importing it takes a while
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")


def follow(read: Callable[[], Job]) -> threading.Thread:
    """Show a job under the present cell and let the bar move until the job has ended; returns at once.

    The bar is plain HTML: no widget, and nothing but its last state is saved with the notebook. The thread that moves
    it only reads, so it does not matter when it dies with its kernel.

    Args:
        read: the job as it is now.
    """
    from IPython.display import display

    first = read()
    shown: Shown = display(_bundle(first), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    thread = threading.Thread(target=_draw, args=(read, shown, first), name=f"bar-{first.id[:8]}", daemon=True)
    thread.start()
    return thread


def _draw(read: Callable[[], Job], shown: Shown, job: Job) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    before = _bundle(job)
    while not job.status.final:
        time.sleep(EVERY_S)
        try:
            job = read()
        except SQLAlchemyError:
            continue  # the database is away for a moment; the bar stands still until it is back
        now = _bundle(job)
        if now != before:
            shown.update(now, raw=True)
            before = now


def print_lines(read: Callable[[], Job], said: Callable[[str], None] = print, *, every_s: float = LINE_S) -> Job:
    """Print a line when the state changes and every few seconds, until the job has ended."""
    status, spoke = None, 0.0
    while True:
        job, now = read(), time.monotonic()
        if job.status is not status or now - spoke >= every_s:
            status, spoke = job.status, now
            said(repr(job))
        if job.status.final:
            return job
        time.sleep(EVERY_S)


def _bundle(job: Job) -> dict[str, Any]:
    # The text is what a notebook test compares: it says nothing that differs from one run to the next.
    return {"text/html": job.html(utc_now()), "text/plain": f"{job.title} — {job.status}"}
