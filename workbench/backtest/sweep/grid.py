"""A grid: every combination of the values that a strategy's parameters may take, checked before any work starts."""

from __future__ import annotations

import difflib
import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError

from workbench.backtest.sweep.families import family_of
from workbench.backtest.sweep.setup import built, refused
from workbench.errors import GridRefused, ParameterError
from workbench.study import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workbench.strategy import Strategy

# More cells than this are refused before memory is taken for any.
LARGEST = 10_000_000
# Values that a title names one by one; of more, the first and the last.
_SPELLED_OUT = 3
# Cells whose combination is checked at a time.
_AT_A_TIME = 1_000_000


@dataclass(frozen=True)
class Grid:
    """The cells of a sweep. Build one with `Grid.of`.

    Attributes:
        kind: the strategy's class.
        values: of each varied parameter, in the strategy's own order; values without repeats, numbers ascending.
        fixed: parameters that do not vary.
        asked: how many combinations there are.
        refused: how many of them the strategy itself refuses (a fast average that is not faster): they are no cells.
    """

    kind: type[Strategy]
    values: dict[str, tuple[Any, ...]]
    fixed: dict[str, Any]
    asked: int
    refused: int
    _chosen: np.ndarray | None = field(repr=False, compare=False)

    @classmethod
    def of(
        cls, kind: type[Strategy], values: Mapping[str, Iterable[Any]], *, fixed: Mapping[str, Any] | None = None
    ) -> Grid:
        """A grid over some parameters, e.g. `Grid.of(SmaCross, {"fast": range(5, 45), "slow": [50, 100, 200]})`.

        However it is written down (order of names and values, repeats), the same cells come in the same order.

        Raises:
            ParameterError: the strategy has no parameter of that name (the nearest is suggested), a value is not of its
                type or out of its bounds, or a parameter without a default is missing.
            GridRefused: no cell is left, or there are more than `LARGEST`. Nothing was computed.
        """
        fixed = dict(fixed or {})
        _check_names(kind, values, fixed)
        listed = {name: _listed(name, values[name]) for name in kind.model_fields if name in values}
        asked = math.prod(len(given) for given in listed.values()) if listed else 0
        if asked == 0:
            empty = [name for name, given in listed.items() if not given]
            what = f"{empty[0]} has no value" if empty else "no parameter varies"
            raise GridRefused(
                f"the grid over {kind.name} has 0 cells: {what}; nothing was computed.",
                remedy='give at least one value per parameter, e.g. {"fast": range(5, 45), "slow": [50, 100, 200]}.',
            )
        if asked > LARGEST:
            raise GridRefused(
                f"the grid over {kind.name} has {asked:,} cells, more than {LARGEST:,}; nothing was computed.",
                remedy="take wider steps, or let the optimizer search.",
            )
        checked = {name: _checked(kind, name, given) for name, given in listed.items()}
        held = {name: _checked(kind, name, (given,))[0] for name, given in fixed.items()}
        asked = math.prod(len(given) for given in checked.values())
        chosen = _chosen(kind, checked, held, asked)
        count = asked if chosen is None else len(chosen)
        if not count:
            raise GridRefused(
                f"{kind.name} refuses all {asked:,} combinations of the grid, the first because: "
                f"{_why(kind, {**held, **{name: given[0] for name, given in checked.items()}})} Nothing was computed.",
                remedy="choose values that go together.",
            )
        return cls(kind, checked, held, asked, asked - count, chosen)

    def __len__(self) -> int:
        return self.asked - self.refused

    def cells(self) -> pd.DataFrame:
        """All cells, one row each (index from 0), one column per varied parameter; the last one varies fastest."""
        return self._frame(0, len(self))

    @property
    def names(self) -> tuple[str, ...]:
        """The varied parameters, in the strategy's own order."""
        return tuple(self.values)

    @property
    def line(self) -> str:
        """The grid on one line, e.g. `sma_cross(fast=5…44, slow=50, 100, 200) · 120 cells`."""
        inner = ", ".join(
            f"{name}={_short(self.values[name]) if name in self.values else self.fixed[name]}"
            for name in self.kind.model_fields
            if name in self.values or name in self.fixed
        )
        return f"{self.kind.name}({inner}) · {len(self):,} cells"

    def chunks(self, size: int) -> Chunks:
        """The cells in chunks of `size`, numbered from 0; a chunk is made when it is asked for.

        `workbench.backtest.sweep.chunking.chunk_size` says which size suits a setup.
        """
        return Chunks(self, size)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the same cells always give the same."""
        return {
            "strategy": self.kind.name,
            "values": {name: _plain(self.kind, name, given) for name, given in self.values.items()},
            "fixed": {name: _plain(self.kind, name, (given,))[0] for name, given in self.fixed.items()},
        }

    @property
    def hash(self) -> str:
        """sha256 of `to_dict()`."""
        return digest(self.to_dict())

    def _frame(self, low: int, high: int) -> pd.DataFrame:
        places = np.arange(low, high) if self._chosen is None else self._chosen[low:high]
        index = pd.RangeIndex(low, high, name="cell")
        return pd.DataFrame(_columns(self.values, places), index=index)


@dataclass(frozen=True)
class Chunks:
    """The cells of a grid in numbered chunks; iterating gives (number, frame) and can be done again.

    Attributes:
        grid: where the cells come from.
        size: cells per chunk; the last one may have fewer.
    """

    grid: Grid
    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ParameterError(f"size={self.size} must be at least 1.", remedy="use e.g. 10_000.")

    def __len__(self) -> int:
        """How many chunks there are."""
        return (len(self.grid) + self.size - 1) // self.size

    def __iter__(self) -> Iterator[tuple[int, pd.DataFrame]]:
        return ((number, self[number]) for number in range(len(self)))

    def __getitem__(self, number: int) -> pd.DataFrame:
        """The cells of one chunk. Raises IndexError past the last one."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.grid._frame(number * self.size, min((number + 1) * self.size, len(self.grid)))  # noqa: SLF001

    @property
    def cells(self) -> int:
        """How many cells there are in all chunks."""
        return len(self.grid)


def fixed_of(kind: type[Strategy], fixed: Mapping[str, Any], *, varied: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that do not vary, as the strategy's own schema reads them, as plain JSON values.

    Args:
        varied: by name; their values are not looked at.

    Raises:
        ParameterError: as `Grid.of`.
    """
    _check_names(kind, varied, fixed)
    return {name: _plain(kind, name, _checked(kind, name, (value,)))[0] for name, value in fixed.items()}


def _short(values: tuple[Any, ...]) -> str:
    return ", ".join(map(str, values)) if len(values) <= _SPELLED_OUT else f"{values[0]}…{values[-1]}"


def _check_names(kind: type[Strategy], values: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
    known = kind.model_fields
    for name in (*values, *fixed):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ParameterError(
                f"{kind.name} has no parameter {name!r}; nothing was computed.",
                remedy=f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}.",
            )
    for name in fixed:
        if name in values:
            raise ParameterError(
                f"{name} is both varied and fixed={fixed[name]!r}; nothing was computed.", remedy="choose one."
            )
    for name, item in known.items():
        if item.is_required() and name not in values and name not in fixed:
            raise ParameterError(
                f"{kind.name} needs a value for {name}; nothing was computed.", remedy="vary it or fix it."
            )


def _listed(name: str, given: Iterable[Any]) -> Any:
    """The values as something with a length; an endless iterator is not read to its end."""
    if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
        return (given,)
    if hasattr(given, "__len__"):
        return given
    found = tuple(itertools.islice(given, LARGEST + 1))
    if len(found) > LARGEST:
        raise GridRefused(f"{name} has more than {LARGEST:,} values; nothing was computed.", remedy="take wider steps.")
    return found


def _checked(kind: type[Strategy], name: str, given: Iterable[Any]) -> tuple[Any, ...]:
    """The values as the strategy's own schema reads them; numbers ascending, repeats once."""
    adapter = _adapter(kind, name)
    found: dict[Any, Any] = {}
    for value in given:
        plain = value.item() if isinstance(value, np.generic) else value
        try:
            one = adapter.validate_python(plain)
        except ValidationError as error:
            raise refused(kind, error, name) from error
        found.setdefault(_key(one), one)
    values = tuple(found.values())
    return tuple(sorted(values)) if all(type(value) in {int, float} for value in values) else values


def _adapter(kind: type[Strategy], name: str) -> TypeAdapter[Any]:
    item = kind.model_fields[name]
    found: TypeAdapter[Any] = TypeAdapter(Annotated[item.annotation, *item.metadata, item])  # type: ignore[arg-type]
    return found


def _key(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return type(value), value


def _plain(kind: type[Strategy], name: str, given: tuple[Any, ...]) -> list[Any]:
    adapter = _adapter(kind, name)
    return [adapter.dump_python(value, mode="json") for value in given]


def _chosen(
    kind: type[Strategy], values: dict[str, tuple[Any, ...]], fixed: dict[str, Any], asked: int
) -> np.ndarray | None:
    """Places of the combinations that the strategy accepts; None when it accepts all."""
    rules = kind.__pydantic_decorators__
    if not (rules.model_validators or rules.field_validators or rules.validators or rules.root_validators):
        return None
    accepted = [
        low + np.flatnonzero(_accepted(kind, values, fixed, np.arange(low, min(low + _AT_A_TIME, asked))))
        for low in range(0, asked, _AT_A_TIME)
    ]
    found = np.concatenate(accepted)
    return None if len(found) == asked else found


def _accepted(
    kind: type[Strategy], values: dict[str, tuple[Any, ...]], fixed: dict[str, Any], places: np.ndarray
) -> np.ndarray:
    """Whether the strategy accepts each combination: by its family's rule where it has one, else by trying."""
    columns = _columns(values, places)
    family = family_of(kind)
    if family is not None:
        default = {name: kind.model_fields[name].default for name in family.parameters}
        one, other = (np.asarray({**default, **fixed, **columns}[name]) for name in family.parameters)
        return np.broadcast_to(family.allowed(one, other), places.shape)
    names = list(columns)
    found = np.zeros(len(places), dtype=bool)
    for place, combination in enumerate(zip(*(column.tolist() for column in columns.values()), strict=True)):
        found[place] = not _why(kind, {**fixed, **dict(zip(names, combination, strict=True))})
    return found


def _why(kind: type[Strategy], params: dict[str, Any]) -> str:
    """Why the strategy refuses these parameters; empty when it does not."""
    try:
        built(kind, params)
    except ParameterError as error:
        return error.message
    return ""


def _columns(values: dict[str, tuple[Any, ...]], places: np.ndarray) -> dict[str, np.ndarray]:
    """The parameters of the combinations at these places, the last one varying fastest."""
    found: dict[str, np.ndarray] = {}
    step = 1
    for name, given in reversed(values.items()):
        found[name] = _array(given)[places // step % len(given)]
        step *= len(given)
    return dict(reversed(found.items()))


def _array(given: tuple[Any, ...]) -> np.ndarray:
    """Numbers of one type as such; everything else, tuples too, as objects."""
    kinds = {type(value) for value in given}
    if kinds in ({int}, {float}, {bool}):
        try:
            return np.array(given)
        except OverflowError:
            pass
    found = np.empty(len(given), dtype=object)
    found[:] = given
    return found
