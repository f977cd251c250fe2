"""Rows of the ledger: orders, there and back, fills and activities. Numbers and moments are text, flags 0 and 1."""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from workbench.exchange.clock import moment_of
from workbench.exchange.state.order import Order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.exchange.state.records import Activity, Execution

COLUMNS = [field.name for field in dataclasses.fields(Order)]
_FIXED = (
    "id",
    "number",
    "client_order_id",
    "symbol",
    "side",
    "type",
    "time_in_force",
    "notional",
    "created_at",
    "extended_hours",
    "position_intent",
    "replaces",
    "asset_class",
    "order_class",
    "role",
    "trail_price",
    "trail_percent",
    "ratio_qty",
)
_CHANGING = (
    "qty",
    "limit_price",
    "stop_price",
    "status",
    "updated_at",
    "expires_at",
    "opening",
    "reserve_price",
    "filled_qty",
    "filled_cost",
    "triggered",
    "filled_at",
    "expired_at",
    "canceled_at",
    "replaced_at",
    "replaced_by",
    "active_from",
    "parent_id",
    "oco",
    "hwm",
    "hold_qty",
    "settles_at",
    "failed_at",
)
_DECIMALS = frozenset(
    {
        "qty",
        "notional",
        "limit_price",
        "stop_price",
        "reserve_price",
        "filled_qty",
        "filled_cost",
        "trail_price",
        "trail_percent",
        "hwm",
        "ratio_qty",
        "hold_qty",
    }
)
_MOMENTS = frozenset(
    {
        "created_at",
        "updated_at",
        "expires_at",
        "filled_at",
        "expired_at",
        "canceled_at",
        "replaced_at",
        "active_from",
        "settles_at",
        "failed_at",
    }
)
_FLAGS = frozenset({"opening", "triggered", "extended_hours"})

INSERT = (
    f"INSERT INTO orders (account_id, {', '.join(_FIXED + _CHANGING)}) "  # noqa: S608 - own names
    f"VALUES (?{', ?' * len(_FIXED + _CHANGING)})"
)
UPDATE = f"UPDATE orders SET {', '.join(f'{name}=?' for name in _CHANGING)} WHERE id=?"  # noqa: S608 - own names
SELECT = f"SELECT {', '.join(COLUMNS)} FROM orders"  # noqa: S608 - own names


def new_row(account_id: str, order: Order) -> tuple[Any, ...]:
    """The values of `INSERT`."""
    return (
        account_id,
        order.id,
        order.number,
        order.client_order_id,
        order.symbol,
        order.side,
        order.type,
        order.time_in_force,
        _exact(order.notional),
        _text(order.created_at),
        order.extended_hours,
        order.position_intent,
        order.replaces,
        order.asset_class,
        order.order_class,
        order.role,
        _exact(order.trail_price),
        _exact(order.trail_percent),
        _exact(order.ratio_qty),
        *_changing(order),
    )


def changed_row(order: Order) -> tuple[Any, ...]:
    """The values of `UPDATE`."""
    return (*_changing(order), order.id)


def order_of(row: Sequence[Any]) -> Order:
    """The order of a row of `SELECT`."""
    read: dict[str, Any] = {}
    for name, value in zip(COLUMNS, row, strict=True):
        if value is None:
            read[name] = None
        elif name in _DECIMALS:
            read[name] = Decimal(value)
        elif name in _MOMENTS:
            read[name] = moment_of(value)
        elif name in _FLAGS:
            read[name] = bool(value)
        else:
            read[name] = value
    return Order(**read)


def execution_row(account_id: str, execution: Execution) -> tuple[Any, ...]:
    """A fill as the ledger keeps it."""
    return (
        execution.id,
        account_id,
        execution.order_id,
        execution.symbol,
        execution.side,
        str(execution.qty),
        str(execution.price),
        _text(execution.happened),
        str(execution.cumulative),
        str(execution.left),
        str(execution.position_qty),
    )


def activity_row(account_id: str, activity: Activity) -> tuple[Any, ...]:
    """An activity as the ledger keeps it."""
    return (
        activity.id,
        account_id,
        activity.kind,
        _text(activity.happened),
        str(activity.net_amount),
        activity.symbol,
        None if activity.qty is None else str(activity.qty),
        None if activity.price is None else str(activity.price),
        activity.description,
    )


def _changing(order: Order) -> tuple[Any, ...]:
    return (
        _exact(order.qty),
        _exact(order.limit_price),
        _exact(order.stop_price),
        order.status,
        _text(order.updated_at),
        _text(order.expires_at),
        order.opening,
        str(order.reserve_price),
        str(order.filled_qty),
        str(order.filled_cost),
        order.triggered,
        _text(order.filled_at),
        _text(order.expired_at),
        _text(order.canceled_at),
        _text(order.replaced_at),
        order.replaced_by,
        _text(order.active_from),
        order.parent_id,
        order.oco,
        _exact(order.hwm),
        _exact(order.hold_qty),
        _text(order.settles_at),
        _text(order.failed_at),
    )


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _text(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="microseconds")[:26] + "Z"
