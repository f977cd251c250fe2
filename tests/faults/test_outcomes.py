"""Every fault of the wire, through alpaca-py against the real local exchange: its state, its POSTs, its orders."""

import datetime as dt
import time
from collections import Counter
from decimal import Decimal

import pytest
import requests

from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.submitter.submit import Pace, drain, pump
from workbench.market.order import IntentState, OrderWish, Side
from workbench.store.lease import Lease

SESSION = dt.date(2015, 6, 30)
QUICK = Pace(lookups=(0.02, 0.05, 0.1), again=0.1, watch_every=0.1, limited=0.05)


@pytest.fixture
def desk(workspace, exchange, open_account):
    """(journal, broker, lease, posts): an account, and a record of every POST that left for the exchange."""
    keys = open_account()
    broker = AlpacaBroker(
        name=keys.name, url=exchange.url, key_id=keys.key_id, secret_key=keys.secret_key, timeout=(60.0, 60.0)
    )
    posts = []
    send = broker._client._session.request

    def counting(method, url, **options):
        if method == "POST":
            posts.append(options["json"]["client_order_id"])
        return send(method, url, **options)

    broker._client._session.request = counting
    journal = Journal(workspace.engine, keys.name, clock=Ahead())
    yield journal, broker, Lease.acquire(workspace.engine, keys.name, "desk"), posts
    broker.close()


class Ahead:
    """A clock that can jump ahead of the wall's."""

    def __init__(self):
        self.by = dt.timedelta(0)

    def __call__(self):
        return dt.datetime.now(dt.UTC) + self.by


def write(journal, count=1, **more):
    wishes = [OrderWish(f"SYN{number % 20 + 1:02d}", Side.BUY, Decimal(1)) for number in range(count)]
    return [written.intent for written in journal.write(wishes, bot="daily", session=SESSION, **more)]


def at_exchange(broker):
    """How many orders the exchange has per client_order_id."""
    return Counter(order.client_order_id for order in broker.orders_since(dt.datetime(2015, 1, 1, tzinfo=dt.UTC)))


def give_up_soon(broker):
    """POSTs wait for no answer, until the exchange has the order: how long that takes is the machine's affair."""
    patient = broker._client._session.request

    def impatient(method, url, **options):
        if method != "POST":
            return patient(method, url, **options)
        try:
            return patient(method, url, timeout=(60.0, 0.2), **options)
        except requests.ReadTimeout:
            until(lambda: broker.order_by_client_id(options["json"]["client_order_id"]))
            raise

    broker._client._session.request = impatient


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("kind", "first", "posts_needed"),
    [
        ("504-before-accept", IntentState.UNKNOWN, 2),
        ("504-after-accept", IntentState.UNKNOWN, 1),
        ("500-html", IntentState.UNKNOWN, 2),
        ("502-html", IntentState.UNKNOWN, 2),
        ("reset-before", IntentState.UNKNOWN, 2),
        ("reset-after", IntentState.UNKNOWN, 1),
        ("hang", IntentState.UNKNOWN, 1),
        ("slow", IntentState.UNKNOWN, 1),
        ("429", IntentState.INTENT, 2),
        ("unknown-status", IntentState.ACKED, 1),
    ],
)
def test_a_fault_on_the_way_in_ends_in_one_order(desk, exchange, kind, first, posts_needed):
    journal, broker, lease, posts = desk
    (intent,) = write(journal)
    embedded.add_fault(exchange.url, kind=kind, count=1, seconds=600 if kind == "slow" else None)
    if kind in {"hang", "slow"}:
        give_up_soon(broker)
    pump(journal, broker, lease, pace=QUICK)
    assert journal.intent(intent.id).state is first
    assert drain(journal, broker, lease, pace=QUICK, timeout=60)
    acked = journal.intent(intent.id)
    assert acked.state is IntentState.ACKED
    assert acked.attempt == posts_needed
    assert posts == [intent.client_order_id] * posts_needed
    assert at_exchange(broker) == {intent.client_order_id: 1}
    assert acked.broker_order_id == broker.order_by_client_id(intent.client_order_id).id


def test_a_fault_on_the_lookup_as_well_still_ends_in_one_order(desk, exchange):
    journal, broker, lease, posts = desk
    (intent,) = write(journal)
    embedded.add_fault(exchange.url, kind="reset-after", count=1)
    embedded.add_fault(exchange.url, kind="500-html", count=4, path="GET /v2/orders:by_client_order_id")
    assert drain(journal, broker, lease, pace=QUICK, timeout=60)
    assert journal.intent(intent.id).state is IntentState.ACKED
    assert len(posts) == 1
    assert at_exchange(broker) == {intent.client_order_id: 1}


def test_a_repeat_of_what_was_placed_in_silence_meets_its_own_id(desk, exchange):
    """The exchange accepts, hides the order from every look-up, and so makes us send again: 422, and one order."""
    journal, broker, lease, posts = desk
    (intent,) = write(journal)
    look_up = broker.order_by_client_id
    broker.order_by_client_id = lambda cid: look_up(cid) if len(posts) > 1 else None
    embedded.add_fault(exchange.url, kind="504-after-accept", count=1)
    assert drain(journal, broker, lease, pace=QUICK, timeout=60)
    assert journal.intent(intent.id).state is IntentState.ACKED
    assert posts == [intent.client_order_id] * 2
    assert at_exchange(broker) == {intent.client_order_id: 1}


def test_a_refusal_leaves_nothing_at_the_exchange(desk):
    journal, broker, lease, posts = desk
    wish = OrderWish("NOSUCH", Side.BUY, Decimal(1))
    (written,) = journal.write([wish], bot="daily", session=SESSION)
    assert drain(journal, broker, lease, pace=QUICK, timeout=60)
    assert journal.intent(written.intent.id).state is IntentState.REJECTED
    assert len(posts) == 1
    assert at_exchange(broker) == {}


def given_up(journal, broker, lease, intent):
    pump(journal, broker, lease, pace=QUICK)
    return journal.intent(intent.id).state is IntentState.UNKNOWN_EXPIRED


def test_silence_beyond_the_deadline_is_never_sent_again(desk, exchange):
    journal, broker, lease, posts = desk
    (intent,) = write(journal, deadline=journal.clock() + dt.timedelta(minutes=1))
    embedded.add_fault(exchange.url, kind="reset-before", count=1)
    pump(journal, broker, lease, pace=QUICK)
    journal.clock.by += dt.timedelta(minutes=2)
    until(lambda: given_up(journal, broker, lease, intent))
    assert not drain(journal, broker, lease, pace=QUICK, timeout=0.3)
    assert journal.intent(intent.id).state is IntentState.UNKNOWN_EXPIRED
    assert [order.client_order_id for order in journal.open_exposure()] == [intent.client_order_id]
    assert len(posts) == 1


def test_what_arrives_after_it_was_given_up_is_cancelled_on_sight(desk, exchange):
    journal, broker, lease, posts = desk
    (intent,) = write(journal, deadline=journal.clock() + dt.timedelta(minutes=1))
    embedded.add_fault(exchange.url, kind="504-after-accept", count=1)
    look_up, broker.order_by_client_id = broker.order_by_client_id, lambda _cid: None
    pump(journal, broker, lease, pace=QUICK)
    journal.clock.by += dt.timedelta(minutes=2)
    until(lambda: given_up(journal, broker, lease, intent))
    broker.order_by_client_id = look_up
    assert drain(journal, broker, lease, pace=QUICK, timeout=60)
    assert broker.order_by_client_id(intent.client_order_id).status == "canceled"
    journal.book_order(broker.order_by_client_id(intent.client_order_id))
    assert journal.intent(intent.id).state is IntentState.CANCELED
    assert len(posts) == 1


def test_through_a_storm_of_faults_every_order_is_placed_once(desk, exchange):
    journal, broker, lease, posts = desk
    intents = write(journal, 60)
    for kind in ("504-before-accept", "504-after-accept", "502-html", "reset-before", "reset-after", "unknown-status"):
        embedded.add_fault(exchange.url, kind=kind, probability=0.12)
    embedded.add_fault(exchange.url, kind="500-html", probability=0.3, path="GET /v2/orders*")
    assert drain(journal, broker, lease, pace=QUICK, timeout=120)
    embedded.clear_faults(exchange.url)
    assert at_exchange(broker) == {intent.client_order_id: 1 for intent in intents}
    assert {intent.state for intent in journal.intents()} == {IntentState.ACKED}
    assert len(posts) > 60  # the storm was one


@pytest.mark.parametrize("kind", ["duplicate-events", "drop-events", "reorder-events", "disconnect"])
def test_a_stream_that_doubles_drops_reorders_or_breaks_leaves_the_right_fills(desk, exchange, kind):
    journal, broker, lease, _posts = desk
    intents = write(journal, 10)
    errors, connected = [], []
    handle = broker.stream(lambda event: errors.append(journal.book_event(event)), lambda: connected.append(1))
    try:
        until(lambda: connected)
        gap = {"seconds": 0.05} if kind == "disconnect" else {}
        embedded.add_fault(exchange.url, kind=kind, probability=0.5, **gap)
        assert drain(journal, broker, lease, pace=QUICK, timeout=60)
        to = dt.datetime(2015, 7, 1, 20, tzinfo=dt.UTC)
        assert embedded.advance(exchange.url, name=journal.account, to=to).fills == 10
        time.sleep(0.2)
    finally:
        handle.close()
    for order in broker.orders_since(dt.datetime(2015, 1, 1, tzinfo=dt.UTC)):
        journal.book_order(order)
    for fill in broker.fills_since():
        journal.book_fill(fill)
    assert handle.failures == 0
    fills = journal.fills()
    assert sorted(fill.client_order_id for fill in fills) == sorted(intent.client_order_id for intent in intents)
    spent = sum(fill.qty * fill.price for fill in fills)
    assert broker.account().cash == (Decimal(10) ** 9 - spent).quantize(Decimal("0.01"))
    held = {position.symbol: position.qty for position in broker.positions()}
    assert {symbol: position.qty for symbol, position in journal.book().positions.items()} == held


def test_a_skewed_clock_changes_nothing_that_is_booked(desk, exchange):
    journal, broker, lease, posts = desk
    intents = write(journal, 6)
    embedded.add_fault(exchange.url, text="clock-skew:0.5@-90s")
    assert drain(journal, broker, lease, pace=QUICK, timeout=60)
    embedded.advance(exchange.url, name=journal.account, to=dt.datetime(2015, 7, 1, 20, tzinfo=dt.UTC))
    for occasion in ("start", "periodic"):
        reconcile(journal, broker, occasion, lease=lease)
    assert len(posts) == len(intents)
    assert {intent.state for intent in journal.intents()} == {IntentState.FILLED}
    held = {position.symbol: position.qty for position in broker.positions()}
    assert {symbol: position.qty for symbol, position in journal.book().positions.items()} == held
