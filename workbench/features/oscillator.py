"""How far a move has gone: indices between two bounds, and the close in deviations from its mean."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.features.feature import Definition
from workbench.features.library import Call, Library
from workbench.features.parameter import window
from workbench.features.windows import Reduced, Windows

Floats = npt.NDArray[np.float64]
Ranges = tuple[Floats, Floats, Floats]
# Wilder's mean of n bars keeps (n − 1)/n per bar: after 20.8 · n bars less than 1e-9 of what was before.
WILDER = 20.8
# A Wilder mean of Wilder means forgets as (1 + t/n) · e^(−t/n).
WILDER_TWICE = 26.0
_BOOK = "J. W. Wilder 1978, New Concepts in Technical Trading Systems; TA-Lib"
_LANE = "G. Lane, Stocks & Commodities 2 (1984); %K and %D of the slow stochastic, simple means"
_RANGES = ("close", "high", "low")
_STOCHASTIC = (
    window(14),
    window(3, least=1, name="smooth", meaning="bars over which %K is averaged"),
)


def _directional(function: str, first: float) -> Call:
    return Call(function, (1, 2, 0), lambda window: (int(window),), lambda window: first * window + (first == 1))


def _raw(ranges: Ranges, window: int, back: int) -> Floats:
    """Where the close `back` bars ago stood in the range of its window, in percent; NaN in a range of nothing."""
    close, high, low = ranges
    end = close.shape[-1] - back
    highest = high[..., end - window : end].max(axis=-1)
    lowest = low[..., end - window : end].min(axis=-1)
    spread = highest - lowest
    return np.where(spread > 0, 100.0 * (close[..., end - 1] - lowest) / np.where(spread > 0, spread, 1.0), np.nan)


def _slow(ranges: Ranges, window: int, smooth: int, back: int) -> Reduced:
    raw = [_raw(ranges, window, back + step) for step in range(smooth)]
    return np.sum(raw, axis=0) / smooth


def _stochastic_k(close: Floats, high: Floats, low: Floats, window: float, smooth: float) -> Reduced:
    return _slow((close, high, low), int(window), int(smooth), 0)


def _stochastic_d(close: Floats, high: Floats, low: Floats, *windows: float) -> Reduced:
    window, smooth, signal = (int(value) for value in windows)
    slow = [_slow((close, high, low), window, smooth, step) for step in range(signal)]
    return np.sum(slow, axis=0) / signal


def _zscore(close: Floats, _window: float) -> Reduced:
    moved = close.max(axis=-1) > close.min(axis=-1)
    deviation = np.where(moved, close.std(axis=-1, ddof=1), np.nan)
    return (close[..., -1] - close.mean(axis=-1)) / deviation


DEFINITIONS = (
    Definition(
        "rsi",
        "relative strength index: mean gain over mean gain plus mean loss; 0 where the close never moved",
        "0 to 100",
        ("close",),
        (window(14),),
        lambda window: WILDER * window,
        _BOOK,
        Library((Call("RSI", (0,), lambda window: (int(window),), lambda window: window + 1),)),
    ),
    Definition(
        "stochastic_k",
        "where the close stands between the lowest low and the highest high, averaged; NaN where they are equal",
        "0 to 100",
        _RANGES,
        _STOCHASTIC,
        lambda window, smooth: window + smooth - 2,
        _LANE,
        Windows(lambda window, smooth: window + smooth - 1, _stochastic_k),
    ),
    Definition(
        "stochastic_d",
        "mean of the newest values of stochastic_k; NaN where one is NaN",
        "0 to 100",
        _RANGES,
        (*_STOCHASTIC, window(3, least=1, name="signal", meaning="values of %K that are averaged")),
        lambda window, smooth, signal: window + smooth + signal - 3,
        _LANE,
        Windows(lambda window, smooth, signal: window + smooth + signal - 2, _stochastic_d),
    ),
    Definition(
        "adx",
        "average directional index: how strong a trend is, up or down; 0 where nothing moved",
        "0 to 100",
        _RANGES,
        (window(14),),
        lambda window: WILDER_TWICE * window,
        _BOOK,
        Library((_directional("ADX", 2),)),
    ),
    Definition(
        "di_spread",
        "positive minus negative directional indicator: which way the trend goes",
        "−100 to 100",
        _RANGES,
        (window(14),),
        lambda window: WILDER * window,
        _BOOK,
        Library((_directional("PLUS_DI", 1), _directional("MINUS_DI", 1)), lambda plus, minus, *_row: plus - minus),
    ),
    Definition(
        "mfi",
        "money flow index: dollar volume of rising typical prices over that of rising and falling ones; 0 without any",
        "0 to 100",
        (*_RANGES, "volume"),
        (window(14),),
        lambda window: window,
        "G. Quong and A. Soudack, Stocks & Commodities 7 (1989); TA-Lib",
        Library((Call("MFI", (1, 2, 0, 3), lambda window: (int(window),), lambda window: window + 1),)),
    ),
    Definition(
        "zscore",
        "close minus its mean over the window, in standard deviations; NaN where the close did not move",
        "deviations",
        ("close",),
        (window(20),),
        lambda window: window - 1,
        "sample standard deviation, n − 1",
        Windows(lambda window: window, _zscore),
    ),
)
