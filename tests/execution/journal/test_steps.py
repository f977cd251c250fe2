"""All steps of an intent: those of the one table happen, with audit and event; every other one is impossible."""

import dataclasses
import datetime as dt
import itertools
from decimal import Decimal

import pytest
from sqlalchemy import select

from workbench.errors import StoreError
from workbench.execution.brokers.broker import BrokerOrder
from workbench.execution.journal.fast_lane import ack_plain, claim_plain
from workbench.execution.journal.forward import KNOWN, forward_to, state_of
from workbench.execution.journal.intent import load, step
from workbench.market.order import STEPS, IntentState, OrderWish, Side
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.event import EventRow
from workbench.store.tables.execution import IntentRow, OutboxRow

NOW = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
SESSION = dt.date(2015, 6, 30)
PAIRS = list(itertools.product(IntentState, IntentState))
_number = itertools.count()


def path_to(state):
    """A shortest way from INTENT to a state through the table."""
    ways = {IntentState.INTENT: []}
    queue = [IntentState.INTENT]
    while queue:
        here = queue.pop(0)
        for there in STEPS[here]:
            if there not in ways:
                ways[there] = [*ways[here], there]
                queue.append(there)
    return ways[state]


def in_state(session, state):
    """A row that has really walked there."""
    row = IntentRow(
        account=f"steps-{next(_number)}", bot="b", session="2015-06-30", symbol="A", side="buy", qty=Decimal(10),
        client_order_id=f"wb1-steps-{next(_number)}", type="market", time_in_force="day", trace_id="t",
        state=IntentState.INTENT.value, filled_qty=Decimal(0), reason="", note="",
    )  # fmt: skip
    session.add(row)
    session.flush()
    for there in path_to(state):
        step(session, row, there)
    return row


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_step_is_either_in_the_table_or_impossible_by_any_way(sqlite_engine, before, after):
    with transaction(sqlite_engine) as session:
        row = in_state(session, before)
        if before.may_become(after):
            step(session, row, after)
            assert row.state == after.value
        else:
            with pytest.raises(StoreError, match="cannot go from"):
                step(session, row, after)
            with pytest.raises(StoreError, match="cannot go from"):
                row.state = after.value
            assert row.state == before.value


@pytest.mark.parametrize("before", list(IntentState))
def test_no_word_of_the_broker_asks_for_an_impossible_step(sqlite_engine, before):
    with transaction(sqlite_engine) as session:
        for status, filled in itertools.product(sorted(KNOWN | {"teleported"}), ("0", "4", "10")):
            raw = {"id": "b", "status": status, "qty": "10", "filled_qty": filled, "side": "buy"}
            row = in_state(session, before)
            forward_to(session, row, state_of(BrokerOrder.of(raw)), at=NOW)
            assert IntentState(row.state).rank >= before.rank


def test_a_broker_that_rejects_the_rest_of_a_filled_order_has_cancelled_it(sqlite_engine):
    raw = {"id": "b", "status": "rejected", "qty": "10", "filled_qty": "4", "side": "buy"}
    with transaction(sqlite_engine) as session:
        row = in_state(session, IntentState.PARTIALLY_FILLED)
        forward_to(session, row, state_of(BrokerOrder.of(raw)), at=NOW)
        assert row.state == IntentState.CANCELED


@pytest.mark.parametrize("state", [state for state in IntentState if state is not IntentState.INTENT])
def test_every_step_leaves_an_audit_row_and_what_others_must_know_an_event(sqlite_engine, state):
    with transaction(sqlite_engine) as session:
        row = in_state(session, state)
        audits = session.scalars(select(AuditRow.action).where(AuditRow.entity_id == row.id)).all()
        kinds = session.scalars(select(EventRow.kind).where(EventRow.account == row.account)).all()
    assert set(path_to(state)) <= set(audits)
    silent = {IntentState.SENDING, IntentState.PARTIALLY_FILLED}
    told = {IntentState.ACKED: "OrderAcked", IntentState.UNKNOWN: "OrderUnknown"}
    if state not in silent:
        assert told.get(state, "OrderEnded") in kinds


def columns(journal, intent_id):
    """Everything that is stored of an intent, but for when exactly it was written."""
    clocks = {"id", "created_at", "updated_at", "client_order_id", "bot", "intent_id", "seq", "happened", "entity_id"}
    with transaction(journal.engine) as session:
        row = session.get_one(IntentRow, intent_id)
        out = session.scalars(select(OutboxRow).where(OutboxRow.intent_id == intent_id)).one()
        audits = session.scalars(select(AuditRow).where(AuditRow.entity_id == intent_id)).all()
        events = session.scalars(select(EventRow).where(EventRow.subject == row.client_order_id)).all()

        def plain(one):
            found = {c.name: getattr(one, c.name) for c in one.__table__.columns if c.name not in clocks}
            for name in ("body", "after"):
                if found.get(name):
                    found[name] = {key: value for key, value in found[name].items() if key not in clocks}
            return {name: value for name, value in found.items() if name != "subject"}

        told = sorted(map(plain, audits), key=lambda one: one["action"])
        return plain(row), plain(out), told, [plain(one) for one in events]


def test_the_short_way_leaves_behind_exactly_what_the_long_way_does(journal, lease):
    wish = OrderWish("AAPL", Side.BUY, Decimal(10), reason="why")
    stored = []
    for bot in ("long", "short"):
        (written,) = journal.write([wish], bot=bot, session=SESSION)
        (work,) = (one for one in journal.due(lease) if one.intent.id == written.intent.id)
        raw = {"id": "b1", "client_order_id": work.intent.client_order_id, "symbol": "AAPL", "side": "buy", "qty": "10",
               "filled_qty": "0", "status": "accepted", "updated_at": NOW.isoformat()}  # fmt: skip
        order = BrokerOrder.of(raw)
        if bot == "short":
            with transaction(journal.engine) as session:
                sent = claim_plain(
                    session, journal.account, outbox_id=work.outbox_id, intent=work.intent, token=lease.token,
                    now=journal.clock(),
                )  # fmt: skip
            assert sent == journal.intent(written.intent.id)
            with transaction(journal.engine) as session:
                done = ack_plain(
                    session, journal.account, outbox_id=work.outbox_id, intent=work.intent, order=order,
                    now=journal.clock(),
                )  # fmt: skip
            assert done is not None
        else:
            sent = journal._claim(work, lease, now=journal.clock(), per_minute=None).intent
            journal.mark_acked(work, dataclasses.replace(order, client_order_id=""), compare=False)
            with transaction(journal.engine) as session:
                load(session, written.intent.id).reply = raw
        stored.append(columns(journal, written.intent.id))
    (row, out, audits, events), (row_2, out_2, audits_2, events_2) = stored
    for one in (row, row_2):
        del one["reply"], one["version"]
    assert row == row_2
    assert (out, audits, events) == (out_2, audits_2, events_2)
    assert len(events) == 1
