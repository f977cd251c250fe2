"""Money is conserved: whatever is wished for, nothing appears and nothing vanishes but costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.properties.future import random_history
from workbench.backtest.costs import Costs
from workbench.backtest.engine import simulate
from workbench.backtest.fill_rules import FillRules
from workbench.market.bars import Bars

SESSIONS = 60


@some.composite
def questions(draw, *, gaps=True):
    """(weights, bars, costs, execution price): any market with gaps, any wishes within the contract."""
    number = draw(some.integers(1, 5))
    chance = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    bars = random_history(
        symbols=tuple("ABCDE"[:number]),
        length=SESSIONS,
        warm_up=0,
        seed=int(chance.integers(2**31)),
        gaps=draw(some.sampled_from([0.0, 0.2])) if gaps else 0.0,
    ).bars
    wishes = chance.dirichlet(np.ones(number + 1), SESSIONS)[:, :number]
    if draw(some.booleans()):
        wishes /= wishes.sum(axis=1, keepdims=True)  # fully invested: costs must be paid by cutting a purchase
    wishes[chance.random(wishes.shape) < 0.3] = 0.0
    wishes[chance.random(wishes.shape) < 0.3] = np.nan
    wishes[chance.random(SESSIONS) < draw(some.sampled_from([0.0, 0.5, 0.9]))] = np.nan
    costs = Costs(
        fee=draw(some.sampled_from([0.0, 0.001, 0.05])), slippage=draw(some.sampled_from([0.0, 0.0005, 0.05]))
    )
    weights = pd.DataFrame(wishes, index=bars.sessions, columns=bars.close.columns)
    return weights, bars, costs, draw(some.sampled_from(["next_open", "next_close"]))


def ask(question, *, cash=100_000.0):
    weights, bars, costs, where = question
    return simulate(weights, bars, costs=costs, initial_cash=cash, rules=FillRules(execution_price=where))


@settings(max_examples=60, deadline=None)
@given(questions())
def test_equity_changes_by_holdings_times_price_moves_minus_costs(question):
    done, bars = ask(question), question[1]
    marks = bars.close.ffill()
    moves = (done.positions.shift(1) * marks.diff()).sum(axis=1)
    orders = done.orders
    signed = orders["qty"].where(orders["side"] == "buy", -orders["qty"])
    closes = marks.to_numpy()[marks.index.get_indexer(orders["session"]), marks.columns.get_indexer(orders["symbol"])]
    since_fill = signed * (closes - orders["reference_price"]) - orders["slippage"] - orders["fee"]
    moves = (
        moves.add(since_fill.groupby(orders["session"]).sum(), fill_value=0.0).reindex(done.equity.index).fillna(0.0)
    )
    np.testing.assert_allclose(done.equity.diff().iloc[1:], moves.iloc[1:], atol=1e-9 * 100_000)
    np.testing.assert_allclose(done.equity, done.cash + (done.positions * marks).sum(axis=1), rtol=1e-12)
    # the trades tell the same story: what all round trips won is what the book won
    assert done.trades["pnl"].sum() == pytest.approx(done.equity.iloc[-1] - 100_000, abs=1e-4)
    assert done.trades["cost"].sum() == pytest.approx(orders[["fee", "slippage"]].to_numpy().sum(), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(questions())
def test_nothing_is_borrowed_and_nothing_is_sold_that_is_not_held(question):
    done = ask(question)
    assert (done.cash >= 0).all()
    assert (done.positions >= 0).to_numpy().all()
    assert done.exposure.between(0, 1 + 1e-12).all()
    assert (done.orders[["qty", "fee", "slippage"]] >= 0).to_numpy().all()
    assert (done.orders["decided"] < done.orders["session"]).all()


@settings(max_examples=40, deadline=None)
@given(questions())
def test_the_fills_are_those_of_a_ledger_kept_by_hand(question):
    done = ask(question)
    equity, orders = by_hand(*question, cash=100_000.0)
    np.testing.assert_allclose(done.equity, equity, rtol=1e-8)
    assert len(done.orders) == len(orders)
    got = done.orders[["session", "symbol", "side"]].itertuples(index=False, name=None)
    assert sorted(got) == sorted(order[:3] for order in orders)


@settings(max_examples=25, deadline=None)
@given(questions(), some.sampled_from([np.nan, 0.0]))
def test_a_symbol_that_is_never_wished_for_changes_nothing(question, wish):
    weights, bars, costs, where = question
    other = random_history(symbols=("Z",), length=SESSIONS, warm_up=0, seed=99, gaps=0.1).bars
    wider = Bars(**{name: pd.concat([getattr(other, name), values], axis=1) for name, values in bars})
    wider_weights = pd.concat([pd.DataFrame({"Z": wish}, index=weights.index), weights], axis=1)
    assert ask((wider_weights, wider, costs, where)).equity.equals(ask(question).equity)


@settings(max_examples=25, deadline=None)
@given(questions(), some.sampled_from([1e-2, 7.0, 1e4]))
def test_money_has_no_natural_unit(question, factor):
    weights, bars, costs, where = question
    once = ask(question)
    richer = ask(question, cash=100_000.0 * factor)
    np.testing.assert_allclose(richer.equity, once.equity * factor, rtol=1e-8)
    dearer = Bars(**{name: values if name == "volume" else values * factor for name, values in bars})
    np.testing.assert_allclose(ask((weights, dearer, costs, where)).equity, once.equity, rtol=1e-8)


def by_hand(weights, bars, costs, where, *, cash):
    """The rules of `simulate` once more, in plain Python: an independent ledger of equity and orders."""
    prices = (bars.open if where == "next_open" else bars.close).where(bars.close.notna())
    held, waiting, last, equity, orders = dict.fromkeys(weights.columns, 0.0), {}, {}, [], []
    for row, session in enumerate(weights.index):
        price = dict(prices.iloc[row].dropna())
        if row:
            waiting |= dict(weights.iloc[row - 1].dropna())
        due = {symbol: waiting.pop(symbol) for symbol in list(waiting) if symbol in price}
        value = cash + sum(held[symbol] * price.get(symbol, last.get(symbol, 0.0)) for symbol in held)
        wanted = {symbol: wish * value - held[symbol] * price[symbol] for symbol, wish in due.items()}
        for symbol, money in sorted(wanted.items(), key=lambda item: item[1]):
            qty = money / price[symbol]
            paid = price[symbol] * (1 + costs.slippage * np.sign(money))
            if money > 0:
                qty = min(qty, cash / (paid * (1 + costs.fee)))
            if abs(qty * paid) <= 1e-4:
                continue
            held[symbol] = held[symbol] + qty if due[symbol] else 0.0
            cash -= qty * paid + abs(qty * paid) * costs.fee
            orders.append((session, symbol, "buy" if money > 0 else "sell"))
        last |= dict(bars.close.iloc[row].dropna())
        equity.append(cash + sum(held[symbol] * last.get(symbol, 0.0) for symbol in held))
    return equity, orders
