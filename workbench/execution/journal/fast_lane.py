"""The plain case of sending an order, in few statements; whatever is not plain is left to the long way.

Loading whole rows and letting the unit of work find out what changed costs more than the disk does. An order that was
written, may leave, and is simply accepted needs none of it. Both functions run in the caller's transaction, touch
nothing when they decline, and otherwise leave behind exactly what the long way would.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select, update

from workbench import events
from workbench.errors import VersionConflict
from workbench.execution.brokers.replies import without_secrets
from workbench.execution.journal.applied import Applied
from workbench.execution.journal.forward import LIVE
from workbench.execution.risk import trading_state
from workbench.execution.risk.limits import ACCOUNT
from workbench.market.order import IntentState
from workbench.market.trading_state import TradingState
from workbench.store import audit
from workbench.store.event_log import publish
from workbench.store.schema import utc_now
from workbench.store.tables.execution import HaltRow, IntentRow, OutboxRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.brokers.broker import BrokerOrder
    from workbench.execution.journal.intent import Intent

_S = IntentState
_INTENT: Any = IntentRow.__table__
_OUTBOX: Any = OutboxRow.__table__
_HALT: Any = HaltRow.__table__
_HALTS = (
    select(func.count(_HALT.c.id))
    .where(_HALT.c.account == _INTENT.c.account, _HALT.c.cleared_at.is_(None))
    .where((_HALT.c.symbol == ACCOUNT) | (_HALT.c.symbol == _INTENT.c.symbol))
    .correlate(_INTENT)
    .scalar_subquery()
)
_BEFORE_SENDING = (
    select(
        _OUTBOX.c.done_at,
        _INTENT.c.state,
        _INTENT.c.attempt,
        _INTENT.c.cancel_asked_at,
        _INTENT.c.deadline,
        _INTENT.c.version,
        _HALTS.label("halts"),
    )
    .join_from(_OUTBOX, _INTENT, _INTENT.c.id == _OUTBOX.c.intent_id)
    .where(_OUTBOX.c.id == bindparam("outbox"))
    .with_for_update(of=_INTENT)
)
_BEFORE_ACK = (
    select(
        _OUTBOX.c.done_at,
        _INTENT.c.state,
        _INTENT.c.broker_order_id,
        _INTENT.c.filled_qty,
        _INTENT.c.version,
    )
    .join_from(_OUTBOX, _INTENT, _INTENT.c.id == _OUTBOX.c.intent_id)
    .where(_OUTBOX.c.id == bindparam("outbox"))
    .with_for_update(of=_INTENT)
)


def _change(table: Any, *columns: str) -> Any:
    """A statement that sets columns of one row."""
    return update(table).where(table.c.id == bindparam("its_id")).values({name: bindparam(name) for name in columns})


_SENDING = _change(_INTENT, "state", "attempt", "sent_at", "updated_at", "version").where(
    _INTENT.c.version == bindparam("was")
)
_ACKED = _change(
    _INTENT,
    "state",
    "broker_order_id",
    "broker_status",
    "broker_updated_at",
    "avg_price",
    "reply",
    "updated_at",
    "version",
).where(_INTENT.c.version == bindparam("was"))
_CLAIMED = _change(_OUTBOX, "claimed_token", "tries")
_DONE = _change(_OUTBOX, "done_at")


def claim_plain(
    opened: Session, account: str, *, outbox_id: str, intent: Intent, token: int, now: dt.datetime
) -> Intent | None:
    """Commit an unsent intent to being sent: SENDING, its work claimed. None: not the plain case, nothing was touched.

    Args:
        intent: the intent as it was read; what is sent of it never changes after it was written.
    """
    found = opened.execute(_BEFORE_SENDING, {"outbox": outbox_id}).one()
    unwanted = found.cancel_asked_at is not None or (found.deadline is not None and now > found.deadline)
    if found.done_at is not None or found.state != _S.INTENT or found.halts or unwanted:
        return None
    if trading_state.standing(opened, account) is not TradingState.ACTIVE:
        return None
    attempt = found.attempt + 1
    row: dict[str, Any] = {"its_id": intent.id, "state": _S.SENDING.value, "attempt": attempt, "sent_at": now}
    _write(opened, _SENDING, {**row, "updated_at": utc_now(), "version": found.version + 1, "was": found.version})
    opened.execute(_CLAIMED, {"its_id": outbox_id, "claimed_token": token, "tries": 0})
    after = {"state": _S.SENDING.value, "attempt": attempt, "fencing": token}
    _audit(opened, intent.id, _S.INTENT, after)
    return dataclasses.replace(intent, state=_S.SENDING, attempt=attempt, sent_at=now)


def ack_plain(
    opened: Session, account: str, *, outbox_id: str, intent: Intent, order: BrokerOrder, now: dt.datetime
) -> Applied | None:
    """Book the reply that the broker has an order which works and has not filled. None: not the plain case."""
    plain = order.status in LIVE and not order.filled_qty and not order.legs and intent.replaces_id is None
    if not plain or order.client_order_id != intent.client_order_id:
        return None
    found = opened.execute(_BEFORE_ACK, {"outbox": outbox_id}).one()
    if found.done_at is not None or found.state != _S.SENDING or found.broker_order_id is not None or found.filled_qty:
        return None
    row: dict[str, Any] = {
        "its_id": intent.id,
        "state": _S.ACKED.value,
        "broker_order_id": order.id,
        "avg_price": order.avg_price,
    }
    row |= {"broker_status": order.status[:32], "broker_updated_at": order.updated_at}
    row |= {"reply": without_secrets(order.raw), "updated_at": utc_now()}
    _write(opened, _ACKED, {**row, "version": found.version + 1, "was": found.version})
    opened.execute(_DONE, {"its_id": outbox_id, "done_at": now})
    _audit(opened, intent.id, _S.SENDING, {"state": _S.ACKED.value})
    whose = {"account": account, "symbol": intent.symbol, "bot": intent.bot}
    whose |= {"intent_id": intent.id, "client_order_id": intent.client_order_id}
    publish(opened, events.OrderAcked(**whose, broker_order_id=order.id))
    return Applied(intent.id, _S.ACKED, changed=True)


def _write(opened: Session, statement: Any, row: dict[str, Any]) -> None:
    done: Any = opened.execute(statement, row)
    if done.rowcount != 1:
        raise VersionConflict(
            f"intent {row['its_id']} was changed by somebody else meanwhile; nothing was changed.",
            remedy="the next pass reads it anew.",
        )


def _audit(opened: Session, intent_id: str, before: IntentState, after: dict[str, Any]) -> None:
    to = str(after["state"])
    assert before.may_become(IntentState(to)), "only steps of market.order.STEPS are written here"
    audit.record(opened, entity="intent", entity_id=intent_id, action=to, before={"state": before.value}, after=after)
