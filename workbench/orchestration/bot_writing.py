"""A bot's wishes become intents, refusals and decisions: its own limits first, then the account's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from workbench.errors import BotRefused
from workbench.events import DecisionMade
from workbench.execution.bots.intents import open_orders, orders_of
from workbench.execution.risk.check import check
from workbench.execution.risk.limits import RefusalCode, SessionFacts
from workbench.execution.risk.refusals import store_refusals
from workbench.execution.trading import place_in
from workbench.store import audit
from workbench.store.event_log import publish
from workbench.store.schema import new_id
from workbench.store.tables.bot import BotDecisionRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.journal.journal import Journal
    from workbench.execution.risk.limits import Limits
    from workbench.market.book import Book
    from workbench.market.order import OrderWish
    from workbench.orchestration.bot_look import Look
    from workbench.store.tables.bot import BotRow

MOST_DECISIONS = 9_999  # of one session: the number has four digits in the name of an order
# Refusals that pass by themselves: the wish waits.
_WAITS = frozenset(
    {
        RefusalCode.OPEN_ORDER.value,
        RefusalCode.SELF_CROSS.value,
        RefusalCode.ORDERS_PER_MINUTE.value,
        RefusalCode.DUPLICATE_INTENT.value,
    }
)


@dataclass(frozen=True, slots=True)
class Placed:
    """What came of wishes: the intents by symbol, the outcome of each refused one, and those that may wait."""

    intents: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    held_back: tuple[str, ...] = ()


def place_wishes(
    opened: Session,
    journal: Journal,
    row: BotRow,
    wishes: Sequence[OrderWish],
    *,
    look: Look,
    book: Book,
    prices: Mapping[str, Decimal],
    own: Limits,
    limits: Limits,
    refused: Mapping[str, str],
) -> Placed:
    """Check wishes, write those that pass, and store a decision for each, in the open transaction.

    Args:
        book: the bot's own. prices: of all that the account holds too.
        own: the bot's limits, over its own book. limits: the account's.
        refused: wishes that are refused already, with the outcome to store.

    Raises:
        BotRefused: the bot has decided more often in this session than orders can be named.
    """
    if not wishes:
        return Placed()
    day, told = look.session, dict(refused)
    number = (row.decisions if row.session == day.isoformat() else 0) + 1
    if number > MOST_DECISIONS:
        raise BotRefused(
            f"bot {row.name!r} has decided {MOST_DECISIONS} times in session {day}; it decides no more.",
            remedy="give it a larger every_seconds.",
        )
    priced_at = {symbol: seen.at for symbol, seen in look.prices.items()}
    so_far = orders_of(opened, row, day)
    checked = check(
        [wish for wish in wishes if wish.symbol not in told],
        book=book,
        prices=prices,
        limits=own,
        facts=SessionFacts(now=look.now, priced_at=priced_at, orders_so_far=so_far, bot=row.name),
        open_exposure=open_orders(opened, row),
    )
    store_refusals(opened, checked.refusals, account=row.account, bot=row.name, session=day, generation=number)
    told |= {refusal.wish.symbol: f"refused: {refusal.code.value}" for refusal in checked.refusals}
    proposal = place_in(
        opened,
        journal,
        checked.accepted,
        bot=row.name,
        session=day,
        prices=prices,
        limits=limits,
        generation=number,
        deadline=journal.clock() + (look.closes - look.now),
        as_of=look.now,
        priced_at=priced_at,
        venue=row.window["venue"],
        own={symbol: position.qty for symbol, position in book.positions.items()},
    )
    by_account = {refusal["symbol"]: refusal["code"] for refusal in proposal.refusals if refusal["symbol"] not in told}
    told |= {symbol: f"refused: {code}" for symbol, code in by_account.items()}
    intents = {intent.symbol: intent.id for intent in proposal.intents}
    row.session, row.decisions, row.decided_at = day.isoformat(), number, look.now
    _say(opened, row, wishes, look=look, intents=intents, refused=told)
    return Placed(intents, told, tuple(symbol for symbol, code in by_account.items() if code in _WAITS))


def _say(
    opened: Session,
    row: BotRow,
    wishes: Sequence[OrderWish],
    *,
    look: Look,
    intents: Mapping[str, str],
    refused: Mapping[str, str],
) -> None:
    """Store a decision for each wish, with what the strategy saw."""
    day = look.session.isoformat()
    for wish in wishes:
        outcome = "written" if wish.symbol in intents else refused.get(wish.symbol, "not written")
        opened.add(
            BotDecisionRow(
                id=new_id(),
                bot_id=row.id,
                session=day,
                generation=row.decisions,
                symbol=wish.symbol,
                action=wish.side.value,
                reason=wish.reason,
                price=wish.reference_price,
                indicators=look.indicators(wish.symbol),
                outcome=outcome[:64],
                intent_id=intents.get(wish.symbol),
                at=look.now,
                trace_id=trace_id(),
            )
        )
        event = DecisionMade(
            account=row.account,
            bot=row.name,
            session=day,
            symbol=wish.symbol,
            action=wish.side.value,
            reason=wish.reason,
            price=wish.reference_price,
        )
        publish(opened, event)
    after = {"session": day, "generation": row.decisions, "wishes": len(wishes), "written": len(intents)}
    audit.record(opened, entity="bot", entity_id=row.id, action="decided", after=after)
