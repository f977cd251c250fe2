"""The notebook's half of the order path: weights become wishes, wishes are checked, what passes becomes intents."""

from __future__ import annotations

import datetime as dt
import html
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import func, select

from workbench.execution.halts import halted
from workbench.execution.intent import Intent
from workbench.execution.limits import Limits, SessionFacts
from workbench.execution.positions import book_in
from workbench.execution.risk import Refusal, check
from workbench.market.order import TimeInForce
from workbench.market.rebalance import rebalance
from workbench.store import audit
from workbench.store.engine import transaction
from workbench.store.schema import new_id
from workbench.store.tables.execution import IntentRow, ReconciliationRow, RiskRefusalRow
from workbench.trace import trace_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.orm import Session

    from workbench.execution.journal import Journal, Written
    from workbench.market.book import Book


@dataclass(frozen=True)
class Proposal:
    """What came of proposing weights for one session.

    Attributes:
        written: intents written now; the desk of the account sends them.
        existed: intents of this bot and session that stood there before; when there are any, nothing is written.
        refusals: symbol, side, qty, code and message of each wish that a limit refused, as stored.
        intents: `written` and `existed` together: what to wait for.
    """

    account: str
    bot: str
    session: str
    written: tuple[Intent, ...]
    existed: tuple[Intent, ...]
    refusals: tuple[dict[str, Any], ...]

    @property
    def intents(self) -> tuple[Intent, ...]:
        """Every intent of this bot and session."""
        return self.existed + self.written

    @property
    def line(self) -> str:
        """The proposal on one line."""
        refused = f", {len(self.refusals)} refused" if self.refusals else ""
        if self.existed:
            what = f"{len(self.existed)} intents were already written; nothing new was written{refused}"
        elif self.written:
            what = f"{len(self.written)} intents written{refused}"
        else:
            what = f"nothing to write{refused}" if self.refusals else "nothing to do: the book stands as wished"
        return f"{self.bot} on {self.account}, session {self.session}: {what}"

    def frame(self) -> pd.DataFrame:
        """One row per wish: symbol, side, qty (shares), price (it was sized with), outcome, why, client_order_id."""
        rows = [
            (i.symbol, i.side.value, float(i.qty), _float(i.reference_price), outcome, i.reason, i.client_order_id)
            for outcome, intents in (("already written", self.existed), ("written", self.written))
            for i in intents
        ]
        rows += [
            (r["symbol"], r["side"], r["qty"], r["price"], f"refused: {r['code']}", r["message"], "")
            for r in self.refusals
        ]
        columns = ["symbol", "side", "qty", "price", "outcome", "why", "client_order_id"]
        return pd.DataFrame(rows, columns=columns)

    def __repr__(self) -> str:
        return "\n".join([self.line, *(f"  refused: {refusal['message']}" for refusal in self.refusals)])

    def _repr_html_(self) -> str:
        return f"<div><b>{html.escape(self.line)}</b>{self.frame().to_html(index=False, escape=True)}</div>"


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
    day = pd.Timestamp(session).date()
    with transaction(journal.engine) as opened:
        journal.lock(opened)
        existed = _standing(opened, journal.account, bot, day, generation)
        written: list[Written] = []
        if not existed:
            mine = book_in(opened, journal.account) if book is None else book
            wishes = rebalance(weights, book=mine, prices=prices, lot=lot, cushion=cushion, time_in_force=time_in_force)
            checked = check(
                wishes,
                book=mine,
                prices=prices,
                limits=limits,
                facts=_facts(opened, journal.account, day, as_of, priced_at),
                open_exposure=journal.open_exposure_in(opened),
            )
            store_refusals(opened, checked.refusals, account=journal.account, bot=bot, session=day)
            written = journal.write_in(
                opened,
                checked.accepted,
                bot=bot,
                session=day,
                decisions=decisions,
                deadline=deadline,
                generation=generation,
            )
        taken = {intent.symbol for intent in existed} | {one.intent.symbol for one in written}
        refusals = [row for row in _refusals(opened, journal.account, bot, day) if row["symbol"] not in taken]
    return Proposal(
        account=journal.account,
        bot=bot,
        session=day.isoformat(),
        written=tuple(one.intent for one in written),
        existed=existed,
        refusals=tuple(refusals),
    )


def store_refusals(
    opened: Session, refusals: Iterable[Refusal], *, account: str, bot: str, session: dt.date
) -> list[RiskRefusalRow]:
    """Write refusals with their audit rows in the open transaction; one that is stored already is left as it stands.

    The key is (account, bot, session, symbol, leg, code). The journal's lock must be held, as `propose` does.
    """
    stored = {
        (row.symbol, row.code): row
        for row in opened.scalars(
            select(RiskRefusalRow).where(
                RiskRefusalRow.account == account,
                RiskRefusalRow.bot == bot,
                RiskRefusalRow.session == session.isoformat(),
            )
        )
    }
    new: list[RiskRefusalRow] = []
    for refusal in refusals:
        wish = refusal.wish
        if (wish.symbol, refusal.code.value) in stored:
            continue
        row = RiskRefusalRow(
            id=new_id(),
            account=account,
            bot=bot,
            session=session.isoformat(),
            symbol=wish.symbol,
            leg=0,
            code=refusal.code.value,
            message=refusal.message,
            numbers={
                **refusal.numbers,
                "limit": refusal.limit,
                "wish": {
                    "side": wish.side.value,
                    "qty": str(wish.qty),
                    "type": wish.type.value,
                    "reference_price": None if wish.reference_price is None else str(wish.reference_price),
                },
            },
            trace_id=trace_id(),
        )
        stored[wish.symbol, refusal.code.value] = row
        new.append(row)
        opened.add(row)
        after = {"symbol": wish.symbol, "code": row.code, "message": row.message}
        audit.record(opened, entity="risk_refusal", entity_id=row.id, action="refused", after=after)
    return new


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


def _facts(
    opened: Session,
    account: str,
    day: dt.date,
    as_of: dt.datetime | None,
    priced_at: Mapping[str, dt.datetime] | None,
) -> SessionFacts:
    written = select(func.count()).where(IntentRow.account == account, IntentRow.session == day.isoformat())
    buying_power = opened.scalars(
        select(ReconciliationRow.buying_power)
        .where(ReconciliationRow.account == account)
        .order_by(ReconciliationRow.started_at.desc())
        .limit(1)
    ).one_or_none()
    return SessionFacts(
        now=as_of,
        priced_at=priced_at or {},
        orders_so_far=opened.scalar(written) or 0,
        halted=halted(opened, account),
        buying_power=buying_power,
    )


def _refusals(opened: Session, account: str, bot: str, day: dt.date) -> list[dict[str, Any]]:
    rows = opened.scalars(
        select(RiskRefusalRow)
        .where(RiskRefusalRow.account == account, RiskRefusalRow.bot == bot, RiskRefusalRow.session == day.isoformat())
        .order_by(RiskRefusalRow.created_at, RiskRefusalRow.symbol, RiskRefusalRow.code)
    )
    return [
        {
            "symbol": row.symbol,
            "side": row.numbers["wish"]["side"],
            "qty": float(row.numbers["wish"]["qty"]),
            "price": _float(row.numbers["wish"]["reference_price"]),
            "code": row.code,
            "message": row.message,
        }
        for row in rows
    ]


def _float(value: Decimal | str | None) -> float:
    return float("nan") if value is None else float(value)
