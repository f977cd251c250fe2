"""The plateau of a search: the leading region is measured by cells drawn evenly before it is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.validation.neighbours import FILLED, LEAST, REACH, Neighbours, neighbours_of
from workbench.backtest.validation.regions import Region, region_at

if TYPE_CHECKING:
    from workbench.backtest.optimize.space import Space

# How many leading regions are measured at most, and by how many cells each.
ROUNDS, MEASURED = 20, 3 * LEAST

# From cells to their rows of the table of trials, evaluated on all sessions searched.
Measure = Callable[[list[tuple[Any, ...]]], pd.DataFrame]


def plateau(
    frame: pd.DataFrame, space: Space, measure: Measure, *, radius: int, seed: int, even: bool
) -> tuple[pd.DataFrame, Region | None]:
    """The best region of what was tried, and the trials with the cells that were measured for it.

    Cells that fill their grid are judged by its steps, and nothing has to be measured. Of a sample, the leading region
    is only a candidate: a sampler crowds where it did well, so that the crowd on a needle looks like a plateau, and
    pruned neighbours have no number. So cells are drawn evenly in the candidate's box (a tenth of each range to either
    side), pruned ones in it are finished, and it is judged by the even ones alone. This goes on until the leading
    region is a measured one; after 20 candidates the best measured one is taken.

    Args:
        frame: the trials; `objective` is NaN where a cell was pruned or failed.
        even: whether the search itself drew evenly.
    """
    drawn = np.full(len(frame), even)
    covered = space.size is not None and len(frame) >= FILLED * space.size
    measured: list[tuple[Any, ...]] = []
    for attempt in range(ROUNDS + 1):
        cells = list(frame[list(space.names)].itertuples(index=False, name=None))
        known = {cell: row for row, cell in enumerate(cells)}
        around = _around(frame, space, radius, covered=covered, even=drawn, measured=[known[cell] for cell in measured])
        values = frame["objective"].to_numpy(dtype=float)
        region = region_at(frame, space.names, values, around, among=around.fair if attempt == ROUNDS else None)
        if region is None or not around.scattered or attempt == ROUNDS:
            break
        pruned = frame["state"].to_numpy() == "pruned"
        if around.fair[region.row] or cells[region.row] in measured:
            # also where it was measured and is not fair yet: a small box has too few cells to say more
            places = around.rows[region.row]
            wanted = [cells[row] for row in places[places >= 0] if pruned[row]]
            if not wanted:
                break
        else:
            wanted = _box(space, region, np.random.default_rng([seed, 1 + attempt]))
            measured.append(cells[region.row])
        drawn[[known[cell] for cell in wanted if cell in known]] = True
        fresh = [cell for cell in wanted if cell not in known or pruned[known[cell]]]
        if fresh:
            kept = ~np.isin(np.arange(len(frame)), [known[cell] for cell in fresh if cell in known])
            frame = pd.concat([frame[kept], measure(fresh)], ignore_index=True)
            drawn = np.concatenate([drawn[kept], np.ones(len(fresh), dtype=bool)])
    return frame, region


def _around(
    frame: pd.DataFrame, space: Space, radius: int, *, covered: bool, even: np.ndarray, measured: list[int]
) -> Neighbours:
    return neighbours_of(
        frame,
        space.names,
        radius=radius,
        kind="steps" if covered else "nearest",
        logarithmic=space.logarithmic,
        even=even,
        measured=np.array(measured, dtype=np.int64),
    )


def _box(space: Space, region: Region, rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Cells drawn evenly around a centre; all of them where they are few."""
    box = space.near(region.centre, REACH)
    if box.size is not None and box.size <= MEASURED:
        return list(box.grid().itertuples(index=False, name=None))
    return list(dict.fromkeys(box.draw(rng, MEASURED)))
