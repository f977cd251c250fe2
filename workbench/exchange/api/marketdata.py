"""The resources of the venue itself as the asking account may see it: clock, calendar and assets."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from workbench.exchange.api.resource import AccountResource
from workbench.exchange.clock import moment_of
from workbench.exchange.market.prices import NEW_YORK
from workbench.exchange.requests.intake import MALFORMED
from workbench.exchange.wire import Refusal, asset_id, asset_json
from workbench.market.hours import Phase, next_change, phase_at, spans

if TYPE_CHECKING:
    from workbench.exchange.clock import Timeline

# (first trade date, sessions until a trade of stocks settles): T+1 since 28 May 2024, T+2 since 5 September 2017.
_SETTLEMENT: Final = ((dt.date(2024, 5, 28), 1), (dt.date(2017, 9, 5), 2), (dt.date(1995, 6, 7), 3), (dt.date.min, 5))
_PHASES: Final = {Phase.REGULAR: "core", Phase.AFTER: "post"}


class ClockResource(AccountResource):
    """/v2/clock."""

    async def get(self) -> None:
        """The account's own clock; `is_open` is the regular session."""
        timeline, now = self.exchange.venue.market.timeline, self.account.now
        await self.reply(
            {
                "timestamp": _eastern(now),
                "is_open": timeline.is_open(now),
                "next_open": _eastern(timeline.next_open(now)),
                "next_close": _eastern(timeline.session_at_or_after(now).closes),
            }
        )


class ClocksResource(AccountResource):
    """/v3/clock."""

    async def get(self) -> None:
        """The account's own clock with the phase of trading: closed, overnight, pre, core or post."""
        timeline, now = self.exchange.venue.market.timeline, self.account.now
        until, _ = next_change(timeline.venue, now)
        phase = phase_at(timeline.venue, now)
        clock = {
            "market": {
                "mic": timeline.venue,
                "bic": None,
                "acronym": "NYSE",
                "name": "The local exchange",
                "timezone": str(NEW_YORK),
            },
            "timestamp": _eastern(now),
            "is_market_day": timeline.session_of(now.astimezone(NEW_YORK).date()) is not None,
            "next_market_open": _eastern(timeline.next_open(now)),
            "next_market_close": _eastern(timeline.session_at_or_after(now).closes),
            "phase": _PHASES.get(phase, phase.value),
            "phase_until": _eastern(until),
        }
        await self.reply({"clocks": [clock]})


class CalendarResource(AccountResource):
    """/v2/calendar."""

    async def get(self) -> None:
        """Sessions from `start` to `end`, both included; the next 31 days where they are not given.

        The settlement date is counted in sessions; a bank holiday on which stocks trade is not left out.
        """
        timeline = self.exchange.venue.market.timeline
        start = _day(self.query("start"), self.account.now.date())
        end = _day(self.query("end"), start + dt.timedelta(days=31))
        await self.reply(
            [
                {
                    "date": session.date.isoformat(),
                    "open": f"{session.opens.astimezone(NEW_YORK):%H:%M}",
                    "close": f"{session.closes.astimezone(NEW_YORK):%H:%M}",
                    **_extended(timeline, session.date),
                    "settlement_date": settles(timeline, session.date).isoformat(),
                }
                for session in timeline.between(start, end)
            ]
        )


class Assets(AccountResource):
    """/v2/assets."""

    async def get(self) -> None:
        """All symbols of the source; tradable from their first price on."""
        if (self.query("status") or "active").lower() != "active" or (
            self.query("asset_class") or "us_equity"
        ).lower() != "us_equity":
            await self.reply([])
            return
        market = self.exchange.venue.market
        await self.reply([self.describe(symbol) for symbol in sorted(market.feed.symbols())])

    def describe(self, symbol: str) -> dict[str, Any]:
        """One asset at the account's moment."""
        venue = self.exchange.venue
        priced = venue.market.last(symbol, self.account.now) is not None
        return asset_json(symbol, tradable=priced, facts=venue.engine.facts_of(symbol))


class OneAsset(Assets):
    """/v2/assets/{symbol or asset id}."""

    async def get(self, symbol_or_id: str) -> None:  # type: ignore[override] # tornado hands over what the path holds
        """One asset. 404 where there is none."""
        for symbol in self.exchange.venue.market.feed.symbols():
            if symbol_or_id in {symbol, asset_id(symbol)}:
                await self.reply(self.describe(symbol))
                return
        raise Refusal(404, 40410000, f"asset not found for {symbol_or_id}")


def settles(timeline: Timeline, traded: dt.date) -> dt.date:
    """The session at which a trade of stocks on that day settles, by the rule of its time."""
    count = next(count for first, count in _SETTLEMENT if traded >= first)
    return timeline.after(traded, count).date


def _extended(timeline: Timeline, date: dt.date) -> dict[str, str]:
    """The hours with pre-market and evening as `HHMM`; the regular ones where the venue has no others."""
    day = [span for span in spans(timeline.venue, date) if span.phase is not Phase.OVERNIGHT]
    first, last = day[0].start.astimezone(NEW_YORK), day[-1].end.astimezone(NEW_YORK)
    return {"session_open": f"{first:%H%M}", "session_close": f"{last:%H%M}"}


def _eastern(moment: dt.datetime) -> str:
    return moment.astimezone(NEW_YORK).isoformat()


def _day(text: str | None, default: dt.date) -> dt.date:
    if text is None:
        return default
    try:
        return moment_of(text).date()
    except ValueError as error:
        raise Refusal(422, MALFORMED, f"invalid format for date: {text}") from error
