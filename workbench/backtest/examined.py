"""Walk-forward and cross-validation with a memory: answered once, resumed after a kill, their tries counted for ever.

Each comes twice: as the value that a notebook shows, and as the stored run that a job answers with. Both are one
question and share what is finished while it is under way. A run is stored once; the value of a question whose run is
stored already is computed again, since a run holds its numbers and not the regions behind them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.examination import Answer, Examination, ideas, refuse_peeking, storable
from workbench.backtest.examination_options import CrossValidationOptions, WalkForwardOptions
from workbench.backtest.luck import trials
from workbench.backtest.sweep.chunking import chunk_size
from workbench.backtest.sweep.kept import Kept
from workbench.backtest.validation.cross_validation import cross_validate as cross_validated
from workbench.backtest.validation.walk_forward import walk_forward as walked
from workbench.store.schema import new_id
from workbench.study import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.backtest.sweep.setup import Setup
    from workbench.backtest.validation.cross_validation import CrossValidation
    from workbench.backtest.validation.judging import Judge
    from workbench.backtest.validation.walk_forward import WalkForward
    from workbench.run import Run
    from workbench.store.workspace import Workspace

    Progress = Callable[[int, int], None]


def walk_forward(
    setup: Setup,
    cells: pd.DataFrame,
    *,
    workspace: Workspace,
    judge: Judge | None = None,
    progress: Progress | None = None,
    **asked: Any,
) -> WalkForward:
    """`workbench.backtest.validation.walk_forward.walk_forward`, kept as a run, its cells counted as trials.

    A judge of one's own has no name by which its answer could be found again: each such walk is a run of its own.
    """
    made: list[WalkForward] = []
    walk_forward_run(setup, cells, workspace=workspace, judge=judge, progress=progress, made=made, **asked)
    return made[0] if made else walked(setup, cells, judge=judge, progress=progress, **asked)


def walk_forward_run(
    setup: Setup,
    cells: pd.DataFrame,
    *,
    workspace: Workspace,
    judge: Judge | None = None,
    progress: Progress | None = None,
    made: list[WalkForward] | None = None,
    **asked: Any,
) -> Run:
    """The run of a walk-forward, a stored one where the same was asked before.

    Args:
        cells: one row per cell; which they are is part of the question, in which order they stand is not.
        progress: called with (steps done, steps): one per fold, and one for the whole history.
        made: takes the value that the run was made from; stays empty when the run was stored.
        asked: see `WalkForwardOptions`.

    Returns:
        A Run of kind `walk_forward`. Tables: `folds`, `equity` (column `out_of_sample`), `weights`, `orders`, `trades`.

    Raises:
        ParameterError, LookAhead, BarsRefused, GridRefused: nothing was computed.
        BarsRefused: no fold found a region.
    """
    options = WalkForwardOptions.read(asked).to_dict()
    own = {} if judge is None else {"judge": new_id()}
    question = _of_cells("walk_forward", setup, cells, options | own, workspace=workspace)

    def compute() -> Answer:
        evaluator = Kept(question.setup, question.store("folds"))
        found = walked(
            question.setup,
            cells,
            evaluator=evaluator,
            judge=judge,
            progress=None if progress is None else lambda done, folds: progress(done, folds + 1),
            **options,
        )
        sharpes = evaluator.metrics(cells)["sharpe"].to_numpy(dtype=float)
        if progress is not None:
            progress(len(found.folds) + 1, len(found.folds) + 1)
        if made is not None:
            made.append(found)
        tables = {
            "folds": storable(found.folds),
            "equity": found.equity.to_frame("out_of_sample"),
            "weights": found.weights,
            "orders": found.simulation.orders,
            "trades": found.simulation.trades,
        }
        return Answer(found.summary, tables, cells, sharpes)

    return question.answered(compute)


def cross_validate(
    setup: Setup, cells: pd.DataFrame, *, workspace: Workspace, progress: Progress | None = None, **asked: Any
) -> CrossValidation:
    """`workbench.backtest.validation.cross_validation.cross_validate`, kept as a run, its cells counted as trials."""
    made: list[CrossValidation] = []
    cross_validation_run(setup, cells, workspace=workspace, progress=progress, made=made, **asked)
    return made[0] if made else cross_validated(setup, cells, progress=progress, **asked)


def cross_validation_run(
    setup: Setup,
    cells: pd.DataFrame,
    *,
    workspace: Workspace,
    progress: Progress | None = None,
    made: list[CrossValidation] | None = None,
    **asked: Any,
) -> Run:
    """The run of a cross-validation, a stored one where the same was asked before.

    Args:
        cells, made: as of `walk_forward_run`.
        progress: called with (cells done, cells), each cell counted twice: on the train sessions and on the whole.
        asked: see `CrossValidationOptions`.

    Returns:
        A Run of kind `cross_validation`. Tables: `folds` (one row per split), `paths`, `path_returns`.

    Raises:
        As `walk_forward_run`; BarsRefused also when no split found a region.
    """
    options = CrossValidationOptions.read(asked).to_dict()
    question = _of_cells("cross_validation", setup, cells, options, workspace=workspace)

    def heard(done: int, _: int) -> None:
        if progress is not None:
            progress(done, 2 * len(cells))

    def compute() -> Answer:
        evaluator = Kept(question.setup, question.store("cells"))
        found = cross_validated(
            question.setup,
            cells,
            evaluator=evaluator,
            store=question.store("folds"),
            progress=heard,
            **options,
        )
        sharpes = []
        size = chunk_size(question.setup)
        for begin in range(0, len(cells), size):
            sharpes.append(evaluator.metrics(cells.iloc[begin : begin + size])["sharpe"].to_numpy(dtype=float))
            heard(len(cells) + min(begin + size, len(cells)), 0)
        if made is not None:
            made.append(found)
        returns = found.path_returns.rename(columns=lambda path: f"path {path}")
        tables = {"folds": storable(found.folds), "paths": found.paths, "path_returns": returns}
        return Answer(found.summary, tables, cells, np.concatenate(sharpes))

    return question.answered(compute)


def _of_cells(
    kind: str, setup: Setup, cells: pd.DataFrame, asked: dict[str, Any], *, workspace: Workspace
) -> Examination:
    """The question about some cells; refused when the first of them looks ahead."""
    keys = trials.trial_keys(setup.kind.name, setup.kind.code_hash(), ideas(setup, cells))
    named = {"cells": digest(np.sort(keys).astype(str).tolist())}
    title = f"{setup.kind.name} · {len(cells):,} cells · {kind.replace('_', ' ')}"
    question = Examination.of(kind, setup, asked, ideas=named, title=title, workspace=workspace)
    if len(cells):
        refuse_peeking(question.setup, cells.iloc[[0]].to_dict("records")[0])
    return question
