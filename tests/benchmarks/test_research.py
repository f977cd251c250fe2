"""How long the research half of a day takes: reading the store, deciding about a universe, replaying a strategy.

.venv/bin/python -m pytest tests/benchmarks/test_research.py --benchmark-only --benchmark-enable -p no:randomly
"""

import pandas as pd
import pytest

from workbench.arena.decisions import decide_all
from workbench.backtest import runs
from workbench.data import history
from workbench.data.sources.bundled import STOCKS
from workbench.store.vintages import Vintages
from workbench.store.workspace import Workspace
from workbench.strategies import build
from workbench.study import Study

STUDY = Study.of(list(STOCKS), start="2013-01-02", as_of="2022-06-30")


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    history.collect(STUDY, workspace=workspace)
    yield workspace
    workspace.close()


def test_append_thirty_years_of_twenty_symbols(benchmark, tmp_path_factory):
    from workbench.data.sources import open_source

    rows = open_source("bundled").bars(STOCKS, start=pd.Timestamp("1990-01-02"), end=STUDY.end)

    def append():
        return Vintages(str(tmp_path_factory.mktemp("vintages"))).append("bars/1d", rows)

    assert benchmark.pedantic(append, rounds=3) == len(rows)


def test_load_the_default_study(benchmark, collected):
    loaded = benchmark.pedantic(lambda: history.load(STUDY, workspace=collected), rounds=5, warmup_rounds=1)
    assert loaded.close.shape[1] == len(STOCKS)


def test_decide_about_twenty_symbols(benchmark, collected, tmp_path_factory):
    view = history.load(STUDY, workspace=collected).view()

    def decide():
        workspace = Workspace.open(tmp_path_factory.mktemp("home"))
        decided = decide_all(view, workspace=workspace)
        workspace.close()
        return decided

    assert len(benchmark.pedantic(decide, rounds=3, warmup_rounds=1)) == len(STOCKS)


@pytest.mark.parametrize("name", ["buy_and_hold", "sma_cross", "momentum", "rules"])
def test_backtest_with_intervals_and_odds(benchmark, collected, tmp_path_factory, name):
    loaded = history.load(STUDY, workspace=collected)

    def replay():
        workspace = Workspace.open(tmp_path_factory.mktemp("home"))
        run = runs.run(build(name), loaded, workspace=workspace)
        workspace.close()
        return run

    assert not benchmark.pedantic(replay, rounds=3, warmup_rounds=1).reused
