"""Cancels and replaces: at once, or on their way for the latency of the fill model, and what overtakes them."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_CEILING
from typing import TYPE_CHECKING

from workbench.exchange.requests.fields import UNPROCESSABLE
from workbench.exchange.state.order import PRICE_STEP, ZERO, Order
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from workbench.exchange.accounts.booking import Booking

_ON_THE_WAY = frozenset({"pending_cancel", "pending_replace", "pending_new", "accepted"})


def check_changeable(order: Order | None, asked: Order, *, replacing: bool) -> Order:
    """The order as it works now. `asked` is what the client named.

    Raises:
        Refusal: 422 where it is over, or where something is on its way to it (an exit that waits may be changed).
    """
    if order is None or not order.is_open:
        raise Refusal(422, UNPROCESSABLE, f'order is already in "{asked.status}" state')
    if replacing and order.status in _ON_THE_WAY:
        raise Refusal(422, UNPROCESSABLE, f"unable to replace order, order is in {order.status} state")
    if not replacing and order.status == "pending_cancel":
        raise Refusal(422, UNPROCESSABLE, "order pending cancel")
    return order


def ask_cancel(booking: Booking, order: Order, *, latency: dt.timedelta) -> None:
    """Cancel an order now, or let the cancel travel. A replace on its way to or from it is given up."""
    account = booking.account
    heir = account.heir(order)
    if heir is not None:
        order.settles_at = None
        booking.end(heir, "canceled", account.now)
    replaced = None if order.replaces is None else account.orders.get(order.replaces)
    if replaced is not None and replaced.settles_at is not None:
        booking.resume(replaced)
    if not latency or order.active_from is None:
        booking.end(order, "canceled", account.now)
        return
    order.status, order.settles_at = "pending_cancel", account.now + latency
    order.updated_at = account.stamp()
    booking.changed[order.id] = order
    booking.tell("pending_cancel", order)


def ask_replace(booking: Booking, old: Order, new: Order, legs: list[Order], *, latency: dt.timedelta) -> None:
    """Put `new` in the place of `old` now, or let it wait for the replace to arrive."""
    account = booking.account
    new.replaces, new.order_class = old.id, old.order_class
    new.parent_id, new.role = old.parent_id, old.role
    new.oco = new.id if old.oco == old.id else old.oco
    if not latency or old.active_from is None:
        new.active_from = old.active_from and new.active_from
        if old.status == "held":
            new.status = "held"
        _hand_over(booking, old, new)
        booking.accept(new, legs)
        return
    new.status, new.active_from = "pending_new", None
    old.status, old.settles_at = "pending_replace", account.now + latency
    old.updated_at = account.stamp()
    if new.opening and old.opening:  # the larger of the two is reserved while both exist
        remaining = old.remaining or ZERO
        if remaining and new.reserved > old.reserved:
            old.reserve_price = (new.reserved / remaining).quantize(PRICE_STEP, ROUND_CEILING)
            account.orders.update(old)
    booking.changed[old.id] = old
    booking.tell("pending_replace", old)
    booking.accept(new, legs)


def settle(booking: Booking, until: dt.datetime) -> None:
    """Let arrive what was due by `until`, in the order in which it is due."""
    account = booking.account
    due = [order for order in account.orders if order.settles_at is not None and order.settles_at <= until]
    for order in sorted(due, key=lambda order: (order.settles_at or until, order.number)):
        arrives = order.settles_at
        if arrives is None or account.orders.get(order.id) is None:
            continue  # ended with a sibling meanwhile
        heir = account.heir(order)
        if heir is None:
            order.settles_at = None
            booking.end(order, "canceled", arrives)
            continue
        watched = order.oco is not None and order.role == "stop_loss" and not order.triggered
        _hand_over(booking, order, heir)
        del account.waiting[heir.id]
        heir.status, heir.active_from = "held" if watched else "new", arrives
        heir.updated_at = account.stamp()
        account.orders.add(heir)
        booking.changed[heir.id] = heir
        booking.tell("new", heir)


def _hand_over(booking: Booking, old: Order, new: Order) -> None:
    """End the old order; what came with it comes with the new one from now on."""
    families = booking.account.families
    if old.role in {"take_profit", "stop_loss"} and old.parent_id is not None:
        families[old.parent_id][new.id] = new
    elif old.order_class == "mleg":
        for leg in list(families.pop(old.id, {}).values()):
            booking.end(leg, "replaced", booking.account.now)
    elif old.id in families:
        families[new.id] = families.pop(old.id)
        for child in families[new.id].values():
            child.parent_id = new.id
            child.oco = new.id if child.oco == old.id else child.oco
            if child.active_from is None:
                child.qty = (new.qty or ZERO) + old.filled_qty
            booking.changed[child.id] = child
    old.settles_at, old.replaced_by = None, new.id
    booking.end(old, "replaced", booking.account.now)
