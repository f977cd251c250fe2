"""The honesty table: its numbers are those of its parts, and nothing that never traded can break it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.backtest.luck.crosses import sp500_crosses
from workbench.backtest import metrics
from workbench.backtest.luck import significance, table
from workbench.backtest.luck.cells import sharpes_of
from workbench.backtest.luck.overfitting import probability_of_overfitting
from workbench.backtest.luck.reality_check import reality_check
from workbench.backtest.luck.shuffles import shuffled_returns, shuffled_trades
from workbench.backtest.luck.table import honesty, luck_of_run, sample_of
from workbench.backtest.luck.trials import Trials
from workbench.errors import BacktestError

DEMO = json.loads((Path(__file__).parents[2] / "answers" / "luck.json").read_text(encoding="utf-8"))["sp500_crosses"]
ROWS = [
    "trials",
    "sharpe",
    "psr",
    "expected_max_sharpe",
    "dsr",
    "record",
    "record_needed",
    "years_needed",
    "effective_trials",
    "pbo",
    "pbo_in_sample",
    "pbo_out_of_sample",
    "pbo_loss",
    "spa_lower",
    "spa_consistent",
    "spa_upper",
    "white",
    "spa_studentised",
    "superior",
]
OF_RUN = [*ROWS[:8], "ruin", "drawdown_median", "drawdown_worst_5", "loss_chance", "trade_drawdown_worst_5"]


def market(seed=1, *, sessions=500, cells=12):
    draw = np.random.default_rng(seed)
    benchmark = draw.standard_t(5, sessions) * 0.01 + 0.0003
    return benchmark[:, None] * 0.7 + draw.normal(0.0001, 0.004, (sessions, cells)), benchmark


def counted(returns, *, before=0):
    ratios = np.append(sharpes_of(returns), np.zeros(before)) * math.sqrt(252)
    return Trials.of(np.arange(len(ratios), dtype=np.uint64), ratios)


class TestSweep:
    def test_the_sweep_on_the_sp500(self):
        returns, held = sp500_crosses()
        found = honesty(returns, benchmark=held, trials=counted(returns), seed=7)
        numbers = found.numbers
        assert numbers["sharpe"] == pytest.approx(DEMO["sharpe"], abs=1e-10)
        assert numbers["psr"] == pytest.approx(DEMO["psr"], abs=1e-10)
        assert numbers["expected_max_sharpe"] == pytest.approx(DEMO["expected_max_sharpe"], abs=1e-10)
        assert numbers["dsr"] == pytest.approx(DEMO["dsr"], abs=1e-10)
        assert numbers["pbo"] == pytest.approx(DEMO["pbo"], abs=0.02)  # of 5,031 sessions, not of the first 5,024
        assert numbers["spa_consistent"] == pytest.approx(DEMO["spa"]["consistent"], abs=0.07)
        assert numbers["superior"] == 0
        assert "1,000 ideas tried on these data so far" in found.frame.loc["trials", "meaning"]

    def test_its_numbers_are_those_of_its_parts(self):
        returns, benchmark = market()
        trials = counted(returns, before=30)
        found = honesty(returns, benchmark=pd.Series(benchmark), trials=trials, seed=3)
        best = int(np.argmax(sharpes_of(returns)))
        series = pd.Series(returns[:, best])
        overfitting = probability_of_overfitting(returns)
        check = reality_check(returns, benchmark, seed=3)
        moments = {"skew": metrics.skewness(series), "kurtosis": metrics.kurtosis(series)}
        expected = {
            "trials": 42,
            "sharpe": metrics.sharpe(series),
            "psr": significance.psr_of(series),
            "expected_max_sharpe": significance.expected_max_sharpe(42, variance=trials.variance),
            "dsr": significance.dsr_of(series, trials=42, variance=trials.variance / 252),
            "record": 500,
            "record_needed": significance.min_track_record_length(metrics.sharpe(series, periods=1), **moments),
            "years_needed": significance.min_backtest_length(42, target=metrics.sharpe(series)),
            "effective_trials": significance.effective_trials(returns),
            "pbo": overfitting.pbo,
            "pbo_in_sample": overfitting.in_sample.mean(),
            "pbo_out_of_sample": overfitting.out_of_sample.mean(),
            "pbo_loss": overfitting.loss,
            "spa_lower": check.plain.lower,
            "spa_consistent": check.plain.consistent,
            "spa_upper": check.plain.upper,
            "white": check.plain.upper,
            "spa_studentised": check.studentised.consistent,
            "superior": len(check.superior),
        }
        assert list(found.frame.index) == ROWS == list(expected)
        assert found.frame["value"].to_dict() == pytest.approx(expected)
        assert found.best == best

    def test_every_row_says_what_it_means_and_where_it_is_from(self):
        returns, benchmark = market()
        found = honesty(returns, benchmark=benchmark, trials=counted(returns), seed=3, against="the index")
        for column in ("meaning", "source"):
            assert found.frame[column].str.len().min() > 4
        assert found.frame["meaning"].str.endswith(".").all()
        assert not found.frame["meaning"].str.contains("nan").any()
        assert "beats the index by so much" in found.frame.loc["spa_consistent", "meaning"]

    def test_cells_that_never_traded_rank_last_and_break_nothing(self):
        returns, benchmark = market(cells=5)
        burst = returns[:, 0].copy()
        burst[[7, 8]] = np.inf, -np.inf
        idle = np.column_stack([np.zeros(500), returns, np.full(500, np.nan), np.full(500, 0.001), burst])
        plain = honesty(returns, benchmark=benchmark, trials=counted(returns), seed=3).frame["value"]
        found = honesty(idle, benchmark=benchmark, trials=counted(returns), seed=3)
        assert found.best == 1 + int(np.argmax(sharpes_of(returns)))
        assert found.frame["value"].to_dict() == pytest.approx(plain.to_dict())

    @pytest.mark.parametrize("cells", [0, 1, 3])
    def test_a_sweep_in_which_nobody_traded(self, cells):
        idle = np.zeros((500, cells))
        found = honesty(idle, benchmark=np.zeros(500), trials=counted(idle), seed=3)
        assert found.best is None
        defined = {name for name, value in found.numbers.items() if value is not None}
        assert defined <= {"trials", "expected_max_sharpe", "record"}
        undefined = found.frame[found.frame["value"].isna()]
        assert undefined["meaning"].str.startswith("Undefined: ").all()
        assert not found.frame["meaning"].str.contains("nan").any()

    def test_one_cell_or_few_sessions_have_no_pbo(self):
        returns, benchmark = market(cells=1)
        found = honesty(returns, benchmark=benchmark, trials=counted(returns), seed=3).numbers
        assert found["pbo"] is None
        assert found["spa_consistent"] is not None
        assert found["dsr"] == found["psr"]  # one idea: nothing to deflate
        returns, benchmark = market(sessions=39)
        found = honesty(returns, benchmark=benchmark, trials=counted(returns), seed=3)
        assert (found.numbers["pbo"], found.overfitting) == (None, None)

    def test_a_large_sweep_is_sampled_and_the_table_says_so(self, monkeypatch):
        returns, benchmark = market(cells=60)
        monkeypatch.setattr(table, "LIMIT", 20)
        best = int(np.argmax(sharpes_of(returns)))
        found = honesty(returns, benchmark=benchmark, trials=counted(returns), seed=3)
        assert found.best == best
        assert found.overfitting.cells == 20
        assert found.reality.cells == 20
        for row in ("pbo", "spa_consistent", "effective_trials"):
            assert "From 20 of 60 cells: evenly spaced, with the best." in found.frame.loc[row, "meaning"]
        # the same when the sample was taken before
        chosen, place = sample_of(sharpes_of(returns), limit=20)
        assert chosen[place] == best
        before = honesty(returns[:, chosen], benchmark=benchmark, trials=counted(returns), seed=3, cells=60, best=place)
        pd.testing.assert_frame_equal(before.frame, found.frame)

    def test_a_sample_of_a_sweep_without_any_ratio(self):
        chosen, best = sample_of(np.full(30, np.nan), limit=10)
        assert (len(chosen), best) == (10, None)
        assert sample_of(np.array([]))[1] is None
        chosen, best = sample_of(np.array([np.nan, 2.0, 1.0]))
        assert (chosen.tolist(), best) == ([0, 1, 2], 1)

    def test_what_does_not_fit_is_refused(self):
        returns, benchmark = market()
        with pytest.raises(BacktestError, match="best=12 is none of the 12 columns"):
            honesty(returns, benchmark=benchmark, trials=counted(returns), seed=3, best=12)
        with pytest.raises(BacktestError, match="benchmark of shape"):
            honesty(returns, benchmark=benchmark[1:], trials=counted(returns), seed=3)

    def test_it_shows_itself_without_markup_of_others(self):
        returns, benchmark = market()
        found = honesty(returns, benchmark=benchmark, trials=counted(returns), seed=3, against="<b>x</b>")
        page = found._repr_html_()
        assert "<b>" not in page
        assert page.count("<tr>") == len(ROWS) + 1


class TestRun:
    TRADES = pd.DataFrame(
        {
            "closed": pd.date_range("2020-01-01", periods=30),
            "pnl": np.random.default_rng(2).normal(20, 300, 30),
            "open": False,
        }
    )

    def test_its_numbers_are_those_of_its_parts(self):
        returns = pd.Series(market()[0][:, 0])
        trials = counted(market()[0])
        found = luck_of_run(returns, self.TRADES, trials=trials, initial_cash=10_000.0, seed=3, ruin_level=0.9)
        paths = shuffled_returns(returns, seed=3, ruin_level=0.9)
        orders = shuffled_trades(self.TRADES, initial_cash=10_000.0, seed=3)
        assert list(found.frame.index) == OF_RUN
        numbers = found.numbers
        assert numbers["trials"] == 12
        assert numbers["dsr"] == pytest.approx(significance.dsr_of(returns, trials=12, variance=trials.variance / 252))
        assert numbers["ruin"] == paths.ruin > 0
        assert numbers["drawdown_median"] == np.median(paths.max_drawdown)
        assert numbers["drawdown_worst_5"] == pytest.approx(np.quantile(paths.max_drawdown, 0.05))
        assert numbers["loss_chance"] == (paths.final < 1).mean()
        assert numbers["trade_drawdown_worst_5"] == pytest.approx(np.quantile(orders.max_drawdown, 0.05))
        assert "below 90 % of the cash" in found.frame.loc["ruin", "meaning"]
        np.testing.assert_array_equal(found.returns.final, paths.final)

    def test_a_run_that_never_traded(self):
        found = luck_of_run(
            pd.Series(np.zeros(300)), self.TRADES.iloc[:0], trials=counted(market()[0]), initial_cash=1.0, seed=3
        )
        defined = {name for name, value in found.numbers.items() if value is not None}
        assert defined == {"trials", "expected_max_sharpe", "record"}
        assert found.frame.loc["psr", "meaning"] == "Undefined: the returns do not vary."
        assert (found.returns, found.trades) == (None, None)
        assert "undefined" in found._repr_html_()

    def test_a_losing_run_has_no_record_that_helps(self):
        returns = pd.Series(np.random.default_rng(3).normal(-0.002, 0.01, 300))
        found = luck_of_run(returns, self.TRADES, trials=Trials.none(), initial_cash=1e4, seed=3)
        assert found.numbers["record_needed"] is None
        assert "Sharpe ratio of 0 or less" in found.frame.loc["record_needed", "meaning"]
        assert found.frame.loc["trials", "meaning"] == "One idea tried on these data so far, in any session."

    def test_bars_of_another_length_are_annualised_by_their_own_year(self):
        returns = market()[0][:, 0]
        trials = counted(market()[0])
        daily, hourly = (
            luck_of_run(returns, self.TRADES, trials=trials, initial_cash=1e4, seed=3, reps=50, periods=periods).numbers
            for periods in (252, 1764)
        )
        assert hourly["sharpe"] == pytest.approx(daily["sharpe"] * math.sqrt(7))
        assert hourly["psr"] == daily["psr"]
        assert hourly["record_needed"] == pytest.approx(daily["record_needed"])
