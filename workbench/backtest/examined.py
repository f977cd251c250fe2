"""Examinations with a memory: walk-forward, cross-validation and search, whose tries are counted like any others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest import ledger
from workbench.backtest.answering import answer
from workbench.backtest.luck import trials
from workbench.backtest.optimize.search import optimize as searched
from workbench.backtest.question import config_of, provenance_of, row_of
from workbench.backtest.sweep.evaluator import Evaluator
from workbench.backtest.validation.cross_validation import cross_validate as cross_validated
from workbench.backtest.validation.walk_forward import walk_forward as walked
from workbench.run import Run
from workbench.study import digest
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.backtest.optimize.optimized import Optimized
    from workbench.backtest.sweep.setup import Setup
    from workbench.backtest.validation.cross_validation import CrossValidation
    from workbench.backtest.validation.walk_forward import WalkForward
    from workbench.store.workspace import Workspace


def walk_forward(setup: Setup, cells: pd.DataFrame, *, workspace: Workspace, **asked: Any) -> WalkForward:
    """`workbench.backtest.validation.walk_forward.walk_forward`, kept as a run, its cells counted as trials."""
    found = walked(setup, cells, **asked)
    said = {"scheme": found.scheme, "train": found.train, "test": found.test, "metric": found.metric}
    tables = {"folds": _plain(found.folds), "equity": found.equity.to_frame("out_of_sample")}
    sharpes = Evaluator(setup).metrics(cells)["sharpe"].to_numpy()
    _keep("walk_forward", setup, cells, sharpes, said, summary=found.summary, tables=tables, workspace=workspace)
    return found


def cross_validate(setup: Setup, cells: pd.DataFrame, *, workspace: Workspace, **asked: Any) -> CrossValidation:
    """`workbench.backtest.validation.cross_validation.cross_validate`, kept as a run, its cells counted as trials."""
    evaluator = Evaluator(setup)
    found = cross_validated(setup, cells, evaluator=evaluator, **asked)
    said = {name: value for name, value in asked.items() if name != "progress"}
    sharpes = evaluator.metrics(cells)["sharpe"].to_numpy()
    tables = {"folds": _plain(found.folds)}
    _keep("cross_validation", setup, cells, sharpes, said, summary=found.summary, tables=tables, workspace=workspace)
    return found


def optimize(setup: Setup, space: Mapping[str, Any], *, workspace: Workspace, **asked: Any) -> Optimized:
    """`workbench.backtest.optimize.search.optimize`, kept as a run, every cell it evaluated counted as a trial.

    The journal of the search lies in the workspace, so that a search that was killed goes on where it stopped.
    """
    found = searched(setup, space, storage=workspace.home / "optimizer", **asked)
    tried = found.evaluated
    cells = tried[list(found.space.names)].reset_index(drop=True)
    said = {"method": found.method, "space": found.space.to_dict(), "seed": found.seed, "trials": len(tried)}
    region = {} if found.region is None else {"region_score": found.region.score, "centre": found.region.value}
    tables = {"trials": _plain(found.trials)}
    sharpes = tried["sharpe"].to_numpy(dtype=float)
    _keep("optimize", found.setup, cells, sharpes, said, summary=region, tables=tables, workspace=workspace)
    return found


def ideas(setup: Setup, cells: pd.DataFrame) -> pd.DataFrame:
    """One row per cell with ALL parameters, so that an idea tried alone has the same key as in a sweep."""
    varied = [name for name in cells.columns if name in setup.kind.model_fields]
    if not len(cells):
        return cells[varied]
    first = {str(name): cells[name].iloc[0] for name in varied}
    whole = pd.DataFrame(index=cells.index)
    for name, value in setup.strategy(first).params.items():
        whole[name] = (
            cells[name] if name in varied else pd.Series([value] * len(cells), index=cells.index, dtype=object)
        )
    return whole


def _keep(
    kind: str,
    setup: Setup,
    cells: pd.DataFrame,
    sharpes: np.ndarray,
    said: dict[str, Any],
    *,
    summary: Mapping[str, float | None],
    tables: dict[str, pd.DataFrame],
    workspace: Workspace,
) -> Run:
    """The stored run of an examination; the same one is stored once."""
    code = setup.kind.code_hash()
    keys = trials.trial_keys(setup.kind.name, code, ideas(setup, cells))
    strategy = {
        "name": setup.kind.name,
        "hash": digest({"name": setup.kind.name, "code": code}),
        "code": code,
        "cells": digest(np.sort(keys).astype(str).tolist()),
        "fixed": setup.fixed,
    }
    config = config_of(setup.history, costs=setup.costs, rules=setup.rules, strategy=strategy, asked=said)
    provenance = provenance_of(setup.history)
    title = f"{setup.kind.name} · {len(cells):,} cells · {kind.replace('_', ' ')}"

    def computed(identifier: str) -> Run:
        trials.remember(
            workspace.engine,
            run_id=identifier,
            data_slice=ledger.slice_hash(setup.history.study),
            strategy=setup.kind.name,
            keys=keys,
            sharpes=sharpes,
        )
        return Run(
            id=identifier,
            kind=kind,
            study=setup.history.study,
            title=title,
            label=setup.history.label,
            config=config,
            config_hash=digest(config),
            summary=dict(summary),
            tables=tables,
            provenance=provenance,
            trace_id=trace_id(),
        )

    return answer(workspace, row_of(kind, setup.history, config, provenance), computed, title=title)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame as Parquet takes it: a parameter that is sometimes absent is no column of mixed objects."""
    return frame.convert_dtypes(dtype_backend="numpy_nullable")
