"""Reading a request for an order: fields and their combinations, refused in Alpaca's words where they are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.exchange.requests.fields import (
    MALFORMED,
    UNPROCESSABLE,
    client_order_id,
    number,
    one_of,
    positive,
    price,
    truth,
)
from workbench.exchange.state.occ import contract_of
from workbench.exchange.state.order import OPTION, QTY_STEP, STOCK, Order
from workbench.exchange.wire import Refusal, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MALFORMED", "UNPROCESSABLE", "OrderRequest", "number", "positive", "price", "read_replacement", "truth"]

SIDES = ("buy", "sell")
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")
INTENTS = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Exit:
    """One exit of a bracket, an OCO or an OTO: `role` is `take_profit` or `stop_loss`; prices per share."""

    role: str
    type: str
    limit_price: Decimal | None
    stop_price: Decimal | None


@dataclass(frozen=True, slots=True)
class LegRequest:
    """One leg of a multi-leg options order: `ratio` contracts for each unit of the order."""

    symbol: str
    side: str
    ratio: Decimal
    position_intent: str | None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A well-formed request; whether the account may do it is another question.

    `limit_price` of a multi-leg order is a debit above zero and a credit below, and its `symbol` and `side` are empty.
    """

    symbol: str
    side: str
    type: str
    time_in_force: str
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    client_order_id: str
    extended_hours: bool = False
    position_intent: str | None = None
    asset_class: str = STOCK
    order_class: str = ""
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    exits: tuple[Exit, ...] = ()
    legs: tuple[LegRequest, ...] = ()

    @property
    def fractional(self) -> bool:
        """Whether it is for parts of a share."""
        return self.qty is None or self.qty != self.qty.to_integral_value()


def read_simple(body: Mapping[str, Any]) -> OrderRequest:
    """Check everything about one order by itself that does not depend on the account.

    Raises:
        Refusal: 422 with Alpaca's code and message for the first thing that is wrong.
    """
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise Refusal(422, MALFORMED, "symbol is required")
    side = one_of(body, "side", SIDES)
    kind = one_of(body, "type", TYPES)
    time_in_force = one_of(body, "time_in_force", TIMES_IN_FORCE)
    qty, notional = positive(body, "qty"), positive(body, "notional")
    if qty is None and notional is None:
        raise Refusal(422, MALFORMED, "qty is required")
    if qty is not None and notional is not None:
        raise Refusal(422, MALFORMED, "only one of qty or notional is accepted")
    given_intent = body.get("position_intent")
    request = OrderRequest(
        symbol=symbol,
        side=side,
        type=kind,
        time_in_force=time_in_force,
        qty=qty,
        notional=notional,
        limit_price=price(body, "limit_price"),
        stop_price=price(body, "stop_price"),
        client_order_id=client_order_id(body),
        extended_hours=truth(body.get("extended_hours")),
        position_intent=None if given_intent is None else one_of(body, "position_intent", INTENTS),
        asset_class=STOCK if contract_of(symbol) is None else OPTION,
        trail_price=price(body, "trail_price"),
        trail_percent=positive(body, "trail_percent"),
    )
    check_prices(request)
    _check_quantity(request)
    if request.position_intent is not None and not request.position_intent.startswith(side):
        raise Refusal(422, MALFORMED, f"position_intent {request.position_intent} does not fit side {side}")
    if request.extended_hours:
        if kind != "limit":
            raise Refusal(422, MALFORMED, 'only type="limit" is allowed for extended hours orders')
        if time_in_force != "day":
            raise Refusal(422, MALFORMED, "extended hours order must be DAY limit orders")
    if request.asset_class == OPTION:
        check_option(request)
    return request


def read_replacement(old: Order, body: Mapping[str, Any]) -> OrderRequest:
    """The request of the order that takes the place of `old`: the body says what changes, `qty` is the total of both.

    Raises:
        Refusal: a notional order, part of a share, not more than has been filled already, a price the type has not, or
            the quantity of an exit.
    """
    if old.notional is not None:
        raise Refusal(422, UNPROCESSABLE, "notional orders cannot be replaced")
    if old.role == "leg":
        raise Refusal(422, UNPROCESSABLE, "legs of a multi-leg order cannot be replaced; replace the order")
    asked = positive(body, "qty")
    if asked is not None and (old.role or old.oco is not None) and asked != old.qty:
        raise Refusal(422, UNPROCESSABLE, "qty of an exit cannot be replaced; only its prices")
    qty = asked or old.qty
    if qty is None or qty != qty.to_integral_value():
        raise Refusal(422, UNPROCESSABLE, "qty must be a whole number of shares")
    if qty <= old.filled_qty:
        raise Refusal(422, UNPROCESSABLE, f"qty must be above the filled quantity {plain(old.filled_qty)}")
    away = positive(body, "trail")
    if away is not None and old.type != "trailing_stop":
        raise Refusal(422, MALFORMED, "trail is only for trailing_stop orders")
    trail = {name: getattr(old, name) for name in ("trail_price", "trail_percent")}
    if away is not None:
        trail = {name: None if value is None else away for name, value in trail.items()}
    stop = body.get("stop_price") or old.stop_price
    merged = {
        "symbol": old.symbol,
        "side": old.side,
        "type": old.type,
        "time_in_force": body.get("time_in_force") or old.time_in_force,
        "qty": plain(qty - old.filled_qty),
        "limit_price": body.get("limit_price") or old.limit_price,
        "stop_price": None if old.type == "trailing_stop" else stop,
        "client_order_id": body.get("client_order_id"),
        "extended_hours": old.extended_hours,
        "position_intent": old.position_intent,
        **trail,
    }
    if old.order_class != "mleg":
        return read_simple(merged)
    return OrderRequest(
        symbol="",
        side="",
        type=old.type,
        time_in_force=one_of(merged, "time_in_force", ("day",)),
        qty=qty - old.filled_qty,
        notional=None,
        limit_price=price(merged, "limit_price", signed=True),
        stop_price=None,
        client_order_id=client_order_id(merged),
        asset_class=OPTION,
        order_class="mleg",
    )


def check_prices(request: OrderRequest) -> None:
    """Each type has the prices it needs and no price it has no use for. Raises Refusal."""
    kind, limit, stop = request.type, request.limit_price, request.stop_price
    if kind in {"limit", "stop_limit"} and limit is None:
        raise Refusal(422, MALFORMED, f"{kind.replace('_', ' ')} orders require a limit price")
    if kind in {"stop", "stop_limit"} and stop is None:
        raise Refusal(422, MALFORMED, f"{kind.replace('_', ' ')} orders require a stop price")
    if kind == "market" and (limit is not None or stop is not None):
        raise Refusal(422, MALFORMED, "market orders require no stop or limit price")
    if kind not in {"limit", "stop_limit"} and limit is not None:
        raise Refusal(422, MALFORMED, f"{kind} orders must not have limit_price")
    if kind not in {"stop", "stop_limit"} and stop is not None:
        raise Refusal(422, MALFORMED, f"{kind} orders must not have stop_price")
    if kind == "trailing_stop":
        _check_trail(request)
    elif request.trail_price is not None or request.trail_percent is not None:
        raise Refusal(422, MALFORMED, f"{kind} orders must not have trail_price or trail_percent")


def _check_trail(request: OrderRequest) -> None:
    if (request.trail_price is None) == (request.trail_percent is None):
        raise Refusal(422, MALFORMED, "trailing stop orders must specify one of trail_price or trail_percent")
    if request.trail_percent is not None and request.trail_percent >= 100:
        raise Refusal(422, MALFORMED, "trail_percent must be < 100")
    if request.time_in_force not in {"day", "gtc"}:
        raise Refusal(422, MALFORMED, "trailing stop orders must be DAY or GTC orders")


def check_option(request: OrderRequest) -> None:
    """Single options orders are market or limit day orders for whole contracts. Raises Refusal."""
    if request.type not in {"market", "limit"}:
        raise Refusal(422, UNPROCESSABLE, "option orders must be market or limit orders")
    if request.time_in_force != "day":
        raise Refusal(422, UNPROCESSABLE, "order_time_in_force provided not supported for options trading")
    if request.qty is None:
        raise Refusal(422, MALFORMED, "qty is required")
    if request.fractional:
        raise Refusal(422, UNPROCESSABLE, "options contracts must be traded in whole quantities")
    if request.extended_hours:
        raise Refusal(422, UNPROCESSABLE, "extended hours orders are not supported for options trading")


def _check_quantity(request: OrderRequest) -> None:
    qty, notional = request.qty, request.notional
    if qty is not None and qty != qty.quantize(QTY_STEP):
        raise Refusal(422, UNPROCESSABLE, "qty must be limited to 9 decimal places")
    if notional is not None and notional != notional.quantize(_CENT):
        raise Refusal(422, UNPROCESSABLE, "notional value must be limited to 2 decimal places")
    if not request.fractional:
        return
    if request.time_in_force != "day":
        raise Refusal(422, UNPROCESSABLE, "fractional orders must be DAY orders")
    if request.type == "trailing_stop":
        raise Refusal(422, UNPROCESSABLE, "fractional orders must not be trailing stop orders")
