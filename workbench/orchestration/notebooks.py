"""Executing one notebook: papermill with our own engine, which has a deadline, can be stopped, and says how it ended.

papermill's own engine calls a notebook "completed" after a timeout or when its kernel was killed for want of memory.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import papermill
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines

from workbench.orchestration import outputs
from workbench.orchestration.cells import Ask, CellRunner, Progress, Stopped, run
from workbench.store.tables.pipeline import Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ENGINE = "workbench"
BANNER = "workbench-status"


@dataclass(frozen=True)
class Executed:
    """How a notebook ended.

    Attributes:
        status: DONE, FAILED or CANCELLED.
        reason: why it did not end DONE, in one line; empty when it did.
        cell: number of the cell it stopped in, as shown in `In [n]`; None when it did not stop in a cell.
        outputs: the recorded values by name, also those recorded before a failure.
        kernel_s: seconds outside of cells: start and end of the kernel, papermill, saving.
        runtime_s: seconds in all.
    """

    path: Path
    status: Status
    reason: str
    cell: int | None
    cells_done: int
    cells: int
    outputs: dict[str, Any]
    kernel_s: float
    runtime_s: float


def execute(notebook: Path, executed: Path, parameters: Mapping[str, Any], ask: Ask) -> Executed:
    """Execute a notebook and write the executed copy; never raises for what the notebook does.

    Args:
        notebook: the source; it is not changed.
        executed: where the executed copy goes; it is written as the cells go along.
        parameters: values already checked, injected after the `parameters` cell.
        ask: everything else.

    Raises:
        KeyboardInterrupt: the process was interrupted; the copy then says CANCELLED and the kernel is gone.
    """
    papermill_engines.register(ENGINE, WorkbenchEngine)
    executed.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress(ask)
    began = time.monotonic()
    status, reason, cell = Status.DONE, "", None
    try:
        papermill.execute_notebook(
            _literal(notebook),
            _literal(executed),
            parameters=dict(parameters),
            engine_name=ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            ask=ask,
            progress=progress,
        )
    except Stopped as stopped:
        status, reason, cell = stopped.status, stopped.reason, stopped.cell
        mark(executed, status, reason)
    except (KeyboardInterrupt, SystemExit):
        mark(executed, Status.CANCELLED, "the run was interrupted")
        raise
    runtime = time.monotonic() - began
    return Executed(
        path=executed,
        status=status,
        reason=reason,
        cell=cell,
        cells_done=progress.done,
        cells=progress.cells,
        outputs=outputs.read(executed),
        kernel_s=max(0.0, runtime - progress.cells_s),
        runtime_s=runtime,
    )


def mark(executed: Path, status: Status, reason: str) -> None:
    """Say in an executed notebook how it ended, when that became known only afterwards. A missing file is left so."""
    try:
        notebook = json.loads(executed.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # the process that wrote it was killed while writing; the rows say how the run ended
    notebook["metadata"].setdefault("workbench", {}).update(status=status.value, reason=reason)
    cells = [cell for cell in notebook["cells"] if BANNER not in cell["metadata"].get("tags", [])]
    if status in {Status.FAILED, Status.CANCELLED}:
        # At the top, where the reader looks first.
        banner = {"cell_type": "markdown", "id": BANNER, "metadata": {"tags": [BANNER]}}
        cells.insert(0, {**banner, "source": f"**{status.value}** · {reason}"})
    notebook["cells"] = cells
    partial = executed.with_suffix(".partial")
    partial.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(executed)


class WorkbenchEngine(Engine):  # type: ignore[misc]  # papermill has no types
    """papermill's engine for pipelines: our kernel, one deadline for the whole notebook, honest ends."""

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:  # noqa: ARG003 - papermill's signature
        """Always the running interpreter, whatever the notebook was last opened with."""
        return "python3"

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:  # noqa: ARG003 - papermill's signature
        """Python; other notebooks were refused before."""
        return "python"

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,  # noqa: ARG003 - papermill's signature
        *,
        ask: Ask,
        progress: Progress,
        **_: Any,
    ) -> None:
        """Run all cells; raises `Stopped` when they do not get to their end."""
        notebook = nb_man.nb
        notebook.cells = [cell for cell in notebook.cells if BANNER not in cell.metadata.tags]
        notebook.metadata["workbench"] = {**ask.identity, "status": Status.RUNNING.value, "reason": ""}
        run(CellRunner(nb_man, ask, progress))
        notebook.metadata["workbench"]["status"] = Status.DONE.value


def _literal(path: Path) -> str:
    """A path for papermill, which takes braces in it for parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")
