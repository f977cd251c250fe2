"""Dimension: the values one parameter may take, read from what was asked and checked against the strategy's schema."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import GridRefused, ParameterError


@dataclass(frozen=True, slots=True)
class Dimension:
    """The values one parameter may take.

    Attributes:
        name: of the parameter.
        whole: only whole numbers.
        low, high: bounds of a range, both included.
        step: between the values of a range; None: any number in between (of a range of whole numbers: 1).
        log: a range that is drawn from on a logarithmic scale.
        choices: the listed values; then there is no range.
    """

    name: str
    whole: bool = False
    low: float = math.nan
    high: float = math.nan
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether its values can be compared as numbers."""
        return not self.choices or all(_is_number(value) for value in self.choices)

    @property
    def integers(self) -> bool:
        """Whether every value is a whole number of type int."""
        return self.whole or bool(self.choices and all(isinstance(value, int) for value in self.choices))

    @property
    def listed(self) -> list[Any] | None:
        """All values in order; None where there are infinitely many."""
        if self.choices:
            return list(self.choices)
        if self.whole:
            return list(range(int(self.low), int(self.high) + 1, int(self.step or 1)))
        if self.step is None:
            return [self.low] if self.low == self.high else None
        # rounded: 0.1 + 2 · 0.1 is not the 0.3 that was meant
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        return [round(self.low + place * self.step, 12) for place in range(count)]

    def suggest(self, trial: Any) -> Any:
        """A value by an optuna trial. A list is asked for by its place: optuna stores plain numbers only."""
        if self.choices:
            if self.numeric:  # places of a sorted list of numbers are ordered, which the sampler can use
                return self.choices[trial.suggest_int(self.name, 0, len(self.choices) - 1)]
            return self.choices[trial.suggest_categorical(self.name, list(range(len(self.choices))))]
        if self.whole:
            # with a logarithmic scale optuna knows no step but 1
            return trial.suggest_int(
                self.name, int(self.low), int(self.high), step=1 if self.log else int(self.step or 1), log=self.log
            )
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)

    def near(self, value: Any, reach: float) -> Dimension:
        """The part of it that lies within `reach` of its range around a value; the value alone if it is no number."""
        if not self.numeric:
            return Dimension(self.name, self.whole, choices=(value,))
        if self.choices:
            width = reach * (max(self.choices) - min(self.choices)) * (1 + 1e-9)
            return Dimension(self.name, self.whole, choices=tuple(v for v in self.choices if abs(v - value) <= width))
        scale = math.log if self.log else float
        back = math.exp if self.log else float
        width = reach * (scale(self.high) - scale(self.low))
        low, high = max(self.low, back(scale(value) - width)), min(self.high, back(scale(value) + width))
        every = self.listed
        if every is not None:
            kept = tuple(v for v in every if low - 1e-9 * abs(low) <= v <= high + 1e-9 * abs(high))
            return Dimension(self.name, self.whole, choices=kept or (value,))
        return Dimension(self.name, self.whole, low, high, None, self.log)

    def draw(self, rng: np.random.Generator, count: int) -> list[Any]:
        """Values spread evenly: one from each of `count` equal slices, in random order (Latin hypercube sampling).

        Source: McKay, Beckman and Conover 1979, Technometrics 21. It is steadier than independent draws.
        """
        shares = (rng.permutation(count) + rng.random(count)) / count
        every = self.listed
        if every is not None:
            return [every[int(share * len(every))] for share in shares]
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return [min(self.high, math.exp(low + share * (high - low))) for share in shares]
        return [float(self.low + share * (self.high - self.low)) for share in shares]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; text stands for what JSON does not know."""
        if self.choices:
            return {
                "values": [v if v is None or isinstance(v, bool | int | float | str) else repr(v) for v in self.choices]
            }
        return {"low": self.low, "high": self.high, "step": self.step, "log": self.log, "whole": self.whole}


def dimension_of(name: str, wanted: Any, schema: Mapping[str, Any]) -> Dimension:
    whole = schema.get("type") == "integer"
    low, high = _bounds(schema, whole=whole)
    if wanted is None:
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ParameterError(
                f"{name}=None means all values of the schema, which has no bound on both sides.",
                remedy="give a range, e.g. (5, 50).",
            )
        wanted = (int(low), int(high)) if whole else (low, high)
    if isinstance(wanted, Mapping):
        wanted = _asked(name, wanted)
    if isinstance(wanted, tuple):
        found = _range(name, wanted, whole=whole)
        ends: Sequence[Any] = (found.low, found.high)
    else:
        if isinstance(wanted, str) or not isinstance(wanted, Iterable):
            raise ParameterError(
                f"{name}={wanted!r} is neither a range nor a list of values.", remedy="write (5, 50) or [5, 10, 20]."
            )
        values = tuple(
            dict.fromkeys(value.item() if isinstance(value, np.generic) else value for value in _hashable(wanted))
        )
        if not values:
            raise GridRefused(f"{name} has no value; nothing was computed.", remedy="list at least one.")
        numeric = all(_is_number(value) for value in values)
        if whole and numeric and not all(float(value).is_integer() for value in values):
            raise ParameterError(f"{name}={list(values)!r} must be whole numbers.", remedy="correct the list.")
        values = tuple(sorted(int(v) if whole else v for v in values)) if numeric else values
        found = Dimension(name, whole, choices=values)
        ends = values if numeric else ()
    for value in ends:
        if not low <= value <= high:
            raise ParameterError(
                f"{name}={value!r} lies outside the bounds of the strategy, {low:g} to {high:g}; nothing was computed.",
                remedy="stay inside.",
            )
    return found


def _asked(name: str, stored: Mapping[str, Any]) -> Any:
    """What `to_dict` wrote, as it was asked."""
    if set(stored) == {"values"}:
        return list(stored["values"])
    if not {"low", "high"} <= set(stored) <= {"low", "high", "step", "log", "whole"}:
        raise ParameterError(
            f"{name}={dict(stored)!r} is neither a range nor a list of values.",
            remedy="write low and high (and step, or log), or values.",
        )
    ends = stored["low"], stored["high"]
    if stored.get("log"):
        return (*ends, "log")
    return ends if stored.get("step") is None else (*ends, stored["step"])


def _range(name: str, wanted: tuple[Any, ...], *, whole: bool) -> Dimension:
    numbers_given = wanted[:-1] if wanted and wanted[-1] == "log" else wanted
    log = len(numbers_given) < len(wanted)
    if len(numbers_given) not in {2, 3} or not all(_is_number(v) and math.isfinite(v) for v in numbers_given):
        raise ParameterError(
            f"{name}={wanted!r} is no range.", remedy="write (low, high), (low, high, step) or (low, high, 'log')."
        )
    low, high, *rest = numbers_given
    step = rest[0] if rest else None
    if low >= high:
        raise ParameterError(f"{name}: low={low!r} must be less than high={high!r}.", remedy="swap them.")
    if step is not None and not 0 < step <= high - low:
        raise ParameterError(f"{name}: step={step!r} must be above 0 and at most {high - low:g}.", remedy="correct it.")
    if log and (low <= 0 or step is not None):
        raise ParameterError(
            f"{name}={wanted!r}: a logarithmic range begins above 0 and has no step.",
            remedy="write e.g. (0.01, 1.0, 'log').",
        )
    if whole:
        if not all(float(value).is_integer() for value in numbers_given):
            raise ParameterError(f"{name}={wanted!r} must be whole numbers.", remedy="correct the range.")
        step = int(step or 1)
        return Dimension(
            name, whole=True, low=int(low), high=int(low) + (int(high) - int(low)) // step * step, step=step, log=log
        )
    if step is not None:
        high = round(low + math.floor((high - low) / step + 1e-9) * step, 12)
    return Dimension(name, low=float(low), high=float(high), step=None if step is None else float(step), log=log)


def _bounds(schema: Mapping[str, Any], *, whole: bool) -> tuple[float, float]:
    """The closed bounds of a JSON schema; an open bound of a real number moves in by one place of float64."""
    low = float(schema.get("minimum", -math.inf))
    high = float(schema.get("maximum", math.inf))
    if "exclusiveMinimum" in schema:
        bound = float(schema["exclusiveMinimum"])
        low = max(low, bound + 1 if whole else math.nextafter(bound, math.inf))
    if "exclusiveMaximum" in schema:
        bound = float(schema["exclusiveMaximum"])
        high = min(high, bound - 1 if whole else math.nextafter(bound, -math.inf))
    return low, high


def _hashable(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        yield tuple(value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
