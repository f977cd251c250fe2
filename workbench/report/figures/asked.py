"""Figures of what a notebook holds in its hands: a history, a run, several runs against a benchmark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workbench.errors import NoData, ParameterError
from workbench.report.figures.distributions import fan_of, redrawn, return_histogram
from workbench.report.figures.folds import fold_scores, out_of_sample_equity, parameter_drift
from workbench.report.figures.heatmaps import monthly_returns
from workbench.report.figures.lines import growth, price_lines
from workbench.report.figures.marks import metric_intervals
from workbench.report.figures.rolling import exposures, rolling_ratio
from workbench.report.figures.trade_marks import trade_excursions, trade_results
from workbench.report.tables import FRACTIONS

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from workbench.market.history import History
    from workbench.run import Run


def prices(history: History) -> go.Figure:
    """Closes of the evaluated sessions, each symbol scaled to 100 at its first, on a log scale. Raises NoData."""
    closes = history.close.loc[history.evaluated]
    return price_lines(closes, label=history.label, synthetic=history.synthetic)


def compare(runs: Sequence[Run], *, benchmark: Run | None = None) -> go.Figure:
    """Growth of 1 of several runs, with their drawdowns below; the benchmark in grey.

    Raises NoData: there is no run, or one without a table `equity`.
    """
    every = [*runs, *([benchmark] if benchmark is not None else [])]
    if not every:
        raise NoData("there is no run to draw.", remedy="pass at least one.")
    names = _names(every)
    frame = pd.DataFrame({name: equity_of(run) for name, run in zip(names, every, strict=True)})
    return growth(frame, benchmark=names[-1] if benchmark is not None else None, label=label_of(every))


def intervals(runs: Sequence[Run], *, metric: str = "sharpe") -> go.Figure:
    """One number of the summaries with its bootstrap interval, a row per run, in the order given.

    Raises:
        NoData: there is no run.
        ParameterError: a run has no such number.
    """
    rows = {}
    for name, run in zip(_names(runs), runs, strict=True):
        if metric not in run.summary:
            raise ParameterError(
                f"metric={metric!r} is not in the summary of {run.title!r}.",
                remedy=f"use one of {', '.join(run.summary)}.",
            )
        value = run.summary[metric]
        low, high = run.intervals.get(metric, (float("nan"), float("nan")))
        scale = 100 if metric in FRACTIONS else 1
        rows[name] = {
            "value": float("nan") if value is None else value * scale,
            "low": low * scale,
            "high": high * scale,
        }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])
    unit = "%" if metric in FRACTIONS else "ratio"
    return metric_intervals(frame, name=metric.replace("_", " "), unit=unit, label=label_of(runs))


def months(run: Run) -> go.Figure:
    """A run's returns by month and by year, in percent. Raises NoData: it has no table `equity`."""
    returns = equity_of(run).pct_change(fill_method=None)
    return monthly_returns(returns, label=run.label, title=f"Monthly returns of {run.title}")


def rolling_sharpe(runs: Run | Sequence[Run], *, benchmark: Run | None = None, window: int = 126) -> go.Figure:
    """Annualised Sharpe ratio of one or several runs over a moving window of bars; the benchmark in grey.

    Raises:
        NoData: there is no run, or one without a table `equity`.
        ParameterError: the window is too short, or longer than the runs.
    """
    some = [*runs] if isinstance(runs, Sequence) else [runs]
    every = [*some, *([benchmark] if benchmark is not None else [])]
    if not some:
        raise NoData("there is no run to draw.", remedy="pass at least one.")
    names = _names(every)
    frame = pd.DataFrame({name: returns_of(run) for name, run in zip(names, every, strict=True)})
    return rolling_ratio(
        frame,
        window=window,
        periods=every[0].study.bars_per_year,
        benchmark=names[-1] if benchmark is not None else None,
        label=label_of(every),
        title=f"Sharpe ratio of {some[0].title} over {window} sessions" if len(some) == 1 else None,
    )


def exposure(run: Run) -> go.Figure:
    """How much of a run's book value was at work: gross and net where there are shorts, else one line.

    Raises NoData: it has no table `equity` with the columns equity, cash and gross (or exposure).
    """
    frame = run.table("equity")
    gross = "gross" if "gross" in frame.columns else "exposure"
    missing = [name for name in ("equity", "cash", gross) if name not in frame.columns]
    if missing:
        raise NoData(
            f"the table 'equity' of {run.title!r} has no column {missing[0]!r}.",
            remedy=f"it has {', '.join(map(str, frame.columns))}.",
        )
    net = (frame["equity"] - frame["cash"]) / frame["equity"]
    both = pd.DataFrame({"gross": frame[gross], "net": net})
    return exposures(both, label=run.label, title=f"Exposure of {run.title}")


def trades(run: Run) -> go.Figure:
    """Each of a run's round trips: its return against the time it was held. Raises NoData: it has no table `trades`."""
    return trade_results(run.table("trades"), label=run.label, title=f"Trades of {run.title} by holding time")


def excursions(run: Run) -> go.Figure:
    """Each of a run's round trips: its result against the worst and the best while it was open (MAE, MFE).

    Raises NoData: it has no table `trades`.
    """
    return trade_excursions(run.table("trades"), label=run.label, title=f"How far trades of {run.title} went")


def daily_returns(run: Run) -> go.Figure:
    """The distribution of a run's daily returns with their tails. Raises NoData: it has fewer than 20 of them."""
    return return_histogram(returns_of(run), label=run.label, title=f"Daily returns of {run.title}")


def outcomes(run: Run, *, metric: str = "max_drawdown", of: str = "returns") -> go.Figure:
    """What a number of a run could have been: its distribution over the run's reshuffled histories, with its interval.

    Args:
        metric: max_drawdown, final (wealth at the end, 1 at the start), under_water or longest.
        of: `returns` (drawn in blocks) or `trades` (in another order).

    Raises:
        NoData: the run has no such table: there was too little to reshuffle.
        ParameterError: the metric is none of these.
    """
    table = run.table(f"shuffled_{of}")
    if metric not in table.columns:
        raise ParameterError(
            f"metric={metric!r} was not drawn for {run.title!r}.", remedy=f"use one of {', '.join(table.columns)}."
        )
    equity = equity_of(run)
    seen = {"final": float(equity.iloc[-1] / equity.iloc[0])} | {
        name: float("nan") if value is None else value for name, value in run.summary.items()
    }
    happened = seen.get({"longest": "longest_drawdown"}.get(metric, metric), float("nan"))
    how = "returns drawn in blocks" if of == "returns" else "trades in another order"
    return redrawn(
        table[metric],
        # falls inside a trade are not seen when trades are reordered, so what happened day by day is no peer of them
        observed=happened if of == "returns" or metric == "final" else float("nan"),
        metric=metric,
        how=how,
        label=run.label,
    )


def fan(run: Run, *, of: str = "returns") -> go.Figure:
    """What a run's same returns (or trades) could have made in another order: bands of wealth, and what happened.

    Raises NoData: the run has no table `fan_returns` or `fan_trades`: there was too little to reshuffle.
    """
    bands = run.table(f"fan_{of}")
    equity = equity_of(run).reset_index(drop=True)
    said = "returns drawn in blocks" if of == "returns" else "trades in another order"
    return fan_of(
        bands,
        observed=equity if of == "returns" else None,
        label=run.label,
        title=f"What {run.title} could have made ({said})",
    )


def folds(run: Run, *, metric: str = "sharpe") -> go.Figure:
    """The folds of a sweep's walk-forward: a metric in sample in grey beside out of sample.

    Raises NoData: the run has no table `folds`, or no fold.
    """
    return fold_scores(run.table("folds"), metric=metric, label=run.label)


def out_of_sample(run: Run) -> go.Figure:
    """The equity of a sweep's walk-forward, all test windows in a row, beside the benchmark. Raises NoData: no fold."""
    frame = run.table("equity")
    if "out_of_sample" not in frame.columns:
        raise NoData(f"{run.title!r} has no equity out of sample.", remedy="walk forward over more sessions.")
    benchmark = frame["benchmark"] if "benchmark" in frame.columns else None
    return out_of_sample_equity(
        frame["out_of_sample"].dropna(), run.table("folds"), benchmark=benchmark, label=run.label
    )


def drift(run: Run) -> go.Figure:
    """Which parameters each fold of a sweep's walk-forward chose. Raises NoData: no fold."""
    return parameter_drift(run.table("folds"), label=run.label)


def returns_of(run: Run) -> pd.Series:
    """Simple returns from session to session, from the run's table `equity`. Raises NoData where there is none."""
    returns: pd.Series = equity_of(run).pct_change(fill_method=None).iloc[1:]
    return returns


def equity_of(run: Run) -> pd.Series:
    """Book value per session, from the run's table `equity`. Raises NoData where there is none."""
    frame = run.table("equity")
    if "equity" not in frame.columns:
        raise NoData(
            f"the table 'equity' of {run.title!r} has no column 'equity'.",
            remedy=f"it has {', '.join(map(str, frame.columns))}.",
        )
    return frame["equity"]


def label_of(runs: Sequence[Run]) -> str:
    """What must be said about the data of all these runs; SYNTHETIC first, so that it cannot be overlooked."""
    labels = dict.fromkeys(run.label for run in runs)
    return " · ".join(sorted(labels, key=lambda label: not label.upper().startswith("SYNTHETIC")))


def _names(runs: Sequence[Run]) -> list[str]:
    """Short names where they tell the runs apart, else titles with parameters, numbered where two are equal."""
    short = [run.title.partition("(")[0] for run in runs]
    seen: Counter[str] = Counter()
    names = []
    for name, run in zip(short, runs, strict=True):
        shown = name if short.count(name) == 1 else run.title
        seen[shown] += 1
        names.append(shown if seen[shown] == 1 else f"{shown} #{seen[shown]}")
    return names
