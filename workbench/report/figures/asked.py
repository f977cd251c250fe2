"""Figures of what a notebook holds in its hands: a history, a run, several runs against a benchmark."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd

from workbench.errors import NoData, ParameterError
from workbench.report.figures.heatmaps import monthly_returns
from workbench.report.figures.lines import growth, price_lines
from workbench.report.figures.marks import metric_intervals
from workbench.report.tables import FRACTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

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
