"""Costs: what trading takes away, as fractions of the traded value."""

from __future__ import annotations

import math
from dataclasses import dataclass

from workbench.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Costs:
    """Proportional costs of a fill.

    Attributes:
        fee: fraction of the traded value paid to the broker (0: commission-free).
        slippage: fraction by which the fill price is worse than the reference price: higher when buying, lower when
            selling (0.0005 is 5 basis points).
    """

    fee: float = 0.0
    slippage: float = 0.0005

    def __post_init__(self) -> None:
        for name in ("fee", "slippage"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0.0 <= value < 1.0):
                raise ParameterError(
                    f"costs.{name}={value!r} must be a fraction from 0 up to 1.",
                    remedy="write 5 basis points as 0.0005.",
                )

    def to_dict(self) -> dict[str, float]:
        """Plain JSON values."""
        return {"fee": float(self.fee), "slippage": float(self.slippage)}
