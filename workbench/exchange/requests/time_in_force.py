"""When an order dies by itself, and when the auctions take no more orders."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from workbench.exchange.requests.fields import UNPROCESSABLE
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from workbench.exchange.clock import Timeline
    from workbench.exchange.requests.intake import OrderRequest

NEW_YORK: Final = ZoneInfo("America/New_York")
LAST_FOR_OPEN: Final = dt.timedelta(minutes=2)  # 09:28
LAST_FOR_CLOSE: Final = dt.timedelta(minutes=10)  # 15:50, earlier on a short day
AUCTIONS_AGAIN: Final = dt.time(19)
AFTER_HOURS_END: Final = dt.time(20)


def expiry(request: OrderRequest, *, now: dt.datetime, timeline: Timeline) -> dt.datetime | None:
    """The close of the session the order lives in; for opg its open; never for gtc.

    An extended hours order lives until 20:00 of its session. Outside a session every time in force but opg and cls is
    taken and waits for the next one. On a day with a session, opg is refused from two minutes before the open until
    19:00 New York, cls from ten minutes before the close until 19:00; what comes later, or on a day without a session,
    waits for the next auction.

    Raises:
        Refusal: opg or cls at a time at which it is refused.
    """
    force = request.time_in_force
    if force == "gtc":
        return None
    session = timeline.session_at_or_after(now)
    if force in {"opg", "cls"}:
        local = now.astimezone(NEW_YORK)
        today = timeline.session_of(local.date())
        if today is not None and local.time() < AUCTIONS_AGAIN:
            if force == "opg" and now >= today.opens - LAST_FOR_OPEN:
                raise Refusal(422, UNPROCESSABLE, "opg orders are not accepted between 09:28 and 19:00 ET")
            if force == "cls" and now >= today.closes - LAST_FOR_CLOSE:
                raise Refusal(422, UNPROCESSABLE, "cls orders are not accepted between 15:50 and 19:00 ET")
        return session.opens if force == "opg" else session.closes
    if request.extended_hours:
        return after_hours_end(now, timeline)
    return session.closes


def after_hours_end(now: dt.datetime, timeline: Timeline) -> dt.datetime:
    """20:00 New York of the session that runs at `now` or whose after-hours do, else of the next one."""
    today = timeline.session_of(now.astimezone(NEW_YORK).date())
    if today is not None:
        ends = _evening(today.date)
        if now < ends:
            return ends
    return _evening(timeline.session_at_or_after(now).date)


def _evening(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, AFTER_HOURS_END, NEW_YORK).astimezone(dt.UTC)
