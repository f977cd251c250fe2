"""What others are told of orders, fills and reconciliations: in the transaction of the change, once."""

import datetime as dt
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.execution.conftest import ask_replace
from workbench import events
from workbench.execution.brokers.broker import BrokerEvent, BrokerOrder, Outcome, Reply
from workbench.execution.journal.apply import apply_event
from workbench.execution.reconciliation.discrepancy import Discrepancy, Reconciliation, store
from workbench.execution.submitter.submit import pump
from workbench.market.order import IntentState, OrderWish, Side
from workbench.store.engine import transaction
from workbench.store.tables.event import EventRow

START = dt.datetime(2015, 7, 1, 13, 30, tzinfo=dt.UTC)
SESSION = dt.date(2015, 6, 30)


def told(journal):
    """The events of the account, in their order."""
    with transaction(journal.engine) as session:
        rows = session.scalars(select(EventRow).where(EventRow.account == journal.account).order_by(EventRow.seq))
        return [events.of(row.kind, row.version, row.body) for row in rows]


@pytest.fixture
def live(journal, broker, lease):
    journal.write([OrderWish("AAPL", Side.BUY, Decimal(10))], bot="daily", session=SESSION)
    pump(journal, broker, lease)
    return journal.intents()[0]


def fill(intent, qty, cum, *, at, status="partially_filled", **more):
    raw = {
        "id": intent.broker_order_id,
        "client_order_id": intent.client_order_id,
        "symbol": "AAPL",
        "side": "buy",
        "qty": "10",
        "filled_qty": cum,
        "filled_avg_price": "7",
        "status": status,
        "updated_at": (START + dt.timedelta(seconds=at)).isoformat(),
    }
    message = {"event": "fill", "execution_id": f"x{at}", "order": raw, "timestamp": START.isoformat()}
    return BrokerEvent.of({**message, "qty": qty, "price": "7", **more})


def test_an_order_is_told_from_its_ack_to_its_end_each_fill_once(journal, live):
    for _ in range(2):
        journal.book_event(fill(live, "4", "4", at=1))
    journal.book_event(fill(live, "6", "10", at=2, status="filled"))
    kinds = [type(one).__name__ for one in told(journal)]
    assert sorted(kinds) == ["OrderAcked", "OrderEnded", "OrderFilled", "OrderFilled"]
    fills = [one for one in told(journal) if isinstance(one, events.OrderFilled)]
    assert [(one.qty, one.filled_qty, one.complete) for one in fills] == [(4, 4, False), (6, 10, True)]
    assert {one.bot for one in fills} == {"daily"}
    (end,) = [one for one in told(journal) if isinstance(one, events.OrderEnded)]
    assert (end.state, end.filled_qty, end.intent_id) == ("filled", 10, live.id)


def test_a_bust_is_told(journal, live):
    journal.book_event(fill(live, "4", "4", at=1))
    journal.book_event(fill(live, "4", "0", at=2, event="trade_bust", previous_execution_id="x1", status="new"))
    assert [one.execution_id for one in told(journal) if isinstance(one, events.FillBusted)] == ["x1"]


def test_a_refusal_is_told_in_the_brokers_words(journal, broker, lease):
    raw = {"code": 40310000}
    broker.script = [Reply(Outcome.REFUSED, None, 403, 40310000, "insufficient buying power", raw=raw)]
    journal.write([OrderWish("AAPL", Side.BUY, Decimal(10))], bot="daily", session=SESSION)
    pump(journal, broker, lease)
    (refusal,) = [one for one in told(journal) if isinstance(one, events.OrderRefused)]
    assert (refusal.by, refusal.code, refusal.symbol) == ("broker", "40310000", "AAPL")
    assert "insufficient buying power" in refusal.message


def test_silence_is_told_and_a_replacement_names_its_successor(journal, broker, lease, live):
    new = ask_replace(journal, live.id, qty=Decimal(20))
    broker.replace = lambda *_, **__: Reply(Outcome.UNKNOWN, message="ReadTimeout")
    pump(journal, broker, lease)
    assert [one.intent_id for one in told(journal) if isinstance(one, events.OrderUnknown)] == [new.id]
    raw = {**broker.live[live.client_order_id].raw, "status": "replaced", "replaced_by": "b9"}
    assert journal.book_order(BrokerOrder.of(raw)).state is IntentState.REPLACED
    (replaced,) = [one for one in told(journal) if isinstance(one, events.OrderReplaced)]
    assert (replaced.intent_id, replaced.by_intent_id) == (live.id, new.id)


def test_what_is_rolled_back_was_never_told(journal, live):
    before = told(journal)
    event = fill(live, "4", "4", at=1)
    with Session(journal.engine) as session:
        apply_event(session, journal.account, event, at=START)
        session.rollback()
    assert told(journal) == before


def test_each_discrepancy_of_a_pass_is_told_and_the_pass_itself(journal):
    found = Discrepancy("position_drift", "AAPL", None, {"qty": "3"}, "halted", "three shares too many")
    done = Reconciliation(
        id=f"r-{journal.account}"[:32], account=journal.account, occasion="periodic", discrepancies=(found,), orders=0,
        positions=1, fills=0, cash=None, equity=None, buying_power=None, started_at=START,
    )  # fmt: skip
    with transaction(journal.engine) as session:
        store(session, done, cash_basis=None)
    discrepancy, reconciled = told(journal)
    assert (discrepancy.what, discrepancy.about, discrepancy.action) == ("position_drift", "AAPL", "halted")
    assert (reconciled.clean, reconciled.discrepancies, reconciled.occasion) == (False, 1, "periodic")
