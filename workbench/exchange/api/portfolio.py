"""The resource of portfolio history: the worth of the account over time, and the profit against a base."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from workbench.exchange.api.resource import AccountResource
from workbench.exchange.clock import moment_of
from workbench.exchange.requests.fields import MALFORMED
from workbench.exchange.state.order import ZERO
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.exchange.clock import Timeline

Point = tuple[dt.datetime, Decimal]
DAILY: Final = "1D"
MINUTES: Final[Mapping[str, int]] = {"1Min": 1, "5Min": 5, "15Min": 15, "1H": 60}
DAYS: Final[Mapping[str, int]] = {"D": 1, "W": 7, "M": 31, "A": 366, "Y": 366}
LONGEST: Final = 100  # years


class PortfolioHistory(AccountResource):
    """/v2/account/portfolio/history."""

    async def get(self) -> None:
        """Equity and profit from `start` to `end`, or over a `period` (1M) that ends at `date_end`, `end` or now.

        timeframe: 1Min, 5Min, 15Min, 1H or 1D; by default 1Min under 7 days, 15Min under 30 days, else 1D. An exchange
        of daily bars has one point per session, at its close, and says 1D; one of intraday bars has the closes of the
        bars in which something was held. The profit is against `base_value`: the first value shown; intraday and with
        `pnl_reset=per_day` (the default) against the close of the session before each point.
        """
        account, timeline = self.account, self.exchange.venue.market.timeline
        end = self._end(account.now)
        start, days = self._start(end)
        timeframe = self._timeframe(days, timeline)
        every = self.exchange.venue.ledger.equity(account.id, until=end)
        shown = [point for point in every if point[0] >= start]
        points = _thinned(shown, timeframe, timeline)
        base = points[0][1] if points else account.initial_cash
        per_day = timeframe != DAILY and (self.query("pnl_reset") or "per_day") == "per_day"
        bases = _closes_before(points, every, timeline, first=base) if per_day else [base] * len(points)
        gains = [value - against for (_, value), against in zip(points, bases, strict=True)]
        await self.reply(
            {
                "timestamp": [int(moment.timestamp()) for moment, _ in points],
                "equity": [float(value) for _, value in points],
                "profit_loss": [float(gain) for gain in gains],
                "profit_loss_pct": [_part(gain, against) for gain, against in zip(gains, bases, strict=True)],
                "base_value": float(base),
                "timeframe": timeframe,
            }
        )

    def _end(self, now: dt.datetime) -> dt.datetime:
        end = now
        given, date_end = self.query("end"), self.query("date_end")
        if given is not None:
            end = _moment("end", given)
        elif date_end is not None:
            end = min(_moment("date_end", date_end), now) + dt.timedelta(days=1)
        return min(end, now)

    def _start(self, end: dt.datetime) -> tuple[dt.datetime, float]:
        given = self.query("start")
        if given is not None:
            start = _moment("start", given)
            return start, (end - start) / dt.timedelta(days=1)
        period = self.query("period") or "1M"
        unit, count = DAYS.get(period[-1:].upper()), period[:-1]
        if unit is None or not count.isdecimal() or not 1 <= int(count) * unit <= LONGEST * 366:
            raise Refusal(422, MALFORMED, f"invalid period: {period[:32]}")
        days = unit * int(count)
        return max(end, self.account.opened_at) - dt.timedelta(days=days), days

    def _timeframe(self, days: float, timeline: Timeline) -> str:
        given = self.query("timeframe")
        known = {name.lower(): name for name in (*MINUTES, DAILY)}
        if given is not None and given.lower() not in known:
            raise Refusal(422, MALFORMED, f"invalid timeframe: {given[:32]}; it is one of {', '.join(known.values())}")
        if not timeline.intraday:
            return DAILY
        if given is not None:
            return known[given.lower()]
        return "1Min" if days < 7 else "15Min" if days < 30 else DAILY


def _thinned(points: Sequence[Point], timeframe: str, timeline: Timeline) -> list[Point]:
    """One point per session (the last), or those at whole multiples of the timeframe and at closes."""
    if timeframe == DAILY:
        newest = {_date(moment, timeline): (moment, value) for moment, value in points}
        return list(newest.values()) if timeline.intraday else list(points)
    width = dt.timedelta(minutes=MINUTES[timeframe])
    kept = []
    for moment, value in points:
        session = timeline.session_of(_date(moment, timeline))
        if session is None or moment >= session.closes or (moment - session.opens) % width == dt.timedelta():
            kept.append((moment, value))
    return kept


def _closes_before(
    points: Sequence[Point], every: Sequence[Point], timeline: Timeline, *, first: Decimal
) -> list[Decimal]:
    """The last worth of the session before that of each point; `first` where there is none."""
    last = {_date(moment, timeline): value for moment, value in every}
    dates = sorted(last)
    before = dict(zip(dates[1:], (last[date] for date in dates), strict=False))
    return [before.get(_date(moment, timeline), first) for moment, _ in points]


def _date(moment: dt.datetime, timeline: Timeline) -> dt.date:
    """The session whose worth a moment tells: the one that runs, or the one that has just closed."""
    session = timeline.session_at_or_after(moment)
    return session.date if session.opens < moment else timeline.previous(moment).date


def _part(gain: Decimal, base: Decimal) -> float:
    return float(gain / base) if base > ZERO else 0.0


def _moment(name: str, text: str) -> dt.datetime:
    try:
        return moment_of(text)
    except ValueError as error:
        raise Refusal(422, MALFORMED, f"invalid format for {name}") from error
