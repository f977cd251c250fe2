"""Comparing runs: side by side, against a benchmark, and against the luck of having tried many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest import ledger, metrics
from workbench.backtest.luck import significance, trials
from workbench.backtest.luck.cells import traded
from workbench.backtest.luck.overfitting import blocks_for, probability_of_overfitting
from workbench.backtest.luck.reality_check import reality_check
from workbench.backtest.luck.trials import Trials
from workbench.backtest.metrics import relative
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.run import Run
    from workbench.store.workspace import Workspace

HEADLINES = (
    "total_return",
    "cagr",
    "annual_volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "exposure",
    "turnover",
    "trades",
    "win_rate",
    "cost",
)


def compare(runs: Sequence[Run], *, benchmark: Run, workspace: Workspace | None = None) -> pd.DataFrame:
    """One row per run, in the order given, with its numbers, its odds and its distance from the benchmark.

    Args:
        runs: backtests of one or several strategies.
        benchmark: the run to be better than.
        workspace: its ledger remembers every strategy ever tried on the same data slice, in any session and notebook;
            without it only the runs at hand count, which flatters the best of them.

    Returns:
        Index: the run's title. Columns: the headline numbers; `sharpe_low`, `sharpe_high` (95 % interval); `alpha`,
        `beta`, `correlation`, `tracking_error`, `information_ratio`, `up_capture`, `down_capture` (see `relative`);
        `psr` (probability that the true Sharpe ratio is above 0), `dsr` (the same, above what the best of `trials`
        worthless strategies would show), `trials` (how many were counted, the benchmark among them), `record` and
        `record_needed` (sessions observed, and needed for psr 0.95); `pbo` and `spa_p`, which judge the choice among
        the runs and not one of them: how often the best of one half of the sessions came out in the lower half of the
        other, and the chance of so good a best run if none is better than the benchmark (consistent). They are the same
        in every row that they judge: the runs, at least two and without the benchmark, over the benchmark's sessions.
        NaN where a number is undefined.

    Raises:
        BacktestError: there is no run to compare.
    """
    if not runs:
        raise BacktestError("there is no run to compare.", remedy="pass at least one.")
    against = returns_of(benchmark)
    rows = [_row(run, against, _tried(run, [*runs, benchmark], workspace)) for run in runs]
    table = pd.DataFrame(rows, index=pd.Index([run.title for run in runs], name="run"))
    judged = _judged_together(runs, benchmark)
    pbo, spa_p = _choice([runs[row] for row in judged], benchmark)
    for name, value in (("pbo", pbo), ("spa_p", spa_p)):
        table[name] = [value if row in judged else math.nan for row in range(len(runs))]
    return table


def best(runs: Sequence[Run], *, by: str = "sharpe") -> Run:
    """The run with the highest `by` of its summary; undefined ranks last, the first of equals wins.

    Raises:
        BacktestError: no run has that number.
    """
    ranked = [run for run in runs if run.summary.get(by) is not None]
    if not ranked:
        raise BacktestError(
            f"none of the {len(runs)} runs has a defined {by!r}.",
            remedy="look at their summaries: did any of them trade?",
        )
    return max(ranked, key=lambda run: run.summary[by] or 0.0)


def returns_of(run: Run) -> pd.Series:
    """The returns of a backtest, from its second session on."""
    returns: pd.Series = run.table("equity")["return"].iloc[1:]
    return returns


def _tried(run: Run, at_hand: Sequence[Run], workspace: Workspace | None) -> Trials:
    """Every idea that was tried on the run's data slice."""
    data_slice = ledger.slice_hash(run.study)
    stored = Trials.none() if workspace is None else trials.tried(workspace.engine, data_slice)
    here = [other for other in at_hand if ledger.slice_hash(other.study) == data_slice]
    keys = np.array([trials.key_of(other) for other in here], dtype=np.uint64)
    return stored.joined(Trials.of(keys, np.array([_number(other.summary.get("sharpe")) for other in here])))


def _row(run: Run, against: pd.Series, tried: Trials) -> dict[str, float]:
    returns, periods = returns_of(run), run.study.bars_per_year
    low, high = run.intervals.get("sharpe", (math.nan, math.nan))
    return {
        **{name: _number(run.summary.get(name)) for name in HEADLINES},
        "sharpe_low": low,
        "sharpe_high": high,
        "alpha": relative.alpha(returns, against, periods=periods),
        "beta": relative.beta(returns, against),
        "correlation": relative.correlation(returns, against),
        "tracking_error": relative.tracking_error(returns, against, periods=periods),
        "information_ratio": relative.information_ratio(returns, against, periods=periods),
        "up_capture": relative.up_capture(returns, against, periods=periods),
        "down_capture": relative.down_capture(returns, against, periods=periods),
        "psr": significance.psr_of(returns),
        "dsr": significance.dsr_of(returns, trials=tried.count, variance=tried.variance / periods),
        "trials": float(tried.count),
        "record": float(len(returns)),
        "record_needed": significance.min_track_record_length(
            metrics.sharpe(returns, periods=1), skew=metrics.skewness(returns), kurtosis=metrics.kurtosis(returns)
        ),
    }


def _judged_together(runs: Sequence[Run], benchmark: Run) -> list[int]:
    """Which of the runs cover the benchmark's sessions and are not the benchmark, each answer once."""
    sessions = returns_of(benchmark).index
    seen = {benchmark.config_hash}
    found = []
    for row, run in enumerate(runs):
        if run.config_hash not in seen and returns_of(run).index.equals(sessions):
            seen.add(run.config_hash)
            found.append(row)
    return found


def _choice(runs: Sequence[Run], benchmark: Run) -> tuple[float, float]:
    """PBO and the consistent p-value of the best; NaN where it takes more runs that traded, or more sessions."""
    if len(runs) < 2:
        return math.nan, math.nan
    returns = np.column_stack([returns_of(run).to_numpy(dtype=float) for run in runs])
    against = returns_of(benchmark).to_numpy(dtype=float)
    blocks = blocks_for(len(returns))
    if np.count_nonzero(traded(returns)) < 2 or not np.isfinite(against).all():
        return math.nan, math.nan
    pbo = probability_of_overfitting(returns, blocks=blocks).pbo if blocks else math.nan
    tested = reality_check(returns, against, seed=abs(benchmark.study.seed))
    return pbo, math.nan if tested is None else tested.plain.consistent


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
