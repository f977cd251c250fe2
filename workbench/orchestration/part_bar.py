"""A bar that follows a collection: HTML under a notebook's cell, a bar on a terminal, nothing where none is seen."""

from __future__ import annotations

import contextlib
import html
import sys
import time
from typing import TYPE_CHECKING, Any

from workbench.orchestration import live_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.data.collect import Progress

EVERY_S = 0.25


@contextlib.contextmanager
def following(title: str, listener: Callable[[Progress], None] | None = None) -> Iterator[Callable[[Progress], None]]:
    """What a collection is to call after each part: the listener, or else whatever shows a bar here."""
    if listener is not None:
        yield listener
    elif live_bar.in_notebook():
        shown = _InNotebook(title)
        try:
            yield shown
        finally:
            shown.end()
    elif sys.stderr.isatty():
        with _on_terminal(title) as told:
            yield told
    else:
        yield lambda _: None


class _InNotebook:
    """Replaces what stands under the cell. Saved with the notebook is the last state, as a line without numbers."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown: Any = None
        self._drawn = -EVERY_S
        self._newest: Progress | None = None
        self._whole = False

    def __call__(self, progress: Progress) -> None:
        self._newest, self._whole = progress, progress.done == progress.total
        if self._whole or time.monotonic() - self._drawn >= EVERY_S:
            self._draw(progress, "done" if self._whole else "under way")

    def end(self) -> None:
        """Say that it was stopped, and where, when it did not come to its end."""
        if self._newest is not None and not self._whole:
            self._draw(self._newest, "stopped")

    def _draw(self, progress: Progress, state: str) -> None:
        from IPython.display import display

        share = progress.done / progress.total
        said = f"{progress.done:,} of {progress.total:,} parts · {progress.new_rows:,} new rows · {progress.note}"
        bundle = {
            "text/html": f"<div>{html.escape(self._title)} <progress value='{share:.4f}' max='1'></progress> "
            f"{html.escape(said)}{' · stopped' if state == 'stopped' else ''}</div>",
            "text/plain": f"{self._title} — {state}",
        }
        if self._shown is None:
            self._shown = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._shown.update(bundle, raw=True)
        self._drawn = time.monotonic()


@contextlib.contextmanager
def _on_terminal(title: str) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),  # names are shown as they are, brackets too
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}", markup=False),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=None, said="")

        def told(progress: Progress) -> None:
            said = f"{progress.new_rows:,} rows · {progress.note}"
            bars.update(task, total=progress.total, completed=progress.done, said=said)

        yield told
