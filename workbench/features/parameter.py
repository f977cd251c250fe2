"""Parameter: one number that a feature is given: its default, its bounds, and what is wrong with a value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 5_000  # bars


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a feature.

    Attributes:
        least, most: bounds, both included; `most` may be infinite.
        whole: a whole number of bars; otherwise any finite number.
        beyond: the value must be greater than `least`, not equal to it.
        meaning: for the table of features.
    """

    name: str
    default: float
    least: float
    most: float
    meaning: str
    whole: bool = True
    beyond: bool = False


def window(default: int, *, least: int = 2, name: str = "window", meaning: str = "bars looked back") -> Parameter:
    """A parameter that counts bars."""
    return Parameter(name, default, least, LONGEST, meaning)


def out_of_bounds(parameter: Parameter, value: float) -> str:
    """What is wrong with a value, as text; "" where nothing is."""
    inside = math.isfinite(value) and parameter.least <= value <= parameter.most
    if parameter.beyond and value <= parameter.least:
        return f"the {parameter.meaning} {value:g} must be greater than {parameter.least:g}."
    if parameter.whole and not (inside and value == int(value)):
        bounds = f"from {parameter.least:g} to {parameter.most:g}"
        return f"a window of {value:g} sessions is not a whole number {bounds}."
    if not inside:
        return f"{parameter.name}={value:g} is not between {parameter.least:g} and {parameter.most:g}."
    return ""
