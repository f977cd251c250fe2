"""Rules on prices: there is a newest one, it is fresh, and what is asked for is near it and on the right side of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.execution.risk.limits import RefusalCode
from workbench.execution.risk.refusal import Refusal, refuse
from workbench.market.order import OrderClass, OrderType, OrderWish, Side

if TYPE_CHECKING:
    from decimal import Decimal

    from workbench.execution.risk.exposure import Exposure
    from workbench.execution.risk.limits import OpenOrder

_COLLARED = ("limit_price", "stop_price", "reference_price")


def newest(now: Exposure, wish: OrderWish) -> Refusal | None:
    """There is a newest price, it is young enough, and limit, stop and sizing price are near it.

    A multi-leg order has no newest price of its own; its limit is a debit or a credit and is not collared.
    """
    price, at, limits = now.prices.get(wish.symbol), now.facts.priced_at.get(wish.symbol), now.limits
    if price is None:
        message = "it has no newest price that is finite and > 0, so it cannot be valued"
        return refuse(wish, RefusalCode.NO_PRICE, message, "finite and > 0")
    if at is not None and now.facts.now is not None and (age := now.facts.now - at) > limits.max_price_age:
        message = f"its newest price is {age} old; at most {limits.max_price_age} is allowed"
        seconds = {"age_s": age.total_seconds(), "max_s": limits.max_price_age.total_seconds()}
        return refuse(wish, RefusalCode.STALE_PRICE, message, "max_price_age", **seconds)
    if wish.order_class is OrderClass.MLEG:
        return None
    for name in _COLLARED:
        asked = getattr(wish, name)
        if asked is None or asked == price:
            continue
        if (away := abs(asked / price - 1)) > limits.price_collar:
            message = f"{name}={asked} is {away:.1%} away from {price}; at most {limits.price_collar:.1%} is allowed"
            numbers = {name: asked, "newest": price, "away": away, "max": limits.price_collar}
            return refuse(wish, RefusalCode.PRICE_COLLAR, message, "price_collar", **numbers)
    return None


def exit_sides(now: Exposure, wish: OrderWish) -> Refusal | None:
    """Profit is taken, and losses are stopped, on their own side of the entry; for two exits, of the newest price."""
    profit, stop = wish.take_profit_price, wish.stop_loss_price
    if profit is None and stop is None:
        return None
    price = now.prices[wish.symbol]
    assert price is not None, "the newest price is checked before"
    exits_only = wish.order_class is OrderClass.OCO
    base = price if exits_only else (wish.limit_price or price)
    # The exits of a purchase are sales: profit above, stop below. An OCO wish is itself on the side of the exits.
    up = (wish.side is Side.SELL) if exits_only else (wish.side is Side.BUY)
    for name, level, above in (("take_profit_price", profit, up), ("stop_loss_price", stop, not up)):
        if level is not None and (level <= base if above else level >= base):
            message = f"{name}={level} must be {'above' if above else 'below'} {base}"
            return refuse(wish, RefusalCode.EXIT_SIDE, message, "side of the exits", **{name: level, "base": base})
    loosest, limit = wish.stop_loss_price, wish.stop_loss_limit_price
    if limit is not None and loosest is not None and (limit > loosest if up else limit < loosest):
        message = f"stop_loss_limit_price={limit} must not be better than stop_loss_price={loosest}"
        return refuse(wish, RefusalCode.EXIT_SIDE, message, "side of the exits", stop_limit=limit, stop=loosest)
    return None


def self_cross(now: Exposure, wish: OrderWish) -> Refusal | None:
    """No order of ours that may be live could be met by it: brokers refuse that as a wash trade."""
    if now.limits.allow_self_cross:
        return None
    for order in now.open_by_symbol.get(wish.symbol, ()):
        if order.side is not wish.side and _meet(wish, order):
            name = order.client_order_id or "no id"
            message = f"it could trade with our own {order.side.value} {order.qty} ({name}), which may be live"
            numbers = {"ours": order.limit_price, "asked": _limit(wish), "client_order_id": order.client_order_id}
            return refuse(wish, RefusalCode.SELF_CROSS, message, "allow_self_cross", **numbers)
    return None


def _meet(wish: OrderWish, order: OpenOrder) -> bool:
    asked, ours = _limit(wish), order.limit_price
    if asked is None or ours is None:
        return True  # a market or a stop order may trade at any price
    return asked >= ours if wish.side is Side.BUY else asked <= ours


def _limit(wish: OrderWish) -> Decimal | None:
    return wish.limit_price if wish.type in {OrderType.LIMIT, OrderType.STOP_LIMIT} else None
