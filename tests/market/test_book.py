import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ExecutionError
from workbench.market.book import Book
from workbench.market.order import Fill, Side

WHEN = dt.datetime(2015, 6, 30, 20, tzinfo=dt.UTC)
cents = st.decimals(Decimal("0.01"), Decimal(1000), places=2)
shares = st.integers(1, 10_000).map(Decimal)


def fill(side, qty, price, fee="0", symbol="AAPL"):
    return Fill("e", "b", "c", symbol, Side(side), Decimal(qty), Decimal(price), WHEN, Decimal(fee))


def test_hand_calculated_round_trip():
    # buy 10 at 100 and 10 at 110 (avg 105), sell 15 at 120: realized 15 × 15 = 225; cash 10000 − 1000 − 1100 + 1800 − 1
    book = Book(Decimal(10_000))
    for one in (fill("buy", 10, 100), fill("buy", 10, 110), fill("sell", 15, 120, fee="1")):
        book = book.apply(one)
    held = book.positions["AAPL"]
    assert (held.qty, held.avg_price, held.realized) == (Decimal(5), Decimal(105), Decimal(225))
    assert book.cash == Decimal(9699)


def test_crossing_zero_starts_a_new_position_at_the_fill_price():
    book = Book(Decimal(0)).apply(fill("buy", 10, 100)).apply(fill("sell", 15, 90))
    held = book.positions["AAPL"]
    assert (held.qty, held.avg_price, held.realized) == (Decimal(-5), Decimal(90), Decimal(-100))


@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), shares, cents, cents), max_size=20), cents)
def test_a_fill_at_the_marked_price_changes_the_value_by_exactly_its_fee(fills, mark):
    book = Book(Decimal(1_000_000))
    for side, qty, price, fee in fills:
        book = book.apply(fill(side, qty, price))
        before = book.value({"AAPL": mark})
        book = book.apply(fill(side, qty, mark, fee=fee))
        assert book.value({"AAPL": mark}) == before - fee


def test_a_book_is_not_changed_by_a_fill_of_another():
    before = Book(Decimal(100))
    after = before.apply(fill("buy", 1, 10))
    assert before.positions == {}
    assert after.cash == 90


@pytest.mark.parametrize(("qty", "price"), [("0", "10"), ("-1", "10"), ("1", "0")])
def test_an_impossible_fill_is_refused(qty, price):
    with pytest.raises(ExecutionError, match="must be > 0"):
        Book(Decimal(1)).apply(fill("buy", qty, price))


def test_a_held_symbol_without_a_price_has_no_value():
    with pytest.raises(ExecutionError, match="AAPL is held but has no price"):
        Book(Decimal(0)).apply(fill("buy", 1, 10)).value({})
