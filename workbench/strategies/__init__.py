"""Ideas: each file holds one strategy, which sees prices only through a History and cannot fetch or peek."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError

from workbench.errors import ParameterError
from workbench.strategies.buy_and_hold import BuyAndHold
from workbench.strategies.ema_cross import EmaCross
from workbench.strategies.momentum import Momentum
from workbench.strategies.rules import Condition, Rules
from workbench.strategies.sma_cross import SmaCross
from workbench.strategies.trend_timing import TrendTiming
from workbench.strategy import Strategy

__all__ = [
    "BuyAndHold",
    "Condition",
    "EmaCross",
    "Momentum",
    "Rules",
    "SmaCross",
    "TrendTiming",
    "build",
    "kind_of",
    "registered",
]


def registered() -> dict[str, type[Strategy]]:
    """The strategies that ship with the workbench, by name."""
    return {kind.name: kind for kind in (BuyAndHold, SmaCross, Momentum, Rules, EmaCross, TrendTiming)}


def kind_of(name: str) -> type[Strategy]:
    """The class of a strategy by name. Raises ParameterError, suggesting the nearest name."""
    kinds = registered()
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1)
        raise ParameterError(
            f"strategy={name!r} is not registered.",
            remedy=f"did you mean {near[0]!r}?" if near else f"it can be {', '.join(kinds)}.",
        )
    return kinds[name]


def build(name: str, **params: Any) -> Strategy:
    """A strategy by name, e.g. `build("sma_cross", fast=20, slow=100)`.

    Raises:
        ParameterError: no strategy or parameter has that name (the nearest one is suggested), or a value is wrong.
    """
    kind = kind_of(name)
    fields = kind.model_fields
    for given in params:
        if given not in fields:
            near = difflib.get_close_matches(given, fields, n=1)
            raise ParameterError(
                f"{name} has no parameter {given!r}.",
                remedy=f"did you mean {near[0]!r}?" if near else f"it has {', '.join(fields) or 'none'}.",
            )
    try:
        return kind(**params)
    except ValidationError as error:
        rows = "; ".join(
            f"{'.'.join(str(part) for part in row['loc'])}={row['input']!r}: {row['msg']}" for row in error.errors()
        )
        raise ParameterError(
            f"{name} cannot be built: {rows}.", remedy=f"look at the parameters of {kind.__name__}."
        ) from error
