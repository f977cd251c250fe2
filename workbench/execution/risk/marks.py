"""Equity marks: what an account was worth through each session, and the bounds on losses that latch on them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from workbench.errors import NoData, ParameterError
from workbench.execution.risk.limits import Equity
from workbench.market.book import Book
from workbench.market.order import Fill, Side
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.tables.execution import FillRow, IntentRow
from workbench.store.tables.risk import EquityMarkRow, LossesClearedRow
from workbench.trace import get_logger, trace_id

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

ZERO = Decimal(0)
_RATIO = Decimal("0.000000000001")  # what the database keeps of a fraction


def record(
    session: Session,
    account: str,
    equity: Decimal | None,
    at: dt.datetime,
    venue: str = "XNYS",
    *,
    of: dt.date | None = None,
) -> Equity | None:
    """Mark the equity of an account, unrealized profit included, in the open transaction.

    The first mark of a session is its start; the peak is carried from session to session until `clear_drawdown`. The
    night before a session and the evening after it belong to it; closed hours belong to the session that comes next.

    Args:
        equity: currency, as the broker says it. None, NaN, infinity and what is not > 0 are no mark: the figures stay,
            and until the next good mark the equity counts as not known, which refuses where losses are bounded.
        at: the broker's moment (UTC).
        of: the session, where the caller knows it; worked out from `venue` and `at` when None.

    Returns:
        The equity of the session with this mark; None when there was nothing to mark.
    """
    if equity is None or not equity.is_finite() or equity <= 0:
        get_logger(__name__).warning("equity is no number > 0", account=account, equity=str(equity))
        last = _newest(session, account, lock=True)
        if last is not None:
            last.known, last.updated_at = False, at
            session.flush()
        return None
    day = (of or session_for(venue, at)).isoformat()[:10]
    row = session.get(EquityMarkRow, (account, day), with_for_update=True)
    if row is None:
        last = _newest(session, account)
        row = EquityMarkRow(account=account, session=day, start=equity, peak=equity, low=equity, newest=equity)
        row.high, row.drawdown = (equity, ZERO) if last is None else (last.high, last.drawdown)
        session.add(row)
    row.newest, row.updated_at, row.known = equity, at, True
    row.peak, row.low = max(row.peak, equity), min(row.low, equity)
    row.high = max(row.high, equity)
    row.drawdown = max(row.drawdown, (1 - equity / row.high).quantize(_RATIO))
    session.flush()
    return _equity(row)


def session_for(venue: str, at: dt.datetime) -> dt.date:
    """The session a moment belongs to: the one it lies in, night and evening included; else the one that comes next."""
    import pandas as pd

    from workbench import sessions
    from workbench.market import hours

    found = hours.session_at(venue, at)
    if found is not None:
        return found
    local = pd.Timestamp(at).tz_convert(sessions.timezone(venue)).tz_localize(None).normalize()
    if sessions.is_session(venue, local) and pd.Timestamp(at) < sessions.opens(venue, local):
        return local.date()
    return sessions.next_session(venue, local).date()


def equity_of(session: Session, account: str, of: dt.date | None = None) -> Equity | None:
    """The marks of a session, the newest one when None; None when there are none.

    The drawdown is that of the newest session either way, because it is not bound to one. `newest` is NaN while the
    broker does not say the equity.
    """
    newest = _newest(session, account)
    if newest is None or of is None or newest.session == of.isoformat()[:10]:
        return None if newest is None else _equity(newest)
    row = session.get(EquityMarkRow, (account, of.isoformat()[:10]))
    if row is None:
        # A new session without a mark: nothing is lost in it yet, as far as is known; the drawdown goes on.
        last = _equity(newest).newest
        return Equity(newest.newest, newest.newest, last, newest.drawdown)
    return replace(_equity(row), drawdown=newest.drawdown)


def clear_drawdown(engine: Engine, account: str, *, reason: str, who: str | None = None) -> Equity:
    """Let falls be measured from the newest equity again: a person's decision, audited with its reason.

    Raises:
        ParameterError: no reason was given; the bound stands.
        NoData: the account has no equity mark.
    """
    _needs_reason(reason)
    with transaction(engine) as session:
        row = _newest(session, account, lock=True)
        if row is None:
            raise NoData(f"account {account!r} has no equity mark, so there is no drawdown to clear.")
        before = {"high": str(row.high), "drawdown": str(row.drawdown)}
        row.high, row.drawdown = row.newest, ZERO
        after = {"high": str(row.high), "drawdown": "0", "reason": reason}
        _audit(session, account, "drawdown cleared", before, after, who=who)
        return _equity(row)


def clear_losses(
    engine: Engine, account: str, *, at: dt.datetime, reason: str, bot: str = "", who: str | None = None
) -> int:
    """Do not count the losing trades so far any more, of a bot or (empty) of the account; how many those in a row were.

    Args:
        at: trades that ended up to this moment, on the broker's clock, do not count.

    Raises:
        ParameterError: no reason was given; the bound stands.
    """
    _needs_reason(reason)
    with transaction(engine) as session:
        losses = losses_in_a_row(session, account, bot=bot)
        row = session.get(LossesClearedRow, (account, bot), with_for_update=True)
        if row is None:
            row = LossesClearedRow(account=account, bot=bot)
            session.add(row)
        row.at, row.reason, row.who, row.trace_id = at, reason, (who or audit.actor())[:96], trace_id()
        after = {"bot": bot, "at": at.isoformat(), "reason": reason}
        _audit(session, account, "losses cleared", {"losses": losses}, after, who=who)
        return losses


def losses_in_a_row(session: Session, account: str, *, bot: str = "") -> int:
    """How many trades in a row lost money, up to the newest, since a person last cleared them; fees count.

    A trade is a round trip: from the first fill to the one that brings the holding back to zero or across it. One that
    neither wins nor loses ends no row and adds nothing to it. Fills are those of the bot, or (empty) of the account.
    """
    cleared = session.scalar(
        select(LossesClearedRow.at).where(LossesClearedRow.account == account, LossesClearedRow.bot == bot)
    )
    question = (
        select(FillRow)
        .join(IntentRow, IntentRow.id == FillRow.intent_id)
        .where(FillRow.account == account, FillRow.busted_at.is_(None))
        .order_by(FillRow.happened, FillRow.created_at, FillRow.id)
    )
    if bot:
        question = question.where(IntentRow.bot == bot)
    book, fees, basis = Book(ZERO), dict[str, Decimal](), dict[str, Decimal]()
    row = 0
    for fill in session.scalars(question):
        before = book.positions[fill.symbol].qty if fill.symbol in book.positions else ZERO
        book = book.apply(_fill(fill))
        now = book.positions[fill.symbol]
        fees[fill.symbol] = fees.get(fill.symbol, ZERO) + fill.fee
        if not before or before * now.qty > 0:
            continue
        profit = now.realized - basis.get(fill.symbol, ZERO) - fees.pop(fill.symbol)
        basis[fill.symbol] = now.realized
        if cleared is not None and fill.happened <= cleared:
            continue
        row = row + 1 if profit < 0 else (0 if profit > 0 else row)
    return row


def _fill(row: FillRow) -> Fill:
    return Fill(
        execution_id=row.execution_id,
        broker_order_id=row.broker_order_id,
        client_order_id="",
        symbol=row.symbol,
        side=Side(row.side),
        qty=row.qty,
        price=row.price,
        happened=row.happened,
    )


def _newest(session: Session, account: str, *, lock: bool = False) -> EquityMarkRow | None:
    question = select(EquityMarkRow).where(EquityMarkRow.account == account).order_by(EquityMarkRow.session.desc())
    return session.scalars(question.limit(1).with_for_update() if lock else question.limit(1)).one_or_none()


def _equity(row: EquityMarkRow) -> Equity:
    return Equity(row.start, row.low, row.newest if row.known else Decimal("NaN"), row.drawdown)


def _needs_reason(reason: str) -> None:
    if not reason.strip():
        raise ParameterError(
            "reason is empty; the bound stands.", remedy="say why it is safe to trade again; it is kept in the audit."
        )


def _audit(
    session: Session, account: str, action: str, before: dict[str, Any], after: dict[str, Any], *, who: str | None
) -> None:
    audit.record(session, entity="equity_mark", entity_id=account, action=action, before=before, after=after, who=who)
