"""Space: which values of which parameters may be tried, checked against the strategy's own schema."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.optimize.dimension import Dimension, dimension_of
from workbench.errors import GridRefused, ParameterError

if TYPE_CHECKING:
    from workbench.strategy import Strategy

# More cells than this in one grid are a mistake more often than a wish.
MOST_CELLS = 1_000_000


@dataclass(frozen=True, slots=True)
class Space:
    """The parameters a search may vary, in the order given."""

    dimensions: tuple[Dimension, ...]

    @classmethod
    def of(cls, kind: type[Strategy], space: Mapping[str, Any], *, fixed: Iterable[str] = ()) -> Space:
        """Read and check a space.

        Args:
            space: for each parameter a list (or range, or array) of values, or a tuple `(low, high)`,
                `(low, high, step)`, `(low, high, "log")`; whole numbers where the strategy wants whole numbers. None
                means all values between the bounds of the strategy's own schema. What `to_dict` wrote is read, too.
            fixed: names of parameters that do not vary.

        Raises:
            ParameterError: a parameter is unknown (the nearest is suggested) or fixed, low ≥ high, a step or a scale is
                impossible, or a value lies outside the schema's bounds.
            GridRefused: no parameter is varied, or one has no value.
        """
        if not space:
            raise GridRefused("the space varies no parameter; nothing was computed.", remedy="name at least one.")
        schema = kind.model_json_schema().get("properties", {})
        for name in space:
            if name not in schema:
                near = difflib.get_close_matches(str(name), schema, n=1)
                raise ParameterError(
                    f"{kind.name} has no parameter {name!r}; nothing was computed.",
                    remedy=f"did you mean {near[0]!r}?" if near else f"it has {', '.join(schema) or 'none'}.",
                )
            if name in fixed:
                raise ParameterError(f"{name} is fixed and cannot vary.", remedy="leave it out of one of the two.")
        return cls(tuple(dimension_of(str(name), wanted, schema[name]) for name, wanted in space.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """The varied parameters."""
        return tuple(dimension.name for dimension in self.dimensions)

    @property
    def logarithmic(self) -> tuple[str, ...]:
        """The parameters that are drawn from on a logarithmic scale."""
        return tuple(dimension.name for dimension in self.dimensions if dimension.log)

    @property
    def size(self) -> int | None:
        """How many cells there are; None where there are infinitely many."""
        counts = [dimension.listed for dimension in self.dimensions]
        return None if any(count is None for count in counts) else math.prod(len(count or ()) for count in counts)

    def grid(self, *, most: int = MOST_CELLS) -> pd.DataFrame:
        """Every cell, the last parameter running fastest.

        Raises:
            GridRefused: there are infinitely many, or more than `most`. Nothing was built.
        """
        for dimension in self.dimensions:
            if dimension.listed is None:
                raise GridRefused(
                    f"{dimension.name} has any value from {dimension.low:g} to {dimension.high:g}, which is no grid.",
                    remedy=f"give a step, e.g. ({dimension.low:g}, {dimension.high:g}, "
                    f"{(dimension.high - dimension.low) / 10:g}), or use method='tpe'.",
                )
        if (size := self.size or 0) > most:
            raise GridRefused(
                f"the grid has {size:,} cells, more than {most:,}; nothing was computed.",
                remedy="use larger steps, or method='tpe'.",
            )
        return self.frame(itertools.product(*(dimension.listed or () for dimension in self.dimensions)))

    def frame(self, cells: Iterable[Sequence[Any]]) -> pd.DataFrame:
        """Cells as a frame: numbers as numbers, other values as they are."""
        rows = list(cells)
        return pd.DataFrame(
            {
                dimension.name: pd.Series(
                    [row[place] for row in rows],
                    dtype=(np.int64 if dimension.integers else np.float64) if dimension.numeric else object,
                )
                for place, dimension in enumerate(self.dimensions)
            }
        )

    def suggest(self, trial: Any) -> tuple[Any, ...]:
        """A cell by an optuna trial."""
        return tuple(dimension.suggest(trial) for dimension in self.dimensions)

    def near(self, centre: Mapping[str, Any], reach: float) -> Space:
        """The box around a cell: within `reach` of each parameter's range."""
        return Space(tuple(dimension.near(centre[dimension.name], reach) for dimension in self.dimensions))

    def draw(self, rng: np.random.Generator, count: int) -> list[tuple[Any, ...]]:
        """Cells drawn evenly."""
        return list(zip(*(dimension.draw(rng, count) for dimension in self.dimensions), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `of` reads them where every listed value is one itself."""
        return {dimension.name: dimension.to_dict() for dimension in self.dimensions}


def defaults_of(kind: type[Strategy]) -> dict[str, Any]:
    """The strategy's default of each parameter that has one."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in kind.model_fields.items()
        if not field.is_required()
    }
