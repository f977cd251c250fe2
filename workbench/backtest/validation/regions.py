"""Regions: the plateau of a sweep, found by judging every cell by its neighbourhood instead of by itself."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.backtest.validation.neighbours import OUTSIDE, Neighbours, neighbours_of
from workbench.errors import ParameterError

# A region's score: half of the neighbourhood does at least this well.
QUANTILE = 0.5
# Neighbours looked at in one go: 32 MB.
AT_ONCE = 4_000_000
# Neighbours within this share of the centre's own number are as good as it.
ALIKE = 0.2


@dataclass(frozen=True, slots=True)
class Region:
    """A plateau: a centre and the cells around it.

    Attributes:
        centre: parameters of the centre; plain Python values.
        score: the quantile of the metric over the neighbourhood; what the region was chosen by.
        value: the centre's own metric.
        members: the parameters of the cells of the neighbourhood that have a number, with the column `metric`; the
            centre is the first row.
        places: how many places of the neighbourhood lie inside the grid, cells that failed or were refused included.
        stability: share of the other places whose metric is within 20 % of the centre's; failed and refused cells are
            not. NaN where there is no other place: a point that stands alone cannot be called stable.
        peak: parameters of the best single cell, shown beside the centre and never chosen for itself.
        peak_value: its metric.
        row: row number of the centre in the frame.
        scattered: whether the neighbours are the nearest cells instead of grid steps.
    """

    centre: dict[str, Any]
    score: float
    value: float
    members: pd.DataFrame
    places: int
    stability: float
    peak: dict[str, Any]
    peak_value: float
    row: int
    scattered: bool

    def __repr__(self) -> str:
        return (
            f"region around {_named(self.centre)}: {len(self.members)} of {self.places} cells, score {self.score:.4f}, "
            f"centre {self.value:.4f}, stability {_share(self.stability)} "
            f"(best single cell {_named(self.peak)}: {self.peak_value:.4f})"
        )

    def _repr_html_(self) -> str:
        return (
            f"<div><b>region around {html.escape(_named(self.centre))}</b><br>{len(self.members)} of {self.places} "
            f"cells · score {self.score:.4f} · centre {self.value:.4f} · stability {_share(self.stability)}<br>"
            f'<small style="color:#777">best single cell {html.escape(_named(self.peak))}: {self.peak_value:.4f}'
            "</small></div>"
        )


def best_region(
    frame: pd.DataFrame,
    parameters: Sequence[str],
    metric: str,
    radius: int = 1,
    *,
    quantile: float = QUANTILE,
    kind: str = "auto",
) -> Region | None:
    """The region with the best score, never the best point alone.

    Args:
        frame: one row per cell, with the parameters and the metric; higher is better.
        radius, kind: see `neighbours_of`.
        quantile: the share of the neighbourhood that may do worse than the score; 0.5 is the median.

    Returns:
        The region, None where no cell has one: each failed, or most of its neighbours did.

    Raises:
        ParameterError: a column is missing, or `quantile` is not from 0 to 1.
        GridRefused: see `neighbours_of`.
    """
    values = _values(frame, metric)
    return region_at(frame, parameters, values, neighbours_of(frame, parameters, radius=radius, kind=kind), quantile)


def region_scores(
    frame: pd.DataFrame,
    parameters: Sequence[str],
    metric: str,
    radius: int = 1,
    *,
    quantile: float = QUANTILE,
    alike: float = ALIKE,
    kind: str = "auto",
) -> pd.DataFrame:
    """Every cell judged by its neighbourhood; for pictures of plateaus.

    Returns:
        The index of `frame`; `score` (NaN where the cell or too much of its neighbourhood failed), `stability` (share
        of the other places within `alike` of the cell's own number), `places` (inside the grid) and `found` (of them,
        with a number).
    """
    values = _values(frame, metric)
    around = neighbours_of(frame, parameters, radius=radius, kind=kind)
    scores = scores_of(around, values, quantile)
    inside = around.rows != OUTSIDE
    return pd.DataFrame(
        {
            "score": np.where(np.isneginf(scores), np.nan, scores),
            "stability": stability_of(around, values, alike=alike),
            "places": inside.sum(axis=1),
            "found": ((around.rows >= 0) & np.isfinite(values)[np.maximum(around.rows, 0)]).sum(axis=1),
        },
        index=frame.index,
    )


def region_at(
    cells: pd.DataFrame,
    parameters: Sequence[str],
    values: np.ndarray,
    around: Neighbours,
    quantile: float = QUANTILE,
    *,
    among: np.ndarray | None = None,
) -> Region | None:
    """The best region by ready neighbours: for many folds over the same cells.

    Args:
        values: one number per cell.
        among: boolean (cell), which may be a centre; all when None.
    """
    row = best_row(around, values, quantile, among=among)
    if row is None:
        return None
    places = around.rows[row]
    rows = places[places >= 0]
    rows = rows[np.isfinite(values[rows])]
    peak = _first(around, np.where(np.isfinite(values), values, -np.inf))
    names = list(parameters)
    return Region(
        centre=_plain(cells, names, row),
        score=float(scores_of(around, values, quantile, rows=np.array([row]))[0]),
        value=float(values[row]),
        members=cells.iloc[rows][names].assign(metric=values[rows]),
        places=int((places != OUTSIDE).sum()),
        stability=float(stability_of(around, values, rows=np.array([row]))[0]),
        peak=_plain(cells, names, peak),
        peak_value=float(values[peak]),
        row=row,
        scattered=around.scattered,
    )


def best_row(
    around: Neighbours, values: np.ndarray, quantile: float = QUANTILE, *, among: np.ndarray | None = None
) -> int | None:
    """Row number of the best region's centre; None where none has a score.

    Of regions with the same score the one whose worst quarter is better wins, then the one with the better mean. Where
    they are the same region altogether (a small grid), its best cell does, then the first by its parameters.
    """
    scores = scores_of(around, values, quantile)
    if among is not None:
        scores = np.where(among, scores, -np.inf)
    best = scores.max()
    if not np.isfinite(best):
        return None
    tied = np.flatnonzero(scores == best)
    for judge in (_lower_quarter, _mean):
        if len(tied) == 1:
            break
        judged = judge(_gathered(around.rows[tied], values))
        tied = tied[judged == judged.max()]
    tied = tied[values[tied] == values[tied].max()]
    place = np.empty(len(values), dtype=np.int64)
    place[around.order] = np.arange(len(values))
    return int(tied[np.argmin(place[tied])])


def scores_of(
    around: Neighbours, values: np.ndarray, quantile: float = QUANTILE, *, rows: np.ndarray | None = None
) -> np.ndarray:
    """The score of each cell's neighbourhood, −inf where the cell has no number or too many neighbours have none.

    The quantile is a number that occurs (the lower one where it falls between two), and a place without a number counts
    as the worst of all.

    Args:
        values: the metric, one number per cell; NaN and ±infinity are the worst.
        rows: only these cells; all when None.
    """
    if not 0.0 <= quantile <= 1.0:
        raise ParameterError(f"quantile={quantile!r} must lie from 0 to 1.", remedy="use 0.5, the median.")
    chosen = np.arange(len(values)) if rows is None else rows
    found = _in_parts(lambda part: _quantile(_gathered(around.rows[part], values), quantile), chosen, around)
    return np.where(np.isfinite(values[chosen]), found, -np.inf)


def stability_of(
    around: Neighbours, values: np.ndarray, *, alike: float = ALIKE, rows: np.ndarray | None = None
) -> np.ndarray:
    """Share of the other places whose number is within `alike` (0.2: 20 %) of the cell's own; NaN without any."""
    if not alike >= 0.0:
        raise ParameterError(f"alike={alike!r} must be a share from 0 on.", remedy="use 0.2.")
    chosen = np.arange(len(values)) if rows is None else rows

    def share(part: np.ndarray) -> np.ndarray:
        own = np.where(np.isfinite(values[part]), values[part], np.nan)[:, None]
        others = around.rows[part][:, 1:]
        count = (others != OUTSIDE).sum(axis=1)
        # a failed or missing neighbour is −inf, one beyond the edge NaN: neither is near
        near = np.abs(_gathered(others, values) - own) <= alike * np.abs(own)
        return np.where((count > 0) & np.isfinite(own[:, 0]), near.sum(axis=1) / np.maximum(count, 1), np.nan)

    return _in_parts(share, chosen, around)


def _in_parts(compute: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, around: Neighbours) -> np.ndarray:
    """One number per row; a million cells are not gathered at once."""
    found = np.empty(len(rows))
    step = max(1, AT_ONCE // around.rows.shape[1])
    for begin in range(0, len(rows), step):
        found[begin : begin + step] = compute(rows[begin : begin + step])
    return found


def _gathered(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The number at each place: −inf where a cell is missing or failed, NaN beyond the edge."""
    taken = np.where(np.isfinite(values), values, -np.inf)[np.maximum(rows, 0)]
    return np.where(rows >= 0, taken, np.where(rows == OUTSIDE, np.nan, -np.inf))


def _quantile(found: np.ndarray, quantile: float) -> np.ndarray:
    ascending = np.sort(found, axis=1)  # NaN, beyond the edge, comes last
    count = (~np.isnan(found)).sum(axis=1)
    picked: np.ndarray = ascending[np.arange(len(found)), np.floor(quantile * (count - 1) + 1e-9).astype(np.int64)]
    return picked


def _lower_quarter(found: np.ndarray) -> np.ndarray:
    return _quantile(found, 0.25)


def _mean(found: np.ndarray) -> np.ndarray:
    here = np.isfinite(found)
    total: np.ndarray = np.where(here, found, 0.0).sum(axis=1) / np.maximum(here.sum(axis=1), 1)
    return total


def _first(around: Neighbours, values: np.ndarray) -> int:
    return int(around.order[int(np.argmax(values[around.order]))])


def _values(frame: pd.DataFrame, metric: str) -> np.ndarray:
    if metric not in frame.columns:
        raise ParameterError(
            f"metric={metric!r} is no column of the frame; no region was looked for.",
            remedy=f"the columns are {', '.join(map(str, frame.columns))}.",
        )
    values: np.ndarray = frame[metric].to_numpy(dtype=float)
    return values


def _plain(cells: pd.DataFrame, parameters: Sequence[str], row: int) -> dict[str, Any]:
    """A cell's parameters as Python values: numpy's do not travel into JSON or strict models."""
    found = {name: cells[name].iloc[row] for name in parameters}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in found.items()}


def _named(cell: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in cell.items()
    )


def _share(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.0%}"
