"""A broker in memory that keeps the promises of a real one and none besides: any answer may be lost, any event too.

It accepts an order once per client_order_id, fills it in parts, cancels when it likes, and keeps a ledger. What reaches
the client is decided from outside: `fates` for submits and cancels, `hidden` and `deaf` for look-ups, and the queue of
`events`, which whoever holds it may deliver in any order, twice, or never.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections import deque
from decimal import Decimal

from workbench.errors import ExchangeUnavailable
from workbench.execution.brokers.broker import (
    BrokerAccount,
    BrokerClock,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    Outcome,
    Reply,
    fill_of_activity,
)

_SILENCE = Reply(Outcome.UNKNOWN, message="ReadTimeout")
_TOO_MANY = Reply(Outcome.LIMITED, None, 429, 42910000, "rate limit exceeded")
_POOR = Reply(Outcome.REFUSED, None, 403, 40310000, "insufficient buying power")
_NOT_THERE = {"refused": _POOR, "limited": _TOO_MANY, "lost before": _SILENCE}
OPENING_CASH = Decimal(1_000_000)
ZERO = Decimal(0)


class Killed(BaseException):
    """The process dies here: nothing after this line is done."""


@dataclasses.dataclass
class Resting:
    """One order at the exchange; `leaves` is what may still fill."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    qty: Decimal
    limit_price: Decimal
    created_at: dt.datetime
    updated_at: dt.datetime
    status: str = "new"
    filled: Decimal = ZERO
    cost: Decimal = ZERO
    replaces: str | None = None
    replaced_by: str | None = None

    @property
    def leaves(self):
        return self.qty - self.filled if self.is_open else ZERO

    @property
    def is_open(self):
        return self.status not in {"filled", "canceled", "expired", "rejected", "replaced"}

    def raw(self, **changes):
        return {
            "id": self.id,
            "client_order_id": self.client_order_id,
            "symbol": self.symbol,
            "side": self.side,
            "qty": str(self.qty),
            "filled_qty": str(self.filled),
            "filled_avg_price": str(self.cost / self.filled) if self.filled else None,
            "type": "limit",
            "time_in_force": "gtc",
            "limit_price": str(self.limit_price),
            "status": self.status,
            "created_at": self.created_at.isoformat(),
            "submitted_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "replaces": self.replaces,
            "replaced_by": self.replaced_by,
            **changes,
        }


@dataclasses.dataclass
class Execution:
    """One execution; `busted` ones do not count any more."""

    id: str
    order: Resting
    qty: Decimal
    price: Decimal
    cum_qty: Decimal
    happened: dt.datetime
    busted: bool = False

    @property
    def signed(self):
        return self.qty if self.order.side == "buy" else -self.qty


class ExchangeDouble:
    """A `Broker`; see the module.

    `overtakes`: whether a request may be answered while an earlier one of the same id is still on its way.
    """

    name = "double"
    rate = None
    overtakes = False

    def __init__(self, time):
        self.time = time
        self.orders: dict[str, Resting] = {}
        self.executions: list[Execution] = []
        self.fates: deque[str] = deque()
        self.on_the_way = []  # requests that nobody answers and that may still arrive
        self.events: list[dict] = []
        self.hidden = 0
        self.deaf = 0
        self.cancelled: list[str] = []
        self._number = itertools.count(1)
        self._last = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)

    # --- what a client may ask

    def submit(self, order):
        fate = self.fates.popleft() if self.fates else "placed"
        if fate == "dies before":
            raise Killed
        if fate == "late":
            self.on_the_way.append(order)
            return _SILENCE
        if not self.overtakes and fate != "lost before":
            self.hear_earlier(order.client_order_id)
            if fate == "refused" and self._is_taken(order.client_order_id):
                fate = "placed"  # which it is not: its id is taken
        if fate in _NOT_THERE:
            return _NOT_THERE[fate]
        placed = self.arrive(order)
        if fate == "dies after":
            raise Killed
        if fate == "lost after":
            return _SILENCE
        if placed is None:
            return Reply(Outcome.DUPLICATE, None, 422, 40010001, "client_order_id must be unique")
        raw = placed.raw(**({"status": "held_by_the_moon"} if fate == "unknown status" else {}))
        return Reply(Outcome.PLACED, BrokerOrder.of(raw), 200, raw=raw)

    def cancel(self, broker_order_id):
        fate = self.fates.popleft() if self.fates else "placed"
        if fate == "dies before":
            raise Killed
        if fate in {"lost before", "late"}:
            return _SILENCE
        if fate == "limited":
            return _TOO_MANY
        self.cancelled.append(broker_order_id)
        order = self.orders.get(broker_order_id)
        refused = order is None or not order.is_open
        if not refused and order.status != "pending_cancel":
            self._become(order, "pending_cancel")
        if fate == "dies after":
            raise Killed
        if fate == "lost after":
            return _SILENCE
        if refused:
            return Reply(Outcome.REFUSED, None, 422 if order else 404, 42210000, "order is not cancelable")
        return Reply(Outcome.PLACED, None, 204)

    def replace(self, broker_order_id, *, client_order_id, qty=None, limit_price=None, **_):
        """A new order takes the place of an old one: `qty` is the whole quantity, shares filled so far included."""
        fate = self.fates.popleft() if self.fates else "placed"
        if fate == "dies before":
            raise Killed
        if fate == "refused":
            return Reply(Outcome.REFUSED, None, 422, 42210000, "order cannot be replaced")
        if fate == "limited":
            return _TOO_MANY
        if fate in {"lost before", "late"}:
            return _SILENCE
        new = reply = None
        if self._is_taken(client_order_id):
            reply = Reply(Outcome.DUPLICATE, None, 422, 40010001, "client_order_id must be unique")
        else:
            new = self._take_the_place(broker_order_id, client_order_id, qty, limit_price)
        if fate == "dies after":
            raise Killed
        if fate == "lost after":
            return _SILENCE
        if reply is None and new is None:
            reply = Reply(Outcome.REFUSED, None, 422, 42210000, "order cannot be replaced")
        return reply or Reply(Outcome.PLACED, BrokerOrder.of(new.raw()), 200, raw=new.raw())

    def order_by_client_id(self, client_order_id):
        self._hear()
        if self.hidden:
            self.hidden -= 1
            return None
        found = next((order for order in self.orders.values() if order.client_order_id == client_order_id), None)
        return None if found is None else BrokerOrder.of(found.raw())

    def order(self, broker_order_id):
        self._hear()
        found = self.orders.get(broker_order_id)
        return None if found is None else BrokerOrder.of(found.raw())

    def open_orders(self):
        return [BrokerOrder.of(order.raw()) for order in self.orders.values() if order.is_open]

    def orders_since(self, moment):
        return [BrokerOrder.of(order.raw()) for order in self.orders.values() if order.created_at > moment]

    def fills_since(self, activity_id=None, *, after=None):
        return [
            fill_of_activity(
                {
                    "id": f"{number:08d}::{one.id}",
                    "order_id": one.order.id,
                    "symbol": one.order.symbol,
                    "side": one.order.side,
                    "qty": str(one.qty),
                    "price": str(one.price),
                    "cum_qty": str(one.cum_qty),
                    "transaction_time": one.happened.isoformat(),
                }
            )
            for number, one in enumerate(self.executions)
            if not one.busted and (after is None or one.happened > after)
        ]

    def positions(self):
        return [
            BrokerPosition.of({"symbol": symbol, "qty": str(qty), "avg_entry_price": "1", "current_price": "1"})
            for symbol, qty in self.holdings().items()
        ]

    def account(self):
        moved = sum((-one.signed * one.price for one in self.executions if not one.busted), ZERO)
        return BrokerAccount.of({"account_number": "D1", "cash": str(OPENING_CASH + moved)})

    def clock(self):
        return BrokerClock(self.time(), True, None, None)

    # --- what happens there

    def arrive(self, order):
        """A request reaches the exchange; None where its id is taken."""
        if self._is_taken(order.client_order_id):
            return None
        placed = self._place(order.client_order_id, order.symbol, str(order.side), order.qty, order.limit_price)
        self._tell("new", placed)
        return placed

    def fill(self, order, qty):
        order.filled += qty
        order.cost += qty * order.limit_price
        if order.status != "pending_cancel" or order.filled == order.qty:
            order.status = "filled" if order.filled == order.qty else "partially_filled"
        order.updated_at = self._stamp()
        name = f"e{next(self._number)}"
        done = Execution(name, order, qty, order.limit_price, order.filled, order.updated_at)
        self.executions.append(done)
        event = "fill" if order.status == "filled" else "partial_fill"
        self._tell(event, order, execution_id=name, price=str(done.price), qty=str(qty))

    def bust(self, execution):
        """Take an execution of an order that is over back; its shares do not come back to the market."""
        execution.busted = True
        order = execution.order
        order.filled -= execution.qty
        order.cost -= execution.qty * execution.price
        order.updated_at = self._stamp()
        self._tell("trade_bust", order, execution_id=f"e{next(self._number)}", previous_execution_id=execution.id)

    def end(self, order, status):
        self._become(order, status)
        self._tell(status, order)

    def holdings(self):
        held: dict[str, Decimal] = {}
        for one in self.executions:
            if not one.busted:
                held[one.order.symbol] = held.get(one.order.symbol, ZERO) + one.signed
        return {symbol: qty for symbol, qty in held.items() if qty}

    def open_ones(self):
        return [order for order in self.orders.values() if order.is_open]

    def place_foreign(self, symbol, qty):
        """Somebody else trades on the account, and is filled at once."""
        order = self._place("by hand", symbol, "buy", qty, Decimal(7))
        order.client_order_id = f"by-hand-{order.id}"
        self.fill(order, qty)
        return order

    def hear_earlier(self, client_order_id):
        """An earlier request of this id arrives before the one at hand is answered."""
        for order in [one for one in self.on_the_way if one.client_order_id == client_order_id]:
            self.on_the_way.remove(order)
            self.arrive(order)

    def _is_taken(self, client_order_id):
        return any(order.client_order_id == client_order_id for order in self.orders.values())

    def _take_the_place(self, broker_order_id, client_order_id, qty, limit_price):
        old = self.orders.get(broker_order_id)
        whole = qty or (old.qty if old else ZERO)
        if old is None or old.status not in {"new", "partially_filled"} or whole <= old.filled:
            return None
        new = self._place(client_order_id, old.symbol, old.side, whole - old.filled, limit_price or old.limit_price)
        new.replaces, old.replaced_by = old.id, new.id
        self._become(old, "replaced")
        self._tell("replaced", old)
        self._tell("new", new)
        return new

    def _place(self, client_order_id, symbol, side, qty, limit_price):
        now = self._stamp()
        order = Resting(f"b{next(self._number)}", client_order_id, symbol, side, qty, limit_price, now, now)
        self.orders[order.id] = order
        return order

    def _become(self, order, status):
        order.status, order.updated_at = status, self._stamp()

    def _tell(self, event, order, **more):
        told = {"event": event, "order": order.raw(), "timestamp": order.updated_at.isoformat(), **more}
        self.events.append(told)

    def _hear(self):
        if self.deaf:
            self.deaf -= 1
            raise ExchangeUnavailable("no answer")

    def _stamp(self):
        """The exchange's own time: no two changes share a moment."""
        self._last = max(self.time(), self._last + dt.timedelta(microseconds=1))
        return self._last


def event_of(raw):
    """What the stream hands over for one of the double's events."""
    return BrokerEvent.of(raw)
