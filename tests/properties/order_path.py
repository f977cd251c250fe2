"""The state machine of the order path: what may happen between a wish and a booked fill, and what always holds.

The real journal, submitter, bookings and reconciliation run against an exchange in memory that is allowed everything a
real one does.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from collections import Counter
from decimal import Decimal

from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from sqlalchemy import select

from tests.properties.exchange_double import ZERO, ExchangeDouble, Killed, event_of
from workbench.errors import ExecutionError, ParameterError
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.replacement import replace_order
from workbench.execution.risk.halts import halted
from workbench.execution.risk.limits import Limits
from workbench.execution.submitter.submit import Pace, drain, pump
from workbench.market.order import IntentState, OrderType, OrderWish, Side, TimeInForce
from workbench.store.engine import transaction
from workbench.store.lease import Lease
from workbench.store.tables.execution import PositionRow

NOW = dt.datetime(2015, 6, 30, 14, tzinfo=dt.UTC)
SESSION = dt.date(2015, 6, 30)
PACE = Pace(lookups=(1.0, 2.0, 4.0), again=5.0, watch_every=10.0, limited=3.0)
FATES = (
    "placed",
    "refused",
    "limited",
    "lost before",
    "lost after",
    "late",
    "dies before",
    "dies after",
    "unknown status",
)
WISHES = some.tuples(
    some.sampled_from(["AAA", "BBB"]), some.sampled_from(Side), some.integers(1, 4), some.sampled_from([None, None, 1])
)
TOLD = some.sampled_from(["now", "twice", "later", "never"])
NUMBER, FATE = some.integers(0, 9), some.lists(some.sampled_from(FATES), max_size=4)
# What may happen: how often compared with the rest, and with what.
STEPS = {
    "wish_and_work": (4, {"wishes": some.lists(WISHES, min_size=1, max_size=3), "fates": FATE}),
    "work_on": (3, {"fates": FATE, "seconds": some.sampled_from([0, 1, 3, 10])}),
    "wait": (1, {"seconds": some.sampled_from([1, 3, 70, 40 * 3600])}),
    "ask_cancel": (1, {"number": NUMBER}),
    "ask_replace": (3, {"number": NUMBER, "qty": some.sampled_from([None, None, 2, 5, 9])}),
    "kill": (1, {}),
    "reconnect": (1, {}),
    "fill": (5, {"number": NUMBER, "part": some.booleans(), "told": TOLD}),
    "end": (2, {"number": NUMBER, "status": some.sampled_from(["expired", "canceled"]), "told": TOLD}),
    "bust": (2, {"number": NUMBER}),
    "trade_by_hand": (1, {"qty": some.integers(1, 3)}),
    "arrive_late": (1, {"number": NUMBER}),
    "break_look_ups": (1, {"hidden": some.integers(0, 4), "deaf": some.integers(0, 4)}),
    "deliver": (3, {"numbers": some.lists(NUMBER, min_size=1, max_size=4), "keep": some.booleans()}),
}
STEP = some.sampled_from([name for name, (often, _) in STEPS.items() for _ in range(often)]).flatmap(
    lambda name: some.tuples(some.just(name), some.fixed_dictionaries(STEPS[name][1]))
)
LIVE = (IntentState.ACKED, IntentState.PARTIALLY_FILLED)
CENT = Decimal("0.01")
MOST = 8  # shares of one symbol that a replacement may bring a holding to
LIMITS = Limits(
    allow_short=True, max_position_fraction=10**6, max_gross_exposure=10**6, price_collar=9, allow_self_cross=True
)
FOREIGN = "HAND"
NETWORKS_MEMORY = 3600  # seconds: a request that was on its way for longer is not on its way any more
account_numbers = itertools.count(1)


class Time:
    """A clock that stands still until it is moved; `sleep` moves it."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += dt.timedelta(seconds=seconds)


class OrderPath(RuleBasedStateMachine):
    """Everything that can happen between a wish and a booked fill. Subclasses plant a mistake."""

    engine = None
    journal_type = Journal
    exchange_type = ExchangeDouble

    @initialize()
    def open_an_account(self):
        self.time = Time()
        self.account = f"machine-{next(account_numbers)}"
        self.exchange = self.exchange_type(self.time)
        self.busted = set()
        self.wishes = 0
        self.hand_orders = set()
        self.start()

    def start(self):
        """A process begins: nothing of the former one is left but the database."""
        self.journal = self.journal_type(self.engine, self.account, clock=self.time)
        self.lease = Lease.acquire(self.engine, self.account, "desk", ttl=dt.timedelta(days=365), clock=self.time)
        self.journal.recover(self.lease)

    @rule(step=STEP)
    def happens(self, step):
        """One thing happens; see `STEPS` for which, how often, and with what."""
        name, arguments = step
        getattr(self, name)(**arguments)

    # --- what the owner does

    def wish_and_work(self, wishes, fates):
        """Each wish has a price of its own, which marks its orders at the exchange, whatever their id."""
        for symbol, side, qty, minutes in wishes:
            self.wishes += 1
            price = Decimal(100 + self.wishes)
            asked = OrderWish(symbol, side, Decimal(qty), OrderType.LIMIT, TimeInForce.GTC, limit_price=price)
            deadline = None if minutes is None else self.time() + dt.timedelta(minutes=minutes)
            self.journal.write([asked], bot=f"bot{self.wishes}", session=SESSION, deadline=deadline)
        self.work(fates)

    def work_on(self, fates, seconds):
        self.time.sleep(seconds)
        self.work(fates)

    def work(self, fates):
        self.exchange.fates.extend(fates)
        self.run_pump()

    def wait(self, seconds):
        if seconds > NETWORKS_MEMORY:
            self.requests_arrive()
        self.time.sleep(seconds)
        self.run_pump()

    def ask_cancel(self, number):
        intents = self.journal.intents()
        if intents:
            self.journal.ask_cancel(intents[number % len(intents)].id)

    def ask_replace(self, number, qty):
        """Of any intent, now and then twice before it is sent: some may not be replaced, and some not so far."""
        states = None if not number else (*LIVE, IntentState.INTENT)
        intents = [one for one in self.journal.intents(states=states) if one.limit_price is not None]
        for name in [intents[number % len(intents)].id] if intents else []:
            new = self.replace(name, None if qty is None else Decimal(qty))
            if new is not None and number % 2:
                self.replace(new.id, Decimal(qty or 3) + 1)
        self.run_pump()

    def replace(self, intent_id, total):
        """Ask for another order in the place of one; the new intent, None when it may not be."""
        intent = self.journal.intent(intent_id)
        book = self.journal.book(opening_cash=Decimal(10) ** 9)
        before = self.reach(book, intent)
        done = None
        with contextlib.suppress(ExecutionError, ParameterError):
            done = self.held_against_limits(intent, book, {"qty": total, "limit_price": intent.limit_price + CENT})
        if done is None:
            return None
        if done.refusals:
            assert self.reach(book, intent) == before, "a refused replacement leaves everything as it was"
            return None
        # Until the broker answers, risk counts the whole total, what has filled of it included.
        (new,) = done.written
        filled = self.journal.intent(new.replaces_id).filled_qty
        after = self.reach(book, intent)
        assert after <= max(MOST, before) + filled, f"a replacement let a holding come from {before} to {after}"
        return new

    def held_against_limits(self, intent, book, changes):
        price = changes["limit_price"]
        limits = LIMITS.model_copy(update={"max_position_notional": MOST * price})
        newest = dict.fromkeys(("AAA", "BBB"), price)
        return replace_order(self.journal, intent.id, prices=newest, book=book, limits=limits, **changes)

    def reach(self, book, intent):
        """How far from zero a holding can come on the side of an order."""
        side, counted, seen = intent.side, ZERO, {}
        for order in self.journal.open_exposure():
            if (order.symbol, order.side) == (intent.symbol, side):
                more = order.qty if not order.group else max(order.qty - seen.get(order.group, ZERO), ZERO)
                seen[order.group] = seen.get(order.group, ZERO) + more
                counted += more
        held = book.positions[intent.symbol].qty if intent.symbol in book.positions else ZERO
        return abs(held + side.sign * counted)

    def kill(self):
        self.start()

    def reconnect(self):
        self.reconcile("connect")

    # --- what the exchange and the network do

    def fill(self, number, part, told):
        live = [order for order in self.exchange.open_ones() if order.leaves]
        if live:
            order = live[number % len(live)]
            self.exchange.fill(order, Decimal(1) if part else order.leaves)
            self.tell(told)

    def end(self, number, status, told):
        """Cancels come true first; an order that nobody cancelled may expire."""
        live = self.exchange.open_ones()
        asked = [order for order in live if order.status == "pending_cancel"]
        if asked:
            self.exchange.end(asked[number % len(asked)], "canceled")
            self.tell(told)
        elif live and number < 3:
            self.exchange.end(live[number % len(live)], status)
            self.tell(told)

    def tell(self, told):
        """The newest event: now, twice now, later among others, or never."""
        newest = event_of(self.exchange.events[-1])
        for _ in range({"now": 1, "twice": 2}.get(told, 0)):
            self.journal.book_event(newest)
        if told != "later":
            self.exchange.events.pop()

    def bust(self, number):
        over = [one for one in self.exchange.executions if not one.busted and not one.order.is_open]
        over = [one for one in over if one.order.symbol != FOREIGN]
        if over and number < 7:
            one = over[number % len(over)]
            self.exchange.bust(one)
            self.busted.add(one.order.symbol)

    def trade_by_hand(self, qty):
        if len(self.hand_orders) < 2:
            self.hand_orders.add(self.exchange.place_foreign(FOREIGN, Decimal(qty)).id)

    def arrive_late(self, number):
        if self.exchange.on_the_way:
            self.exchange.arrive(self.exchange.on_the_way.pop(number % len(self.exchange.on_the_way)))

    def break_look_ups(self, hidden, deaf):
        self.exchange.hidden, self.exchange.deaf = hidden, deaf

    def deliver(self, numbers, keep):
        """Events in any order; a kept one comes again later."""
        for number in numbers:
            if self.exchange.events:
                place = number % len(self.exchange.events)
                told = self.exchange.events[place] if keep else self.exchange.events.pop(place)
                self.journal.book_event(event_of(told))

    # --- what always holds

    @invariant()
    def no_wish_has_two_orders(self):
        if hasattr(self, "exchange"):
            ours = [order for order in self.exchange.orders.values() if order.symbol != FOREIGN]
            counts = Counter(order.limit_price for order in ours if order.replaces is None)
            assert all(count == 1 for count in counts.values()), counts
            live = Counter(order.limit_price.to_integral_value() for order in ours if order.is_open)
            assert all(count == 1 for count in live.values()), live

    @invariant()
    def risk_counts_at_least_what_may_happen(self):
        if not hasattr(self, "exchange"):
            return
        counted = Counter()
        for order in self.journal.open_exposure():
            counted[order.symbol, str(order.side)] += order.qty
        booked = Counter()
        for fill in self.journal.fills():
            booked[fill.broker_order_id] += fill.qty
        may_happen = Counter()
        for order in self.exchange.orders.values():
            if order.symbol not in {FOREIGN, *self.busted}:
                open_qty = order.leaves + order.filled - booked[order.id]
                may_happen[order.symbol, order.side] += max(open_qty, ZERO)
        known = {order.client_order_id for order in self.exchange.orders.values()}
        waiting = {order.client_order_id: order for order in self.exchange.on_the_way}
        for name, order in waiting.items():
            if name not in known:
                may_happen[order.symbol, str(order.side)] += order.qty
        for key, qty in may_happen.items():
            assert counted[key] >= qty, f"{key}: {counted[key]} is counted, {qty} may happen\n{self.journal.intents()}"

    @invariant()
    def what_others_do_is_not_touched(self):
        if hasattr(self, "exchange"):
            assert not self.hand_orders & set(self.exchange.cancelled)

    def teardown(self):
        if hasattr(self, "exchange"):
            self.come_to_rest()
            self.no_wish_has_two_orders()
            self.books_equal_the_exchange()

    def come_to_rest(self):
        """The network heals, requests arrive, the owner's process runs on. Events that are left are lost for good."""
        exchange = self.exchange
        exchange.fates.clear()
        exchange.hidden = exchange.deaf = 0
        self.requests_arrive()
        self.start()
        self.reconcile("start")
        drain(self.journal, exchange, self.lease, pace=PACE, timeout=25, sleep=self.time.sleep)
        for order in exchange.open_ones():
            if order.status == "pending_cancel":
                exchange.end(order, "canceled")
        exchange.events.clear()
        self.reconcile("close")

    def books_equal_the_exchange(self):
        theirs, ours = Counter(), Counter()
        for one in self.exchange.executions:
            if not one.busted and one.order.symbol not in {FOREIGN, *self.busted}:
                theirs[one.order.id, one.price] += one.qty
        for fill in self.journal.fills():
            if fill.symbol not in self.busted:
                ours[fill.broker_order_id, fill.price] += fill.qty
        assert ours == theirs
        held = self.exchange.holdings()
        book = {symbol: position.qty for symbol, position in self.journal.book().positions.items() if position.qty}
        certain = {"AAA", "BBB"} - self.busted
        assert {symbol: qty for symbol, qty in book.items() if symbol in certain} == {
            symbol: qty for symbol, qty in held.items() if symbol in certain
        }
        with transaction(self.engine) as session:
            rows = session.scalars(select(PositionRow).where(PositionRow.account == self.account)).all()
            stopped = set(halted(session, self.account))
        assert {row.symbol: row.qty for row in rows if row.qty} == held, "positions are the broker's, always"
        # Nothing may trade on whose holding is not explained, and nothing else is stopped.
        unexplained = {row.symbol for row in rows if row.unexplained} - {FOREIGN}  # never ours: left alone
        assert unexplained <= stopped, (unexplained, stopped)
        assert stopped <= {FOREIGN, *self.busted}, stopped
        gave_up = {intent.state for intent in self.journal.unknown()} - {IntentState.UNKNOWN_EXPIRED}
        blocked = {intent.symbol for intent in self.journal.unknown()} & stopped
        assert not gave_up or blocked, "an order of unknown fate was left behind"

    # --- doing

    def requests_arrive(self):
        """What a network has held back arrives at last, and what was hidden is seen."""
        self.exchange.hidden = 0
        while self.exchange.on_the_way:
            self.exchange.arrive(self.exchange.on_the_way.pop())

    def run_pump(self):
        try:
            pump(self.journal, self.exchange, self.lease, pace=PACE)
        except Killed:
            self.start()

    def reconcile(self, occasion):
        self.exchange.deaf = 0
        reconcile(self.journal, self.exchange, occasion, lease=self.lease, sleep=self.time.sleep)
