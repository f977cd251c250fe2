"""A sweep on the threads of this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from workbench.backtest.sweep.evaluator import Evaluator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from workbench.backtest.sweep.chunking import Progress, Store
    from workbench.backtest.sweep.setup import Setup


class LocalThreads:
    """Computes chunk after chunk on this machine, each on all threads at once.

    Args:
        workers: threads; as many as this process may use cores when None. The answer does not depend on it.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = cores() if workers is None else max(1, workers)

    def run(
        self,
        setup: Setup,
        chunks: Iterable[tuple[int, pd.DataFrame]],
        *,
        total: int,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        """See `workbench.backtest.sweep.compute.Compute.run`; the chunks come in the order in which they are given."""
        evaluator = Evaluator(setup, workers=self.workers)
        done = 0
        for number, cells in chunks:
            frame = None if store is None else store.load(number)
            if frame is None:
                frame = cells.join(evaluator.metrics(cells))
                if store is not None:
                    store.save(number, frame)
            done += len(cells)
            if progress is not None:
                progress(done, total)
            yield number, frame


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
