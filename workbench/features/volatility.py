"""How much the price moves: ranges, deviations of returns, and the shape of their distribution."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from workbench.features.change import returns_of
from workbench.features.decayed import DecayedVolatility
from workbench.features.feature import Definition
from workbench.features.library import Call, Library
from workbench.features.oscillator import WILDER
from workbench.features.parameter import Parameter, window
from workbench.features.windows import Reduced, Windows

Floats = npt.NDArray[np.float64]
YEAR = 252
_ATR = Call("ATR", (1, 2, 0), lambda window: (int(window),), lambda window: window + 1)
_BOOK = "J. W. Wilder 1978, New Concepts in Technical Trading Systems; TA-Lib"
_RANGES = ("close", "high", "low")
# A simple return is wrong by about 2e-16; deviations below this are that error and not a movement.
_NOISE = 1e-14


def _moving(deviation: Floats) -> Floats:
    return np.where(deviation > _NOISE, deviation, np.nan)


def _volatility(close: Floats, _window: float) -> Reduced:
    return np.std(returns_of(close), axis=-1, ddof=1) * math.sqrt(YEAR)


def _ratio(close: Floats, short: float, _long: float) -> Reduced:
    return _volatility(close[..., -int(short) - 1 :], short) / _moving(_volatility(close, _long))


def _downside(close: Floats, _window: float) -> Reduced:
    return np.sqrt(np.mean(np.minimum(returns_of(close), 0.0) ** 2, axis=-1) * YEAR)


def _parkinson(_close: Floats, high: Floats, low: Floats, _window: float) -> Reduced:
    return np.sqrt(np.mean(np.log(high / low) ** 2, axis=-1) / (4.0 * math.log(2.0)) * YEAR)


def _range(close: Floats, high: Floats, low: Floats) -> Floats:
    return (high[..., -1] - low[..., -1]) / close[..., -1]


def _moments(close: Floats) -> tuple[Floats, int]:
    """Returns in population standard deviations, and how many."""
    returns = returns_of(close)
    centred = returns - returns.mean(axis=-1, keepdims=True)
    deviation = _moving(np.sqrt(np.mean(centred * centred, axis=-1)))
    return centred / deviation[..., None], returns.shape[-1]


def _skew(close: Floats, _window: float) -> Reduced:
    scaled, count = _moments(close)
    return np.mean(scaled * scaled * scaled, axis=-1) * math.sqrt(count * (count - 1)) / (count - 2)


def _kurtosis(close: Floats, _window: float) -> Reduced:
    scaled, count = _moments(close)
    squared = scaled * scaled
    excess = np.mean(squared * squared, axis=-1) - 3.0
    return ((count + 1) * excess + 6.0) * (count - 1) / ((count - 2) * (count - 3))


def _autocorrelation(close: Floats, _window: float, lag: float) -> Reduced:
    returns = returns_of(close)
    new, old = returns[..., int(lag) :], returns[..., : -int(lag)]
    new, old = new - new.mean(axis=-1, keepdims=True), old - old.mean(axis=-1, keepdims=True)
    deviations = _moving(np.sqrt(np.mean(new**2, axis=-1))) * _moving(np.sqrt(np.mean(old**2, axis=-1)))
    return np.clip(np.mean(new * old, axis=-1) / deviations, -1.0, 1.0)


def _one_more(window: float) -> float:
    return window + 1


DEFINITIONS = (
    Definition(
        "atr",
        "average true range: Wilder's mean of the range from the close before",
        "currency",
        _RANGES,
        (window(14),),
        lambda window: WILDER * window,
        _BOOK,
        Library((_ATR,)),
    ),
    Definition(
        "atr_ratio",
        "average true range over the close",
        "fraction",
        _RANGES,
        (window(14),),
        lambda window: WILDER * window,
        _BOOK,
        Library((_ATR,), lambda atr, close, *_row: atr / close),
    ),
    Definition(
        "range",
        "high minus low, over the close of the same bar",
        "fraction",
        _RANGES,
        (),
        lambda: 0,
        "arithmetic",
        Windows(lambda: 1, _range),
    ),
    Definition(
        "volatility",
        "standard deviation of the simple returns of the window, times √252 (of daily bars: per year)",
        "per year",
        ("close",),
        (window(21),),
        lambda window: window,
        "sample standard deviation, n − 1",
        Windows(_one_more, _volatility),
    ),
    Definition(
        "volatility_ratio",
        "volatility of the short window over that of the long one; NaN where the long one is 0",
        "ratio",
        ("close",),
        (window(21, name="fast", meaning="shorter window"), window(YEAR, name="slow", meaning="longer window")),
        lambda _fast, slow: slow,
        "sample standard deviation, n − 1",
        Windows(lambda _fast, slow: slow + 1, _ratio),
        lambda fast, slow: "" if fast < slow else f"the fast window {fast:g} must be less than the slow one {slow:g}.",
    ),
    Definition(
        "ewma_volatility",
        "square root of the exponentially weighted mean of squared returns, times √252 (of daily bars: per year)",
        "per year",
        ("close",),
        (Parameter("decay", 0.94, 0.5, 0.999, "weight of the mean before", whole=False),),
        lambda decay: math.log(1e-10) / math.log(decay) + 1,
        "J. P. Morgan and Reuters 1996, RiskMetrics Technical Document, fourth edition",
        DecayedVolatility(YEAR),
    ),
    Definition(
        "downside_volatility",
        "square root of the mean squared negative return of the window, others counted as 0, times √252",
        "per year",
        ("close",),
        (window(63),),
        lambda window: window,
        "F. Sortino and R. van der Meer 1991, Journal of Portfolio Management 17; target 0",
        Windows(_one_more, _downside),
    ),
    Definition(
        "parkinson_volatility",
        "volatility from the ranges between high and low of the window, times √252",
        "per year",
        _RANGES,
        (window(21, least=1),),
        lambda window: window - 1,
        "M. Parkinson 1980, Journal of Business 53",
        Windows(lambda window: window, _parkinson),
    ),
    Definition(
        "skew",
        "skewness of the simple returns of the window; NaN where they do not differ",
        "ratio",
        ("close",),
        (window(63, least=3),),
        lambda window: window,
        "adjusted Fisher-Pearson coefficient, as in pandas",
        Windows(_one_more, _skew),
    ),
    Definition(
        "kurtosis",
        "excess kurtosis of the simple returns of the window, 0 for the normal distribution; NaN where they do not "
        "differ",
        "ratio",
        ("close",),
        (window(63, least=4),),
        lambda window: window,
        "the unbiased estimator for normal samples, as in pandas",
        Windows(_one_more, _kurtosis),
    ),
    Definition(
        "autocorrelation",
        "correlation of each return of the window with the one `lag` bars before; NaN where they do not differ",
        "−1 to 1",
        ("close",),
        (window(63, least=3), window(1, least=1, name="lag", meaning="bars between the two returns")),
        lambda window, lag: window + lag,
        "Pearson's coefficient",
        Windows(lambda window, lag: window + lag + 1, _autocorrelation),
    ),
)
