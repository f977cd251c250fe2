"""Stage: where a stream stands, from new to stopped or failed, why, and since when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import pandas as pd

NEW, CONNECTING, LIVE, RECONNECTING, STOPPED, FAILED = (
    "new",
    "connecting",
    "live",
    "reconnecting",
    "stopped",
    "failed",
)
ENDED: Final = frozenset({STOPPED, FAILED})


class Stage:
    """Any thread may read it, move it and wait for it.

    Args:
        clock: ns since 1970.
        log: hears every move.

    Attributes:
        state: one of the words above.
        reason: empty where the state needs none.
        since: UTC moment of the last move.
    """

    def __init__(self, clock: Callable[[], int], log: Any) -> None:
        self._clock, self._log, self._moved = clock, log, threading.Condition()
        self.state, self.reason, self.since = NEW, "", pd.Timestamp(clock(), tz="UTC")

    def move(self, state: str, reason: str) -> None:
        """Be in another state from now on. What has ended stays so: the first end is the true one."""
        with self._moved:
            if self.state in ENDED:
                return
            self.state, self.reason, self.since = state, reason, pd.Timestamp(self._clock(), tz="UTC")
            self._moved.notify_all()
        self._log.info("the stream is " + state, reason=reason)

    def wait_live(self, seconds: float) -> tuple[str, str]:
        """State and reason as soon as it is live or has ended, or after so many seconds."""
        with self._moved:
            self._moved.wait_for(lambda: self.state in {LIVE, *ENDED}, seconds)
            return self.state, self.reason
