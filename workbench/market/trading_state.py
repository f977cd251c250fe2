"""TradingState: what an account may do at all, above every limit; set by a person or by the kill switch."""

from __future__ import annotations

import enum


class TradingState(enum.StrEnum):
    """ACTIVE: everything. REDUCING: only orders that bring a holding nearer to zero. HALTED: no new order at all."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"
