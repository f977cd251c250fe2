"""A sweep as a map: a metric over two parameters, with the best region framed and what failed told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from workbench.backtest.validation.regions import best_region
from workbench.errors import ParameterError
from workbench.report.figures.canvas import evenly, finish, is_synthetic, plain, small, strides
from workbench.report.figures.sweep_cells import Cells, cells_of, ranks_of, text_of
from workbench.report.theme import BLUE, GREY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.run import Run

# Values drawn along an axis at most, and marks of cells without a number.
ALONG = 130
_MARKS = 300
_MESSAGE = 90
_TICKS = 12
# What a place of the map holds; where several cells share one, the highest counts.
_EMPTY, _UNDEFINED, _FAILED, _KNOWN = range(4)


def heatmap(
    run: Run,
    *,
    x: str | None = None,
    y: str | None = None,
    metric: str = "sharpe",
    at: Mapping[str, Any] | None = None,
    parameters: Sequence[str] | None = None,
) -> go.Figure:
    """A metric over two parameters, with the best region framed: the cell whose surroundings are best as a whole.

    A plateau is worth more than a peak: framed is the best region of `workbench.backtest.validation.regions`, the 3 × 3
    cells with the best median; the single best cell has a small ring only. Cells that failed are grey with a cross,
    cells without a defined value have a dot, and cells that were not asked are empty.

    Args:
        run: of kind `sweep`, with a table `cells`.
        x, y: two parameters; the first two that vary when None.
        at: fixed values of other parameters; over those not named here the best cell is shown.
        parameters: the columns that are parameters; see `cells_of`.

    Raises:
        NoData: no cell has a value.
        ParameterError: a name is no parameter, a fixed value is in no cell, or fewer than two parameters vary.
    """
    cells = cells_of(run, metric, parameters=parameters)
    across, up = _two(cells, x, y)
    keep, fixed = _fixed(cells, {} if at is None else at, drawn=(across, up))
    places, levels = ranks_of(cells)
    column, row = (cells.parameters.index(name) for name in (across, up))
    grid, state, message = _pooled(cells, places[:, [column, row]], keep, (len(levels[column]), len(levels[row])))
    if not np.isfinite(grid).any():
        raise ParameterError(f"no cell with {fixed} has a value; nothing was drawn.", remedy="fix other values.")
    names_x, names_y = ([text_of(value) for value in levels[number]] for number in (column, row))
    best = np.unravel_index(int(np.nanargmax(-grid if cells.shown.less else grid)), grid.shape)
    region = _region(grid, state, (levels[row], levels[column]), less=cells.shown.less)
    must_y = [int(best[0]), *(region[0] if region else [])]
    must_x = [int(best[1]), *(region[1] if region else [])]
    drawn_x, drawn_y = _picked(len(names_x), must_x), _picked(len(names_y), must_y)
    shown = grid[np.ix_(drawn_y, drawn_x)] * cells.shown.factor
    labels_x, labels_y = [plain(names_x[i]) for i in drawn_x], [plain(names_y[i]) for i in drawn_y]
    figure = go.Figure()
    figure.add_heatmap(
        z=small(shown),
        x=labels_x,
        y=labels_y,
        **_colours(shown, less=cells.shown.less),
        hoverongaps=False,
        hovertemplate=f"{plain(across)}=%{{x}} · {plain(up)}=%{{y}} · %{{z:.4g}} {cells.shown.unit}<extra></extra>",
        colorbar={
            "title": {"text": _unit(cells), "side": "top", "font": {"size": 12}},
            "thickness": 10,
            "outlinewidth": 0,
        },
    )
    _states(figure, state[np.ix_(drawn_y, drawn_x)], message, (drawn_y, drawn_x), (labels_y, labels_x))
    at_best = {"x": [plain(names_x[int(best[1])])], "y": [plain(names_y[int(best[0])])]}
    _ring(figure, at_best, name=f"best cell: {cells.shown.text(float(grid[best]))}")
    said = "no region: too many neighbours have no number"
    if region:
        middle = cells.shown.text(region[2])
        _frame(figure, region, drawn_x, drawn_y, name=f"best region: median {middle}")
        spans = [
            f"{name} {names[at[0]]}…{names[at[-1]]}"
            for name, names, at in ((across, names_x, region[1]), (up, names_y, region[0]))
        ]
        said = f"best region {', '.join(spans)} (median {middle})"
    others = "" if len(cells.parameters) == 2 else f", {fixed}" if fixed else ""
    free = [name for name in cells.parameters if name not in {across, up, *(at or {})}]
    pooled = f", best over {', '.join(free)}" if free else ""
    for axis, name, drawn, names in (("xaxis", across, drawn_x, names_x), ("yaxis", up, drawn_y, names_y)):
        some = "" if len(drawn) == len(names) else f" ({len(drawn)} of {len(names)} values)"
        ticks = [plain(names[i]) for i in drawn[:: strides(len(drawn), _TICKS)]]
        figure.update_layout(
            {axis: {"title": {"text": plain(name) + some}, "type": "category", "tickmode": "array", "tickvals": ticks}}
        )
    figure.update_xaxes(showgrid=False, tickangle=0)
    figure.update_yaxes(showgrid=False)
    kept = np.flatnonzero(keep & np.isfinite(cells.numbers))
    single = int(kept[np.argmax(cells.scores[kept])])
    failed = sum(bool(error) for error, asked in zip(cells.errors, keep, strict=True) if asked)
    return finish(
        figure,
        title=f"{cells.shown.words.capitalize()} by {across} and {up}{others}{pooled}",
        text=f"{cells.shown.words} of {int(keep.sum()):,} cells: {said}, best cell {cells.named(single)} "
        f"({cells.shown.text(cells.numbers[single])})" + (f", {failed:,} failed" if failed else ""),
        label=run.label,
        synthetic=is_synthetic(run.label, synthetic=None),
        height=520,
    )


def _two(cells: Cells, x: str | None, y: str | None) -> tuple[str, str]:
    for name in (x, y):
        if name is not None and name not in cells.parameters:
            raise ParameterError(
                f"{name!r} is no parameter that varies.", remedy=f"use two of {', '.join(cells.parameters)}."
            )
    free = [name for name in cells.parameters if name not in {x, y}]
    across = free.pop(0) if x is None and free else x
    up = free.pop(0) if y is None and free else y
    if across is None or up is None or across == up:
        raise ParameterError(
            f"a heatmap needs two different parameters that vary; here {', '.join(cells.parameters)} does.",
            remedy="draw stability(run) instead, or sweep over a second parameter.",
        )
    return across, up


def _fixed(cells: Cells, at: Mapping[str, Any], *, drawn: tuple[str, str]) -> tuple[NDArray[np.bool_], str]:
    """(which cells have the fixed values, the values as text)."""
    keep = np.ones(len(cells.numbers), dtype=bool)
    for name, value in at.items():
        if name not in cells.parameters or name in drawn:
            raise ParameterError(
                f"at={name!r} is no parameter that could be fixed here.",
                remedy=f"fix one of {', '.join(set(cells.parameters) - set(drawn)) or 'none'}.",
            )
        keep &= (cells.table[name] == value).to_numpy()
        if not keep.any():
            values = ", ".join(text_of(one) for one in cells.table[name].unique()[:12])
            raise ParameterError(f"no cell has {name}={value!r}.", remedy=f"it was swept over {values}.")
    return keep, ", ".join(f"{name}={text_of(value)}" for name, value in at.items())


def _pooled(
    cells: Cells, places: NDArray[np.int64], keep: NDArray[np.bool_], shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.int8], dict[tuple[int, int], str]]:
    """Per place (y × x): the best number, what it holds, and why it failed."""
    rows = np.flatnonzero(keep)
    up, across = places[rows, 1], places[rows, 0]
    failed = np.array([bool(cells.errors[row]) for row in rows], dtype=bool)
    kinds = np.where(np.isfinite(cells.numbers[rows]), _KNOWN, np.where(failed, _FAILED, _UNDEFINED))
    state = np.full(shape[::-1], _EMPTY, dtype=np.int8)
    np.maximum.at(state, (up, across), kinds.astype(np.int8))
    grid = np.full(shape[::-1], np.nan)
    worst_first = np.argsort(np.nan_to_num(cells.scores[rows], nan=-np.inf), kind="stable")
    grid[up[worst_first], across[worst_first]] = cells.numbers[rows[worst_first]]
    message = {(int(up[i]), int(across[i])): cells.errors[rows[i]] for i in np.flatnonzero(failed)}
    return grid, state, message


# Rows, columns and median of a region.
_Place = tuple[list[int], list[int], float]


def _region(
    grid: NDArray[np.float64], state: NDArray[np.int8], levels: tuple[tuple[Any, ...], tuple[Any, ...]], *, less: bool
) -> _Place | None:
    """The best region of what is drawn, by `workbench.backtest.validation.regions`; None where there is none."""
    rows, columns = np.nonzero(state != _EMPTY)
    asked = pd.DataFrame({"y": [levels[0][i] for i in rows], "x": [levels[1][i] for i in columns]})
    numbers = grid[rows, columns]
    found = best_region(asked.assign(score=-numbers if less else numbers), ["y", "x"], "score")
    if found is None:
        return None
    members = found.members.index.to_numpy()
    return (
        sorted(set(rows[members].tolist())),
        sorted(set(columns[members].tolist())),
        -found.score if less else found.score,
    )


def _frame(
    figure: go.Figure, region: _Place, drawn_x: NDArray[np.int64], drawn_y: NDArray[np.int64], *, name: str
) -> None:
    """A dark line inside a light one around the region: it is seen on every colour of the map."""
    box: dict[str, float] = {}
    for letter, at, drawn in (("x", region[1], drawn_x), ("y", region[0], drawn_y)):
        ends = np.interp([at[0], at[-1]], drawn, np.arange(len(drawn)))
        box |= {f"{letter}0": float(ends[0]) - 0.5, f"{letter}1": float(ends[1]) + 0.5}
    figure.add_shape(type="rect", **box, line={"color": "#FFFFFF", "width": 5})
    figure.add_shape(type="rect", **box, line={"color": "#000000", "width": 2})
    _in_legend(figure, "square-open", name)


def _ring(figure: go.Figure, at: dict[str, list[str]], *, name: str) -> None:
    """A dark ring inside a light one."""
    for colour, size, width in (("#FFFFFF", 12, 5), ("#000000", 12, 2)):
        figure.add_scatter(
            **at,
            mode="markers",
            showlegend=False,
            marker={"symbol": "circle-open", "size": size, "color": colour, "line": {"width": width, "color": colour}},
            hoverinfo="skip",
        )
    _in_legend(figure, "circle-open", name)


def _in_legend(figure: go.Figure, symbol: str, name: str) -> None:
    """A line of the legend in a grey that is seen on every page."""
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 12, "color": GREY, "line": {"width": 3, "color": GREY}},
        hoverinfo="skip",
    )


def _states(
    figure: go.Figure,
    state: NDArray[np.int8],
    message: dict[tuple[int, int], str],
    drawn: tuple[NDArray[np.int64], NDArray[np.int64]],
    labels: tuple[list[str], list[str]],
) -> None:
    """Cells without a number, each kind in its own look and with its own line in the legend."""
    lacking = (state == _FAILED) | (state == _UNDEFINED)
    if lacking.any():
        tint = "rgba(127,127,127,0.30)"
        figure.add_heatmap(
            z=small(np.where(lacking, 0.0, np.nan)),
            x=labels[1],
            y=labels[0],
            colorscale=[[0, tint], [1, tint]],
            showscale=False,
            hoverinfo="skip",
        )
    for kind, name, symbol in ((_FAILED, "failed", "x-thin"), (_UNDEFINED, "undefined", "circle")):
        rows, columns = np.nonzero(state == kind)
        if not len(rows):
            continue
        picked = evenly(len(rows), _MARKS)
        why = [message.get((int(drawn[0][rows[i]]), int(drawn[1][columns[i]])), name) for i in picked]
        figure.add_scatter(
            x=[labels[1][columns[i]] for i in picked],
            y=[labels[0][rows[i]] for i in picked],
            mode="markers",
            name=f"{name} ({len(rows):,})",
            marker={"symbol": symbol, "size": 6, "color": GREY, "line": {"width": 1.4, "color": GREY}},
            text=[plain(text if len(text) <= _MESSAGE else text[: _MESSAGE - 1] + "…") for text in why],
            hovertemplate="%{x} · %{y}: %{text}<extra></extra>",
        )


def _colours(shown: NDArray[np.float64], *, less: bool) -> dict[str, Any]:
    """The colour scale and its ends.

    Numbers on both sides of 0 get the diverging scale of the page. One side only: the better, the more blue; the worst
    is almost transparent, which is faint on every page.
    """
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    if low < 0 < high and not less:
        reach = max(-float(np.nanquantile(shown, 0.02)), float(np.nanquantile(shown, 0.98)), 1e-9)
        return {"autocolorscale": True, "zmin": -reach, "zmax": reach}
    if low == high:
        low, high = low - 0.5, high + 0.5
    scale = [[0, "rgba(0,114,178,0.06)"], [1, BLUE]]
    return {"colorscale": scale, "reversescale": less, "zmin": low, "zmax": high}


def _unit(cells: Cells) -> str:
    return cells.shown.unit if cells.shown.unit != "ratio" else cells.shown.words


def _picked(length: int, always: list[int]) -> NDArray[np.int64]:
    """At most `ALONG` positions of an axis, evenly, with the ends and those that must be seen."""
    return np.unique([*evenly(length, ALONG), *always]).astype(np.int64)
