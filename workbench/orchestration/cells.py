"""Running the cells of one notebook in one kernel: one deadline for all, a way to stop, and a reason for each end."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from workbench.orchestration.kernels import KernelProcess
from workbench.store.tables.pipeline import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from papermill.engines import NotebookExecutionManager

_POLL_S = 0.2
_INTERRUPT_S = 2.0
_START_S = 60


@dataclass(frozen=True)
class Ask:
    """How one notebook is to be executed.

    Attributes:
        environment: variables for the kernel, added to those of this process.
        log: file for what is printed, and for what the kernel writes outside of cells.
        timeout_s: seconds the whole notebook may take, its kernel's start included.
        cwd: the kernel's working directory.
        identity: written to `metadata.workbench` of the executed notebook, with the status.
        on_cell: told (cells done, cells with code) at the start and after each cell.
        stop: asked every fifth of a second; a text ends the notebook as CANCELLED for that reason.
    """

    environment: Mapping[str, str]
    log: Path
    timeout_s: float
    cwd: Path
    identity: Mapping[str, str] = field(default_factory=dict)
    on_cell: Callable[[int, int], None] = lambda _done, _cells: None
    stop: Callable[[], str] = lambda: ""


class Stopped(Exception):
    """A notebook that did not reach its end, and why."""

    def __init__(self, status: Status, reason: str, cell: int | None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.cell = cell


class _Overdue(Exception):
    """The deadline has passed."""


class _Unwanted(Exception):
    """Somebody asked to stop."""


class Progress:
    """How far one notebook is: cells with code, cells done, seconds spent in cells."""

    def __init__(self, ask: Ask) -> None:
        self.cells = 0
        self.done = 0
        self.cells_s = 0.0
        self._tell = ask.on_cell

    def begin(self, cells: int) -> None:
        self.cells = cells
        self._tell(0, cells)

    def finish_cell(self) -> None:
        self.done += 1
        self._tell(self.done, self.cells)


class CellRunner(NotebookClient):
    """nbclient with papermill's bookkeeping, one deadline and a way to stop."""

    def __init__(self, manager: NotebookExecutionManager, ask: Ask, progress: Progress) -> None:
        self._kernel = KernelProcess(cwd=ask.cwd, environment=ask.environment, log=ask.log)
        super().__init__(
            manager.nb,
            km=self._kernel,
            store_widget_state=False,  # one widget can weigh five megabytes
            force_raise_errors=True,
            raise_on_iopub_timeout=True,
            timeout=None,
            startup_timeout=_START_S,
        )
        self._manager = manager
        self._ask = ask
        self._progress = progress
        self.interrupted = threading.Event()

    async def run(self) -> None:
        """Start the kernel, run the cells, end the kernel, whatever happens."""
        deadline = time.monotonic() + self._ask.timeout_s
        polite = False
        try:
            await self._start()
            code = [
                (i, cell) for i, cell in enumerate(self.nb.cells) if cell.cell_type == "code" and cell.source.strip()
            ]
            self._progress.begin(len(code))
            for number, (index, cell) in enumerate(code, start=1):
                await self._run_cell(cell, index, number, deadline)
            polite = True
        finally:
            if self.kc is not None:
                self.kc.stop_channels()
            await self._kernel.stop(now=not polite)

    async def _start(self) -> None:
        try:
            await self._kernel.start()
            client: Any = self._kernel.client()
            self.kc = client
            client.start_channels()
            await client.wait_for_ready(timeout=_START_S)
            client.allow_stdin = False
        except (RuntimeError, OSError) as error:
            code = await self._kernel.exit_code()
            died = "" if code is None else f" (it ended with {_said(code)})"
            raise Stopped(
                Status.FAILED, f"the kernel did not start{died}: {error}; see {self._ask.log}", None
            ) from error

    async def _run_cell(self, cell: Any, index: int, number: int, deadline: float) -> None:
        self._manager.cell_start(cell, index)
        began = time.monotonic()
        task = asyncio.ensure_future(self.async_execute_cell(cell, index))
        try:
            await self._wait(task, deadline)
        except CellExecutionError as error:
            shown = self._failed(cell, index, number)
            raised = _one_line(f"{error.ename}: {error.evalue}")
            raise Stopped(Status.FAILED, f"cell In [{shown}] raised {raised}", shown) from error
        except DeadKernelError as error:
            shown = self._failed(cell, index, number)
            died = _said(await self._kernel.exit_code())
            raise Stopped(Status.FAILED, f"the kernel died in cell In [{shown}]: {died}", shown) from error
        except _Overdue as error:
            shown = self._failed(cell, index, number)
            await self._interrupt(task)
            said = f"cell In [{shown}] was still running when the notebook's {self._ask.timeout_s:g} s were over"
            raise Stopped(Status.FAILED, said, shown) from error
        except _Unwanted as error:
            shown = self._failed(cell, index, number)
            await self._interrupt(task)
            raise Stopped(Status.CANCELLED, f"stopped in cell In [{shown}]: {error}", shown) from error
        except BaseException:
            self._failed(cell, index, number)
            await self._interrupt(task)
            raise
        finally:
            self._progress.cells_s += time.monotonic() - began
            self._manager.cell_complete(cell, cell_index=index)
        self._progress.finish_cell()

    def _failed(self, cell: Any, index: int, number: int) -> int:
        """Mark the cell; its number as the reader of the executed notebook sees it."""
        self._manager.cell_exception(cell, cell_index=index)
        return int(cell.get("execution_count") or number)

    async def _wait(self, task: asyncio.Future[Any], deadline: float) -> None:
        while True:
            left = deadline - time.monotonic()
            done, _ = await asyncio.wait({task}, timeout=max(0.0, min(_POLL_S, left)))
            if done:
                task.result()
                return
            why = "the run was interrupted" if self.interrupted.is_set() else self._ask.stop()
            if why:
                raise _Unwanted(why)
            if left <= 0:
                raise _Overdue

    async def _interrupt(self, task: asyncio.Future[Any]) -> None:
        """Interrupt the running cell, so that its traceback shows where it was; a cell that ignores that is left."""
        if await self._kernel.is_alive():
            await self._kernel.interrupt_kernel()
        await asyncio.wait({task}, timeout=_INTERRUPT_S)
        if not task.done():
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Keep what arrives, save long cells half-way, and write what is printed to the log."""
        output = super().process_message(msg, cell, cell_index)
        self._manager.autosave_cell()
        if output is not None and output.output_type == "stream":
            with self._ask.log.open("a", encoding="utf-8") as log:
                log.write(output.text)
        return output


def run(client: CellRunner) -> None:
    """Run a notebook to its end, also when called from a notebook. Raises Stopped when it does not get there."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(client.run())
        return
    # Called from a notebook: its loop is busy with the calling cell, so another thread gets a loop of its own.
    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(asyncio.run, client.run())
        try:
            future.result()
        except KeyboardInterrupt:
            client.interrupted.set()
            raise


def _said(code: int | None) -> str:
    if code is None:
        return "its exit code is not known"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (
        ", which is how a system ends what takes too much memory" if name == "SIGKILL" else ""
    )


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)[:500]
