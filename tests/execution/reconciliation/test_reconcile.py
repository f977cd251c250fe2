import dataclasses
import datetime as dt
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from workbench.errors import ExchangeUnavailable, LeaseLost
from workbench.execution.brokers.broker import BrokerAccount, BrokerClock, BrokerOrder, BrokerPosition
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.positions import book_of, enriched
from workbench.execution.reconciliation.reconcile import PAUSES, reconcile
from workbench.execution.risk.halts import clear, halted
from workbench.market.order import Fill, IntentState, OrderClass, OrderWish, Side, client_order_id
from workbench.store.engine import transaction
from workbench.store.lease import Lease
from workbench.store.tables.execution import (
    DiscrepancyRow,
    FillRow,
    IntentRow,
    OutboxRow,
    PositionRow,
    ReconciliationRow,
)
from workbench.trace import tracing

START = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
DAY = dt.date(2015, 6, 30)


class Book:
    """A broker in memory, driven by hand: what it says is what the test has put here."""

    name = "paper"

    def __init__(self):
        self.cash, self.number, self.now, self.flags = Decimal(100_000), "PA1", START, {}
        self.known, self.fills, self.held, self.asked, self.failing = {}, [], {}, [], False

    def place(self, intent, **changes):
        order = BrokerOrder(
            id=f"b-{intent.client_order_id}",
            client_order_id=intent.client_order_id,
            symbol=intent.symbol,
            side=intent.side,
            qty=intent.qty,
            filled_qty=Decimal(0),
            avg_price=None,
            status="new",
            updated_at=self._tick(),
        )
        return self._keep(dataclasses.replace(order, **changes))

    def foreign(self, symbol="TSLA", qty=5, **changes):
        order = BrokerOrder(
            f"f{len(self.known)}", f"their-{len(self.known)}", symbol, Side.BUY, Decimal(qty), Decimal(0), None, "new",
            self._tick(),
        )  # fmt: skip
        return self._keep(dataclasses.replace(order, **changes))

    def fill(self, order, qty, price, *, report=True):
        qty, price = Decimal(qty), Decimal(price)
        total = order.filled_qty + qty
        status = "filled" if total == order.qty else "partially_filled"
        paid = (order.avg_price or Decimal(0)) * order.filled_qty + qty * price
        now = self._keep(
            dataclasses.replace(order, filled_qty=total, avg_price=paid / total, status=status, updated_at=self._tick())
        )
        signed = order.side.sign * qty
        self.cash -= signed * price
        self.held[order.symbol] = self.held.get(order.symbol, Decimal(0)) + signed
        made = Fill(
            f"a{len(self.fills):04}", order.id, "", order.symbol, order.side, qty, price, self.now, cum_qty=total
        )
        if report:
            self.fills.append(made)
        return now, made

    def end(self, order, status):
        return self._keep(dataclasses.replace(order, status=status, updated_at=self._tick()))

    def clock(self):
        self._asked("clock")
        return BrokerClock(self.now, False, None, None)

    def account(self):
        return BrokerAccount(self.number, self.cash, self.cash, 2 * self.cash, raw=self.flags)

    def positions(self):
        return [BrokerPosition(n, q, Decimal(10), Decimal(11), q) for n, q in self.held.items() if q]

    def open_orders(self):
        return [order for order in self.known.values() if order.is_open]

    def orders_since(self, moment):
        self._asked(("since", moment))
        return [order for order in self.known.values() if order.updated_at > moment]

    def fills_since(self, activity_id=None, *, after=None):
        return [fill for fill in self.fills if after is None or fill.happened > after]

    def order(self, broker_order_id):
        return self.known.get(broker_order_id)

    def order_by_client_id(self, client_order_id):
        return next((o for o in self.known.values() if o.client_order_id == client_order_id), None)

    def _asked(self, what):
        if self.failing:
            raise ExchangeUnavailable("nobody answers")
        self.asked.append(what)

    def _tick(self):
        self.now += dt.timedelta(seconds=1)
        return self.now

    def _keep(self, order):
        self.known[order.id] = order
        return order


@pytest.fixture
def broker():
    return Book()


@pytest.fixture
def journal(engine):
    return Journal(engine, "paper")


@pytest.fixture
def look(journal, broker):
    def once(occasion="periodic", **more):
        return reconcile(journal, broker, occasion, **{"sleep": lambda _: None, **more})

    return once


def wish(symbol="AAPL", qty=10, side=Side.BUY):
    return OrderWish(symbol=symbol, side=side, qty=Decimal(qty), reference_price=Decimal(10))


def write(journal, *wishes, bot="bot"):
    return [one.intent for one in journal.write(wishes or [wish()], bot=bot, session=DAY)]


def kinds(result):
    return [(found.kind, found.action) for found in result.discrepancies]


def stored(engine, kind):
    with transaction(engine) as session:
        return session.scalars(select(kind)).all()


def test_an_empty_account_is_clean_and_the_pass_is_stored(engine, look):
    result = look("start")
    assert result.clean
    assert "clean" in repr(result)
    (row,) = stored(engine, ReconciliationRow)
    assert (row.clean, row.occasion, row.cash, row.account_number) == (True, "start", Decimal(100_000), "PA1")
    assert book_of(engine, "paper").cash == 100_000


def test_what_happened_while_nobody_looked_is_taken_over_and_the_second_pass_is_clean(engine, journal, broker, look):
    look("start")
    with tracing("a" * 32):
        buy, sell = write(journal, wish("AAPL"), wish("MSFT"))
    order, fill = broker.fill(broker.place(buy), 10, "10.5")
    broker.end(broker.place(sell), "canceled")
    result = look("connect")
    assert kinds(result) == [("order_closed", "closed"), ("order_closed", "closed"), ("fill_missing_here", "inserted")]
    assert result.discrepancies[0].theirs["filled_qty"] == "10"
    assert [journal.intent(one.id).state for one in (buy, sell)] == [IntentState.FILLED, IntentState.CANCELED]
    again = look()
    assert again.clean, again
    (booked,) = stored(engine, FillRow)
    assert (booked.qty, booked.price, booked.activity_id) == (10, Decimal("10.5"), fill.execution_id)
    assert booked.trace_id == "a" * 32
    assert order.status == "filled"
    book = book_of(engine, "paper")
    assert (book.cash, book.positions["AAPL"].qty) == (Decimal(99_895), 10)
    frame = enriched(engine, "paper")
    assert frame.loc["AAPL", "strategy"] == "bot"
    assert (frame.loc["AAPL", "source"], frame.loc["AAPL", "qty"]) == ("workbench", 10)
    with transaction(engine) as session:
        assert session.scalar(select(func.count()).select_from(DiscrepancyRow)) == 3


def test_an_order_sent_without_an_answer_is_found_by_its_id(journal, broker, look):
    (intent,) = write(journal)
    lease = Lease.acquire(journal.engine, "account:paper", "me")
    journal.mark_sending(journal.next(lease), lease)
    broker.place(intent)
    broker.orders_since = lambda _: []
    broker.open_orders = list
    assert kinds(look()) == [("order_state", "updated")]
    assert journal.intent(intent.id).state is IntentState.ACKED
    assert look().clean


def test_an_order_that_was_never_acknowledged_is_left_to_the_submitter(journal, look):
    (intent,) = write(journal)
    lease = Lease.acquire(journal.engine, "account:paper", "me")
    journal.mark_sending(journal.next(lease), lease)
    assert look().clean
    assert journal.intent(intent.id).state is IntentState.SENDING


def test_a_foreign_order_is_reported_once_and_not_touched(engine, broker, look):
    order = broker.foreign()
    first = look("start")
    assert kinds(first) == [("foreign_order", "reported")]
    assert broker.known[order.id] is order
    assert look().clean
    assert stored(engine, IntentRow) == []
    old = broker.foreign(status="filled")
    assert kinds(look()) == [("foreign_order", "reported")]
    assert old.id in {row.subject for row in stored(engine, DiscrepancyRow)}


def test_an_order_of_ours_that_the_journal_lost_is_adopted(engine, broker, look):
    name = client_order_id(account="paper", bot="bot", session=DAY, symbol="AAPL", leg=1)
    lost = dataclasses.replace(broker.foreign("AAPL", 7), client_order_id=name)
    broker.fill(lost, 7, 10)
    look_alike = broker.foreign("MSFT", 3, client_order_id=name.replace("-g0", "-g1"))
    result = look("start")
    assert kinds(result) == [
        ("order_missing_here", "inserted"),
        ("order_closed", "closed"),
        ("foreign_order", "reported"),
        ("fill_missing_here", "inserted"),
    ]
    (row,) = stored(engine, IntentRow)
    assert (row.bot, row.session, row.symbol, row.leg, row.qty, row.state) == (
        "bot", "2015-06-30", "AAPL", 1, 7, "filled",
    )  # fmt: skip
    assert stored(engine, OutboxRow) == []  # it is at the broker: nothing is sent again
    assert look_alike.client_order_id not in {row.client_order_id for row in stored(engine, IntentRow)}
    assert look().clean


def test_a_drift_that_no_fill_explains_halts_the_symbol_and_invents_nothing(engine, journal, broker, look):
    (intent,) = write(journal)
    broker.fill(broker.place(intent), 10, 10)
    look("start")
    broker.held["AAPL"] += 3
    result = look()
    assert kinds(result) == [("position_drift", "halted")]
    assert result.discrepancies[0].ours == {"qty": "10"}
    assert result.discrepancies[0].theirs == {"qty": "13"}
    assert "AAPL is halted" in repr(result)
    assert len(stored(engine, FillRow)) == 1
    assert enriched(engine, "paper").loc["AAPL", ["qty", "source"]].tolist() == [13, "mixed"]
    assert "13" in enriched(engine, "paper").loc["AAPL", "halted"]
    with transaction(engine) as session:
        assert list(halted(session, "paper")) == ["AAPL"]
    assert look().clean
    assert book_of(engine, "paper").positions["AAPL"].qty == 13
    broker.held["AAPL"] -= 3
    assert kinds(look()) == [("position_drift", "halted")]
    assert clear(engine, "paper", "AAPL", reason="a transfer, taken back") == 1
    with transaction(engine) as session:
        assert halted(session, "paper") == {}


def test_a_holding_we_had_nothing_to_do_with_is_reported_and_left_alone(engine, broker, look):
    broker.held["OLD"] = Decimal(4)
    assert kinds(look("start")) == [("foreign_position", "reported")]
    assert look().clean
    with transaction(engine) as session:
        assert halted(session, "paper") == {}
    assert enriched(engine, "paper").loc["OLD", "source"] == "foreign"
    assert book_of(engine, "paper").positions["OLD"].qty == 4


def test_a_fill_on_its_way_is_no_drift_and_is_booked_when_it_arrives(engine, journal, broker, look):
    look("start")
    (intent,) = write(journal)
    _, fill = broker.fill(broker.place(intent), 10, 10, report=False)
    slept = []
    result = look(sleep=slept.append)
    assert tuple(slept) == PAUSES
    assert kinds(result) == [("order_closed", "closed"), ("fill_not_reported", "reported")]
    with transaction(engine) as session:
        assert halted(session, "paper") == {}
    assert stored(engine, FillRow) == []
    assert kinds(look()) == [("fill_not_reported", "reported")]
    broker.fills.append(fill)
    assert kinds(look()) == [("fill_missing_here", "inserted")]
    assert look().clean
    assert book_of(engine, "paper").cash == 99_900


def test_a_torn_reading_is_read_again_before_anything_is_said(journal, broker, look):
    (intent,) = write(journal)
    order = broker.place(intent)
    look("start")
    positions = broker.positions
    calls = []

    def torn():
        calls.append(1)
        held = positions()
        if len(calls) == 1:  # the fill comes between the positions and the activities
            broker.fill(order, 10, 10)
        return held

    broker.positions = torn
    assert kinds(look()) == [("order_closed", "closed"), ("fill_missing_here", "inserted")]
    assert len(calls) == 2
    assert look().clean


def test_an_acknowledged_order_that_the_broker_lost_halts_its_symbol(journal, broker, look):
    (intent,) = write(journal)
    order = broker.place(intent)
    look("start")
    del broker.known[order.id]
    assert kinds(look()) == [("order_missing_there", "halted")]
    assert journal.intent(intent.id).state is IntentState.ACKED  # never guessed
    assert look().clean


def test_cash_that_moved_without_a_fill_is_said(engine, broker, look):
    look("start")
    broker.cash += Decimal("12.34")
    result = look()
    assert kinds(result) == [("cash", "reported")]
    assert "+12.34" in result.discrepancies[0].detail
    assert book_of(engine, "paper").cash == Decimal("100012.34")
    assert look().clean


def test_the_keys_of_another_account_let_nothing_in(engine, journal, broker, look):
    (intent,) = write(journal)
    broker.place(intent)
    look("start")
    broker.number = "PA2"
    broker.fill(broker.known[f"b-{intent.client_order_id}"], 10, 10)
    for _ in range(2):
        assert kinds(look()) == [("other_account", "halted")]
    assert stored(engine, FillRow) == []
    with transaction(engine) as session:
        assert "PA2" in halted(session, "paper")["*"]
    broker.number = "PA1"
    assert ("fill_missing_here", "inserted") in kinds(look())


def test_a_blocked_account_is_halted(engine, broker, look):
    broker.flags = {"trading_blocked": True, "account_blocked": False}
    assert kinds(look("start")) == [("account_blocked", "halted")]
    assert look().clean
    with transaction(engine) as session:
        assert "trading_blocked" in halted(session, "paper")["*"]


def test_an_order_given_up_is_cancelled_on_sight(engine, journal, broker, look):
    (intent,) = write(journal)
    lease = Lease.acquire(engine, "account:paper", "me")
    work = journal.next(lease)
    journal.mark_sending(work, lease)
    journal.mark_unknown(work, lease, look_at=journal.clock(), note="no word")
    journal.mark_given_up(work, lease, look_at=journal.clock(), note="given up")
    broker.place(intent)
    assert kinds(look()) == [("order_state", "cancelling")]
    assert {row.kind for row in stored(engine, OutboxRow)} == {"submit", "cancel"}


def test_the_second_reading_starts_a_day_before_the_last_one(broker, look):
    look("start")
    seen = broker.now
    look()
    since = [what[1] for what in broker.asked if isinstance(what, tuple)]
    assert since[0].year == 1980
    assert since[-1] == seen - dt.timedelta(days=1)


def test_an_unreachable_broker_concludes_nothing(engine, broker, look):
    broker.failing = True
    with pytest.raises(ExchangeUnavailable):
        look("start")
    assert stored(engine, ReconciliationRow) == []


def test_without_the_lease_nothing_is_written(engine, journal, broker, look):
    now = [START]
    lease = Lease.acquire(engine, "account:paper", "old", clock=lambda: now[0])
    now[0] += dt.timedelta(minutes=5)
    assert Lease.acquire(engine, "account:paper", "new", clock=lambda: now[0])
    (intent,) = write(journal)
    broker.fill(broker.place(intent), 10, 10)
    with pytest.raises(LeaseLost):
        look("periodic", lease=lease)
    assert stored(engine, FillRow) == []
    assert stored(engine, PositionRow) == []


def test_a_closed_holding_keeps_its_profit_and_its_end(engine, journal, broker, look):
    buy, sell = (
        *write(journal, bot="buyer"),
        *write(journal, wish(side=Side.SELL), bot="seller"),
    )
    broker.fill(broker.place(buy), 10, 10)
    look("start")
    broker.fill(broker.place(sell), 10, 12)
    look()
    assert enriched(engine, "paper").empty
    frame = enriched(engine, "paper", closed=True)
    assert frame.loc["AAPL", "realized"] == 20
    assert frame.loc["AAPL", "closed_at"] == broker.now
    assert frame.loc["AAPL", "strategy"] == "buyer"


@pytest.mark.parametrize("case", [(20, "5", "2-for-1 split"), (15, "7", ""), (5, "20", "1-for-2 split")])
def test_a_drift_that_looks_like_a_split_says_so_and_still_halts(journal, broker, look, case):
    held, price, says = case
    broker.fill(broker.place(write(journal)[0]), 10, 10)
    look("start")
    look()
    broker.positions = lambda: [BrokerPosition("AAPL", Decimal(held), Decimal(price), None, None)]
    drift = next(found for found in look().discrepancies if found.kind == "position_drift")
    assert ("looks like" in drift.detail) == bool(says)
    assert says in drift.detail
    with transaction(journal.engine) as session:
        assert "AAPL" in halted(session, "paper")


def test_the_exits_of_a_bracket_are_found_through_it_and_are_not_foreign(journal, broker, look):
    (intent,) = journal.write(
        [dataclasses.replace(wish(), order_class=OrderClass.BRACKET, take_profit_price=Decimal(12))],
        bot="bot",
        session=DAY,
    )
    lease = Lease.acquire(journal.engine, "account:paper", "me")
    journal.mark_sending(journal.next(lease), lease)
    profit = broker.foreign("AAPL", 10, id="tp", side=Side.SELL, type="limit", limit_price=Decimal(12))
    broker.place(intent.intent, legs=(profit,), order_class="bracket")
    seen = kinds(look("start"))
    assert ("leg_missing_here", "inserted") in seen
    assert "foreign_order" not in {kind for kind, _ in seen}
    assert {one.role for one in journal.intents()} == {"", "take_profit"}
    assert look().clean
    broker.end(profit, "canceled")
    assert kinds(look()) == [("order_closed", "closed")]


def test_options_move_a_hundred_times_their_price(journal, broker, look):
    call = "AAPL150717C00100000"
    look("start")
    (intent,) = write(journal, wish(call, 2))
    order, _ = broker.fill(broker.place(intent), 2, "1.50")
    broker.cash -= Decimal(297)  # the contract counts a hundred shares
    assert order.status == "filled"
    assert "cash" not in {kind for kind, _ in kinds(look())}
    assert book_of(journal.engine, "paper").cash == 100_000 - 300


def test_many_orders_are_compared_in_parts(journal, broker, look):
    wishes = [wish(f"S{number:03d}") for number in range(620)]
    for intent in write(journal, *wishes):
        broker.place(intent)
    first = look("start")
    assert (len(first.discrepancies), first.orders) == (620, 620)
    assert look().clean
