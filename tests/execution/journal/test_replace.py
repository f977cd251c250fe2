"""Replacing an order: written down first, sent under a name of its own, believed only when the broker says so."""

import dataclasses
import datetime as dt
from decimal import Decimal

import pytest

from tests.execution.conftest import ask_replace
from workbench.errors import ExecutionError, ParameterError
from workbench.execution.brokers.broker import BrokerOrder, Outcome, Reply
from workbench.execution.journal.apply import Flag
from workbench.execution.submitter.submit import drain, pump
from workbench.market.order import IntentState, OrderType, OrderWish, Side, TimeInForce

SESSION = dt.date(2015, 6, 30)
WISH = OrderWish("AAPL", Side.BUY, Decimal(100), OrderType.LIMIT, TimeInForce.DAY, limit_price=Decimal(50))


@pytest.fixture
def broker(broker):
    """The scripted broker, which can replace: a PATCH makes a new order with what the old one has not filled."""
    broker.patches = []

    def replace(broker_order_id, *, client_order_id, qty=None, limit_price=None, **_):
        broker.patches.append((broker_order_id, client_order_id))
        step = broker.script.pop(0) if broker.script else Outcome.PLACED
        if isinstance(step, Reply):
            return step
        if step == "lost":
            return Reply(Outcome.UNKNOWN, message="ReadTimeout")
        old = broker.order(broker_order_id)
        if not old.is_open:
            return Reply(Outcome.REFUSED, None, 422, 42210000, f'order is already in "{old.status}" state')
        raw = {
            **old.raw,
            "id": f"r{len(broker.patches)}",
            "client_order_id": client_order_id,
            "qty": str((qty or old.qty) - old.filled_qty),
            "limit_price": str(limit_price or old.limit_price),
            "filled_qty": "0",
            "status": "new",
            "replaces": old.id,
        }
        broker.live[client_order_id] = BrokerOrder.of(raw)
        broker.change(old.client_order_id, status="replaced", replaced_by=raw["id"])
        if step == "lost after":
            return Reply(Outcome.UNKNOWN, message="ReadTimeout")
        return Reply(Outcome.PLACED, broker.live[client_order_id], 200, raw=raw)

    broker.replace = replace
    return broker


@pytest.fixture
def live(journal, broker, lease):
    """An order that works at the broker."""
    journal.write([WISH], bot="daily", session=SESSION)
    pump(journal, broker, lease)
    (intent,) = journal.intents()
    assert intent.state is IntentState.ACKED
    return intent


def settle(journal, broker, lease, time, timeout=60):
    return drain(journal, broker, lease, timeout=timeout, sleep=time.sleep)


def test_a_replacement_is_written_down_before_anything_is_asked(journal, live, broker):
    new = ask_replace(journal, live.id, limit_price=Decimal("50.50"))
    assert (new.state, new.replaces_id, new.generation) == (IntentState.INTENT, live.id, live.generation + 1)
    assert (new.qty, new.limit_price, new.bot, new.trace_id) == (100, Decimal("50.5"), "daily", live.trace_id)
    assert new.client_order_id != live.client_order_id
    assert len(new.client_order_id) <= 48
    assert journal.intent(new.id) == new
    assert broker.patches == []


def test_the_new_order_is_acked_and_the_old_one_is_replaced_when_the_broker_says_so(journal, live, broker, lease, time):
    new = ask_replace(journal, live.id, qty=Decimal(150), limit_price=Decimal(51))
    assert settle(journal, broker, lease, time)
    assert broker.patches == [(live.broker_order_id, new.client_order_id)]
    assert journal.intent(new.id).state is IntentState.ACKED
    assert journal.intent(live.id).state is IntentState.ACKED
    journal.book_order(broker.live[live.client_order_id])
    assert journal.intent(live.id).state is IntentState.REPLACED
    assert [order.qty for order in journal.open_exposure()] == [150]


def test_the_total_counts_what_was_filled_and_risk_counts_old_and_new_as_one(journal, live, broker, lease, time):
    time.sleep(1)
    journal.book_order(broker.change(live.client_order_id, status="partially_filled", filled_qty="40"))
    new = ask_replace(journal, live.id, qty=Decimal(120))
    counted = journal.open_exposure()
    assert {order.group for order in counted if order.qty != 40} == {live.id}
    assert max(order.qty for order in counted) == 120
    assert settle(journal, broker, lease, time)
    assert journal.intent(new.id).qty == 80
    journal.book_order(broker.live[live.client_order_id])
    assert (journal.intent(live.id).state, journal.intent(live.id).filled_qty) == (IntentState.REPLACED, 40)


def test_what_filled_meanwhile_keeps_its_truth_and_the_replacement_is_rejected(journal, live, broker, lease, time):
    new = ask_replace(journal, live.id, limit_price=Decimal(51))
    time.sleep(1)
    broker.change(live.client_order_id, status="filled", filled_qty="100")
    assert settle(journal, broker, lease, time)
    refused = journal.intent(new.id)
    assert refused.state is IntentState.REJECTED
    assert 'already in "filled" state' in refused.note
    assert (journal.intent(live.id).state, journal.intent(live.id).filled_qty) == (IntentState.FILLED, 100)


def test_when_the_old_order_is_known_to_be_over_nothing_is_asked(journal, live, broker, lease, time):
    new = ask_replace(journal, live.id, limit_price=Decimal(51))
    time.sleep(1)
    journal.book_order(broker.change(live.client_order_id, status="canceled"))
    assert settle(journal, broker, lease, time)
    assert broker.patches == []
    assert journal.intent(new.id).state is IntentState.REJECTED


@pytest.mark.parametrize("lost", ["lost", "lost after"])
def test_silence_is_looked_up_under_the_new_name_and_never_asked_twice_blindly(journal, live, broker, lease, lost):
    time = broker.time
    new = ask_replace(journal, live.id, limit_price=Decimal(51))
    broker.script = [lost]
    pump(journal, broker, lease)
    assert journal.intent(new.id).state is IntentState.UNKNOWN
    assert settle(journal, broker, lease, time)
    assert journal.intent(new.id).state is IntentState.ACKED
    assert len(broker.patches) == (2 if lost == "lost" else 1)
    assert broker.lookups[0][0] == new.client_order_id
    open_orders = [order for order in broker.live.values() if order.is_open]
    assert [order.client_order_id for order in open_orders] == [new.client_order_id]


def test_a_replaced_order_whose_successor_cannot_be_found_is_looked_for_and_not_asked_again(
    journal, live, broker, lease, time
):
    new = ask_replace(journal, live.id, limit_price=Decimal(51))
    broker.script = ["lost after"]
    pump(journal, broker, lease)
    journal.book_order(broker.live[live.client_order_id])
    broker.hidden = 8
    assert settle(journal, broker, lease, time)
    assert len(broker.patches) == 1
    assert journal.intent(new.id).state is IntentState.ACKED


def test_wishing_the_old_one_away_takes_the_new_one_with_it(journal, live, broker, lease, time):
    new = ask_replace(journal, live.id, limit_price=Decimal(51))
    journal.ask_cancel(live.id)
    assert journal.intent(new.id).state is IntentState.CANCELED
    assert settle(journal, broker, lease, time)
    assert (broker.patches, broker.cancels) == ([], [live.broker_order_id])


def test_wishing_the_old_one_away_while_the_fate_of_the_new_one_is_unknown_cancels_both(
    journal, live, broker, lease, time
):
    new = ask_replace(journal, live.id, limit_price=Decimal(51))
    broker.script = ["lost after"]
    pump(journal, broker, lease)
    journal.ask_cancel(live.id)
    settle(journal, broker, lease, time)
    assert set(broker.cancels) >= {broker.live[new.client_order_id].id}


def test_an_order_that_was_never_sent_is_replaced_here_and_sent_once(journal, broker, lease, time):
    (written,) = journal.write([WISH], bot="daily", session=SESSION)
    new = ask_replace(journal, written.intent.id, qty=Decimal(70))
    assert journal.intent(written.intent.id).state is IntentState.CANCELED
    assert settle(journal, broker, lease, time)
    assert broker.posts == [new.client_order_id]
    assert journal.intent(new.id).state is IntentState.ACKED


def test_a_replacement_can_be_replaced_again(journal, live, broker, lease, time):
    assert journal.intents() == [live]
    for price in (51, 52, 53):
        newest = journal.intents(states=[IntentState.ACKED])[-1]
        ask_replace(journal, newest.id, limit_price=Decimal(price))
        assert settle(journal, broker, lease, time)
        journal.book_order(broker.live[newest.client_order_id])
    states = [one.state for one in journal.intents()]
    assert states.count(IntentState.REPLACED) == 3
    assert [order.limit_price for order in broker.live.values() if order.is_open] == [53]
    assert len({one.client_order_id for one in journal.intents()}) == 4


def test_a_deliberate_second_order_of_a_higher_generation_is_not_in_the_way(journal, live):
    ask_replace(journal, live.id, limit_price=Decimal(51))
    (second,) = journal.write([WISH], bot="daily", session=SESSION, generation=1)
    assert not second.existed


def test_a_broker_that_does_not_subtract_what_has_filled_is_cancelled_on_sight(journal, live, broker, lease, time):
    time.sleep(1)
    journal.book_order(broker.change(live.client_order_id, status="partially_filled", filled_qty="40"))
    new = ask_replace(journal, live.id, limit_price=Decimal(51))
    sent = journal.mark_sending(next(work for work in journal.due(lease) if work.kind == "replace"), lease)
    greedy = dataclasses.replace(
        broker.live[live.client_order_id],
        id="r9", client_order_id=sent.client_order_id, qty=Decimal(100), filled_qty=Decimal(0), status="new",
        limit_price=Decimal(51), replaces=live.broker_order_id,
    )  # fmt: skip
    assert journal.book_order(greedy).flags == (Flag.TOO_MUCH,)
    assert journal.intent(new.id).cancel_asked_at is not None


def test_what_cannot_be_replaced_is_refused_and_nothing_is_written(journal, live, broker, lease, time):
    for wrong in (
        {},
        {"limit_price": Decimal(50)},
        {"qty": Decimal("100.5")},
        {"stop_price": Decimal(40)},
    ):
        with pytest.raises(ParameterError):
            ask_replace(journal, live.id, **wrong)
    time.sleep(1)
    journal.book_order(broker.change(live.client_order_id, status="partially_filled", filled_qty="40"))
    with pytest.raises(ParameterError, match="above the 40"):
        ask_replace(journal, live.id, qty=Decimal(40))
    ask_replace(journal, live.id, qty=Decimal(50))
    with pytest.raises(ExecutionError, match="taking its place already"):
        ask_replace(journal, live.id, qty=Decimal(60))
    assert len(journal.intents()) == 2
    (unknown,) = journal.write([dataclasses.replace(WISH, symbol="MSFT")], bot="daily", session=SESSION)
    journal.mark_sending(journal.due(lease)[-1], lease)
    with pytest.raises(ExecutionError, match="only an order that is live"):
        ask_replace(journal, unknown.intent.id, qty=Decimal(60))


def test_too_many_requests_put_a_replacement_back_and_it_is_asked_later(journal, live, broker, lease, time):
    new = ask_replace(journal, live.id, limit_price=Decimal(51))
    broker.script = [Reply(Outcome.LIMITED, None, 429, retry_at=time() + dt.timedelta(seconds=9))]
    assert pump(journal, broker, lease).limited == 1
    assert journal.intent(new.id).state is IntentState.INTENT
    assert settle(journal, broker, lease, time)
    assert journal.intent(new.id).state is IntentState.ACKED
