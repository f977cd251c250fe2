"""Rules on what the book may become: short sales, one holding, all holdings, budgets, cash and buying power."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.execution.risk.exposure import SHORT_MARGIN, ZERO
from workbench.execution.risk.instrument import Kind
from workbench.execution.risk.limits import RefusalCode
from workbench.execution.risk.refusal import Refusal, refuse
from workbench.market.order import OrderWish, Side

if TYPE_CHECKING:
    from workbench.execution.risk.exposure import Exposure


def short(now: Exposure, wish: OrderWish) -> Refusal | None:
    """A sale beyond what is held is allowed, whole, and of something that can be borrowed."""
    if wish.side is not Side.SELL:
        return None
    low, _ = now.reach(wish.symbol)
    if not now.limits.allow_short:
        message = f"only {max(low, ZERO)} can be sold without going short"
        return refuse(wish, RefusalCode.SHORT, message, "allow_short", available=low, qty=wish.qty)
    kind = now.kind(wish.symbol)
    if kind is Kind.CRYPTO or now.facts.shortable.get(wish.symbol) is False:
        message = f"it cannot be borrowed, and only {max(low, ZERO)} are there to sell"
        return refuse(wish, RefusalCode.SHORT_UNAVAILABLE, message, "shortable", available=low, qty=wish.qty)
    if wish.qty != wish.qty.to_integral_value():
        message = f"parts of a share cannot be sold short, and only {max(low, ZERO)} are there to sell"
        return refuse(wish, RefusalCode.SHORT_UNAVAILABLE, message, "whole quantity", available=low, qty=wish.qty)
    return None


def position(now: Exposure, wish: OrderWish) -> Refusal | None:
    """The holding at worst case, in currency and as a fraction of the book's value."""
    low, high = now.reach(wish.symbol)
    after = high + wish.qty if wish.side is Side.BUY else low - wish.qty
    unit = now.price(wish) * (100 if now.kind(wish.symbol) is Kind.OPTION else 1)
    notional, limits = abs(after) * unit, now.limits
    if notional > limits.max_position_notional:
        message = f"the holding could reach {notional:.2f}, above {limits.max_position_notional}"
        numbers = {"notional": notional, "max": limits.max_position_notional}
        return refuse(wish, RefusalCode.POSITION_NOTIONAL, message, "max_position_notional", **numbers)
    if now.value is None:
        message = f"{', '.join(now.unpriced)} held or on order without a price, so exposure is not known"
        return refuse(wish, RefusalCode.NO_PRICE, message, "finite and > 0", unpriced=list(now.unpriced))
    if notional > limits.max_position_fraction * now.value:
        message = f"the holding could reach {notional:.2f}, above {limits.max_position_fraction:.1%} of {now.value:.2f}"
        numbers = {"notional": notional, "max_fraction": limits.max_position_fraction, "value": now.value}
        return refuse(wish, RefusalCode.POSITION_FRACTION, message, "max_position_fraction", **numbers)
    return None


def exposure(now: Exposure, wish: OrderWish) -> Refusal | None:
    """All holdings at worst case: gross and net, as fractions of the book's value."""
    assert now.value is not None, "the position rule refuses when the book has no value"
    change, limits = wish.side.sign * wish.qty, now.limits
    before, after, most = now.account.gross, now.account.gross_with(wish.symbol, change), limits.max_gross_exposure
    if after > most * now.value and after > before:
        message = f"gross exposure could reach {after:.2f}, above {most:.1%} of {now.value:.2f}"
        numbers = {"before": before, "after": after, "max_fraction": most, "value": now.value}
        return refuse(wish, RefusalCode.GROSS_EXPOSURE, message, "max_gross_exposure", **numbers)
    if limits.max_net_exposure is not None:
        before, after = now.account.net(), now.account.net_with(wish.symbol, change)
        if after > limits.max_net_exposure * now.value and after > before:
            message = f"net exposure could reach {after:.2f}, above {limits.max_net_exposure:.1%} of {now.value:.2f}"
            numbers = {"before": before, "after": after, "max_fraction": limits.max_net_exposure, "value": now.value}
            return refuse(wish, RefusalCode.NET_EXPOSURE, message, "max_net_exposure", **numbers)
    return None


def budgets(now: Exposure, wish: OrderWish) -> Refusal | None:
    """Holdings and open orders in currency: of the whole account, and of the wishing bot."""
    change = wish.side.sign * wish.qty
    for name, code, worst in (
        ("account_budget", RefusalCode.ACCOUNT_BUDGET, now.account),
        ("bot_budget", RefusalCode.BOT_BUDGET, now.own),
    ):
        most: Decimal | None = getattr(now.limits, name)
        if most is None:
            continue
        before, after = worst.gross, worst.gross_with(wish.symbol, change)
        if after > most and after > before:
            whose = "the account" if worst is now.account else f"bot {now.facts.bot!r}"
            message = f"holdings and open orders of {whose} could reach {after:.2f}, above {most}"
            return refuse(wish, code, message, name, before=before, after=after, max=most)
    return None


def money(now: Exposure, wish: OrderWish) -> Refusal | None:
    """Cash that must stay, and what the broker lets us spend; a short sale needs buying power too."""
    cost = now.notional(wish)
    if wish.side is Side.BUY:
        least = now.limits.min_cash
        left = now.cash - now.reserved - cost
        if left < least:
            message = f"it costs {cost:.2f} and would leave {left:.2f} of cash; at least {least} must stay"
            return refuse(wish, RefusalCode.CASH, message, "min_cash", cost=cost, left=left, min=least)
    else:
        cost *= SHORT_MARGIN
    if now.buying_power is not None and cost > now.buying_power:
        message = f"it costs {cost:.2f}; the broker leaves {now.buying_power:.2f} of buying power"
        numbers = {"cost": cost, "buying_power": now.buying_power}
        return refuse(wish, RefusalCode.BUYING_POWER, message, "buying_power", **numbers)
    return None
