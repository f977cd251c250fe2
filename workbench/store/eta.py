"""How long something will still take: the units left over a smoothed rate of units per second."""

from __future__ import annotations

import math

HORIZON_S = 20.0


class Eta:
    """An estimate that follows the work as it goes. The caller says what time it is; there is no clock in here.

    The rate is an exponentially weighted mean over about `horizon_s` seconds, weighted by time and not by report: ten
    reports a second weigh no more than one. What was done before the first report (a resumed job) is no rate.
    """

    def __init__(self, horizon_s: float = HORIZON_S) -> None:
        self._horizon = horizon_s
        self._done = self._total = 0
        self._at: float | None = None
        self._rate: float | None = None

    def heard(self, done: int, total: int, at: float) -> None:
        """So many units of so many are done at second `at`. Fewer than before, or another total, begins anew."""
        if self._at is None or done < self._done or total != self._total:
            self._rate = None
        elif done == self._done or at <= self._at:
            return  # nothing moved: the time since counts when it does
        else:
            seconds = at - self._at
            now = (done - self._done) / seconds
            weight = 1.0 - math.exp(-seconds / self._horizon)
            self._rate = now if self._rate is None else self._rate + weight * (now - self._rate)
        self._done, self._total, self._at = done, total, at

    def left(self, at: float) -> float | None:
        """Seconds left at second `at`, never below 0; None while nothing is known of the rate."""
        if self._at is None or self._total <= 0:
            return None
        if self._done >= self._total:
            return 0.0
        if self._rate is None:
            return None
        return max(0.0, (self._total - self._done) / self._rate - (at - self._at))
