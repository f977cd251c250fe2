"""What a desk has done since it started, counted, with the times that its turns took."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.execution.submitter.submit import Pumped

REMEMBERED = 1000  # turns


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts since the start of the desk; `loop_*` are milliseconds of its last turns (0 before the first one).

    Attributes:
        sent, acked, refused, limited, unknown, cancels, closed: what became of the outbox's work.
        held: work that halts or the trading state keep back now.
        events: what the broker's stream has told. turns: how often the loop went round.
        reconciliations, discrepancies: passes of comparing the book, and differences found in them.
        bots_failed: turns of the bots that ended by an error.
        loop_p50, loop_p90, loop_p99, loop_max: percentiles of the time a turn took.
    """

    sent: int = 0
    acked: int = 0
    refused: int = 0
    limited: int = 0
    unknown: int = 0
    cancels: int = 0
    closed: int = 0
    held: int = 0
    events: int = 0
    turns: int = 0
    reconciliations: int = 0
    discrepancies: int = 0
    bots_failed: int = 0
    loop_p50: float = 0.0
    loop_p90: float = 0.0
    loop_p99: float = 0.0
    loop_max: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for a row; `of` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Counters:
        """Read what `to_dict` wrote, also that of another version."""
        return cls(**{name: value for name, value in raw.items() if name in cls.__dataclass_fields__})


class Tally:
    """Counts for one desk."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._held = 0
        self._took: deque[float] = deque(maxlen=REMEMBERED)

    def count(self, name: str, more: int = 1) -> None:
        """Add to one of the counts of `Counters`."""
        self._counts[name] += more

    def pumped(self, done: Pumped) -> None:
        """Add what one pass over the outbox did."""
        for name in ("sent", "acked", "refused", "limited", "unknown", "cancels", "closed"):
            self._counts[name] += getattr(done, name)
        self._held = done.held

    def took(self, seconds: float) -> None:
        """One turn of the loop is over."""
        self._counts["turns"] += 1
        self._took.append(seconds)

    def counters(self) -> Counters:
        """The counts now."""
        times = sorted(1000 * one for one in self._took)
        return Counters(
            **self._counts,
            held=self._held,
            loop_p50=_share(times, 50),
            loop_p90=_share(times, 90),
            loop_p99=_share(times, 99),
            loop_max=_share(times, 100),
        )


def _share(ordered: list[float], percent: int) -> float:
    """The smallest value that `percent` of all do not exceed (nearest rank), to a microsecond; 0 for none."""
    if not ordered:
        return 0.0
    return round(ordered[max(-(-percent * len(ordered) // 100), 1) - 1], 3)
