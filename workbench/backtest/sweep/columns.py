"""Columns: the averages of a history's closes for every window that was asked for so far, each computed once."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workbench.backtest.sweep.families import CrossFamily

# Averages are kept up to this many bytes; a grid that needs more of them is worked through in pieces.
BYTES = 256_000_000


class Columns:
    """The averages of one family over one history; safe to be asked by several threads."""

    def __init__(self, family: CrossFamily, close: np.ndarray) -> None:
        """`close` is (session × symbol), NaN where there is none."""
        self._make = family.columns()
        self._close = close
        self._lock = Lock()
        self._windows = np.empty(0, dtype=np.int64)
        self._kept = np.empty((close.shape[1], 0, close.shape[0]))

    def fits(self, windows: np.ndarray) -> bool:
        """Whether so many windows are computed at once."""
        return len(windows) * self._close.size * 8 <= BYTES

    def of(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Averages over these windows, ascending and unique, and perhaps over others.

        Returns:
            Windows, ascending; their averages, (symbol × window × session), NaN where a window is not full or the
            symbol has no close.
        """
        with self._lock:
            missing = np.setdiff1d(windows, self._windows)
            if len(missing):
                together = np.concatenate([self._windows, missing])
                if not len(self._windows) or not self.fits(together):
                    self._windows, self._kept = windows, self._made(windows)
                else:
                    order = np.argsort(together)
                    kept = np.concatenate([self._kept, self._made(missing)], axis=1)
                    self._windows, self._kept = together[order], np.ascontiguousarray(kept[:, order])
            return self._windows, self._kept

    def _made(self, windows: np.ndarray) -> np.ndarray:
        length, symbols = self._close.shape
        out = np.full((symbols, len(windows), length), np.nan)
        for symbol in range(symbols):
            rows = np.flatnonzero(~np.isnan(self._close[:, symbol]))
            self._make(self._close[rows, symbol], windows, rows, out[symbol])
        return out
