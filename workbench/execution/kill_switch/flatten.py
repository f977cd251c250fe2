"""Flattening: every holding of an account closed by our own journaled orders, under the account's lease."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from workbench.execution.brokers.ticks import on_tick
from workbench.execution.journal.journal import Journal
from workbench.execution.kill_switch.flattened import Flattened
from workbench.execution.kill_switch.seizing import free_lease, seize
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.risk.halts import halted
from workbench.execution.risk.instrument import Kind, kind_of
from workbench.execution.risk.limits import KILL_BOT, Limits
from workbench.execution.risk.marks import session_for
from workbench.execution.submitter.submit import drain
from workbench.execution.trading import place_in
from workbench.market.book import Book, Position
from workbench.market.hours import Phase, next_change, phase_at
from workbench.market.order import IntentState, OrderType, OrderWish, Side, TimeInForce
from workbench.store.engine import transaction
from workbench.store.lease import Lease
from workbench.store.tables.execution import FillRow, IntentRow

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from workbench.execution.brokers.broker import Broker, BrokerPosition
    from workbench.execution.journal.intent import Intent

_WAIT = 3.0  # seconds the desk gets to send the orders before the account is taken over from it
_FIRST_LOOK, _LONGEST_LOOK = 0.25, 2.0  # seconds between two looks at what is still held
_READINGS = 5  # of the holdings, while fills are being booked beside us
_CONCESSION = Decimal("0.02")  # how far a limit outside regular hours gives way, fraction of the newest price
# Nothing but the reducing itself is asked of these orders.
_LIMITS = Limits(
    max_order_qty=Decimal(10) ** 12,
    max_order_notional=Decimal(10) ** 15,
    max_orders_per_session=10**9,
    price_collar=Decimal(1),
    max_price_age=dt.timedelta(days=36_500),
    allow_queued=True,
    allow_self_cross=True,
    one_order_per_symbol=False,
)


def flatten(
    engine: Engine,
    broker: Broker,
    account: str,
    *,
    reason: str,
    venue: str = "XNYS",
    include_foreign: bool = False,
    timeout: float = 20.0,
    clock: Callable[[], dt.datetime] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Flattened:
    """Close what the broker says is held, by reducing intents of the bot `kill`, and see them sent.

    The desk that holds the account's lease sends them. From one that does not, because it is dead or hung, the account
    is taken over after 3 s: the fencing token rises, so that whatever it wakes up to write is refused; then the account
    is reconciled and the orders are sent from here. In the regular session they are market orders, and what is still
    held when one of them is over (refused, cancelled, filled in part) gets another, until the account is flat or the
    time is over; a holding never has two at once. In an extended session they are limit orders 2 % through the newest
    price; while all is closed, market orders that the broker keeps until the open.

    Raises:
        ExchangeUnavailable, BrokerRefused: the broker's holdings cannot be read; nothing was written.
    """
    journal = Journal(engine, account) if clock is None else Journal(engine, account, clock=clock)
    until = monotonic() + timeout
    lease, taken_over = free_lease(journal), ""
    if lease is not None:
        reconcile(journal, broker, "kill", lease=lease, sleep=sleep)
    opened = _Flatten(journal, broker, venue=venue, include_foreign=include_foreign)
    opened.write(reason)
    while True:
        if lease is None and not _sent(opened, sleep=sleep, monotonic=monotonic):
            lease, taken_over = seize(journal)
            reconcile(journal, broker, "kill", lease=lease, sleep=sleep)
            if opened.refusals:
                opened.write(reason)  # what stood in the way may be booked by now
        if lease is not None:
            journal.recover(lease)
            drain(journal, broker, lease, timeout=min(timeout, 10.0), sleep=sleep)
        if not opened.more(reason, lease, until=until, sleep=sleep, monotonic=monotonic):
            break
    if lease is not None:
        lease.release()
    return opened.result(taken_over)


class _Flatten:
    """One flattening: what was found at the broker, and what was written for it."""

    def __init__(self, journal: Journal, broker: Broker, *, venue: str, include_foreign: bool) -> None:
        self.journal, self.broker, self.venue = journal, broker, venue
        self.include_foreign = include_foreign
        self.ids: list[str] = []
        self.refusals: tuple[dict[str, Any], ...] = ()
        self.foreign: dict[str, Decimal] = {}
        self.phase, self.opens = Phase.CLOSED, ""
        self.now: dt.datetime | None = None
        self.looked, self.pause = False, _FIRST_LOOK

    def write(self, reason: str) -> int:
        """Write a reducing intent for each holding that has none under way; how many were written.

        The holdings are read before the journal is locked. One of which a fill was booked in between is read again:
        what was closed meanwhile must not be closed once more.
        """
        clock = self.broker.clock()
        self.now = clock.now or self.journal.clock()
        self.phase = Phase.REGULAR if clock.is_open else phase_at(self.venue, self.now)
        self.opens = f"{next_change(self.venue, self.now)[0]:%Y-%m-%d %H:%M} UTC"
        cash, number, moved = self.broker.account().cash or Decimal(0), 0, True
        for _ in range(_READINGS):
            with transaction(self.journal.engine) as opened:
                booked = self._booked(opened)
            held = [position for position in self.broker.positions() if position.qty]
            with transaction(self.journal.engine) as opened:
                self.journal.lock(opened)
                moved = self._booked(opened) != booked
                if not moved:
                    number = self._write_in(opened, held, cash, reason)
            if not moved:
                break
        return number

    def _booked(self, opened: Session) -> tuple[int, int]:
        """How many fills of the account are booked, and how many of them were taken back."""
        question = select(func.count(), func.count(FillRow.busted_at)).where(FillRow.account == self.journal.account)
        fills, busted = opened.execute(question).one()
        return fills, busted

    def _write_in(self, opened: Session, held: list[BrokerPosition], cash: Decimal, reason: str) -> int:
        mine = select(IntentRow.symbol).where(IntentRow.account == self.journal.account).distinct()
        known = set(opened.scalars(mine))
        self.foreign = {one.symbol: one.qty for one in held if one.symbol not in known and not self.include_foreign}
        ours = [one for one in held if one.symbol not in self.foreign and one.symbol not in self._under_way(opened)]
        assert self.now is not None, "the clock was read before"
        day = session_for(self.venue, self.now)
        last = opened.scalar(
            select(func.max(IntentRow.generation)).where(
                IntentRow.account == self.journal.account,
                IntentRow.bot == KILL_BOT,
                IntentRow.session == day.isoformat(),
            )
        )
        proposal = place_in(
            opened,
            self.journal,
            [self._wish(one, reason) for one in ours],
            bot=KILL_BOT,
            session=day,
            prices={one.symbol: one.market_price for one in held if one.market_price is not None},
            book=Book(cash, {one.symbol: _position(one) for one in held}),
            limits=_LIMITS,
            generation=0 if last is None else last + 1,
        )
        self.ids += [intent.id for intent in proposal.written]
        self.refusals = proposal.refusals
        return len(proposal.written)

    def _under_way(self, opened: Session) -> set[str]:
        """The symbols that a closing order of this flattening may still close."""
        rows = opened.execute(select(IntentRow.symbol, IntentRow.state).where(IntentRow.id.in_(self.ids)))
        return {symbol for symbol, state in rows if not IntentState(state).is_end}

    def _wish(self, held: BrokerPosition, reason: str) -> OrderWish:
        """What no other order holds; where one holds everything, all of it: the broker may know better by now."""
        side = Side.SELL if held.qty > 0 else Side.BUY
        named: dict[str, Any] = {"symbol": held.symbol, "side": side, "qty": held.free or abs(held.qty)}
        named |= {"reference_price": held.market_price, "reason": f"kill: {reason}"[:500]}
        kind = kind_of(held.symbol)
        if kind is Kind.CRYPTO:
            return OrderWish(**named, time_in_force=TimeInForce.GTC)
        extended = self.phase in {Phase.PRE, Phase.AFTER, Phase.OVERNIGHT} and kind is Kind.STOCK
        whole = named["qty"] == named["qty"].to_integral_value()
        if not (extended and whole) or held.market_price is None:
            return OrderWish(**named, type=OrderType.MARKET, time_in_force=TimeInForce.DAY)
        price = held.market_price * (1 + side.sign * _CONCESSION)
        return OrderWish(
            **named,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.DAY,
            limit_price=on_tick(price, up=side is Side.BUY),
            extended_hours=True,
        )

    def intents(self) -> list[Intent]:
        """The closing orders as they are now."""
        return [self.journal.intent(name) for name in self.ids]

    def more(
        self,
        reason: str,
        lease: Lease | None,
        *,
        until: float,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
    ) -> bool:
        """In the regular session watch until nothing is held; whether another order was written that is to be sent.

        The broker's positions say what is held. Where the lease is ours nobody else books, so that is done here.
        """
        while self.phase is Phase.REGULAR and (self.ids or self.refusals) and monotonic() < until:
            if lease is not None:
                lease.renew()
                reconcile(self.journal, self.broker, "kill", lease=lease, sleep=sleep)
            held = {one.symbol for one in self.broker.positions() if one.qty} - self.foreign.keys()
            if not held:
                if lease is not None:
                    reconcile(self.journal, self.broker, "kill", lease=lease, sleep=sleep)
                return False
            with transaction(self.journal.engine) as opened:
                uncovered = held - self._under_way(opened)
            if uncovered and self.looked and self.write(reason):
                self.looked = False
                return True
            self.looked = True  # an order that was refused a moment ago gets a pause before the next one
            sleep(self.pause)
            self.pause = min(2 * self.pause, _LONGEST_LOOK)
        return False

    def result(self, taken_over: str) -> Flattened:
        """What came of it, in words too."""
        held = {one.symbol: one.qty for one in self.broker.positions() if one.qty and one.symbol not in self.foreign}
        intents = tuple(self.intents())
        words = []
        if not intents and not held:
            words.append("nothing is held")
        if intents:
            how = {
                Phase.REGULAR: "market orders",
                Phase.CLOSED: f"market orders that the broker keeps until a session opens ({self.opens})",
            }.get(self.phase, f"limit orders for the {self.phase.value} session")
            words.append(f"{len({intent.symbol for intent in intents})} holdings get closing orders: {how}")
        unsent = [intent.symbol for intent in intents if intent.state is IntentState.INTENT]
        if unsent:
            with transaction(self.journal.engine) as opened:
                halts = halted(opened, self.journal.account)
            why = "; ".join(sorted({halts.get(symbol, halts.get("*", "")) for symbol in unsent} - {""}))
            words.append(f"{', '.join(unsent)} could not be sent{f' ({why})' if why else ''} and wait in the journal")
        refused = {one.symbol: one.note for one in intents if one.state is IntentState.REJECTED and one.symbol in held}
        if refused:
            words.append("the broker refused: " + "; ".join(f"{name} ({why})" for name, why in sorted(refused.items())))
        if held:
            words.append("still held: " + ", ".join(f"{qty} {symbol}" for symbol, qty in sorted(held.items())))
        if self.refusals:
            words.append("no order for: " + "; ".join(str(row["message"]) for row in self.refusals))
        if self.foreign:
            named = ", ".join(f"{qty} {symbol}" for symbol, qty in sorted(self.foreign.items()))
            words.append(f"left alone, as no order of ours was ever for it: {named}")
        if taken_over:
            words.append(f"the account was taken over from {taken_over}")
        return Flattened(intents, self.refusals, held, self.foreign, taken_over, "; ".join(words))


def _position(held: BrokerPosition) -> Position:
    return Position(held.symbol, held.qty, held.avg_price)


def _sent(opened: _Flatten, *, sleep: Callable[[float], None], monotonic: Callable[[], float]) -> bool:
    """Whether the desk has taken every order to the broker before its time was over."""
    end = monotonic() + _WAIT
    while True:
        if not opened.refusals and all(intent.state is not IntentState.INTENT for intent in opened.intents()):
            return True
        if monotonic() >= end:
            return False
        sleep(0.05)
