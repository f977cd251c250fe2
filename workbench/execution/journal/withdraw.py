"""Withdrawing: a bot wishes its orders away, as long as the account keeps to its cancels per minute."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import func, select

from workbench.execution.journal.intent import Intent
from workbench.execution.journal.transitions import ask_cancel, load
from workbench.execution.risk.limits import Limits, RefusalCode
from workbench.execution.risk.refusal import Refusal, refuse
from workbench.execution.risk.refusals import store_refusals
from workbench.market.order import IntentState, OrderWish
from workbench.store.engine import transaction
from workbench.store.tables.execution import IntentRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.execution.journal.journal import Journal


@dataclass(frozen=True)
class Withdrawn:
    """What came of wishing orders away: the intents as they are now, and the refusals by code and message."""

    asked: tuple[Intent, ...]
    refusals: tuple[dict[str, Any], ...]


def withdraw(
    journal: Journal,
    intents: Iterable[Intent],
    *,
    bot: str,
    session: Any,
    limits: Limits | None = None,
    generation: int = 0,
) -> Withdrawn:
    """Wish orders of a bot away, as long as the account keeps to its cancels per minute; the rest is refused, recorded.

    The first that fit are asked for, in the given order. What has ended, or is wished away already, counts for nothing.
    The kill switch does not come this way: nothing bounds it.
    """
    limits, day, wanted = limits or Limits(), pd.Timestamp(session).date(), list(intents)
    most = limits.max_cancels_per_minute
    asked: list[Intent] = []
    refused: list[Refusal] = []
    with transaction(journal.engine) as opened:
        journal.lock(opened)
        since = journal.clock() - dt.timedelta(seconds=60)
        counted = select(func.count()).where(IntentRow.account == journal.account, IntentRow.cancel_asked_at > since)
        number = opened.scalar(counted) or 0
        for intent in wanted:
            row = load(opened, intent.id)
            if not IntentState(row.state).is_end and row.cancel_asked_at is None:
                number += 1
                if most is not None and number > most:
                    message = f"it would be cancel {number} within a minute; at most {most} are allowed"
                    facts = {"cancels": number, "max": most, "client_order_id": row.client_order_id}
                    wish = OrderWish(intent.symbol, intent.side, intent.qty, reference_price=intent.reference_price)
                    refused.append(
                        refuse(wish, RefusalCode.CANCELS_PER_MINUTE, message, "max_cancels_per_minute", **facts)
                    )
                    continue
                ask_cancel(opened, row, at=journal.clock(), note=f"withdrawn by {bot}")
            asked.append(Intent.of(row))
        named: dict[str, Any] = {"account": journal.account, "bot": bot, "session": day, "generation": generation}
        store_refusals(opened, refused, **named)
    return Withdrawn(tuple(asked), tuple({"code": one.code.value, "message": one.message} for one in refused))
