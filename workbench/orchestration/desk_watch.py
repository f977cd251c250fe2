"""What the desk keeps an eye on besides its orders: the market's hours, and what the account may do at all."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Protocol

from workbench.events import MarketPhaseChanged, TradingStateChanged
from workbench.execution.risk import trading_state
from workbench.market.trading_state import TradingState
from workbench.orchestration.desk_hours import HoursMonitor, PhaseChange
from workbench.store.engine import transaction
from workbench.trace import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session


class Tell(Protocol):
    """Writes into the desk's row: `phase` with its end, and events that are published with it."""

    def __call__(self, **what: Any) -> None: ...


class DeskWatch:
    """Notices changes and tells them: in the log, in the desk's row, as events.

    Args:
        venue: whose hours are watched; None: nobody's.
        market_time: the moment at the market.
    """

    def __init__(
        self, engine: Engine, account: str, *, venue: str | None, market_time: Callable[[], dt.datetime], tell: Tell
    ) -> None:
        self._engine, self._account = engine, account
        self._market_time, self._tell = market_time, tell
        self._hours = None if venue is None else HoursMonitor(venue)
        self._trading = TradingState.ACTIVE
        self._log = get_logger(__name__).bind(account=account)

    @property
    def line(self) -> str:
        """How things are, for a report."""
        hours = "" if self._hours is None else f"{self._hours.venue} is {self._hours.phase}, "
        return f"{hours}trading state {self._trading.value}"

    def begin(self) -> None:
        """The first look: how things are is no change."""
        self.hours()
        with transaction(self._engine) as session:
            self._trading = trading_state.standing(session, self._account)

    def hours(self) -> PhaseChange | None:
        """Whether the market went into another phase since the last look; it is told here."""
        change = None if self._hours is None else self._hours.look(self._market_time())
        if change is None or self._hours is None:
            return None
        event = MarketPhaseChanged(
            account=self._account,
            venue=self._hours.venue,
            before="" if change.before is None else change.before.value,
            after=change.after.value,
            at=change.at,
            until=change.until,
        )
        self._log.info("market", venue=event.venue, before=event.before, after=event.after, until=event.until)
        self._tell(phase=(event.after, event.until), events=(event,))
        return change

    def allowed(self, session: Session) -> TradingState:
        """What the account may do, read in an open transaction; `noticed` it afterwards."""
        return trading_state.standing(session, self._account)

    def noticed(self, now: TradingState) -> None:
        """Tell another trading state. Who changes it publishes that, unless only the kill file could be written."""
        if now is self._trading:
            return
        before, self._trading = self._trading, now
        self._log.warning("the trading state has changed", before=before.value, after=now.value)
        known = trading_state.known(self._engine, self._account)
        if known.told_by == "file":
            said = {"before": before.value, "after": now.value, "reason": known.reason, "who": known.who}
            self._tell(events=(TradingStateChanged(account=self._account, **said),))
