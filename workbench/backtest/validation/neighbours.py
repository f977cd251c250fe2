"""Neighbours: which cells of a sweep lie beside which, so that a whole region can be judged instead of one cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import GridRefused, ParameterError

# A place of the grid that has no cell (it was refused, or never tried): it counts against the region.
ABSENT = -1
# No place at all: beyond the edge of the grid.
OUTSIDE = -2
# Cells that fill at least this share of the lattice of their values are a grid; fewer are scattered points.
FILLED = 0.4
# Scattered points: neighbours lie within this share of each parameter's range, and there are at least so many of them.
REACH = 0.1
LEAST, MOST = 8, 64
# Scattered cells whose neighbours are asked for at once.
QUERIED = 20_000
# Places that are looked at in one call, over all cells; 4 bytes each.
PLACES = 100_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """For every cell the rows of its neighbourhood, itself first.

    Attributes:
        rows: int32 (cell × place): row numbers of cells, `ABSENT` or `OUTSIDE`.
        order: the row numbers sorted by parameters: ties go to the first in this order, however the cells were given.
        scattered: False: places are grid steps. True: the nearest cells were taken.
        fair: boolean (cell): whether its neighbourhood is a fair sample of what lies around it. Always on a grid; of
            scattered cells where enough of them were drawn evenly.
    """

    rows: np.ndarray
    order: np.ndarray
    scattered: bool
    fair: np.ndarray


def neighbours_of(
    cells: pd.DataFrame,
    parameters: Sequence[str],
    *,
    radius: int = 1,
    kind: str = "auto",
    logarithmic: Collection[str] = (),
    even: np.ndarray | None = None,
    measured: np.ndarray | None = None,
) -> Neighbours:
    """The neighbourhood of every cell.

    On a grid these are the cells within ±`radius` steps of each numeric parameter, where a step leads to the next value
    that occurs (so lists and uneven spacings are fine). Values that are not numbers (text, booleans) are no neighbours
    of each other. A place inside the grid without a cell is `ABSENT`, a place beyond its edge `OUTSIDE`.

    Scattered points (drawn at random) have no steps: there the neighbours are the cells whose every numeric parameter
    differs by at most a tenth of its range, `LEAST` of the nearest at least and `MOST` at most.

    Args:
        cells: one row per cell; each parameter a column.
        radius: steps, ≥ 0; 0 makes every cell its own neighbourhood.
        kind: `steps`, `nearest`, or `auto`: steps where the cells fill at least 40 % of the lattice of their values.
        logarithmic: parameters, all above 0, whose range is measured in logarithms.
        even: boolean (cell): which cells were drawn evenly; all when None. A search crowds where it did well, and the
            crowd around a needle looks like a plateau: where a neighbourhood was measured, only even cells count.
        measured: row numbers of the cells around which even ones were drawn; a neighbourhood is measured where one of
            them lies within half the reach, and `LEAST` even cells within the reach.

    Raises:
        ParameterError: a parameter is no column or repeats, or `radius` or `kind` is none.
        GridRefused: there is no cell, two cells are the same, or there are too many places to look at.
    """
    _check(cells, parameters, radius, kind)
    codes, numeric = _codes(cells, parameters)
    sizes = codes.max(axis=0) + 1
    lattice = math.prod(int(size) for size in sizes)  # exact: the product may exceed 64 bits
    order = np.lexsort(codes.T[::-1])
    if (codes[order[1:]] == codes[order[:-1]]).all(axis=1).any():
        first = int(np.flatnonzero((codes[order[1:]] == codes[order[:-1]]).all(axis=1))[0])
        named = cells.iloc[order[first]][list(parameters)].to_dict()
        raise GridRefused(f"the cell {named} occurs twice; no region was looked for.", remedy="drop the repeat.")
    if kind == "steps" or (kind == "auto" and len(cells) >= FILLED * lattice):
        rows = _by_steps(codes, sizes, numeric, radius)
        return Neighbours(rows, order, scattered=False, fair=np.ones(len(rows), dtype=bool))
    points = coordinates(cells, [name for name, moves in zip(parameters, numeric, strict=True) if moves], logarithmic)
    kinds = np.unique(codes[:, ~numeric], axis=0, return_inverse=True)[1] if not numeric.all() else np.zeros(len(cells))
    everyone = np.ones(len(cells), dtype=bool)
    rows, fair = _by_distance(points, kinds.ravel(), everyone, least=LEAST), everyone
    if even is not None:
        centre = np.zeros(len(cells), dtype=bool)
        centre[[] if measured is None else measured] = True
        drawn = _by_distance(points, kinds.ravel(), even, least=0)
        near = _by_distance(points, kinds.ravel(), centre, least=0, reach=REACH / 2)
        fair = ((drawn >= 0).sum(axis=1) > LEAST) & ((near >= 0).sum(axis=1) + centre > 1)  # not counting itself
        rows = np.where(fair[:, None], drawn, rows)
    return Neighbours(rows, order, scattered=True, fair=fair)


def _check(cells: pd.DataFrame, parameters: Sequence[str], radius: int, kind: str) -> None:
    if not len(cells):
        raise GridRefused("there is no cell; no region was looked for.", remedy="give at least one cell.")
    for name in parameters:
        if name not in cells.columns or list(parameters).count(name) > 1:
            raise ParameterError(
                f"parameters={list(parameters)!r}: {name!r} is no column of the cells, or repeats.",
                remedy=f"the columns are {', '.join(map(str, cells.columns))}.",
            )
    if isinstance(radius, bool) or not isinstance(radius, int | np.integer) or radius < 0:
        raise ParameterError(f"radius={radius!r} must be a whole number from 0 on.", remedy="use 1.")
    if kind not in {"auto", "steps", "nearest"}:
        raise ParameterError(f"kind={kind!r} is not one of auto, steps, nearest.", remedy="use 'auto'.")


def _codes(cells: pd.DataFrame, parameters: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The position of each value among its parameter's values (cell × parameter), and which parameters are numbers."""
    columns, numeric = [], []
    for name in parameters:
        values = cells[name]
        number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        if number and values.isna().any():
            raise ParameterError(f"{name} is NaN in some cell; no region was looked for.", remedy="drop these cells.")
        # text of any value sorts and compares; two spellings of one value are the strategy's business
        columns.append(
            np.unique(values.to_numpy() if number else values.map(repr).to_numpy(str), return_inverse=True)[1]
        )
        numeric.append(bool(number))
    if not columns:
        return np.zeros((len(cells), 1), dtype=np.int64), np.zeros(1, dtype=bool)
    return np.column_stack(columns).astype(np.int64), np.array(numeric)


def _by_steps(codes: np.ndarray, sizes: np.ndarray, numeric: np.ndarray, radius: int) -> np.ndarray:
    reach = [min(radius, int(size) - 1) if moves else 0 for size, moves in zip(sizes, numeric, strict=True)]
    _refuse_too_many(len(codes), math.prod(2 * steps + 1 for steps in reach), radius)
    offsets = sorted(
        itertools.product(*(range(-steps, steps + 1) for steps in reach)),
        key=lambda offset: (sum(map(abs, offset)), offset),  # the cell itself comes first
    )
    strides = np.append(np.cumprod(sizes[::-1].astype(object))[::-1][1:], 1)
    if math.prod(int(size) for size in sizes) >= 2**62:
        raise GridRefused(
            "the lattice of the parameters' values is too large for steps; no region was looked for.",
            remedy="use kind='nearest'.",
        )
    strides = strides.astype(np.int64)
    keys = codes @ strides
    sorting = np.argsort(keys)
    ascending = keys[sorting]
    rows = np.full((len(codes), len(offsets)), OUTSIDE, dtype=np.int32)
    for place, offset in enumerate(offsets):
        beside = codes + np.array(offset)
        inside = ((beside >= 0) & (beside < sizes)).all(axis=1)
        wanted = keys[inside] + int(np.array(offset) @ strides)
        found = np.minimum(np.searchsorted(ascending, wanted), len(keys) - 1)
        rows[inside, place] = np.where(ascending[found] == wanted, sorting[found], ABSENT)
    return rows


def _by_distance(
    points: np.ndarray, kinds: np.ndarray, among: np.ndarray, *, least: int, reach: float = REACH
) -> np.ndarray:
    """The cell itself, then the nearest of those `among` that lie within reach, and `least` of them wherever they lie.

    Args:
        points: coordinates (cell × numeric parameter).
        kinds: number of the combination of values that are no numbers; only cells of one kind are neighbours.
        among: which cells may be neighbours.
    """
    from scipy.spatial import KDTree

    _refuse_too_many(len(points), MOST, 0)
    rows = np.full((len(points), MOST), OUTSIDE, dtype=np.int32)
    rows[:, 0] = np.arange(len(points))
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        others = members[among[members]]
        if len(others) == 0 or points.shape[1] == 0:
            continue
        tree, ranks = KDTree(points[others]), list(range(1, min(MOST, len(others)) + 1))
        for begin in range(0, len(members), QUERIED):
            asking = members[begin : begin + QUERIED]
            distance, near = tree.query(points[asking], k=ranks, p=math.inf)
            found = others[near]
            itself = found == asking[:, None]
            rank = np.arange(1, len(ranks) + 1) - np.cumsum(itself, axis=1)  # without the cell itself
            taken = ~itself & ((distance <= reach * (1 + 1e-9)) | (rank <= least - 1)) & (rank < MOST)
            place = np.cumsum(taken, axis=1)
            where, column = np.nonzero(taken)
            rows[asking[where], place[where, column]] = found[where, column]
    return rows


def coordinates(cells: pd.DataFrame, parameters: Sequence[str], logarithmic: Collection[str] = ()) -> np.ndarray:
    """Numeric parameters as fractions of the range they span (cell × parameter); 0 where there is no range."""
    found = np.zeros((len(cells), len(parameters)))
    for column, name in enumerate(parameters):
        values = cells[name].to_numpy(dtype=float)
        if name in logarithmic:
            values = np.log(values)
        low, high = values.min(), values.max()
        found[:, column] = (values - low) / (high - low) if high > low else 0.0
    return found


def _refuse_too_many(cells: int, places: int, radius: int) -> None:
    if cells * places > PLACES:
        raise GridRefused(
            f"{cells:,} cells with {places:,} places each within radius={radius} are more than {PLACES:,} places; no "
            "region was looked for.",
            remedy="use a smaller radius, or vary fewer parameters.",
        )
