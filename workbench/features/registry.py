"""The one registry of features: strategies, bots, models and evidence name them by text, e.g. `rsi(14)`."""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from workbench.errors import ParameterError
from workbench.features.change import DEFINITIONS as CHANGE
from workbench.features.feature import Definition, Feature
from workbench.features.oscillator import DEFINITIONS as OSCILLATOR
from workbench.features.position import DEFINITIONS as POSITION
from workbench.features.trend import DEFINITIONS as TREND
from workbench.features.volatility import DEFINITIONS as VOLATILITY
from workbench.features.volume import DEFINITIONS as VOLUME

_TEXT = re.compile(r"([a-z][a-z0-9_]*)\s*(?:\(([^()]*)\))?")
GROUPS: Mapping[str, tuple[Definition, ...]] = MappingProxyType(
    {
        "How the price has changed": CHANGE,
        "Where the price is going": TREND,
        "How far a move has gone": OSCILLATOR,
        "Where the close stands": POSITION,
        "How much the price moves": VOLATILITY,
        "What is traded": VOLUME,
    }
)
_REGISTERED: Mapping[str, Definition] = MappingProxyType(
    {definition.name: definition for group in GROUPS.values() for definition in group}
)


def registered() -> Mapping[str, Definition]:
    """Every feature by name, before its parameters are chosen."""
    return _REGISTERED


@functools.lru_cache(maxsize=1024)
def feature(text: str) -> Feature:
    """The feature of a text such as `rsi(14)`, `macd(12, 26, 9)`, `momentum_12_1`; its defaults without parentheses.

    Raises:
        ParameterError: no feature has that name (the nearest one is suggested), or an argument is wrong.
    """
    match = _TEXT.fullmatch(text.strip().lower())
    if match is None:
        raise ParameterError(
            f"{text!r} is not a feature.", remedy="write e.g. rsi(14), momentum_12_1 or bb_position(20, 2)."
        )
    return named(match.group(1), match.group(2), said=text)


def named(name: str, inner: str | None, *, said: str) -> Feature:
    """The feature of a name and of the text between its parentheses; `said` is quoted in errors.

    Raises:
        ParameterError: see `feature`.
    """
    if name not in _REGISTERED:
        near = difflib.get_close_matches(name, _REGISTERED, n=1)
        raise ParameterError(
            f"{said!r} names no feature.",
            remedy=f"did you mean {near[0]!r}?" if near else f"it can be {', '.join(_REGISTERED)}.",
        )
    definition = _REGISTERED[name]
    if inner is None or not inner.strip():
        return definition.of(said=said)
    given = [number_of(part) for part in inner.split(",")]
    if any(value is None for value in given):
        raise ParameterError(
            f"{said!r}: {name} takes {len(definition.parameters) or 'no'} numbers.",
            remedy=f"write e.g. {definition.of_defaults()}.",
        )
    return definition.of(*(value for value in given if value is not None), said=said)


def number_of(part: str | float) -> float | None:
    """A number of a feature's text; None where it is none. Raises ParameterError where it is not finite."""
    try:
        value = float(part)
    except ValueError:
        return None
    if not math.isfinite(value):
        raise ParameterError(
            f"{part.strip() if isinstance(part, str) else part!r} is not a finite number.", remedy="write e.g. 30."
        )
    return value
