"""Answering a question once: claim it, compute, keep the artifacts, and say how it ended; or find the stored answer."""

from __future__ import annotations

import dataclasses
import shutil
import time
from typing import TYPE_CHECKING, Any

from workbench.backtest import ledger
from workbench.errors import JobCancelled, StrategyFailed, WorkbenchError
from workbench.run import Run
from workbench.store.schema import new_id
from workbench.trace import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from workbench.store.workspace import Workspace


def answer(workspace: Workspace, values: dict[str, Any], compute: Callable[[str], Run], *, title: str = "") -> Run:
    """The stored answer to the question with `values["config_hash"]`, or a new one by `compute(run id)`.

    Two processes asking at once end with one row and one answer.

    Args:
        title: who answers, for messages; the strategy's name when empty.
        values: columns of the row, see `workbench.backtest.question.row_of`.
        compute: makes the Run; what it raises is recorded with the code of the error tree and raised again. An error
            that is none of ours becomes StrategyFailed.

    Returns:
        The Run; `reused` is True when it comes from the store.
    """
    claimed = ledger.claim(
        workspace.engine, values, complete=lambda identifier: (workspace.artifacts / identifier / "run.json").exists()
    )
    folder = workspace.artifacts / claimed.id
    log = get_logger(__name__).bind(run=claimed.id, kind=values["kind"], strategy=values["strategy"])
    if not claimed.mine:
        log.info("answer reused")
        return dataclasses.replace(Run.load(folder), reused=True)
    started = time.perf_counter()
    try:
        run = dataclasses.replace(compute(claimed.id), runtime_s=time.perf_counter() - started)
        _keep(run, folder)
    except BaseException as error:
        problem = _explained(error, title or values["strategy"])
        failed = isinstance(error, Exception) and not isinstance(error, JobCancelled)
        status = "FAILED" if failed else "CANCELLED"
        ledger.give_up(
            workspace.engine,
            claimed,
            status,
            error_code=problem.code,
            error=str(problem),
            runtime_s=time.perf_counter() - started,
        )
        log.warning("no answer", status=status, code=problem.code)
        if isinstance(error, WorkbenchError) or not isinstance(error, Exception):
            raise
        raise problem from error
    ledger.finish(workspace.engine, claimed, summary=run.summary, artifacts=str(folder), runtime_s=run.runtime_s)
    log.info("answered", seconds=round(run.runtime_s, 3))
    return run


def _keep(run: Run, folder: Path) -> None:
    """Write the artifacts beside their place and move them in at once, so that no reader sees half an answer."""
    beside = folder.with_name(f".{folder.name}.{new_id()}")
    try:
        run.save(beside)
        if folder.exists() and not (folder / "run.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
        try:
            beside.replace(folder)
        except OSError:
            if not (folder / "run.json").exists():  # otherwise the same answer was put there by another process
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _explained(error: BaseException, strategy: str) -> WorkbenchError:
    if isinstance(error, WorkbenchError):
        return error
    return StrategyFailed(
        f"{strategy} stopped with {type(error).__name__}: {error}",
        remedy="repair the strategy; asking again tries again.",
    )
