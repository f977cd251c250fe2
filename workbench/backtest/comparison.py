"""Comparing runs: side by side, against a benchmark, and against the luck of having tried many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest import ledger, metrics
from workbench.backtest.luck import significance
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
        `record_needed` (sessions observed, and needed for psr 0.95). NaN where a number is undefined.

    Raises:
        BacktestError: there is no run to compare.
    """
    if not runs:
        raise BacktestError("there is no run to compare.", remedy="pass at least one.")
    against = returns_of(benchmark)
    rows = [_row(run, against, _trials(run, [*runs, benchmark], workspace)) for run in runs]
    return pd.DataFrame(rows, index=pd.Index([run.title for run in runs], name="run"))


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


def _trials(run: Run, at_hand: Sequence[Run], workspace: Workspace | None) -> dict[str, float]:
    """Annual Sharpe ratio by strategy hash of all that were tried on the run's data slice."""
    data_slice = ledger.slice_hash(run.study)
    stored = {} if workspace is None else ledger.sharpes(workspace.engine, data_slice)
    here = {
        str(other.config["strategy"]["hash"]): _number(other.summary.get("sharpe"))
        for other in at_hand
        if ledger.slice_hash(other.study) == data_slice
    }
    return stored | here


def _row(run: Run, against: pd.Series, tried: dict[str, float]) -> dict[str, float]:
    returns = returns_of(run)
    ratios = np.array([value for value in tried.values() if not math.isnan(value)]) / math.sqrt(metrics.YEAR)
    low, high = run.intervals.get("sharpe", (math.nan, math.nan))
    return {
        **{name: _number(run.summary.get(name)) for name in HEADLINES},
        "sharpe_low": low,
        "sharpe_high": high,
        "alpha": relative.alpha(returns, against),
        "beta": relative.beta(returns, against),
        "correlation": relative.correlation(returns, against),
        "tracking_error": relative.tracking_error(returns, against),
        "information_ratio": relative.information_ratio(returns, against),
        "up_capture": relative.capture(returns, against, up=True),
        "down_capture": relative.capture(returns, against, up=False),
        "psr": significance.psr_of(returns),
        "dsr": significance.dsr_of(
            returns, trials=len(tried), variance=float(ratios.var(ddof=1)) if len(ratios) > 1 else math.nan
        ),
        "trials": float(len(tried)),
        "record": float(len(returns)),
        "record_needed": significance.min_track_record_length(
            metrics.sharpe(returns, periods=1), skew=metrics.skewness(returns), kurtosis=metrics.kurtosis(returns)
        ),
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
