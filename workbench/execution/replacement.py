"""A replacement, held against the limits like a new order in the transaction that writes it down."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict, Unpack

from sqlalchemy import func, or_, select

from workbench.execution.journal.intent import option_legs
from workbench.execution.journal.legs import OPTION_LEG
from workbench.execution.journal.outstanding import Beside, beside
from workbench.execution.journal.replacing import Replacing, next_generation, wished, write_replacement
from workbench.execution.journal.transitions import load
from workbench.execution.proposal import Proposal
from workbench.execution.reconciliation.positions import book_in
from workbench.execution.risk.check import check_replacement
from workbench.execution.risk.exposure import ZERO, Exposure
from workbench.execution.risk.facts import gather
from workbench.execution.risk.instrument import multiplier
from workbench.execution.risk.limits import Limits
from workbench.execution.risk.refusals import store_refusals, stored_refusals
from workbench.execution.risk.trading_state import raises_nothing
from workbench.market.order import OrderClass, OrderType, OrderWish, Side, TimeInForce
from workbench.store.engine import transaction
from workbench.store.tables.execution import IntentRow, ReconciliationRow, RiskRefusalRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from workbench.execution.journal.journal import Journal
    from workbench.execution.risk.limits import SessionFacts
    from workbench.execution.risk.refusal import Refusal
    from workbench.market.book import Book
    from workbench.market.hours import Phase

__all__ = ["Changes", "replace_in", "replace_order"]


class Changes(TypedDict, total=False):
    """What `replace_order` takes beside the order and the prices; all but one of the changes may be left out.

    Attributes:
        qty: the wished total, shares; what has filled already counts.
        limit_price, stop_price: currency per share.
        trail: the distance of a trailing stop, currency or percent, whichever the order has.
        book: cash and positions of the account; what the newest reconciliation and the fills since say when None.
        limits: the account's bounds; `Limits()` when None.
        as_of, priced_at: the moment of the question and when each price was known (UTC), for the age of prices.
        venue, phase: whose hours count at `as_of`, or the phase itself; hours are not checked without.
        shortable: whether each symbol can be borrowed; not checked for symbols that are not in it.
        own: signed shares per symbol that belong to the bot, for its budget; what its fills add up to when None.
    """

    qty: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail: Decimal | None
    book: Book | None
    limits: Limits | None
    as_of: dt.datetime | None
    priced_at: Mapping[str, dt.datetime] | None
    venue: str | None
    phase: Phase | None
    shortable: Mapping[str, bool] | None
    own: Mapping[str, Decimal] | None


def replace_order(
    journal: Journal, intent_id: str, *, prices: Mapping[str, float | Decimal], **more: Unpack[Changes]
) -> Proposal:
    """Wish another order in the place of one, in a transaction of its own; see `replace_in`."""
    with transaction(journal.engine) as opened:
        return replace_in(opened, journal, intent_id, prices=prices, **more)


def replace_in(
    opened: Session,
    journal: Journal,
    intent_id: str,
    *,
    prices: Mapping[str, float | Decimal],
    **more: Unpack[Changes],
) -> Proposal:
    """Wish another order in the place of one that works at the broker, or waits to be sent, in the open transaction.

    It is held against the limits like a new order; until the broker has said which of the two it is, the larger counts,
    at the dearer limit of the two. One that is refused leaves a row with its code, numbers and limit, and the old order
    as it is. One that lowers numbers only adds no exposure, and passes while the account is REDUCING. Nothing is sent
    here: the desk of the account does that.

    Args:
        prices: newest known price per symbol, currency per share.
        more: what is to change, and what is known; see `Changes`.

    Returns:
        The new intent in `written`, or why there is none in `refusals`.

    Raises:
        ExecutionError: the order is not known to be live, or is on its way out already; nothing was written.
        ParameterError: nothing would change, the order has no such number, the total is not whole or filled already;
            nothing was written.
        NoData: no book was given and the account was never reconciled; nothing was written.
    """
    journal.lock(opened)
    row = load(opened, intent_id)
    changes = {name: more.get(name) for name in ("qty", "limit_price", "stop_price", "trail")}
    found = wished(opened, row, **changes)  # type: ignore[arg-type]  # a TypedDict's values, named one by one
    refusal = _refusal(opened, journal, found, prices, more)
    if refusal is None:
        return _proposal(row, written=(write_replacement(opened, found, at=journal.clock()),))
    generation = max(next_generation(opened, row, found.leg), _refused_before(opened, row, found.leg) + 1)
    asked = {name: str(value) for name, value in found.changes.items()}
    numbers = {**refusal.numbers, "replaces": row.client_order_id, "asked": asked}
    stored = replace(refusal, numbers=numbers, leg=found.leg)
    day = dt.date.fromisoformat(row.session)
    store_refusals(opened, [stored], account=row.account, bot=row.bot, session=day, generation=generation)
    told = stored_refusals(opened, row.account, row.bot, day, generation=generation)
    return _proposal(
        row, refusals=tuple(one for one in told if one["leg"] == found.leg and one["symbol"] == row.symbol)
    )


def _refusal(
    opened: Session, journal: Journal, found: Replacing, prices: Mapping[str, float | Decimal], more: Changes
) -> Refusal | None:
    """Why it must not be, or None."""
    row, limits, book = found.row, more.get("limits") or Limits(), more.get("book")
    known = gather(
        opened,
        journal.account,
        bot=row.bot,
        session=dt.date.fromisoformat(row.session),
        limits=limits,
        clock=journal.clock(),
        as_of=more.get("as_of"),
        priced_at=more.get("priced_at"),
        venue=more.get("venue"),
        phase=more.get("phase"),
        shortable=more.get("shortable"),
        own=more.get("own"),
    )
    place = beside(opened, journal.account, row.id)
    facts = replace(known, buying_power=_buying_power(opened, found, place, known))
    mine = book_in(opened, journal.account) if book is None else book
    exposure = Exposure.of(mine, prices, limits, facts, place.others)
    family = _family(opened, row)
    exposure.open_by_symbol = {
        symbol: [order for order in orders if order.client_order_id not in family]
        for symbol, orders in exposure.open_by_symbol.items()
    }
    wish = _wish(found)
    lowers = raises_nothing(row, **found.changes)
    limit, before = wish.limit_price, [found.row.limit_price, found.working.limit_price]
    if wish.side is Side.BUY and limit is not None and limit.is_finite():
        limit = max(limit, *(price for price in before if price is not None))
    return check_replacement(
        wish,
        exposure,
        reach_qty=_reach(found, place),
        reach_limit=limit,
        lowers=lowers,
        repriced=bool(found.changes.keys() - {"qty"}),
    )


def _reach(found: Replacing, place: Beside) -> Decimal:
    """The most shares that old and new can still bring together: the larger of the two, for exits what was entered."""
    if not found.total.is_finite():
        return found.total
    rest = found.rest if place.cap is None else min(found.rest, place.cap)
    if found.unsent and found.working is found.row:
        return rest  # the old one is over in the same transaction
    if found.row.option_legs is not None:
        return rest
    return max(rest, max((order.qty for order in place.place), default=ZERO), ZERO)


def _wish(found: Replacing) -> OrderWish:
    """The new order as a wish. An exit stands alone: the entry that it belongs to has the prices of its class."""
    row, new = found.row, found.changes
    alone = row.parent_id is not None and row.role != OPTION_LEG
    return OrderWish(
        symbol=row.symbol,
        side=Side(row.side),
        qty=found.total,
        type=OrderType(row.type),
        time_in_force=TimeInForce(row.time_in_force),
        limit_price=new.get("limit_price", row.limit_price),
        stop_price=new.get("stop_price", row.stop_price),
        reason=row.reason,
        order_class=OrderClass.SIMPLE if alone else OrderClass(row.order_class),
        trail_price=new.get("trail_price", row.trail_price),
        trail_percent=new.get("trail_percent", row.trail_percent),
        take_profit_price=row.take_profit_price,
        stop_loss_price=row.stop_loss_price,
        stop_loss_limit_price=row.stop_loss_limit_price,
        extended_hours=row.extended_hours,
        position_intent=row.position_intent,
        legs=option_legs(row.option_legs),
    )


def _buying_power(opened: Session, found: Replacing, place: Beside, known: SessionFacts) -> Decimal | None:
    """What the broker leaves, and what it holds back for the old order, where that is certain to be taken off already.

    Certain is a purchase with a limit that was sent before the newest reconciliation asked for the figure.
    """
    power, old = known.buying_power, found.working
    if power is None or old.side != Side.BUY or old.limit_price is None or old.sent_at is None:
        return power
    asked_at = opened.scalar(
        select(func.max(ReconciliationRow.started_at)).where(ReconciliationRow.account == old.account)
    )
    if asked_at is None or asked_at <= old.sent_at:
        return power
    left = max((order.qty for order in place.place if order.client_order_id == old.client_order_id), default=ZERO)
    return power + left * old.limit_price * multiplier(old.symbol)


def _family(opened: Session, row: IntentRow) -> set[str]:
    """The names of an order, its entry and all exits of that: the broker sees to it that they do not meet."""
    root = row.parent_id or row.id
    names = select(IntentRow.client_order_id).where(or_(IntentRow.id == root, IntentRow.parent_id == root))
    return set(opened.scalars(names))


def _refused_before(opened: Session, row: IntentRow, leg: int) -> int:
    """The newest generation under which a replacement in this place was refused; below zero: none was."""
    newest = opened.scalar(
        select(func.max(RiskRefusalRow.generation)).where(
            RiskRefusalRow.account == row.account,
            RiskRefusalRow.bot == row.bot,
            RiskRefusalRow.session == row.session,
            RiskRefusalRow.symbol == row.symbol,
            RiskRefusalRow.leg == leg,
        )
    )
    return -1 if newest is None else newest


def _proposal(row: IntentRow, **what: object) -> Proposal:
    named = {"written": (), "refusals": (), **what}
    return Proposal(account=row.account, bot=row.bot, session=row.session, existed=(), **named)  # type: ignore[arg-type]
