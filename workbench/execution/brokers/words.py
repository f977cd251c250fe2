"""What a broker says about orders, holdings, accounts and events, read tolerantly from Alpaca's JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from workbench.errors import OutcomeUnknown
from workbench.market.order import Fill, Side

Raw = dict[str, Any]

# Alpaca's statuses after which an order does not work any more; every other one, known or not, counts as open.
ENDED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
FILL_EVENTS = frozenset({"fill", "partial_fill"})
OUR_PREFIX = "wb1-"


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker describes it. `side` and `qty` are None where the broker leaves them out.

    `legs` are the orders that hang on it: the exits of a bracket, the contracts of a multi-leg order. `replaces` and
    `replaced_by` are the broker's ids of the order before and after it. `hwm` is the extreme that a trailing stop has
    seen, `notional` the currency that was asked for instead of a quantity.
    """

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
    order_class: str = "simple"
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None
    notional: Decimal | None = None
    extended_hours: bool = False
    position_intent: str | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    legs: tuple[BrokerOrder, ...] = ()
    raw: Raw = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_open(self) -> bool:
        """Whether it may still work; an unknown status counts as open."""
        return self.status not in ENDED

    @property
    def is_ours(self) -> bool:
        """Whether its client_order_id has our prefix."""
        return self.client_order_id.startswith(OUR_PREFIX)

    @property
    def family(self) -> tuple[BrokerOrder, ...]:
        """The order and everything that hangs on it, the order first."""
        return (self, *(order for leg in self.legs for order in leg.family))

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
            order_class=_text(raw.get("order_class")) or "simple",
            trail_price=decimal_of(raw.get("trail_price")),
            trail_percent=decimal_of(raw.get("trail_percent")),
            hwm=decimal_of(raw.get("hwm")),
            notional=decimal_of(raw.get("notional")),
            extended_hours=raw.get("extended_hours") is True,
            position_intent=_text(raw.get("position_intent")) or None,
            replaces=_text(raw.get("replaces")) or None,
            replaced_by=_text(raw.get("replaced_by")) or None,
            legs=_legs(raw.get("legs")),
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

    @property
    def free(self) -> Decimal:
        """Shares, 0 or more, that no open order holds; all of them where the broker does not say."""
        said = decimal_of(self.raw.get("qty_available"))
        return abs(self.qty) if said is None else min(abs(said), abs(self.qty))

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


def _legs(value: Any) -> tuple[BrokerOrder, ...]:
    """The legs that can be read; one without an id says nothing about an order."""
    rows = value if isinstance(value, list) else []
    return tuple(BrokerOrder.of(row) for row in rows if isinstance(row, Mapping) and row.get("id"))


def _side(value: Any) -> Side | None:
    text = _text(value).lower()
    if text in {"buy", "buy_to_cover", "buy_to_open", "buy_to_close"}:
        return Side.BUY
    if text in {"sell", "sell_short", "sell_to_open", "sell_to_close"}:
        return Side.SELL
    return None


def _text(value: Any) -> str:
    return "" if value is None else str(value)
