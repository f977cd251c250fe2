"""What a response's headers say about the budget of requests: how much is left, and when one may ask again."""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
from collections.abc import Mapping

from workbench.execution.brokers.broker import RateSeen


def rate_of(headers: Mapping[str, str]) -> RateSeen | None:
    """The budget as X-RateLimit-Limit, -Remaining and -Reset (unix seconds) tell it; None where a number is missing."""
    try:
        limit, remaining = int(headers["X-RateLimit-Limit"]), int(headers["X-RateLimit-Remaining"])
    except (KeyError, ValueError):
        return None
    return RateSeen(limit, remaining, _unix(headers.get("X-RateLimit-Reset")))


def retry_moment(headers: Mapping[str, str], now: dt.datetime) -> dt.datetime | None:
    """When a limited request may be repeated: the later of Retry-After and X-RateLimit-Reset; None without both."""
    moments = [_unix(headers.get("X-RateLimit-Reset"))]
    after = headers.get("Retry-After")
    if after:
        try:
            moments.append(now + dt.timedelta(seconds=float(after)))
        except (ValueError, OverflowError):
            with contextlib.suppress(ValueError):
                moments.append(email.utils.parsedate_to_datetime(after).astimezone(dt.UTC))
    return max((moment for moment in moments if moment is not None), default=None)


def _unix(text: str | None) -> dt.datetime | None:
    """A UTC moment from unix seconds; None for anything else."""
    if not text:
        return None
    try:
        return dt.datetime.fromtimestamp(float(text), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
