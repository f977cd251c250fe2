"""What a certificate strikes the order path with: one plan per row, and how long its worker waits for an answer."""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Plan:
    """One row of faults: their texts, and whether the orders are followed on the stream."""

    name: str
    what: str
    faults: tuple[str, ...]
    listens: bool = False


PLANS = (
    Plan("504-before-accept", "504, nothing was placed", ("504-before-accept:0.5",)),
    Plan("504-after-accept", "504, the order was placed", ("504-after-accept:0.5",)),
    Plan("500-html", "500 with a page instead of an answer", ("500-html:0.5",)),
    Plan("502-html", "502 with a page instead of an answer", ("502-html:0.5",)),
    Plan("reset-before", "connection reset, nothing was placed", ("reset-before:0.5",)),
    Plan("reset-after", "connection reset, the order was placed", ("reset-after:0.5",)),
    Plan("hang", "the order was placed, no answer ever", ("hang:0.5",)),
    Plan("slow", "the answer comes after we have given up waiting", (f"slow:0.5@{PATIENCE_SECONDS * 1.5:.2f}s",)),
    Plan("429", "too many requests", ("429:0.5@0s",)),
    Plan("unknown-status", "placed, with a status that nobody knows", ("unknown-status:0.5",)),
    Plan("clock-skew", "the exchange's clock is 90 seconds behind", ("clock-skew:1@-90s",)),
    Plan(
        "silent look-ups",
        "connection reset after the order, and look-ups that fail too",
        ("reset-after:0.4", "500-html:0.5:GET /v2/orders:by_client_order_id"),
    ),
    Plan(
        "all at once",
        "timeouts, pages and resets, on every request, look-ups too",
        tuple(
            f"{kind}:0.05:*"
            for kind in ("504-before-accept", "504-after-accept", "502-html", "reset-before", "reset-after")
        ),
    ),
    Plan("duplicate-events", "messages of the stream come twice", ("duplicate-events:0.5",), listens=True),
    Plan("drop-events", "messages of the stream do not come", ("drop-events:0.5",), listens=True),
    Plan("reorder-events", "messages of the stream overtake each other", ("reorder-events:0.5",), listens=True),
    Plan("disconnect", "the stream is cut, with a gap", ("disconnect:0.25@0.05s",), listens=True),
)
