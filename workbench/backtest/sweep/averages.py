"""Moving averages as columns: every window of a sweep computed once, bit for bit what the strategies compute."""

from __future__ import annotations

import numpy as np

from workbench.backtest.sweep.compiled import compiled

# Windows that are computed side by side: one register of eight float64.
LANES = 8


@compiled
def simple(closes: np.ndarray, windows: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Simple moving averages, bit for bit those of `pandas.Series.rolling(window).mean()`.

    Sums are carried from bar to bar with the compensation of Kahan 1965, one for what enters and one for what leaves,
    and a run of equal closes as long as the window averages to exactly that close: pandas does both. A last digit that
    differs would be a cross that the reference engine does not see.

    Args:
        closes: the closes that are there, without NaN.
        windows: ascending, from 1 on.
        rows: the session of each close, in which its averages are written.
        out: (window × session), NaN on entry; stays NaN where a window is not full or there is no close.
    """
    length = len(closes)
    tile = np.empty((length, LANES))
    for begin in range(0, len(windows), LANES):
        lanes = min(LANES, len(windows) - begin)
        width = np.full(LANES, length + 1, dtype=np.int64)
        width[:lanes] = windows[begin : begin + lanes]
        total, entered, left = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
        equal, before = 0, np.nan
        for row in range(length):
            close = closes[row]
            equal = equal + 1 if close == before else 1
            before = close
            for lane in range(LANES):
                if row >= width[lane]:
                    change = -closes[row - width[lane]] - left[lane]
                    new = total[lane] + change
                    left[lane] = new - total[lane] - change
                    total[lane] = new
                change = close - entered[lane]
                new = total[lane] + change
                entered[lane] = new - total[lane] - change
                total[lane] = new
                tile[row, lane] = close if equal >= width[lane] else total[lane] / width[lane]
        for lane in range(lanes):
            for row in range(width[lane] - 1, length):
                out[begin + lane, rows[row]] = tile[row, lane]


@compiled
def exponential(closes: np.ndarray, windows: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Exponential moving averages, bit for bit those of `pandas.Series.ewm(span=window, adjust=False).mean()`.

    The first close starts the recursion; as with the simple average nothing is said until `window` closes are known.
    Arguments as in `simple`.
    """
    length = len(closes)
    tile = np.empty((length, LANES))
    for begin in range(0, len(windows), LANES):
        lanes = min(LANES, len(windows) - begin)
        width = np.full(LANES, length + 1, dtype=np.int64)
        width[:lanes] = windows[begin : begin + lanes]
        new = 1.0 / (1.0 + (width - 1.0) / 2.0)
        old = 1.0 - new
        both = old + new
        average = np.full(LANES, closes[0] if length else np.nan)
        if length:
            tile[0] = average
        for row in range(1, length):
            close = closes[row]
            for lane in range(LANES):
                if average[lane] != close:
                    average[lane] = (old[lane] * average[lane] + new[lane] * close) / both[lane]
                tile[row, lane] = average[lane]
        for lane in range(lanes):
            for row in range(width[lane] - 1, length):
                out[begin + lane, rows[row]] = tile[row, lane]
