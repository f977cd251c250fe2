"""How long the reference engine takes: one run of one symbol, 500 symbols over ten years, and the replay of the same.

.venv/bin/python -m pytest tests/benchmarks/test_engine.py --benchmark-only --benchmark-enable -p no:randomly

Processor time is measured, so that what else the machine does counts little. Each benchmark checks its answer against
the other engine's in the same process.
"""

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest

from tests.properties.future import random_history
from workbench.backtest.costs import Costs
from workbench.backtest.engine import simulate
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.summary import summarise
from workbench.backtest.weights import replayed, weights_of
from workbench.market.bars import Bars
from workbench.strategies import SmaCross

COSTS = Costs(fee=0.0005)
pytestmark = pytest.mark.benchmark(timer=time.process_time)


@pytest.fixture(scope="module")
def one_symbol():
    """Five years of daily bars of one symbol, after a warm-up."""
    return random_history(symbols=("AAPL",), length=1259, warm_up=1, seed=1)


@pytest.fixture(scope="module")
def market():
    """500 symbols × ten years of daily bars with opens, highs, lows and volumes."""
    draw = np.random.default_rng(1)
    index = pd.bdate_range("2010-01-04", periods=2520, name="session")
    columns = pd.Index([f"S{number}" for number in range(500)], name="symbol")
    close = 100 * np.exp(np.cumsum(draw.normal(0, 0.015, (2520, 500)), axis=0))
    opening = np.vstack([close[:1], close[:-1]]) * np.exp(draw.normal(0, 0.004, close.shape))
    values = {
        "close": close,
        "open": opening,
        "high": np.maximum(opening, close) * 1.003,
        "low": np.minimum(opening, close) * 0.997,
        "volume": draw.integers(1e5, 1e6, close.shape) * 1.0,
    }
    return Bars(**{name: pd.DataFrame(value, index=index, columns=columns) for name, value in values.items()})


def weekly(market, *, held):
    """Every fifth session: equal weights for `held` symbols drawn anew; with all of them, random weights."""
    draw = np.random.default_rng(2)
    weights = np.full(market.close.shape, np.nan)
    for row in range(0, len(weights), 5):
        if held == 500:
            weights[row] = draw.dirichlet(np.ones(500))
        else:
            weights[row] = 0.0
            weights[row, draw.choice(500, held, replace=False)] = 1.0 / held
    return pd.DataFrame(weights, index=market.sessions, columns=market.close.columns)


def assert_agree(one, other):
    np.testing.assert_allclose(one.equity, other.equity, rtol=1e-9)
    assert len(one.orders) == len(other.orders)
    assert len(one.trades) == len(other.trades)


@pytest.mark.parametrize("engine", ["vectorbt", "replay"])
def test_one_run_of_five_years_and_one_symbol(benchmark, one_symbol, engine):
    """Weights, replay, trades and summary."""
    strategy = SmaCross(fast=20, slow=100)

    def run(engine=engine):
        done = replayed(weights_of(strategy, one_symbol), one_symbol, costs=COSTS, rules=FillRules(), engine=engine)
        return done, summarise(done)

    done, summary = benchmark.pedantic(run, rounds=30, warmup_rounds=3)
    assert_agree(done, run("replay" if engine == "vectorbt" else "vectorbt")[0])
    assert summary["final_equity"] == done.equity.iloc[-1]


@pytest.mark.parametrize("held", [500, 100])
def test_500_symbols_over_ten_years_with_weekly_rebalance(benchmark, market, held):
    weights = weekly(market, held=held)
    done = benchmark.pedantic(
        lambda: simulate(weights, market, costs=COSTS, initial_cash=1e6), rounds=5, warmup_rounds=1
    )
    assert done.engine == "vectorbt"
    assert_agree(done, simulate(weights, market, costs=COSTS, initial_cash=1e6, engine="replay"))


def test_500_symbols_over_ten_years_by_the_replay_with_every_cost(benchmark, market):
    weights = weekly(market, held=100)
    costs = dataclasses.replace(
        COSTS, spread=0.0005, fee_per_order=0.1, fee_per_share=0.001, slippage_volatility=0.02, impact=0.5, borrow=0.02
    )
    done = benchmark.pedantic(
        lambda: simulate(weights, market, costs=costs, initial_cash=1e6, rules=FillRules(lot=1.0)), rounds=2
    )
    assert done.engine == "replay"
    paid = done.orders[["fee", "slippage", "spread", "impact"]].to_numpy().sum()
    assert done.trades["cost"].sum() == pytest.approx(paid)
    assert done.trades["pnl"].sum() == pytest.approx(done.equity.iloc[-1] - 1e6)
