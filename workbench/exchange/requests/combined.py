"""Reading requests for orders that hang together: bracket, OCO and OTO of stocks, and multi-leg options orders."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from workbench.exchange.requests.fields import (
    MALFORMED,
    UNPROCESSABLE,
    client_order_id,
    number,
    one_of,
    positive,
    price,
)
from workbench.exchange.requests.intake import INTENTS, SIDES, Exit, LegRequest, OrderRequest, read_simple
from workbench.exchange.state.occ import contract_of
from workbench.exchange.state.order import OPTION
from workbench.exchange.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASSES: Final = ("simple", "bracket", "oco", "oto", "mleg")
MOST_LEGS: Final = 4
_PENNY = Decimal("0.01")


def read_order(body: Mapping[str, Any]) -> OrderRequest:
    """Check everything about a request that does not depend on the account.

    Raises:
        Refusal: 422 with Alpaca's code and message for the first thing that is wrong.
    """
    given = body.get("order_class")
    kind = "simple" if given is None or given == "" else one_of(body, "order_class", CLASSES)
    if kind == "mleg":
        return _read_legs(body)
    if kind == "simple":
        for name in ("take_profit", "stop_loss", "legs"):
            if body.get(name):
                raise Refusal(422, MALFORMED, f"simple orders must not have {name}")
        return read_simple(body)
    return _read_exits(body, kind)


def check_exits(request: OrderRequest, base: Decimal) -> None:
    """Exits on the right side of the entry and of each other. `base`: the entry's limit, or the newest price.

    Raises:
        Refusal: 422 42210000 with the base price where it matters.
    """
    up = (request.side == "buy") != (request.order_class == "oco")  # the position is long
    profit = next((one.limit_price for one in request.exits if one.role == "take_profit"), None)
    loss = next((one for one in request.exits if one.role == "stop_loss"), None)
    stop = None if loss is None else loss.stop_price
    if profit is not None and stop is not None and not (profit > stop if up else profit < stop):
        sign = ">" if up else "<"
        raise Refusal(422, UNPROCESSABLE, f"take_profit.limit_price must be {sign} stop_loss.stop_price")
    if loss is not None and loss.limit_price is not None and stop is not None:
        beyond = loss.limit_price > stop if up else loss.limit_price < stop
        if beyond:
            sign = "<=" if up else ">="
            raise Refusal(422, UNPROCESSABLE, f"stop_loss.limit_price must be {sign} stop_loss.stop_price")
    if request.order_class == "oco":
        return
    if profit is not None and not (profit >= base + _PENNY if up else profit <= base - _PENNY):
        rule = ">= base_price + 0.01" if up else "<= base_price - 0.01"
        raise Refusal(422, UNPROCESSABLE, f"take_profit.limit_price must be {rule}", base_price=f"{base:f}")
    if stop is not None and not (stop <= base - _PENNY if up else stop >= base + _PENNY):
        rule = "<= base_price - 0.01" if up else ">= base_price + 0.01"
        raise Refusal(422, UNPROCESSABLE, f"stop_loss.stop_price must be {rule}", base_price=f"{base:f}")


def _read_exits(body: Mapping[str, Any], kind: str) -> OrderRequest:
    exits = _exits(body, kind)
    if kind == "oco":
        if body.get("type") != "limit":
            raise Refusal(422, MALFORMED, "oco orders must be limit orders")
        # The order itself is the take-profit, whether its limit is given once or twice.
        body = {**body, "limit_price": exits[0].limit_price}
    request = dataclasses.replace(read_simple(body), order_class=kind, exits=exits)
    if request.asset_class == OPTION:
        raise Refusal(422, UNPROCESSABLE, f"{kind} orders are not supported for options trading")
    if request.type not in {"market", "limit"} and kind == "bracket":
        raise Refusal(422, MALFORMED, "bracket orders must be market or limit orders")
    if request.time_in_force not in {"day", "gtc"}:
        raise Refusal(422, MALFORMED, f"{kind} orders must be DAY or GTC orders")
    if request.fractional:
        raise Refusal(422, UNPROCESSABLE, "fractional orders must be simple orders")
    if request.extended_hours:
        raise Refusal(422, UNPROCESSABLE, f"{kind} orders are not allowed in extended hours")
    return request


def _exits(body: Mapping[str, Any], kind: str) -> tuple[Exit, ...]:
    profit, loss = _part(body, "take_profit"), _part(body, "stop_loss")
    if kind == "oto":
        if (profit is None) == (loss is None):
            raise Refusal(422, MALFORMED, "oto orders require either take_profit or stop_loss")
    elif profit is None:
        raise Refusal(422, MALFORMED, f"{kind} orders require take_profit.limit_price")
    elif loss is None:
        raise Refusal(422, MALFORMED, f"{kind} orders require stop_loss.stop_price")
    exits = []
    if profit is not None:
        exits.append(Exit("take_profit", "limit", _required(profit, "limit_price", "take_profit"), None))
    if loss is not None:
        stop = _required(loss, "stop_price", "stop_loss")
        bound = price({"stop_loss.limit_price": loss.get("limit_price")}, "stop_loss.limit_price")
        exits.append(Exit("stop_loss", "stop" if bound is None else "stop_limit", bound, stop))
    return tuple(exits)


def _read_legs(body: Mapping[str, Any]) -> OrderRequest:
    legs = _legs(body)
    kind = one_of(body, "type", ("market", "limit"))
    time_in_force = one_of(body, "time_in_force", ("day",))
    qty = positive(body, "qty")
    if qty is None:
        raise Refusal(422, MALFORMED, "qty is required")
    if qty != qty.to_integral_value():
        raise Refusal(422, UNPROCESSABLE, "options contracts must be traded in whole quantities")
    limit = price(body, "limit_price", signed=True)
    if kind == "limit" and limit is None:
        raise Refusal(422, MALFORMED, "limit orders require a limit price")
    if kind == "market" and limit is not None:
        raise Refusal(422, MALFORMED, "market orders require no stop or limit price")
    for name in ("stop_price", "trail_price", "trail_percent", "notional", "symbol", "side"):
        if body.get(name) not in (None, ""):
            raise Refusal(422, MALFORMED, f"mleg orders must not have {name}")
    return OrderRequest(
        symbol="",
        side="",
        type=kind,
        time_in_force=time_in_force,
        qty=qty,
        notional=None,
        limit_price=limit,
        stop_price=None,
        client_order_id=client_order_id(body),
        asset_class=OPTION,
        order_class="mleg",
        legs=legs,
    )


def _legs(body: Mapping[str, Any]) -> tuple[LegRequest, ...]:
    given = body.get("legs")
    if not isinstance(given, list) or not all(isinstance(leg, dict) for leg in given) or len(given) < 2:
        raise Refusal(422, MALFORMED, "at least 2 legs are required for the mleg order class")
    if len(given) > MOST_LEGS:
        raise Refusal(422, MALFORMED, f"at most {MOST_LEGS} legs are allowed for the mleg order class")
    legs = tuple(_read_leg(leg) for leg in given)
    if len({leg.symbol for leg in legs}) < len(legs):
        raise Refusal(422, MALFORMED, "all legs must have unique symbols")
    ratios = [int(leg.ratio) for leg in legs]
    common = math.gcd(*ratios)
    if common > 1:
        listed = " ".join(str(ratio) for ratio in ratios)
        message = f"leg ratio quantities should be relatively prime: GCD[{listed}] = {common}"
        raise Refusal(422, UNPROCESSABLE, message)
    return legs


def _read_leg(leg: Mapping[str, Any]) -> LegRequest:
    symbol = leg.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise Refusal(422, MALFORMED, "symbol is required for each leg")
    if contract_of(symbol) is None:
        raise Refusal(422, UNPROCESSABLE, f"invalid legs: {symbol[:32]} is not an option contract")
    ratio = number(leg, "ratio_qty")
    if ratio is None or ratio < 1 or ratio != ratio.to_integral_value() or ratio > 10_000:
        raise Refusal(422, MALFORMED, "ratio_qty must be a whole number > 0")
    intent = None if leg.get("position_intent") is None else one_of(leg, "position_intent", INTENTS)
    implied = None if intent is None else intent.partition("_")[0]
    side = implied if implied is not None and leg.get("side") is None else one_of(leg, "side", SIDES)
    if intent is not None and not intent.startswith(side):
        raise Refusal(422, MALFORMED, f"position_intent {intent} does not fit side {side}")
    return LegRequest(symbol, side, ratio, intent)


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    given = body.get(name)
    if given is None or given == {}:
        return None
    if not isinstance(given, dict):
        raise Refusal(400, 40010000, "request body format is invalid")
    return given


def _required(part: Mapping[str, Any], name: str, of: str) -> Decimal:
    found = price({f"{of}.{name}": part.get(name)}, f"{of}.{name}")
    if found is None:
        raise Refusal(422, MALFORMED, f"{of}.{name} is required")
    return found
