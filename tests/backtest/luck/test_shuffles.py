"""What could have happened instead: laws that every reshuffling obeys, and cases that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import metrics
from workbench.backtest.luck.shuffles import shuffled_returns, shuffled_trades
from workbench.errors import ParameterError

RETURNS = pd.Series(np.random.default_rng(4).standard_t(5, 800) * 0.01 + 0.0004)
CASH = 10_000.0


def trades_of(pnl, *, still_open=0):
    closed = pd.date_range("2020-01-01", periods=len(pnl)).as_unit("us")
    opens = [row >= len(pnl) - still_open for row in range(len(pnl))]
    return pd.DataFrame({"closed": closed.where(~np.array(opens)), "pnl": pnl, "open": opens})


class TestReturns:
    def test_what_really_happened_is_what_the_metrics_say(self):
        seen = shuffled_returns(RETURNS, seed=1, reps=50).seen
        assert seen["max_drawdown"] == pytest.approx(metrics.max_drawdown(RETURNS))
        assert seen["final"] == pytest.approx(1 + metrics.total_return(RETURNS))
        assert seen["longest"] == metrics.longest_drawdown(RETURNS)

    def test_it_lies_within_what_could_have_happened(self):
        found = shuffled_returns(RETURNS, seed=1)
        for name in ("max_drawdown", "final", "under_water", "longest"):
            low, high = np.quantile(getattr(found, name), [0.005, 0.995])
            assert low < found.seen[name] < high
        assert found.quantiles.loc["50%", "final"] == np.median(found.final)
        assert found.quantiles.loc["seen"].to_dict() == found.seen

    def test_ruin_of_a_coin_is_that_of_the_gambler(self):
        # 400 fair steps of ±1 % in the logarithm. By reflection the chance ever to stand 21 steps down is
        # P(S ≤ −21) + P(S < −21), and S is even.
        from scipy.stats import binom

        up = np.exp(0.01) - 1
        coin = pd.Series(np.where(np.arange(400) % 2, up, 1 / (1 + up) - 1))
        level = float(np.exp(-0.205))  # between the 20th step down and the 21st
        found = shuffled_returns(coin, seed=3, reps=8_000, ruin_level=level, block_length=1.0)
        expected = 2 * binom.cdf((400 - 22) / 2, 400, 0.5)
        assert found.ruin == pytest.approx(expected, abs=0.02)

    def test_the_fan_spreads_and_ends_where_the_final_wealth_does(self):
        found = shuffled_returns(RETURNS, seed=1, reps=400)
        assert found.fan.index[0] == 0
        assert found.fan.index[-1] == len(RETURNS)
        assert (found.fan.iloc[0] == 1.0).all()
        assert (found.fan.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
        np.testing.assert_allclose(found.fan.iloc[-1], np.quantile(found.final, [0.05, 0.25, 0.5, 0.75, 0.95]))

    def test_a_lost_book_stays_lost(self):
        crash = RETURNS.copy()
        crash.iloc[100] = -1.5
        found = shuffled_returns(crash, seed=1, reps=300)
        hit = found.final == 0
        assert 0.4 < hit.mean() < 0.9  # the crash is drawn at least once with chance 1 − 1/e
        assert (found.max_drawdown[hit] == -1.0).all()
        assert found.seen["final"] == 0

    def test_the_seed_decides(self):
        one, same, other = (shuffled_returns(RETURNS, seed=seed, reps=60) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one.final, same.final)
        assert (one.final != other.final).any()

    def test_nothing_to_reshuffle(self):
        assert shuffled_returns(RETURNS.iloc[:19], seed=1) is None
        assert shuffled_returns(RETURNS * 0, seed=1) is None

    @pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
    def test_ruin_lies_between_nothing_and_everything(self, level):
        with pytest.raises(ParameterError, match="ruin_level="):
            shuffled_returns(RETURNS, seed=1, ruin_level=level)


class TestTrades:
    PNL = np.random.default_rng(6).normal(30.0, 400.0, 40)

    def test_in_any_order_they_end_at_the_same_wealth(self):
        found = shuffled_trades(trades_of(self.PNL), initial_cash=CASH, seed=1)
        np.testing.assert_allclose(found.final, 1 + self.PNL.sum() / CASH)
        assert found.max_drawdown.std() > 0.01

    def test_what_really_happened_is_the_book_from_trade_to_trade(self):
        found = shuffled_trades(trades_of(self.PNL), initial_cash=CASH, seed=1)
        book = CASH + np.append(0.0, np.cumsum(self.PNL))
        assert found.seen["max_drawdown"] == pytest.approx((book / np.maximum.accumulate(book) - 1).min())
        assert found.seen["final"] == pytest.approx(book[-1] / CASH)

    def test_all_losses_first_is_the_worst_that_can_be_drawn(self):
        pnl = np.array([-500.0] * 2 + [300.0] * 9)
        book = CASH + np.append(0.0, np.cumsum(pnl))
        won = np.sort(pnl / book[:-1])
        worst = np.cumprod(1 + won).min() - 1
        found = shuffled_trades(trades_of(pnl), initial_cash=CASH, seed=1, reps=2_000)
        assert found.max_drawdown.min() == pytest.approx(worst)
        # the two losses stand side by side in 20 of 110 orders, and always with a fall of both
        deep = (1 + won[0]) * (1 + won[1]) - 1
        assert (found.max_drawdown <= deep + 1e-12).mean() == pytest.approx(20 / 110, abs=0.03)

    def test_drawn_with_replacement_the_end_has_a_distribution_too(self):
        found = shuffled_trades(trades_of(self.PNL), initial_cash=CASH, seed=1, replace=True, reps=4_000)
        won = self.PNL / (CASH + np.append(0.0, np.cumsum(self.PNL))[:-1])
        assert found.final.mean() == pytest.approx((1 + won.mean()) ** 40, rel=0.02)

    def test_the_order_of_closing_counts_and_open_trades_do_not(self):
        trades = trades_of(np.append(self.PNL, 1e6), still_open=1)
        found = shuffled_trades(trades.sample(frac=1, random_state=3), initial_cash=CASH, seed=1)
        plain = shuffled_trades(trades_of(self.PNL), initial_cash=CASH, seed=1)
        np.testing.assert_array_equal(found.max_drawdown, plain.max_drawdown)

    def test_few_trades_or_a_lost_book_say_nothing(self):
        assert shuffled_trades(trades_of(self.PNL[:9]), initial_cash=CASH, seed=1) is None
        assert shuffled_trades(trades_of(np.append(self.PNL, -1e6)), initial_cash=CASH, seed=1) is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(20, 200), level=st.floats(0.05, 0.95))
def test_falls_are_between_nothing_and_everything(seed, n, level):
    returns = pd.Series(np.random.default_rng(seed).normal(0, 0.05, n))
    found = shuffled_returns(returns, seed=seed, reps=30, ruin_level=level)
    assert ((found.max_drawdown <= 0) & (found.max_drawdown >= -1)).all()
    assert ((found.under_water >= 0) & (found.under_water <= 1)).all()
    assert (found.longest <= n).all()
    assert (found.longest / n <= found.under_water + 1e-12).all()
    # whoever ended below the level was ruined, and ruin takes such a fall
    assert (found.final < level).mean() <= found.ruin <= (found.max_drawdown <= level - 1 + 1e-12).mean()
