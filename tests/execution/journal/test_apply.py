import datetime as dt
import itertools
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import StoreError
from workbench.execution.brokers.broker import BrokerEvent, BrokerOrder, fill_of_activity
from workbench.execution.journal.apply import Flag, apply_fill
from workbench.execution.journal.journal import Journal
from workbench.execution.journal.transitions import step
from workbench.execution.risk.halts import halted
from workbench.market.order import Fill, IntentState, OrderType, OrderWish, Side
from workbench.store.engine import transaction
from workbench.store.tables.audit import AuditRow
from workbench.store.tables.execution import FillRow, IntentRow

START = dt.datetime(2015, 7, 1, 13, 30, tzinfo=dt.UTC)
SESSION = dt.date(2015, 6, 30)


def sending(journal, lease, qty="100", symbol="AAPL", session=SESSION, **more):
    """One intent, SENDING."""
    journal.write([OrderWish(symbol, Side.BUY, Decimal(qty), **more)], bot="daily", session=session)
    return journal.mark_sending(journal.due(lease)[-1], lease)


def raw_order(intent, *, status="new", filled="0", at=0, **changes):
    return {
        "id": "b1",
        "client_order_id": intent.client_order_id,
        "symbol": intent.symbol,
        "side": "buy",
        "qty": str(intent.qty),
        "filled_qty": filled,
        "filled_avg_price": "2" if Decimal(filled) else None,
        "status": status,
        "updated_at": (START + dt.timedelta(seconds=at)).isoformat(),
        **changes,
    }


def order(intent, **changes):
    return BrokerOrder.of(raw_order(intent, **changes))


def event(intent, kind, *, at, qty=None, price="2", name=None, **changes):
    message = {
        "event": kind,
        "execution_id": name or f"x{at}",
        "order": raw_order(intent, at=at, **changes),
        "timestamp": (START + dt.timedelta(seconds=at)).isoformat(),
    }
    return BrokerEvent.of(message | ({} if qty is None else {"qty": qty, "price": price}))


def activity(*, at, qty, cum, price="2", name=None):
    return fill_of_activity(
        {
            "id": f"2015070113300{at}000::{name or f'y{at}'}",
            "order_id": "b1",
            "symbol": "AAPL",
            "side": "buy",
            "qty": qty,
            "price": price,
            "cum_qty": cum,
            "transaction_time": (START + dt.timedelta(seconds=at)).isoformat(),
        }
    )


def rows(journal):
    with transaction(journal.engine) as session:
        return sorted(
            session.query(FillRow).filter_by(account=journal.account),
            key=lambda row: (row.cum_qty or 0, row.execution_id),
        )


def test_an_order_moves_the_intent_forward_and_a_repeat_changes_nothing(journal, lease):
    intent = sending(journal, lease)
    first = journal.book_order(order(intent))
    assert (first.state, first.changed, first.flags) == (IntentState.ACKED, True, ())
    again = journal.book_order(order(intent))
    assert (again.state, again.changed) == (IntentState.ACKED, False)
    assert journal.intent(intent.id).broker_order_id == "b1"


def test_status_goes_only_forward(journal, lease):
    intent = sending(journal, lease)
    journal.book_order(order(intent, status="partially_filled", filled="40", at=3))
    stale = journal.book_order(order(intent, status="new", at=1))
    assert not stale.changed
    newer_but_earlier = journal.book_order(order(intent, status="accepted", filled="40", at=4))
    assert newer_but_earlier.state is IntentState.PARTIALLY_FILLED
    assert journal.book_order(order(intent, status="canceled", filled="40", at=5)).state is IntentState.CANCELED
    assert journal.book_order(order(intent, status="partially_filled", filled="40", at=6)).state is IntentState.CANCELED
    stored = journal.intent(intent.id)
    assert (stored.filled_qty, stored.state) == (40, IntentState.CANCELED)


def test_an_order_says_what_is_missing_and_an_execution_brings_it(journal, lease):
    intent = sending(journal, lease)
    applied = journal.book_order(order(intent, status="filled", filled="100"))
    assert (applied.state, applied.missing_qty) == (IntentState.FILLED, 100)
    assert rows(journal) == []
    assert journal.book_fill(activity(at=1, qty="100", cum="100")).missing_qty == 0


@pytest.mark.parametrize("stream_first", [True, False])
@pytest.mark.parametrize("related_names", [True, False])
def test_one_fill_under_its_two_names_is_booked_once(journal, lease, stream_first, related_names):
    intent = sending(journal, lease)
    journal.book_order(order(intent))
    facts = [
        lambda: journal.book_event(event(intent, "fill", at=2, qty="100", name="e1", status="filled", filled="100")),
        lambda: journal.book_fill(activity(at=2, qty="100", cum="100.0", name="e1" if related_names else "other")),
    ]
    for fact in facts if stream_first else reversed(facts):
        fact()
    repeats = [fact() for fact in facts]
    assert [repeat.changed for repeat in repeats] == [False, False]
    (row,) = rows(journal)
    assert (row.qty, row.execution_id, row.intent_id) == (100, "e1", intent.id)
    assert row.activity_id.startswith("20150701133002000::")
    stored = journal.intent(intent.id)
    assert (stored.state, stored.filled_qty, stored.avg_price) == (IntentState.FILLED, 100, 2)
    with transaction(journal.engine) as session:
        assert session.query(AuditRow).filter_by(entity="fill", entity_id=row.id, action="booked").count() == 1


def test_fills_in_any_order_are_booked_by_what_they_cover(journal, lease):
    intent = sending(journal, lease)
    parts = [
        event(intent, "partial_fill", at=1, qty="30", price="1", status="partially_filled", filled="30"),
        event(intent, "partial_fill", at=2, qty="50", price="2", status="partially_filled", filled="80"),
        event(intent, "fill", at=3, qty="20", price="3", status="filled", filled="100"),
    ]
    applied = [journal.book_event(part) for part in (parts[2], parts[0], parts[0], parts[1])]
    assert [fact.missing_qty for fact in applied] == [80, 50, 50, 0]
    assert applied[-1].state is IntentState.FILLED
    assert [(row.qty, row.cum_qty) for row in rows(journal)] == [(30, 30), (50, 80), (20, 100)]
    assert journal.intent(intent.id).avg_price == Decimal("1.9")
    assert journal.book().cash == -(30 * 1 + 50 * 2 + 20 * 3)


def test_a_cumulative_quantity_reported_as_a_partial_one_is_booked_by_difference(journal, lease):
    intent = sending(journal, lease)
    journal.book_event(event(intent, "partial_fill", at=1, qty="30", status="partially_filled", filled="30"))
    wrong = journal.book_event(event(intent, "fill", at=2, qty="100", status="filled", filled="100"))
    assert Flag.DISAGREES in wrong.flags
    assert sum(row.qty for row in rows(journal)) == 100


def test_without_a_cumulative_quantity_an_equal_fill_of_the_other_source_is_the_same(journal, lease):
    intent = sending(journal, lease)
    journal.book_order(order(intent))
    for number in (1, 2):
        journal.book_fill(activity(at=number, qty="50", cum=None))
    for number in (1, 2, 2):
        blind = Fill(f"e{number}", "b1", "", "AAPL", Side.BUY, Decimal(50), Decimal(2), START)
        with transaction(journal.engine) as session:
            apply_fill(session, journal.account, blind, source="stream", at=START)
    assert [(row.qty, row.execution_id) for row in rows(journal)] == [(50, "e1"), (50, "e2")]
    assert journal.intent(intent.id).state is IntentState.FILLED


def test_a_fill_after_the_end_is_accepted_and_flagged(journal, lease):
    intent = sending(journal, lease)
    journal.book_order(order(intent, status="canceled", at=1))
    part = journal.book_event(event(intent, "partial_fill", at=2, qty="30", status="canceled", filled="30"))
    assert (part.state, part.flags) == (IntentState.CANCELED, (Flag.LATE_FILL,))
    full = journal.book_event(event(intent, "fill", at=3, qty="70", status="filled", filled="100"))
    assert (full.state, full.flags) == (IntentState.FILLED, (Flag.LATE_FILL,))
    assert sum(row.qty for row in rows(journal)) == 100


def test_a_delayed_fill_that_the_end_already_counted_is_not_late(journal, lease):
    intent = sending(journal, lease)
    journal.book_order(order(intent, status="canceled", filled="30", at=5))
    delayed = journal.book_event(event(intent, "partial_fill", at=2, qty="30", status="partially_filled", filled="30"))
    assert (delayed.state, delayed.flags, delayed.missing_qty) == (IntentState.CANCELED, (), 0)


def test_foreign_orders_and_fills_are_returned_and_never_touched(journal, lease):
    intent = sending(journal, lease)
    by_hand = order(intent, id="b9", client_order_id="my own order")
    looks_like_ours = order(intent, id="b9", client_order_id="wb1-other-20150630-x-g0")
    for foreign in (by_hand, looks_like_ours):
        assert journal.book_order(foreign).foreign
    assert journal.book_fill(activity(at=1, qty="1", cum="1")).foreign
    assert rows(journal) == []
    assert journal.intent(intent.id).state is IntentState.SENDING


def test_facts_of_another_account_are_foreign(journal, lease):
    intent = sending(journal, lease)
    assert Journal(journal.engine, "b", clock=journal.clock).book_order(order(intent)).foreign


def test_an_order_under_our_id_that_is_not_ours_halts_the_account(journal, lease):
    intent = sending(journal, lease)
    collision = journal.book_order(order(intent, qty="99"))
    assert (collision.flags, collision.state) == ((Flag.COLLISION,), IntentState.REJECTED)
    with transaction(journal.engine) as session:
        assert "ours 100, theirs 99" in halted(session, journal.account)["*"]
    assert journal.intent(intent.id).broker_order_id is None
    assert not journal.book_order(order(intent, qty="99")).changed


def test_two_orders_under_one_id_halt_the_account(journal, lease):
    intent = sending(journal, lease)
    journal.book_order(order(intent))
    assert Flag.COLLISION in journal.book_order(order(intent, id="b2")).flags
    assert journal.intent(intent.id).state is IntentState.ACKED
    with transaction(journal.engine) as session:
        assert "b1 and as b2" in halted(session, journal.account)["*"]


def test_prices_are_compared_on_the_tick(journal, lease):
    intent = sending(journal, lease, type=OrderType.LIMIT, limit_price=Decimal("10.129"))
    assert journal.book_order(order(intent, limit_price="10.12")).flags == ()
    other = sending(journal, lease, symbol="IBM", type=OrderType.LIMIT, limit_price=Decimal("10.129"))
    assert Flag.COLLISION in journal.book_order(order(other, id="b2", limit_price="10.13")).flags


def test_what_was_refused_but_lives_is_taken_back_and_cancelled(journal, lease):
    intent = sending(journal, lease)
    with transaction(journal.engine) as session:
        row = session.get(IntentRow, intent.id)
        row.state = IntentState.REJECTED.value
    alive = journal.book_order(order(intent))
    assert (alive.state, alive.flags) == (IntentState.ACKED, (Flag.LIVE_AFTER_END,))
    assert [work.kind for work in journal.due(lease)].count("cancel") == 1


def test_what_was_given_up_is_cancelled_on_sight(journal, lease):
    intent = sending(journal, lease)
    with transaction(journal.engine) as session:
        row = session.get(IntentRow, intent.id)
        step(session, row, IntentState.UNKNOWN)
        step(session, row, IntentState.UNKNOWN_EXPIRED)
    assert journal.book_order(order(intent)).state is IntentState.ACKED
    assert journal.intent(intent.id).cancel_asked_at is not None
    assert journal.due(lease)[0].kind == "cancel"


def test_an_intent_thought_unsent_goes_through_sending(journal):
    journal.write([OrderWish("AAPL", Side.BUY, Decimal(100))], bot="daily", session=SESSION)
    intent = journal.intents()[0]
    assert journal.book_order(order(intent)).state is IntentState.ACKED
    with transaction(journal.engine) as session:
        actions = [row.action for row in session.query(AuditRow).filter_by(entity_id=intent.id)]
    assert set(actions) == {"written", "sending", "acked"}


def test_more_than_was_asked_for_is_booked_and_halts_the_symbol(journal, lease):
    intent = sending(journal, lease)
    over = journal.book_event(event(intent, "fill", at=1, qty="101", status="filled", filled="101"))
    assert Flag.OVERFILLED in over.flags
    assert rows(journal)[0].qty == 101
    with transaction(journal.engine) as session:
        assert list(halted(session, journal.account)) == ["AAPL"]


def test_a_busted_execution_is_struck_out_and_halts_the_symbol(journal, lease):
    intent = sending(journal, lease)
    journal.book_event(event(intent, "partial_fill", at=1, qty="30", name="e1", status="partially_filled", filled="30"))
    bust = event(intent, "trade_bust", at=2, name="e1", status="partially_filled", filled="0")
    applied = journal.book_event(bust)
    assert Flag.BUSTED in applied.flags
    assert journal.fills() == []
    assert journal.intent(intent.id).filled_qty == 0
    assert not journal.book_event(bust).changed
    journal.book_event(event(intent, "partial_fill", at=3, qty="30", name="e2", status="partially_filled", filled="30"))
    assert [fill.execution_id for fill in journal.fills()] == ["e2"]
    with transaction(journal.engine) as session:
        assert "took back" in halted(session, journal.account)["AAPL"]


def test_a_quantity_that_shrinks_without_a_reason_halts_the_symbol(journal, lease):
    intent = sending(journal, lease)
    journal.book_order(order(intent, status="partially_filled", filled="30", at=1))
    assert Flag.SHRUNK in journal.book_order(order(intent, status="partially_filled", filled="20", at=2)).flags
    assert journal.intent(intent.id).filled_qty == 30
    with transaction(journal.engine) as session:
        assert "fell from 30 to 20" in halted(session, journal.account)["AAPL"]


def test_a_fill_without_quantity_or_source_is_refused(journal, lease):
    sending(journal, lease)
    for qty, price, source in (("0", "1", "stream"), ("1", "0", "stream"), ("1", "1", "rumour")):
        fill = Fill("e", "b1", "", "AAPL", Side.BUY, Decimal(qty), Decimal(price), START)
        with pytest.raises(StoreError, match="not booked"), transaction(journal.engine) as session:
            apply_fill(session, journal.account, fill, source=source, at=START)


def test_the_stream_and_the_submitter_write_at_the_same_time(journal, lease):
    symbols = [f"S{number}" for number in range(12)]
    journal.write([OrderWish(symbol, Side.BUY, Decimal(100)) for symbol in symbols], bot="daily", session=SESSION)
    work = journal.due(lease)
    for item in work:
        journal.mark_sending(item, lease)

    def facts(item):
        named = {"id": item.intent.symbol, "symbol": item.intent.symbol}
        part = {"status": "partially_filled", "filled": "40", "name": f"{item.intent.id}-1", **named}
        rest = {"status": "filled", "filled": "100", "name": f"{item.intent.id}-2", **named}
        yield lambda: journal.mark_acked(item, order(item.intent, **named), compare=False)
        yield lambda: journal.book_event(event(item.intent, "partial_fill", at=1, qty="40", **part))
        yield lambda: journal.book_event(event(item.intent, "fill", at=2, qty="60", **rest))
        yield lambda: journal.ask_cancel(item.intent.id)

    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(fact) for facts_of_one in zip(*map(facts, work), strict=True) for fact in facts_of_one]
    assert [future.exception() for future in done] == [None] * 4 * len(work)
    assert {intent.state for intent in journal.intents()} == {IntentState.FILLED}
    assert {symbol: position.qty for symbol, position in journal.book().positions.items()} == dict.fromkeys(
        symbols, 100
    )


# --- whatever happens on the way, what is booked is what the exchange filled

_number = itertools.count(1)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_for_any_interleaving_the_booked_fills_are_the_exchanges_fills(sqlite_journal, sqlite_lease, data):
    journal, lease = sqlite_journal, sqlite_lease
    number = next(_number)
    intent = sending(journal, lease, symbol=f"S{number}")
    broker_id = f"b{number}"
    parts = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) <= 100))
    sums = list(itertools.accumulate(parts))
    prices = [Decimal(10 + n) / 4 for n in range(len(parts))]
    cancelled = sums[-1] < 100
    stream, activities, orders = [], [], []
    for n, (qty, cum, price) in enumerate(zip(parts, sums, prices, strict=True), start=1):
        status = "filled" if cum == 100 else "partially_filled"
        named = {"id": broker_id, "status": status, "filled": str(cum), "at": n, "symbol": intent.symbol}
        kind = "fill" if cum == 100 else "partial_fill"
        stream.append(event(intent, kind, qty=str(qty), price=str(price), name=f"{broker_id}-{n}", **named))
        orders.append(order(intent, **named))
        fill = activity(at=n, qty=str(qty), cum=str(cum), price=str(price), name=f"{broker_id}-{n}-by-another-name")
        activities.append(Fill(**{**_fields(fill), "broker_order_id": broker_id, "symbol": intent.symbol}))
    if cancelled:
        last = {"id": broker_id, "status": "canceled", "filled": str(sums[-1]), "at": 9, "symbol": intent.symbol}
        orders.append(order(intent, **last))
        stream.append(event(intent, "canceled", **last))
    pool = (
        [journal.book_event] * len(stream) + [journal.book_fill] * len(activities) + [journal.book_order] * len(orders)
    )
    facts = list(zip(pool, [*stream, *activities, *orders], strict=True))
    dropped_and_repeated = data.draw(st.lists(st.sampled_from(range(len(facts))), max_size=2 * len(facts)))
    for index in dropped_and_repeated:
        facts[index][0](facts[index][1])
    # A reconciliation: the order as it is now, then every activity.
    journal.book_order(orders[-1])
    for fill in activities:
        last_word = journal.book_fill(fill)
    booked = [fill for fill in journal.fills() if fill.broker_order_id == broker_id]
    assert [(fill.qty, fill.price) for fill in booked] == list(zip(parts, prices, strict=True))
    assert last_word.missing_qty == 0
    assert last_word.state is (IntentState.CANCELED if cancelled else IntentState.FILLED)
    with transaction(journal.engine) as session:
        assert intent.symbol not in halted(session, journal.account)
    assert all(open_order.symbol != intent.symbol for open_order in journal.open_exposure())


def _fields(fill):
    return {name: getattr(fill, name) for name in Fill.__slots__}
