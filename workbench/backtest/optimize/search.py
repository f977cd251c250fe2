"""Search: tries parameters on the earlier part of a history, finds the best region, and keeps the rest for the exam."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.engine import execution_price_for
from workbench.backtest.optimize.objective import Objective
from workbench.backtest.optimize.optimized import Optimized
from workbench.backtest.optimize.plateau import plateau
from workbench.backtest.optimize.sampling import Found, sample
from workbench.backtest.optimize.space import Space, defaults_of
from workbench.backtest.sweep.evaluate import METRICS, Evaluator
from workbench.backtest.sweep.kept import Kept
from workbench.backtest.validation.splits import LEAST_TRAIN, sessions_of
from workbench.errors import BacktestError, BarsRefused, ParameterError
from workbench.study import digest

if TYPE_CHECKING:
    from workbench.backtest.sweep.chunk_store import ChunkStore
    from workbench.backtest.sweep.evaluate import Setup

METHODS = ("grid", "random", "tpe")
TRIALS = 200
# Sessions at the end that a search never sees.
HOLDOUT = 0.3
# Cells evaluated between two calls of `progress` on a grid.
CHUNK = 256


def optimize(
    setup: Setup,
    space: Mapping[str, Any],
    *,
    method: str = "tpe",
    trials: int = TRIALS,
    objective: Objective | str = "sharpe",
    seed: int | None = None,
    holdout: float = HOLDOUT,
    pruning: bool = True,
    radius: int = 1,
    storage: Path | None = None,
    store: ChunkStore | None = None,
    resume: bool = True,
    patient: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Optimized:
    """Search a space for the best region; `Optimized.walk_forward()` then examines it on sessions the search never saw.

    `grid` evaluates every cell. `random` draws them, `tpe` (tree-structured Parzen estimator, Bergstra et al. 2011)
    draws where earlier ones did well; both are optuna's, seeded, and stop a trial early whose objective on the first
    quarter or half of the sessions is below the median of the finished ones. Before a region of such a sample is
    believed, it is measured, see `plateau`.

    Args:
        setup: strategy, history, costs, fill rules; its `fixed` parameters are not searched.
        space: see `Space.of`.
        trials: how many different cells to evaluate, by `random` and `tpe`; measuring the region comes on top.
        objective: an `Objective`, or the name of its metric.
        seed: the study's when None.
        holdout: share of the sessions, at the end, that the search does not see; from 0 to 0.8.
        pruning: whether trials are stopped early.
        radius: of a neighbourhood on a grid, in steps.
        storage: folder of journals: the search goes into `<hash of the question>.journal` there, an optuna
            JournalStorage with the study `search`. The same question asked again goes on with it (more `trials` extend
            it; `random` weighs cells in batches, so there another number is another journal). None: none is kept.
        store: keeps what has no journal, the cells of a grid and those measured around a region: what is in it is not
            computed again. Of this very question, with this number of trials.
        resume: False: begin anew; the old journal and what `store` has are deleted.
        patient: wait for another process that is searching with this journal instead of an error.
        progress: called with (done, trials) between batches; what it raises (e.g. JobCancelled) ends the search, and
            finished trials stay in the journal.

    Raises:
        ParameterError: an argument or the space is wrong.
        GridRefused: the space is empty, or a grid too large.
        BarsRefused: too few sessions remain to search.
        BacktestError: no cell could be evaluated, or another process is searching with this journal and `patient` is
            False.
    """
    goal = Objective(metric=objective) if isinstance(objective, str) else objective
    seed = setup.history.study.seed if seed is None else seed
    _check(method, trials, holdout, seed)
    wanted = Space.of(setup.kind, space, fixed=setup.fixed)
    rules = dataclasses.replace(
        setup.rules, execution_price=execution_price_for(setup.history.bars, setup.rules.execution_price)
    )
    setup = dataclasses.replace(setup, rules=rules)
    days = sessions_of(setup.history)
    searched = days[: len(days) - round(holdout * len(days))]
    if len(searched) < LEAST_TRAIN:
        raise BarsRefused(
            f"holdout={holdout:g} leaves {len(searched)} of {len(days)} sessions to search, fewer than {LEAST_TRAIN}; "
            "nothing was computed.",
            remedy="use an earlier start or a smaller holdout.",
        )
    if store is not None and not resume:
        store.clear()
    defaults, evaluator = defaults_of(setup.kind), Evaluator(setup)
    kept = evaluator if store is None else Kept(setup, store)

    def weigh(cells: pd.DataFrame, share: float, by: Evaluator = evaluator) -> tuple[pd.DataFrame, np.ndarray]:
        last = searched[max(1, math.ceil(share * len(searched))) - 1]
        found = by.metrics(cells, None, last)
        return found, goal.scores(cells, found, defaults=defaults, share=share)

    weigh_and_keep = functools.partial(weigh, by=kept)

    path = None
    if method == "grid":
        rows = _grid(wanted, weigh_and_keep, progress)
    else:
        if storage is not None:
            question = _question(
                setup,
                space=wanted.to_dict(),
                order=list(wanted.names),
                objective=goal.to_dict(),
                method=method,
                seed=int(seed),
                holdout=float(holdout),
                pruning=bool(pruning),
                # where a batch of random cells ends depends on how many are wished for, and pruning on the batch
                **({"trials": int(trials)} if method == "random" else {}),
            )
            path = Path(storage) / f"{digest(question)}.journal"
        rows = sample(
            wanted,
            weigh,
            method=method,
            trials=trials,
            seed=seed,
            pruning=pruning,
            path=path,
            resume=resume,
            sessions=len(searched),
            progress=progress,
            patient=patient,
        )
    frame = _frame(rows, wanted, "search")

    def measure(cells: list[tuple[Any, ...]]) -> pd.DataFrame:
        return _frame(_whole(wanted, cells, weigh_and_keep), wanted, "region")

    if not (frame["state"] == "done").any():
        raise BacktestError(
            f"none of {len(frame)} cells could be evaluated. First reason: {frame['error'].iloc[0]}",
            remedy="correct the space.",
        )
    frame, region = plateau(frame, wanted, measure, radius=radius, seed=seed, even=method != "tpe")
    return Optimized(
        trials=frame,
        region=region,
        method=method,
        objective=goal,
        space=wanted,
        setup=setup,
        searched=(searched[0], searched[-1]),
        holdout=days[len(searched) :],
        seed=seed,
        radius=radius,
        journal=path,
    )


def _check(method: str, trials: int, holdout: float, seed: int) -> None:
    if method not in METHODS:
        raise ParameterError(f"method={method!r} is not one of {', '.join(METHODS)}.", remedy="use 'tpe'.")
    for name, value, least in (("trials", trials, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise ParameterError(f"{name}={value!r} must be a whole number of at least {least}.", remedy="correct it.")
    if not 0.0 <= holdout <= 0.8:
        raise ParameterError(
            f"holdout={holdout!r} must be a share of the sessions from 0 to 0.8.", remedy=f"use {HOLDOUT}."
        )


def _grid(space: Space, weigh: Any, progress: Callable[[int, int], None] | None) -> list[Found]:
    cells = space.grid()
    rows: list[Found] = []
    for begin in range(0, len(cells), CHUNK):
        if progress is not None:
            progress(begin, len(cells))
        rows += _whole(space, list(cells.iloc[begin : begin + CHUNK].itertuples(index=False, name=None)), weigh)
    if progress is not None:
        progress(len(cells), len(cells))
    return rows


def _whole(space: Space, cells: list[tuple[Any, ...]], weigh: Any) -> list[Found]:
    """Cells evaluated on all sessions searched."""
    found, scores = weigh(space.frame(cells), 1.0)
    numbers = found[list(METRICS)].to_dict("records")
    return [
        Found(
            cell,
            "failed" if error else "done",
            math.nan if error else float(score),
            1.0,
            math.nan if error else float(score),
            str(error),
            metrics,
        )
        for cell, score, error, metrics in zip(cells, scores, found["error"], numbers, strict=True)
    ]


def _frame(rows: list[Found], space: Space, origin: str) -> pd.DataFrame:
    records = [row.row(space.names, origin) for row in rows]
    typed = space.frame([row.cell for row in rows])
    frame = pd.DataFrame(records)
    for name in space.names:  # the space knows the types: a list of mixed values is not turned into floats
        frame[name] = typed[name]
    return frame


def _question(setup: Setup, **asked: Any) -> dict[str, Any]:
    """Everything that determines which trials are made, as plain JSON values."""
    from workbench.backtest.question import config_of

    return config_of(
        setup.history,
        costs=setup.costs,
        rules=setup.rules,
        strategy={
            "name": setup.kind.name,
            "hash": setup.kind.code_hash(),
            "fixed": {name: repr(value) for name, value in setup.fixed.items()},
        },
        optimizer=asked,
    )
