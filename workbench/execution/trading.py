"""The notebook's half of the order path: weights become wishes, wishes are checked, what passes becomes intents."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pandas as pd
from sqlalchemy import select

from workbench.execution.journal.intent import Intent
from workbench.execution.journal.legs import is_wished
from workbench.execution.proposal import Proposal
from workbench.execution.reconciliation.positions import book_in
from workbench.execution.risk.check import check
from workbench.execution.risk.facts import gather
from workbench.execution.risk.limits import Limits
from workbench.execution.risk.refusals import store_refusals, stored_refusals
from workbench.market.order import TimeInForce
from workbench.market.rebalance import rebalance
from workbench.store.engine import transaction
from workbench.store.tables.execution import IntentRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.orm import Session

    from workbench.execution.journal.journal import Journal, Written
    from workbench.market.book import Book
    from workbench.market.hours import Phase
    from workbench.market.order import OrderWish

__all__ = ["Placing", "Proposal", "place", "place_in", "propose"]


def propose(
    journal: Journal,
    weights: Mapping[str, float],
    *,
    bot: str,
    session: Any,
    prices: Mapping[str, float],
    book: Book | None = None,
    limits: Limits | None = None,
    decisions: Mapping[str, str] | None = None,
    as_of: dt.datetime | None = None,
    priced_at: Mapping[str, dt.datetime] | None = None,
    lot: Decimal = Decimal(1),
    cushion: float = 0.002,
    time_in_force: TimeInForce = TimeInForce.DAY,
    deadline: dt.datetime | None = None,
    generation: int = 0,
) -> Proposal:
    """Turn weights (already gated by decisions) into risk-checked intents of one session, in one transaction.

    A bot proposes once per session: where the journal holds any intent of (account, bot, session, generation), nothing
    is written and those are returned, whatever the weights and the book are by now. A deliberate second proposal has a
    higher `generation`. Nothing is sent here: the desk of the account does that.

    Args:
        weights: wished signed fractions of book value; symbols not named are left alone.
        session: the session at whose close this was decided (a date, or text such as `"2015-06-30"`).
        prices: newest known price per symbol, currency per share.
        book: cash and positions; what the newest reconciliation and the fills since say when None.
        limits: the account's bounds; `Limits()` when None.
        decisions: decision id per symbol, where a decision had a part in the wish.
        as_of, priced_at: the moment of the question and when each price was known (UTC), for the age of prices.
        lot, cushion: see `market.rebalance.rebalance`.
        deadline: wall-clock moment after which an order is not sent any more.

    Raises:
        ParameterError: a weight is not finite or a wished symbol has no price; nothing was written.
        NoData: no book was given and the account was never reconciled.
    """
    day = _day(session)
    with transaction(journal.engine) as opened:
        journal.lock(opened)
        existed = _standing(opened, journal.account, bot, day, generation)
        mine, wishes = book, []
        if not existed:
            mine = book_in(opened, journal.account) if book is None else book
            wishes = rebalance(weights, book=mine, prices=prices, lot=lot, cushion=cushion, time_in_force=time_in_force)
        return place_in(
            opened,
            journal,
            wishes,
            bot=bot,
            session=day,
            prices=prices,
            book=mine,
            limits=limits,
            generation=generation,
            deadline=deadline,
            as_of=as_of,
            priced_at=priced_at,
            decisions=decisions,
            existed=existed,
        )


class Placing(TypedDict, total=False):
    """What `place` and `place_in` take beside the wishes, the bot, the session and the prices; all may be left out.

    Attributes:
        book: cash and positions of the account; what the newest reconciliation and the fills since say when None.
        limits: the account's bounds; `Limits()` when None.
        generation: a deliberate second order for the same bot, session and symbol has a higher one.
        deadline: wall-clock moment after which an order is not sent any more.
        algo_id: the parent order whose children these are.
        as_of, priced_at: the moment of the question and when each price was known (UTC), for the age of prices.
        venue, phase: whose hours count at `as_of`, or the phase itself; hours are not checked without.
        shortable: whether each symbol can be borrowed; not checked for symbols that are not in it.
        own: signed shares per symbol that belong to the bot, for its budget; what its fills add up to when None.
        decisions: decision id per symbol, where a decision had a part in the wish.
        existed: what stands already, where the caller has looked.
    """

    book: Book | None
    limits: Limits | None
    generation: int
    deadline: dt.datetime | None
    algo_id: str | None
    as_of: dt.datetime | None
    priced_at: Mapping[str, dt.datetime] | None
    venue: str | None
    phase: Phase | None
    shortable: Mapping[str, bool] | None
    own: Mapping[str, Decimal] | None
    decisions: Mapping[str, str] | None
    existed: tuple[Intent, ...] | None


def place(
    journal: Journal,
    wishes: Iterable[OrderWish],
    *,
    bot: str,
    session: Any,
    prices: Mapping[str, float | Decimal],
    **more: Unpack[Placing],
) -> Proposal:
    """Hold wishes against the limits and write those that pass, in one transaction of its own; see `place_in`."""
    with transaction(journal.engine) as opened:
        return place_in(opened, journal, wishes, bot=bot, session=session, prices=prices, **more)


def place_in(
    opened: Session,
    journal: Journal,
    wishes: Iterable[OrderWish],
    *,
    bot: str,
    session: Any,
    prices: Mapping[str, float | Decimal],
    **more: Unpack[Placing],
) -> Proposal:
    """Hold wishes against the limits and write those that pass, in the caller's transaction.

    A symbol of which an intent of (account, bot, session, generation) stands already is left as it stands and comes
    back in `existed`: repeating a call after a crash writes nothing twice. Nothing is sent here: the desk of the
    account does that.

    Args:
        session: the session the orders belong to (a date, or text such as `"2015-06-30"`).
        prices: newest known price per symbol, currency per share.
        more: see `Placing`.

    Raises:
        NoData: no book was given and the account was never reconciled; nothing was written.
    """
    day, wishes, limits = _day(session), list(wishes), more.get("limits") or Limits()
    generation, book = more.get("generation", 0), more.get("book")
    journal.lock(opened)
    existed = more.get("existed")
    if existed is None:
        standing = _standing(opened, journal.account, bot, day, generation)
        named = {wish.symbol for wish in wishes}
        existed = tuple(intent for intent in standing if intent.symbol in named)
    taken = {intent.symbol for intent in existed}
    new = [wish for wish in wishes if wish.symbol not in taken]
    written: list[Written] = []
    refused: set[tuple[str, int]] = set()
    if new:
        facts = gather(
            opened,
            journal.account,
            bot=bot,
            session=day,
            limits=limits,
            clock=journal.clock(),
            as_of=more.get("as_of"),
            priced_at=more.get("priced_at"),
            venue=more.get("venue"),
            phase=more.get("phase"),
            shortable=more.get("shortable"),
            own=more.get("own"),
        )
        checked = check(
            new,
            book=book_in(opened, journal.account) if book is None else book,
            prices=prices,
            limits=limits,
            facts=facts,
            open_exposure=journal.open_exposure_in(opened),
        )
        store_refusals(opened, checked.refusals, account=journal.account, bot=bot, session=day, generation=generation)
        refused = {(refusal.wish.symbol, refusal.leg) for refusal in checked.refusals}
        child: dict[str, Any] = {} if more.get("algo_id") is None else {"algo_id": more.get("algo_id")}
        written = journal.write_in(
            opened,
            checked.accepted,
            bot=bot,
            session=day,
            decisions=more.get("decisions"),
            deadline=more.get("deadline"),
            generation=generation,
            **child,
        )
    taken |= {one.intent.symbol for one in written}
    stored = stored_refusals(opened, journal.account, bot, day, generation=generation)
    stored = [row for row in stored if is_wished(row["leg"])]
    return Proposal(
        account=journal.account,
        bot=bot,
        session=day.isoformat(),
        written=tuple(one.intent for one in written),
        existed=existed,
        refusals=tuple(row for row in stored if row["symbol"] not in taken or (row["symbol"], row["leg"]) in refused),
    )


def _standing(opened: Session, account: str, bot: str, day: dt.date, generation: int) -> tuple[Intent, ...]:
    rows = opened.scalars(
        select(IntentRow)
        .where(
            IntentRow.account == account,
            IntentRow.bot == bot,
            IntentRow.session == day.isoformat(),
            IntentRow.generation == generation,
        )
        .order_by(IntentRow.created_at, IntentRow.side.desc(), IntentRow.symbol, IntentRow.leg)
    )
    return tuple(Intent.of(row) for row in rows)


def _day(session: Any) -> dt.date:
    return pd.Timestamp(session).date()
