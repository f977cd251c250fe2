"""Where the chunks of a sweep are computed: a promise, and who keeps it by which name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from workbench.backtest.sweep.threads import LocalThreads
from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from workbench.backtest.sweep.chunking import Progress, Store
    from workbench.backtest.sweep.setup import Setup

_DASK = ("dask://", "tcp://", "tls://")
_THREADS = re.compile(r"threads(?::([1-9]\d{0,3}))?")


class Compute(Protocol):
    """Computes the chunks of a sweep."""

    def run(
        self,
        setup: Setup,
        chunks: Iterable[tuple[int, pd.DataFrame]],
        *,
        total: int,
        progress: Progress | None = None,
        store: Store | None = None,
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        """The answer of each chunk as (number, frame), each once: the cells' parameters beside their metrics.

        Args:
            chunks: (number, cells), one row per cell and one column per varied parameter.
            total: cells in all chunks.
            progress: called with (cells done, total) after each chunk; when it raises, the sweep stops with that error
                within one chunk's time.
            store: chunks found there are not computed again; the others are saved there before they are handed out.
        """


def compute_of(where: Compute | str | None) -> Compute:
    """Who computes: `threads` (also None: all cores), `threads:4`, `dask://host:8786`, or a Compute itself.

    Raises:
        ParameterError: the name is none of these.
    """
    if where is None:
        return LocalThreads()
    if not isinstance(where, str):
        return where
    if where.startswith(_DASK):
        from workbench.backtest.sweep.cluster import DaskCluster

        return DaskCluster(where)
    match = _THREADS.fullmatch(where)
    if match is None:
        raise ParameterError(
            f"compute={where!r} is none of threads, threads:N and dask://host:port; nothing was computed.",
            remedy="use 'threads' for all cores of this machine.",
        )
    return LocalThreads(int(match[1]) if match[1] else None)
