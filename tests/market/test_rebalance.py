from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import ParameterError
from workbench.market.book import Book, Position
from workbench.market.order import Side
from workbench.market.rebalance import rebalance, standing

PRICES = {"AAPL": 100.0, "MSFT": 50.0, "XOM": 80.0}


def test_hand_calculated_wishes():
    # value 10_000 × (1 − 0.002) = 9980; AAPL 0.5 → 49 shares (49.9), MSFT 0 → sell the 20 held
    book = Book(Decimal(9000), {"MSFT": Position("MSFT", Decimal(20), Decimal(40))})
    wishes = rebalance({"AAPL": 0.5, "MSFT": 0.0}, book=book, prices=PRICES)
    assert [(w.symbol, w.side, w.qty) for w in wishes] == [
        ("MSFT", Side.SELL, Decimal(20)),
        ("AAPL", Side.BUY, Decimal(49)),
    ]


def test_symbols_not_named_are_left_alone():
    book = Book(Decimal(0), {"XOM": Position("XOM", Decimal(5), Decimal(80))})
    assert rebalance({}, book=book, prices=PRICES) == []


def test_the_standing_wish_is_the_newest_number_of_each_symbol():
    weights = pd.DataFrame({"AAPL": [0.5, np.nan, np.nan], "MSFT": [0.5, 0.0, np.nan], "XOM": [np.nan] * 3})
    assert standing(weights) == {"AAPL": 0.5, "MSFT": 0.0}


@given(
    st.dictionaries(st.sampled_from(sorted(PRICES)), st.floats(0, 1 / 3), max_size=3), st.integers(1_000, 10_000_000)
)
def test_wishes_never_cost_more_than_the_book_and_applying_them_twice_changes_nothing(weights, cash):
    book = Book(Decimal(cash))
    wishes = rebalance(weights, book=book, prices=PRICES)
    assert sum(w.qty * w.reference_price for w in wishes) <= cash
    positions = {w.symbol: Position(w.symbol, w.qty, w.reference_price) for w in wishes}
    spent = sum(w.qty * w.reference_price for w in wishes)
    after = Book(Decimal(cash) - spent, positions)
    again = rebalance(weights, book=after, prices=PRICES)
    assert again == []


@pytest.mark.parametrize("bad", [{"AAPL": float("nan")}, {"AAPL": float("inf")}, {"IBM": 0.1}])
def test_a_wish_without_a_number_or_a_price_makes_no_order(bad):
    with pytest.raises(ParameterError, match="no order was made"):
        rebalance(bad, book=Book(Decimal(1000)), prices=PRICES)
