"""Live is the backtest: a strategy traded through the local exchange has the fills of its backtest, to the share."""

from __future__ import annotations

import dataclasses
import functools
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.bench import open_bench
from workbench.errors import BacktestError
from workbench.market.actions import Actions, Dividend
from workbench.orchestration import trading_day
from workbench.orchestration.fidelity import replay_on_exchange
from workbench.strategies import build, registered
from workbench.strategy import Strategy
from workbench.study import Study

CLOSES_ONLY = Study.of(["AAPL", "KO", "XOM"], start="2014-01-02", as_of="2015-12-31")
WITH_OPENS = Study.of(["SYN01", "SYN02", "SYN03"], start="2014-01-02", as_of="2015-12-31", source="synthetic")
# Parameters with which a strategy trades within one year; the defaults of the others do.
LIVELY = {"sma_cross": {"fast": 10, "slow": 50}, "ema_cross": {"fast": 10, "slow": 50}, "momentum": {"lookback": 60}}
RICH = Study.of(["SYN01", "SYN02"], start="2014-01-02", as_of="2014-06-30", source="synthetic", initial_cash=4e9)


class Whims(Strategy):
    """Random weights by the calendar day alone, mostly fully invested, some zero."""

    name = "whims"

    @property
    def warm_up(self):
        return 0

    def target_weights(self, history):
        rows = [whim(day.toordinal(), len(history.symbols)) for day in history.sessions]
        weights = pd.DataFrame(np.array(rows), index=history.sessions, columns=list(history.symbols))
        weights.iloc[: history.begins] = np.nan
        return weights


@functools.cache
def whim(day, number):
    """The weights of one day: mostly silent; else they sum to 1, and one symbol in three is left out or left alone."""
    chance = np.random.default_rng(day)
    drawn = chance.dirichlet(np.ones(number))
    drawn[chance.random(number) < 0.2] = 0.0
    drawn[chance.random(number) < 0.15] = np.nan
    return drawn if chance.random() < 0.2 else np.full(number, np.nan)


class Peeks(Strategy):
    """Holds everything on the eve of a rise of its first symbol: it reads the next row."""

    name = "peeks"

    @property
    def warm_up(self):
        return 0

    def target_weights(self, history):
        rises = (history.close.iloc[:, 0].shift(-1) > history.close.iloc[:, 0]).to_numpy()
        weights = pd.DataFrame(np.nan, index=history.sessions, columns=list(history.symbols))
        for row in range(history.begins, len(weights), 10):
            weights.iloc[row] = rises[row] / len(history.symbols)
        return weights


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    opened = open_bench(home=tmp_path_factory.mktemp("home"))
    yield opened
    opened.workspace.close()


def told(bench, strategy, study, **asked):
    return replay_on_exchange(strategy, bench.load(study), workspace=bench.workspace, **asked)


def keys(table, side):
    """Session, symbol, side and quantity of each fill of one world, as a set."""
    rows = table[table[f"qty_{side}"] > 0]
    return set(zip(rows["session"], rows["symbol"], rows["side"], rows[f"qty_{side}"], strict=True))


@pytest.mark.parametrize("study", [CLOSES_ONLY, WITH_OPENS], ids=["closes only", "with opens"])
def test_every_fill_of_the_exchange_is_a_fill_of_the_backtest_and_no_other(bench, study):
    strategy = build("sma_cross", fast=10, slow=50)
    run = told(bench, strategy, study)
    fills, summary = run.table("fills"), run.summary
    assert summary["decisions"] >= 10
    assert summary["fills"] == len(fills) >= 20
    assert keys(fills, "exchange") == keys(fills, "backtest")
    assert set(fills["why"]) == {"equal"}
    assert ((fills["price_exchange"] - fills["price_backtest"]).abs() <= 1e-9).all()
    assert summary["qty_difference"] == summary["price_difference_bp"] == summary["different_fills"] == 0.0

    equity = run.table("equity")
    np.testing.assert_allclose(equity["exchange"], equity["backtest"], rtol=0, atol=1e-6)
    # The exchange's own books, marked by itself, to the cent.
    assert summary["equity_reported"] == pytest.approx(equity["exchange"].iloc[-1], abs=0.01)

    # And it is the backtest that anybody would have asked for.
    asked = FillRules.desk(max_participation=0.1 if study.source == "synthetic" else None)
    backtest = bench.backtest(strategy, study, costs=Costs(slippage=0.0005), rules=asked)
    orders = backtest.table("orders")
    mine = set(zip(orders["session"], orders["symbol"], orders["side"], orders["qty"], strict=True))
    assert mine == keys(fills, "exchange")
    assert run.kind == "fidelity"
    assert told(bench, strategy, study).reused


@pytest.mark.parametrize("name", sorted(registered()))
def test_every_registered_strategy_trades_live_as_in_its_backtest(bench, name):
    """Three symbols with opens, highs, lows and volumes, and parameters that make it trade within a year."""
    study = dataclasses.replace(WITH_OPENS, start=pd.Timestamp("2015-01-02"))
    run = told(bench, build(name, **LIVELY.get(name, {})), study)
    fills = run.table("fills")
    assert set(fills["why"]) == {"equal"}
    assert run.summary["fills"] == len(fills) >= 1
    assert keys(fills, "exchange") == keys(fills, "backtest")
    np.testing.assert_allclose(run.table("equity")["exchange"], run.table("equity")["backtest"], rtol=0, atol=1e-6)


def test_the_shortfall_of_the_default_backtest_is_told_and_taken_apart(bench):
    run = told(bench, build("sma_cross", fast=10, slow=50), CLOSES_ONLY)
    default = bench.backtest(build("sma_cross", fast=10, slow=50), CLOSES_ONLY)
    gap = default.table("equity")["equity"].iloc[-1] - run.table("equity")["exchange"].iloc[-1]
    assert run.summary["shortfall"] == pytest.approx(gap, abs=1e-6)
    assert run.summary["shortfall_bp"] == pytest.approx(gap / CLOSES_ONLY.initial_cash * 1e4, abs=1e-6)
    steps = run.table("steps")
    assert list(steps.index) == [
        "default rules",
        "with a cushion",
        "in whole lots",
        "sized at the decision",
        "exchange",
    ]
    assert steps["change"].sum() == pytest.approx(-gap, abs=1e-6)
    assert abs(steps["change"].iloc[-1]) < 1e-6
    why = run.table("default")["why"]
    assert (why != "equal").any()
    assert not why[why != "equal"].str.contains("lapsed|refused|looks ahead").any()


@pytest.mark.parametrize("study", [CLOSES_ONLY, WITH_OPENS], ids=["closes only", "with opens"])
def test_fully_invested_whims_are_the_same_in_both_worlds(bench, study):
    """Weights that use all the money: purchases cost more than there is at the fill, and are filled all the same."""
    year = dataclasses.replace(study, start=pd.Timestamp("2015-01-02"))
    run = told(bench, Whims(), year, rules=FillRules.desk(cushion=0.0, max_participation=_limit(study)))
    assert run.summary["decisions"] > 40
    fills = run.table("fills")
    assert set(fills["why"]) == {"equal"}
    paid = (fills["qty_exchange"] * fills["price_exchange"]).where(fills["side"] == "sell", other=np.nan)
    spent = (fills["qty_exchange"] * fills["price_exchange"]).where(fills["side"] == "buy", other=np.nan)
    cash = year.initial_cash + (paid.fillna(0.0) - spent.fillna(0.0)).groupby(fills["session"]).sum().cumsum()
    assert cash.min() < 0.0


def test_what_the_volume_does_not_allow_lapses_in_both_worlds(bench):
    run = told(bench, Whims(), RICH)
    assert set(run.table("fills")["why"]) == {"equal"}
    free = told(bench, Whims(), RICH, rules=FillRules.desk())
    assert free.table("fills")["why"].str.contains("filled on the exchange, the rest lapsed").any()


def test_other_costs_are_found_and_named(bench):
    run = told(bench, build("sma_cross", fast=10, slow=50), CLOSES_ONLY, costs=Costs(slippage=0.001))
    first = run.table("fills").iloc[0]
    assert "5.00 bp worse" in first["why"]
    assert "10.00 in the backtest" in first["why"]
    assert first["price_difference_bp"] == pytest.approx((1.0005 / 1.001 - 1.0) * 1e4, abs=1e-4)
    assert run.summary["price_difference_bp"] == pytest.approx(-5.0, abs=0.02)
    assert run.summary["equity_difference"] > 0


def test_a_strategy_that_peeks_is_found_and_named(bench):
    run = told(bench, Peeks(), CLOSES_ONLY)
    fills = run.table("fills")
    assert run.summary["different_fills"] > 10
    assert fills["why"].str.contains("in the backtest: the strategy looks ahead").sum() > 10
    assert run.summary["equity_difference"] < 0


def test_shorts_are_refused_by_the_desks_account_and_said(bench):
    class Short(Whims):
        name = "short"

        def target_weights(self, history):
            return -super().target_weights(history).abs()

    fills = told(bench, Short(), Study.of(["KO"], start="2014-01-02", as_of="2014-03-31")).table("fills")
    sold = fills[fills["side"] == "sell"]
    assert len(sold) > 3
    assert sold["why"].str.contains("refused the order: .*account is not allowed to short").all()
    assert not (fills["qty_exchange"] > 0).any()


def test_what_the_exchange_does_not_replay_is_refused(bench):
    history = bench.load(CLOSES_ONLY)
    paid = dataclasses.replace(history, actions=Actions(dividends=(Dividend("KO", pd.Timestamp("2014-03-03"), 0.3),)))
    with pytest.raises(BacktestError, match="corporate actions"):
        replay_on_exchange(Whims(), paid, workspace=bench.workspace)


def test_the_backtests_desk_is_the_desk():
    rules = FillRules.desk()
    assert rules.cushion == trading_day.CUSHION
    assert Decimal(str(rules.lot)) == 1


def _limit(study):
    return 0.1 if study.source == "synthetic" else None
