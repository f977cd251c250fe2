"""A sweep on a Dask cluster of separate processes: the same numbers, a worker that dies, a cluster that is away."""

from __future__ import annotations

import os
import signal

import pandas as pd
import pytest

from tests.properties.future import random_history
from workbench.backtest.costs import Costs
from workbench.backtest.sweep.chunk_store import ChunkStore
from workbench.backtest.sweep.cluster import DaskCluster
from workbench.backtest.sweep.compute import compute_of
from workbench.backtest.sweep.grid import Grid
from workbench.backtest.sweep.setup import Setup
from workbench.backtest.sweep.threads import LocalThreads
from workbench.errors import ClusterUnavailable, JobCancelled
from workbench.strategies import SmaCross

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed.*", "ignore::ResourceWarning")

HISTORY = random_history(symbols=("AAPL",), seed=3, length=700)
SETUP = Setup(kind=SmaCross, history=HISTORY, costs=Costs(fee=0.001))
GRID = Grid.of(SmaCross, {"fast": range(2, 12), "slow": range(20, 60)})


@pytest.fixture(scope="module")
def cluster():
    """Two workers with one thread each, as processes of their own."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as running:
        yield running


def swept(compute, *, size=40, **rest):
    frames = dict(compute.run(SETUP, GRID.chunks(size), total=len(GRID), **rest))
    return pd.concat([frames[number] for number in sorted(frames)])


def test_the_numbers_are_those_of_this_machine(cluster):
    told = []
    found = swept(
        compute_of(cluster.scheduler_address.replace("tcp://", "dask://")),
        progress=lambda done, total: told.append((done, total)),
    )
    pd.testing.assert_frame_equal(found, swept(LocalThreads(1)), check_exact=True)
    assert told[-1] == (400, 400)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_it_survives_the_loss_of_a_worker(cluster):
    killed = []

    def kill_one(done, _total):
        if done >= 40 and not killed:
            victim = next(worker for worker in cluster.workers.values() if worker.pid is not None)
            killed.append(victim.pid)
            os.kill(victim.pid, signal.SIGKILL)

    found = swept(DaskCluster(cluster.scheduler_address), size=5, progress=kill_one)
    assert killed
    pd.testing.assert_frame_equal(found, swept(LocalThreads(1)), check_exact=True)


def test_what_was_finished_is_not_computed_again(cluster, tmp_path):
    store = ChunkStore(tmp_path / "chunks")

    def stop(done, _total):
        if done >= 80:
            raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        swept(DaskCluster(cluster.scheduler_address), progress=stop, store=store)
    before = store.finished()
    assert 2 <= len(before) < 10
    written = {path: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    found = swept(DaskCluster(cluster.scheduler_address), store=store)
    pd.testing.assert_frame_equal(found, swept(LocalThreads(1)), check_exact=True)
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_a_cluster_that_is_not_there_is_named():
    with pytest.raises(ClusterUnavailable, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1 "):
        swept(DaskCluster("dask://127.0.0.1:1", timeout_s=1.0))


def test_a_scheduler_without_workers_is_named():
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as empty,
        pytest.raises(ClusterUnavailable, match="has no worker"),
    ):
        swept(DaskCluster(empty.scheduler_address, timeout_s=0.5))


def test_a_worker_with_other_code_is_refused(cluster, monkeypatch):
    monkeypatch.setattr("workbench.backtest.sweep.cluster.ANSWERING", ("market",))
    real = DaskCluster(cluster.scheduler_address)
    monkeypatch.setattr("workbench.backtest.sweep.cluster.code_seal", _elsewhere)
    with pytest.raises(ClusterUnavailable, match="another version of workbench"):
        swept(real)


def _elsewhere(*_parts):
    """The seal of the code on this machine; a worker, which is another process, has another one."""
    return f"process {os.getpid()}"
