"""Computing a sweep in chunks: the same answer for every size and number of threads, cancelled at once, resumed."""

from __future__ import annotations

import os
import pickle

import pandas as pd
import pytest

from tests.backtest.sweep.markets import market
from workbench.backtest.costs import Costs
from workbench.backtest.sweep.chunk_store import ChunkStore
from workbench.backtest.sweep.chunking import chunk_size, compute_chunk
from workbench.backtest.sweep.compute import compute_of
from workbench.backtest.sweep.evaluate import METRICS, Setup, evaluate
from workbench.backtest.sweep.evaluator import Evaluator
from workbench.backtest.sweep.grid import Grid
from workbench.backtest.sweep.threads import LocalThreads, cores
from workbench.errors import JobCancelled, ParameterError
from workbench.strategies import BuyAndHold, SmaCross

GRID = Grid.of(SmaCross, {"fast": range(2, 20), "slow": range(10, 60, 5)})
SETUP = Setup(SmaCross, market(seed=4))


def together(frames) -> pd.DataFrame:
    return pd.concat([frame for _, frame in sorted(frames, key=lambda item: item[0])])


@pytest.mark.parametrize("size", [1, 13, 1000])
@pytest.mark.parametrize("workers", [1, 2, None])
def test_the_size_of_chunks_and_the_number_of_threads_do_not_matter(size, workers):
    found = together(LocalThreads(workers).run(SETUP, GRID.chunks(size), total=len(GRID)))
    cells = GRID.cells()
    pd.testing.assert_frame_equal(found, cells.join(evaluate(SETUP, cells)), check_exact=True)
    assert found.columns.tolist() == ["fast", "slow", *METRICS, "engine", "error"]


def test_progress_counts_cells():
    seen = []
    list(LocalThreads(2).run(SETUP, GRID.chunks(50), total=len(GRID), progress=lambda *said: seen.append(said)))
    assert seen == [(min(done, len(GRID)), len(GRID)) for done in range(50, len(GRID) + 50, 50)]


class Counting(ChunkStore):
    """A chunk store that remembers which chunks were saved."""

    def __init__(self, folder):
        super().__init__(folder)
        self.saved = []

    def save(self, number, frame):
        self.saved.append(number)
        super().save(number, frame)


def test_cancelled_it_stops_after_the_chunk_and_goes_on_there_when_it_is_asked_again(tmp_path):
    def cancel(done: int, total: int) -> None:
        if done >= 40 and total == len(GRID):
            raise JobCancelled("enough")

    store = Counting(tmp_path / "sweep")
    chunks = GRID.chunks(20)
    with pytest.raises(JobCancelled):
        list(LocalThreads(2).run(SETUP, chunks, total=len(GRID), progress=cancel, store=store))
    assert store.saved == [0, 1]
    found = together(LocalThreads(2).run(SETUP, chunks, total=len(GRID), store=store))
    assert store.saved == list(range(len(chunks)))
    pd.testing.assert_frame_equal(found, GRID.cells().join(evaluate(SETUP, GRID.cells())), check_exact=True)


def test_a_chunk_that_is_there_is_not_computed_again(tmp_path, monkeypatch):
    store = ChunkStore(tmp_path / "sweep")
    wanted = together(LocalThreads(1).run(SETUP, GRID.chunks(50), total=len(GRID), store=store))
    monkeypatch.setattr(Evaluator, "metrics", lambda *_: pytest.fail("computed again"))
    found = together(LocalThreads(1).run(SETUP, GRID.chunks(50), total=len(GRID), store=store))
    pd.testing.assert_frame_equal(found, wanted, check_exact=True)


def test_a_chunk_can_be_sent_to_another_process():
    setup, cells = pickle.loads(pickle.dumps((SETUP, GRID.chunks(30)[1])))  # noqa: S301 - our own bytes
    function = pickle.loads(pickle.dumps(compute_chunk))  # noqa: S301 - our own bytes
    pd.testing.assert_frame_equal(function(setup, cells), compute_chunk(SETUP, GRID.chunks(30)[1]), check_exact=True)


def test_the_size_of_a_chunk_follows_the_work_in_a_cell():
    crosses = chunk_size(SETUP)
    several = chunk_size(Setup(SmaCross, market(symbols=4)))
    python = chunk_size(Setup(BuyAndHold, market()))
    reference = chunk_size(Setup(SmaCross, market(), Costs(borrow=0.1)))
    assert crosses > several > python > reference >= 1
    assert chunk_size(SETUP, seconds=1e-9) == 1


def test_names_of_places():
    assert isinstance(compute_of(None), LocalThreads)
    assert compute_of("threads").workers == cores() <= os.cpu_count()
    assert compute_of("threads:3").workers == 3
    own = LocalThreads(1)
    assert compute_of(own) is own
    for name in ("threads:0", "thread", "threads:x"):
        with pytest.raises(ParameterError, match=f"compute='{name}'"):
            compute_of(name)
