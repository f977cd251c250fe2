"""Showing how far a run is: bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as Bars

QUIET_S = 5.0  # a plain line about cells at most this often


class Progress(Protocol):
    """Who wants to know how far a run is. Used as a context manager, once per run."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing; the last state stays readable."""
        ...

    def said(self, text: str) -> None:
        """A sentence about the run."""
        ...

    def run_began(self, title: str, steps: int) -> None:
        """A run of so many steps begins."""
        ...

    def step_began(self, step: str, cells: int) -> None:
        """A notebook with so many cells of code begins."""
        ...

    def cell(self, done: int, cells: int) -> None:
        """So many cells of the current notebook are done."""
        ...

    def step_ended(self, step: str, said: str) -> None:
        """A step is over: how, in a few words."""
        ...


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def said(self, text: str) -> None:
        """Nothing is shown."""

    def run_began(self, title: str, steps: int) -> None:
        """Nothing is shown."""

    def step_began(self, step: str, cells: int) -> None:
        """Nothing is shown."""

    def cell(self, done: int, cells: int) -> None:
        """Nothing is shown."""

    def step_ended(self, step: str, said: str) -> None:
        """Nothing is shown."""


class Lines(Silent):
    """Plain lines, flushed one by one: for logs, pipes and schedulers."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._steps = 0
        self._number = 0
        self._step = ""
        self._spoke = 0.0

    def said(self, text: str) -> None:
        """One line."""
        print(text, file=self._stream, flush=True)

    def run_began(self, title: str, steps: int) -> None:
        """One line."""
        self._steps, self._number = steps, 0
        self.said(title)

    def step_began(self, step: str, cells: int) -> None:
        """One line."""
        self._number += 1
        self._step = step
        self._spoke = time.monotonic()
        self.said(f"[{self._number}/{self._steps}] {step}: {cells} cells")

    def cell(self, done: int, cells: int) -> None:
        """A line every few seconds at most."""
        if done and time.monotonic() - self._spoke >= QUIET_S:
            self._spoke = time.monotonic()
            self.said(f"[{self._number}/{self._steps}] {self._step}: cell {done} of {cells} done")

    def step_ended(self, step: str, said: str) -> None:
        """One line."""
        if step != self._step:  # a reused step never began
            self._number += 1
        self._step = ""
        self.said(f"[{self._number}/{self._steps}] {step}: {said}")


class TwoBars(Silent):
    """Two bars: the pipeline's steps and the current notebook's cells; finished steps scroll by above them."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._bars: Bars = Progress(
            TextColumn("{task.description}", justify="left"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._run = self._bars.add_task("", total=None, visible=False)
        self._cells = self._bars.add_task("", total=None, visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.update(self._cells, visible=False)
        self._bars.stop()

    def said(self, text: str) -> None:
        """A line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def run_began(self, title: str, steps: int) -> None:
        """The upper bar begins."""
        self._bars.reset(self._run, description=title, total=steps, visible=True)

    def step_began(self, step: str, cells: int) -> None:
        """The lower bar begins anew."""
        self._bars.reset(self._cells, description=f"  {step}", total=cells, visible=True)

    def cell(self, done: int, cells: int) -> None:
        """The lower bar moves."""
        self._bars.update(self._cells, completed=done, total=cells)

    def step_ended(self, step: str, said: str) -> None:
        """The upper bar moves, and a line says how the step ended."""
        self.said(f"  {step}: {said}")
        self._bars.advance(self._run)


def progress_on(stream: IO[str]) -> Progress:
    """Bars when the stream is a terminal, plain lines when it is not."""
    return TwoBars() if stream.isatty() else Lines(stream)
