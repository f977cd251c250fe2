"""Intent: a wished order as the journal holds it, what is sent for it, and whether an order is the one asked for."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.execution.brokers.broker import OrderRequest
from workbench.execution.brokers.order_body import exit_side
from workbench.execution.brokers.ticks import limit_on_tick, net_on_cent, stop_on_tick, trail_on_cent
from workbench.execution.journal.transitions import ask_cancel, load, step, wanted
from workbench.market.order import IntentState, OptionLeg, OrderClass, OrderWish, Side

if TYPE_CHECKING:
    from workbench.execution.brokers.broker import BrokerOrder
    from workbench.store.tables.execution import IntentRow

__all__ = [
    "Intent",
    "ask_cancel",
    "columns_of",
    "differences",
    "differs",
    "load",
    "option_legs",
    "step",
    "stored_legs",
    "wanted",
]


@dataclass(frozen=True, slots=True)
class Intent:
    """One row of the journal, frozen at the moment of reading. Quantities are shares, prices are per share.

    `filled_qty` is what the broker says is filled; the booked fills may lag behind it until the activities bring them.
    `reason` is why it was wished, `note` what happened to it. An exit that the broker made has `parent_id` and a `role`
    (`take_profit`, `stop_loss`, `option_leg`); `replaces_id` names the intent whose place this one takes.
    """

    id: str
    account: str
    bot: str
    session: str
    symbol: str
    leg: int
    generation: int
    client_order_id: str
    side: Side
    qty: Decimal
    type: str
    time_in_force: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    reference_price: Decimal | None
    state: IntentState
    attempt: int
    sent_at: dt.datetime | None
    deadline: dt.datetime | None
    cancel_asked_at: dt.datetime | None
    broker_order_id: str | None
    broker_status: str | None
    broker_updated_at: dt.datetime | None
    filled_qty: Decimal
    avg_price: Decimal | None
    reason: str
    note: str
    decision_id: str | None
    trace_id: str
    order_class: str = OrderClass.SIMPLE.value
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    take_profit_price: Decimal | None = None
    stop_loss_price: Decimal | None = None
    stop_loss_limit_price: Decimal | None = None
    extended_hours: bool = False
    position_intent: str | None = None
    legs: tuple[OptionLeg, ...] = ()
    parent_id: str | None = None
    role: str = ""
    replaces_id: str | None = None
    algo_id: str | None = None

    @classmethod
    def of(cls, row: IntentRow) -> Intent:
        """The value of a row."""
        values: dict[str, Any] = {name: getattr(row, name) for name in _PLAIN}
        return cls(**values, side=Side(row.side), state=IntentState(row.state), legs=option_legs(row.option_legs))

    @property
    def request(self) -> OrderRequest:
        """What is sent for it; prices are put on the tick."""
        leaving = exit_side(self.order_class, self.side)
        multi = self.order_class == OrderClass.MLEG
        return OrderRequest(
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=self.side,
            qty=self.qty,
            type=self.type,
            time_in_force=self.time_in_force,
            limit_price=net_on_cent(self.limit_price) if multi else limit_on_tick(self.limit_price, self.side),
            stop_price=stop_on_tick(self.stop_price, self.side),
            order_class=self.order_class,
            trail_price=trail_on_cent(self.trail_price),
            trail_percent=self.trail_percent,
            take_profit_price=limit_on_tick(self.take_profit_price, leaving),
            stop_loss_price=stop_on_tick(self.stop_loss_price, leaving),
            stop_loss_limit_price=limit_on_tick(self.stop_loss_limit_price, leaving),
            extended_hours=self.extended_hours,
            position_intent=self.position_intent,
            legs=self.legs,
        )


_PLAIN = tuple(one.name for one in fields(Intent) if one.name not in {"side", "state", "legs"})


def option_legs(stored: list[Any] | None) -> tuple[OptionLeg, ...]:
    """The legs of a multi-leg order as the row holds them."""
    return tuple(OptionLeg(leg["symbol"], Side(leg["side"]), leg["ratio"], leg["intent"]) for leg in stored or ())


def stored_legs(legs: tuple[OptionLeg, ...]) -> list[Any] | None:
    """The legs of a multi-leg order as a row holds them; None where there are none."""
    return [
        {"symbol": leg.symbol, "side": leg.side.value, "ratio": leg.ratio, "intent": leg.intent} for leg in legs
    ] or None


def differences(row: IntentRow, order: BrokerOrder) -> list[str]:
    """In which of symbol, side, quantity and prices an order under our id is not what we asked for; empty if in none.

    Prices count only where we named one: brokers add their own collar to a stop order. A multi-leg order has neither
    symbol nor side of its own, the limit of an OCO is its profit price, and an order that takes the place of another
    has only what that one had not filled.
    """
    asked = Intent.of(row).request
    limit = asked.limit_price or (asked.take_profit_price if asked.order_class == OrderClass.OCO else None)
    pairs: dict[str, tuple[Any, Any]] = {"qty": (asked.qty, order.qty)}
    if asked.order_class == OrderClass.MLEG:
        theirs = {leg.symbol: leg.side for leg in order.legs}
        ours = {leg.symbol: leg.side for leg in asked.legs}
        if theirs:
            pairs["legs"] = (ours, theirs)
    else:
        pairs |= {"symbol": (asked.symbol, order.symbol), "side": (asked.side, order.side)}
    if row.replaces_id is not None and order.qty is not None and 0 < order.qty <= asked.qty:
        del pairs["qty"]
    for name, ours_price, theirs_price in (
        ("limit_price", limit, order.limit_price),
        ("stop_price", asked.stop_price, order.stop_price),
    ):
        if ours_price is not None:
            pairs[name] = (ours_price, theirs_price)
    return [f"{name}: ours {mine}, theirs {other}" for name, (mine, other) in pairs.items() if mine != other]


def differs(row: IntentRow, wish: OrderWish) -> str:
    """In what a wish asks for something else than the intent that has its key; empty when in nothing."""
    asked = columns_of(wish)
    for name in ("symbol", "reference_price", "reason"):
        del asked[name]
    pairs = {name: (getattr(row, name), value) for name, value in asked.items()}
    return "; ".join(f"{name} {old} stands, {new} was asked" for name, (old, new) in pairs.items() if old != new)


def columns_of(wish: OrderWish) -> dict[str, Any]:
    """What a wish fills of an intent's row."""
    return {
        "symbol": wish.symbol,
        "side": wish.side.value,
        "qty": wish.qty,
        "type": wish.type.value,
        "time_in_force": wish.time_in_force.value,
        "limit_price": wish.limit_price,
        "stop_price": wish.stop_price,
        "reference_price": wish.reference_price,
        "reason": wish.reason,
        "order_class": wish.order_class.value,
        "trail_price": wish.trail_price,
        "trail_percent": wish.trail_percent,
        "take_profit_price": wish.take_profit_price,
        "stop_loss_price": wish.stop_loss_price,
        "stop_loss_limit_price": wish.stop_loss_limit_price,
        "extended_hours": wish.extended_hours,
        "position_intent": wish.position_intent,
        "option_legs": stored_legs(wish.legs),
    }
