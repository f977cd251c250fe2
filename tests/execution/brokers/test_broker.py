import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import OutcomeUnknown
from workbench.execution.brokers.broker import (
    BrokerAccount,
    BrokerClock,
    BrokerEvent,
    BrokerOrder,
    BrokerPosition,
    decimal_of,
    fill_of_activity,
    limit_on_tick,
    moment_of,
    on_tick,
    stop_on_tick,
)
from workbench.market.order import Side

# The order of Alpaca's documentation of the trade_updates stream, with a field and a status that nobody knows yet.
ORDER = {
    "id": "904837e3-3b76-47ec-b432-046db621571b",
    "client_order_id": "wb1-daily-20210316-abc-g0",
    "created_at": "2021-03-16T18:38:01.937734Z",
    "updated_at": "2021-03-16T18:38:01.942282937Z",
    "filled_qty": "0.5",
    "filled_avg_price": "106.0301",
    "order_type": "market",
    "type": "market",
    "side": "sell",
    "qty": "15",
    "limit_price": None,
    "symbol": "AAPL",
    "status": "teleported",
    "time_in_force": "day",
    "field_of_the_future": {"a": [1, 2]},
}


def test_an_order_with_unknown_fields_and_status_is_read():
    order = BrokerOrder.of(ORDER)
    assert order.status == "teleported"
    assert order.is_open
    assert order.is_ours
    assert (order.qty, order.filled_qty, order.avg_price) == (Decimal(15), Decimal("0.5"), Decimal("106.0301"))
    assert order.side is Side.SELL
    assert order.updated_at == dt.datetime(2021, 3, 16, 18, 38, 1, 942282, tzinfo=dt.UTC)
    assert order.raw["field_of_the_future"] == {"a": [1, 2]}


@given(
    st.dictionaries(
        st.sampled_from(sorted(ORDER)), st.none() | st.booleans() | st.text() | st.floats() | st.lists(st.none())
    )
)
def test_no_value_of_any_field_but_the_id_can_raise(changes):
    order = BrokerOrder.of({**ORDER, **changes, "id": "x"})
    assert order.id == "x"
    assert order.filled_qty.is_finite()


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": ""}, None, [], "ok", 5])
def test_a_reply_without_an_id_says_nothing_about_an_order(body):
    with pytest.raises(OutcomeUnknown, match="no order id"):
        BrokerOrder.of(body)


@pytest.mark.parametrize("status", ["filled", "canceled", "expired", "rejected", "replaced"])
def test_only_five_statuses_are_an_end(status):
    assert not BrokerOrder.of({**ORDER, "status": status}).is_open


def test_a_foreign_order_is_not_ours():
    assert not BrokerOrder.of({**ORDER, "client_order_id": "my own order"}).is_ours
    assert not BrokerOrder.of({"id": "x"}).is_ours


def test_numbers_and_moments_that_are_none():
    assert [decimal_of(value) for value in (None, "", "x", "NaN", "inf", True, [])] == [None] * 7
    assert decimal_of("1.10") == Decimal("1.1")
    assert decimal_of(0.1) == Decimal("0.1")
    assert [moment_of(value) for value in (None, "", "yesterday", 5)] == [None] * 4
    assert moment_of("2021-03-16T14:38:01-04:00") == dt.datetime(2021, 3, 16, 18, 38, 1, tzinfo=dt.UTC)
    assert moment_of("2021-03-16T14:38:01").tzinfo is dt.UTC


def test_a_fill_event_has_its_fill():
    event = BrokerEvent.of(
        {
            "event": "partial_fill",
            "execution_id": "7922ab44",
            "order": {**ORDER, "status": "partially_filled"},
            "price": "106.03",
            "qty": "0.5",
            "timestamp": "2021-03-16T18:38:01.942282Z",
        }
    )
    fill = event.fill
    assert (fill.execution_id, fill.qty, fill.price, fill.cum_qty) == (
        "7922ab44",
        Decimal("0.5"),
        Decimal("106.03"),
        Decimal("0.5"),
    )
    assert (fill.side, fill.symbol, fill.broker_order_id) == (Side.SELL, "AAPL", ORDER["id"])
    assert fill.happened == dt.datetime(2021, 3, 16, 18, 38, 1, 942282, tzinfo=dt.UTC)


def test_an_event_of_the_future_is_read_and_has_no_fill():
    event = BrokerEvent.of({"event": "levitated", "order": ORDER, "price": "1", "qty": "1"})
    assert event.fill is None
    assert event.happened == event.order.updated_at


def test_a_fill_without_an_execution_id_is_named_by_order_and_quantity():
    event = BrokerEvent.of({"event": "fill", "order": ORDER, "price": "1", "qty": "0.5", "execution_id": None})
    assert event.fill.execution_id == f"{ORDER['id']}:0.5"


def test_an_activity_becomes_a_fill():
    row = {
        "id": "20190524113406977::8efc7b9a-8b2b-4000-9955-d36e7db0df74",
        "activity_type": "FILL",
        "transaction_time": "2019-05-24T15:34:06.977Z",
        "type": "fill",
        "price": "1.63",
        "qty": "100",
        "side": "sell_short",
        "symbol": "LPCN",
        "leaves_qty": "0",
        "order_id": "904837e3-3b76-47ec-b432-046db621571b",
        "cum_qty": "200",
    }
    fill = fill_of_activity(row)
    assert (fill.side, fill.qty, fill.cum_qty, fill.price) == (Side.SELL, Decimal(100), Decimal(200), Decimal("1.63"))
    for field in ("id", "order_id", "qty", "price", "side", "transaction_time"):
        assert fill_of_activity({**row, field: None}) is None


def test_positions_account_and_clock_never_invent_a_number():
    short = BrokerPosition.of({"symbol": "A", "qty": "5", "side": "short", "avg_entry_price": "2.5"})
    assert (short.qty, short.avg_price, short.market_price) == (Decimal(-5), Decimal("2.5"), None)
    account = BrokerAccount.of({"account_number": "PA1", "cash": "12.5"})
    assert (account.number, account.cash, account.equity, account.buying_power) == ("PA1", Decimal("12.5"), None, None)
    clock = BrokerClock.of({"timestamp": "2015-06-30T16:00:00-04:00", "is_open": False})
    assert clock.now == dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
    assert clock.next_open is None


def test_prices_go_to_the_tick_on_the_side_that_does_not_hurt():
    assert on_tick(Decimal("290.123"), up=True) == Decimal("290.13")
    assert on_tick(Decimal("0.12345"), up=False) == Decimal("0.1234")
    assert limit_on_tick(Decimal("290.127"), Side.BUY) == Decimal("290.12")
    assert limit_on_tick(Decimal("290.121"), Side.SELL) == Decimal("290.13")
    assert stop_on_tick(Decimal("290.121"), Side.BUY) == Decimal("290.13")
    assert stop_on_tick(Decimal("290.129"), Side.SELL) == Decimal("290.12")
    assert limit_on_tick(None, Side.BUY) is None


@given(st.decimals(min_value="0.0001", max_value="100000", places=6), st.sampled_from(Side))
def test_every_limit_is_on_alpacas_grid_and_not_worse_than_wished(price, side):
    limit = limit_on_tick(price, side)
    assert limit <= price if side is Side.BUY else limit >= price
    assert limit % (Decimal("0.01") if limit > 1 else Decimal("0.0001")) == 0
    assert abs(limit - price) < (Decimal("0.01") if price >= 1 else Decimal("0.0001"))
