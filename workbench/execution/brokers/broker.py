"""Broker: what an account can be asked, what is sent to it, and what is known after a request."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from workbench.execution.brokers.ticks import limit_on_tick, on_tick, stop_on_tick
from workbench.execution.brokers.words import (
    ENDED,
    FILL_EVENTS,
    OUR_PREFIX,
    BrokerAccount,
    BrokerClock,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    Raw,
    decimal_of,
    fill_of_activity,
    moment_of,
)
from workbench.market.order import Fill, OptionLeg, Side

__all__ = [
    "ENDED",
    "FILL_EVENTS",
    "OUR_PREFIX",
    "Broker",
    "BrokerAccount",
    "BrokerClock",
    "BrokerEvent",
    "BrokerFill",
    "BrokerOrder",
    "BrokerPosition",
    "OrderRequest",
    "Outcome",
    "RateSeen",
    "Raw",
    "Reply",
    "StreamHandle",
    "decimal_of",
    "fill_of_activity",
    "limit_on_tick",
    "moment_of",
    "on_tick",
    "stop_on_tick",
]

BrokerFill = Fill


class Outcome(enum.StrEnum):
    """What is known after a request was sent.

    PLACED: the broker has it. REFUSED: the broker said no. LIMITED: too many requests, nothing was done.
    DUPLICATE: this client_order_id is taken, probably by an earlier attempt. UNKNOWN: no word, or an unreadable one.
    """

    PLACED = "placed"
    REFUSED = "refused"
    LIMITED = "limited"
    UNKNOWN = "unknown"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What is sent: always with our own `client_order_id`, prices already on the tick.

    The fields mean what they mean in `OrderWish`. An order of class `mleg` goes out without symbol and side of its own.
    """

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    type: str = "market"
    time_in_force: str = "day"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    order_class: str = "simple"
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    take_profit_price: Decimal | None = None
    stop_loss_price: Decimal | None = None
    stop_loss_limit_price: Decimal | None = None
    extended_hours: bool = False
    position_intent: str | None = None
    legs: tuple[OptionLeg, ...] = ()


@dataclass(frozen=True, slots=True)
class RateSeen:
    """The budget of requests as headers tell it: `remaining` of `limit` requests per minute, until `reset` (UTC)."""

    limit: int
    remaining: int
    reset: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of one request. `retry_at` says when a LIMITED request may be sent again.

    `rate` is what the headers of this response said about the budget; None without a response or without headers.
    """

    outcome: Outcome
    order: BrokerOrder | None = None
    http_status: int | None = None
    code: int | None = None
    message: str = ""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)
    retry_at: dt.datetime | None = None
    rate: RateSeen | None = None


class StreamHandle(Protocol):
    """A running stream of events on a thread of its own."""

    @property
    def connected(self) -> bool:
        """Whether the broker has confirmed the subscription and the connection stands."""

    @property
    def failures(self) -> int:
        """How many events could not be read or handled. Each was logged; a reconciliation must repair them."""

    @property
    def trouble(self) -> str:
        """The newest failure in words; empty when there was none."""

    def close(self) -> None:
        """End the connection and the thread; returns when the thread is gone."""


class Broker(Protocol):
    """One account at one broker.

    `submit`, `replace`, `cancel` and `suspend` never raise for what the broker answered or did not answer: that is in
    the Reply. The others raise `ExchangeUnavailable` when there is no word, or none that can be read (after HTTP 429
    with `retry_at` in its facts), and `BrokerRefused` when the broker says no.
    """

    name: str

    @property
    def rate(self) -> RateSeen | None:
        """What the newest response with such headers said about the budget of requests; None: not said yet."""

    def submit(self, order: OrderRequest) -> Reply:
        """Send one order, once."""

    def cancel(self, broker_order_id: str) -> Reply:
        """Ask for a cancel. PLACED: the request was accepted (the order's own status says when it is over)."""

    def replace(
        self,
        broker_order_id: str,
        *,
        client_order_id: str,
        qty: Decimal | None = None,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        trail: Decimal | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """Ask for a new order in the place of an open one; prices on the tick, None: as it is.

        PLACED carries the *new* order and is no promise: the old one may still fill first. `qty` is the total, what the
        old one has filled already included.
        """

    def close_all(self, *, cancel_orders: bool = False) -> list[tuple[str, Reply]]:
        """Close every holding by market orders that the broker names itself; symbol and outcome of each."""

    def suspend(self, suspended: bool) -> Reply:
        """Let the broker itself refuse every new order of this account, or take that back."""

    def configurations(self) -> Raw:
        """The settings of the account at the broker, as it tells them."""

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        """The order with our id; None when the broker says that it has none."""

    def order(self, broker_order_id: str) -> BrokerOrder | None:
        """The order with the broker's id; None when the broker says that it has none."""

    def open_orders(self) -> list[BrokerOrder]:
        """All open orders, paged to the end."""

    def orders_since(self, moment: dt.datetime) -> list[BrokerOrder]:
        """All orders, open or not, submitted after `moment`, oldest first, paged to the end."""

    def fills_since(self, activity_id: str | None = None, *, after: dt.datetime | None = None) -> list[Fill]:
        """Fills from the activities, oldest first: those after the activity `activity_id`, or after a moment, or all.

        The `execution_id` of these fills is the activity's id.
        """

    def positions(self) -> list[BrokerPosition]:
        """All holdings."""

    def account(self) -> BrokerAccount:
        """Cash, equity, buying power."""

    def clock(self) -> BrokerClock:
        """The broker's clock."""

    def stream(self, on_event: Callable[[BrokerEvent], None], on_connect: Callable[[], None]) -> StreamHandle:
        """Start the stream. `on_connect` is called after every (re)connect, so that a reconciliation can follow."""

    def close(self) -> None:
        """Give the connections back."""
