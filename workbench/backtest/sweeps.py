"""Sweeping: one strategy, a grid of parameters, one run that says how good the plateau is, and how likely luck."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest import ledger, metrics
from workbench.backtest.answering import answer
from workbench.backtest.costs import Costs
from workbench.backtest.engine import execution_price_for
from workbench.backtest.examination import ideas, refuse_peeking
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.luck import answers, trials
from workbench.backtest.luck.table import LIMIT, Honesty, honesty, sample_of
from workbench.backtest.preconditions import check_history
from workbench.backtest.question import config_of, provenance_of, row_of
from workbench.backtest.sweep.chunk_store import ChunkStore, forget_old
from workbench.backtest.sweep.chunking import chunk_size
from workbench.backtest.sweep.compute import compute_of
from workbench.backtest.sweep.evaluator import Evaluator, unsupported
from workbench.backtest.sweep.grid import Grid
from workbench.backtest.sweep.setup import Setup
from workbench.backtest.validation.regions import Region, best_region, region_scores
from workbench.backtest.validation.walk_forward import WalkForward, walk_forward
from workbench.errors import BacktestError
from workbench.run import Run
from workbench.strategies import BuyAndHold, kind_of
from workbench.study import digest
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from workbench.backtest.sweep.compute import Compute
    from workbench.market.history import History
    from workbench.store.workspace import Workspace
    from workbench.strategy import Strategy

# The walk-forward of a larger sweep chooses among an evenly spaced sample of this many cells that holds the best.
WALKED = 20_000


def sweep(
    kind: type[Strategy] | str,
    grid: Mapping[str, Iterable[Any]],
    history: History,
    *,
    workspace: Workspace,
    costs: Costs | None = None,
    rules: FillRules | None = None,
    fixed: Mapping[str, Any] | None = None,
    compute: Compute | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Evaluate every cell of a grid, judge the best region, and ask whether it is luck; an identical sweep is stored.

    Finished chunks are kept on disk until the sweep is done: killed at any instant, it goes on where it stopped.

    Args:
        kind: the strategy's class or name.
        grid: values by parameter; every combination is a cell. Those that the strategy refuses are left out.
        history: the bars, with warm-up.
        costs, rules: as in a backtest.
        fixed: parameters that do not vary.
        compute: where: `threads` (all cores), `threads:N`, `dask://host:port`, or a `Compute`.
        progress: called with (cells done, cells); what it raises ends the sweep.

    Returns:
        A Run of kind `sweep`. Tables: `cells` (parameters, metrics, `score` and `stability` of the neighbourhood, which
        `engine` computed it, `error`), `luck` (the honesty table; trials are counted when it is asked), `best` (the
        returns of the best cell), `folds` (walk-forward, empty when there are too few
        sessions), `region` (the plateau's cells), `equity` (`centre`, `out_of_sample`, `benchmark`).
        `provenance["notes"]` says what was left out or done otherwise, and why.

    Raises:
        LookAhead: the first cell peeks; nothing was computed.
        GridRefused: the grid has no cell, or too many; nothing was computed.
        ParameterError: a parameter has a wrong name or value; nothing was computed.
        ClusterUnavailable: the cluster does not answer; finished chunks are kept.
    """
    check_history(history)
    kind = kind_of(kind) if isinstance(kind, str) else kind
    costs, rules = costs or Costs(), rules or FillRules()
    rules = dataclasses.replace(rules, execution_price=execution_price_for(history.bars, rules.execution_price))
    asked = Grid.of(kind, grid, fixed=fixed)
    setup = Setup(kind=kind, history=history, costs=costs, rules=rules, fixed=dict(fixed or {}))
    refuse_peeking(setup, asked.chunks(1)[0].to_dict("records")[0])
    code = kind.code_hash()
    config = config_of(
        history,
        costs=costs,
        rules=rules,
        strategy={
            "name": kind.name,
            "hash": digest({"name": kind.name, "code": code}),
            "code": code,
            "grid": asked.to_dict(),
            "fixed": setup.fixed,
        },
        walked=WALKED,
        sample=LIMIT,
    )
    provenance = provenance_of(history)
    forget_old(workspace.home / "sweeps")
    store = ChunkStore(workspace.home / "sweeps" / digest(config))

    def computed(identifier: str) -> Run:
        frames = dict(
            compute_of(compute).run(
                setup, asked.chunks(chunk_size(setup)), total=len(asked), progress=progress, store=store
            )
        )
        cells = pd.concat([frames[number] for number in sorted(frames)])
        found = _Found.of(setup, cells, asked.names)
        own = trials.Trials.of(trials.trial_keys(kind.name, code, ideas(setup, cells)), cells["sharpe"].to_numpy())
        data_slice = ledger.slice_hash(history.study)
        known = trials.tried(workspace.engine, data_slice).joined(own)
        judged = _judged(setup, found, known)
        trials.remember(
            workspace.engine,
            run_id=identifier,
            data_slice=data_slice,
            strategy=kind.name,
            keys=own.keys,
            sharpes=own.sharpes,
        )
        return _run(setup, asked, found, judged, config=config, provenance=provenance, identifier=identifier)

    made = answer(workspace, row_of("sweep", history, config, provenance), computed, title=asked.line)
    store.clear()  # only now: a kill before the answer is kept must not lose the chunks
    return _recounted(made, workspace) if made.reused else made


@dataclass(frozen=True, eq=False)
class _Found:
    """The cells with their numbers, the plateau among them, and what has to be said."""

    cells: pd.DataFrame
    parameters: tuple[str, ...]
    region: Region | None
    evaluator: Evaluator
    notes: list[str]

    @classmethod
    def of(cls, setup: Setup, cells: pd.DataFrame, parameters: tuple[str, ...]) -> _Found:
        whole = cells.join(region_scores(cells, parameters, "sharpe")[["score", "stability"]])
        failed = int((whole["error"] != "").sum())
        notes = []
        if said := unsupported(setup):
            notes.append(f"computed by the reference engine, not by the kernels: {said}.")
        if failed:
            first = str(whole.loc[whole["error"] != "", "error"].iloc[0])
            notes.append(f"{failed:,} of {len(whole):,} cells failed; the first said: {first}")
        region = best_region(cells, parameters, "sharpe")
        notes += [] if region is None else _edges(cells, region)
        return cls(
            cells=whole,
            parameters=parameters,
            region=region,
            evaluator=Evaluator(setup),
            notes=notes,
        )

    def of_grid(self, rows: np.ndarray) -> pd.DataFrame:
        """The parameters of some cells."""
        return self.cells.iloc[rows][list(self.parameters)]


def _edges(cells: pd.DataFrame, region: Region) -> list[str]:
    """A plateau at the edge of the grid may go on beyond it."""
    bounds = {name: (cells[name].min(), cells[name].max()) for name in region.centre if cells[name].dtype.kind in "iuf"}
    at = [name for name, (low, high) in bounds.items() if low < high and region.centre[name] in {low, high}]
    if not at:
        return []
    return [f"the best region lies at the edge of the grid in {', '.join(at)}: a wider one may hold a better one."]


@dataclass(frozen=True, eq=False)
class _Judged:
    luck: Honesty
    best: pd.Series
    walked: WalkForward | None
    benchmark: pd.Series
    centre: pd.Series | None


def _judged(setup: Setup, found: _Found, known: trials.Trials) -> _Judged:
    """Is it luck, and what came after the choice? Neither is asked for; both are always said."""
    study = setup.history.study
    sessions = setup.history.evaluated[1:]
    rows, best = sample_of(found.cells["sharpe"].to_numpy())
    held = Evaluator(dataclasses.replace(setup, kind=BuyAndHold, fixed={})).returns(pd.DataFrame(index=[0]))[:, 0]
    returns = found.evaluator.returns(found.of_grid(rows))
    luck = honesty(
        returns,
        benchmark=held,
        trials=known,
        seed=study.seed,
        cells=len(found.cells),
        best=best,
        periods=study.bars_per_year,
    )
    walked, centre = None, None
    chosen, _ = sample_of(found.cells["sharpe"].to_numpy(), limit=WALKED)
    if len(chosen) < len(found.cells):
        found.notes.append(f"the walk-forward chooses among {len(chosen):,} of {len(found.cells):,} cells.")
    try:
        walked = walk_forward(setup, found.of_grid(chosen), evaluator=found.evaluator)
    except BacktestError as error:
        found.notes.append(f"no walk-forward: {error.message}")
    if found.region is not None:
        own = found.evaluator.returns(found.of_grid(np.array([found.region.row])))[:, 0]
        centre = pd.Series(own, index=sessions)
    first = np.full(len(sessions), np.nan) if best is None else returns[:, best]
    return _Judged(
        luck=luck,
        best=pd.Series(first, index=sessions),
        walked=walked,
        benchmark=pd.Series(held, index=sessions),
        centre=centre,
    )


def _recounted(run: Run, workspace: Workspace) -> Run:
    """A stored sweep, its odds taken against all that was tried since."""
    known = trials.tried(workspace.engine, ledger.slice_hash(run.study))
    luck = run.table("luck")
    if known.count == luck["value"]["trials"]:
        return run
    best = run.table("best")["return"].to_numpy()
    odds = answers.frame_of(
        answers.of_odds(best, known, cells=len(run.table("cells")), periods=run.study.bars_per_year)
    )
    luck = pd.concat([odds, luck.loc[luck.index.difference(odds.index, sort=False)]])
    newer = {name: _finite(float(luck["value"][name])) for name in ("trials", "psr", "dsr")}
    return dataclasses.replace(run, summary=run.summary | newer, tables=run.tables | {"luck": luck})


def _run(
    setup: Setup,
    asked: Grid,
    found: _Found,
    judged: _Judged,
    *,
    config: dict[str, Any],
    provenance: dict[str, Any],
    identifier: str,
) -> Run:
    region, walked = found.region, judged.walked
    return Run(
        id=identifier,
        kind="sweep",
        study=setup.history.study,
        title=asked.line,
        label=setup.history.label,
        config=config,
        config_hash=digest(config),
        summary=_summary(asked, found, judged, periods=setup.history.study.bars_per_year),
        tables={
            "cells": found.cells.reset_index(drop=True),
            "luck": judged.luck.frame,
            "best": judged.best.to_frame("return").rename_axis("session"),
            "folds": pd.DataFrame({"fold": []}) if walked is None else _stored(walked.folds),
            "region": pd.DataFrame({"sharpe": []}) if region is None else region.members.reset_index(drop=True),
            "equity": _equity(setup.history.study.initial_cash, judged),
        },
        provenance=provenance | {"notes": found.notes, "engines": found.cells["engine"].value_counts().to_dict()},
        trace_id=trace_id(),
    )


def _summary(asked: Grid, found: _Found, judged: _Judged, *, periods: int) -> dict[str, float | None]:
    cells, region, luck = found.cells, found.region, judged.luck.numbers
    numbers: dict[str, float | None] = {
        "cells": float(len(cells)),
        "refused": float(asked.refused),
        "failed": float((cells["error"] != "").sum()),
        "best_sharpe": _finite(cells["sharpe"].max()),
    }
    if region is not None:
        centre = cells.iloc[region.row]
        numbers |= {f"centre_{name}": _number(value) for name, value in region.centre.items()}
        numbers |= {
            "region_score": _finite(region.score),
            "stability": _finite(region.stability),
            **{f"centre_{name}": _finite(centre[name]) for name in ("sharpe", "cagr", "max_drawdown", "trades")},
        }
    numbers |= {name: luck.get(name) for name in ("trials", "psr", "dsr", "pbo", "spa_consistent", "white")}
    if judged.walked is not None:
        after = judged.walked.summary
        numbers |= {
            "folds": after.get("folds"),
            "in_sample_sharpe": after.get("in_sample_sharpe"),
            **{f"out_of_sample_{name}": after.get(name) for name in ("sharpe", "cagr", "max_drawdown")},
        }
    numbers["benchmark_sharpe"] = _finite(metrics.sharpe(judged.benchmark, periods=periods))
    numbers["benchmark_cagr"] = _finite(metrics.cagr(judged.benchmark, periods=periods))
    return numbers


def _equity(cash: float, judged: _Judged) -> pd.DataFrame:
    """The book of the plateau's centre over all sessions, of the walk-forward over its own, and of the benchmark."""
    columns = {"benchmark": cash * (1.0 + judged.benchmark).cumprod()}
    if judged.centre is not None:
        columns["centre"] = cash * (1.0 + judged.centre).cumprod()
    if judged.walked is not None:
        columns["out_of_sample"] = judged.walked.equity
    return pd.DataFrame(columns).rename_axis(index="session")


def _stored(folds: pd.DataFrame) -> pd.DataFrame:
    """Folds as Parquet takes them: a fold in cash has no parameters."""
    return folds.convert_dtypes(dtype_backend="numpy_nullable")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float | np.number) and math.isfinite(value) else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
