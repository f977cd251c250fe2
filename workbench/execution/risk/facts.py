"""Facts of a risk check: what the database knows beside the book, read only where a limit asks for it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from workbench.execution.risk import marks, trading_state
from workbench.execution.risk.halts import halted
from workbench.execution.risk.limits import Limits, SessionFacts
from workbench.market.order import Side
from workbench.store.tables.execution import FillRow, IntentRow, ReconciliationRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from workbench.market.hours import Phase

_MINUTE = dt.timedelta(seconds=60)


def gather(
    opened: Session,
    account: str,
    *,
    bot: str,
    session: dt.date,
    limits: Limits,
    clock: dt.datetime,
    as_of: dt.datetime | None = None,
    priced_at: Mapping[str, dt.datetime] | None = None,
    venue: str | None = None,
    phase: Phase | None = None,
    shortable: Mapping[str, bool] | None = None,
    own: Mapping[str, Decimal] | None = None,
) -> SessionFacts:
    """What is known when a bot wishes, in the open transaction.

    Args:
        clock: wall clock of this process (UTC), for what happened in the last minute.
        own: signed shares per symbol that belong to the bot; what its booked fills add up to when None.

    The rest is handed on; see `SessionFacts`.
    """
    written = select(func.count()).where(IntentRow.account == account)
    buying_power = opened.scalars(
        select(ReconciliationRow.buying_power)
        .where(ReconciliationRow.account == account)
        .order_by(ReconciliationRow.started_at.desc())
        .limit(1)
    ).one_or_none()
    per_minute, window = limits.max_orders_per_minute, limits.duplicate_window
    needs_equity = limits.max_daily_loss is not None or limits.max_drawdown is not None
    needs_row = limits.max_consecutive_losses is not None
    if own is None:
        own = owned(opened, account, bot) if limits.bot_budget is not None else {}
    return SessionFacts(
        now=as_of,
        priced_at=priced_at or {},
        orders_so_far=opened.scalar(written.where(IntentRow.session == session.isoformat())) or 0,
        halted=halted(opened, account),
        buying_power=buying_power,
        trading_state=trading_state.standing(opened, account),
        bot=bot,
        venue=venue,
        phase=phase,
        orders_last_minute=0
        if per_minute is None
        else opened.scalar(written.where(IntentRow.created_at > clock - _MINUTE)) or 0,
        recent=frozenset() if window is None else _recent(opened, account, bot, clock - window),
        shortable=shortable or {},
        own=own,
        equity=marks.equity_of(opened, account, session) if needs_equity else None,
        losses_in_a_row=marks.losses_in_a_row(opened, account, bot=bot) if needs_row else None,
    )


def owned(opened: Session, account: str, bot: str) -> dict[str, Decimal]:
    """Signed shares per symbol that the booked fills of a bot add up to; symbols at zero are left out."""
    held: dict[str, Decimal] = {}
    rows = opened.execute(
        select(FillRow.symbol, FillRow.side, FillRow.qty)
        .join(IntentRow, IntentRow.id == FillRow.intent_id)
        .where(FillRow.account == account, IntentRow.bot == bot, FillRow.busted_at.is_(None))
    )
    for symbol, side, qty in rows:
        held[symbol] = held.get(symbol, Decimal(0)) + Side(side).sign * qty
    return {symbol: qty for symbol, qty in held.items() if qty}


def _recent(opened: Session, account: str, bot: str, since: dt.datetime) -> frozenset[tuple[str, Side, Decimal]]:
    rows = opened.execute(
        select(IntentRow.symbol, IntentRow.side, IntentRow.qty).where(
            IntentRow.account == account, IntentRow.bot == bot, IntentRow.created_at > since
        )
    )
    return frozenset((symbol, Side(side), qty) for symbol, side, qty in rows)
