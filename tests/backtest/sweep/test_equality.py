"""The kernels against the reference engine: every metric and every return, to 1e-9."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.backtest.sweep.markets import assert_equal, by_reference, cross_cells, market, of_closes, with_cash
from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.sweep.evaluate import Evaluator, Setup, evaluate, returns_of
from workbench.strategies import EmaCross, Momentum, SmaCross
from workbench.strategies.wishes import as_weights
from workbench.strategy import Strategy

COSTS = {
    "free": Costs(slippage=0.0),
    "10 bp + 5 bp": Costs(fee=0.001, slippage=0.0005),
    "1 % + 1 %": Costs(fee=0.01, slippage=0.01),
    "spread": Costs(fee=0.0002, slippage=0.0003, spread=0.004),
}
CELLS = cross_cells([1, 2, 12], [3, 10, 120])
FEW = cross_cells([1, 5], [3, 30])


def assert_exact(setup: Setup, cells: pd.DataFrame, engine: str) -> None:
    wanted, returns = by_reference(setup, cells)
    found = evaluate(setup, cells)
    assert set(found["engine"]) == {engine}
    assert set(found["error"]) == {""}
    assert_equal(found, wanted)
    np.testing.assert_allclose(returns_of(setup, cells), returns, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("costs", COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("execution_price", ["next_open", "next_close", "same_close"])
@pytest.mark.parametrize(("symbols", "gaps"), [(1, 0.0), (1, 0.05), (3, 0.0), (4, 0.05)])
def test_crosses(costs, execution_price, symbols, gaps):
    for seed, kind in ((symbols, SmaCross), (symbols + 10, EmaCross)):
        history = market(symbols=symbols, gaps=gaps, seed=seed)
        assert_exact(Setup(kind, history, costs, FillRules(execution_price=execution_price)), CELLS, "kernel:cross")


class Drawn(Strategy):
    """Random wishes of every kind: sparse, whole rows, tiny changes of what is held, the whole purse, nothing."""

    name: ClassVar[str] = "drawn"
    seed: int = 0
    often: float = 0.1
    warm_up: ClassVar[int] = 0

    def target_weights(self, history):
        draw = np.random.default_rng(self.seed)
        shape = history.close.shape
        wishes = draw.random(shape) * draw.integers(0, 2, shape)
        total = wishes.sum(axis=1, keepdims=True)
        wishes /= np.maximum(total, 1.0) if self.seed % 3 else np.where(total > 0, total, 1.0)
        wishes[draw.random(shape) > self.often] = np.nan
        wishes[: history.begins] = np.nan
        return as_weights(wishes, history)


@settings(max_examples=25, deadline=None)
@given(
    symbols=some.integers(1, 4),
    gaps=some.sampled_from([0.0, 0.0, 0.1]),
    costs=some.sampled_from(list(COSTS.values())),
    execution_price=some.sampled_from(["auto", "next_open", "next_close", "same_close"]),
    opens=some.booleans(),
    often=some.sampled_from([0.02, 0.3, 1.0]),
    cash=some.sampled_from([1.0, 1000.0, 1e7]),
    seed=some.integers(0, 10_000),
)
def test_any_weights(*, symbols, gaps, costs, execution_price, opens, often, cash, seed):
    history = with_cash(market(symbols=symbols, gaps=gaps, opens=opens, length=140, seed=seed), cash)
    where = "next_close" if execution_price == "next_open" and not opens else execution_price
    cells = pd.DataFrame({"seed": [seed, seed + 1, seed + 2], "often": often})
    setup = Setup(Drawn, history, costs, FillRules(execution_price=where))
    assert_exact(setup, cells, "kernel:weights")


class Said(Strategy):
    """Wishes for exactly these fractions of the first symbol, one per evaluated session."""

    name: ClassVar[str] = "said"
    wishes: tuple[float, ...]
    warm_up: ClassVar[int] = 0

    def target_weights(self, history):
        weights = np.full(history.close.shape, np.nan)
        weights[history.begins : history.begins + len(self.wishes), 0] = self.wishes
        return as_weights(weights, history)


def test_amounts_at_the_edge_of_rounding():
    # all but nothing ends a trade; 2e-9 of the cash is an order; a hair above 1 is 1
    wishes = [
        (0.5, 1e-12, 0.5, 1e-10, 0.0),
        (2e-9, 0.0, 1.0, 0.0, 1.0),
        (1.0, 1.0, 1.0, 0.3, 1.0 + 5e-10),
    ]
    cells = pd.DataFrame({"wishes": wishes})
    for closes in ([10.0] * 9, [10.0, 11.0, 9.0, 12.0, 10.0, 10.0, 11.0, 12.0, 9.0]):
        for costs in COSTS.values():
            assert_exact(Setup(Said, of_closes(closes), costs), cells, "kernel:weights")


def test_a_strategy_of_the_house_that_decides_in_python():
    cells = pd.DataFrame({"lookback": [40, 60], "skip": [5, 0], "top": [1, 2]})
    assert_exact(Setup(Momentum, market(symbols=4, warm_up=90, seed=3)), cells, "kernel:weights")


def test_long_runs_of_holding_and_of_waiting():
    # holdings within one block of the table, over two, and over many; the last one is still open
    draw = np.random.default_rng(3)
    for length in (60, 70, 129, 1000):
        drift = np.repeat(draw.choice([-0.004, 0.004], 60), draw.integers(1, 90, 60))[:length]
        drift = np.resize(drift, length)
        history = of_closes(list(50 * np.exp(np.cumsum(drift + draw.normal(0, 0.002, length)))), start=5)
        assert_exact(Setup(SmaCross, history, COSTS["spread"]), cross_cells([1, 2, 4], [5, 9, 17]), "kernel:cross")


def test_a_wild_past_does_not_blur_a_calm_present():
    # a running sum over both would lose the digits of the second
    calm = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-5, 400)))
    wild = np.array([1.0, 1e6] * 50)
    history = of_closes([*wild, *calm], start=130)
    assert_exact(Setup(SmaCross, history, COSTS["free"]), cross_cells([2, 5], [10, 20]), "kernel:cross")


@pytest.mark.parametrize("jump", [1.5, 4.0, 400.0, 1e5])
@pytest.mark.parametrize("execution_price", ["next_close", "same_close"])
def test_a_jump_does_not_blur_the_calm_before_and_after_it(jump, execution_price):
    # fourth powers of the largest jump are 1e28 times those of other days, and most cells are not invested on its day
    steps = np.random.default_rng(4).normal(0, 0.01, 500)
    steps[[150, 151, 300]] = np.log([jump, 1 / jump, jump])
    history = of_closes(list(100 * np.exp(np.cumsum(steps))), start=30)
    for costs in COSTS.values():
        setup = Setup(SmaCross, history, costs, FillRules(execution_price=execution_price))
        assert_exact(setup, cross_cells([1, 3, 8], [4, 20, 29]), "kernel:cross")


@pytest.mark.parametrize("fall", [1e-4, 1e-7, 1e-9, 8e-10])
def test_a_holding_that_falls_to_dust_is_sold_or_kept_as_the_rules_say(fall):
    # what is worth less than 1e-9 of the first purse is no order: the last holding stays open
    closes = [*[10.0] * 8, 11.0, 12.0, 13.0, *[13.0 * fall] * 12, *[14.0 * fall] * 6]
    history = of_closes(closes, start=3)
    setup, cells = Setup(SmaCross, history, COSTS["10 bp + 5 bp"]), cross_cells([1, 2], [3, 5])
    found = evaluate(setup, cells)
    assert set(found["engine"]) == {"kernel:cross"}
    # beside so little, what rounding leaves of the first purse in cash is a part of the other metrics
    said = [
        "total_return",
        "max_drawdown",
        "trades",
        "open_trades",
        "win_rate",
        "profit_factor",
        "cost",
        "final_equity",
    ]
    assert_equal(found[said], by_reference(setup, cells, engine="replay")[0][said])


@pytest.mark.parametrize("start", [1, 2, 3])
@pytest.mark.parametrize("lasts", [1, 2, 3])
def test_bought_in_the_first_session_and_sold_soon(start, lasts):
    closes = [10.0, 9.0, 8.0, 7.0, *[12.0, 13.0, 14.0][:lasts], 5.0, 4.0, 6.0, 3.0, 8.0, 9.0, 2.0, 2.5]
    history = of_closes(closes, start=start + 2)
    setup = Setup(SmaCross, history, COSTS["spread"], FillRules(execution_price="same_close"))
    assert_exact(setup, cross_cells([1], [2, 3]), "kernel:cross")


@pytest.mark.parametrize("execution_price", ["next_close", "same_close"])
def test_returns_that_hardly_vary(execution_price):
    # growing by the same per cent each day: the variance is what is left of squares after the mean is taken off
    history = of_closes([100 * 1.01**day for day in range(80)], start=25)
    rules = FillRules(execution_price=execution_price)
    assert_exact(Setup(SmaCross, history, COSTS["free"], rules), cross_cells([2, 3], [5, 20]), "kernel:cross")
    assert_exact(Setup(SmaCross, history, COSTS["1 % + 1 %"], rules), cross_cells([2, 3], [5, 20]), "kernel:cross")


def test_capital_that_decays_to_dust():
    # 2 % are lost in each of hundreds of trades, until what is left is no order any more
    draw = np.random.default_rng(2)
    history = of_closes(list(100 * np.exp(draw.normal(0, 0.01, 3000))), start=10)
    setup, cells = Setup(SmaCross, history, Costs(fee=0.01, slippage=0.01)), cross_cells([1, 2], [3, 5])
    found = evaluate(setup, cells)
    assert (found["final_equity"] < 1e-6 * 1000).all()
    assert_equal(found, by_reference(setup, cells, engine="replay")[0])
    # vectorbt's side of the engine leaves a rounding error of the first purse in cash: nothing beside 1000, but more
    # than a digit of what is left of it
    by_vectorbt, _ = by_reference(setup, cells, engine="vectorbt")
    np.testing.assert_allclose(found["final_equity"], by_vectorbt["final_equity"], rtol=0, atol=1e-9)
    assert_equal(found[["trades", "win_rate"]], by_vectorbt[["trades", "win_rate"]])


def test_a_strategy_that_never_trades_has_no_sharpe_ratio_and_ranks_last():
    history = market(length=200, seed=2)
    setup = Setup(SmaCross, history)
    cells = cross_cells([1, 150], [10, 199])
    assert_exact(setup, cells, "kernel:cross")
    found = evaluate(setup, cells)
    silent = found.loc[(cells["slow"] == 199) & (cells["fast"] == 150)].iloc[0]
    assert silent["trades"] == 0
    assert np.isnan(
        silent[["sharpe", "sortino", "calmar", "win_rate", "profit_factor", "skewness"]].astype(float)
    ).all()
    assert silent[["total_return", "max_drawdown", "exposure", "turnover", "cost"]].tolist() == [0, 0, 0, 0, 0]
    assert found.sort_values("sharpe", ascending=False).index[-1] == silent.name


class TestSubranges:
    """A fold is a backtest of a study that starts and ends there."""

    @pytest.mark.parametrize(("symbols", "gaps"), [(1, 0.0), (1, 0.05), (3, 0.05)])
    @pytest.mark.parametrize("execution_price", ["auto", "same_close"])
    def test_crosses(self, symbols, gaps, execution_price):
        history = market(symbols=symbols, gaps=gaps, seed=5)
        setup = Setup(SmaCross, history, COSTS["10 bp + 5 bp"], FillRules(execution_price=execution_price))
        evaluator = Evaluator(setup)
        for first, last in ((40, 299), (41, 90), (150, 152), (200, 299), (40, 42)):
            start, end = history.sessions[first], history.sessions[last]
            wanted, returns = by_reference(setup.between(start, end), FEW)
            assert_equal(evaluator.metrics(FEW, start, end), wanted)
            assert_equal(evaluate(setup.between(start, end), FEW), wanted)
            np.testing.assert_allclose(evaluator.returns(FEW, start, end), returns, rtol=1e-9, atol=1e-12)

    def test_weights(self):
        history = market(symbols=3, warm_up=90, seed=5)
        setup, cells = Setup(Momentum, history), pd.DataFrame({"lookback": [40, 60], "skip": 5, "top": 2})
        start, end = history.sessions[120], history.sessions[200]
        wanted, returns = by_reference(setup.between(start, end), cells)
        assert_equal(Evaluator(setup).metrics(cells, start, end), wanted)
        np.testing.assert_allclose(Evaluator(setup).returns(cells, start, end), returns, rtol=1e-9, atol=1e-12)

    def test_a_range_before_a_gap_that_comes_later(self):
        closes = list(market(length=200, seed=7).close["AAA"])
        closes[150] = np.nan
        history = of_closes(closes, start=30)
        setup = Setup(SmaCross, history)
        for first, last in ((30, 140), (151, 199), (30, 199)):
            start, end = history.sessions[first], history.sessions[last]
            wanted, _ = by_reference(setup.between(start, end), FEW)
            assert_equal(Evaluator(setup).metrics(FEW, start, end), wanted)


class TestByHand:
    def test_one_trade_worked_out(self):
        # the close above the mean of the last two is a rising close: bought at 15 after the 12, sold at 12 after the 9.
        # fee 10 %, no slippage: 1100 buy 1000 worth, 66 2/3 shares; sold for 800 less 80, 720 are left
        history = of_closes([10, 10, 10, 12, 15, 9, 12], cash=1100.0)
        found = evaluate(Setup(SmaCross, history, Costs(fee=0.1, slippage=0.0)), cross_cells([1], [2])).iloc[0]
        equity = np.array([1100, 1100, 1100, 1100, 1000, 600, 720])
        returns = equity[1:] / equity[:-1] - 1
        assert found["final_equity"] == pytest.approx(720)
        assert (found["trades"], found["open_trades"], found["win_rate"]) == (1, 0, 0)
        assert found["cost"] == pytest.approx(100 + 80)
        assert found["total_return"] == pytest.approx(720 / 1100 - 1)
        assert found["exposure"] == pytest.approx(2 / 7)
        assert found["max_drawdown"] == pytest.approx(600 / 1100 - 1)
        assert found["turnover"] == pytest.approx((1000 + 800) / 2 / equity.mean() / (6 / 252))
        assert found["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252))
        assert found["kurtosis"] == pytest.approx(np.mean((returns - returns.mean()) ** 4) / returns.std() ** 4)

    def test_a_wish_on_the_first_bar_is_filled_on_the_second_or_on_the_first(self):
        # above from the start: bought at 12 in the second session, or at 11 in the first when that is allowed
        closes = [10, 11, 12, 13, 14.3]
        setup = Setup(SmaCross, of_closes(closes, start=1), Costs(slippage=0.0))
        same = Setup(SmaCross, of_closes(closes, start=1), Costs(fee=0.1, slippage=0.0), FillRules("same_close"))
        assert evaluate(setup, cross_cells([1], [2]))["total_return"].tolist() == [pytest.approx(14.3 / 12 - 1)]
        assert evaluate(same, cross_cells([1], [2]))["total_return"].tolist() == [pytest.approx(14.3 / 11 / 1.1 - 1)]

    def test_a_trade_that_ends_where_it_began_did_not_win(self):
        history = of_closes([10, 10, 11, 12, 11, 12, 12])
        found = evaluate(Setup(SmaCross, history, Costs(slippage=0.0)), cross_cells([1], [2])).iloc[0]
        assert (found["trades"], found["open_trades"], found["win_rate"]) == (2, 1, 0)
        assert np.isnan(found["profit_factor"])
