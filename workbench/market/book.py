"""Book: cash and positions as we believe them. `apply(fill)` is the only way in which a fill changes one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.errors import ExecutionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.market.order import Fill


@dataclass(frozen=True, slots=True)
class Position:
    """A holding: signed `qty` in shares, `avg_price` per share paid, `realized` profit so far in currency."""

    symbol: str
    qty: Decimal
    avg_price: Decimal
    realized: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Book:
    """Cash and positions; frozen, so yesterday's book cannot be changed by today's fill."""

    cash: Decimal
    positions: Mapping[str, Position] = field(default_factory=dict)

    def apply(self, fill: Fill) -> Book:
        """The book after a fill. Money is conserved: cash changes by −side·qty·price − fee and nothing else.

        Closing realizes (price − avg_price) per share; crossing zero starts a new position at the fill's price.

        Raises:
            ExecutionError: the fill has a quantity or price ≤ 0.
        """
        if fill.qty <= 0 or fill.price <= 0:
            raise ExecutionError(
                f"a fill of {fill.symbol} has qty={fill.qty} and price={fill.price}; both must be > 0. Not booked.",
                remedy="look at the broker's record of this execution.",
            )
        signed = fill.side.sign * fill.qty
        old = self.positions.get(fill.symbol, Position(fill.symbol, Decimal(0), Decimal(0)))
        qty = old.qty + signed
        realized = old.realized
        if old.qty * signed >= 0:
            avg = (old.avg_price * abs(old.qty) + fill.price * fill.qty) / abs(qty)
        else:
            closed = min(abs(signed), abs(old.qty))
            direction = 1 if old.qty > 0 else -1
            realized += direction * closed * (fill.price - old.avg_price)
            avg = old.avg_price if old.qty * qty > 0 else (fill.price if qty else Decimal(0))
        position = dataclasses.replace(old, qty=qty, avg_price=avg, realized=realized)
        return Book(
            cash=self.cash - signed * fill.price - fill.fee, positions={**self.positions, fill.symbol: position}
        )

    def value(self, prices: Mapping[str, Decimal]) -> Decimal:
        """Cash plus positions at `prices`. Raises ExecutionError when a held symbol has no price."""
        total = self.cash
        for symbol, position in self.positions.items():
            if position.qty:
                if symbol not in prices:
                    raise ExecutionError(
                        f"{symbol} is held but has no price, so the book has no value.",
                        remedy="load its history, or close the position by hand.",
                    )
                total += position.qty * prices[symbol]
        return total
