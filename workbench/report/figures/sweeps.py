"""All cells of a sweep in one picture: parallel coordinates, and each cell against its neighbours (plateau or peak)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from workbench.backtest.validation.neighbours import neighbours_of
from workbench.backtest.validation.regions import region_at, scores_of, stability_of
from workbench.errors import ParameterError
from workbench.report.figures.canvas import evenly, finish, is_synthetic, plain, small, strides
from workbench.report.figures.measures import percent
from workbench.report.figures.sweep_cells import Cells, cells_of, ranks_of, text_of
from workbench.report.theme import BLUE, GREY, VERMILLION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workbench.backtest.validation.neighbours import Neighbours
    from workbench.backtest.validation.regions import Region
    from workbench.run import Run

# Lines or points of one figure at most; that many of the best cells are among them in any case.
LINES = 2_000
TOP = 200
# Points of all lines together: 11 characters each.
_POINTS = 20_000
# Values written along one axis of the parallel coordinates.
_TICKS = 7


def parallel(run: Run, *, metric: str = "sharpe", parameters: Sequence[str] | None = None) -> go.Figure:
    """Parallel coordinates: a line per cell through its parameters to its metric; the best 5 % stand out.

    Of many cells the best 200 are all drawn and the others evenly by rank, at most 2,000 lines together. Each axis of a
    parameter has its values evenly spaced in their order; cells without a value are left out and counted in the text.
    Drawn with plain lines: plotly's own kind needs WebGL, which a printed page and many remote screens do not have.

    Raises:
        NoData: no cell has a value.
        ParameterError: a name is no column.
    """
    cells = cells_of(run, metric, parameters=parameters)
    places, levels = ranks_of(cells)
    known = np.flatnonzero(np.isfinite(cells.numbers))
    order = known[np.argsort(cells.scores[known], kind="stable")]
    drawn = _some(order, min(LINES, _POINTS // (3 * len(levels))))
    ticks = _nice(float(cells.numbers[known].min()), float(cells.numbers[known].max()), cells.shown.factor)
    heights = [places[drawn, k] / max(1, len(level) - 1) for k, level in enumerate(levels)]
    heights.append((cells.numbers[drawn] * cells.shown.factor - ticks[0]) / (ticks[-1] - ticks[0]))
    gap = 0.06 * (len(levels) + 0.6)
    # Between two axes a line runs from the right of one to the labels of the next.
    along = np.concatenate([[k, k + 1 - gap, np.nan] for k in range(len(levels))])
    lines = np.column_stack([part for k in range(len(levels)) for part in (*heights[k : k + 2], heights[k] * np.nan)])
    share = np.empty(len(cells.numbers))
    share[order] = (np.arange(len(order)) + 1) / len(order)
    figure = go.Figure()
    for name, low, high, colour, alpha, width in (
        ("worse half", -1.0, 0.5, GREY, 0.25, 0.8),
        ("better half", 0.5, 0.95, BLUE, 0.25, 0.9),
        ("best 5 %", 0.95, 1.0, VERMILLION, 0.8, 1.4),
    ):
        these = lines[(share[drawn] > low) & (share[drawn] <= high)]
        if len(these):
            figure.add_scatter(
                x=small(np.tile(along, len(these))),
                y=small(these.ravel()),
                mode="lines",
                showlegend=False,
                opacity=alpha,
                line={"color": colour, "width": width},
                hoverinfo="skip",
            )
            figure.add_scatter(x=[None], y=[None], mode="lines", name=name, line={"color": colour, "width": 3})
    for k, level in enumerate(levels):
        names = [text_of(value) for value in level]
        some = range(0, len(names), strides(len(names), _TICKS))
        _upright(figure, k, cells.parameters[k], {i / max(1, len(names) - 1): names[i] for i in some}, gap=gap)
    at = {(tick - ticks[0]) / (ticks[-1] - ticks[0]): f"{tick:g}".replace("-", "−") for tick in ticks}
    _upright(figure, len(levels), cells.shown.axis, at, gap=gap)
    figure.update_xaxes(visible=False, range=[-gap - 0.02, len(levels) + 0.12])
    figure.update_yaxes(visible=False, range=[-0.06, 1.13])
    left = len(cells.numbers) - len(known)
    lowest, highest = (cells.shown.text(float(edge(cells.numbers[known]))) for edge in (np.min, np.max))
    return finish(
        figure,
        title=f"Cells by {cells.shown.words}",
        text=f"parallel coordinates: {len(drawn):,} of {len(cells.numbers):,} cells, {len(levels)} parameters and "
        f"{cells.shown.words}, from {lowest} to {highest}" + (f", {left:,} without a value" if left else ""),
        label=run.label,
        synthetic=is_synthetic(run.label, synthetic=None),
        height=500,
        margin={"b": 56, "l": 24},
    )


def stability(run: Run, *, metric: str = "sharpe", parameters: Sequence[str] | None = None) -> go.Figure:
    """Each cell's metric against the median of its neighbourhood: what stands far off the diagonal is a lonely peak.

    The neighbourhood and the best region are those of `workbench.backtest.validation.regions`: cells one step away in
    each parameter, the cell itself among them; a neighbour that failed or was refused counts as the worst. The best
    single cell and the centre of the best region are marked.

    Raises:
        NoData: no cell has a value.
        ParameterError: a name is no column, or no cell has a neighbourhood of which half has a value.
        GridRefused: a cell occurs twice.
    """
    cells = cells_of(run, metric, parameters=parameters)
    around = neighbours_of(cells.table, cells.parameters)
    region = region_at(cells.table, cells.parameters, cells.scores, around)
    if region is None:
        raise ParameterError(
            f"no cell of {run.title!r} has enough neighbours with a value; nothing was drawn.",
            remedy="sweep over neighbouring values, and look at the column error of the cells.",
        )
    sign = -1.0 if cells.shown.less else 1.0
    medians = sign * scores_of(around, cells.scores)
    both = np.flatnonzero(np.isfinite(cells.numbers) & np.isfinite(medians))
    order = both[np.argsort(cells.scores[both], kind="stable")]
    drawn = _some(order, LINES)
    factor = cells.shown.factor
    low = float(min(cells.numbers[both].min(), medians[both].min())) * factor
    high = float(max(cells.numbers[both].max(), medians[both].max())) * factor
    figure = go.Figure()
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        name="as good as its neighbourhood",
        line={"color": GREY, "width": 1.2, "dash": "dash"},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=small(medians[drawn] * factor),
        y=small(cells.numbers[drawn] * factor),
        mode="markers",
        name="cells",
        marker={"color": BLUE, "size": 5, "opacity": 0.6},
        hovertemplate="neighbourhood %{x:.4g} · cell %{y:.4g}<extra></extra>",
    )
    for name, which, shape in (("best cell", cells.best, "circle-open"), ("best region", region.row, "square-open")):
        beside = medians[which] if np.isfinite(medians[which]) else np.nan
        figure.add_scatter(
            x=small([beside * factor]),
            y=small([cells.numbers[which] * factor]),
            mode="markers",
            name=f"{name}: {plain(cells.named(which))}",
            marker={"symbol": shape, "size": 14, "color": VERMILLION, "line": {"width": 2.5, "color": VERMILLION}},
            hovertemplate=f"{name}: neighbourhood %{{x:.4g}} · cell %{{y:.4g}}<extra></extra>",
        )
    figure.update_xaxes(title_text=f"median of the neighbourhood: {cells.shown.axis}")
    figure.update_yaxes(title_text=f"the cell itself: {cells.shown.axis}")
    return finish(
        figure,
        title="Plateau or peak?",
        text=_sentence(cells, medians, around, region),
        label=run.label,
        synthetic=is_synthetic(run.label, synthetic=None),
        height=480,
    )


def _sentence(cells: Cells, medians: NDArray[np.float64], around: Neighbours, region: Region) -> str:
    shown, best = cells.shown, cells.best
    alike = stability_of(around, cells.numbers, rows=np.array([best, region.row]))

    def said(row: int, share: float) -> str:
        near = "" if share != share else f", {percent(share)} of the neighbours within 20 % of it"  # noqa: PLR0124
        beside = shown.text(medians[row]) if np.isfinite(medians[row]) else "mostly failed"
        return f"{cells.named(row)} has {shown.text(cells.numbers[row])}, its neighbourhood {beside}{near}"

    text = f"{shown.words}: the best cell {said(best, float(alike[0]))}"
    if best == region.row:
        return f"{text}; it is the centre of the best region"
    return f"{text}; the best region's centre {said(region.row, float(alike[1]))}"


def _some(order: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """All of these rows, worst first, or the best `TOP` of them and the others evenly."""
    if len(order) <= most:
        return order
    return np.concatenate([order[evenly(len(order) - TOP, most - TOP)], order[-TOP:]])


def _upright(figure: go.Figure, at: float, name: str, texts: dict[float, str], *, gap: float) -> None:
    """An axis of the parallel coordinates: its name above, and the texts at their heights to the left of it."""
    figure.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, line={"color": GREY, "width": 1.4})
    figure.add_annotation(x=at - gap / 2, y=1.04, text=f"<b>{plain(name)}</b>", showarrow=False, yanchor="bottom")
    for height, text in texts.items():
        figure.add_annotation(x=at, y=height, text=plain(text), showarrow=False, xanchor="right", xshift=-3)


def _nice(low: float, high: float, factor: float) -> NDArray[np.float64]:
    """Round numbers, 3 to 7 of them, from below the lowest to above the highest."""
    first, last = low * factor, high * factor
    spread = (last - first) or max(abs(last), 1.0)
    power = 10.0 ** math.floor(math.log10(spread / 4))
    step = next(digit * power for digit in (1, 2, 5, 10) if spread / (digit * power) <= 5)
    lowest = math.floor(first / step)
    return np.round(np.arange(lowest, max(math.ceil(last / step), lowest + 1) + 1) * step, 12)
