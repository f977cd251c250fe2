"""Broker: what an account can be asked, and the values it answers with, read tolerantly from Alpaca's JSON."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any, Protocol

from workbench.errors import OutcomeUnknown
from workbench.market.order import Fill, Side

Raw = dict[str, Any]
BrokerFill = Fill

# Alpaca's statuses after which an order does not work any more; every other one, known or not, counts as open.
ENDED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
FILL_EVENTS = frozenset({"fill", "partial_fill"})
OUR_PREFIX = "wb1-"

_TICK_FROM_A_DOLLAR = Decimal("0.01")
_TICK_BELOW_A_DOLLAR = Decimal("0.0001")


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
    """What is sent: always with our own `client_order_id`, prices already on the tick."""

    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    type: str = "market"
    time_in_force: str = "day"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker describes it. `side` and `qty` are None where the broker leaves them out."""

    id: str
    client_order_id: str
    symbol: str
    side: Side | None
    qty: Decimal | None
    filled_qty: Decimal
    avg_price: Decimal | None
    status: str
    updated_at: dt.datetime | None
    type: str = "market"
    time_in_force: str = "day"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_open(self) -> bool:
        """Whether it may still work; an unknown status counts as open."""
        return self.status not in ENDED

    @property
    def is_ours(self) -> bool:
        """Whether its client_order_id has our prefix."""
        return self.client_order_id.startswith(OUR_PREFIX)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> BrokerOrder:
        """Read Alpaca's order JSON. Unknown fields and statuses are kept as they are; only the id must be there.

        Raises:
            OutcomeUnknown: the body is not an object with an `id`, so nothing can be said about an order.
        """
        if not isinstance(raw, Mapping) or not raw.get("id"):
            raise OutcomeUnknown(
                "the broker's reply has no order id; whether an order is live is not known.",
                remedy="it will be looked up by its client_order_id.",
            )
        return cls(
            id=str(raw["id"]),
            client_order_id=_text(raw.get("client_order_id")),
            symbol=_text(raw.get("symbol")),
            side=_side(raw.get("side")),
            qty=decimal_of(raw.get("qty")),
            filled_qty=decimal_of(raw.get("filled_qty")) or Decimal(0),
            avg_price=decimal_of(raw.get("filled_avg_price")),
            status=_text(raw.get("status")),
            updated_at=moment_of(raw.get("updated_at")) or moment_of(raw.get("created_at")),
            type=_text(raw.get("type") or raw.get("order_type")),
            time_in_force=_text(raw.get("time_in_force")),
            limit_price=decimal_of(raw.get("limit_price")),
            stop_price=decimal_of(raw.get("stop_price")),
            raw=dict(raw),
        )


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """A holding as the broker describes it; `qty` is signed (short is negative)."""

    symbol: str
    qty: Decimal
    avg_price: Decimal
    market_price: Decimal | None
    unrealized: Decimal | None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> BrokerPosition:
        """Read Alpaca's position JSON."""
        qty = decimal_of(raw.get("qty")) or Decimal(0)
        if raw.get("side") == "short":
            qty = -abs(qty)
        return cls(
            symbol=_text(raw.get("symbol")),
            qty=qty,
            avg_price=decimal_of(raw.get("avg_entry_price")) or Decimal(0),
            market_price=decimal_of(raw.get("current_price")),
            unrealized=decimal_of(raw.get("unrealized_pl")),
            raw=dict(raw),
        )


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """The account in currency. A figure that the broker left out is None, never 0."""

    number: str
    cash: Decimal | None
    equity: Decimal | None
    buying_power: Decimal | None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> BrokerAccount:
        """Read Alpaca's account JSON; no field is required."""
        return cls(
            number=_text(raw.get("account_number")),
            cash=decimal_of(raw.get("cash")),
            equity=decimal_of(raw.get("equity")),
            buying_power=decimal_of(raw.get("buying_power")),
            raw=dict(raw),
        )


@dataclass(frozen=True, slots=True)
class BrokerClock:
    """The broker's own clock: the replayed moment at the local exchange, the wall clock at Alpaca."""

    now: dt.datetime | None
    is_open: bool
    next_open: dt.datetime | None
    next_close: dt.datetime | None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> BrokerClock:
        """Read Alpaca's clock JSON."""
        return cls(
            now=moment_of(raw.get("timestamp")),
            is_open=bool(raw.get("is_open")),
            next_open=moment_of(raw.get("next_open")),
            next_close=moment_of(raw.get("next_close")),
        )


@dataclass(frozen=True, slots=True)
class BrokerEvent:
    """One message of the trade_updates stream: the order after the event, and the fill if it was one.

    `corrects` names the execution that a `trade_bust` or `trade_correct` takes back.
    """

    event: str
    order: BrokerOrder
    fill: Fill | None
    happened: dt.datetime | None
    corrects: str | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> BrokerEvent:
        """Read the `data` of a trade_updates message. Raises OutcomeUnknown when it carries no order id."""
        order = BrokerOrder.of(raw.get("order") or {})
        event = _text(raw.get("event"))
        happened = moment_of(raw.get("timestamp")) or order.updated_at
        return cls(
            event=event,
            order=order,
            fill=_event_fill(raw, event, order, happened),
            happened=happened,
            corrects=_text(raw.get("previous_execution_id")) or None,
            raw=dict(raw),
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of one request. `retry_at` says when a LIMITED request may be sent again."""

    outcome: Outcome
    order: BrokerOrder | None = None
    http_status: int | None = None
    code: int | None = None
    message: str = ""
    raw: Raw = field(default_factory=dict, repr=False, compare=False)
    retry_at: dt.datetime | None = None


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

    `submit` and `cancel` never raise for what the broker answered or did not answer: that is in the Reply. The reading
    methods raise `ExchangeUnavailable` when there is no word, or none that can be read (with `retry_at` in its facts
    after HTTP 429), and `BrokerRefused` when the broker says no.
    """

    name: str

    def submit(self, order: OrderRequest) -> Reply:
        """Send one order, once."""

    def cancel(self, broker_order_id: str) -> Reply:
        """Ask for a cancel. PLACED: the request was accepted (the order's own status says when it is over)."""

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


def on_tick(price: Decimal, *, up: bool) -> Decimal:
    """`price` on Alpaca's grid: 2 decimals from $1, 4 below; rounded up or down, never to the nearest."""
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    step = _TICK_FROM_A_DOLLAR if abs(price) >= 1 else _TICK_BELOW_A_DOLLAR
    return price.quantize(step, rounding=rounding)


def limit_on_tick(price: Decimal | None, side: Side) -> Decimal | None:
    """A limit on the tick, never worse for us than wished: a buy is rounded down, a sell up."""
    return None if price is None else on_tick(price, up=side is Side.SELL)


def stop_on_tick(price: Decimal | None, side: Side) -> Decimal | None:
    """A stop on the tick that never triggers earlier than wished: a buy is rounded up, a sell down."""
    return None if price is None else on_tick(price, up=side is Side.BUY)


def fill_of_activity(raw: Mapping[str, Any]) -> Fill | None:
    """A Fill from one FILL activity; None when the row cannot be booked (no order, quantity, price or moment)."""
    side, qty, price = _side(raw.get("side")), decimal_of(raw.get("qty")), decimal_of(raw.get("price"))
    happened = moment_of(raw.get("transaction_time"))
    if side is None or not qty or not price or happened is None or not raw.get("order_id") or not raw.get("id"):
        return None
    return Fill(
        execution_id=str(raw["id"]),
        broker_order_id=str(raw["order_id"]),
        client_order_id=_text(raw.get("client_order_id")),
        symbol=_text(raw.get("symbol")),
        side=side,
        qty=abs(qty),
        price=price,
        happened=happened,
        cum_qty=decimal_of(raw.get("cum_qty")),
    )


def decimal_of(value: Any) -> Decimal | None:
    """A finite Decimal from a broker's number or text; None for anything else."""
    if value is None or isinstance(value, bool) or value == "":
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def moment_of(value: Any) -> dt.datetime | None:
    """A UTC moment from RFC 3339 text (nanoseconds are cut to microseconds); None for anything else."""
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _event_fill(raw: Mapping[str, Any], event: str, order: BrokerOrder, happened: dt.datetime | None) -> Fill | None:
    qty, price = decimal_of(raw.get("qty")), decimal_of(raw.get("price"))
    booked = event in FILL_EVENTS or event == "trade_correct"
    if not booked or not qty or not price or order.side is None or happened is None:
        return None
    return Fill(
        # Some events come without an execution id; order and cumulative quantity name the execution just as well.
        execution_id=_text(raw.get("execution_id")) or f"{order.id}:{order.filled_qty}",
        broker_order_id=order.id,
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        qty=abs(qty),
        price=price,
        happened=happened,
        cum_qty=order.filled_qty if event in FILL_EVENTS else None,
    )


def _side(value: Any) -> Side | None:
    text = _text(value).lower()
    if text in {"buy", "buy_to_cover"}:
        return Side.BUY
    if text in {"sell", "sell_short"}:
        return Side.SELL
    return None


def _text(value: Any) -> str:
    return "" if value is None else str(value)
