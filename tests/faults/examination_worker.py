"""Workers that examine: each life takes a job from the queue and answers it, and may be killed at any instant.

Every evaluation that was finished is written down. A life can be told to be killed after so many steps; a step is an
evaluation that was finished, or a piece that was kept.
"""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a script, it finds what the tests share
from tests.faults.lives import say, serve
from tests.properties.future import random_history
from workbench.backtest import examined, jobs
from workbench.backtest.optimize.search import optimize
from workbench.backtest.sweep import kept
from workbench.backtest.sweep.chunk_store import ChunkStore
from workbench.backtest.sweep.evaluator import Evaluator
from workbench.backtest.sweep.grid import Grid
from workbench.backtest.sweep.setup import Setup
from workbench.backtest.validation import cross_validation
from workbench.backtest.validation.walk_forward import walk_forward
from workbench.store import queue
from workbench.store.holders import this_process
from workbench.store.workspace import Workspace
from workbench.strategies import SmaCross

HISTORY = random_history(symbols=("KO",), length=420, warm_up=200, seed=3)
PIECE = 4  # cells: as small as those of slow strategies


def watched(name: str, owner: type, steps: Iterator[int], die_at: int | None, note: Callable[..., str]) -> None:
    """Let a method note what it finished, and the process be killed after it when its step has come."""
    act = getattr(owner, name)

    def noted(self: Any, *given: Any) -> Any:
        found = act(self, *given)
        note(*given)
        if next(steps) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, noted)


def work(job: dict[str, Any]) -> None:
    """Take the next job of the queue and answer it."""
    say(began=os.getpid())
    steps = itertools.count(1)
    with Path(job["notes"]).open("a", encoding="utf-8", buffering=1) as notes:

        def note(cells: Any, start: Any = None, end: Any = None) -> None:
            notes.write(f"{cells.to_numpy().tolist()} {start} {end}\n")

        watched("metrics", Evaluator, steps, job.get("die_at"), note)
        watched("returns", Evaluator, steps, job.get("die_at"), note)
        watched("save", ChunkStore, steps, job.get("die_at"), lambda *_: None)
        for module in (kept, cross_validation, examined):
            module.chunk_size = lambda _: PIECE
        workspace = Workspace.open(Path(job["home"]), database_url=job["url"])
        claimed = queue.claim(workspace.engine, holder=this_process())
        claimed.finish(
            jobs.perform(
                claimed.job.payload,
                workspace=workspace,
                progress=claimed.progress,
                load=lambda _: HISTORY,
                job_id=claimed.job.id,
            )
        )
        workspace.close()


def warm() -> None:
    """Load and compile once what every life needs."""
    importlib.import_module("skfolio.model_selection")
    cells = Grid.of(SmaCross, {"fast": [3, 5], "slow": [15, 20]}).cells()
    optimize(Setup(SmaCross, HISTORY), {"fast": [3, 5], "slow": [15, 20]}, trials=2)
    walk_forward(Setup(SmaCross, HISTORY), cells, train=60, test=80)


if __name__ == "__main__":
    warm()
    serve(work)
