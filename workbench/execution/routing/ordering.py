"""One door for a wish of any size: the router chooses how, and the order or the parent order is written, and why."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict, Unpack

from sqlalchemy import func, select

from workbench.errors import ParameterError
from workbench.execution.algos.parents import Parents
from workbench.execution.algos.slice_turn import FIRST_GENERATION
from workbench.execution.reconciliation.positions import book_in
from workbench.execution.risk.check import check
from workbench.execution.risk.facts import gather
from workbench.execution.risk.limits import Limits
from workbench.execution.risk.marks import session_for
from workbench.execution.risk.refusals import store_refusals
from workbench.execution.routing.routed import ENTITY, ORDERED, PARKED, REFUSED, STARTED, Routed, standing, stored
from workbench.execution.routing.router import RoutePlan, RouteRules, Urgency, route
from workbench.execution.trading import place_in
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.tables.execution import IntentRow, RiskRefusalRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from workbench.execution.algos.vwap import VolumeProfile
    from workbench.execution.journal.journal import Journal
    from workbench.market.book import Book
    from workbench.market.order import OrderWish

__all__ = ["Known", "Routed", "explained", "order", "order_in"]

_LONGEST_KEY = 64
_BOUNDLESS = Decimal("Infinity")


class Known(TypedDict, total=False):
    """What `order` takes beside the wish, its key, the moment and the prices; all may be left out.

    Attributes:
        bot: on whose behalf; `by-hand` when left out.
        venue: whose hours count; XNYS when left out.
        bid, ask: newest known of the symbol, currency per share.
        adv: shares that trade on an average day.
        profile: how a session's volume lies over the day, for VWAP.
        urgency, rules: what the router weighs.
        limits: the account's bounds; `Limits()` when None.
        book: cash and positions; what the newest reconciliation and the fills since say when None.
        priced_at: when each price was known (UTC).
    """

    bot: str
    venue: str
    bid: Decimal | None
    ask: Decimal | None
    adv: Decimal | None
    profile: VolumeProfile | None
    urgency: Urgency
    rules: RouteRules | None
    limits: Limits | None
    book: Book | None
    priced_at: Mapping[str, dt.datetime] | None


def order(
    journal: Journal,
    wish: OrderWish,
    *,
    key: str,
    moment: dt.datetime,
    prices: Mapping[str, Decimal | float],
    **known: Unpack[Known],
) -> Routed:
    """Ask the router how to order a wish, and write that down, in a transaction of its own; see `order_in`."""
    with transaction(journal.engine) as opened:
        return order_in(opened, journal, wish, key=key, moment=moment, prices=prices, **known)


def order_in(
    opened: Session,
    journal: Journal,
    wish: OrderWish,
    *,
    key: str,
    moment: dt.datetime,
    prices: Mapping[str, Decimal | float],
    **known: Unpack[Known],
) -> Routed:
    """Ask the router how to order a wish, and write the order or start the parent order, in the open transaction.

    The choice, its sentences and what was written are stored with it as an audit row (`explained` reads it), so that a
    crash leaves all of it or nothing. The same key finds what was written, and writes nothing twice; what was refused
    or parked may be asked again. One order is held against the limits as `trading.place` does. A wish for an algorithm
    is held against them whole, but for the size of one order, before anything starts; each child is held against all
    of them when it is due. Nothing is sent here: the desk of the account does that.

    Args:
        key: the asker's name for the wish, 1 to 64 characters, unique in the account.
        moment: now, in the market's time, with timezone.
        prices: newest known price per symbol, currency per share: of the wish's, and of all that is held or on order.
        known: see `Known`.

    Raises:
        ParameterError: the key is no name, or belongs to another wish; a number is not finite or not > 0; nothing was
            written.
        AlgorithmRefused: the wish makes no schedule; nothing was written.
        NoData: no book was given and the account was never reconciled; nothing was written.
    """
    if not 0 < len(key) <= _LONGEST_KEY:
        raise ParameterError(f"key={key!r} must have 1 to {_LONGEST_KEY} characters; nothing was written.")
    journal.lock(opened)
    asked = {"symbol": wish.symbol, "side": wish.side.value, "qty": str(wish.qty), "limit_price": _text(wish)}
    stands = standing(opened, journal.account, key, asked)
    if stands is not None:
        return stands
    newest = prices.get(wish.symbol)
    venue = known.get("venue", "XNYS")
    plan = route(
        wish,
        moment=moment,
        venue=venue,
        price=None if newest is None else Decimal(str(newest)),
        bid=known.get("bid"),
        ask=known.get("ask"),
        adv=known.get("adv"),
        profile=known.get("profile"),
        urgency=known.get("urgency", Urgency.NORMAL),
        rules=known.get("rules"),
    )
    done = Routed(journal.account, key, PARKED, plan.line, plan.rule, plan.why)
    if plan.send_at is not None:
        done = replace(done, send_at=plan.send_at.isoformat())
    elif plan.algorithm is None:
        done = _ordered(opened, journal, plan, done, moment=moment, prices=prices, known=known)
    else:
        done = _started(opened, journal, plan, done, moment=moment, prices=prices, known=known)
    after = {name: getattr(done, name) for name in ("account", "plan", "rule", "intent_id", "parent_id", "send_at")}
    after |= {"why": list(done.why), "wish": asked, "moment": moment.isoformat()}
    audit.record(opened, entity=ENTITY, entity_id=key, action=done.outcome, after=after)
    return done


def explained(journal: Journal, key: str) -> list[Routed]:
    """Every answer that was given to a key of the account, oldest first; empty where it was never asked."""
    with transaction(journal.engine) as opened:
        return stored(opened, journal.account, key)


def _ordered(
    opened: Session,
    journal: Journal,
    plan: RoutePlan,
    done: Routed,
    *,
    moment: dt.datetime,
    prices: Mapping[str, Decimal | float],
    known: Known,
) -> Routed:
    """One order, held against the limits."""
    bot, venue = known.get("bot", "by-hand"), known.get("venue", "XNYS")
    session = session_for(venue, moment)
    proposal = place_in(
        opened,
        journal,
        [_said(plan, prices)],
        bot=bot,
        session=session,
        prices=prices,
        limits=known.get("limits"),
        book=known.get("book"),
        generation=_generation(opened, journal.account, bot, session, plan.wish.symbol),
        as_of=moment,
        priced_at=known.get("priced_at"),
        venue=venue,
        existed=(),
    )
    if proposal.refusals:
        return replace(done, outcome=REFUSED, why=(*done.why, *(str(one["message"]) for one in proposal.refusals)))
    return replace(done, outcome=ORDERED, intent_id=proposal.written[0].id)


def _started(
    opened: Session,
    journal: Journal,
    plan: RoutePlan,
    done: Routed,
    *,
    moment: dt.datetime,
    prices: Mapping[str, Decimal | float],
    known: Known,
) -> Routed:
    """A parent order, once its whole is within the limits."""
    bot, venue = known.get("bot", "by-hand"), known.get("venue", "XNYS")
    session, book = session_for(venue, moment), known.get("book")
    limits = (known.get("limits") or Limits()).model_copy(
        update={"max_order_qty": _BOUNDLESS, "max_order_notional": _BOUNDLESS}
    )
    wish = _said(plan, prices)
    facts = gather(
        opened,
        journal.account,
        bot=bot,
        session=session,
        limits=limits,
        clock=journal.clock(),
        as_of=moment,
        priced_at=known.get("priced_at"),
        venue=venue,
    )
    checked = check(
        [wish],
        book=book_in(opened, journal.account) if book is None else book,
        prices=prices,
        limits=limits,
        facts=facts,
        open_exposure=journal.open_exposure_in(opened),
    )
    if checked.refusals:
        generation = _generation(opened, journal.account, bot, session, wish.symbol)
        store_refusals(
            opened, checked.refusals, account=journal.account, bot=bot, session=session, generation=generation
        )
        return replace(done, outcome=REFUSED, why=(*done.why, *(one.message for one in checked.refusals)))
    assert plan.algorithm is not None, "the caller has looked"
    assert plan.starts_at is not None, "a scheduled plan has a span"
    assert plan.ends_at is not None, "a scheduled plan has a span"
    parent = Parents(journal.engine, journal.account, clock=journal.clock).start_in(
        opened,
        wish,
        key=done.key,
        algorithm=plan.algorithm,
        params=plan.params,
        starts_at=plan.starts_at,
        ends_at=plan.ends_at,
        bot=bot,
        session=session,
        venue=venue,
    )
    return replace(done, outcome=STARTED, parent_id=parent.id)


def _said(plan: RoutePlan, prices: Mapping[str, Decimal | float]) -> OrderWish:
    """The plan's order with the price it was sized with, and why it is as it is."""
    wish, newest = plan.wish, prices.get(plan.wish.symbol)
    price = wish.reference_price or (None if newest is None else Decimal(str(newest)))
    return replace(wish, reference_price=price, reason=wish.reason or f"{plan.rule}: {plan.why[-1]}"[:500])


def _generation(opened: Session, account: str, bot: str, session: dt.date, symbol: str) -> int:
    """One above every order and refusal of the bot in the symbol and session: the key tells wishes apart, not this."""
    newest = -1
    for table in (IntentRow, RiskRefusalRow):
        found = opened.scalar(
            select(func.max(table.generation)).where(
                table.account == account,
                table.bot == bot,
                table.session == session.isoformat(),
                table.symbol == symbol,
                table.generation < FIRST_GENERATION,
            )
        )
        newest = max(newest, -1 if found is None else found)
    return newest + 1


def _text(wish: OrderWish) -> str | None:
    return None if wish.limit_price is None else str(wish.limit_price)
