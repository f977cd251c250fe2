"""The bots of an account inside the turns of its desk: asked when they want to be, and never able to stop the desk."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from workbench.errors import LeaseLost
from workbench.trace import get_logger

if TYPE_CHECKING:
    from workbench.orchestration.desk_counters import Tally

LONGEST_PAUSE = 1.0  # seconds; bots are started, paused and stopped by other processes meanwhile
AFTER_AN_ERROR = 5.0


class BotsAtWork(Protocol):
    """The engine of an account's bots, as the desk runs it, on its own thread."""

    def warm_up(self, now: dt.datetime) -> int:
        """Read the history that the bots need; how many have it."""
        ...

    def start(self) -> int:
        """Go to work; how many bots there are."""
        ...

    def step(self, now: dt.datetime) -> dt.datetime | None:
        """Let the bots whose time has come look; when to be called again, by the market's clock (None: no bot)."""
        ...

    def close(self) -> None:
        """Stop working; what bots own stays in the database."""
        ...


class BotTurns:
    """Gives the bots their turns; without an engine it does nothing."""

    def __init__(
        self,
        engine: BotsAtWork | None,
        market_time: Callable[[], dt.datetime],
        *,
        tally: Tally,
        monotonic: Callable[[], float],
        account: str,
    ) -> None:
        self.engine = engine
        self._market_time, self._tally, self._now = market_time, tally, monotonic
        self._next = 0.0
        self._log = get_logger(__name__).bind(account=account)

    def soon(self) -> None:
        """Ask them in the next turn: the market went into another phase."""
        self._next = 0.0

    def turn(self) -> None:
        """Let them look if it is time. An error is counted and logged, and they are asked again. Raises LeaseLost."""
        if self.engine is None or self._now() < self._next:
            return
        now = self._market_time()
        try:
            wanted = self.engine.step(now)
        except LeaseLost:
            raise
        except Exception:  # noqa: BLE001 - orders that are under way need the desk, whatever a bot does
            self._tally.count("bots_failed")
            self._log.exception("the bots' turn ended by an error; they are asked again")
            self._next = self._now() + AFTER_AN_ERROR
            return
        pause = LONGEST_PAUSE if wanted is None else (wanted - now).total_seconds()
        self._next = self._now() + min(max(pause, 0.0), LONGEST_PAUSE)
