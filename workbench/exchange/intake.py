"""Reading a request for an order: fields, numbers and combinations, refused in Alpaca's words where they are wrong."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from workbench.exchange.records import QTY_STEP, Order
from workbench.exchange.wire import Refusal, plain

if TYPE_CHECKING:
    from workbench.exchange.clock import Timeline

SIDES = ("buy", "sell")
TYPES = ("market", "limit", "stop")
TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")
LONGEST_CLIENT_ORDER_ID = 128
LAST_FOR_OPEN, LAST_FOR_CLOSE = dt.timedelta(minutes=2), dt.timedelta(minutes=10)
MALFORMED = 40010001
UNPROCESSABLE = 42210000


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A well-formed request; whether the account may do it is another question."""

    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    client_order_id: str
    extended_hours: bool
    position_intent: str | None


def read_order(body: dict[str, Any]) -> OrderRequest:
    """Check everything about a request that does not depend on the account.

    Raises:
        Refusal: 422 with Alpaca's code and message for the first thing that is wrong.
    """
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise Refusal(422, MALFORMED, "symbol is required")
    side = _one_of(body, "side", SIDES)
    kind = _one_of(body, "type", TYPES)
    time_in_force = _one_of(body, "time_in_force", TIMES_IN_FORCE)
    if body.get("order_class") not in {None, "", "simple"}:
        raise Refusal(422, UNPROCESSABLE, f"order_class {body['order_class']} is not offered by the local exchange")
    qty, notional = positive(body, "qty"), positive(body, "notional")
    if qty is None and notional is None:
        raise Refusal(422, MALFORMED, "qty is required")
    if qty is not None and notional is not None:
        raise Refusal(422, MALFORMED, "only one of qty or notional is accepted")
    if notional is not None and side == "sell":
        raise Refusal(422, UNPROCESSABLE, "notional sell orders are not offered by the local exchange; use qty")
    limit_price, stop_price = price(body, "limit_price"), price(body, "stop_price")
    check_prices(kind, limit_price, stop_price)
    fractional = notional is not None or (qty is not None and qty != qty.to_integral_value())
    if fractional and time_in_force != "day":
        raise Refusal(422, UNPROCESSABLE, "fractional orders must be DAY orders")
    if qty is not None and qty != qty.quantize(QTY_STEP):
        raise Refusal(422, UNPROCESSABLE, "qty must be limited to 9 decimal places")
    if notional is not None and notional != notional.quantize(Decimal("0.01")):
        raise Refusal(422, UNPROCESSABLE, "notional value must be limited to 2 decimal places")
    extended_hours = truth(body.get("extended_hours"))
    if extended_hours and kind != "limit":
        raise Refusal(422, MALFORMED, 'only type="limit" is allowed for extended hours orders')
    intent = body.get("position_intent")
    return OrderRequest(
        symbol=symbol,
        side=side,
        type=kind,
        time_in_force=time_in_force,
        qty=qty,
        notional=notional,
        limit_price=limit_price,
        stop_price=stop_price,
        client_order_id=client_order_id(body),
        extended_hours=extended_hours,
        position_intent=None if intent is None else str(intent),
    )


def read_replacement(old: Order, body: dict[str, Any]) -> OrderRequest:
    """The request of the order that takes the place of `old`: the body says what changes, `qty` is the total of both.

    Raises:
        Refusal: a notional order, part of a share, or not more than has been filled already.
    """
    if old.notional is not None:
        raise Refusal(422, UNPROCESSABLE, "notional orders cannot be replaced")
    qty = positive(body, "qty") or old.qty
    if qty is None or qty != qty.to_integral_value():
        raise Refusal(422, UNPROCESSABLE, "qty must be a whole number of shares")
    if qty <= old.filled_qty:
        raise Refusal(422, UNPROCESSABLE, f"qty must be above the filled quantity {plain(old.filled_qty)}")
    return read_order(
        {
            "symbol": old.symbol,
            "side": old.side,
            "type": old.type,
            "time_in_force": body.get("time_in_force") or old.time_in_force,
            "qty": plain(qty - old.filled_qty),
            "limit_price": body.get("limit_price") or old.limit_price,
            "stop_price": body.get("stop_price") or old.stop_price,
            "client_order_id": body.get("client_order_id"),
            "extended_hours": old.extended_hours,
            "position_intent": old.position_intent,
        }
    )


def expiry(request: OrderRequest, *, now: dt.datetime, timeline: Timeline) -> dt.datetime | None:
    """When the order dies by itself: the close of the session it lives in; the open for opg; never for gtc.

    Outside a session every time in force is taken and waits for the next one.

    Raises:
        Refusal: opg within two minutes of the open or during a session, cls in a session's last ten minutes.
    """
    session = timeline.session_at_or_after(now)
    if request.time_in_force == "gtc":
        return None
    if request.time_in_force == "opg":
        if session.opens - now <= LAST_FOR_OPEN:
            raise Refusal(422, UNPROCESSABLE, "opg orders are not accepted from 09:28 ET until the close")
        return session.opens
    if request.time_in_force == "cls" and session.opens <= now and session.closes - now <= LAST_FOR_CLOSE:
        raise Refusal(422, UNPROCESSABLE, "cls orders are not accepted in the last ten minutes of a session")
    return session.closes


def check_prices(kind: str, limit_price: Decimal | None, stop_price: Decimal | None) -> None:
    """A limit order has a limit, a stop order a stop, and no order a price it has no use for. Raises Refusal."""
    if kind == "limit" and limit_price is None:
        raise Refusal(422, MALFORMED, "limit orders require limit price")
    if kind == "stop" and stop_price is None:
        raise Refusal(422, MALFORMED, "stop orders require stop price")
    if kind != "limit" and limit_price is not None:
        raise Refusal(422, MALFORMED, f"{kind} orders must not have limit_price")
    if kind != "stop" and stop_price is not None:
        raise Refusal(422, MALFORMED, f"{kind} orders must not have stop_price")


def client_order_id(body: dict[str, Any]) -> str:
    """The name given by the owner, or a new random one. Raises Refusal where it is too long or not text."""
    given = body.get("client_order_id")
    if given is None or given == "":
        return str(uuid.uuid4())
    if not isinstance(given, str) or len(given) > LONGEST_CLIENT_ORDER_ID:
        raise Refusal(422, MALFORMED, f"client_order_id must be no more than {LONGEST_CLIENT_ORDER_ID} characters")
    return given


def number(body: dict[str, Any], name: str) -> Decimal | None:
    """A finite number from JSON (a string or a number), None where it is absent. Raises Refusal."""
    given = body.get(name)
    if given is None or given == "":
        return None
    try:
        value = Decimal(str(given))
    except InvalidOperation:
        value = Decimal("NaN")
    if isinstance(given, bool) or not value.is_finite():
        raise Refusal(422, MALFORMED, f"{name} is not a number: {given}")
    return value


def positive(body: dict[str, Any], name: str) -> Decimal | None:
    """A finite number above zero, None where it is absent. Raises Refusal."""
    value = number(body, name)
    if value is not None and value <= 0:
        raise Refusal(422, MALFORMED, f"{name} must be > 0")
    return value


def price(body: dict[str, Any], name: str) -> Decimal | None:
    """A price on the tick: two decimals from one dollar on, four below. None where it is absent. Raises Refusal."""
    value = positive(body, name)
    if value is None:
        return None
    tick = Decimal("0.01") if value >= 1 else Decimal("0.0001")
    if value % tick:
        raise Refusal(
            422,
            UNPROCESSABLE,
            f"invalid {name} {value:f}. sub-penny increment does not fulfill minimum pricing criteria",
        )
    return value


def truth(given: Any) -> bool:
    """A boolean from JSON or from a query, in any case: alpaca-py writes `True`."""
    return str(given).lower() in {"true", "1", "yes"}


def _one_of(body: dict[str, Any], name: str, known: tuple[str, ...]) -> str:
    given = body.get(name)
    if given is None:
        raise Refusal(422, MALFORMED, f"{name} is required")
    if given not in known:
        raise Refusal(422, MALFORMED, f"invalid {name}: {given}; the local exchange offers {', '.join(known)}")
    return str(given)
