"""How long the examination of a sweep takes: finding the plateau, walking it forward, cross-validating it.

.venv/bin/python -m pytest tests/benchmarks/test_validation.py --benchmark-only -o addopts=--import-mode=importlib \
    -p no:randomly
"""

import itertools

import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.backtest.costs import Costs
from workbench.backtest.optimize.search import optimize
from workbench.backtest.sweep.evaluate import Evaluator, Setup
from workbench.backtest.validation.cross_validation import cross_validate
from workbench.backtest.validation.regions import best_region
from workbench.backtest.validation.walk_forward import walk_forward
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.strategies import SmaCross
from workbench.study import Study

GRID = pd.DataFrame(list(itertools.product(range(5, 45), range(50, 175, 5))), columns=["fast", "slow"])


@pytest.fixture(scope="module")
def setup():
    """One symbol, 2,500 sessions and 300 before them."""
    index = sessions.sessions("XNYS", "2007-01-03", "2018-12-31")[:2800]
    steps = np.random.default_rng(7).normal(0.0003, 0.011, (len(index), 1))
    columns = pd.Index(["SPX"], name="symbol")
    close = pd.DataFrame(100 * np.exp(np.cumsum(steps, axis=0)), index=index.rename("session"), columns=columns)
    study = Study.of("SPX", start=index[300], as_of=sessions.closes("XNYS", index[-1]), source="synthetic")
    history = History(study=study, bars=Bars(close=close), label="SYNTHETIC", synthetic=True)
    return Setup(SmaCross, history, costs=Costs(fee=0.001))


@pytest.mark.parametrize("radius", [1, 2])
def test_the_best_region_of_a_hundred_thousand_cells(benchmark, radius):
    frame = pd.DataFrame(list(itertools.product(range(316), range(317))), columns=["a", "b"])
    surface = np.random.default_rng(1).normal(0.0, 0.1, len(frame))
    hill = np.exp(-((frame["a"] - 200) ** 2 + (frame["b"] - 80) ** 2) / 800)
    frame["m"] = surface + hill
    frame.loc[5, "m"] = 50.0
    region = benchmark.pedantic(lambda: best_region(frame, ["a", "b"], "m", radius), rounds=5, warmup_rounds=1)
    assert max(abs(region.centre["a"] - 200), abs(region.centre["b"] - 80)) < 12
    assert region.peak_value == 50.0


def test_walk_a_thousand_cells_forward_over_ten_years(benchmark, setup):
    found = benchmark.pedantic(lambda: walk_forward(setup, GRID), rounds=5, warmup_rounds=1)
    assert len(found.folds) == 16
    for _, fold in found.folds.iterrows():
        cell = GRID[(GRID["fast"] == fold["fast"]) & (GRID["slow"] == fold["slow"])]
        again = Evaluator(setup).metrics(cell, fold["train_start"], fold["train_end"])
        assert again["sharpe"].item() == fold["in_sample_sharpe"]
    assert found.summary["total_return"] == pytest.approx(np.prod(1 + found.folds["total_return"]) - 1)


def test_cross_validate_a_thousand_cells_over_ten_years(benchmark, setup):
    found = benchmark.pedantic(lambda: cross_validate(setup, GRID), rounds=5, warmup_rounds=1)
    assert (len(found.folds), found.summary["paths"]) == (45, 9)


@pytest.mark.parametrize("method", ["random", "tpe"])
def test_two_hundred_trials_with_a_journal(benchmark, setup, tmp_path, method):
    def search():
        return optimize(
            setup, {"fast": (2, 60), "slow": (20, 250)}, method=method, trials=200, storage=tmp_path, resume=False
        )

    found = benchmark.pedantic(search, rounds=2, warmup_rounds=1)
    assert len(found.evaluated) >= 200
