"""The question of a job as a value: checked when it is asked, written as plain JSON values, read by the worker."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic_core import PydanticSerializationError, to_jsonable_python

from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.optimize.space import Space
from workbench.backtest.sweep.grid import Grid, fixed_of
from workbench.errors import ParameterError
from workbench.strategies import build, kind_of
from workbench.study import Study, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.strategy import Strategy

T = TypeVar("T", Costs, FillRules)
_FIELDS = ("kind", "study", "strategy", "params", "grid", "space", "costs", "rules", "options")


@dataclass(frozen=True)
class JobQuestion:
    """What a worker is asked to answer. Build one with `of`, which checks everything before anything is enqueued.

    Attributes:
        kind: of the job, e.g. `backtest` or `sweep`.
        strategy: a registered name; a worker is another process and cannot see a class of a notebook's cell.
        params: the strategy's parameters; of a job with a grid or a space those that do not vary.
        grid: the values of each varied parameter, in the order of their cells; empty where nothing varies.
        space: the ranges and lists that a search may draw from, as `Space.to_dict` writes them; empty elsewhere.
        options: what else the kind of job asks for, plain JSON values.
    """

    kind: str
    study: Study
    strategy: str
    params: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    space: dict[str, Any] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)
    rules: FillRules = field(default_factory=FillRules)
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        kind: str,
        strategy: Strategy | type[Strategy] | str,
        study: Study,
        *,
        params: Mapping[str, Any] | None = None,
        grid: Mapping[str, Iterable[Any]] | None = None,
        space: Mapping[str, Any] | None = None,
        costs: Costs | None = None,
        rules: FillRules | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> JobQuestion:
        """Check a question.

        Args:
            strategy: an idea with its parameters; or a class or a registered name, with `params`.
            grid: values by varied parameter; a grid makes no sense for a single idea.
            space: what a search may vary, see `workbench.backtest.optimize.space.Space.of`; or a grid, or a space.

        Raises:
            ParameterError: an unknown strategy or parameter, or a value that its own schema refuses.
            GridRefused: the grid has no cell, or too many, or the space is empty.
        """
        if not isinstance(strategy, (str, type)):
            params, strategy = {**strategy.params, **(params or {})}, type(strategy)
        found = kind_of(strategy) if isinstance(strategy, str) else _registered(strategy)
        drawn: dict[str, Any] = {}
        varied: dict[str, Any] = {}
        if space is not None:
            if grid is not None:
                raise ParameterError(
                    "a grid and a space were given; nothing was enqueued.", remedy="search a space, or sweep a grid."
                )
            drawn, checked = _space(found, space, params or {}), fixed_of(found, params or {}, varied=space)
        elif grid is None:
            checked = build(found.name, **(params or {})).params
        else:
            cells = Grid.of(found, grid, fixed=params).to_dict()
            checked, varied = cells["fixed"], cells["values"]
        return cls(
            kind=kind,
            study=study,
            strategy=found.name,
            params=checked,
            grid=varied,
            space=drawn,
            costs=costs or Costs(),
            rules=rules or FillRules(),
            options=_plain("options", dict(options or {})),
        )

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> JobQuestion:
        """Read and check what `to_payload` wrote, or what somebody else did.

        Raises:
            ParameterError, GridRefused: as `of`; also for an unknown or missing field.
            StudyError: the study is malformed.
        """
        for given in payload:
            if given not in _FIELDS:
                raise _unknown("a job's question", given, _FIELDS)
        for needed in ("kind", "study", "strategy"):
            if needed not in payload:
                raise ParameterError(f"a job's question has no {needed!r}; nothing was enqueued.", remedy="add it.")
        return cls.of(
            str(payload["kind"]),
            str(payload["strategy"]),
            Study.from_dict(_mapping("study", payload["study"])),
            params=_mapping("params", payload.get("params") or {}),
            grid=_mapping("grid", payload["grid"]) if payload.get("grid") else None,
            space=_mapping("space", payload["space"]) if payload.get("space") else None,
            costs=_made(Costs, "costs", payload.get("costs")),
            rules=_made(FillRules, "rules", payload.get("rules")),
            options=_mapping("options", payload.get("options") or {}),
        )

    def to_payload(self) -> dict[str, Any]:
        """Plain JSON values; `from_payload` is the inverse."""
        return {
            "kind": self.kind,
            "study": self.study.to_dict(),
            "strategy": self.strategy,
            "params": self.params,
            "grid": self.grid,
            "space": self.space,
            "costs": self.costs.to_dict(),
            "rules": self.rules.to_dict(),
            "options": self.options,
        }

    @property
    def title(self) -> str:
        """The question on one line, for people."""
        kind = kind_of(self.strategy)
        if self.space:
            named = [f"{name}={value}" for name, value in self.params.items()]
            idea = f"{kind.name}({', '.join([*map(_drawn, self.space.items()), *named])})"
        else:
            idea = Grid.of(kind, self.grid, fixed=self.params).line if self.grid else kind(**self.params).line
        symbols = ", ".join(self.study.symbols[:4]) + (" …" if len(self.study.symbols) > 4 else "")
        return f"{self.kind} · {idea} · {symbols} · {self.study.start.date()} → {self.study.end.date()}"


def _space(kind: type[Strategy], space: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """A space as plain JSON values, in the strategy's own order of parameters."""
    checked = Space.of(kind, space, fixed=fixed)
    for one in checked.dimensions:
        for value in one.choices:
            if value is not None and not isinstance(value, bool | int | float | str):
                raise ParameterError(
                    f"{one.name}={value!r} cannot be written as JSON; nothing was enqueued.",
                    remedy="list numbers and texts, or search here with bench.optimize.",
                )
    written = checked.to_dict()
    return {name: _plain(name, written[name]) for name in kind.model_fields if name in written}


def _drawn(item: tuple[str, Mapping[str, Any]]) -> str:
    name, asked = item
    if "values" in asked:
        values = asked["values"]
        return f"{name}={', '.join(map(str, values)) if len(values) <= 3 else f'{values[0]}…{values[-1]}'}"
    return f"{name}={asked['low']:g}…{asked['high']:g}"


def _registered(kind: type[Strategy]) -> type[Strategy]:
    """The class, if a worker finds this very one under its name."""
    try:
        known = kind_of(kind.name)
    except ParameterError:
        known = None
    if known is not kind:
        raise ParameterError(
            f"strategy {kind.name!r} ({kind.__module__}.{kind.__qualname__}) is not registered, and a worker is "
            "another process: it could not find it. Nothing was enqueued.",
            remedy="run it here with bench.backtest or bench.sweep, or make it a file in workbench/strategies.",
        )
    return kind


def _made(kind: type[T], name: str, values: Any) -> T | None:
    """Costs or rules from plain JSON values, with every mistake named."""
    if values is None:
        return None
    known = [item.name for item in dataclasses.fields(kind)]
    for given in _mapping(name, values):
        if given not in known:
            raise _unknown(name, given, known)
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:  # a text where a number belongs; wrong numbers are named by the class
        raise ParameterError(
            f"{name}={dict(values)!r} is refused: {error}. Nothing was enqueued.", remedy="write numbers as numbers."
        ) from error


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not hasattr(value, "items"):
        raise ParameterError(
            f"{name}={value!r} must be a mapping of names to values; nothing was enqueued.",
            remedy="write {name: value}.",
        )
    return {str(key): inner for key, inner in value.items()}


def _plain(name: str, value: Any) -> Any:
    try:
        plain = to_jsonable_python(value, fallback=_number)
        canonical(plain)
    except (PydanticSerializationError, ValueError) as error:
        raise ParameterError(
            f"{name}={value!r} cannot be written as JSON; nothing was enqueued.", remedy="use numbers, texts and lists."
        ) from error
    return plain


def _number(value: Any) -> Any:
    """A number of numpy as Python's own."""
    if isinstance(value, np.generic):
        return value.item()
    raise ValueError(f"{value!r} is no plain value")


def _unknown(where: str, given: str, known: Iterable[str]) -> ParameterError:
    names = list(known)
    near = difflib.get_close_matches(given, names, n=1)
    return ParameterError(
        f"{where} has no {given!r}; nothing was enqueued.",
        remedy=f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names) or 'none'}.",
    )
