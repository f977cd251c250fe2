"""Intervals: the headline numbers of many histories are those of `metrics`, and their spread is that of arch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import metrics
from workbench.backtest.luck.bootstrap import optimal_block_length
from workbench.backtest.luck.monte_carlo import intervals, measures, trade_intervals

RETURNS = pd.Series(np.random.default_rng(11).standard_t(5, 1_500) * 0.01 + 0.0006)
NAMES = tuple(measures(RETURNS.to_numpy()[None, :]))


def trades_of(pnl, *, still_open=0):
    return pd.DataFrame({"pnl": pnl, "open": [row < still_open for row in range(len(pnl))]})


class TestMeasures:
    @settings(max_examples=40, deadline=None)
    @given(
        values=st.lists(st.sampled_from([-0.2, -0.05, -0.01, 0.0, 0.0, 0.01, 0.03, 0.4]), min_size=2, max_size=60),
        seed=st.integers(0, 1000),
        periods=st.sampled_from([12, 252]),
    )
    def test_each_is_the_metric_of_that_name(self, values, seed, periods):
        histories = np.stack([values, np.random.default_rng(seed).permutation(values)])
        found = measures(histories, periods=periods)
        annual = {"cagr", "annual_volatility", "sharpe", "sortino", "calmar"}
        for row, history in enumerate(histories):
            for name, numbers in found.items():
                asked = {"periods": periods} if name in annual else {}
                expected = getattr(metrics, name)(pd.Series(history), **asked)
                assert numbers[row] == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), name

    def test_ruin_and_ties_at_the_quantile(self):
        lost = np.array([[-1.0, 0.5, 0.1] * 10, [-0.02] * 15 + [0.01] * 15])
        found = measures(lost)
        for row, history in enumerate(lost):
            for name in ("cagr", "max_drawdown", "cvar_95", "var_95"):
                assert found[name][row] == pytest.approx(getattr(metrics, name)(pd.Series(history))), name
        assert found["cagr"][0] == -1.0


class TestIntervals:
    @pytest.mark.parametrize(
        ("kind", "block"), [("stationary", "StationaryBootstrap"), ("circular", "CircularBlockBootstrap")]
    )
    def test_they_are_those_of_arch_within_the_noise_of_drawing(self, kind, block):
        import arch.bootstrap

        names = ("sharpe", "max_drawdown", "cagr", "ulcer_index", "cvar_95", "kurtosis", "positive_days")
        ours = intervals(RETURNS, seed=1, reps=6_000, kind=kind)
        length = optimal_block_length(RETURNS.to_numpy(), kind=kind)
        length = length if kind == "stationary" else round(length)
        bootstrap = getattr(arch.bootstrap, block)(length, RETURNS.to_numpy(), seed=2)
        theirs = bootstrap.conf_int(
            lambda drawn: np.array([getattr(metrics, name)(drawn) for name in names]), reps=1_500, method="percentile"
        )
        for column, name in enumerate(names):
            width = ours[name][1] - ours[name][0]
            assert ours[name] == pytest.approx(tuple(theirs[:, column]), abs=0.08 * width), name

    def test_every_number_made_of_returns_has_one_that_holds_what_was_observed(self):
        found = intervals(RETURNS, seed=5, initial_cash=1_000.0)
        assert set(found) == {*NAMES, "final_equity"}
        for name in NAMES:
            low, high = found[name]
            assert low < high
            assert low <= getattr(metrics, name)(RETURNS) <= high, name
        assert found["final_equity"] == pytest.approx(tuple(1_000 * (1 + bound) for bound in found["total_return"]))

    def test_the_same_seed_draws_the_same_intervals(self):
        once = intervals(RETURNS, seed=5, reps=300)
        assert once == intervals(RETURNS, seed=5, reps=300)
        assert once != intervals(RETURNS, seed=6, reps=300)

    def test_a_wider_level_is_a_wider_interval(self):
        narrow, wide = (intervals(RETURNS, seed=5, level=level)["sharpe"] for level in (0.5, 0.99))
        assert wide[0] < narrow[0] < narrow[1] < wide[1]

    def test_nothing_to_reshuffle_is_no_interval(self):
        assert intervals(pd.Series([0.0] * 100), seed=1) == {}
        assert intervals(RETURNS.iloc[:19], seed=1) == {}

    def test_unknown_returns_are_left_out(self):
        holes = pd.concat([RETURNS, pd.Series([np.nan] * 5)])
        assert intervals(holes, seed=5, reps=200) == intervals(RETURNS, seed=5, reps=200)

    def test_a_number_that_most_histories_lack_has_no_interval(self):
        rising = pd.Series([0.01] * 99 + [-0.001])  # a third of the histories have no loss at all
        found = intervals(rising, seed=1)
        assert "total_return" in found
        assert not {"sortino", "calmar", "omega"} & set(found)


class TestTrades:
    PNL = np.random.default_rng(3).normal(40.0, 300.0, 60)

    def test_intervals_of_the_share_of_winners_are_binomial(self):
        low, high = trade_intervals(trades_of([1.0] * 60 + [-1.0] * 40), seed=1, reps=20_000)["win_rate"]
        assert (low, high) == (
            pytest.approx(0.504, abs=0.011),
            pytest.approx(0.696, abs=0.011),
        )  # 0.6 ± 1.96·√(.24/100)

    def test_the_mean_has_the_interval_of_the_central_limit(self):
        low, high = trade_intervals(trades_of(self.PNL), seed=1, reps=20_000)["expectancy"]
        error = self.PNL.std() / 60**0.5
        assert (low, high) == pytest.approx((self.PNL.mean() - 1.96 * error, self.PNL.mean() + 1.96 * error), abs=5.0)

    def test_they_hold_what_was_observed(self):
        found = trade_intervals(trades_of(self.PNL), seed=1)
        won, lost = self.PNL[self.PNL > 0], -self.PNL[self.PNL < 0]
        seen = {
            "win_rate": len(won) / 60,
            "profit_factor": won.sum() / lost.sum(),
            "payoff_ratio": won.mean() / lost.mean(),
            "expectancy": self.PNL.mean(),
        }
        assert set(found) == set(seen)
        for name, value in seen.items():
            assert found[name][0] < value < found[name][1]
        assert found == trade_intervals(trades_of(self.PNL), seed=1)
        assert found != trade_intervals(trades_of(self.PNL), seed=2)

    def test_open_trades_are_not_decided_yet(self):
        trades = pd.concat([trades_of([1e9] * 3, still_open=3), trades_of(self.PNL)], ignore_index=True)
        assert trade_intervals(trades, seed=1) == trade_intervals(trades_of(self.PNL), seed=1)

    def test_few_trades_say_nothing_and_no_loss_has_no_factor(self):
        assert trade_intervals(trades_of(self.PNL[:9]), seed=1) == {}
        assert set(trade_intervals(trades_of([1.0, 2.0] * 10), seed=1)) == {"win_rate", "expectancy"}
