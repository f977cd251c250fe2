"""Replacing an order: a new intent, written down first, that is to take the place of another one at the broker."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from workbench.errors import ExecutionError, ParameterError
from workbench.execution.legs import replacement_leg
from workbench.execution.transitions import step
from workbench.execution.writing import Author, add, intent_of, new_row, shared
from workbench.market.order import IntentState
from workbench.store import audit
from workbench.store.tables.execution import IntentRow, OutboxRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.intent import Intent

_LIVE = (IntentState.ACKED, IntentState.PARTIALLY_FILLED)
_SAME = (
    "symbol",
    "side",
    "qty",
    "type",
    "time_in_force",
    "limit_price",
    "stop_price",
    "reference_price",
    "reason",
    "order_class",
    "trail_price",
    "trail_percent",
    "take_profit_price",
    "stop_loss_price",
    "stop_loss_limit_price",
    "extended_hours",
    "position_intent",
    "option_legs",
    "parent_id",
    "role",
    "decision_id",
)


def ask_replace(
    opened: Session,
    row: IntentRow,
    *,
    at: dt.datetime,
    qty: Decimal | None = None,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    trail: Decimal | None = None,
) -> Intent:
    """Write down that another order shall take the place of `row`, with its work, in the open transaction.

    What is None stays as it is; `trail` is currency or percent, whichever the order has. `qty` is the total: what `row`
    has filled already counts, and the new order gets the rest. Until the broker has answered, the new intent has the
    whole total, so that risk counts too much rather than too little. An intent that was never sent is cancelled here
    and now, and the new one is sent as an order.

    Raises:
        ExecutionError: `row` is not live at the broker as far as is known, it was wished away, or another order is
            taking its place already.
        ParameterError: nothing would change, the total is no whole number, or it has been filled already.
    """
    unsent = row.state == IntentState.INTENT
    _may_be_replaced(opened, row, unsent=unsent)
    distance = "trail_price" if row.trail_percent is None else "trail_percent"
    asked = {"qty": qty, "limit_price": limit_price, "stop_price": stop_price, distance: trail}
    changes = {name: value for name, value in asked.items() if value is not None and value != getattr(row, name)}
    _check(row, changes)
    leg = replacement_leg(row.leg)
    author = Author(
        account=row.account,
        bot=row.bot,
        session=dt.date.fromisoformat(row.session),
        generation=next_generation(opened, row, leg),
        deadline=row.deadline,
        algo_id=row.algo_id,
    )
    same = {name: getattr(row, name) for name in _SAME}
    new = new_row(author, shared(author), leg=leg, columns={**same, **changes})
    new |= {"replaces_id": row.id, "trace_id": row.trace_id}
    if unsent:
        step(opened, row, IntentState.CANCELED, note="replaced before it was sent")
        row.cancel_asked_at = row.cancel_asked_at or at
        for out in opened.scalars(select(OutboxRow).where(OutboxRow.intent_id == row.id)):
            out.done_at = out.done_at or at
    opened.flush()
    add(opened, row.account, [new], kind="submit" if unsent else "replace")
    after = {"by": new["id"], **{name: str(value) for name, value in changes.items()}}
    audit.record(opened, entity="intent", entity_id=row.id, action="replace asked", after=after)
    return intent_of(new)


def _may_be_replaced(opened: Session, row: IntentRow, *, unsent: bool) -> None:
    wrong = ""
    if row.cancel_asked_at is not None:
        wrong = "it was wished away"
    elif not unsent and (row.state not in _LIVE or row.broker_order_id is None):
        wrong = f"it is {row.state}, and only an order that is live at the broker can be replaced"
    elif row.option_legs is not None and not unsent:
        wrong = "it is a multi-leg order; cancel it and wish it anew"
    else:
        others = opened.scalars(select(IntentRow).where(IntentRow.replaces_id == row.id))
        taken = next((one for one in others if one.state != IntentState.REJECTED), None)
        wrong = f"{taken.client_order_id} is taking its place already ({taken.state})" if taken is not None else ""
    if wrong:
        raise ExecutionError(
            f"{row.client_order_id} cannot be replaced: {wrong}. Nothing was written.",
            remedy="look at the intent again when the broker has answered.",
            intent=row.id,
        )


def _check(row: IntentRow, changes: dict[str, Decimal]) -> None:
    if not changes:
        raise ParameterError(
            f"a replacement of {row.client_order_id} would change nothing; nothing was written.",
            remedy="name another quantity or price.",
        )
    for name, value in changes.items():
        if not value.is_finite() or (value <= 0 and not (name == "limit_price" and row.option_legs)):
            raise ParameterError(f"{name}={value} must be a finite number > 0; nothing was written.")
        if getattr(row, name) is None:
            raise ParameterError(f"a {row.type} order has no {name}; nothing was written.")
    total = changes.get("qty", row.qty)
    if total != total.to_integral_value():
        raise ParameterError(
            f"qty={total} is not a whole number; the broker replaces whole shares only. Nothing was written.",
            remedy="cancel the order and wish a new one.",
        )
    if total <= row.filled_qty:
        raise ParameterError(
            f"qty={total} must be above the {row.filled_qty} that have filled; nothing was written.",
            remedy="cancel the order: what is wished has been reached.",
        )


def next_generation(opened: Session, row: IntentRow, leg: int) -> int:
    """One above this order's, and above that of every earlier replacement in the same place."""
    newest = opened.scalar(
        select(func.max(IntentRow.generation)).where(
            IntentRow.account == row.account,
            IntentRow.bot == row.bot,
            IntentRow.session == row.session,
            IntentRow.symbol == row.symbol,
            IntentRow.leg == leg,
        )
    )
    return max(row.generation, newest if newest is not None else 0) + 1
