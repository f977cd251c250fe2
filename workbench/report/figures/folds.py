"""Out of sample, fold by fold: what was promised in grey beside what came, the equity, the chosen parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.backtest.validation.judging import JUDGED
from workbench.errors import NoData, ParameterError
from workbench.report.figures.canvas import finish, is_synthetic, plain, small, strides
from workbench.report.figures.lines import equity
from workbench.report.figures.measures import measure
from workbench.report.theme import BLUE, GREY, line_style

# Folds named on the axis at most.
_TICKS = 12
# Columns of a table of folds that are no chosen parameter.
_KNOWN = frozenset(
    {"fold", "train_start", "train_end", "test_start", "test_end", "in_sample", "out_of_sample", "region_score"}
    | {"region_cells", "stability", "decay", "cost", "error", *JUDGED, *(f"in_sample_{name}" for name in JUDGED)}
)


def fold_scores(
    folds: pd.DataFrame, *, metric: str = "sharpe", label: str, synthetic: bool | None = None, title: str | None = None
) -> go.Figure:
    """A metric per fold: in sample in grey, out of sample beside it.

    Args:
        folds: a row per fold with columns fold, test_start, and the metric in the window that chose the
            parameters and in the one that had not been seen: `in_sample` and `out_of_sample`, or the names that
            `walk_forward` gives them, `in_sample_sharpe` and `sharpe`. NaN draws no bar.

    Raises:
        NoData: there is no fold, or none has a number.
        ParameterError: a column is missing.
    """
    pair = (f"in_sample_{metric}", metric)
    columns = pair if set(pair) <= set(folds.columns) else ("in_sample", "out_of_sample")
    rows = _rows(folds, ("fold", "test_start", *columns))
    numbers = rows[list(columns)].astype("float64").set_axis(["in_sample", "out_of_sample"], axis=1)
    if not np.isfinite(numbers.to_numpy()).any():
        raise NoData("no fold has a number; nothing was drawn.", remedy="look at what each fold says about itself.")
    shown = measure(metric)
    names = [plain(str(fold)) for fold in rows["fold"]]
    days = pd.DatetimeIndex(rows["test_start"])
    figure = go.Figure()
    for column, name, colour in (("in_sample", "in sample", GREY), ("out_of_sample", "out of sample", BLUE)):
        figure.add_bar(
            x=names,
            y=small(numbers[column] * shown.factor),
            name=name,
            marker={"color": colour, "opacity": 0.45 if column == "in_sample" else 1.0},
            hovertemplate="%{y:.3g}",
        )
        middle = float(numbers[column].median())
        figure.add_hline(y=middle * shown.factor, line={"color": colour, "width": 1.2, "dash": "dash"})
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    figure.update_xaxes(
        title_text=f"fold; tests begin {days[0]:%Y-%m} to {days[-1]:%Y-%m}",
        type="category",
        tickvals=names[:: strides(len(names), _TICKS)],
        tickangle=0,
        showgrid=False,
    )
    figure.update_yaxes(title_text=shown.axis)
    before, after = (float(numbers[column].median()) for column in ("in_sample", "out_of_sample"))
    kept = int((numbers["out_of_sample"] > 0).sum())
    return finish(
        figure,
        title=title or f"{shown.words.capitalize()} per fold (dashed: medians)",
        text=f"folds: {len(rows)}, median {shown.words} {shown.text(before)} in sample, "
        f"{shown.text(after)} out of sample" + ("" if shown.less else f", above 0 in {kept}"),
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=400,
        barmode="group",
        bargap=0.3,
    )


def out_of_sample_equity(
    stitched: pd.Series,
    folds: pd.DataFrame,
    *,
    benchmark: pd.Series | None = None,
    label: str,
    synthetic: bool | None = None,
    title: str = "Out of sample, stitched together",
) -> go.Figure:
    """The equity of all test windows in a row, with its drawdown; a thin line where a fold, and its parameters, begin.

    Args:
        stitched: book value per session over the test windows.
        folds: a row per fold with column test_start.
        benchmark: values per session in any unit, scaled as in `equity`.

    Raises:
        NoData: no number to draw.
        ParameterError: a column is missing, or the benchmark shares no session with the equity.
    """
    rows = _rows(folds, ("test_start",))
    figure = equity(stitched, benchmark=benchmark, label=label, synthetic=synthetic, title=title, name="out of sample")
    for start in pd.DatetimeIndex(rows["test_start"])[1:]:
        figure.add_vline(x=f"{start:%Y-%m-%d}", line={"color": GREY, "width": 0.8, "dash": "dot"}, opacity=0.6)
    figure.layout.meta = {"text": f"{figure.layout.meta['text']}, {len(rows)} folds"}
    return figure


def parameter_drift(
    folds: pd.DataFrame,
    *,
    parameters: tuple[str, ...] | None = None,
    label: str,
    synthetic: bool | None = None,
    title: str = "Parameters chosen per fold",
) -> go.Figure:
    """Which parameters each fold chose, a panel per parameter: a rule that has found something keeps choosing alike.

    Args:
        folds: a row per fold with columns test_start, test_end and one per chosen parameter; a fold that chose none
            (None, NaN) leaves a gap.
        parameters: which columns; when None all that the table of `walk_forward` does not use for something else.

    Raises:
        NoData: there is no fold.
        ParameterError: a column is missing, or there is no parameter.
    """
    rows = _rows(folds, ("test_start", "test_end"))
    chosen = tuple(name for name in map(str, rows.columns) if name not in _KNOWN) if parameters is None else parameters
    if not chosen:
        raise ParameterError("folds has no column of a parameter.", remedy="pass the chosen parameters as columns.")
    _rows(folds, chosen)
    starts, stops = (pd.DatetimeIndex(rows[name]).strftime("%Y-%m-%d") for name in ("test_start", "test_end"))
    figure = make_subplots(rows=len(chosen), cols=1, shared_xaxes=True, vertical_spacing=0.12 / len(chosen))
    counts = []
    for number, name in enumerate(chosen, start=1):
        values = [None if pd.isna(value) else value for value in rows[name]]
        known = [value for value in values if value is not None]
        numeric = all(isinstance(value, int | float | np.number) for value in known)
        shown = [None if value is None else float(value) if numeric else plain(str(value)) for value in values]
        x = [at for start, stop in zip(starts, stops, strict=True) for at in (start, stop, None)]
        figure.add_scatter(
            x=x,
            y=[value for one in shown for value in (one, one, None)],
            mode="lines+markers",
            name=plain(name),
            line={"width": 3, "color": line_style(number - 1)["color"]},
            marker={"size": 5},
            hovertemplate=f"{plain(name)}=%{{y}}",
            row=number,
            col=1,
        )
        axis = {} if numeric else {"type": "category"}
        figure.update_yaxes(title_text=plain(name), nticks=5, row=number, col=1, **axis)
        counts.append(f"{name} {len(set(map(str, known)))} values")
    figure.update_xaxes(title_text="session tested", row=len(chosen), col=1)
    return finish(
        figure,
        title=title,
        text=f"parameters over {len(rows)} folds: {', '.join(counts)}",
        label=label,
        synthetic=is_synthetic(label, synthetic=synthetic),
        height=170 + 120 * len(chosen),
        showlegend=False,
        margin={"t": 56},
    )


def _rows(folds: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    if folds.empty:
        raise NoData("there is no fold; nothing was drawn.", remedy="walk forward over more sessions.")
    missing = [column for column in columns if column not in folds.columns]
    if missing:
        raise ParameterError(
            f"folds has no column {missing[0]!r} (it has {', '.join(map(str, folds.columns))}).",
            remedy=f"pass a frame with the columns {', '.join(columns)}.",
        )
    return folds
