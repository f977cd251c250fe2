"""Sweeps on many machines: the same chunks, computed by the workers of a Dask cluster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workbench.backtest.question import ANSWERING
from workbench.backtest.sweep.chunking import compute_chunk
from workbench.errors import ClusterUnavailable
from workbench.store.code import code_seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd
    from distributed import Client, Future

    from workbench.backtest.sweep.chunking import Progress, Store
    from workbench.backtest.sweep.setup import Setup

# Chunks under way per core of the cluster: enough that none is idle, few enough to be cancelled at once.
_AHEAD = 3
# How often progress is looked for, so that a cancel is seen although no chunk has come back.
_TICK_S = 0.25


class DaskCluster:
    """A `Compute` that sends chunks to a Dask scheduler: the desk plans and records, Dask computes.

    The history travels as the result of a task, not as scattered data: a worker that takes over from a lost one has it
    made anew, so that no chunk waits for what died with a machine. Dask itself repeats the chunks of a lost worker.

    Args:
        address: of the scheduler, `dask://host:8786` or `tcp://host:8786`.
        timeout_s: how long to wait for the scheduler, for its first worker, and for a worker to come back when all are
            lost.
    """

    def __init__(self, address: str, *, timeout_s: float = 20.0) -> None:
        self.address = address.replace("dask://", "tcp://", 1)
        self.timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"DaskCluster({self.address!r})"

    def run(
        self,
        setup: Setup,
        chunks: Iterable[tuple[int, pd.DataFrame]],
        *,
        total: int,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        """The metrics of each chunk, in the order in which they come back; see `Compute.run`.

        Raises:
            ClusterUnavailable: no scheduler or no worker answers, a worker runs other code than we do, or a chunk was
                lost with every worker it was given to. Chunks in the `store` are kept.
        """
        client = self._client()
        try:
            _refuse_other_code(client)
            yield from self._computed(client, setup, chunks, total=total, progress=progress, store=store)
        finally:
            client.close()

    def _computed(
        self,
        client: Client,
        setup: Setup,
        chunks: Iterable[tuple[int, pd.DataFrame]],
        *,
        total: int,
        progress: Progress | None,
        store: Store | None,
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        shared = client.submit(_same, setup, pure=False)
        waiting = iter(chunks)
        under_way: dict[Future, tuple[int, int]] = {}
        done, exhausted, seen = 0, False, time.monotonic()
        try:
            while True:
                room = _AHEAD * max(1, sum(client.nthreads().values()))
                while not exhausted and len(under_way) < room:
                    try:
                        number, cells = next(waiting)
                    except StopIteration:
                        exhausted = True
                        break
                    stored = None if store is None else store.load(number)
                    if stored is None:
                        under_way[client.submit(compute_chunk, shared, cells, pure=False)] = number, len(cells)
                        continue
                    done += len(stored)
                    yield number, stored
                if exhausted and not under_way:
                    break
                for future in _finished(client, under_way):
                    number, size = under_way.pop(future)
                    frame = self._result(future)
                    if store is not None:
                        store.save(number, frame)
                    done += size
                    yield number, frame
                if progress is not None:
                    progress(done, total)
                seen = self._somebody_works(client, seen)
        finally:
            client.cancel([shared, *under_way], force=True)

    def _client(self) -> Client:
        try:
            from distributed import Client
        except ImportError as error:
            raise ClusterUnavailable(
                f"compute={self.address!r} needs the package `distributed`, which is not installed.",
                remedy="install it with `pip install 'workbench[cluster]'`.",
            ) from error
        try:
            client = Client(self.address, timeout=self.timeout_s, name="workbench", set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterUnavailable(
                f"no Dask scheduler answers at {self.address} ({type(error).__name__}); nothing was computed.",
                remedy="start one with `dask scheduler`, or set WORKBENCH_COMPUTE=threads.",
            ) from error
        try:
            client.wait_for_workers(1, timeout=self.timeout_s)
        except TimeoutError as error:
            client.close()
            raise ClusterUnavailable(
                f"the scheduler at {self.address} has no worker; nothing was computed.",
                remedy=f"start some with `dask worker {self.address}`.",
            ) from error
        return client

    def _result(self, future: Future) -> pd.DataFrame:
        from distributed import KilledWorker

        try:
            frame: pd.DataFrame = future.result()
        except KilledWorker as error:
            raise ClusterUnavailable(
                f"a chunk was lost with every worker that was given it ({error}); finished chunks are kept.",
                remedy="look at the workers' logs (memory?), and start the sweep again: it goes on from there.",
            ) from error
        return frame

    def _somebody_works(self, client: Client, seen: float) -> float:
        """The last moment at which the cluster had a worker. Raises ClusterUnavailable when that is too long ago."""
        now = time.monotonic()
        if client.nthreads():
            return now
        if now - seen > self.timeout_s:
            raise ClusterUnavailable(
                f"all workers of {self.address} are gone for {now - seen:.0f} s; finished chunks are kept.",
                remedy="start workers, and start the sweep again: it goes on from there.",
            )
        return seen


def _finished(client: Client, under_way: dict[Future, Any]) -> list[Future]:
    """The futures that are done; waits up to a tick for the first one."""
    from distributed import wait

    try:
        with client.as_current():
            done = wait(list(under_way), timeout=_TICK_S, return_when="FIRST_COMPLETED").done
    except TimeoutError:
        return []
    return list(done)


def _refuse_other_code(client: Client) -> None:
    ours = code_seal(*ANSWERING)
    others = [str(worker) for worker, seal in client.run(code_seal, *ANSWERING).items() if seal != ours]
    if others:
        raise ClusterUnavailable(
            f"the worker {others[0]} runs another version of workbench than this machine; nothing was computed.",
            remedy="install the same version everywhere: equal questions must have equal answers.",
        )


def _same(setup: Setup) -> Setup:
    return setup
