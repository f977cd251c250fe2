"""Fill rules: when a wish is filled, in which amounts, and how much may be held."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from workbench.errors import ParameterError

EXECUTION_PRICES = ("auto", "next_open", "next_close", "same_close")
SIZED_AT = ("fill", "decision")
# The fraction of the book that the desk keeps in cash, so that a rise until the fill is paid for.
DESK_CUSHION = 0.02


@dataclass(frozen=True, slots=True)
class FillRules:
    """How wishes become fills. The defaults: the next bar, fractions of shares, no leverage. `desk` is the desk's way.

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
        sized_at: `fill`: shares are computed with the prices and the book at the fill. `decision`: with the closes and
            the book of the decision, by the same `rebalance` that the desk calls, and sent as orders of the next bar.
            Nothing cuts such an order to the cash at its fill, so cash may end below 0, as on a margin account. What
            the next bar cannot fill lapses. See `workbench.backtest.day_orders`.
        cushion: fraction of the book that wishes leave in cash: a weight w counts as w · (1 − cushion).
    """

    execution_price: str = "auto"
    lot: float = 0.0
    band: float = 0.0
    max_gross: float = 1.0
    max_participation: float | None = None
    sized_at: str = "fill"
    cushion: float = 0.0

    def __post_init__(self) -> None:
        if self.execution_price not in EXECUTION_PRICES:
            raise ParameterError(
                f"execution_price={self.execution_price!r} is not one of {', '.join(EXECUTION_PRICES)}.",
                remedy="use 'auto'.",
            )
        if self.sized_at not in SIZED_AT:
            raise ParameterError(
                f"rules.sized_at={self.sized_at!r} is not one of {', '.join(SIZED_AT)}.", remedy="use 'fill'."
            )
        bounds = {"lot": (0.0, math.inf), "band": (0.0, 1.0), "max_gross": (0.0, 10.0), "cushion": (0.0, 0.5)}
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ParameterError(f"rules.{name}={value!r} must lie from {low:g} to {high:g}.", remedy="correct it.")
        if self.max_participation is not None and not 0.0 < self.max_participation <= 1.0:
            raise ParameterError(
                f"rules.max_participation={self.max_participation!r} must be above 0 and at most 1.",
                remedy="write a tenth of the bar's volume as 0.1, or None for no limit.",
            )

        if self.sized_at == "decision" and (not self.lot or self.band or self.execution_price == "same_close"):
            raise ParameterError(
                f"rules.sized_at='decision' does not go with lot={self.lot:g}, band={self.band:g} and "
                f"execution_price={self.execution_price!r}: orders are whole lots for the next bar, without a band.",
                remedy="start from FillRules.desk().",
            )

    @classmethod
    def desk(
        cls,
        *,
        execution_price: str = "auto",
        cushion: float = DESK_CUSHION,
        max_participation: float | None = None,
    ) -> FillRules:
        """The rules by which the desk trades: whole shares, sized at the close of the decision, alive for one session.

        Args:
            max_participation: 0.1 is what the local exchange allows where it knows the volume; None for bars without.
        """
        return cls(
            execution_price=execution_price,
            lot=1.0,
            sized_at="decision",
            cushion=cushion,
            max_participation=max_participation,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
