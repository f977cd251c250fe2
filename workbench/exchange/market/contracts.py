"""Which option contracts are listed: on which days they expire, and with which strikes.

The grid is a rule, not a list, so it is the same on every exchange and needs no storage:

- **Expiries.** Monthly contracts expire on the third Friday and are listed a year before; weekly ones on every other
  Friday, listed five weeks before. Where Friday has no session it is Thursday.
- **Strikes.** Steps by the underlying's price when the contract was listed (its newest close then): 0.5 below 25, 1
  below 50, 2.5 below 100, 5 below 250, 10 below 1000, else 50. Listed are the steps from 0.7 times the lowest to 1.3
  times the highest close since. So strikes are added as the price moves and never taken away, and a listing knows
  nothing of tomorrow.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from workbench.exchange.market.prices import day_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.exchange.clock import Session, Timeline
    from workbench.exchange.market.black_scholes import Right
    from workbench.exchange.market.feed import Series
    from workbench.exchange.state.occ import Contract

MONTHLY_DAYS: Final = 365
WEEKLY_DAYS: Final = 35
SMALLEST_STEP: Final = Decimal("0.5")
_STEPS: Final = ((25, "0.5"), (50, "1"), (100, "2.5"), (250, "5"), (1000, "10"))
_FRIDAY: Final = 4
_THIRD: Final = range(15, 22)


def right_of(contract: Contract) -> Right:
    """`"call"` or `"put"`."""
    return "call" if contract.is_call else "put"


def symbol_of(underlying: str, expires: dt.date, right: Right, strike: Decimal) -> str:
    """The OCC symbol of a contract, without blanks."""
    return f"{underlying}{expires:%y%m%d}{'C' if right == 'call' else 'P'}{int(strike * 1000):08d}"


class Grid:
    """Which contracts are listed when.

    Args:
        timeline: the sessions of the underlyings.
        series: the daily bars of an underlying.
    """

    def __init__(self, timeline: Timeline, series: Callable[[str], Series]) -> None:
        self._timeline, self._series = timeline, series
        self.strikes = functools.lru_cache(maxsize=4096)(self._strikes)

    def expiry(self, date: dt.date) -> Session | None:
        """The session at whose close contracts of that date expire; None where none expires then."""
        friday = date if date.weekday() == _FRIDAY else date + dt.timedelta(days=1)
        if friday.weekday() != _FRIDAY or self._expiring(friday) != date:
            return None
        return self._timeline.session_of(date)

    def listed_on(self, expires: dt.date) -> dt.date:
        """The day from which contracts of that expiry exist."""
        friday = expires if expires.weekday() == _FRIDAY else expires + dt.timedelta(days=1)
        days = MONTHLY_DAYS if friday.day in _THIRD else WEEKLY_DAYS
        return expires - dt.timedelta(days=days)

    def expiries(self, on: dt.date) -> list[dt.date]:
        """The expiries listed on a day, that day's own included, ascending."""
        friday = on + dt.timedelta(days=(_FRIDAY - on.weekday()) % 7)
        fridays = (friday + dt.timedelta(weeks=week) for week in range(54))
        found = [self._expiring(day) for day in fridays]
        return [date for date in found if date is not None and date >= on and self.listed_on(date) <= on]

    def is_listed(self, contract: Contract, moment: dt.datetime) -> bool:
        """Whether the contract can be traded at that moment: listed, not expired, its strike on the ladder."""
        session = self.expiry(contract.expiration)
        if session is None or moment >= session.closes or moment < day_start(self.listed_on(contract.expiration)):
            return False
        return contract.strike in self.strikes_at(contract.underlying, contract.expiration, moment)

    def strikes_at(self, underlying: str, expires: dt.date, moment: dt.datetime) -> tuple[Decimal, ...]:
        """The strikes of one expiry as listed at that moment, ascending; none before the underlying has a close."""
        known = bisect.bisect_right(self._series(underlying).closes_at, moment)
        return self.strikes(underlying, expires, known)

    def _strikes(self, underlying: str, expires: dt.date, known: int) -> tuple[Decimal, ...]:
        series = self._series(underlying)
        listed = day_start(self.listed_on(expires))
        first = max(0, bisect.bisect_right(series.closes_at, listed) - 1)
        closes = series.close[first:known]
        if not closes:
            return ()
        step = next((Decimal(text) for below, text in _STEPS if closes[0] < below), Decimal(50))
        lowest = int(Decimal(repr(0.7 * min(closes))) / step)
        highest = int(Decimal(repr(1.3 * max(closes))) / step)
        return tuple(step * number for number in range(max(1, lowest), highest + 1))

    def _expiring(self, friday: dt.date) -> dt.date | None:
        for date in (friday, friday - dt.timedelta(days=1)):
            if self._timeline.session_of(date) is not None:
                return date
        return None
