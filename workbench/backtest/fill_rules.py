"""Fill rules: when a wish is filled, in which amounts, and how much may be held."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from workbench.errors import ParameterError

EXECUTION_PRICES = ("auto", "next_open", "next_close", "same_close")


@dataclass(frozen=True, slots=True)
class FillRules:
    """How wishes become fills. The defaults are those of the desk: the next bar, fractions of shares, no leverage.

    Attributes:
        execution_price: `next_open`, `next_close`, or `auto` (opens where every symbol has them, else closes).
            `same_close` fills at the very close the wish was decided on: nobody can, so it is only for comparing with
            tools that do, and every page says so.
        lot: shares are traded in multiples of this number, rounded toward the holding; 0 allows any fraction. What
            ends a holding is not rounded.
        band: a wish that differs from the weight held at that moment by no more than this is not traded; a wish of 0
            always is.
        max_gross: the absolute weights of a row may sum to this at most (with shorts or above 1: those in force, the
            newest of each symbol); more than 1 borrows money.
        max_participation: share of the bar's volume that one fill may take, the rest waits for the next bar; None:
            any amount is filled.
    """

    execution_price: str = "auto"
    lot: float = 0.0
    band: float = 0.0
    max_gross: float = 1.0
    max_participation: float | None = None

    def __post_init__(self) -> None:
        if self.execution_price not in EXECUTION_PRICES:
            raise ParameterError(
                f"execution_price={self.execution_price!r} is not one of {', '.join(EXECUTION_PRICES)}.",
                remedy="use 'auto'.",
            )
        bounds = {"lot": (0.0, math.inf), "band": (0.0, 1.0), "max_gross": (0.0, 10.0)}
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ParameterError(f"rules.{name}={value!r} must lie from {low:g} to {high:g}.", remedy="correct it.")
        if self.max_participation is not None and not 0.0 < self.max_participation <= 1.0:
            raise ParameterError(
                f"rules.max_participation={self.max_participation!r} must be above 0 and at most 1.",
                remedy="write a tenth of the bar's volume as 0.1, or None for no limit.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
