"""Corporate actions: what they do to a book, and what cannot be one."""

from __future__ import annotations

import math
from decimal import Decimal

import pandas as pd
import pytest

from workbench.errors import BadData
from workbench.market.actions import Actions, Delisting, Dividend, Split, after
from workbench.market.book import Book, Position

DAY = pd.Timestamp("2015-01-05")
BOOK = Book(
    cash=Decimal(100),
    positions={
        "L": Position("L", Decimal(10), Decimal(6)),
        "S": Position("S", Decimal(-10), Decimal(6), Decimal(1)),
    },
)


def test_a_dividend_is_paid_to_the_long_and_by_the_short():
    assert after(BOOK, Dividend("L", DAY, 0.5)).cash == 105
    assert after(BOOK, Dividend("S", DAY, 0.5)).cash == 95
    assert after(BOOK, Dividend("Z", DAY, 0.5)) is BOOK


def test_a_split_changes_shares_and_price_and_no_value():
    book = after(BOOK, Split("S", DAY, 4.0))
    assert (book.cash, book.positions["S"].qty, book.positions["S"].avg_price) == (100, -40, Decimal("1.5"))
    assert book.positions["L"] == BOOK.positions["L"]


def test_a_delisting_turns_shares_into_their_value():
    long, short = after(BOOK, Delisting("L", DAY, 2.0)), after(BOOK, Delisting("S", DAY, 2.0))
    assert (long.cash, long.positions["L"].qty, long.positions["L"].realized) == (120, 0, -40)
    assert (short.cash, short.positions["S"].qty, short.positions["S"].realized) == (80, 0, 41)


def test_actions_come_in_the_order_of_sessions_and_splits_before_dividends():
    later = pd.Timestamp("2015-01-06")
    actions = Actions(
        (Dividend("A", DAY, 1.0),), (Split("A", later, 2.0), Split("A", DAY, 2.0)), (Delisting("A", DAY, 0.0),)
    )
    assert [(type(action).__name__, action.session.day) for action in actions] == [
        ("Split", 5),
        ("Dividend", 5),
        ("Delisting", 5),
        ("Split", 6),
    ]
    assert len(list(actions.until(DAY))) == 3
    assert not actions.of(["B"])
    assert len(list(actions.of(["A"]))) == 4


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_numbers_that_cannot_be(value):
    for kind in (Dividend, Split):
        with pytest.raises(BadData, match=f"{kind.__name__} of A on 2015-01-05"):
            kind("A", DAY, value)
    if value != 0.0:
        with pytest.raises(BadData, match="Delisting of A"):
            Delisting("A", DAY, value)
