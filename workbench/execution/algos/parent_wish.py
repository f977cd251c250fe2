"""What is asked of a parent order: the wish and its span, checked before anything is stored."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from workbench.errors import AlgorithmRefused
from workbench.execution.algos.schedule import ZERO, in_lots, number
from workbench.execution.brokers.ticks import limit_on_tick
from workbench.market import hours
from workbench.market.order import OrderClass, OrderType, OrderWish


def columns_of(
    wish: OrderWish, *, starts_at: dt.datetime, ends_at: dt.datetime, session: dt.date, venue: str
) -> dict[str, Any]:
    """The columns of a parent's row that come from the wish and its span.

    Raises:
        AlgorithmRefused: a number is not finite or not > 0, the order is none that an algorithm can work, or the span
            leaves the session; nothing was stored.
    """
    in_lots(wish.qty, Decimal("0.000000001"), positive=True)
    if wish.type not in {OrderType.MARKET, OrderType.LIMIT} or wish.order_class is not OrderClass.SIMPLE:
        raise AlgorithmRefused(
            f"a {wish.order_class} {wish.type} order cannot be worked by an algorithm; nothing was stored.",
            remedy="wish a simple market or limit order; place stops and brackets when it has filled.",
        )
    if wish.limit_price is not None:
        number(wish.limit_price, "limit_price", above=ZERO)
    if (wish.type is OrderType.LIMIT) != (wish.limit_price is not None):
        raise AlgorithmRefused(
            f"a {wish.type} order with limit_price={wish.limit_price} contradicts itself; nothing was stored.",
            remedy="a limit order has a limit price, a market order has none.",
        )
    if wish.extended_hours and wish.limit_price is None:
        raise AlgorithmRefused(
            "outside the regular session only limit orders are taken, and the wish has no limit; nothing was stored.",
            remedy="give a limit price, or stay within the regular session.",
        )
    _within(starts_at, ends_at, session=session, venue=venue, extended=wish.extended_hours)
    return {
        "symbol": wish.symbol,
        "side": wish.side.value,
        "qty": wish.qty,
        "limit_price": limit_on_tick(wish.limit_price, wish.side),
        "extended_hours": wish.extended_hours,
        "session": session.isoformat()[:10],
        "venue": venue,
        "starts_at": starts_at.astimezone(dt.UTC),
        "ends_at": ends_at.astimezone(dt.UTC),
    }


def _within(starts_at: dt.datetime, ends_at: dt.datetime, *, session: dt.date, venue: str, extended: bool) -> None:
    """Refuse a span that leaves the hours of its session."""
    for name, moment in (("starts_at", starts_at), ("ends_at", ends_at)):
        if moment.tzinfo is None:
            raise AlgorithmRefused(f"{name}={moment} has no timezone; nothing was stored.", remedy="give UTC moments.")
    phases = [span for span in hours.spans(venue, session) if extended or span.phase is hours.Phase.REGULAR]
    if not phases:
        raise AlgorithmRefused(
            f"{session} is no session of {venue}; nothing was stored.", remedy="choose a day on which it trades."
        )
    first, last = phases[0].start, phases[-1].end
    if starts_at < first or ends_at > last:
        kind = "hours" if extended else "regular hours"
        raise AlgorithmRefused(
            f"the span {starts_at:%Y-%m-%d %H:%M} to {ends_at:%Y-%m-%d %H:%M} leaves the {kind} of {session}, "
            f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC; nothing was stored.",
            remedy="move it inside" + ("." if extended else ", or wish a limit order with extended_hours."),
        )
