"""Searching with a memory: answered once, resumed after a kill, every cell that was evaluated counted for ever.

As `workbench.backtest.examined`, it comes twice: as the value that a notebook shows, and as the run of a job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.examination import Answer, Examination, refuse_peeking, storable
from workbench.backtest.examination_options import SearchOptions
from workbench.backtest.optimize.objective import Objective
from workbench.backtest.optimize.search import optimize as searched
from workbench.backtest.optimize.space import Space
from workbench.backtest.sweep.kept import Kept
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from workbench.backtest.optimize.optimized import Optimized
    from workbench.backtest.sweep.evaluator import Evaluator
    from workbench.backtest.sweep.setup import Setup
    from workbench.backtest.validation.walk_forward import WalkForward
    from workbench.run import Run
    from workbench.store.workspace import Workspace

    Progress = Callable[[int, int], None]


def optimize(
    setup: Setup,
    space: Mapping[str, Any],
    *,
    workspace: Workspace,
    resume: bool = True,
    progress: Progress | None = None,
    **asked: Any,
) -> Optimized:
    """`workbench.backtest.optimize.search.optimize`, kept as a run, every cell it evaluated counted as a trial.

    The journal of the search lies in the workspace, so that a search that was killed goes on where it stopped.
    """
    made: list[Optimized] = []
    optimize_run(setup, space, workspace=workspace, resume=resume, progress=progress, made=made, **asked)
    if made:
        return made[0]
    return searched(setup, _ordered(setup, space), storage=_journals(workspace), progress=progress, **asked)


def optimize_run(
    setup: Setup,
    space: Mapping[str, Any],
    *,
    workspace: Workspace,
    resume: bool = True,
    patient: bool = False,
    progress: Progress | None = None,
    made: list[Optimized] | None = None,
    **asked: Any,
) -> Run:
    """The run of a search, a stored one where the same was asked before; its best region is walked forward.

    Args:
        space: by parameter a range, a list of values, or what `Space.to_dict` wrote of them.
        resume: False: what was finished of an unfinished search is forgotten first.
        patient: wait for another process that is searching the same space with another number of trials.
        progress: called with (trials done, trials).
        made: as of `walk_forward_run`.
        asked: see `SearchOptions`.

    Returns:
        A Run of kind `optimize`. Tables: `trials`, `region` (its cells), and where sessions were held out `folds` and
        `equity` of the region walked forward over them. `provenance["notes"]` says why there are none.

    Raises:
        As `walk_forward_run`; BacktestError also when no cell could be evaluated, or another process is searching the
        same space and `patient` is False.
    """
    options = SearchOptions.read(asked).to_dict()
    options["seed"] = setup.history.study.seed if options["seed"] is None else options["seed"]
    wanted = _ordered(setup, space)
    checked = Space.of(setup.kind, wanted, fixed=setup.fixed)
    question = Examination.of(
        "optimize",
        setup,
        options,
        ideas={"space": checked.to_dict()},
        title=f"{setup.kind.name} · {options['method']} search over {', '.join(checked.names)}",
        workspace=workspace,
    )
    first = {one.name: one.choices[0] if one.choices else one.low for one in checked.dimensions}
    refuse_peeking(question.setup, first)

    def compute() -> Answer:
        found = searched(
            question.setup,
            wanted,
            storage=_journals(workspace),
            store=question.store("cells"),
            resume=resume,
            patient=patient,
            progress=progress,
            **options | {"objective": Objective(**options["objective"])},
        )
        if made is not None:
            made.append(found)
        after, notes = _after(found, Kept(question.setup, question.store("after")))
        tried = found.evaluated
        region = pd.DataFrame({"metric": []}) if found.region is None else found.region.members.reset_index(drop=True)
        tables = {"trials": storable(found.trials), "region": storable(region)}
        if after is not None:
            tables |= {"folds": storable(after.folds), "equity": after.equity.to_frame("out_of_sample")}
        cells = tried[list(found.space.names)].reset_index(drop=True)
        sharpes = tried["sharpe"].to_numpy(dtype=float)
        return Answer(_search_summary(found, after), tables, cells, sharpes, notes)

    return question.answered(compute)


def _after(found: Optimized, evaluator: Evaluator) -> tuple[WalkForward | None, list[str]]:
    """What came after the search: its best region on the sessions that it never saw."""
    if not len(found.holdout):
        return None, ["no walk-forward: no sessions were held out."]
    try:
        return found.walk_forward(evaluator=evaluator), []
    except BacktestError as error:
        return None, [f"no walk-forward: {error.message}"]


def _search_summary(found: Optimized, after: WalkForward | None) -> dict[str, float | None]:
    counts = found.trials["state"].value_counts()
    numbers: dict[str, float | None] = {"trials": float(len(found.evaluated))}
    numbers |= {state: float(counts.get(state, 0)) for state in ("done", "pruned", "failed")}
    if found.region is not None:
        numbers |= {"region_score": found.region.score, "centre": found.region.value}
        centre = {
            f"centre_{name}": float(value)
            for name, value in found.region.centre.items()
            if isinstance(value, int | float | np.number)
        }
        numbers |= {"stability": found.region.stability, **centre}
    if after is not None:
        numbers |= {f"out_of_sample_{name}": after.summary.get(name) for name in ("sharpe", "cagr", "max_drawdown")}
    return {name: value if value is not None and np.isfinite(value) else None for name, value in numbers.items()}


def _ordered(setup: Setup, space: Mapping[str, Any]) -> dict[str, Any]:
    """A space in the strategy's own order of parameters: however it is written down, the same cells are tried."""
    known = [name for name in setup.kind.model_fields if name in space]
    return {name: space[name] for name in (*known, *(name for name in space if name not in known))}


def _journals(workspace: Workspace) -> Path:
    return workspace.home / "optimizer"
