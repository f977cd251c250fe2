"""Columns: the averages of a history's closes for every window that was asked for so far, each computed once."""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.sweep.averages import LANES
from workbench.backtest.sweep.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.backtest.sweep.families import CrossFamily

# Averages are kept up to this many bytes; a grid that needs more of them is worked through in pieces.
BYTES = 256_000_000
# Below this many averages a second thread costs more than it brings.
_WORTH_A_THREAD = 100_000


class Columns:
    """The averages of one family over one history; safe to be asked by several threads."""

    def __init__(self, family: CrossFamily, close: np.ndarray, *, workers: int = 1) -> None:
        """`close` is (session × symbol), NaN where there is none; `workers`: threads that make averages."""
        self._workers = workers
        self._make = family.columns()
        self._close = close
        self._lock = Lock()
        self._windows = np.empty(0, dtype=np.int64)
        self._kept = np.empty((close.shape[1], 0, close.shape[0]))

    def fits(self, windows: np.ndarray) -> bool:
        """Whether so many windows are computed at once."""
        return len(windows) * self._close.size * 8 <= BYTES

    def of(self, windows: np.ndarray, *, beside: Callable[[], None] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Averages over these windows, ascending and unique, and perhaps over others.

        Args:
            beside: other work, done meanwhile on the same threads.

        Returns:
            Windows, ascending; their averages, (symbol × window × session), NaN where a window is not full or the
            symbol has no close.
        """
        with self._lock:
            missing = np.setdiff1d(windows, self._windows)
            if not len(missing):
                if beside is not None:
                    beside()
            else:
                joined = np.concatenate([self._windows, missing])
                if not len(self._windows) or not self.fits(joined):
                    self._windows, self._kept = windows, self._made(windows, beside)
                else:
                    order = np.argsort(joined)
                    kept = np.concatenate([self._kept, self._made(missing, beside)], axis=1)
                    self._windows, self._kept = joined[order], np.ascontiguousarray(kept[:, order])
            return self._windows, self._kept

    def _made(self, windows: np.ndarray, beside: Callable[[], None] | None) -> np.ndarray:
        length, symbols = self._close.shape
        out = np.empty((symbols, len(windows), length))
        pieces: list[Callable[[], None]] = [] if beside is None else [beside]
        for symbol in range(symbols):
            rows = np.flatnonzero(~np.isnan(self._close[:, symbol]))
            closes = self._close[rows, symbol]
            for low in range(0, len(windows), LANES):
                place = out[symbol, low : low + LANES]
                pieces.append(partial(self._fill, closes, windows[low : low + LANES], rows, place))
        together(pieces, workers=self._workers if out.size >= _WORTH_A_THREAD else 1)
        return out

    def _fill(self, closes: np.ndarray, windows: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        out.fill(np.nan)
        self._make(closes, windows, rows, out)
