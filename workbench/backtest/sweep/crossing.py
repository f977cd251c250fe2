"""The cells of a cross family over one history: averages, table and kernels, shared by all stretches of sessions."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workbench.backtest.sweep.columns import Columns
from workbench.backtest.sweep.cross_kernel import all_in_crosses
from workbench.backtest.sweep.cross_tables import spans, spans_fit, turns
from workbench.backtest.sweep.kernels import crossed
from workbench.backtest.sweep.raw import UNSURE, WIDTH
from workbench.backtest.sweep.together import together

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


class _Tables(NamedTuple):
    """What the kernel of one symbol reads: closes, prices of fills, and the tables made of them."""

    closes: np.ndarray
    fills: np.ndarray
    spans: np.ndarray
    turns: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


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
        self._columns = Columns(family, close, workers=workers)
        gaps = np.flatnonzero(~self._priced[:, 0])
        self._begin = int(gaps[-1]) + 1 if len(gaps) else 0
        self._single: tuple[np.ndarray, np.ndarray] | None = None

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
        tables: list[_Tables] = []
        alone = equity is None and self._alone(stretch)
        windows, columns = self._columns.of(
            asked, beside=(lambda: tables.append(self._tables(stretch))) if alone else None
        )
        at = np.searchsorted(windows, fast), np.searchsorted(windows, slow)
        if not alone:
            self._shared(stretch, columns, at, equity, found)
            return found
        self._by_tables(stretch, columns, at, tables[0], found)
        again = np.flatnonzero(found[:, UNSURE] > 0)
        if len(again):
            repeated = np.empty((len(again), WIDTH))
            self._shared(stretch, columns, (at[0][again], at[1][again]), None, repeated)
            found[again] = repeated
        return found

    def _alone(self, stretch: Stretch) -> bool:
        """Whether the bars are what the kernel of one symbol needs."""
        return stretch.complete and spans_fit(len(self._close), _TABLE) and stretch.first >= self._begin

    def _tables(self, stretch: Stretch) -> _Tables:
        """What that kernel reads beside the averages. The table of closes serves all stretches."""
        if self._single is None:
            closes = self._close[:, 0].copy()
            self._single = closes, spans(closes, self._begin)
        closes, table = self._single
        fills = stretch.price[:, 0].copy()
        fee, worse, _ = self._money
        return _Tables(closes, fills, table, turns(closes, fills, stretch.first, stretch.last, fee, worse))

    def _by_tables(
        self,
        stretch: Stretch,
        columns: np.ndarray,
        at: tuple[np.ndarray, np.ndarray],
        tables: _Tables,
        found: np.ndarray,
    ) -> None:
        """Use the kernel of one symbol."""
        fast, slow = at

        def work(piece: slice) -> None:
            all_in_crosses(
                columns[0],
                fast[piece],
                slow[piece],
                tables.closes,
                tables.fills,
                tables.spans,
                *tables.turns,
                stretch.first,
                stretch.last,
                stretch.lag,
                *self._money,
                found[piece],
            )

        self._spread(len(fast), stretch.length, work)

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
        together((partial(work, slice(low, high)) for low, high in pairwise(edges)), workers=self._workers)
