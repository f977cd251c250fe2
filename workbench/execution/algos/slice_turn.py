"""One turn of one parent order inside one transaction: what is due is cancelled, planned anew and written, or said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from workbench.errors import NoData
from workbench.execution.algos.algorithm import Plan, algorithm_of, params_of
from workbench.execution.algos.market_facts import Price
from workbench.execution.algos.parent import ask_children_away, cancel_in, end_in, slices_in
from workbench.execution.algos.schedule import ZERO
from workbench.execution.algos.tally import Tally, tally_in
from workbench.execution.risk.trading_state import standing
from workbench.execution.trading import place_in
from workbench.market import hours
from workbench.market.order import OrderType, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.store import audit
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.execution import IntentRow, RiskRefusalRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from workbench.execution.journal.journal import Journal
    from workbench.execution.risk.limits import Limits
    from workbench.store.tables.algo import ParentOrderRow, ParentSliceRow

# Children are told apart by their generation, as every deliberate second order of a bot in a session and symbol is;
# the decisions of a bot count from 0, its children from here.
FIRST_GENERATION = 5_000
LAST_GENERATION = 9_999


@dataclass(frozen=True, slots=True)
class Seen:
    """What the market said before the transaction. None is unknown.

    Attributes:
        prices: the newest price of the parent's symbol and of all that is held or on order.
        arrival: the price when the parent began, where that is not stored yet.
        volume: shares that the market traded since then, ours among them where `includes_own`.
    """

    prices: Mapping[str, Price]
    arrival: Price | None
    volume: Decimal | None
    includes_own: bool


class SliceTurn:
    """The parent `row`, locked, at `now` in a transaction that holds the journal's lock. `said`: what was done."""

    def __init__(
        self,
        opened: Session,
        journal: Journal,
        row: ParentOrderRow,
        now: dt.datetime,
        seen: Seen,
        *,
        limits: Limits | None,
        patience: dt.timedelta,
    ) -> None:
        self.opened, self.journal, self.row, self.now, self.seen = opened, journal, row, now, seen
        self.limits, self.patience = limits, patience
        self.said: list[tuple[str, dict[str, Any]]] = []

    def taken(self) -> dt.datetime | None:
        """Do what is due; when to look again, None when the parent has ended."""
        row, tally = self.row, tally_in(self.opened, self.row.id)
        if killed := self._killed():
            cancel_in(self.opened, row, at=self.journal.clock(), reason=killed)
            return self._ended()
        if row.arrival_price is None and self.seen.arrival is not None:
            row.arrival_price = self.seen.arrival.value
        if tally.booked >= row.qty and not tally.to_come:
            return self._end("done", f"{tally.booked:f} filled")
        if self.now >= row.ends_at:
            return self._over(tally)
        planned = [one for one in slices_in(self.opened, row.id) if one.state == "planned"]
        due = [one for one in planned if one.due_at <= self.now]
        if not due:
            return self._wait(tally, planned)
        if tally.open:
            ask_children_away(self.opened, tally, at=self.journal.clock(), note="the next slice of its parent is due")
            return self.now + self.patience
        for missed in due[:-1]:
            self._skip(missed, "it came due together with a later slice, which makes up for it")
        after = planned[len(due) :]
        until = after[0].due_at if after else row.ends_at
        self._order(due[-1], tally, until=until)
        return until

    def _killed(self) -> str:
        """Why it must end: the account is HALTED, or was since it began and nobody was at work. Empty: it goes on."""
        if standing(self.opened, self.row.account) is TradingState.HALTED:
            return "the account is HALTED"
        halted = self.opened.scalar(
            select(func.max(AuditRow.happened)).where(
                AuditRow.entity == "trading_state",
                AuditRow.entity_id == self.row.account,
                AuditRow.action == TradingState.HALTED.value,
                AuditRow.happened >= self.row.created_at,
            )
        )
        return "" if halted is None else f"the account was HALTED at {halted:%Y-%m-%d %H:%M:%S} UTC"

    # --- the ends

    def _wait(self, tally: Tally, planned: list[ParentSliceRow]) -> dt.datetime | None:
        """Nothing is due. A parent whose last order is over has nothing to wait for."""
        if planned:
            return planned[0].due_at
        if tally.open:
            return min(self.row.ends_at, self.now + max(self.patience, dt.timedelta(seconds=1)))
        return self._end("expired", self._left(tally, "its last slice is over"))

    def _over(self, tally: Tally) -> dt.datetime | None:
        """The end has come: nothing may work after it."""
        if any(not child.is_lost_sight_of for child in tally.open):
            ask_children_away(self.opened, tally, at=self.journal.clock(), note="its parent has ended")
            return self.now + self.patience
        return self._end("expired", self._left(tally, "its time is over"))

    def _left(self, tally: Tally, why: str) -> str:
        left = f"{self.row.qty - tally.booked:f} of {self.row.qty:f} not filled: {why}"
        lost = sum((child.to_come for child in tally.open), ZERO)
        return left + (f"; {lost:f} of them are in an order of unknown fate, which is watched" if lost else "")

    def _end(self, state: str, detail: str) -> dt.datetime | None:
        end_in(self.opened, self.row, state, at=self.now, detail=detail)
        return self._ended()

    def _ended(self) -> dt.datetime | None:
        self.said.append(("parent ended", {"state": self.row.state, "detail": self.row.detail}))
        return None

    # --- a slice

    def _order(self, one: ParentSliceRow, tally: Tally, *, until: dt.datetime) -> None:
        """Write the order of a slice, or why there is none."""
        row, remaining = self.row, self.row.qty - tally.booked
        others = self.seen.volume
        if others is not None and self.seen.includes_own:
            others = max(ZERO, others - tally.booked)
        qty = self._plan().next_qty(one.number, remaining=remaining, own=tally.booked, others=others)
        price = self.seen.prices.get(row.symbol)
        if price is None:
            self._skip(one, f"no price of {row.symbol} is known at {self.now:%H:%M:%S} UTC")
        elif not qty:
            self._skip(one, self._why_nothing(remaining, others))
        else:
            one.arrival_price = price.value
            self._write(one, qty, price, until)

    def _write(self, one: ParentSliceRow, qty: Decimal, price: Price, until: dt.datetime) -> None:
        row, prices = self.row, self.seen.prices
        generation = self._generation()
        if generation > LAST_GENERATION:
            self._refuse(one, qty, f"{row.bot} has no names left for orders in {row.symbol} this session")
            return
        wish = OrderWish(
            symbol=row.symbol,
            side=Side(row.side),
            qty=qty,
            type=OrderType.MARKET if row.limit_price is None else OrderType.LIMIT,
            limit_price=row.limit_price,
            reference_price=price.value,
            reason=f"slice {one.number} of {row.algorithm} {row.key}",
            extended_hours=row.extended_hours,
        )
        try:
            proposal = place_in(
                self.opened,
                self.journal,
                [wish],
                bot=row.bot,
                session=row.session,
                prices={symbol: known.value for symbol, known in prices.items()},
                limits=self.limits,
                generation=generation,
                # The market's time may run faster than this process's: what is left of the slot is what counts.
                deadline=self.journal.clock() + (until - self.now),
                algo_id=row.id,
                as_of=self.now,
                priced_at={symbol: known.at for symbol, known in prices.items()},
                decisions=None if row.decision_id is None else {row.symbol: row.decision_id},
            )
        except NoData as error:
            self._refuse(one, qty, error.message)
            return
        if not proposal.written:
            self._refuse(one, qty, "; ".join(str(refusal["message"]) for refusal in proposal.refusals))
            return
        one.state, one.sent_qty, one.intent_id = "sent", qty, proposal.written[0].id
        self._note(one, "sent", qty=str(qty), intent=one.intent_id)

    def _plan(self) -> Plan:
        row = self.row
        day = dt.date.fromisoformat(row.session)
        regular = next(span for span in hours.spans(row.venue, day) if span.phase is hours.Phase.REGULAR)
        params = params_of(algorithm_of(row.algorithm), row.params)
        return Plan(params, row.starts_at, row.ends_at, regular.start, regular.end, row.lot)

    def _why_nothing(self, remaining: Decimal, others: Decimal | None) -> str:
        if remaining < self.row.lot:
            return f"{remaining:f} is less than a lot of {self.row.lot:f}"
        if self.row.algorithm == "pov":
            return "the volume is not known" if others is None else f"the others have traded {others:f}: no lot is due"
        return "its share of what is left is less than a lot"

    def _generation(self) -> int:
        """One above every child, and every refused one, of this bot in this session and symbol."""
        row = self.row
        newest = [
            self.opened.scalar(
                select(func.max(table.generation)).where(
                    table.account == row.account,
                    table.bot == row.bot,
                    table.session == row.session,
                    table.symbol == row.symbol,
                    table.generation >= FIRST_GENERATION,
                )
            )
            for table in (IntentRow, RiskRefusalRow)
        ]
        return max([FIRST_GENERATION - 1, *(found for found in newest if found is not None)]) + 1

    def _skip(self, one: ParentSliceRow, why: str) -> None:
        one.state, one.detail = "skipped", why
        self._note(one, "skipped", why=why)

    def _refuse(self, one: ParentSliceRow, qty: Decimal, why: str) -> None:
        one.state, one.sent_qty, one.detail = "refused", None, why
        self._note(one, "refused", qty=str(qty), why=why)

    def _note(self, one: ParentSliceRow, action: str, **after: str) -> None:
        name = f"{one.parent_id}:{one.number}"
        audit.record(self.opened, entity="parent_slice", entity_id=name, action=action, after=after)
        self.said.append((f"slice {action}", {"slice": one.number, **after}))
