"""Exits and option legs that the broker makes are intents of their own, booked and counted like any other."""

import datetime as dt
import itertools
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.execution.brokers.broker import BrokerEvent, BrokerOrder, fill_of_activity
from workbench.execution.journal.apply import apply_order
from workbench.execution.journal.legs import exit_leg, replacement_leg
from workbench.market.order import (
    IntentState,
    OptionLeg,
    OrderClass,
    OrderType,
    OrderWish,
    Side,
    TimeInForce,
)
from workbench.store.engine import transaction

START = dt.datetime(2015, 7, 1, 13, 30, tzinfo=dt.UTC)
SESSION = dt.date(2015, 6, 30)
BRACKET = OrderWish(
    "AAPL",
    Side.BUY,
    Decimal(100),
    OrderType.LIMIT,
    TimeInForce.GTC,
    limit_price=Decimal(50),
    order_class=OrderClass.BRACKET,
    take_profit_price=Decimal(60),
    stop_loss_price=Decimal(45),
)
_batch = itertools.count()
_names = {"test": 0}


@pytest.fixture(autouse=True)
def names_of_their_own():
    """All accounts of these tests are in one database, where a client_order_id is there once."""
    _names["test"] += 1


def their(name):
    return f"their-{name}-{_names['test']}"


def raw(name, cid, *, at=0, status="new", side="buy", qty="100", filled="0", kind="limit", **more):
    return {
        "id": name,
        "client_order_id": cid,
        "symbol": "AAPL",
        "side": side,
        "qty": qty,
        "filled_qty": filled,
        "filled_avg_price": "50" if Decimal(filled) else None,
        "status": status,
        "type": kind,
        "time_in_force": "gtc",
        "order_class": "bracket",
        "updated_at": (START + dt.timedelta(seconds=at)).isoformat(),
        **more,
    }


def profit(at=0, status="held", **more):
    return raw("tp", their("tp"), at=at, status=status, side="sell", limit_price="60", **more)


def loss(at=0, status="held", **more):
    return raw("sl", their("sl"), at=at, status=status, side="sell", kind="stop", stop_price="45", **more)


def entry(intent, *, legs=None, **more):
    return BrokerOrder.of(raw("b1", intent.client_order_id, limit_price="50", **more) | {"legs": legs})


def activity(order, *, qty, cum, price, side="sell", symbol="AAPL"):
    return fill_of_activity(
        {
            "id": f"20150701::{order}-{cum}",
            "order_id": order,
            "symbol": symbol,
            "side": side,
            "qty": qty,
            "cum_qty": cum,
            "price": price,
            "transaction_time": START.isoformat(),
        }
    )


def placed(journal, lease, wish=BRACKET, legs=None):
    """A wish that the broker has acknowledged, with its legs."""
    (one,) = journal.write([wish], bot="daily", session=SESSION, generation=next(_batch))
    work = journal.due(lease)[-1]
    sent = journal.mark_sending(work, lease)
    journal.mark_acked(work, entry(sent, legs=legs or [profit(), loss()]), compare=False)
    return one.intent


def exits(journal, parent):
    return {one.role: one for one in journal.intents() if one.parent_id == parent.id}


def counted(journal):
    """What risk counts per side: of a group the largest."""
    groups = {}
    for number, order in enumerate(journal.open_exposure()):
        key = order.side, order.group or number
        groups[key] = max(groups.get(key, 0), order.qty)
    totals = {Side.BUY: 0, Side.SELL: 0}
    for (side, _), qty in groups.items():
        totals[side] += qty
    return totals


def test_the_reply_to_a_bracket_makes_its_exits_intents_of_the_same_bot(journal, lease):
    parent = placed(journal, lease)
    both = exits(journal, parent)
    assert set(both) == {"take_profit", "stop_loss"}
    assert {one.state for one in both.values()} == {IntentState.ACKED}
    assert {(one.bot, one.session, one.side, one.qty) for one in both.values()} == {
        ("daily", "2015-06-30", Side.SELL, 100)
    }
    assert both["take_profit"].client_order_id == their("tp")
    assert (both["take_profit"].limit_price, both["stop_loss"].stop_price) == (60, 45)
    assert both["take_profit"].trace_id == parent.trace_id
    assert journal.due(lease) == [], "an exit is at the broker already and must not be sent"


def test_seeing_the_same_legs_again_changes_nothing(journal, lease):
    parent = placed(journal, lease)
    before = journal.intents()
    again = journal.book_order(entry(parent, legs=[profit(), loss()]))
    assert not again.changed
    assert journal.intents() == before


def test_a_profit_is_booked_on_its_exit_and_the_other_exit_follows_the_brokers_word(journal, lease):
    parent = placed(journal, lease)
    journal.book_order(entry(parent, at=1, status="filled", filled="100", legs=[profit(1, "new"), loss(1, "held")]))
    journal.book_fill(activity("b1", qty="100", cum="100", price="50", side="buy"))
    raw_fill = {
        "event": "fill",
        "execution_id": "x9",
        "order": profit(2, "filled", filled="100"),
        "timestamp": START.isoformat(),
        "qty": "100",
        "price": "60",
    }
    journal.book_event(BrokerEvent.of(raw_fill))
    journal.book_event(BrokerEvent.of({"event": "canceled", "order": loss(3, "canceled"), "timestamp": None}))
    both = exits(journal, parent)
    assert (both["take_profit"].state, both["stop_loss"].state) == (IntentState.FILLED, IntentState.CANCELED)
    assert journal.book().positions["AAPL"].qty == 0
    assert journal.book().cash == 1000
    assert journal.open_exposure() == []


def test_cancelling_the_entry_ends_its_exits_only_when_the_broker_says_so(journal, lease):
    parent = placed(journal, lease)
    journal.ask_cancel(parent.id)
    assert {one.state for one in exits(journal, parent).values()} == {IntentState.ACKED}
    journal.book_order(
        entry(parent, at=1, status="canceled", legs=[profit(1, "canceled"), loss(1, "canceled")]),
    )
    assert {one.state for one in journal.intents() if one.id == parent.id or one.parent_id} == {IntentState.CANCELED}


def test_exits_count_once_and_only_as_far_as_the_entry_has_filled(journal, lease):
    parent = placed(journal, lease)
    assert counted(journal) == {Side.BUY: 100, Side.SELL: 0}
    journal.book_order(entry(parent, at=1, status="partially_filled", filled="40", legs=[profit(1), loss(1)]))
    journal.book_fill(activity("b1", qty="40", cum="40", price="50", side="buy"))
    assert counted(journal) == {Side.BUY: 60, Side.SELL: 40}
    journal.book_order(entry(parent, at=2, status="filled", filled="100", legs=[profit(2), loss(2)]))
    journal.book_fill(activity("b1", qty="60", cum="100", price="50", side="buy"))
    assert counted(journal) == {Side.BUY: 0, Side.SELL: 100}
    journal.book_event(
        BrokerEvent.of(
            {"event": "partial_fill", "order": profit(3, "partially_filled", filled="30"), "timestamp": None}
        )
    )
    journal.book_fill(activity("tp", qty="30", cum="30", price="60"))
    assert counted(journal)[Side.SELL] == 70


def test_an_exit_that_the_broker_makes_smaller_is_smaller_here(journal, lease):
    parent = placed(journal, lease)
    journal.book_order(BrokerOrder.of(loss(5, "new", qty="70")))
    assert exits(journal, parent)["stop_loss"].qty == 70


def test_an_oco_is_one_of_its_two_exits(journal, lease):
    wish = OrderWish(
        "AAPL",
        Side.SELL,
        Decimal(100),
        OrderType.LIMIT,
        order_class=OrderClass.OCO,
        take_profit_price=Decimal(60),
        stop_loss_price=Decimal(45),
    )
    (one,) = journal.write([wish], bot="daily", session=SESSION, generation=next(_batch))
    work = journal.due(lease)[-1]
    journal.mark_sending(work, lease)
    order = raw("o1", one.intent.client_order_id, side="sell", limit_price="60", order_class="oco", legs=[loss()])
    applied = journal.mark_acked(work, BrokerOrder.of(order), compare=True)
    assert applied.flags == ()
    assert exits(journal, one.intent)["stop_loss"].stop_price == 45
    assert counted(journal) == {Side.BUY: 0, Side.SELL: 100}


MLEG = OrderWish(
    "SPY",
    Side.BUY,
    Decimal(2),
    OrderType.LIMIT,
    limit_price=Decimal("1.50"),
    order_class=OrderClass.MLEG,
    legs=(
        OptionLeg("SPY150717C00200000", Side.BUY, 1, "buy_to_open"),
        OptionLeg("SPY150717C00210000", Side.SELL, 2, "sell_to_open"),
    ),
)


def option_leg(name, leg, *, qty, filled="0", status="new", at=0):
    return raw(name, their(name), at=at, side=leg.side.value, qty=qty, filled=filled, status=status) | {
        "symbol": leg.symbol,
        "order_class": "mleg",
    }


def test_a_multi_leg_order_is_booked_by_its_legs_alone(journal, lease):
    (one,) = journal.write([MLEG], bot="daily", session=SESSION, generation=next(_batch))
    assert {(order.symbol, order.side, order.qty) for order in journal.open_exposure()} == {
        ("SPY150717C00200000", Side.BUY, 2),
        ("SPY150717C00210000", Side.SELL, 4),
    }
    work = journal.due(lease)[-1]
    journal.mark_sending(work, lease)
    bought, sold = MLEG.legs

    def combo(at, status, filled):
        legs = [
            option_leg("l1", bought, qty="2", filled=filled, status=status, at=at),
            option_leg("l2", sold, qty="4", filled=str(2 * int(filled)), status=status, at=at),
        ]
        top = raw("m1", one.intent.client_order_id, at=at, qty="2", filled=filled, status=status, limit_price="1.50")
        return top | {"symbol": "", "side": "", "order_class": "mleg", "legs": legs}

    assert journal.mark_acked(work, BrokerOrder.of(combo(0, "new", "0")), compare=True).flags == ()
    assert {order.qty for order in journal.open_exposure()} == {2, 4}
    told = {"event": "fill", "execution_id": "combo", "order": combo(1, "filled", "2"), "timestamp": START.isoformat()}
    applied = journal.book_event(BrokerEvent.of(told | {"qty": "2", "price": "1.50"}))
    assert applied.missing_qty == 6, "the executions of the legs are still to be read"
    assert journal.fills() == []
    journal.book_fill(activity("l1", qty="2", cum="2", price="3", side="buy", symbol=bought.symbol))
    journal.book_fill(activity("l2", qty="4", cum="4", price="1", side="sell", symbol=sold.symbol))
    assert {symbol: held.qty for symbol, held in journal.book().positions.items()} == {
        bought.symbol: 2,
        sold.symbol: -4,
    }
    assert {intent.state for intent in journal.intents()} == {IntentState.FILLED}
    assert journal.open_exposure() == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_pictures_in_any_order_and_number_end_where_the_newest_ends(sqlite_journal, sqlite_lease, data):
    journal, lease = sqlite_journal, sqlite_lease
    number = next(_batch)
    (one,) = journal.write([BRACKET], bot=f"any{number}", session=SESSION)
    work = next(work for work in journal.due(lease, limit=500) if work.intent.id == one.intent.id)
    journal.mark_sending(work, lease)
    names = {"id": f"b1-{number}"}
    tp = {"id": f"tp-{number}", "client_order_id": f"any-tp-{number}"}
    sl = {"id": f"sl-{number}", "client_order_id": f"any-sl-{number}"}
    cid = one.intent.client_order_id
    pictures = [
        raw("", cid, at=0, limit_price="50") | names | {"legs": [profit(0) | tp, loss(0) | sl]},
        raw("", cid, at=1, limit_price="50", filled="100", status="filled")
        | names
        | {"legs": [profit(1, "new") | tp, loss(1) | sl]},
        raw("", cid, at=1, limit_price="50", filled="100", status="filled")
        | names
        | {"legs": [profit(2, "filled", filled="100") | tp, loss(2, "canceled") | sl]},
    ]
    shown = data.draw(st.lists(st.sampled_from(pictures), max_size=6))
    for picture in [*shown, pictures[-1], *data.draw(st.lists(st.sampled_from(pictures), max_size=3))]:
        with transaction(journal.engine) as session:
            apply_order(session, journal.account, BrokerOrder.of(picture), at=START)
    states = {one.role: one.state for one in journal.intents(bot=f"any{number}")}
    assert states == {
        "": IntentState.FILLED,
        "take_profit": IntentState.FILLED,
        "stop_loss": IntentState.CANCELED,
    }


@given(st.integers(0, 999), st.integers(0, 9))
def test_no_exit_and_no_replacement_has_the_number_of_a_wish(leg, number):
    numbers = {exit_leg(leg, number), replacement_leg(leg), replacement_leg(exit_leg(leg, number))}
    assert len(numbers) == 3
    assert not numbers & set(range(1000))
    assert {replacement_leg(replacement_leg(one)) for one in (leg, exit_leg(leg, number))} == {
        replacement_leg(leg),
        replacement_leg(exit_leg(leg, number)),
    }


@pytest.mark.parametrize("status", ["new", "held", "accepted"])
def test_a_leg_that_is_told_before_its_parent_is_left_alone_and_found_through_it(journal, lease, status):
    (one,) = journal.write([BRACKET], bot="daily", session=SESSION, generation=next(_batch))
    work = journal.due(lease)[-1]
    journal.mark_sending(work, lease)
    assert journal.book_order(BrokerOrder.of(profit(0, status))).foreign
    journal.mark_acked(work, entry(one.intent, legs=[profit(0, status), loss()]), compare=True)
    assert not journal.book_order(BrokerOrder.of(profit(0, status))).foreign
