"""The pattern-day-trader rule as it stood until 2026, for accounts opened under a profile that has it.

A day trade is a symbol in which shares were opened and closed within one session; a symbol counts once per session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from workbench.exchange.clock import Timeline
    from workbench.exchange.state.account_rules import DayTrades
    from workbench.exchange.state.records import Execution

PROTECTED = 40310100


def opened_and_closed(fills: Iterable[Execution], timeline: Timeline) -> dict[tuple[dt.date, str], tuple[bool, bool]]:
    """(session, symbol) → (something was opened, and after that something was closed). `fills` in order."""
    seen: dict[tuple[dt.date, str], tuple[bool, bool]] = {}
    for fill in fills:
        change = fill.qty if fill.side == "buy" else -fill.qty
        before = fill.position_qty - change
        opening = abs(fill.position_qty) > abs(before)
        key = (timeline.previous(fill.happened).date, fill.symbol)
        session = timeline.session_at_or_after(fill.happened)
        if session.opens <= fill.happened:
            key = (session.date, fill.symbol)
        opened, closed = seen.get(key, (False, False))
        seen[key] = (opened or opening, closed or (opened and not opening))
    return seen


def count(fills: Iterable[Execution], timeline: Timeline) -> int:
    """Day trades among these fills."""
    return sum(closed for _, closed in opened_and_closed(fills, timeline).values())


def since(now: dt.datetime, timeline: Timeline, sessions: int) -> dt.datetime:
    """The open of the first of the newest `sessions` sessions, the running one included."""
    session = timeline.session_at_or_after(now)
    if session.opens > now:
        session = timeline.previous(now)
    for _ in range(sessions - 1):
        session = timeline.previous(session.opens)
    return session.opens


def check(rule: DayTrades, fills: list[Execution], symbol: str, *, now: dt.datetime, timeline: Timeline) -> None:
    """Refuse a closing order that would be one day trade too many. `fills` of the rule's window, in order.

    Raises:
        Refusal: 403 40310100.
    """
    session = timeline.session_at_or_after(now)
    if session.opens > now:
        return  # it fills in another session than the one whose shares it closes
    opened, closed = opened_and_closed(fills, timeline).get((session.date, symbol), (False, False))
    if opened and not closed and count(fills, timeline) >= rule.allowed:
        raise Refusal(403, PROTECTED, "trade denied due to pattern day trading protection")
