import datetime as dt
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from workbench.errors import LeaseLost, StoreError
from workbench.execution.brokers.broker import BrokerOrder
from workbench.execution.journal.journal import Journal, without_secrets
from workbench.execution.journal.transitions import load, step
from workbench.execution.risk.halts import clear, halt
from workbench.market.order import STEPS, Fill, IntentState, OrderType, OrderWish, Side
from workbench.store.engine import transaction
from workbench.store.lease import Lease
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.execution import IntentRow, OutboxRow

SESSION = dt.date(2015, 6, 30)


def wish(symbol="AAPL", side=Side.BUY, qty="10", **more):
    return OrderWish(symbol, side, Decimal(qty), **more)


def write(journal, *wishes, **more):
    return journal.write(wishes or [wish()], bot="daily", session=SESSION, **more)


def order_of(intent, **changes):
    raw = {
        "id": f"broker-{intent.symbol}",
        "client_order_id": intent.client_order_id,
        "symbol": intent.symbol,
        "side": intent.side.value,
        "qty": str(intent.qty),
        "filled_qty": "0",
        "status": "new",
        "updated_at": "2015-06-30T20:00:06Z",
    }
    return BrokerOrder.of({**raw, **changes})


def count(journal, table):
    with transaction(journal.engine) as session:
        return session.scalar(select(func.count()).select_from(table).where(table.account == journal.account))


def sent(journal, lease):
    """One intent, written and marked as being sent."""
    write(journal)
    work = journal.next(lease)
    return work, journal.mark_sending(work, lease)


def test_a_wish_is_written_with_its_work_and_its_audit(journal, lease):
    written = write(journal, wish("AAPL"), wish("IBM", Side.SELL, "5"))
    assert [(w.intent.symbol, w.intent.state, w.existed) for w in written] == [
        ("AAPL", IntentState.INTENT, False),
        ("IBM", IntentState.INTENT, False),
    ]
    assert all(w.intent.client_order_id.startswith("wb1-daily-20150630-") for w in written)
    assert [work.intent.symbol for work in journal.due(lease)] == ["AAPL", "IBM"]
    with transaction(journal.engine) as session:
        ids = [w.intent.id for w in written]
        audit = session.scalars(select(AuditRow).where(AuditRow.entity_id.in_(ids))).all()
    assert sorted(row.entity_id for row in audit) == sorted(ids)
    assert {row.trace_id for row in audit} == {written[0].intent.trace_id}


def test_the_same_wish_again_returns_the_first_and_says_so(journal):
    first = write(journal)[0]
    again = write(journal)[0]
    assert again.existed
    assert again.differs == ""
    assert again.intent.id == first.intent.id
    assert count(journal, IntentRow) == count(journal, OutboxRow) == 1


def test_a_different_quantity_is_reported_and_not_written(journal):
    write(journal)
    again = write(journal, wish(qty="11", type=OrderType.LIMIT, limit_price=Decimal(5)))[0]
    assert again.existed
    assert "qty 10 stands, 11 was asked" in again.differs
    assert "type market stands, limit was asked" in again.differs
    assert journal.intents()[0].qty == 10


def test_two_wishes_for_a_symbol_are_two_legs_and_a_generation_is_a_second_order(journal):
    legs = write(journal, wish(qty="1"), wish(qty="2"))
    assert [(w.intent.leg, w.intent.qty) for w in legs] == [(0, 1), (1, 2)]
    second = write(journal, wish(qty="3"), generation=1)[0]
    assert not second.existed
    assert second.intent.client_order_id.endswith("-g1")
    assert len({w.intent.client_order_id for w in [*legs, second]}) == 3


def test_accounts_do_not_see_each_other(journal):
    other = Journal(journal.engine, f"{journal.account} of another", clock=journal.clock)
    write(journal)
    assert not write(other)[0].existed
    assert len(journal.intents()) == len(other.intents()) == 1


def test_a_failed_write_leaves_nothing(journal):
    with pytest.raises(Exception, match="not finite"):
        write(journal, wish("AAPL"), wish("IBM", qty="Infinity"))
    assert count(journal, IntentRow) == count(journal, OutboxRow) == 0


def test_sending_is_committed_with_attempt_moment_and_token(journal, lease, time):
    work, intent = sent(journal, lease)
    assert (intent.state, intent.attempt, intent.sent_at) == (IntentState.SENDING, 1, time.now)
    with transaction(journal.engine) as session:
        out = session.get(OutboxRow, work.outbox_id)
        assert (out.claimed_token, out.done_at) == (lease.token, None)


def test_a_lost_lease_can_neither_claim_nor_conclude(journal, lease):
    work, _ = sent(journal, lease)
    Lease.acquire(journal.engine, journal.account, "desk", clock=journal.clock)
    for late in (
        lambda: journal.due(lease),
        lambda: journal.mark_sending(work, lease),
        lambda: journal.mark_refused(work, lease, note="no"),
        lambda: journal.mark_limited(work, lease, until=journal.clock(), note="slow"),
        lambda: journal.mark_unknown(work, lease, look_at=journal.clock(), note="?"),
        lambda: journal.recover(lease),
    ):
        with pytest.raises(LeaseLost):
            late()
    assert journal.intents()[0].state is IntentState.SENDING


def test_an_ack_is_a_fact_and_needs_no_lease(journal, lease):
    work, intent = sent(journal, lease)
    Lease.acquire(journal.engine, journal.account, "desk", clock=journal.clock)
    journal.mark_acked(work, order_of(intent), compare=False)
    assert journal.intents()[0].state is IntentState.ACKED


def test_an_acked_intent_has_the_brokers_id_and_its_reply_without_secrets(journal, lease):
    work, intent = sent(journal, lease)
    order = order_of(
        intent, status="held_by_the_moon", APCA_API_SECRET_KEY="hush", nested={"secret_key": "hush", "a": 1}
    )
    applied = journal.mark_acked(work, order, compare=False)
    assert [flag.value for flag in applied.flags] == ["unknown_status"]
    acked = journal.intents()[0]
    assert (acked.state, acked.broker_order_id, acked.broker_status) == (
        IntentState.ACKED,
        "broker-AAPL",
        "held_by_the_moon",
    )
    assert "held_by_the_moon" in acked.note
    with transaction(journal.engine) as session:
        reply = session.get(IntentRow, acked.id).reply
    assert "hush" not in str(reply)
    assert reply["nested"] == {"a": 1}
    assert journal.next(lease) is None


def test_too_many_requests_sends_everything_back_to_wait(journal, lease, time):
    write(journal, wish("AAPL"), wish("IBM"))
    work = journal.next(lease)
    journal.mark_sending(work, lease)
    until = time.now + dt.timedelta(seconds=7)
    journal.mark_limited(work, lease, until=until, note="slow down")
    assert [intent.state for intent in journal.intents()] == [IntentState.INTENT, IntentState.INTENT]
    assert journal.due(lease) == []
    assert journal.next_due_at() == until
    time.sleep(7)
    assert len(journal.due(lease)) == 2


def test_what_was_being_sent_when_a_process_died_is_unknown(journal, lease):
    sent(journal, lease)
    successor = Lease.acquire(journal.engine, journal.account, "desk", clock=journal.clock)
    found = journal.recover(successor)
    assert [intent.state for intent in found] == [IntentState.UNKNOWN]
    assert [intent.state for intent in journal.unknown()] == [IntentState.UNKNOWN]
    assert journal.recover(successor) == found


def test_what_is_halted_unwanted_or_too_late_is_not_sent(journal, lease, time):
    write(journal, wish("AAPL"), wish("IBM"), wish("KO"), deadline=time.now + dt.timedelta(seconds=10))
    halted, unwanted, late = journal.due(lease)
    with transaction(journal.engine) as session:
        halt(session, journal.account, "AAPL", reason="test")
    assert journal.mark_sending(halted, lease) is None
    clear(journal.engine, journal.account, "AAPL", reason="looked at it")
    assert journal.mark_sending(halted, lease).state is IntentState.SENDING
    assert journal.ask_cancel(unwanted.intent.id).state is IntentState.CANCELED
    assert journal.mark_sending(unwanted, lease) is None
    time.sleep(11)
    assert journal.mark_sending(late, lease) is None
    assert journal.intent(late.intent.id).attempt == 0


def test_a_cancel_is_written_down_ahead_of_what_is_to_be_sent(journal, lease):
    work, intent = sent(journal, lease)
    journal.mark_acked(work, order_of(intent), compare=False)
    write(journal, wish("IBM"))
    journal.ask_cancel(intent.id)
    journal.ask_cancel(intent.id)
    assert [(due.kind, due.intent.symbol) for due in journal.due(lease)] == [("cancel", "AAPL"), ("submit", "IBM")]


def test_only_the_known_steps_are_taken(journal):
    intent = write(journal)[0].intent
    for state in IntentState:
        if state in STEPS[IntentState.INTENT] or state is IntentState.INTENT:
            continue
        with pytest.raises(StoreError, match=f"from intent to {state}"), transaction(journal.engine) as session:
            step(session, load(session, intent.id), state)
    assert journal.intent(intent.id).state is IntentState.INTENT


def test_an_unknown_intent_id_is_an_error(journal):
    with pytest.raises(StoreError, match="no intent"):
        journal.intent("nobody")
    with pytest.raises(StoreError, match="no intent"):
        journal.ask_cancel("nobody")


def test_everything_that_may_be_live_counts_at_worst_case(journal, lease):
    write(journal, wish("A"), wish("B", type=OrderType.LIMIT, limit_price=Decimal(3)), wish("C"), wish("D"), wish("E"))
    unsent, unknown, acked, refused, filled = journal.due(lease)
    for work in (unknown, acked, refused, filled):
        journal.mark_sending(work, lease)
    journal.mark_unknown(unknown, lease, look_at=journal.clock(), note="?")
    journal.mark_acked(acked, order_of(acked.intent), compare=False)
    journal.book_fill(fill_of(acked.intent, qty="4", cum="4"))
    journal.mark_refused(refused, lease, note="no")
    journal.mark_acked(filled, order_of(filled.intent, status="filled", filled_qty="10"), compare=False)
    open_orders = {order.symbol: order for order in journal.open_exposure()}
    assert {symbol: order.qty for symbol, order in open_orders.items()} == {"A": 10, "B": 10, "C": 6, "E": 10}
    assert open_orders["B"].price == 3
    journal.book_fill(fill_of(filled.intent, qty="10", cum="10"))
    assert "E" not in {order.symbol for order in journal.open_exposure()}
    assert unsent.intent.state is IntentState.INTENT


def fill_of(intent, *, qty, cum, price="2", name=None):
    return Fill(
        execution_id=name or f"{intent.symbol}-{cum}",
        broker_order_id=f"broker-{intent.symbol}",
        client_order_id="",
        symbol=intent.symbol,
        side=intent.side,
        qty=Decimal(qty),
        price=Decimal(price),
        happened=dt.datetime(2015, 7, 1, 13, 30, tzinfo=dt.UTC),
        cum_qty=Decimal(cum),
    )


def test_the_book_is_the_sum_of_the_fills(journal, lease):
    write(journal, wish("AAPL", qty="10"), wish("IBM", Side.SELL, "5"))
    for work in journal.due(lease):
        journal.mark_sending(work, lease)
        journal.mark_acked(work, order_of(work.intent), compare=False)
        journal.book_fill(fill_of(work.intent, qty=str(work.intent.qty), cum=str(work.intent.qty)))
    book = journal.book(opening_cash=Decimal(1000))
    assert book.cash == 1000 - 20 + 10
    assert {symbol: position.qty for symbol, position in book.positions.items()} == {"AAPL": 10, "IBM": -5}
    assert journal.last_activity() == "IBM-5"
    assert [fill.symbol for fill in journal.fills()] == ["AAPL", "IBM"]


def test_the_frame_of_orders_reads_like_the_journal(journal):
    write(journal, wish("AAPL"), wish("IBM", type=OrderType.LIMIT, limit_price=Decimal("3.5"), reason="because"))
    frame = journal.orders_frame(session=SESSION, bot="daily")
    assert list(frame["symbol"]) == ["AAPL", "IBM"]
    assert list(frame["state"]) == ["intent", "intent"]
    assert frame["price"].isna().all()
    assert frame["limit"].iloc[1] == 3.5
    assert frame["reason"].iloc[1] == "because"
    assert journal.orders_frame(bot="somebody else").empty
    assert list(journal.orders_frame(bot="somebody else").columns) == list(frame.columns)


def test_secrets_are_dropped_at_any_depth():
    raw = {"a": [{"Authorization": "x", "b": 1}], "APCA-API-KEY-ID": "k", "key_id": "x", "access_token": "x"}
    assert without_secrets(raw) == {"a": [{"b": 1}]}
