"""The whole way of orders that hang together or are replaced: journal, alpaca-py, the local exchange, and back."""

import datetime as dt
from decimal import Decimal

import pytest

from tests.execution.conftest import ask_replace
from workbench.exchange import embedded
from workbench.execution.brokers.alpaca import AlpacaBroker
from workbench.execution.brokers.broker import Outcome
from workbench.execution.journal.journal import Journal
from workbench.execution.reconciliation.reconcile import reconcile
from workbench.execution.submitter.submit import drain
from workbench.market.order import IntentState, OrderClass, OrderType, OrderWish, Side, TimeInForce
from workbench.store.lease import Lease

NOW = dt.datetime(2015, 6, 30, 20, 0, 5, tzinfo=dt.UTC)
SESSION = dt.date(2015, 6, 30)
CHEAP = OrderWish("SYN01", Side.BUY, Decimal(10), OrderType.LIMIT, TimeInForce.GTC, limit_price=Decimal("1.00"))


@pytest.fixture
def broker(exchange, keys):
    opened = AlpacaBroker(name=keys.name, url=exchange.url, key_id=keys.key_id, secret_key=keys.secret_key)
    yield opened
    opened.close()


@pytest.fixture
def journal(sqlite_engine, keys):
    return Journal(sqlite_engine, keys.name)


@pytest.fixture
def lease(journal):
    return Lease.acquire(journal.engine, journal.account, "desk")


def send(journal, broker, lease, *wishes, generation=0):
    written = journal.write(wishes, bot="daily", session=SESSION, generation=generation)
    assert drain(journal, broker, lease, timeout=20)
    return [journal.intent(one.intent.id) for one in written]


def test_a_bracket_goes_out_fills_and_leaves_by_its_profit(journal, broker, lease, exchange, keys):
    cash = broker.account().cash
    wish = OrderWish(
        "SYN01", Side.BUY, Decimal(10), order_class=OrderClass.BRACKET, time_in_force=TimeInForce.GTC,
        take_profit_price=Decimal(500), stop_loss_price=Decimal("0.01"),
    )  # fmt: skip
    (entry,) = send(journal, broker, lease, wish)
    assert entry.state is IntentState.ACKED, entry.note
    exits = {one.role: one for one in journal.intents() if one.parent_id == entry.id}
    assert set(exits) == {"take_profit", "stop_loss"}
    assert {one.qty for one in exits.values()} == {10}
    embedded.advance(exchange.url, name=keys.name, to=NOW + dt.timedelta(days=1))
    first = reconcile(journal, broker, "start", lease=lease)
    assert not {found.kind for found in first.discrepancies} & {"foreign_order", "position_drift"}, first
    assert reconcile(journal, broker, "periodic", lease=lease).clean
    assert journal.intent(entry.id).state is IntentState.FILLED
    assert journal.book().positions["SYN01"].qty == 10
    assert broker.account().cash < cash
    assert {order.qty for order in journal.open_exposure()} == {10}
    for one in exits.values():
        journal.ask_cancel(one.id)
    assert drain(journal, broker, lease, timeout=20)
    reconcile(journal, broker, "periodic", lease=lease)
    assert {journal.intent(one.id).state for one in exits.values()} == {IntentState.CANCELED}
    assert journal.open_exposure() == []


def test_a_replacement_at_the_exchange_has_our_name_and_the_old_one_is_replaced(journal, broker, lease):
    (old,) = send(journal, broker, lease, CHEAP)
    new = ask_replace(journal, old.id, qty=Decimal(20), limit_price=Decimal("1.10"))
    assert drain(journal, broker, lease, timeout=20)
    reconcile(journal, broker, "start", lease=lease)
    assert (journal.intent(old.id).state, journal.intent(new.id).state) == (IntentState.REPLACED, IntentState.ACKED)
    (live,) = broker.open_orders()
    assert (live.client_order_id, live.qty, live.limit_price) == (new.client_order_id, 20, Decimal("1.10"))
    assert live.replaces == old.broker_order_id
    assert reconcile(journal, broker, "periodic", lease=lease).clean


def test_what_somebody_else_puts_in_the_place_of_our_order_is_ours(journal, broker, lease):
    (old,) = send(journal, broker, lease, CHEAP)
    by_hand = broker.replace(old.broker_order_id, client_order_id="by-hand-" + old.id, limit_price=Decimal("1.20"))
    assert by_hand.outcome is Outcome.PLACED, by_hand
    done = reconcile(journal, broker, "start", lease=lease)
    assert "foreign_order" not in {found.kind for found in done.discrepancies}
    (adopted,) = [one for one in journal.intents() if one.replaces_id == old.id]
    assert (adopted.state, adopted.bot, adopted.limit_price) == (IntentState.ACKED, "daily", Decimal("1.20"))
    assert journal.intent(old.id).state is IntentState.REPLACED
    assert broker.open_orders()[0].id == by_hand.order.id, "it is left alone"


@pytest.mark.parametrize(
    "wish",
    [
        OrderWish("SYN01", Side.BUY, Decimal(1), OrderType.STOP_LIMIT, limit_price=Decimal(99), stop_price=Decimal(98)),
        OrderWish("SYN01", Side.BUY, Decimal(1), OrderType.TRAILING_STOP, trail_percent=Decimal(50)),
        OrderWish("SYN01", Side.BUY, Decimal(1), OrderType.TRAILING_STOP, trail_price=Decimal(50)),
        OrderWish("SYN01", Side.BUY, Decimal(1), OrderType.STOP, stop_price=Decimal(900)),
    ],
    ids=["stop limit", "trail percent", "trail price", "stop"],
)  # fmt: skip
def test_each_type_is_accepted_and_known_again(journal, broker, lease, wish):
    (sent,) = send(journal, broker, lease, wish)
    assert sent.state is IntentState.ACKED, sent.note
    reconcile(journal, broker, "start", lease=lease)
    assert reconcile(journal, broker, "periodic", lease=lease).clean


def test_a_suspended_account_refuses_and_every_answer_tells_the_budget(broker, journal, lease):
    assert broker.suspend(True).outcome is Outcome.PLACED
    assert broker.configurations()["suspend_trade"] is True
    (refused,) = send(journal, broker, lease, CHEAP)
    assert refused.state is IntentState.REJECTED
    assert broker.suspend(False).outcome is Outcome.PLACED
    (sent,) = send(journal, broker, lease, CHEAP, generation=1)
    assert sent.state is IntentState.ACKED


def test_all_holdings_are_closed_with_an_outcome_each(broker, journal, lease, exchange, keys):
    send(journal, broker, lease, OrderWish("SYN01", Side.BUY, Decimal(3)), OrderWish("SYN02", Side.BUY, Decimal(2)))
    embedded.advance(exchange.url, name=keys.name, to=NOW + dt.timedelta(days=1))
    closed = dict(broker.close_all(cancel_orders=True))
    assert set(closed) == {"SYN01", "SYN02"}
    assert {reply.outcome for reply in closed.values()} == {Outcome.PLACED}
    assert {reply.order.side for reply in closed.values()} == {Side.SELL}
    done = reconcile(journal, broker, "start", lease=lease)
    assert [found.kind for found in done.discrepancies].count("foreign_order") == 2
