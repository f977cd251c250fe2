"""RoutePlan: how and when a wish is to be ordered, and why, in sentences with the numbers that decided."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import html
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from workbench.market.order import OrderType, OrderWish, TimeInForce


class Urgency(enum.StrEnum):
    """How much a delay is worth: PATIENT would rather wait than pay, URGENT would rather pay than wait."""

    PATIENT = "patient"
    NORMAL = "normal"
    URGENT = "urgent"


class RouteRules(BaseModel):
    """The numbers of the rules. Frozen: a change is a new value.

    Attributes:
        collar: how far a marketable limit may lie from the price it is measured from, fraction of it.
        small: below this part of an average day's volume an order goes out at once, fraction.
        large: from this part on an order follows the market's volume, fraction.
        rate: our part of all that trades, for an order that does, fraction.
        direct_qty: up to this many shares an order goes out at once where the volume is not known.
        horizon_seconds, interval_seconds: of a schedule; it never ends later than `last_minutes` before the close.
        near_close_minutes: from then on what is left of the session is too short for a schedule: the closing auction.
        last_minutes: from then on the auction takes no more orders. Alpaca's 10 minutes, and one for the way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    collar: Decimal = Field(Decimal("0.005"), gt=0, lt=1)
    small: Decimal = Field(Decimal("0.01"), gt=0)
    large: Decimal = Field(Decimal("0.10"), gt=0)
    rate: float = Field(0.10, gt=0, lt=1)
    direct_qty: Decimal = Field(Decimal(1_000), ge=0)
    horizon_seconds: float = Field(3_600.0, gt=0)
    interval_seconds: float = Field(300.0, gt=0)
    near_close_minutes: float = Field(25.0, gt=0)
    last_minutes: float = Field(11.0, ge=11)


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """What to do with a wish.

    Attributes:
        rule: the name of the row of the table that decided.
        wish: what to order: type, time in force, limit price and extended hours are set. An algorithm's children have
            its side, limit and extended hours.
        send_at: the UTC moment to order at; None: now. A parked order is routed again then, with what is known then.
        algorithm: `twap`, `vwap` or `pov` for `algos.parents.Parents.start`; None: one order, directly.
        params: of the algorithm.
        starts_at, ends_at: the algorithm's span (UTC).
        why: sentences, the deciding one last.
    """

    rule: str
    wish: OrderWish
    send_at: dt.datetime | None = None
    algorithm: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None
    why: tuple[str, ...] = ()

    @property
    def type(self) -> OrderType:
        """The order's type."""
        return self.wish.type

    @property
    def time_in_force(self) -> TimeInForce:
        """How long the order lives."""
        return self.wish.time_in_force

    @property
    def line(self) -> str:
        """The plan on one line."""
        wish = self.wish
        at = "" if wish.limit_price is None else f" at {wish.limit_price:f}"
        order = f"{wish.side.value} {wish.qty:f} {wish.symbol} {wish.type.value} {wish.time_in_force.value}{at}"
        more = ", extended hours" if wish.extended_hours else ""
        when = "" if self.send_at is None else f", parked until {self.send_at:%Y-%m-%d %H:%M} UTC"
        until = "" if self.ends_at is None else f" until {self.ends_at:%H:%M} UTC"
        how = f" by {self.algorithm}{until}" if self.algorithm else ""
        return f"{order}{more}{how}{when} [{self.rule}]"

    def because(self, *sentences: str) -> RoutePlan:
        """The plan with these sentences before its own."""
        return dataclasses.replace(self, why=(*sentences, *self.why))

    def __repr__(self) -> str:
        return "\n".join([self.line, *(f"  {sentence}" for sentence in self.why)])

    def _repr_html_(self) -> str:
        said = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.why)
        return f"<div><b>{html.escape(self.line)}</b><ul>{said}</ul></div>"
