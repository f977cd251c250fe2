"""Watched exits of many holdings: prices × stops, targets and trailing stops → wishes that close what is reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench.execution.risk.exits import better, reached
from workbench.execution.risk.exposure import positive
from workbench.market.order import OrderType, OrderWish, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Watched:
    """A holding of `qty` shares (signed) with the bounds at which it is left; prices in currency per share.

    Attributes:
        stop, target: None: there is none.
        trailing: largest fraction that the price may fall behind `best`; None: it is not watched.
        best: the best price since the holding was opened (the lowest for a short one); None: none was seen yet.
    """

    symbol: str
    qty: Decimal
    stop: Decimal | None = None
    target: Decimal | None = None
    trailing: Decimal | None = None
    best: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Exits:
    """What a look at the prices asks for.

    Attributes:
        wishes: market orders for the day that close a holding whole, in the order watched. They only reduce.
        watched: every holding with the best price brought up to date, to be watched at the next look.
        unpriced: holdings with a bound whose price is missing, not finite or not > 0: nothing is known about them.
    """

    wishes: tuple[OrderWish, ...]
    watched: tuple[Watched, ...]
    unpriced: tuple[str, ...]


def look(watched: Iterable[Watched], prices: Mapping[str, float | Decimal]) -> Exits:
    """Hold each holding against its newest price. Pure; a price exactly at a bound has reached it, the loss first.

    A holding of 0 shares, or without any bound, asks for nothing. The best price is taken before the trailing stop is
    looked at, so a new best never sells.
    """
    wishes: list[OrderWish] = []
    after: list[Watched] = []
    unpriced: list[str] = []
    for one in watched:
        bounded = any(bound is not None for bound in (one.stop, one.target, one.trailing))
        price = positive(prices.get(one.symbol))
        if not one.qty or not bounded:
            after.append(one)
            continue
        if price is None:
            unpriced.append(one.symbol)
            after.append(one)
            continue
        now = replace(one, best=better(one.qty, one.best, price))
        after.append(now)
        why = reached(now.qty, price, stop=now.stop, target=now.target, best=now.best, trailing=now.trailing)
        if why:
            wishes.append(
                OrderWish(
                    symbol=one.symbol,
                    side=Side.SELL if one.qty > 0 else Side.BUY,
                    qty=abs(one.qty),
                    type=OrderType.MARKET,
                    time_in_force=TimeInForce.DAY,
                    reference_price=price,
                    reason=why,
                )
            )
    return Exits(tuple(wishes), tuple(after), tuple(unpriced))
