"""Delay, costs, trades and universe, each against numbers worked out by hand on small markets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests.backtest.audit.planted import FREE, Always, NeedsThree, Never, OddBars, history_of, subject_of
from workbench.backtest.audit import costs, delay, trades, universe
from workbench.backtest.audit.check import FAIL, PASS, WARN
from workbench.backtest.costs import Costs
from workbench.errors import StrategyFailed

# Up 10 % into every even bar, down 5 % into every odd one, from bar 1 on.
ZIGZAG = 100 * np.cumprod([1.0, *([0.95, 1.10] * 20)])


def rising(gain, *, bars=60, wobble=0.0, seed=0):
    """Closes that end at 100 · (1 + gain), in equal steps with an optional wobble that ends at nothing."""
    steps = np.linspace(0.0, np.log1p(gain), bars)
    noise = np.random.default_rng(seed).normal(0.0, wobble, bars)
    noise[[0, 1, -1]] = 0.0
    return 100 * np.exp(steps + noise)


class TestDelay:
    def test_each_delay_earns_what_the_shifted_wishes_earn_by_hand(self):
        history = history_of({"A": ZIGZAG})
        found = delay.check(subject_of(OddBars(), history))
        moves = ZIGZAG[1:] / ZIGZAG[:-1]
        wish = (np.arange(len(ZIGZAG)) % 2 == 1).astype(float)
        for late, got in zip(found.numbers["bars_late"], found.numbers["total_return"], strict=True):
            # A wish of the close of t is filled at the close of t + 1 and earns from there on; `late` bars later yet.
            growth = np.prod([moves[t] if wish[t - 1 - late] else 1.0 for t in range(1 + late, len(moves))])
            assert got == pytest.approx(growth - 1.0, rel=1e-9)

    def test_what_lives_off_being_instant_fails(self):
        # Wished at odd closes, filled at even ones, it is in for the fall; a bar later it is in for the rise.
        falls, rises = subject_of(OddBars(), history_of({"A": ZIGZAG})), 1.0 / ZIGZAG * 1e4
        assert delay.check(falls).verdict == WARN
        found = delay.check(subject_of(OddBars(), history_of({"A": rises})))
        assert found.verdict == FAIL
        assert found.numbers["sharpe"].iloc[0] > 0 > found.numbers["sharpe"].iloc[1]
        assert found.headline.startswith("One bar later the Sharpe ratio is -")

    def test_what_does_not_care_passes(self):
        found = delay.check(subject_of(Always(), history_of({"A": rising(0.5, bars=250, wobble=0.01)})))
        assert found.verdict == PASS
        assert found.summary["sharpe_one_bar_late"] == found.numbers["sharpe"].iloc[1]

    @pytest.mark.parametrize(
        ("now", "then", "verdict"),
        [
            (1.0, 0.80, PASS),
            (1.0, 0.70, WARN),
            (1.0, 0.45, FAIL),
            (0.2, 0.05, WARN),
            (0.1, 0.01, PASS),
            (1.0, 1.2, PASS),
        ],
    )
    def test_the_thresholds(self, monkeypatch, now, then, verdict):
        subject = subject_of(Always(), history_of({"A": rising(0.5)}))
        monkeypatch.setattr(
            type(subject), "sharpe", lambda _self, simulation: now if simulation is subject.simulation else then
        )
        assert delay.check(subject).verdict == verdict


class TestCosts:
    def test_the_break_even_multiple_of_one_purchase_is_its_gain_over_its_slippage(self):
        # Bought once at p · (1 + m · 1 %) and held: nothing is left when 1 + gain = 1 + m · 1 %.
        closes = rising(0.05)
        history = history_of({"A": closes})
        found = costs.check(subject_of(Always(), history, costs=Costs(slippage=0.01)))
        gain = closes[-1] / closes[1] - 1.0
        assert found.summary["break_even_costs"] == pytest.approx(gain / 0.01, rel=0.01)
        by_hand = [(1 + gain) / (1 + multiple * 0.01) - 1 for multiple in (0, 1, 2, 3)]
        np.testing.assert_allclose(found.numbers["total_return"], by_hand, rtol=1e-9)
        assert found.verdict == PASS

    @pytest.mark.parametrize(("slippage", "verdict"), [(0.01, PASS), (0.02, WARN), (0.03, FAIL), (0.09, FAIL)])
    def test_the_thresholds(self, slippage, verdict):
        # A gain of 4.9 % after the first bar: 4.9 times, 2.4 times, 1.6 times, half of the costs.
        history = history_of({"A": rising(0.05)})
        assert costs.check(subject_of(Always(), history, costs=Costs(slippage=slippage))).verdict == verdict

    def test_no_cost_is_low_enough_for_what_loses_without_any(self):
        found = costs.check(subject_of(Always(), history_of({"A": rising(-0.2)}), costs=Costs()))
        assert (found.verdict, np.isnan(found.summary["break_even_costs"])) == (FAIL, True)
        assert "without any cost" in found.headline

    def test_a_break_even_beyond_what_is_tried_is_undefined_and_said(self):
        found = costs.check(subject_of(Always(), history_of({"A": rising(5.0)}), costs=Costs()))
        assert (found.verdict, np.isnan(found.summary["break_even_costs"])) == (PASS, True)
        assert "more than 64 times the costs" in found.headline

    def test_where_no_cost_was_asked_for_five_basis_points_are_the_unit(self):
        found = costs.check(subject_of(Always(), history_of({"A": rising(0.05)}), costs=FREE))
        assert found.verdict == WARN
        assert "no cost was asked for" in found.headline
        assert found.numbers["total_return"].is_monotonic_decreasing
        assert found.numbers["cost"].iloc[0] == 0

    def test_never_trading_is_a_warning(self):
        assert costs.check(subject_of(Never(), history_of({"A": rising(0.5)}))).verdict == WARN

    def test_every_kind_of_cost_becomes_dearer_and_stays_valid(self):
        unit = Costs(
            fee=0.4, slippage=0.01, spread=0.02, fee_per_order=1.0, fee_per_share=0.005, fee_min=1.0, fee_max=0.01,
            fee_tiers=((0, 0.001), (1e6, 0.6)), slippage_volatility=0.1, slippage_participation=0.2, impact=0.3,
            borrow=0.02, cash_interest=0.03, margin_interest=0.05,
        )  # fmt: skip
        dearer = costs.times(unit, 3.0)
        kept = {"cash_interest": 0.03, "fee": 0.99, "fee_tiers": ((0.0, 0.003), (1e6, 0.99)), "regulatory": ""}
        for item in dataclasses.fields(Costs):
            expected = kept.get(item.name)
            if expected is None:
                expected = pytest.approx(3 * getattr(unit, item.name))
            assert getattr(dearer, item.name) == expected, item.name
        assert costs.times(Costs(), 1.0) == Costs()
        assert costs.times(unit, 0.0).fee_max == 0.0


def judged_trades(profits):
    """The check on given profits of trades, in currency, with an initial cash of 100 000."""
    subject = subject_of(Always(), history_of({"A": rising(0.5)}))
    frame = pd.DataFrame({"pnl": np.asarray(profits, dtype=float)})
    return trades.check(dataclasses.replace(subject, simulation=dataclasses.replace(subject.simulation, trades=frame)))


class TestTrades:
    def test_what_is_left_by_hand(self):
        # Profits 1 … 100: without the best one 4950, without 5 % (96 … 100) 4560, without 10 % (91 … 100) 4095.
        found = judged_trades(range(1, 101))
        assert found.numbers["pnl"].tolist() == [5050, 4950, 4560, 4095]
        assert found.numbers["trades_dropped"].tolist() == [0, 1, 5, 10]
        assert found.numbers["return"].tolist() == [0.0505, 0.0495, 0.0456, 0.04095]
        assert found.verdict == PASS

    def test_the_order_of_the_trades_does_not_matter(self):
        profits = np.random.default_rng(3).normal(1, 10, 60)
        pd.testing.assert_frame_equal(judged_trades(profits).numbers, judged_trades(profits[::-1]).numbers)

    def test_one_trade_that_made_it_all_fails(self):
        found = judged_trades([500, *[-1] * 99])
        assert (found.verdict, found.numbers["pnl"].iloc[1]) == (FAIL, -99)
        assert "without the best 1 % of them -0.1%" in found.headline

    def test_a_tenth_that_made_it_all_is_a_warning(self):
        assert judged_trades([20] * 10 + [-1] * 90).verdict == WARN
        assert judged_trades([20] * 11 + [-0.1] * 89).verdict == PASS

    def test_few_trades_no_profit_and_no_trade_are_warnings(self):
        assert "19 trades are too few" in judged_trades([1] * 19).headline
        assert "lost 20 together" in judged_trades([-1] * 20).headline
        assert "never traded" in judged_trades([]).headline
        assert {judged_trades(some).verdict for some in ([1] * 19, [-1] * 20, [])} == {WARN}

    def test_win_rate_and_profit_factor_of_what_is_left(self):
        numbers = judged_trades([10, 5, -3, -2] * 10).numbers
        assert numbers["win_rate"].iloc[0] == 0.5
        assert numbers["profit_factor"].iloc[0] == pytest.approx(3.0)
        assert np.isnan(judged_trades([1] * 30).numbers["profit_factor"]).all()


class TestUniverse:
    def market(self, *gains, wobble=0.01):
        return history_of({f"S{n}": rising(gain, bars=120, wobble=wobble, seed=n) for n, gain in enumerate(gains)})

    def test_one_symbol_that_carries_everything_fails_and_is_named(self):
        found = universe.check(subject_of(Always(), self.market(8.0, *[-0.1] * 5)))
        assert found.verdict == FAIL
        assert found.headline.startswith("Without S0 the Sharpe ratio is -")

    def test_an_idea_that_works_everywhere_passes(self):
        found = universe.check(subject_of(Always(), self.market(*[0.4] * 6)))
        assert found.verdict == PASS
        assert found.summary["halves_above_0"] == 1.0

    def test_leaving_one_out_is_the_replay_of_the_others(self):
        history = self.market(0.5, 0.1, -0.2, 0.3)
        found = universe.check(subject_of(Always(), history))
        without = found.numbers[found.numbers["kind"] == "without"].set_index("symbols")["total_return"]
        grown = history.close.iloc[-1] / history.close.iloc[1] - 1.0
        for symbol in history.symbols:
            # Bought at the second close in equal parts and held: the mean of the others' gains.
            assert without[f"without {symbol}"] == pytest.approx(grown.drop(symbol).mean(), rel=1e-9)

    def test_the_halves_are_different_ones_of_the_right_size_and_seeded(self):
        first, again = (universe.check(subject_of(Always(), self.market(*[0.4] * 7))).numbers for _ in range(2))
        pd.testing.assert_frame_equal(first, again)
        halves = first.loc[first["kind"] == "half", "symbols"]
        assert len(halves) == universe.HALVES == halves.nunique()
        assert {half.count(",") + 1 for half in halves} == {4}

    def test_few_symbols_have_no_halves_and_one_nothing_at_all(self):
        assert set(universe.check(subject_of(Always(), self.market(0.4, 0.5, 0.6))).numbers["kind"]) == {
            "all",
            "without",
        }
        alone = universe.check(subject_of(Always(), self.market(0.4)))
        assert (alone.verdict, alone.headline) == (WARN, "There is one symbol, S0: nothing can be left out.")

    def test_a_large_universe_leaves_out_a_seeded_choice(self):
        found = universe.check(subject_of(Always(), self.market(*[0.4] * 45)))
        left_out = found.numbers.loc[found.numbers["kind"] == "without", "symbols"]
        assert len(left_out) == left_out.nunique() == universe.MOST_LEFT_OUT

    def test_no_edge_is_a_warning(self):
        assert universe.check(subject_of(Always(), self.market(*[-0.4] * 4))).verdict == WARN
        assert "never traded" in universe.check(subject_of(Never(), self.market(*[0.4] * 4))).headline

    def test_a_strategy_that_stops_on_fewer_symbols_says_on_which(self):
        with pytest.raises(
            StrategyFailed, match=r"with only S\d, S\d, needs_three\(\) stopped with ValueError: three sym"
        ):
            universe.check(subject_of(NeedsThree(), self.market(*[0.4] * 4)))
