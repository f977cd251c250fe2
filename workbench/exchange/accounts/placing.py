"""Making orders of requests: the order, its exits or its legs, each with an id and a client_order_id of its own."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from workbench.exchange.accounts.margin import mark
from workbench.exchange.requests.time_in_force import expiry
from workbench.exchange.state.order import OPTION, ZERO, Order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.exchange.accounts.margin import Admission
    from workbench.exchange.accounts.option_orders import Leg
    from workbench.exchange.market.market import Market
    from workbench.exchange.requests.intake import Exit, OrderRequest
    from workbench.exchange.state.records import Account


@dataclasses.dataclass(frozen=True, slots=True)
class Maker:
    """What every new order needs: ids, its place in the queue, the market, the latency of the fill model."""

    market: Market
    new_id: Callable[[], str]
    number: Callable[[], int]
    latency: dt.timedelta

    def order(self, account: Account, request: OrderRequest, admission: Admission) -> Order:
        """The order of a request, working from now on (from `latency` later, where there is one)."""
        moment = account.stamp()
        order = Order(
            id=self.new_id(),
            number=self.number(),
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            type=request.type,
            time_in_force=request.time_in_force,
            qty=request.qty,
            notional=request.notional,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            status="new",
            created_at=moment,
            updated_at=moment,
            expires_at=expiry(request, now=account.now, timeline=self.market.timeline),
            opening=admission.opening,
            reserve_price=admission.reserve_price,
            extended_hours=request.extended_hours,
            position_intent=request.position_intent,
            active_from=moment + self.latency if self.latency else moment,
            asset_class=request.asset_class,
            order_class=request.order_class,
            hold_qty=admission.hold_qty,
        )
        if request.type == "trailing_stop":
            order.trail_price, order.trail_percent = request.trail_price, request.trail_percent
            order.hwm = mark(account, self.market, request.symbol)
            order.stop_price = order.trail_stop
        if request.order_class == "oco":
            order.oco = order.id
        return order

    def exits(self, account: Account, parent: Order, exits: Sequence[Exit]) -> list[Order]:
        """Exits of a bracket or an OTO, held until the entry is filled; of an OCO the stop-loss, at work at once."""
        if parent.order_class == "oco":
            exits = [one for one in exits if one.role == "stop_loss"]
        pair = parent.oco or (parent.id if len(exits) > 1 else None)
        side = parent.side if parent.order_class == "oco" else "sell" if parent.side == "buy" else "buy"
        return [
            dataclasses.replace(
                parent,
                id=self.new_id(),
                number=self.number(),
                client_order_id=self.new_id(),
                side=side,
                type=one.type,
                limit_price=one.limit_price,
                stop_price=one.stop_price,
                status="held",
                created_at=account.stamp(),
                opening=False,
                reserve_price=ZERO,
                position_intent=None,
                active_from=parent.active_from if parent.order_class == "oco" else None,
                parent_id=parent.id,
                role=one.role,
                oco=pair,
            )
            for one in exits
        ]

    def legs(self, account: Account, parent: Order, legs: Sequence[Leg]) -> list[Order]:
        """The legs of a multi-leg order. They are not in the queue: they fill with their parent."""
        return [
            dataclasses.replace(
                parent,
                id=self.new_id(),
                number=self.number(),
                client_order_id=self.new_id(),
                symbol=leg.symbol,
                side=leg.side,
                created_at=account.stamp(),
                qty=(parent.qty or ZERO) * leg.ratio,
                ratio_qty=leg.ratio,
                limit_price=None,
                opening=leg.opening,
                reserve_price=ZERO,
                position_intent=leg.position_intent,
                asset_class=OPTION,
                parent_id=parent.id,
                role="leg",
            )
            for leg in legs
        ]
