"""The JSON that a request becomes: every type and class of order in Alpaca's words, prices on the tick."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from workbench.execution.brokers.broker import OrderRequest, Raw
from workbench.execution.brokers.ticks import limit_on_tick, net_on_cent, stop_on_tick, trail_on_cent
from workbench.market.order import OrderClass, OrderType, Side


def submit_body(order: OrderRequest) -> Raw:
    """The body of POST /v2/orders. Numbers go as text: a float would put digits on the wire that nobody asked for."""
    body: Raw = {
        "symbol": order.symbol,
        "qty": plain(order.qty),
        "side": order.side.value,
        "type": str(order.type),
        "time_in_force": str(order.time_in_force),
        "client_order_id": order.client_order_id,
    }
    if order.extended_hours:
        body["extended_hours"] = True
    if order.position_intent is not None:
        body["position_intent"] = order.position_intent
    if order.order_class != OrderClass.SIMPLE:
        body["order_class"] = str(order.order_class)
    if order.order_class == OrderClass.MLEG:
        return _with_legs(body, order)
    _prices(
        body,
        limit_price=limit_on_tick(order.limit_price, order.side),
        stop_price=stop_on_tick(order.stop_price, order.side),
        trail_price=trail_on_cent(order.trail_price),
        trail_percent=order.trail_percent,
    )
    return _with_exits(body, order)


def replace_body(
    *,
    client_order_id: str,
    qty: Decimal | None = None,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    trail: Decimal | None = None,
    time_in_force: str | None = None,
) -> Raw:
    """The body of PATCH /v2/orders/{id}: what is named changes, the rest stays. Prices must be on the tick already."""
    body: Raw = {"client_order_id": client_order_id}
    _prices(body, qty=qty, limit_price=limit_price, stop_price=stop_price, trail=trail)
    if time_in_force is not None:
        body["time_in_force"] = str(time_in_force)
    return body


def exit_side(order_class: str, side: Side) -> Side:
    """The side of an order's exits: an OCO is an exit itself, every other class is left by the opposite side."""
    if order_class == OrderClass.OCO:
        return side
    return Side.SELL if side is Side.BUY else Side.BUY


def plain(number: Decimal) -> str:
    """A number as text without an exponent."""
    return format(number, "f")


def _with_exits(body: Raw, order: OrderRequest) -> Raw:
    """Bracket, OCO and OTO: the exits are objects of their own, on the ticks of their own side."""
    leaving = exit_side(order.order_class, order.side)
    profit = limit_on_tick(order.take_profit_price, leaving)
    if profit is not None:
        body["take_profit"] = {"limit_price": plain(profit)}
    stop = stop_on_tick(order.stop_loss_price, leaving)
    if stop is not None:
        body["stop_loss"] = {"stop_price": plain(stop)}
        worst = limit_on_tick(order.stop_loss_limit_price, leaving)
        if worst is not None:
            body["stop_loss"]["limit_price"] = plain(worst)
    if order.order_class == OrderClass.OCO:
        # Both prices of an OCO stand in its exits; the order itself is the limit order among them.
        body["type"] = OrderType.LIMIT.value
        body.pop("limit_price", None)
        body.pop("stop_price", None)
    return body


def _with_legs(body: Raw, order: OrderRequest) -> Raw:
    """A multi-leg options order has neither symbol nor side of its own; its legs have them."""
    for name in ("symbol", "side", "position_intent"):
        body.pop(name, None)
    _prices(body, limit_price=net_on_cent(order.limit_price))
    body["legs"] = [
        {
            "symbol": leg.symbol,
            "side": leg.side.value,
            "ratio_qty": str(leg.ratio),
            "position_intent": leg.intent,
        }
        for leg in order.legs
    ]
    return body


def _prices(body: Raw, **numbers: Any) -> None:
    for name, number in numbers.items():
        if number is not None:
            body[name] = plain(number)
