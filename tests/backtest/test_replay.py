"""The two engines agree, and whatever is asked, money is conserved."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from tests.backtest.markets import questions, simple_questions
from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.errors import BacktestError
from workbench.market.bars import Bars

NUMBERS = ["qty", "price", "reference_price", "value", "fee", "slippage", "spread", "impact", "held"]


def assert_same(one, other, *, rtol=1e-9):
    """Everything but the name of the engine, numbers to a billionth of what was started with."""
    scale = rtol * float(one.equity.iloc[0])
    for name in ("equity", "cash", "positions", "financing"):
        got, want = getattr(one, name), getattr(other, name)
        assert got.index.equals(want.index)
        np.testing.assert_allclose(got, want, rtol=rtol, atol=scale)
    for name in ("returns", "exposure", "gross"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, atol=rtol)
    for name in ("orders", "trades"):
        got, want = getattr(one, name), getattr(other, name)
        assert list(got.columns) == list(want.columns)
        assert len(got) == len(want)
        words = [column for column in got.columns if not pd.api.types.is_float_dtype(got[column])]
        pd.testing.assert_frame_equal(got[words], want[words])
        floats = [column for column in got.columns if column not in words]
        np.testing.assert_allclose(got[floats], want[floats], rtol=1e-7, atol=scale)
    np.testing.assert_allclose(one.orders[NUMBERS], other.orders[NUMBERS], rtol=rtol, atol=scale)


@settings(max_examples=60, deadline=None)
@given(simple_questions())
def test_vectorbt_and_the_replay_agree(question):
    one, other = question.ask("vectorbt"), question.ask("replay")
    assert (one.engine, other.engine) == ("vectorbt", "replay")
    assert_same(one, other)


@settings(max_examples=60, deadline=None)
@given(questions())
def test_cash_changes_by_fills_fees_and_financing_alone(question):
    done = question.ask()
    orders = done.orders
    signed = orders["qty"].where(orders["side"] == "buy", -orders["qty"])
    paid = (signed * orders["price"] + orders["fee"]).groupby(orders["session"]).sum()
    flow = done.financing.sum(axis=1) - paid.reindex(done.cash.index).fillna(0.0)
    np.testing.assert_allclose(done.cash, question.cash + flow.cumsum(), rtol=1e-12, atol=1e-9 * question.cash)


@settings(max_examples=60, deadline=None)
@given(questions())
def test_final_equity_is_initial_cash_plus_price_moves_less_costs_plus_financing(question):
    done, bars = question.ask(), question.bars
    growth = pd.DataFrame(1.0, index=done.equity.index, columns=bars.close.columns)
    for split in question.actions.splits:
        growth.loc[split.session :, split.symbol] *= split.ratio
    marks = (bars.close * growth).ffill()  # per share of the first bar, as are the holdings below
    held = done.positions / growth
    moves = (held.shift(1).fillna(0.0) * marks.diff()).sum().sum()
    orders = done.orders
    rows, columns = marks.index.get_indexer(orders["session"]), marks.columns.get_indexer(orders["symbol"])
    grown = growth.to_numpy()[rows, columns]
    signed = orders["qty"].where(orders["side"] == "buy", -orders["qty"]) / grown
    since_fill = (signed * (marks.to_numpy()[rows, columns] - orders["reference_price"] * grown)).sum()
    costs = orders[["fee", "slippage", "spread", "impact"]].to_numpy().sum()
    delisted = 0.0  # what was held at the last mark of a delisted symbol, and became `financing.delisted`
    for end in question.actions.delistings:
        traded = signed[(orders["symbol"] == end.symbol) & (orders["session"] <= end.session)].sum()
        delisted -= traded * marks.loc[end.session, end.symbol]
    change = moves + since_fill - costs + done.financing.to_numpy().sum() + np.nan_to_num(delisted)
    assert done.equity.iloc[-1] == pytest.approx(question.cash + change, rel=1e-9, abs=1e-9 * question.cash)


@settings(max_examples=50, deadline=None)
@given(questions())
def test_all_trades_together_won_what_the_book_won(question):
    done = question.ask()
    trades, orders = done.trades, done.orders
    won = done.equity.iloc[-1] - question.cash - done.financing["interest"].sum()
    assert trades["pnl"].sum() == pytest.approx(won, rel=1e-9, abs=1e-9 * question.cash)
    costs = orders[["fee", "slippage", "spread", "impact"]].to_numpy().sum()
    assert trades["cost"].sum() == pytest.approx(costs, rel=1e-9, abs=1e-9 * question.cash)
    assert trades["financing"].sum() == pytest.approx(
        done.financing[["borrow", "dividends"]].to_numpy().sum(), rel=1e-9, abs=1e-9 * question.cash
    )
    assert (trades["mae"] <= 0.0).all()
    assert (trades["mfe"] >= 0.0).all()
    assert (trades["exit_reason"] == "").equals(trades["open"])


@settings(max_examples=25, deadline=None)
@given(questions())
def test_the_same_question_has_the_same_answer(question):
    one, other = question.ask(), question.ask()
    for item in dataclasses.fields(one):
        got, want = getattr(one, item.name), getattr(other, item.name)
        assert got.equals(want) if hasattr(got, "equals") else got == want


@settings(max_examples=30, deadline=None)
@given(questions())
def test_a_symbol_with_weight_zero_changes_no_digit(question):
    from tests.properties.future import random_history

    other = random_history(symbols=("Z",), length=len(question.bars.sessions), warm_up=0, seed=5).bars
    wider = Bars(**{name: pd.concat([getattr(other, name), frame], axis=1) for name, frame in question.bars})
    weights = pd.concat([pd.DataFrame({"Z": 0.0}, index=question.weights.index), question.weights], axis=1)
    one, more = question.ask(), dataclasses.replace(question, weights=weights, bars=wider).ask()
    for name in ("equity", "cash", "orders", "trades", "financing"):
        pd.testing.assert_frame_equal(
            pd.DataFrame(getattr(one, name)), pd.DataFrame(getattr(more, name)), check_exact=True
        )


@settings(max_examples=30, deadline=None)
@given(questions(lots=False))
def test_money_has_no_natural_unit(question):
    """Twice the prices and twice the cash: the same shares. Amounts in currency are left out of the costs."""
    factor = 7.0
    bars = Bars(**{name: frame if name == "volume" else frame * factor for name, frame in question.bars})
    actions = dataclasses.replace(
        question.actions,
        dividends=tuple(dataclasses.replace(item, amount=item.amount * factor) for item in question.actions.dividends),
        delistings=tuple(dataclasses.replace(item, value=item.value * factor) for item in question.actions.delistings),
    )
    once = question.ask()
    more = dataclasses.replace(question, bars=bars, actions=actions, cash=question.cash * factor).ask()
    np.testing.assert_allclose(more.equity, once.equity * factor, rtol=1e-9, atol=1e-9 * question.cash)
    np.testing.assert_allclose(more.positions, once.positions, rtol=1e-8, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(questions())
def test_no_money_and_no_shares_come_from_nowhere(question):
    done = question.ask()
    shorts = bool((question.weights < 0).to_numpy().any())
    if not shorts:
        assert (done.positions >= 0.0).to_numpy().all()
        assert (done.financing["borrow"] == 0.0).all()
    if not shorts and question.rules.max_gross <= 1.0:
        assert (done.cash >= 0.0).all()
    costs = done.orders[["qty", "price", "fee", "slippage", "spread", "impact"]]
    assert (costs >= 0.0).to_numpy().all()
    if question.rules.max_participation is not None:
        volume = question.bars.volume
        rows = volume.index.get_indexer(done.orders["session"])
        there = volume.to_numpy()[rows, volume.columns.get_indexer(done.orders["symbol"])]
        wishes = done.orders["reason"] == "wish"
        assert (done.orders["qty"] <= question.rules.max_participation * there * (1 + 1e-12))[wishes].all()
    lot = question.rules.lot
    if lot:
        partial = done.orders[(done.orders["held"] != 0.0) & (done.orders["reason"] == "wish")]
        assert ((partial["qty"] / lot).round(6) % 1.0 == 0.0).all()


def test_vectorbt_is_not_asked_for_what_it_cannot_express():
    from tests.properties.future import random_history

    bars = random_history(length=30, warm_up=0, seed=3).bars
    weights = pd.DataFrame(0.25, index=bars.sessions, columns=bars.close.columns)
    ask = {
        "shorts": {"weights": -weights},
        "costs that are not proportional": {"costs": Costs(impact=1.0)},
        r"rules\.lot": {"rules": FillRules(lot=1.0)},
        r"rules\.band": {"rules": FillRules(band=0.1)},
        r"rules\.max_gross above 1": {"rules": FillRules(max_gross=2.0)},
        r"rules\.max_participation": {"rules": FillRules(max_participation=0.1)},
    }
    from workbench.backtest.engine import simulate

    for name, other in ask.items():
        asked = {"weights": weights, "costs": Costs(), "rules": FillRules()} | other
        assert simulate(bars=bars, initial_cash=1e5, **asked).engine == "replay"
        with pytest.raises(BacktestError, match=f"engine='vectorbt' cannot express {name}; nothing was simulated"):
            simulate(bars=bars, initial_cash=1e5, engine="vectorbt", **asked)
    assert simulate(weights, bars, costs=Costs(spread=0.01), initial_cash=1e5).engine == "vectorbt"
    with pytest.raises(BacktestError, match="engine='magic' is not one of auto, vectorbt, replay"):
        simulate(weights, bars, costs=Costs(), initial_cash=1e5, engine="magic")
