"""Pacing: how long a stream waits for what: silence, a login, the next try."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from workbench.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Pacing:
    """Seconds, and counts of tries.

    Attributes:
        heartbeat: a connection from which neither a frame nor an answer to a ping has come for so long is given up.
        quiet: one from which no event has come for so long is given up too, though it answers; None: never (a quiet
            symbol is no fault).
        login: from the first byte to the confirmed subscription.
        first, longest: the wait before the first new try, and the longest; it doubles with each try that fails, and
            a random half of it is taken away, so that many clients do not come back at once.
        settled: a connection that has lived so long has ended a row of failures.
        taken_tries: how often in a row a *re*connection may be told that the account is connected already (406): the
            server may not have noticed yet that the old connection is gone.
    """

    heartbeat: float = 30.0
    quiet: float | None = None
    login: float = 10.0
    first: float = 0.5
    longest: float = 30.0
    settled: float = 30.0
    taken_tries: int = 5

    def __post_init__(self) -> None:
        """Check the bounds. Raises ParameterError."""
        for name in ("heartbeat", "login", "first", "longest"):
            self._positive(name)
        if self.quiet is not None:
            self._positive("quiet")
        if self.first > self.longest:
            raise ParameterError(
                f"first={self.first!r} is more than longest={self.longest!r}.", remedy="the wait grows from first on."
            )
        if not self.settled >= 0 or self.taken_tries < 0:
            raise ParameterError(
                f"settled={self.settled!r} and taken_tries={self.taken_tries!r} must be ≥ 0.", remedy="leave them out."
            )

    def wait(self, failures: int, rng: random.Random) -> float:
        """Seconds before the next try after so many failures in a row (≥ 1)."""
        whole = min(self.longest, self.first * 2.0 ** min(failures - 1, 60))
        return whole * (0.5 + 0.5 * rng.random())

    def _positive(self, name: str) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ParameterError(f"{name}={value!r} must be a number of seconds > 0.", remedy="leave it out.")
