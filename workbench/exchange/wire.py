"""Alpaca's JSON shapes: orders, positions, accounts, market data and refusals as they look on the wire."""

from __future__ import annotations

import uuid
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from workbench.exchange.clock import text_of
from workbench.exchange.market import day_start
from workbench.exchange.records import PRICE_STEP, ZERO

if TYPE_CHECKING:
    import datetime as dt

    from workbench.exchange.market import Print
    from workbench.exchange.matching import Bar
    from workbench.exchange.records import Account, Execution, Order, Position

# Where a source has no value the wire says "NaN", in quotes: valid JSON, and alpaca-py's models read it as a float NaN.
# A zero would be an invented fact, and null would make the client's models refuse the whole answer.
ABSENT = "NaN"
_NAMES = uuid.UUID("6f1d3a52-0a57-5b8e-9a55-3f0f1f1e7c11")


class Refusal(Exception):
    """The exchange says no: an HTTP status with Alpaca's error body."""

    def __init__(self, status: int, code: int | None, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = ({} if code is None else {"code": code}) | {"message": message} | facts


def asset_id(symbol: str) -> str:
    """The id of an asset: always the same for the same symbol, on every exchange."""
    return str(uuid.uuid5(_NAMES, symbol))


def plain(value: Decimal) -> str:
    """A Decimal without exponent and without trailing zeros."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def money(value: Decimal) -> str:
    """An amount of currency in cents."""
    return plain(value.quantize(Decimal("0.01"), ROUND_HALF_EVEN))


def _maybe(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _when(moment: dt.datetime | None) -> str | None:
    return None if moment is None else text_of(moment)


def order_json(order: Order, *, status: str | None = None) -> dict[str, Any]:
    """One order; `status` overrides what is stored, for the moment before it is working."""
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": text_of(order.created_at),
        "updated_at": text_of(order.updated_at),
        "submitted_at": text_of(order.created_at),
        "filled_at": _when(order.filled_at),
        "expired_at": _when(order.expired_at),
        "expires_at": _when(order.expires_at),
        "canceled_at": _when(order.canceled_at),
        "failed_at": None,
        "replaced_at": _when(order.replaced_at),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset_id(order.symbol),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": _maybe(order.notional),
        "qty": None if order.notional is not None else _maybe(order.qty),
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": _maybe(order.average_price),
        "order_class": "",
        "order_type": order.type,
        "type": order.type,
        "side": order.side,
        "position_intent": order.position_intent,
        "time_in_force": order.time_in_force,
        "limit_price": _maybe(order.limit_price),
        "stop_price": _maybe(order.stop_price),
        "status": status or order.status,
        "extended_hours": order.extended_hours,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "source": None,
    }


def event_json(
    event: str,
    order: dict[str, Any],
    *,
    moment: dt.datetime,
    execution: Execution | None = None,
    execution_id: str | None,
) -> dict[str, Any]:
    """One message of the `trade_updates` stream."""
    data: dict[str, Any] = {
        "event": event,
        "execution_id": execution_id,
        "order": order,
        "timestamp": text_of(moment),
    }
    if execution is not None:
        data |= {
            "price": plain(execution.price),
            "qty": plain(execution.qty),
            "position_qty": plain(execution.position_qty),
        }
    return {"stream": "trade_updates", "data": data}


def activity_id(execution: Execution) -> str:
    """The id of a fill in the activities: its moment to the millisecond, then the execution id."""
    return f"{execution.happened:%Y%m%d%H%M%S}{execution.happened.microsecond // 1000:03d}::{execution.id}"


def activity_json(execution: Execution) -> dict[str, Any]:
    """One fill as the account activities tell it."""
    return {
        "id": activity_id(execution),
        "activity_type": "FILL",
        "transaction_time": text_of(execution.happened),
        "type": "partial_fill" if execution.left else "fill",
        "price": plain(execution.price),
        "qty": plain(execution.qty),
        "side": execution.side,
        "symbol": execution.symbol,
        "leaves_qty": plain(execution.left),
        "order_id": execution.order_id,
        "cum_qty": plain(execution.cumulative),
        "order_status": "partially_filled" if execution.left else "filled",
    }


def position_json(
    position: Position, *, mark: Decimal, before: Decimal, opened: tuple[Decimal, Decimal], held: Decimal
) -> dict[str, Any]:
    """One position.

    Args:
        mark: newest price.
        before: close of the session before.
        opened: (shares, cost) of the position that came in since that close, for the intraday numbers.
        held: shares that open closing orders hold.
    """
    cost = position.qty * position.average_entry
    value = position.qty * mark
    gain = value - cost
    new_shares, new_cost = opened
    intraday = value - ((position.qty - new_shares) * before + new_cost)
    intraday_base = abs((position.qty - new_shares) * before + new_cost)
    return {
        "asset_id": asset_id(position.symbol),
        "symbol": position.symbol,
        "exchange": "NYSE",
        "asset_class": "us_equity",
        "asset_marginable": True,
        "avg_entry_price": plain(position.average_entry),
        "qty": plain(position.qty),
        "qty_available": plain(position.qty - held if position.qty > 0 else position.qty + held),
        "side": "long" if position.qty > 0 else "short",
        "market_value": plain(value.quantize(PRICE_STEP)),
        "cost_basis": plain(cost.quantize(PRICE_STEP)),
        "unrealized_pl": plain(gain.quantize(PRICE_STEP)),
        "unrealized_plpc": _ratio(gain, abs(cost)),
        "unrealized_intraday_pl": plain(intraday.quantize(PRICE_STEP)),
        "unrealized_intraday_plpc": _ratio(intraday, intraday_base),
        "current_price": plain(mark),
        "lastday_price": plain(before),
        "change_today": _ratio(mark - before, before),
    }


def _ratio(part: Decimal, whole: Decimal) -> str:
    return plain((part / whole).quantize(PRICE_STEP)) if whole else "0"


def account_json(
    account: Account,
    *,
    long_value: Decimal,
    short_value: Decimal,
    buying_power: Decimal,
    last_equity: Decimal,
    rates: tuple[Decimal, Decimal],
) -> dict[str, Any]:
    """One account, without the pattern-day-trader fields, which Alpaca removed.

    `rates`: (initial, maintenance) margin per currency unit of position.
    """
    equity = account.cash + long_value + short_value
    gross = long_value - short_value
    overnight = max(ZERO, 2 * equity - gross)
    return {
        "id": account.id,
        "account_number": account.account_number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "cash": money(account.cash),
        "portfolio_value": money(equity),
        "equity": money(equity),
        "last_equity": money(last_equity),
        "long_market_value": money(long_value),
        "short_market_value": money(short_value),
        "buying_power": money(buying_power),
        "regt_buying_power": money(min(buying_power, overnight)),
        "non_marginable_buying_power": money(max(ZERO, min(account.cash, buying_power))),
        "initial_margin": money(gross * rates[0]),
        "maintenance_margin": money(gross * rates[1]),
        "multiplier": plain(account.multiplier),
        "shorting_enabled": account.shorting and not account.configurations["no_shorting"],
        "accrued_fees": "0",
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": bool(account.configurations["suspend_trade"]),
        "created_at": text_of(account.opened_at),
    }


def asset_json(symbol: str, *, tradable: bool) -> dict[str, Any]:
    """One asset."""
    return {
        "id": asset_id(symbol),
        "class": "us_equity",
        "exchange": "NYSE",
        "symbol": symbol,
        "name": symbol,
        "status": "active",
        "tradable": tradable,
        "marginable": True,
        "shortable": True,
        "easy_to_borrow": True,
        "fractionable": True,
        "attributes": [],
    }


def _number(value: Decimal | None) -> float | str:
    return ABSENT if value is None else float(value)


def bar_json(bar: Bar) -> dict[str, Any]:
    """One daily bar; fields the source does not have are `ABSENT`."""
    return {
        "t": f"{day_start(bar.date):%Y-%m-%dT%H:%M:%SZ}",
        "o": _number(bar.open),
        "h": _number(bar.high),
        "l": _number(bar.low),
        "c": _number(bar.close),
        "v": _number(bar.volume),
        "n": None,
        "vw": None,
    }


def trade_json(seen: Print) -> dict[str, Any]:
    """The newest print; its size is not known."""
    return {"t": text_of(seen.moment), "p": float(seen.price), "s": ABSENT, "x": "V"}


def quote_json(seen: Print, *, slippage: Decimal) -> dict[str, Any]:
    """The quote the matching stands for: the newest print ∓ the slippage, of unknown size."""
    return {
        "t": text_of(seen.moment),
        "bp": float((seen.price * (1 - slippage)).quantize(PRICE_STEP)),
        "bs": ABSENT,
        "bx": "V",
        "ap": float((seen.price * (1 + slippage)).quantize(PRICE_STEP)),
        "as": ABSENT,
        "ax": "V",
    }
