"""Runs side by side: the odds shrink with every idea ever tried on the same data."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from tests.properties.future import random_history
from workbench.backtest import ledger, metrics
from workbench.backtest.comparison import returns_of
from workbench.backtest.costs import Costs
from workbench.backtest.luck.overfitting import blocks_for, probability_of_overfitting
from workbench.backtest.luck.reality_check import reality_check
from workbench.backtest.luck.significance import dsr_of, psr_of
from workbench.backtest.luck.trials import tried
from workbench.backtest.runs import best, compare, run
from workbench.errors import BacktestError
from workbench.run import Run
from workbench.strategies import BuyAndHold, SmaCross

HISTORY = random_history(seed=21)


@pytest.fixture
def asked(workspace):
    """Two strategies and the benchmark, run in a workspace."""
    strategies = (SmaCross(fast=3, slow=10), SmaCross(fast=10, slow=40), BuyAndHold())
    return workspace, [run(strategy, HISTORY, workspace=workspace) for strategy in strategies]


def test_the_table_agrees_with_the_runs(asked):
    workspace, runs = asked
    table = compare(runs, benchmark=runs[-1], workspace=workspace)
    assert list(table.index) == [answer.title for answer in runs]
    for answer, (_, row) in zip(runs, table.iterrows(), strict=True):
        assert row["sharpe"] == answer.summary["sharpe"]
        assert (row["sharpe_low"], row["sharpe_high"]) == answer.intervals["sharpe"]
        assert row["psr"] == pytest.approx(psr_of(answer.table("equity")["return"]))
        assert row["record"] == len(HISTORY.evaluated) - 1
        assert row["dsr"] < row["psr"]
    benchmark = table.iloc[-1]
    assert (benchmark["beta"], benchmark["correlation"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert benchmark["tracking_error"] == 0
    assert math.isnan(benchmark["information_ratio"])


def test_every_strategy_ever_tried_on_the_data_counts(asked):
    workspace, runs = asked
    assert compare(runs, benchmark=runs[-1], workspace=workspace)["trials"].tolist() == [3, 3, 3]
    for fast in (4, 5, 6):  # tried, looked at, and left out of the table
        run(SmaCross(fast=fast, slow=20), HISTORY, workspace=workspace)
    table = compare(runs, benchmark=runs[-1], workspace=workspace)
    assert table["trials"].tolist() == [6, 6, 6]
    found = tried(workspace.engine, ledger.slice_hash(HISTORY.study))
    assert found.count == 6
    expected = dsr_of(runs[0].table("equity")["return"], trials=6, variance=found.variance / 252)
    assert table["dsr"].iloc[0] == pytest.approx(expected, rel=1e-6)
    # without the ledger only the runs at hand are known
    assert compare(runs[:1], benchmark=runs[-1])["trials"].tolist() == [2]


def test_the_same_idea_at_other_costs_is_not_another_trial(asked):
    workspace, runs = asked
    run(SmaCross(fast=3, slow=10), HISTORY, workspace=workspace, costs=Costs(fee=0.002))
    assert compare(runs, benchmark=runs[-1], workspace=workspace)["trials"].tolist() == [3, 3, 3]


def test_other_data_are_counted_apart(asked):
    workspace, runs = asked
    other = run(SmaCross(fast=3, slow=10), random_history(seed=22), workspace=workspace)
    table = compare([runs[0], other], benchmark=runs[-1], workspace=workspace)
    assert table["trials"].tolist() == [3, 1]
    assert table["dsr"].iloc[1] == table["psr"].iloc[1]


def test_other_years_of_the_same_market_do_not_forget_the_trials(asked):
    workspace, runs = asked
    later = dataclasses.replace(HISTORY, study=dataclasses.replace(HISTORY.study, start=HISTORY.sessions[320]))
    again = run(SmaCross(fast=3, slow=10), later, workspace=workspace)
    new = run(SmaCross(fast=4, slow=10), later, workspace=workspace)
    table = compare([again, new], benchmark=runs[-1], workspace=workspace)
    assert table["trials"].tolist() == [4, 4]
    assert table[["pbo", "spa_p"]].isna().all(axis=None)  # they do not cover the benchmark's sessions


def test_the_choice_among_runs_of_the_same_sessions_is_judged_as_a_whole(asked):
    workspace, runs = asked
    more = [run(SmaCross(fast=fast, slow=20), HISTORY, workspace=workspace) for fast in (4, 6)]
    table = compare([*runs, *more, runs[0]], benchmark=runs[-1], workspace=workspace)
    judged = [runs[0], runs[1], *more]
    returns = np.column_stack([returns_of(one).to_numpy() for one in judged])
    pbo = probability_of_overfitting(returns, blocks=blocks_for(len(returns))).pbo
    held = returns_of(runs[-1]).to_numpy()
    spa_p = reality_check(returns, held, seed=HISTORY.study.seed).plain.consistent
    expected = [pbo, pbo, math.nan, pbo, pbo, math.nan]  # the benchmark and a repeated run are not among the choices
    assert table["pbo"].tolist() == pytest.approx(expected, nan_ok=True)
    assert table["spa_p"].dropna().tolist() == [spa_p] * 4
    assert table["spa_p"].isna().tolist() == [False, False, True, False, False, True]


def test_one_run_is_no_choice(asked):
    _, runs = asked
    assert compare(runs[:1], benchmark=runs[-1])[["pbo", "spa_p"]].isna().all(axis=None)


def answer_with(title, **summary):
    return Run(
        id="0" * 32,
        kind="backtest",
        study=HISTORY.study,
        title=title,
        label="",
        config={},
        config_hash="",
        summary=summary,
    )


def test_the_best_has_the_highest_number_and_undefined_ranks_last():
    runs = [answer_with("a", sharpe=-1.0), answer_with("b", sharpe=None), answer_with("c", sharpe=-0.5, calmar=0.1)]
    assert best(runs).title == "c"
    assert best(runs, by="calmar").title == "c"
    assert best([answer_with("a", sharpe=-1.0), answer_with("z", sharpe=0.0)]).title == "z"
    with pytest.raises(BacktestError, match="none of the 1 runs has a defined 'sharpe'"):
        best([answer_with("b", sharpe=None)])


def test_nothing_cannot_be_compared():
    with pytest.raises(BacktestError, match="no run to compare"):
        compare([], benchmark=answer_with("a"))


def test_a_run_that_never_traded_is_a_trial_without_odds(workspace):
    flat = run(SmaCross(fast=100, slow=5000), HISTORY, workspace=workspace)
    held = run(BuyAndHold(), HISTORY, workspace=workspace)
    table = compare([flat, held], benchmark=held, workspace=workspace)
    assert table["trials"].tolist() == [2, 2]
    assert math.isnan(table["psr"].iloc[0])
    assert table["psr"].iloc[1] == pytest.approx(psr_of(held.table("equity")["return"]))
    assert math.isnan(table["dsr"].iloc[1])  # one Sharpe ratio has no variance: how far luck reaches is not known
    assert metrics.total_return(flat.table("equity")["return"]) == 0
