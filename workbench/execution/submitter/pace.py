"""Pace and Pumped: when the submitter looks again, how many requests it may send, and what one pass did."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """When to look again; seconds.

    Attributes:
        lookups: an order of unknown fate is looked up by its client_order_id this long after it was sent.
        again: pause between later look-ups, and between cancels without an answer.
        watch_every: pause between look-ups of an order that was given up.
        watch_for: how long after its last sending a given-up order is watched.
        limited: pause after HTTP 429 when the broker does not say how long; also the longest pause of a limited cancel.
        per_minute: requests that the account may send per minute (200 at Alpaca); a share of them is kept for cancels.
            None: not counted.
    """

    lookups: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
    again: float = 10.0
    watch_every: float = 30.0
    watch_for: float = 86_400.0
    limited: float = 3.0
    per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Pumped:
    """What one pass did, and when the next one has something to do (None: never, unless somebody changes something).

    `held` counts work that was due and is kept back by a halt; it does not count for `next_at`.
    """

    sent: int = 0
    acked: int = 0
    refused: int = 0
    limited: int = 0
    unknown: int = 0
    held: int = 0
    cancels: int = 0
    closed: int = 0
    next_at: dt.datetime | None = None
