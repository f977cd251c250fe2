"""Replacing an order: a new intent, written down first, that is to take the place of another one at the broker."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from workbench.errors import ExecutionError, ParameterError
from workbench.execution.journal.legs import replacement_leg
from workbench.execution.journal.transitions import step
from workbench.execution.journal.writing import Author, add, intent_of, new_row, shared
from workbench.market.order import IntentState, OrderType
from workbench.store import audit
from workbench.store.tables.execution import IntentRow, OutboxRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.journal.intent import Intent

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


@dataclass(frozen=True, slots=True)
class Replacing:
    """An order that is to be replaced, and what would take its place; nothing is written yet.

    Attributes:
        row: the order; `working`: the one whose place is taken at the broker, which is `row` unless that was never sent
            and was itself to replace another.
        changes: the columns that change, with their new values.
        total: the wished total, what `working` has filled included.
    """

    row: IntentRow
    working: IntentRow
    changes: dict[str, Decimal]
    total: Decimal

    @property
    def unsent(self) -> bool:
        """Whether the order was never sent, so that it ends here and now."""
        return self.row.state == IntentState.INTENT

    @property
    def rest(self) -> Decimal:
        """The most that the new order can still bring: the broker takes what has filled off the total."""
        return self.total - self.working.filled_qty

    @property
    def leg(self) -> int:
        """The `leg` of the new order."""
        return replacement_leg(self.row.leg)


def wished(
    opened: Session,
    row: IntentRow,
    *,
    qty: Decimal | None = None,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    trail: Decimal | None = None,
) -> Replacing:
    """What would take the place of `row`, in the open transaction; nothing is written, and no limit is looked at.

    What is None stays as it is; `trail` is currency or percent, whichever the order has. `qty` is the total: what has
    filled already counts, and the new order gets the rest. A number that is none is not refused here but by the risk
    check, which stores it.

    Raises:
        ExecutionError: `row` is not live at the broker as far as is known, it was wished away, or another order is
            taking its place already.
        ParameterError: nothing would change, the total is no whole number, or it has been filled already.
    """
    _may_be_replaced(opened, row)
    older = opened.get(IntentRow, row.replaces_id) if row.state == IntentState.INTENT and row.replaces_id else None
    distance = "trail_price" if row.trail_percent is None else "trail_percent"
    asked = {"qty": qty, "limit_price": limit_price, "stop_price": stop_price, distance: trail}
    changes = {name: value for name, value in asked.items() if value is not None and value != getattr(row, name)}
    found = Replacing(row, older or row, changes, changes.get("qty", row.qty))
    _check(found)
    return found


def write_replacement(opened: Session, found: Replacing, *, at: dt.datetime) -> Intent:
    """Write down that another order shall take the place of one, with its work, in the open transaction.

    Until the broker has answered, the new intent has the whole total, so that risk counts too much rather than too
    little. An intent that was never sent is cancelled here and now, and the new one goes out in its stead: as an order,
    or as the replacement that the old one was to be. Whoever calls this has held it against the limits: see
    `replacement.replace_in`.
    """
    row = found.row
    author = Author(
        account=row.account,
        bot=row.bot,
        session=dt.date.fromisoformat(row.session),
        generation=next_generation(opened, row, found.leg),
        deadline=row.deadline,
        algo_id=row.algo_id,
    )
    same = {name: getattr(row, name) for name in _SAME}
    new = new_row(author, shared(author), leg=found.leg, columns={**same, **found.changes})
    replaces_working = not found.unsent or found.working is not row
    new |= {"replaces_id": found.working.id if replaces_working else row.id, "trace_id": row.trace_id}
    if found.unsent:
        step(opened, row, IntentState.CANCELED, note="replaced before it was sent")
        row.cancel_asked_at = row.cancel_asked_at or at
        for out in opened.scalars(select(OutboxRow).where(OutboxRow.intent_id == row.id)):
            out.done_at = out.done_at or at
    opened.flush()
    add(opened, row.account, [new], kind="replace" if replaces_working else "submit")
    after = {"by": new["id"], **{name: str(value) for name, value in found.changes.items()}}
    audit.record(opened, entity="intent", entity_id=row.id, action="replace asked", after=after)
    return intent_of(new)


def _may_be_replaced(opened: Session, row: IntentRow) -> None:
    unsent, wrong = row.state == IntentState.INTENT, ""
    if row.cancel_asked_at is not None:
        wrong = "it was wished away"
    elif not unsent and (row.state not in _LIVE or row.broker_order_id is None):
        wrong = f"it is {row.state}, and only an order that is live at the broker can be replaced"
    elif row.option_legs is not None and not unsent:
        wrong = "it is a multi-leg order; cancel it and wish it anew"
    elif row.type not in {kind.value for kind in OrderType}:
        wrong = f"what a {row.type!r} order may become is not known; cancel it and wish it anew"
    else:
        others = opened.scalars(select(IntentRow).where(IntentRow.replaces_id == row.id))
        taken = next((one for one in others if not _came_to_nothing(one)), None)
        wrong = f"{taken.client_order_id} is taking its place already ({taken.state})" if taken is not None else ""
    if wrong:
        raise ExecutionError(
            f"{row.client_order_id} cannot be replaced: {wrong}. Nothing was written.",
            remedy="look at the intent again when the broker has answered.",
            intent=row.id,
        )


def _came_to_nothing(newer: IntentRow) -> bool:
    """Whether a replacement was refused, or withdrawn before the broker ever had it."""
    return newer.state == IntentState.REJECTED or (IntentState(newer.state).is_end and newer.broker_order_id is None)


def _check(found: Replacing) -> None:
    row, total = found.row, found.total
    if not found.changes:
        raise ParameterError(
            f"a replacement of {row.client_order_id} would change nothing; nothing was written.",
            remedy="name another quantity or price.",
        )
    for name in found.changes:
        if getattr(row, name) is None:
            raise ParameterError(f"a {row.type} order has no {name}; nothing was written.")
    if not total.is_finite() or total <= 0:
        return  # the risk check refuses it, with a row
    if total != total.to_integral_value():
        raise ParameterError(
            f"qty={total} is not a whole number; the broker replaces whole shares only. Nothing was written.",
            remedy="cancel the order and wish a new one.",
        )
    if total <= found.working.filled_qty:
        raise ParameterError(
            f"qty={total} must be above the {found.working.filled_qty} that have filled; nothing was written.",
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
