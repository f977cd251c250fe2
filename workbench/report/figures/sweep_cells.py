"""A sweep's cells made ready for drawing: the parameters, one metric, and what failed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.sweep.evaluate import METRICS
from workbench.errors import NoData, ParameterError
from workbench.report.figures.measures import Measure, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workbench.run import Run


@dataclass(frozen=True)
class Cells:
    """The cells of a sweep.

    Attributes:
        parameters: the columns that vary, in the table's order.
        table: those columns, a row per cell.
        numbers: the metric of each cell, NaN where it failed or is undefined.
        errors: why a cell failed; empty where it did not.
        shown: how the metric is shown.
    """

    parameters: tuple[str, ...]
    table: pd.DataFrame
    numbers: NDArray[np.float64]
    errors: tuple[str, ...]
    shown: Measure

    @property
    def scores(self) -> NDArray[np.float64]:
        """The numbers with the sign that makes more better."""
        return -self.numbers if self.shown.less else self.numbers

    @property
    def best(self) -> int:
        """Row of the best cell, the first of equals. There is one: `cells_of` refuses a sweep without."""
        return int(np.nanargmax(self.scores))

    def named(self, row: int) -> str:
        """A cell as a reader sees it: `fast=20, slow=100`."""
        return ", ".join(f"{name}={text_of(self.table[name].iloc[row])}" for name in self.parameters)


def cells_of(run: Run, metric: str, *, parameters: Sequence[str] | None = None) -> Cells:
    """The cells of a run of kind `sweep`, from its table `cells`.

    Args:
        metric: a column of numbers, e.g. `sharpe`.
        parameters: the columns that are parameters; those before the first metric when None. Those that do not vary are
            left out.

    Raises:
        NoData: the run has no table `cells`, or no cell has a value.
        ParameterError: the metric or a parameter is no column.
    """
    frame = run.table("cells").reset_index(drop=True)
    names = list(map(str, frame.columns))
    if parameters is None:
        known = {*METRICS, metric, "engine", "error"}
        parameters = list(itertools.takewhile(lambda name: name not in known, names))
    for name in (metric, *parameters):
        if name not in names:
            raise ParameterError(
                f"{name!r} is no column of the cells of {run.title!r}.", remedy=f"they have {', '.join(names)}."
            )
    values = pd.to_numeric(frame[metric], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    errors = frame["error"].fillna("").astype(str) if "error" in names else pd.Series("", index=frame.index)
    values = np.where((errors != "").to_numpy() | ~np.isfinite(values), np.nan, values)
    if not np.isfinite(values).any():
        raise NoData(
            f"none of the {len(frame):,} cells of {run.title!r} has a defined {metric}; nothing was drawn.",
            remedy="look at the column error of the cells.",
        )
    varied = tuple(name for name in parameters if len({repr(value) for value in frame[name]}) > 1)
    if not varied:
        raise ParameterError(
            f"no parameter of {run.title!r} varies; there is nothing to compare.",
            remedy="sweep over at least two values.",
        )
    return Cells(varied, frame[list(varied)], values, tuple(errors), measure(metric))


def ranks_of(cells: Cells) -> tuple[NDArray[np.int64], tuple[tuple[Any, ...], ...]]:
    """(position of each cell along each parameter, shape (cell × parameter); the sorted values of each parameter)."""
    places, levels = [], []
    for name in cells.parameters:
        column = cells.table[name]
        every = sorted(column.unique().tolist(), key=_order)
        where = {_key(value): number for number, value in enumerate(every)}
        places.append(np.array([where[_key(value)] for value in column.tolist()], dtype=np.int64))
        levels.append(tuple(every))
    return np.column_stack(places), tuple(levels)


def text_of(value: Any) -> str:
    """A parameter's value, short: 20, 0.05, ema."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        return f"{float(value):.6g}"
    return str(value)


def _key(value: Any) -> Any:
    return value if value == value else None  # noqa: PLR0124 - NaN differs from itself


def _order(value: Any) -> tuple[int, float, str]:
    if isinstance(value, int | float | np.number | np.bool_) and value == value:  # noqa: PLR0124
        return 0, float(value), ""
    return 1, 0.0, str(value)
