"""The desk's rules in the replay: the very orders of `rebalance`, and money conserved."""

from __future__ import annotations

import dataclasses
import itertools
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings

from tests.backtest.markets import questions
from workbench.backtest.engine import simulate
from workbench.backtest.fill_rules import FillRules
from workbench.errors import BacktestError, ParameterError
from workbench.market.actions import Actions
from workbench.market.book import Book
from workbench.market.order import Fill, Side
from workbench.market.rebalance import rebalance


def by_desk(question, **rules):
    """The question without what a desk has not: bands, splits, same-bar fills, and wishes before the first price."""
    where = "next_close" if question.rules.execution_price == "same_close" else question.rules.execution_price
    known = question.bars.close.ffill().notna()
    return dataclasses.replace(
        question,
        weights=question.weights.where(known),
        rules=FillRules(
            **{
                "execution_price": where,
                "lot": 1.0,
                "sized_at": "decision",
                "cushion": 0.02,
                "max_gross": question.rules.max_gross,
            }
            | rules
        ),
        actions=Actions(),
    )


@settings(max_examples=40, deadline=None)
@given(questions(lots=False))
def test_the_orders_are_those_of_rebalance_bar_by_bar(question):
    """A second book, kept here from the fills alone, gives the same orders for every bar that has prices."""
    asked = by_desk(question)
    asked = dataclasses.replace(asked, costs=dataclasses.replace(asked.costs, cash_interest=0.0, margin_interest=0.0))
    asked = dataclasses.replace(asked, costs=dataclasses.replace(asked.costs, borrow=0.0, fee_max=None))
    done = asked.ask()
    if done.ruined is not None:
        return
    days, closes = asked.weights.index, asked.bars.close.ffill()
    book = Book(cash=Decimal(repr(float(asked.cash))))
    for before, day in itertools.pairwise(days):
        wish = asked.weights.loc[before].dropna().to_dict()
        made = rebalance(wish, book=book, prices=closes.loc[before].dropna().to_dict(), cushion=0.02) if wish else []
        fills = done.orders[done.orders["session"] == day]
        due = [w for w in made if np.isfinite(asked.bars.close.loc[day, w.symbol])]
        got = [(row.symbol, row.side, row.qty) for row in fills.itertuples()]
        wanted = [(w.symbol, w.side.value, float(w.qty)) for w in due]
        # Where σ or volume of a cost is not known yet, a fill is not possible; nothing else may be missing.
        assert got == [row for row in wanted if row in got]
        if not (asked.costs.slippage_volatility or asked.costs.impact or asked.costs.slippage_participation):
            assert got == wanted
        for row in fills.itertuples():
            book = book.apply(
                Fill(
                    execution_id="",
                    broker_order_id="",
                    client_order_id="",
                    symbol=row.symbol,
                    side=Side(row.side),
                    qty=Decimal(repr(row.qty)),
                    price=Decimal(repr(row.price)),
                    happened=day.to_pydatetime(),
                    fee=Decimal(repr(row.fee)),
                )
            )
        assert float(book.cash) == pytest.approx(done.cash[day], rel=1e-12, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(questions(lots=False))
def test_money_is_conserved_and_shares_are_whole(question):
    done = by_desk(question, max_participation=0.02).ask()
    orders = done.orders[done.orders["reason"] == "wish"]
    assert (orders["qty"] == orders["qty"].round()).all()
    signed = done.orders["qty"].where(done.orders["side"] == "buy", -done.orders["qty"])
    paid = (signed * done.orders["price"] + done.orders["fee"]).groupby(done.orders["session"]).sum()
    flow = done.financing.sum(axis=1) - paid.reindex(done.cash.index).fillna(0.0)
    np.testing.assert_allclose(done.cash, question.cash + flow.cumsum(), rtol=1e-12, atol=1e-9 * question.cash)
    volume = question.bars.volume.stack()
    taken = orders.set_index(["session", "symbol"])["qty"]
    assert (taken <= 0.02 * volume.reindex(taken.index) + 1e-9).all()


def test_a_wish_without_any_price_stops_the_replay_as_it_stops_the_desk(wished_before_listed):
    with pytest.raises(ParameterError, match="B is wished with weight"):
        simulate(**wished_before_listed, rules=FillRules.desk())
    assert simulate(**wished_before_listed, rules=FillRules(lot=1.0)).orders["symbol"].tolist() == ["A", "B"]


@pytest.fixture
def wished_before_listed():
    import pandas as pd

    from workbench.backtest.costs import Costs
    from workbench.market.bars import Bars

    index = pd.DatetimeIndex(["2015-01-08", "2015-01-09", "2015-01-12"], name="session")
    close = pd.DataFrame({"A": [10.0, 10.0, 10.0], "B": [np.nan, np.nan, 10.0]}, index=index)
    weights = pd.DataFrame({"A": [0.5, np.nan, np.nan], "B": [0.5, np.nan, np.nan]}, index=index)
    return {"weights": weights, "bars": Bars(close=close), "costs": Costs(), "initial_cash": 1000.0}


@pytest.mark.parametrize(
    "wrong", [{"lot": 0.0}, {"band": 0.1}, {"execution_price": "same_close"}, {"sized_at": "noon"}, {"cushion": 0.6}]
)
def test_rules_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ParameterError):
        FillRules(**({"lot": 1.0, "sized_at": "decision"} | wrong))


def test_vectorbt_does_not_take_what_it_cannot_express(wished_before_listed):
    with pytest.raises(BacktestError, match=r"rules\.cushion"):
        simulate(**wished_before_listed, rules=FillRules(cushion=0.1), engine="vectorbt")
    with pytest.raises(BacktestError, match=r"rules\.sized_at"):
        simulate(**wished_before_listed, rules=FillRules.desk(), engine="vectorbt")
