"""The router: from a wish and what is known of the market to an order's type, time in force, hours and algorithm.

Pure: the same question has the same answer. `route_table.TABLE` holds the rules; the first that applies decides, and
says so in sentences. With one broker there is no choice of venue; what is chosen is when, how and how fast.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.errors import ParameterError
from workbench.execution.algos.vwap import VolumeProfile
from workbench.execution.risk.instrument import Kind
from workbench.execution.routing.plan import RoutePlan, RouteRules, Urgency
from workbench.execution.routing.question import Asked
from workbench.execution.routing.table import TABLE
from workbench.market.order import OrderWish

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RoutePlan", "RouteRules", "Urgency", "route", "table"]


def route(
    wish: OrderWish,
    *,
    moment: dt.datetime,
    venue: str = "XNYS",
    price: Decimal | None = None,
    bid: Decimal | None = None,
    ask: Decimal | None = None,
    adv: Decimal | None = None,
    profile: VolumeProfile | None = None,
    urgency: Urgency = Urgency.NORMAL,
    rules: RouteRules | None = None,
) -> RoutePlan:
    """How, and when, to order a wish at `moment`.

    A wish that names more than a market or a limit order (stops, brackets, several legs) is left as it is.

    Args:
        moment: with timezone; its phase is looked up in the hours of `venue`.
        price, bid, ask: newest known, currency per share, > 0. None: not known, and nothing is measured by it.
        adv: shares that trade on an average day, > 0; None: not known.
        profile: how a session's volume lies over the day, for VWAP.

    Raises:
        ParameterError: a number is not finite or not > 0; NaN is never taken for unknown.
    """
    numbers = {"qty": wish.qty, "limit_price": wish.limit_price, "price": price, "bid": bid, "ask": ask, "adv": adv}
    for name, value in numbers.items():
        if value is not None and not (value.is_finite() and value > 0):
            raise ParameterError(
                f"{name}={value} must be a finite number > 0; nothing was routed.",
                remedy=f"leave {name} out where it is not known.",
            )
    asked = Asked(wish, moment, venue, price, bid, ask, adv, profile, Urgency(urgency), rules or RouteRules())
    chosen = next(rule for rule in TABLE if rule.applies(asked))
    return chosen.plan(asked).because(*_facts(asked))


def table() -> pd.DataFrame:
    """The rules for reading: name, when each applies, what it does; the first that applies decides."""
    import pandas as pd

    return pd.DataFrame([(r.name, r.when, r.what) for r in TABLE], columns=["rule", "when", "what"]).set_index("rule")


def _facts(asked: Asked) -> tuple[str, ...]:
    where = f"{asked.venue} is {asked.phase.value} at {asked.moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    until = "" if asked.kind is Kind.CRYPTO else f", for {asked.minutes_left:.0f} minutes more"
    size = (
        f"How much of {asked.wish.symbol} trades on an average day is not known."
        if asked.part is None
        else f"{asked.wish.qty:f} are {asked.part:.2%} of the {asked.adv:f} that trade on an average day."
    )
    return f"{where}{until}.", size
