"""Where the price is going: averages of the close, how they stand to each other, MACD, the slope of a fitted line."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.features.feature import Definition
from workbench.features.library import Call, Library
from workbench.features.parameter import window
from workbench.features.windows import Reduced, Windows

Floats = npt.NDArray[np.float64]
YEAR = 252
# An exponential mean of n bars keeps (n − 1)/(n + 1) per bar: after 10.4 · n bars less than 1e-9 of what was before.
FORGETS = 10.4
_EMA = "TA-Lib; the first value is the mean of the first window"
_MACD = "G. Appel 1979, The Moving Average Convergence-Divergence Trading Method; TA-Lib"


def _sma() -> Call:
    return Call("SMA", (0,), lambda window: (int(window),), lambda window: window)


def _ema(position: int = 0) -> Call:
    return Call("EMA", (0,), lambda *windows: (int(windows[position]),), lambda *windows: windows[position])


def _macd(output: int) -> Library:
    call = Call(
        "MACD",
        (0,),
        lambda fast, slow, signal: (int(fast), int(slow), int(signal)),
        lambda _fast, slow, signal: slow + signal - 1,
        output,
    )
    return Library((call,))


def fast_first(fast: float, slow: float, *_others: float) -> str:
    """What is wrong with a pair of windows, or ""."""
    return "" if fast < slow else f"the fast window {fast:g} must be less than the slow one {slow:g}."


def _over_mean(close: Floats, _window: float) -> Reduced:
    return close[..., -1] / close.mean(axis=-1) - 1.0


def _spread_of_means(close: Floats, fast: float, _slow: float) -> Reduced:
    return close[..., -int(fast) :].mean(axis=-1) / close.mean(axis=-1) - 1.0


def _fitted(close: Floats) -> tuple[Floats, Floats]:
    """Slope per bar and coefficient of determination of the line through the logarithms."""
    logs = np.log(close)
    logs = logs - logs.mean(axis=-1, keepdims=True)
    bars = np.arange(close.shape[-1]) - (close.shape[-1] - 1) / 2.0
    slope = (logs * bars).sum(axis=-1) / (bars * bars).sum()
    total = (logs * logs).sum(axis=-1)
    moved = close.max(axis=-1) > close.min(axis=-1)
    return slope, np.where(moved, slope * slope * (bars * bars).sum() / total, np.nan)


def _slope(close: Floats, _window: float) -> Floats:
    return _fitted(close)[0] * YEAR


def _fit(close: Floats, _window: float) -> Floats:
    return np.minimum(_fitted(close)[1], 1.0)


_FAST_SLOW = (window(50, name="fast", meaning="shorter window"), window(200, name="slow", meaning="longer window"))
_EMA_PAIR = (window(12, name="fast", meaning="shorter window"), window(26, name="slow", meaning="longer window"))
_MACD_WINDOWS = (*_EMA_PAIR, window(9, name="signal", meaning="window of the signal line"))


def _macd_memory(_fast: float, slow: float, signal: float) -> float:
    return FORGETS * (slow + signal)


DEFINITIONS = (
    Definition(
        "sma",
        "mean of the closes of the window",
        "currency",
        ("close",),
        (window(20),),
        lambda window: window,
        "arithmetic; TA-Lib",
        Library((_sma(),)),
    ),
    Definition(
        "ema",
        "exponential mean of the closes; a close of n bars ago weighs ((window − 1)/(window + 1))^n as much",
        "currency",
        ("close",),
        (window(20),),
        lambda window: FORGETS * window,
        _EMA,
        Library((_ema(),)),
    ),
    Definition(
        "sma_ratio",
        "close over the mean of the closes of the window, minus 1",
        "fraction",
        ("close",),
        (window(50),),
        lambda window: window - 1,
        "arithmetic",
        Windows(lambda window: window, _over_mean),
    ),
    Definition(
        "ema_ratio",
        "close over its exponential mean, minus 1",
        "fraction",
        ("close",),
        (window(50),),
        lambda window: FORGETS * window,
        _EMA,
        Library((_ema(),), lambda mean, close, _window: close / mean - 1.0),
    ),
    Definition(
        "sma_spread",
        "mean of the fast window over the mean of the slow one, minus 1",
        "fraction",
        ("close",),
        _FAST_SLOW,
        lambda _fast, slow: slow - 1,
        "arithmetic",
        Windows(lambda _fast, slow: slow, _spread_of_means),
        fast_first,
    ),
    Definition(
        "ema_spread",
        "fast exponential mean over the slow one, minus 1",
        "fraction",
        ("close",),
        _EMA_PAIR,
        lambda _fast, slow: FORGETS * slow,
        _EMA,
        Library((_ema(0), _ema(1)), lambda fast, slow, _close, *_windows: fast / slow - 1.0),
        fast_first,
    ),
    Definition(
        "macd",
        "fast exponential mean of the closes minus the slow one",
        "currency",
        ("close",),
        _MACD_WINDOWS,
        _macd_memory,
        _MACD,
        _macd(0),
        fast_first,
    ),
    Definition(
        "macd_signal",
        "exponential mean of the macd",
        "currency",
        ("close",),
        _MACD_WINDOWS,
        _macd_memory,
        _MACD,
        _macd(1),
        fast_first,
    ),
    Definition(
        "macd_histogram",
        "the macd minus its signal line",
        "currency",
        ("close",),
        _MACD_WINDOWS,
        _macd_memory,
        _MACD,
        _macd(2),
        fast_first,
    ),
    Definition(
        "slope",
        "slope of the straight line fitted to the logarithms of the closes, times 252 bars",
        "per year",
        ("close",),
        (window(63, least=3),),
        lambda window: window - 1,
        "ordinary least squares",
        Windows(lambda window: window, _slope),
    ),
    Definition(
        "slope_fit",
        "share of the variance of the logarithms that lies on that line; NaN where the close did not move",
        "0 to 1",
        ("close",),
        (window(63, least=3),),
        lambda window: window - 1,
        "ordinary least squares, coefficient of determination",
        Windows(lambda window: window, _fit),
    ),
)
