"""What came of a broker's fact: whose order it was, whether anything changed, what a person should know."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

from workbench.market.order import IntentState


class Flag(enum.StrEnum):
    """What a person, or a reconciliation, should know about an application."""

    UNKNOWN_STATUS = "unknown_status"
    COLLISION = "collision"
    LATE_FILL = "late_fill"
    LIVE_AFTER_END = "live_after_end"
    REPLACED = "replaced"
    OVERFILLED = "overfilled"
    DISAGREES = "disagrees"
    BUSTED = "busted"
    SHRUNK = "shrunk"
    TOO_MUCH = "too_much"


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of one fact.

    Attributes:
        intent_id: whose order it is; None for a foreign one, which was not touched.
        changed: whether anything was written; a repeated fact changes nothing.
        missing_qty: shares that the broker calls filled and no booked execution explains yet, those of the
            order's exits and legs included; read the activities.
        books_fills: False for a multi-leg order, whose executions are those of its legs.
    """

    intent_id: str | None
    state: IntentState | None = None
    changed: bool = False
    flags: tuple[Flag, ...] = ()
    missing_qty: Decimal = Decimal(0)
    books_fills: bool = True

    @property
    def foreign(self) -> bool:
        """Whether the order is not in our journal."""
        return self.intent_id is None
