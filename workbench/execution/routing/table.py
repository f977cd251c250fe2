"""The rules of the router as a table, in their order: when each one applies, and the plan that it makes of a wish."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from workbench.execution.risk.instrument import Kind
from workbench.execution.routing.plan import RoutePlan, Urgency
from workbench.execution.routing.question import Asked
from workbench.market import hours
from workbench.market.hours import Phase
from workbench.market.order import OrderType, Side, TimeInForce

_EXTENDED = (Phase.OVERNIGHT, Phase.PRE, Phase.AFTER)


class Rule(NamedTuple):
    """One row of the table: its name, when it applies in words, whether it does, and what it makes of the wish."""

    name: str
    when: str
    what: str
    applies: Callable[[Asked], bool]
    plan: Callable[[Asked], RoutePlan]


def _crypto(asked: Asked) -> RoutePlan:
    urgent = asked.urgency is Urgency.URGENT
    order, said = asked.collared(TimeInForce.IOC if urgent else TimeInForce.GTC)
    return RoutePlan("crypto", order, why=("Crypto pairs trade around the clock.", said))


def _extended(asked: Asked) -> RoutePlan:
    order, said = asked.collared(TimeInForce.DAY, extended_hours=True)
    return RoutePlan("extended", order, why=("It is urgent, and outside the regular session only limits trade.", said))


def _closed(asked: Asked) -> RoutePlan:
    until = asked.next_regular
    why = f"The regular session opens at {until:%Y-%m-%d %H:%M} UTC; nothing is sent before."
    if asked.phase is Phase.CLOSED and asked.urgency is Urgency.URGENT and _may_extend(asked):
        until = hours.next_change(asked.venue, asked.moment)[0]
        why = f"It is urgent: extended hours begin at {until:%Y-%m-%d %H:%M} UTC."
    return asked.park("parked", until, why)


def _urgent(asked: Asked) -> RoutePlan:
    at_once = asked.kind is Kind.STOCK and asked.whole
    order, said = asked.collared(TimeInForce.IOC if at_once else TimeInForce.DAY)
    rest = "what does not fill at once is not wanted later" if at_once else "it stays for the day"
    return RoutePlan("urgent", order, why=(said, f"It is urgent: {rest}."))


def _near_close(asked: Asked) -> RoutePlan:
    own = asked.wish.limit_price
    order = asked.order(time_in_force=TimeInForce.CLS, limit_price=asked.on_tick(own))
    why = f"The close is {asked.minutes_left:.0f} minutes away: the closing auction takes it at its one price."
    return RoutePlan("near_close", order, why=(why,))


def _last_minutes(asked: Asked) -> RoutePlan:
    order, said = asked.collared(TimeInForce.DAY)
    why = f"The close is {asked.minutes_left:.0f} minutes away, too late for the auction and for a schedule."
    return RoutePlan("last_minutes", order, why=(said, why))


def _large(asked: Asked) -> RoutePlan:
    large, rate = asked.rules.large, asked.rules.rate
    why = f"From {large:.0%} of a day's volume on, it follows the market at {rate:.0%} of what trades."
    return asked.scheduled("large", "pov", why, rate=asked.rules.rate)


def _medium(asked: Asked) -> RoutePlan:
    bounds = f"Between {asked.rules.small:.0%} and {asked.rules.large:.0%} of a day's volume it is spread over time"
    if asked.profile is not None:
        why = f"{bounds}, as the volume of {asked.profile.sessions} sessions lies over the day."
        return asked.scheduled("medium", "vwap", why, profile=asked.profile.to_dict())
    return asked.scheduled("medium", "twap", f"{bounds}, evenly: no volume profile is known.")


def _unknown_volume(asked: Asked) -> RoutePlan:
    why = f"Above {asked.rules.direct_qty:f} shares of unknown volume it is spread evenly over time."
    return asked.scheduled("unknown_volume", "twap", why)


def _patient(asked: Asked) -> RoutePlan:
    side, base, own = asked.wish.side, asked.own_side, asked.wish.limit_price
    assert base is not None, "the rule has looked"
    better = base if own is None or side.sign * own > side.sign * base else own
    order = asked.order(type=OrderType.LIMIT, limit_price=asked.on_tick(better))
    return RoutePlan("patient", order, why=(f"It is patient: a limit of {better:f} waits for the market to come.",))


def _direct(asked: Asked) -> RoutePlan:
    order, said = asked.collared(TimeInForce.DAY)
    return RoutePlan("direct", order, why=(said, "It is small, or there is no way to spread it: one order."))


def _may_extend(asked: Asked) -> bool:
    """Whether it can trade outside the regular session: whole shares of a stock, with a limit."""
    known = asked.wish.limit_price or asked.price or (asked.ask if asked.wish.side is Side.BUY else asked.bid)
    return asked.kind is Kind.STOCK and asked.whole and asked.plain and known is not None


def _regular(asked: Asked) -> bool:
    return asked.phase is Phase.REGULAR


TABLE: tuple[Rule, ...] = (
    Rule(
        "crypto",
        "a crypto pair",
        "a limit within the collar, ioc when urgent, else gtc",
        lambda a: a.kind is Kind.CRYPTO and a.plain,
        _crypto,
    ),
    Rule(
        "extended",
        "night, morning or evening, urgent, whole shares, a price known",
        "a day limit within the collar, extended hours",
        lambda a: a.phase in _EXTENDED and a.urgency is Urgency.URGENT and _may_extend(a),
        _extended,
    ),
    Rule(
        "parked",
        "any other wish outside the regular session",
        "nothing until the next open; urgent ones while closed: until extended hours begin",
        lambda a: not _regular(a) and a.kind is not Kind.CRYPTO,
        _closed,
    ),
    Rule(
        "as_wished",
        "stops, trailing stops, brackets and legs",
        "as it is",
        lambda a: not a.plain,
        lambda a: RoutePlan("as_wished", a.wish, why=("It names its own kind of order, which is left as it is.",)),
    ),
    Rule("urgent", "urgent", "a limit within the collar, ioc", lambda a: a.urgency is Urgency.URGENT, _urgent),
    Rule(
        "near_close",
        "near the close, whole shares",
        "cls: the closing auction",
        lambda a: (
            a.rules.last_minutes < a.minutes_left <= a.rules.near_close_minutes and a.kind is Kind.STOCK and a.whole
        ),
        _near_close,
    ),
    Rule(
        "last_minutes",
        "too late for the auction",
        "a day limit within the collar",
        lambda a: a.minutes_left <= a.rules.last_minutes,
        _last_minutes,
    ),
    Rule(
        "large",
        "a large part of a day's volume",
        "pov: a stated part of what trades",
        lambda a: a.span is not None and a.part is not None and a.part >= a.rules.large,
        _large,
    ),
    Rule(
        "medium",
        "a middling part of a day's volume",
        "vwap where a profile is known, else twap",
        lambda a: a.span is not None and a.part is not None and a.part >= a.rules.small,
        _medium,
    ),
    Rule(
        "unknown_volume",
        "many shares of unknown volume",
        "twap",
        lambda a: a.span is not None and a.part is None and a.wish.qty > a.rules.direct_qty,
        _unknown_volume,
    ),
    Rule(
        "patient",
        "patient, a price known",
        "a day limit on our side of the market",
        lambda a: a.urgency is Urgency.PATIENT and a.own_side is not None,
        _patient,
    ),
    Rule("direct", "all else", "a day limit within the collar", lambda _: True, _direct),
)
