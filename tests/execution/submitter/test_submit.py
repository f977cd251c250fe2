import datetime as dt
from decimal import Decimal

import pytest

from workbench.errors import BrokerRefused, ExchangeUnavailable, LeaseLost
from workbench.execution.brokers.broker import Outcome, Reply
from workbench.execution.risk.halts import clear, halt, halted
from workbench.execution.submitter.submit import Pace, drain, pump
from workbench.market.order import IntentState, OrderWish, Side
from workbench.store.engine import transaction
from workbench.store.lease import Lease

SESSION = dt.date(2015, 6, 30)


@pytest.fixture
def journal(sqlite_journal):
    return sqlite_journal


@pytest.fixture
def lease(sqlite_lease):
    return sqlite_lease


def write(journal, *symbols, **more):
    wishes = [OrderWish(symbol, Side.BUY, Decimal(10)) for symbol in symbols or ("AAPL",)]
    return [written.intent for written in journal.write(wishes, bot="daily", session=SESSION, **more)]


def states(journal):
    return [intent.state.value for intent in journal.intents()]


def halts(journal):
    with transaction(journal.engine) as session:
        return halted(session, journal.account)


def settle(journal, broker, lease, time, **more):
    return drain(journal, broker, lease, sleep=time.sleep, **more)


def test_orders_are_sent_in_the_order_written_and_acked(journal, broker, lease):
    intents = write(journal, "A", "B", "C")
    done = pump(journal, broker, lease)
    assert (done.sent, done.acked, done.next_at) == (3, 3, None)
    assert broker.posts == [intent.client_order_id for intent in intents]
    assert states(journal) == ["acked"] * 3
    assert pump(journal, broker, lease).sent == 0


def test_a_refusal_is_final_and_keeps_the_brokers_words(journal, broker, lease):
    write(journal)
    broker.script = [Reply(Outcome.REFUSED, None, 403, 40310000, "insufficient buying power", {"message": "…"})]
    assert pump(journal, broker, lease).refused == 1
    intent = journal.intents()[0]
    assert intent.state is IntentState.REJECTED
    assert intent.note == "HTTP 403 code 40310000: insufficient buying power"
    assert halts(journal) == {}
    assert pump(journal, broker, lease).next_at is None


def test_refused_keys_halt_the_account_and_nothing_more_is_sent(journal, broker, lease):
    write(journal, "A", "B")
    broker.script = [Reply(Outcome.REFUSED, None, 401, None, "unauthorized.")]
    done = pump(journal, broker, lease)
    assert (done.sent, done.held, done.next_at) == (1, 1, None)
    assert states(journal) == ["rejected", "intent"]
    assert "unauthorized" in halts(journal)["*"]
    clear(journal.engine, journal.account, reason="new keys")
    assert pump(journal, broker, lease).acked == 1


def test_too_many_requests_waits_for_the_reset_with_the_same_id(journal, broker, lease, time):
    (first, second) = write(journal, "A", "B")
    reset = time.now + dt.timedelta(seconds=12)
    broker.script = [Reply(Outcome.LIMITED, None, 429, None, "too many requests.", retry_at=reset)]
    done = pump(journal, broker, lease)
    assert (done.limited, done.sent, done.next_at) == (1, 1, reset)
    assert states(journal) == ["intent", "intent"]
    time.sleep(11.9)
    assert pump(journal, broker, lease).sent == 0
    time.sleep(0.1)
    assert pump(journal, broker, lease).acked == 2
    assert broker.posts == [first.client_order_id, first.client_order_id, second.client_order_id]
    assert journal.intents()[0].attempt == 2


def test_without_a_reset_the_pause_is_our_own(journal, broker, lease, time):
    write(journal)
    broker.script = [Reply(Outcome.LIMITED, None, 429)]
    assert pump(journal, broker, lease).next_at == time.now + dt.timedelta(seconds=Pace().limited)


def test_silence_after_the_order_was_placed_ends_in_one_order(journal, broker, lease, time):
    (intent,) = write(journal)
    broker.script = ["lost after"]
    assert pump(journal, broker, lease).unknown == 1
    assert states(journal) == ["unknown"]
    assert settle(journal, broker, lease, time)
    assert states(journal) == ["acked"]
    assert broker.posts == [intent.client_order_id]
    assert len(broker.live) == 1


def test_the_lookups_follow_the_plan_and_then_the_same_id_is_sent_again(journal, broker, lease, time):
    (intent,) = write(journal)
    broker.script = ["lost"]
    sent_at = time.now
    assert settle(journal, broker, lease, time)
    assert [(when - sent_at).total_seconds() for _, when in broker.lookups] == [0.25, 0.5, 1, 2, 5, 10]
    assert broker.posts == [intent.client_order_id] * 2
    assert states(journal) == ["acked"]
    assert journal.intents()[0].attempt == 2


def test_an_order_that_appears_late_is_found_and_not_sent_again(journal, broker, lease, time):
    write(journal)
    broker.script, broker.hidden = ["lost after"], 3
    assert settle(journal, broker, lease, time)
    assert (len(broker.posts), len(broker.lookups), states(journal)) == (1, 4, ["acked"])


def test_nothing_is_sent_again_while_the_broker_does_not_answer(journal, broker, lease, time):
    write(journal)
    broker.script, broker.deaf = ["lost"], 9
    assert settle(journal, broker, lease, time, timeout=60)
    pauses = [(when - broker.lookups[0][1]).total_seconds() + 0.25 for _, when in broker.lookups]
    assert pauses == [0.25, 0.5, 1, 2, 5, 10, 20, 30, 40, 50]
    assert (len(broker.posts), states(journal)) == (2, ["acked"])


def test_after_the_deadline_it_is_given_up_watched_and_cancelled_on_sight(journal, broker, lease, time):
    (intent,) = write(journal, deadline=time.now + dt.timedelta(seconds=5))
    broker.script = ["lost"]
    assert not settle(journal, broker, lease, time, timeout=30)
    assert states(journal) == ["unknown_expired"]
    assert len(broker.posts) == 1
    assert [order.client_order_id for order in journal.open_exposure()] == [intent.client_order_id]
    broker.place(intent.request)  # it was on its way all the time
    time.sleep(31)
    assert pump(journal, broker, lease).acked == 1
    assert pump(journal, broker, lease).cancels == 1
    assert broker.cancels == [journal.intents()[0].broker_order_id]
    assert states(journal) == ["acked"]


def test_a_watch_ends_after_a_day_of_the_brokers_denial(journal, broker, lease, time):
    write(journal, deadline=time.now + dt.timedelta(seconds=5))
    broker.script = ["lost"]
    settle(journal, broker, lease, time, timeout=30)
    time.sleep(86_400)
    broker.deaf = 1
    assert pump(journal, broker, lease).closed == 0  # no word is no denial
    time.sleep(31)
    assert pump(journal, broker, lease).closed == 1
    assert states(journal) == ["expired"]
    assert journal.open_exposure() == []


def test_a_taken_id_with_our_own_order_behind_it_is_an_ack(journal, broker, lease):
    (intent,) = write(journal)
    broker.place(intent.request)
    assert pump(journal, broker, lease).acked == 1
    assert states(journal) == ["acked"]
    assert len(broker.live) == 1


def test_a_taken_id_with_another_order_behind_it_halts_the_account(journal, broker, lease):
    (intent,) = write(journal)
    broker.place(intent.request, qty="9")
    pump(journal, broker, lease)
    assert states(journal) == ["rejected"]
    assert "qty: ours 10, theirs 9" in halts(journal)["*"]


def test_a_taken_id_that_cannot_be_looked_up_is_unknown(journal, broker, lease, time):
    (intent,) = write(journal)
    broker.place(intent.request)
    broker.deaf = 1
    assert pump(journal, broker, lease).unknown == 1
    assert settle(journal, broker, lease, time)
    assert (len(broker.posts), states(journal)) == (1, ["acked"])


def test_a_halt_holds_new_orders_and_resends_but_not_lookups(journal, broker, lease, time):
    write(journal, "A", "B")
    broker.script = ["lost", "lost"]
    pump(journal, broker, lease)
    with transaction(journal.engine) as session:
        halt(session, journal.account, "A", reason="test")
    write(journal, "A", "B", generation=1)
    assert not settle(journal, broker, lease, time, timeout=60)
    assert states(journal) == ["unknown", "acked", "intent", "acked"]
    assert len(broker.posts) == 4
    clear(journal.engine, journal.account, "A", reason="tested")
    assert settle(journal, broker, lease, time)
    assert states(journal) == ["acked"] * 4


def test_an_intent_past_its_deadline_is_never_sent(journal, broker, lease, time):
    write(journal, deadline=time.now + dt.timedelta(seconds=1))
    time.sleep(2)
    assert pump(journal, broker, lease).closed == 1
    assert (states(journal), broker.posts) == (["expired"], [])


def test_a_cancelled_intent_is_never_sent(journal, broker, lease):
    (intent,) = write(journal)
    journal.ask_cancel(intent.id)
    assert pump(journal, broker, lease).next_at is None
    assert (states(journal), broker.posts) == (["canceled"], [])


def test_a_live_order_is_cancelled_ahead_of_new_ones(journal, broker, lease):
    (intent,) = write(journal)
    pump(journal, broker, lease)
    write(journal, "IBM")
    journal.ask_cancel(intent.id)
    done = pump(journal, broker, lease)
    assert (done.cancels, done.acked, done.next_at) == (1, 1, None)
    assert broker.cancels == ["b1"]
    journal.book_order(broker.change(intent.client_order_id, status="canceled"))
    assert states(journal)[0] == "canceled"


def test_a_refused_cancel_reads_how_the_order_ended(journal, broker, lease, time):
    (intent,) = write(journal)
    pump(journal, broker, lease)
    time.sleep(1)
    broker.change(intent.client_order_id, status="filled", filled_qty="10")
    journal.ask_cancel(intent.id)
    broker.script = [Reply(Outcome.REFUSED, None, 422, 42210000, "order is not cancelable")]
    pump(journal, broker, lease)
    assert states(journal) == ["filled"]
    assert pump(journal, broker, lease).next_at is None


def test_a_cancel_without_an_answer_is_asked_again(journal, broker, lease, time):
    (intent,) = write(journal)
    pump(journal, broker, lease)
    journal.ask_cancel(intent.id)
    broker.script = [Reply(Outcome.UNKNOWN), Reply(Outcome.LIMITED, None, 429), Reply(Outcome.REFUSED, None, 500)]
    assert settle(journal, broker, lease, time, timeout=60)
    assert len(broker.cancels) == 4


def test_a_cancel_of_an_unknown_order_waits_for_what_there_is_to_cancel(journal, broker, lease, time):
    (intent,) = write(journal)
    broker.script = ["lost after"]
    pump(journal, broker, lease)
    journal.ask_cancel(intent.id)
    assert settle(journal, broker, lease, time)
    assert (broker.cancels, len(broker.posts)) == (["b1"], 1)


def test_a_cancel_asked_for_while_sending_stops_the_limited_order(journal, broker, lease, time):
    (intent,) = write(journal)
    submit = broker.submit

    def ask_meanwhile(order):
        journal.ask_cancel(intent.id)
        return submit(order)

    broker.submit = ask_meanwhile
    broker.script = [Reply(Outcome.LIMITED, None, 429)]
    assert settle(journal, broker, lease, time)
    assert (states(journal), len(broker.posts)) == (["canceled"], 1)


def test_the_stream_may_be_faster_than_the_answer(journal, broker, lease, time):
    write(journal)
    submit = broker.submit

    def stream_first(order):
        submit(order)
        journal.book_order(broker.change(order.client_order_id, status="filled", filled_qty="10"))
        return Reply(Outcome.UNKNOWN, message="ReadTimeout")

    broker.submit = stream_first
    assert settle(journal, broker, lease, time)
    assert (states(journal), broker.lookups) == (["filled"], [])


def test_a_process_that_died_while_sending_is_followed_by_a_lookup(journal, broker, lease, time):
    write(journal)

    def die(_order):
        raise KeyboardInterrupt

    submit, broker.submit = broker.submit, die
    with pytest.raises(KeyboardInterrupt):
        pump(journal, broker, lease)
    assert states(journal) == ["sending"]
    broker.submit = submit
    successor = Lease.acquire(journal.engine, journal.account, "desk", clock=journal.clock, ttl=dt.timedelta(days=1))
    assert settle(journal, broker, successor, time)
    assert (states(journal), len(broker.posts)) == (["acked"], 1)
    assert len(broker.lookups) == 1 + 6  # at once, then by the plan


def test_a_lost_lease_stops_the_pump_before_anything_is_sent(journal, broker, lease):
    write(journal, "A", "B")
    submit = broker.submit

    def taken_over(order):
        Lease.acquire(journal.engine, journal.account, "desk", clock=journal.clock)
        return submit(order)

    broker.submit = taken_over
    with pytest.raises(LeaseLost):
        pump(journal, broker, lease)
    assert len(broker.posts) == 1
    assert states(journal) == ["acked", "intent"]  # the ack is a fact and was kept
    with pytest.raises(LeaseLost):
        pump(journal, broker, lease)


def test_refused_keys_at_a_lookup_halt_the_account_and_say_nothing_about_the_order(journal, broker, lease, time):
    write(journal)
    broker.script = ["lost"]

    def refuse(_client_order_id):
        raise BrokerRefused("unauthorized", http_status=401)

    broker.order_by_client_id = refuse
    assert not settle(journal, broker, lease, time)
    assert states(journal) == ["unknown"]
    assert "unauthorized" in halts(journal)["*"]


def test_a_limited_lookup_waits_for_the_reset(journal, broker, lease, time):
    write(journal)
    broker.script = ["lost after"]
    pump(journal, broker, lease)
    reset = time.now + dt.timedelta(seconds=20)
    look_up = broker.order_by_client_id

    def limited(_client_order_id):
        broker.order_by_client_id = look_up
        raise ExchangeUnavailable("HTTP 429", retry_at=reset)

    broker.order_by_client_id = limited
    time.sleep(0.25)
    assert pump(journal, broker, lease).next_at == reset
    assert settle(journal, broker, lease, time)
    assert (states(journal), len(broker.posts)) == (["acked"], 1)


def test_drain_says_when_it_was_not_enough_time(journal, broker, lease, time):
    write(journal)
    broker.script = ["lost"]
    started = time.now
    assert not settle(journal, broker, lease, time, timeout=3)
    assert (time.now - started).total_seconds() == 3
