"""The cells of a cross family over one history: averages, table and kernels, shared by all stretches of sessions."""

from __future__ import annotations

from itertools import pairwise
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.sweep.columns import Columns
from workbench.backtest.sweep.cross_kernel import all_in_crosses
from workbench.backtest.sweep.cross_tables import spans, spans_fit, turns
from workbench.backtest.sweep.kernels import crossed
from workbench.backtest.sweep.raw import UNSURE, WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.backtest.sweep.families import CrossFamily
    from workbench.backtest.sweep.stretch import Stretch

# Below this many bars times cells a second thread costs more than it brings.
_WORTH_A_THREAD = 500_000
# Pieces per thread: one that is held up leaves its pieces to the others.
_PIECES = 4
# The most bytes of the table of closes of one symbol: about 700,000 bars. Longer ones are left to the plain kernel.
_TABLE = 450_000_000


class Crossing:
    """What all cells of one family over one history share.

    Args:
        close: closes of the whole history (session × symbol), NaN where there is none.
        money: fee and worse price as fractions, and the initial cash.
        workers: threads; each writes rows of its own, so the answer does not depend on how many there are.
    """

    def __init__(
        self, family: CrossFamily, close: np.ndarray, money: tuple[float, float, float], *, workers: int
    ) -> None:
        self._close = close
        self._priced = ~np.isnan(close)
        self._money = money
        self._workers = workers
        self._columns = Columns(family, close)
        self._single: tuple[int, np.ndarray, np.ndarray] | None = None

    def raw(self, fast: np.ndarray, slow: np.ndarray, stretch: Stretch, equity: np.ndarray | None) -> np.ndarray:
        """The raw numbers of cells, (cell × `raw.WIDTH`).

        Args:
            fast, slow: windows of each cell, 1 ≤ fast < slow.
            equity: (cell × session of the stretch), written; None where it is not asked for, which is quicker.
        """
        found = np.empty((len(fast), WIDTH))
        asked = np.unique(np.concatenate([fast, slow]))
        if len(fast) > 1 and not self._columns.fits(asked):
            for half in np.array_split(np.lexsort((fast, slow)), 2):
                part = None if equity is None else np.empty((len(half), stretch.length))
                found[half] = self.raw(fast[half], slow[half], stretch, part)
                if equity is not None:
                    equity[half] = part
            return found
        if not len(fast):
            return found
        windows, columns = self._columns.of(asked)
        at = np.searchsorted(windows, fast), np.searchsorted(windows, slow)
        if equity is not None or not self._alone(stretch, columns, *at, found):
            self._shared(stretch, columns, at, equity, found)
            return found
        again = np.flatnonzero(found[:, UNSURE] > 0)
        if len(again):
            repeated = np.empty((len(again), WIDTH))
            self._shared(stretch, columns, (at[0][again], at[1][again]), None, repeated)
            found[again] = repeated
        return found

    def _alone(
        self, stretch: Stretch, columns: np.ndarray, fast: np.ndarray, slow: np.ndarray, found: np.ndarray
    ) -> bool:
        """Use the kernel of one symbol; False, and nothing done, where the bars are not what it needs."""
        if not stretch.complete or not spans_fit(len(self._close), _TABLE):
            return False
        if self._single is None:
            gaps = np.flatnonzero(~self._priced[:, 0])
            begin = int(gaps[-1]) + 1 if len(gaps) else 0
            closes = self._close[:, 0].copy()
            self._single = begin, closes, spans(closes, begin)
        begin, closes, table = self._single
        if stretch.first < begin:
            return False
        fills = stretch.price[:, 0].copy()
        fee, worse, _ = self._money
        returns = turns(closes, fills, stretch.first, stretch.last, fee, worse)

        def work(piece: slice) -> None:
            all_in_crosses(
                columns[0],
                fast[piece],
                slow[piece],
                closes,
                fills,
                table,
                *returns,
                stretch.first,
                stretch.last,
                stretch.lag,
                *self._money,
                found[piece],
            )

        self._spread(len(fast), stretch.length, work)
        return True

    def _shared(
        self,
        stretch: Stretch,
        columns: np.ndarray,
        at: tuple[np.ndarray, np.ndarray],
        equity: np.ndarray | None,
        found: np.ndarray,
    ) -> None:
        """Use the kernel of several symbols with one purse."""
        fast, slow = at

        def work(piece: slice) -> None:
            crossed(
                columns,
                fast[piece],
                slow[piece],
                self._priced,
                stretch.first,
                stretch.fill,
                stretch.value_at,
                stretch.mark,
                stretch.lag,
                *self._money,
                np.empty((1, stretch.length)) if equity is None else equity[piece],
                found[piece],
            )

        self._spread(len(fast), stretch.close.size, work)

    def _spread(self, cells: int, bars: int, work: Callable[[slice], None]) -> None:
        if self._workers == 1 or cells * bars < _WORTH_A_THREAD:
            work(slice(0, cells))
            return
        edges = np.linspace(0, cells, min(cells, self._workers * _PIECES) + 1).astype(int).tolist()
        waiting = iter([slice(low, high) for low, high in pairwise(edges)])
        failed: list[BaseException] = []

        def work_on() -> None:
            try:
                for piece in waiting:  # a list's iterator hands each piece to one thread only
                    work(piece)
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that asked
                failed.append(error)

        # This thread works too: a pool of threads takes as long to start as a thousand cells take.
        others = [Thread(target=work_on) for _ in range(self._workers - 1)]
        for other in others:
            other.start()
        work_on()
        for other in others:
            other.join()
        if failed:
            raise failed[0]
