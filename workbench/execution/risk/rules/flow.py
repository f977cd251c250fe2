"""Rules on the flow of orders: repeated and open ones, the size of one, how many in a minute and in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.execution.risk.limits import RefusalCode
from workbench.execution.risk.refusal import Refusal, refuse

if TYPE_CHECKING:
    from workbench.execution.risk.exposure import Exposure
    from workbench.market.order import OrderWish


def duplicates(now: Exposure, wish: OrderWish) -> Refusal | None:
    """The list, the last moments and the broker have no other order for the symbol, as far as the limits say so."""
    if now.limits.one_wish_per_symbol and now.legs.get(wish.symbol):
        message = "an earlier wish of this list is for the same symbol"
        return refuse(wish, RefusalCode.DUPLICATE, message, "one wish per symbol")
    window = now.limits.duplicate_window
    if window is not None and (wish.symbol, wish.side, wish.qty) in now.facts.recent:
        message = f"{now.facts.bot or 'this bot'} wished the same less than {window.total_seconds():g} s ago"
        seconds = {"window_s": window.total_seconds()}
        return refuse(wish, RefusalCode.DUPLICATE_INTENT, message, "duplicate_window", **seconds)
    live = now.open_by_symbol.get(wish.symbol)
    if live and now.limits.one_order_per_symbol:
        first, names = live[0], [order.client_order_id for order in live]
        message = f"{first.side.value} {first.qty} ({first.client_order_id or 'no id'}) may still be live at the broker"
        return refuse(wish, RefusalCode.OPEN_ORDER, message, "one_order_per_symbol", open=names)
    return None


def size(now: Exposure, wish: OrderWish) -> Refusal | None:
    """Quantity and notional of one order."""
    largest = now.limits.max_order_qty
    if wish.qty > largest:
        message = f"its quantity is above {largest} shares per order"
        return refuse(wish, RefusalCode.ORDER_QTY, message, "max_order_qty", qty=wish.qty, max=largest)
    notional, largest = now.notional(wish), now.limits.max_order_notional
    if notional > largest:
        message = f"its {notional:.2f} is above {largest} per order"
        return refuse(wish, RefusalCode.ORDER_NOTIONAL, message, "max_order_notional", notional=notional, max=largest)
    return None


def rate(now: Exposure, wish: OrderWish) -> Refusal | None:
    """How many orders the account has in the session, and in a minute."""
    number, most = now.orders + 1, now.limits.max_orders_per_session
    if number > most:
        message = f"it would be order {number} of the session; at most {most} are allowed"
        return refuse(wish, RefusalCode.ORDERS_PER_SESSION, message, "max_orders_per_session", orders=number, max=most)
    number, per_minute = now.facts.orders_last_minute + now.accepted + 1, now.limits.max_orders_per_minute
    if per_minute is not None and number > per_minute:
        message = f"it would be order {number} within a minute; at most {per_minute} are allowed"
        numbers = {"orders": number, "max": per_minute}
        return refuse(wish, RefusalCode.ORDERS_PER_MINUTE, message, "max_orders_per_minute", **numbers)
    return None
