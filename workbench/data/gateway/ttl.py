"""How long an answer may be used again, per kind of facts, in seconds, each with its reason."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from workbench.errors import ParameterError

_KIND: Final = re.compile(r"[a-z][a-z_]{0,31}")
MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Life:
    """Seconds of use, and why."""

    seconds: float
    reason: str


TTL: Final[dict[str, Life]] = {
    "bars": Life(MINUTE, "the newest bar may still be growing; who asks for finished sessions says finished_bars"),
    "finished_bars": Life(7 * DAY, "a finished session does not change but for late corrections"),
    "quotes": Life(1.0, "a quote is worth its age; one second joins readers that ask at once"),
    "trades": Life(1.0, "as of quotes: the newest trade is worth its age"),
    "options": Life(2.0, "a chain is large and moves with its underlying"),
    "news": Life(5 * MINUTE, "articles arrive by the minute, and plans count requests by the day"),
    "filings": Life(10 * MINUTE, "the list grows during the day; its source asks not to be asked often"),
    "fundamentals": Life(6 * HOUR, "changes with a filing, a few times a year; an answer has megabytes"),
    "macro": Life(HOUR, "published at fixed hours, revised by the month"),
    "fx": Life(HOUR, "reference rates appear once a day"),
    "short_interest": Life(12 * HOUR, "published twice a month"),
    "short_volume": Life(12 * HOUR, "published once, in the evening"),
    "actions": Life(HOUR, "announced during the day, in force from the next"),
    "sentiment": Life(0.0, "made here, never fetched"),
    "reference": Life(DAY, "lists of symbols and names change by the day"),
}


def seconds_of(kind: str, ttl: float | None = None) -> float:
    """How long an answer of the kind may be used again: `ttl` where it is given. 0: it is not kept.

    Raises:
        ParameterError: the kind is no name, or has no line in `TTL` and no `ttl` was given; `ttl` is negative or not
            finite.
    """
    if not _KIND.fullmatch(kind):
        raise ParameterError(f"kind={kind!r} must be like short_interest: a-z and _, at most 32.")
    if ttl is not None:
        if not (math.isfinite(ttl) and ttl >= 0):
            raise ParameterError(f"ttl={ttl!r} must be a number of seconds, 0 or more.")
        return float(ttl)
    if kind not in TTL:
        raise ParameterError(
            f"kind={kind!r} has no time to live; nothing was asked.",
            remedy=f"give ttl=, or use one of {', '.join(TTL)}.",
        )
    return TTL[kind].seconds
