"""Requests are counted in the transactions that are there anyway, and cancels never wait for submits."""

import datetime as dt
from decimal import Decimal

import pytest

from workbench.execution.brokers.broker import Outcome, RateSeen, Reply
from workbench.execution.risk import trading_state
from workbench.execution.submitter.submit import Pace, drain, pump
from workbench.market.order import IntentState, OrderWish, Side
from workbench.market.trading_state import TradingState
from workbench.store import rate_budget
from workbench.store.engine import transaction

SESSION = dt.date(2015, 6, 30)
TEN = Pace(per_minute=10)  # 8 for orders and look-ups, 2 kept for cancels


def write(journal, count, prefix="S"):
    wishes = [OrderWish(f"{prefix}{number:02d}", Side.BUY, Decimal(1)) for number in range(count)]
    return [one.intent for one in journal.write(wishes, bot="daily", session=SESSION)]


def left(journal, lane):
    with transaction(journal.engine) as session:
        return rate_budget.left(session, journal.account, lane=lane, at=journal.clock(), per_minute=10)


def test_orders_stop_where_the_share_of_cancels_begins_and_go_on_a_minute_later(journal, lease, broker, time):
    write(journal, 12)
    first = pump(journal, broker, lease, pace=TEN)
    assert (first.sent, first.limited, len(broker.posts)) == (8, 1, 8)
    assert first.next_at > time()
    assert (left(journal, "order"), left(journal, "cancel")) == (0, 2)
    assert drain(journal, broker, lease, pace=TEN, timeout=120, sleep=time.sleep)
    assert len(broker.posts) == 12
    assert {intent.state for intent in journal.intents()} == {IntentState.ACKED}


def test_a_cancel_leaves_when_orders_may_not(journal, lease, broker):
    first, *_ = write(journal, 12)
    pump(journal, broker, lease, pace=TEN)
    journal.ask_cancel(first.id)
    assert pump(journal, broker, lease, pace=TEN).cancels == 1
    assert left(journal, "cancel") == 1


def test_more_cancels_than_are_left_wait_for_the_next_minute(journal, lease, broker, time):
    intents = write(journal, 8)
    pump(journal, broker, lease, pace=TEN)
    for intent in intents[:5]:
        journal.ask_cancel(intent.id)
    assert pump(journal, broker, lease, pace=TEN).cancels == 2
    assert drain(journal, broker, lease, pace=TEN, timeout=120, sleep=time.sleep)
    assert len(broker.cancels) == 5


def test_429_pauses_submits_and_look_ups_but_no_cancel(journal, lease, broker, time):
    live, *_ = write(journal, 1)
    pump(journal, broker, lease)
    write(journal, 3, "T")
    later = time() + dt.timedelta(seconds=40)
    broker.script = [Reply(Outcome.LIMITED, None, 429, retry_at=later)]
    done = pump(journal, broker, lease)
    assert (done.limited, done.sent, done.next_at) == (1, 1, later)
    journal.ask_cancel(live.id)
    assert pump(journal, broker, lease).cancels == 1
    assert broker.posts.count(live.client_order_id) == 1
    assert len(broker.posts) == 2, "nothing but the cancel has left"


def test_a_limited_cancel_is_tried_again_soon_although_the_broker_says_later(journal, lease, broker, time):
    (live,) = write(journal, 1)
    pump(journal, broker, lease)
    journal.ask_cancel(live.id)
    broker.script = [Reply(Outcome.LIMITED, None, 429, retry_at=time() + dt.timedelta(seconds=40))]
    pace = Pace(limited=2.0)
    assert pump(journal, broker, lease, pace=pace).next_at == time() + dt.timedelta(seconds=2)
    time.sleep(2)
    assert pump(journal, broker, lease, pace=pace).cancels == 1
    assert len(broker.cancels) == 2


def test_what_the_headers_say_corrects_the_budget(journal, lease, broker, time):
    write(journal, 3)
    reset = time() + dt.timedelta(seconds=30)
    submit = broker.submit

    def told(order):
        reply = submit(order)
        return Reply(reply.outcome, reply.order, 200, raw=reply.raw, rate=RateSeen(10, 0, reset))

    broker.submit = told
    done = pump(journal, broker, lease, pace=TEN)
    assert (done.sent, done.limited) == (1, 1), "another program has used up the rest"
    assert done.next_at == reset
    broker.submit = submit
    assert drain(journal, broker, lease, pace=TEN, timeout=120, sleep=time.sleep)
    assert len(broker.posts) == 3


def test_look_ups_take_from_the_budget_and_wait_when_there_is_none(journal, lease, broker, time):
    write(journal, 8)
    broker.script = ["lost after"] * 8
    pump(journal, broker, lease, pace=TEN)
    time.sleep(1)
    done = pump(journal, broker, lease, pace=TEN)
    assert broker.lookups == []
    assert done.next_at > time() + dt.timedelta(seconds=30)
    assert drain(journal, broker, lease, pace=TEN, timeout=300, sleep=time.sleep)
    assert {intent.state for intent in journal.intents()} == {IntentState.ACKED}


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
def test_the_trading_state_is_asked_again_in_the_transaction_that_sends(journal, lease, broker, tmp_path, state):
    (intent,) = write(journal, 1)
    trading_state.change(journal.engine, journal.account, state, reason="a test", home=tmp_path)
    done = pump(journal, broker, lease)
    assert (done.held, done.sent, broker.posts) == (1, 0, [])
    assert journal.intent(intent.id).state is IntentState.INTENT
    trading_state.change(journal.engine, journal.account, TradingState.ACTIVE, reason="over", home=tmp_path)
    assert pump(journal, broker, lease).acked == 1
