"""Refusal: a wish that a limit turned down, with the limit and the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.execution.risk.limits import RefusalCode
    from workbench.market.order import OrderWish


@dataclass(frozen=True, slots=True)
class Refusal:
    """A wish that a limit refused. `numbers` are plain JSON values: what was measured, and the limit's own value.

    `leg` counts the wishes of the list for the same symbol that stood before it.
    """

    wish: OrderWish
    code: RefusalCode
    message: str
    limit: str
    numbers: dict[str, Any]
    leg: int = 0


def refuse(wish: OrderWish, code: RefusalCode, message: str, limit: str, **numbers: Any) -> Refusal:
    """A refusal of `wish`: `message` says what was found, `limit` names the bound."""
    plain = {name: _plain(value) for name, value in numbers.items()}
    return Refusal(wish, code, f"{wish.side.value} {wish.qty} {wish.symbol}: {message}.", limit, plain)


def _plain(value: Any) -> Any:
    """A value that JSON has: no Decimal, and a number that is not finite as text."""
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else str(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
