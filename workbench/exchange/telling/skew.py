"""A clock that is off: every moment in what the exchange tells is moved by so many seconds, and asked ones back."""

from __future__ import annotations

import datetime as dt
from typing import Any

from workbench.exchange.clock import moment_of, text_of

_NAMES = frozenset({"timestamp", "transaction_time", "next_open", "next_close"})


def skewed(body: Any, seconds: float) -> Any:
    """The same JSON value with its moments moved: fields called `…_at`, timestamps, the next open and close."""
    if isinstance(body, dict):
        return {name: _moved(name, value, seconds) for name, value in body.items()}
    return [skewed(value, seconds) for value in body] if isinstance(body, list) else body


def asked(text: str, seconds: float) -> str:
    """A moment that a client with the skewed clock means, in the exchange's own time; other text as it is."""
    try:
        return text_of(moment_of(text) - dt.timedelta(seconds=seconds))
    except (ValueError, OverflowError):
        return text


def _moved(name: str, value: Any, seconds: float) -> Any:
    if isinstance(value, str) and (name in _NAMES or name.endswith("_at")):
        try:
            return text_of(moment_of(value) + dt.timedelta(seconds=seconds))
        except (ValueError, OverflowError):
            return value
    return skewed(value, seconds)
