"""Costs: what trading and holding take away. All are zero but for 5 basis points of slippage."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from workbench.errors import ParameterError

# Fields that are fractions from 0 up to 1; the others are amounts or coefficients, from 0 on.
_FRACTIONS = {"fee", "slippage", "spread", "fee_max"}
# What every engine and kernel understands: money lost in proportion to the traded value.
_PROPORTIONAL = {"fee", "slippage", "spread"}


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of fills and of holdings. `Costs()` is commission-free with 5 basis points of slippage.

    Attributes:
        fee: commission, a fraction of the traded value.
        slippage: fraction by which the fill price is worse than the reference price: higher when buying, lower when
            selling (0.0005 is 5 basis points).
        spread: the whole bid-ask spread as a fraction of the price; a fill loses half of it.
        fee_per_order: commission per fill, in currency.
        fee_per_share: commission per share, in currency.
        fee_min: least commission per fill, in currency (of `fee`, `fee_per_order` and `fee_per_share` together).
        fee_max: most commission per fill, as a fraction of the traded value, even below `fee_min`; None: no cap.
        fee_tiers: pairs (value traded so far in the calendar month, fraction) in rising order; the fraction of the
            last pair reached replaces `fee` for the next fill.
        regulatory: name of a schedule of regulatory fees in `workbench.backtest.fees`, e.g. "us_equities"; empty: none.
        slippage_volatility: further slippage in units of σ, the symbol's volatility per bar, see
            `workbench.backtest.slippage.volatility_before`.
        slippage_participation: further slippage per share of the bar's volume taken: 0.1 loses 0.1 % of the price when
            1 % of the volume is taken.
        impact: Y of the square-root law: a fill of q shares moves the price by Y · σ · √(q / V), V being the mean
            volume per bar, see `workbench.backtest.slippage.worse`.
        borrow: annual rate paid on the market value of shorts, per calendar day over 360.
        cash_interest: annual rate earned on cash above 0, likewise; the proceeds of short sales earn nothing.
        margin_interest: annual rate paid on borrowed money (cash without the proceeds of shorts, where below 0),
            likewise.
    """

    fee: float = 0.0
    slippage: float = 0.0005
    spread: float = 0.0
    fee_per_order: float = 0.0
    fee_per_share: float = 0.0
    fee_min: float = 0.0
    fee_max: float | None = None
    fee_tiers: tuple[tuple[float, float], ...] = ()
    regulatory: str = ""
    slippage_volatility: float = 0.0
    slippage_participation: float = 0.0
    impact: float = 0.0
    borrow: float = 0.0
    cash_interest: float = 0.0
    margin_interest: float = 0.0

    def __post_init__(self) -> None:
        for name, value in self._numbers():
            if value is None:
                continue
            bound = "a fraction from 0 up to 1" if name in _FRACTIONS else "a finite number from 0 on"
            if not (math.isfinite(value) and value >= 0.0 and (name not in _FRACTIONS or value < 1.0)):
                raise ParameterError(
                    f"costs.{name}={value!r} must be {bound}.", remedy="write 5 basis points as 0.0005."
                )
        object.__setattr__(self, "fee_tiers", tuple((float(at), float(fee)) for at, fee in self.fee_tiers))
        steps = [at for at, _ in self.fee_tiers]
        if steps != sorted(set(steps)) or any(not 0.0 <= fee < 1.0 for _, fee in self.fee_tiers):
            raise ParameterError(
                f"costs.fee_tiers={self.fee_tiers!r} must rise in the first number and hold fractions in the second.",
                remedy="write e.g. ((0, 0.001), (1_000_000, 0.0005)).",
            )

    @property
    def proportional(self) -> bool:
        """Whether nothing but `fee`, `slippage` and `spread` is set: what the fast engines understand."""
        return all(not value for name, value in self._numbers() if name not in _PROPORTIONAL) and not (
            self.fee_tiers or self.regulatory
        )

    @property
    def worse(self) -> float:
        """Fraction by which a fill's price is worse than the reference in any case: slippage and half the spread."""
        return self.slippage + self.spread / 2.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `Costs(**values)` is the inverse."""
        return {item.name: getattr(self, item.name) for item in fields(self)} | {
            "fee_tiers": [list(step) for step in self.fee_tiers]
        }

    def _numbers(self) -> list[tuple[str, float | None]]:
        return [
            (item.name, getattr(self, item.name))
            for item in fields(self)
            if item.name not in {"fee_tiers", "regulatory"}
        ]
