"""A run on one sheet: its question first, then its numbers with their intervals, then its figures."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.report.shown import show
from workbench.report.tables import ABSENT, FRACTIONS, Table, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    import plotly.graph_objects as go

    from workbench.run import Run

_WORST = 5
_COUNTS = frozenset({"trades", "open_trades", "longest_drawdown"})
_LAST = 10


@dataclass(frozen=True)
class TearSheet:
    """Figures and tables of one run.

    As the last line of a cell it displays its head and tables, then each figure.

    Attributes:
        lines: the head: the study, who answered, what must be said about the data.
        tables: `metrics` and, where the run has what they need, `worst drawdowns` and `last trades`.
        figures: `equity` and, where the run has what they need, `monthly returns` and `weights`.
    """

    lines: tuple[str, ...]
    tables: Mapping[str, Table]
    figures: Mapping[str, go.Figure]

    def __repr__(self) -> str:
        drawn = [f"figure · {name}" for name in self.figures]
        return "\n\n".join(["\n".join(self.lines), *map(repr, self.tables.values()), "\n".join(drawn)])

    def _repr_html_(self) -> str:
        first, *rest = self.lines
        head = f'<p class="wb-note">{html.escape(first)}</p>' + "".join(f"<p>{html.escape(line)}</p>" for line in rest)
        return f'<div class="wb-tearsheet">{head}{"".join(map(_markup, self.tables.values()))}</div>'

    def _ipython_display_(self) -> None:
        from IPython.display import publish_display_data

        publish_display_data({"text/html": self._repr_html_(), "text/plain": repr(self)})  # type: ignore[no-untyped-call] # IPython annotates only half of it
        for figure in self.figures.values():
            show(figure)


def tearsheet(run: Run, *, benchmark: Run | pd.Series | None = None) -> TearSheet:
    """A run on one sheet.

    Args:
        run: with a table `equity` (book value per session); `weights` and `trades` are used where they are.
        benchmark: a run with such a table, or values per session; drawn as if it had started with the same money.

    Raises:
        NoData: the run has no equity.
    """
    from workbench.report import figures as draw
    from workbench.report.figures.asked import equity_of

    equity = equity_of(run)
    other = None if benchmark is None else benchmark if isinstance(benchmark, pd.Series) else equity_of(benchmark)
    name = "benchmark" if benchmark is None or isinstance(benchmark, pd.Series) else benchmark.title
    figures = {
        "equity": draw.equity(
            equity, benchmark=other, label=run.label, title=run.title, name=run.title, benchmark_name=name
        )
    }
    returns = equity.pct_change(fill_method=None).dropna()
    if len(returns):
        figures["monthly returns"] = draw.monthly_returns(returns, label=run.label)
    weights = run.tables.get("weights")
    if weights is not None and weights.notna().any(axis=None):
        figures["weights"] = draw.weights(weights, label=run.label)
    tables = {"metrics": _metrics(run)}
    worst = worst_drawdowns(equity)
    if len(worst):
        tables["worst drawdowns"] = table(
            worst, formats={"depth": ".1%"}, caption="Worst drawdowns", label=run.label, index=False
        )
    trades = run.tables.get("trades")
    if trades is not None and len(trades):
        caption = f"Last {min(_LAST, len(trades))} of {len(trades):,} trades (round trips)"
        tables["last trades"] = table(trades.tail(_LAST), caption=caption, label=run.label, index=False)
    stored = " · stored answer" if run.reused else ""
    lines = (run.study.line, f"{run.title} · {run.kind}{stored}", run.label)
    return TearSheet(lines=lines, tables=tables, figures=figures)


def worst_drawdowns(equity: pd.Series, *, most: int = _WORST) -> pd.DataFrame:
    """The deepest losses from a highest value until it was reached again, deepest first.

    Args:
        equity: book value per session.

    Returns:
        Columns peak, trough and recovered (sessions; recovered is NaT where it has not happened), depth (fraction,
        < 0), sessions (from the peak to the recovery, or to the last session).
    """
    values = equity.dropna().astype("float64")
    top = values.cummax()
    below = (values < top).to_numpy()
    starts = np.flatnonzero(below & ~np.concatenate([[False], below[:-1]])).tolist()
    rows = []
    for start in starts:
        after = np.flatnonzero(~below[start:])
        stop = start + int(after[0]) if len(after) else len(values)
        loss = values.iloc[start:stop] / top.iloc[start:stop] - 1
        rows.append(
            {
                "peak": values.index[start - 1],
                "trough": loss.idxmin(),
                "recovered": values.index[stop] if stop < len(values) else pd.NaT,
                "depth": float(loss.min()),
                "sessions": min(stop, len(values) - 1) - start + 1,
            }
        )
    frame = pd.DataFrame(rows, columns=["peak", "trough", "recovered", "depth", "sessions"])
    return frame.sort_values(["depth", "peak"]).head(most).reset_index(drop=True)


def _metrics(run: Run) -> Table:
    def text(metric: str, value: float | None) -> str:
        if value is None or value != value:  # noqa: PLR0124 - NaN differs from itself
            return ABSENT
        if metric in FRACTIONS:
            return f"{value:,.2%}"
        return f"{value:,.0f}" if metric in _COUNTS else f"{value:,.2f}"

    rows = []
    for metric, value in run.summary.items():
        low, high = run.intervals.get(metric, (None, None))
        shown = "undefined" if value is None else text(metric, value)
        rows.append((metric.replace("_", " "), shown, text(metric, low), text(metric, high)))
    return Table(
        columns=("metric", "value", "low", "high"),
        rows=tuple(rows),
        left=(True, False, False, False),
        caption="Metrics; low and high bound the bootstrap interval",
        note=run.label,
        synthetic=run.label.upper().startswith("SYNTHETIC"),
    )


def _markup(shown: Table) -> str:
    return shown._repr_html_()
