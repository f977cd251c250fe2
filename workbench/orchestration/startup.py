"""Startup: the steps of a process in their order, each timed and reported, and closed again in reverse."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from workbench.errors import WorkbenchError

STEPS: Final = (
    "configuration",
    "credentials",
    "connections",
    "history",
    "streams",
    "engine",
    "bots",
    "monitoring",
)
_MARKS: Final = {"done": "✔", "failed": "✘", "skipped": "–", "closed": "■"}
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step: how it went, how long it took in seconds, what it found, and after a failure what to do.

    `closed` is a step that was undone, at the end or after a failure of a later one.
    """

    number: int
    step: str
    state: Literal["done", "failed", "skipped", "closed"]
    seconds: float
    detail: str = ""
    remedy: str = ""

    @property
    def line(self) -> str:
        """The step on one line."""
        said = f" {self.detail}" if self.detail else ""
        return f"{_MARKS[self.state]} {self.number}/{len(STEPS)} {self.step:<13} {self.seconds:7.3f} s{said}"


@dataclass(frozen=True, slots=True)
class StartupReport:
    """The steps of a start so far. Printing it gives a table."""

    account: str
    steps: tuple[StepReport, ...] = ()

    @property
    def failed(self) -> StepReport | None:
        """The step that failed, if one did."""
        return next((one for one in self.steps if one.state == "failed"), None)

    @property
    def complete(self) -> bool:
        """Whether the last step was reached: each is done, or skipped on purpose."""
        return bool(self.steps) and self.steps[-1].step == STEPS[-1] and self.failed is None

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(one.seconds for one in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a row; `of` reads it back."""
        told = [{name: getattr(one, name) for name in StepReport.__dataclass_fields__} for one in self.steps]
        return {"account": self.account, "steps": told}

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> StartupReport:
        """Read what `to_dict` wrote."""
        return cls(raw["account"], tuple(StepReport(**one) for one in raw["steps"]))

    def __str__(self) -> str:
        """The table: one line per step, what to do after a failure, and a line of its sum."""
        lines = [f"desk of {self.account}", *(one.line for one in self.steps)]
        if self.failed is not None:
            lines.append(f"step {self.failed.step} failed; what was started before it is closed again.")
            lines += [f"What to do: {self.failed.remedy}"] if self.failed.remedy else []
        elif self.complete:
            lines.append(f"all steps took {self.seconds:.3f} s.")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{one.number}</td><td>{one.step}</td><td>{_MARKS[one.state]} {one.state}</td>"
            f"<td>{one.seconds:.3f}</td><td>{html.escape(one.detail)}</td><td>{html.escape(one.remedy)}</td></tr>"
            for one in self.steps
        )
        heads = "".join(f"<th>{name}</th>" for name in ("", "step", "", "seconds", "found", "what to do"))
        return f"<table><caption>desk of {html.escape(self.account)}</caption><tr>{heads}</tr>{rows}</table>"


@dataclass
class Startup:
    """Runs steps in their order, and remembers how each is undone.

    Args:
        account: whose start it is.
        on_step: told of every step when it is over, and of every one that is closed.
    """

    account: str
    on_step: Callable[[StepReport], None] = lambda _: None
    monotonic: Callable[[], float] = time.monotonic
    _steps: list[StepReport] = field(default_factory=list)
    _undo: list[tuple[str, Callable[[], None]]] = field(default_factory=list)

    @property
    def report(self) -> StartupReport:
        """The steps so far, as a value."""
        return StartupReport(self.account, tuple(self._steps))

    def step(
        self,
        name: str,
        do: Callable[[], _Made],
        *,
        undo: Callable[[], None] | None = None,
        detail: Callable[[_Made], str] = lambda _: "",
    ) -> _Made:
        """Do one step; whatever it raises is raised again, with the step's name as a note.

        Args:
            undo: how it is closed; also called when the step itself failed half-way, so it must bear that.
            detail: what to report about what the step made.
        """
        if undo is not None:
            self._undo.append((name, undo))
        began = self.monotonic()
        try:
            made = do()
        except Exception as error:
            message = error.message if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
            remedy = error.remedy if isinstance(error, WorkbenchError) else "read the log of the desk."
            self._over(name, "failed", began, message, remedy)
            error.add_note(f"in step {self._number(name)}/{len(STEPS)} of the start, {name}")
            raise
        self._over(name, "done", began, detail(made))
        return made

    def skip(self, name: str, why: str) -> None:
        """Leave one step out, and say why."""
        self._over(name, "skipped", self.monotonic(), why)

    def mark(self) -> tuple[int, int]:
        """Where the start is now: `close` and `forget` go back as far as here."""
        return len(self._undo), len(self._steps)

    def close(self, mark: tuple[int, int] = (0, 0)) -> list[StepReport]:
        """Undo the steps after `mark` in reverse. One that fails does not keep the others open; it is reported."""
        closed: list[StepReport] = []
        while len(self._undo) > mark[0]:
            name, undo = self._undo.pop()
            began, said = self.monotonic(), ""
            try:
                undo()
            except Exception as error:  # noqa: BLE001 - the others must be closed too
                said = f"not closed in order: {type(error).__name__}: {error}"
            closed.append(StepReport(self._number(name), name, "closed", self.monotonic() - began, said))
            self.on_step(closed[-1])
        return closed

    def forget(self, mark: tuple[int, int]) -> None:
        """Drop the reports after `mark`: these steps will be tried again."""
        del self._steps[mark[1] :]

    def _over(
        self, name: str, state: Literal["done", "failed", "skipped"], began: float, detail: str, remedy: str = ""
    ) -> None:
        self._steps.append(StepReport(self._number(name), name, state, self.monotonic() - began, detail, remedy))
        self.on_step(self._steps[-1])

    def _number(self, name: str) -> int:
        return STEPS.index(name) + 1
