"""Alpaca's JSON shapes: orders, positions, accounts, market data and refusals as they look on the wire."""

from __future__ import annotations

import functools
import uuid
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from workbench.exchange.clock import text_of
from workbench.exchange.state.order import PRICE_STEP, ZERO

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from workbench.exchange.state.records import Account, Activity, Execution, Order, Position, SymbolFacts, Worth

_NAMES = uuid.UUID("6f1d3a52-0a57-5b8e-9a55-3f0f1f1e7c11")


class Refusal(Exception):
    """The exchange says no: an HTTP status with Alpaca's error body."""

    def __init__(self, status: int, code: int | None, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = ({} if code is None else {"code": code}) | {"message": message} | facts


@functools.lru_cache(maxsize=16_384)
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


def order_json(order: Order, *, status: str | None = None, legs: Iterable[Order] | None = None) -> dict[str, Any]:
    """One order; `status` overrides what is stored, for the moment before it is working; `legs` came with it."""
    several = order.order_class == "mleg" and not order.role
    kind = "" if order.role == "leg" else order.type
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
        "failed_at": _when(order.failed_at),
        "replaced_at": _when(order.replaced_at),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": "" if several else asset_id(order.symbol),
        "symbol": order.symbol,
        "asset_class": "" if several else order.asset_class,
        "notional": _maybe(order.notional),
        "qty": None if order.notional is not None else _maybe(order.qty),
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": _maybe(order.average_price),
        "order_class": order.order_class,
        "order_type": kind,
        "type": kind,
        "side": order.side,
        "position_intent": order.position_intent,
        "time_in_force": order.time_in_force,
        "limit_price": _maybe(order.limit_price),
        "stop_price": _maybe(order.stop_price),
        "status": status or order.status,
        "extended_hours": order.extended_hours,
        "legs": None if legs is None else [order_json(leg) for leg in legs],
        "trail_percent": _maybe(order.trail_percent),
        "trail_price": _maybe(order.trail_price),
        "hwm": _maybe(order.hwm),
        "ratio_qty": _maybe(order.ratio_qty),
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


def activity_id(one: Execution | Activity) -> str:
    """The id of an activity: its moment to the millisecond, then the id of the execution or of the activity itself."""
    return f"{one.happened:%Y%m%d%H%M%S}{one.happened.microsecond // 1000:03d}::{one.id}"


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


def other_activity_json(activity: Activity) -> dict[str, Any]:
    """An activity that is no fill."""
    return {
        "id": activity_id(activity),
        "activity_type": activity.kind,
        "date": activity.happened.date().isoformat(),
        "net_amount": plain(activity.net_amount),
        "symbol": activity.symbol,
        "qty": _maybe(activity.qty),
        "price": _maybe(activity.price),
        "description": activity.description,
        "status": "executed",
        "created_at": text_of(activity.happened),
    }


def position_json(
    position: Position,
    *,
    mark: Decimal,
    before: Decimal,
    opened: tuple[Decimal, Decimal],
    held: Decimal,
    multiplier: Decimal = Decimal(1),
) -> dict[str, Any]:
    """One position.

    Args:
        mark: newest price.
        before: close of the session before.
        opened: (shares, cost) of the position that came in since that close, for the intraday numbers.
        held: shares that open closing orders hold.
        multiplier: shares per unit of quantity: 100 for options.
    """
    option = multiplier != 1
    cost = position.qty * position.average_entry * multiplier
    value = position.qty * mark * multiplier
    gain = value - cost
    new_shares, new_cost = opened
    base = ((position.qty - new_shares) * before + new_cost) * multiplier
    intraday, intraday_base = value - base, abs(base)
    return {
        "asset_id": asset_id(position.symbol),
        "symbol": position.symbol,
        "exchange": "" if option else "NYSE",
        "asset_class": "us_option" if option else "us_equity",
        "asset_marginable": not option,
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


def account_json(account: Account, worth: Worth, *, last_equity: Decimal, day_trades: int | None) -> dict[str, Any]:
    """One account. The pattern-day-trader fields, which Alpaca removed, are there only where `day_trades` is given."""
    gross = worth.long_value - worth.short_value
    overnight = max(ZERO, 2 * worth.equity - gross)
    pattern: dict[str, Any] = {}
    rule = account.rules.day_trades
    if rule is not None and day_trades is not None:
        pattern = {
            "pattern_day_trader": day_trades > rule.allowed,
            "daytrade_count": day_trades,
            "daytrading_buying_power": money(worth.buying_power if worth.equity >= rule.equity else ZERO),
        }
    level = account.configurations.get("max_options_trading_level")
    approved = account.rules.options_level
    return {
        "id": account.id,
        "account_number": account.account_number,
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "cash": money(account.cash),
        "portfolio_value": money(worth.equity),
        "equity": money(worth.equity),
        "last_equity": money(last_equity),
        "long_market_value": money(worth.long_value),
        "short_market_value": money(worth.short_value),
        "buying_power": money(worth.buying_power),
        "regt_buying_power": money(min(worth.buying_power, overnight)),
        "non_marginable_buying_power": money(max(ZERO, min(account.cash, worth.buying_power))),
        "options_buying_power": money(worth.options_buying_power),
        "options_approved_level": approved,
        "options_trading_level": approved if level is None else min(approved, level),
        "initial_margin": money(gross / account.multiplier),
        "maintenance_margin": money(gross * account.rules.maintenance + worth.required),
        "multiplier": plain(account.multiplier),
        "shorting_enabled": account.shorting and not account.configurations["no_shorting"],
        "accrued_fees": "0",
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": bool(account.configurations["suspend_trade"]),
        "created_at": text_of(account.opened_at),
    } | pattern


def asset_json(symbol: str, *, tradable: bool, facts: SymbolFacts) -> dict[str, Any]:
    """One asset; a halted one is not tradable."""
    return {
        "id": asset_id(symbol),
        "class": "us_equity",
        "exchange": "NYSE",
        "symbol": symbol,
        "name": symbol,
        "status": "active",
        "tradable": tradable and not facts.halted,
        "marginable": True,
        "shortable": facts.shortable,
        "easy_to_borrow": facts.easy_to_borrow,
        "fractionable": facts.fractionable,
        "attributes": [],
    }
