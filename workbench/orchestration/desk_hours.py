"""The desk's monitor of market hours: what time it is at the market, and which phase of trading that is."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import BrokerRefused, ExchangeUnavailable, StudyError
from workbench.market.hours import Phase, next_change, phase_at

if TYPE_CHECKING:
    from workbench.execution.brokers.broker import Broker

# A broker whose clock is further from ours than this replays another time, and must be asked for it.
SAME_TIME = dt.timedelta(seconds=60)
ASK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PhaseChange:
    """The market went from one phase into another; `before` is None at the first look, `until` where it never ends."""

    before: Phase | None
    after: Phase
    at: dt.datetime
    until: dt.datetime | None

    @property
    def is_close(self) -> bool:
        """Whether regular trading has just ended."""
        return self.before is Phase.REGULAR and self.after is not Phase.REGULAR


class MarketTime:
    """The market's time: our own clock where the broker lives in the same present, else the broker's, asked at times.

    A broker that does not answer leaves the time where it was last heard to be.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        clock: Callable[[], dt.datetime],
        monotonic: Callable[[], float] = time.monotonic,
        every: float = ASK_SECONDS,
    ) -> None:
        self._broker, self._clock, self._now, self._every = broker, clock, monotonic, every
        self._seen: dt.datetime | None = None
        self._ask_at = 0.0
        self.is_ours = False

    def __call__(self) -> dt.datetime:
        """The time at the market, in UTC."""
        wall = self._clock()
        if self.is_ours:
            return wall
        if self._now() >= self._ask_at:
            self._ask_at = self._now() + self._every
            try:
                self._seen = self._broker.clock().now
            except (ExchangeUnavailable, BrokerRefused):
                return self._seen or wall
            self.is_ours = self._seen is None or abs(self._seen - wall) < SAME_TIME
        return wall if self.is_ours or self._seen is None else self._seen


class HoursMonitor:
    """Notices that the market of a venue went into another phase."""

    def __init__(self, venue: str) -> None:
        self.venue = venue
        self.phase: Phase | None = None
        self._until: dt.datetime | None = None
        self._from: dt.datetime | None = None

    def look(self, now: dt.datetime) -> PhaseChange | None:
        """What has changed since the last look; None: nothing. Time may jump, also back.

        Raises:
            StudyError: the venue is not known.
        """
        if self._from is not None and self._from <= now and (self._until is None or now < self._until):
            return None
        before, self.phase = self.phase, phase_at(self.venue, now)
        try:
            self._until = next_change(self.venue, now)[0]
        except StudyError:  # it never closes
            self._until = None
        self._from = now
        return None if before is self.phase else PhaseChange(before, self.phase, now, self._until)
