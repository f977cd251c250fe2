"""When to ask again: what is worth it, how long to wait, and what the vendor itself said about it."""

from __future__ import annotations

import datetime as dt
import math
import random
from email.utils import parsedate_to_datetime

JITTER = 0.25  # a wait is longer by up to this share, so that processes do not return together
AGAIN = frozenset({408, 425})  # and every 5xx


def worth_asking_again(status: int) -> bool:
    """True for what may pass by itself; a question that was refused is refused again."""
    return status >= 500 or status in AGAIN


def backoff(attempt: int, rng: random.Random) -> float:
    """Seconds to wait after attempt 1, 2, 3, …: 1, 2, 4, … and up to a quarter more."""
    return float(2.0 ** (attempt - 1) * (1.0 + JITTER * rng.random()))


def retry_after(said: str | None, *, at: dt.datetime, at_most: float) -> float | None:
    """Seconds that `Retry-After` asks for: seconds or an HTTP date. None: it says nothing that can be read.

    Args:
        at: now (UTC).
        at_most: the cap; a vendor that says more is believed so far.
    """
    if said is None:
        return None
    text = said.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        seconds = (moment - at).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(0.0, seconds), at_most)
