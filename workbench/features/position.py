"""Where the close stands between bounds: Bollinger's bands, highs and lows of a window, the bar itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.features.feature import Definition
from workbench.features.library import Call, Library
from workbench.features.parameter import Parameter, window
from workbench.features.windows import Reduced, Windows

Floats = npt.NDArray[np.float64]
YEAR = 252
_RANGES = ("close", "high", "low")
_BOLLINGER = "J. Bollinger 2001, Bollinger on Bollinger Bands; population deviation"
_WIDTH = Parameter("width", 2, 0, float("inf"), "band's width", whole=False, beyond=True)
_BANDS = (window(20), _WIDTH)


def _band(output: int) -> Library:
    call = Call(
        "BBANDS",
        (0,),
        lambda window, width: (int(window), float(width), float(width)),
        lambda window, _width: window,
        output,
    )
    return Library((call,))


def _deviation(close: Floats) -> Floats:
    # The mean of equal numbers may be off by an ulp, and so their deviation from it.
    return np.where(close.max(axis=-1) > close.min(axis=-1), close.std(axis=-1), 0.0)


def _bb_position(close: Floats, _window: float, width: float) -> Reduced:
    return 0.5 + (close[..., -1] - close.mean(axis=-1)) / (2.0 * width * _deviation(close))


def _bb_width(close: Floats, _window: float, width: float) -> Reduced:
    return 2.0 * width * _deviation(close) / close.mean(axis=-1)


def _donchian(close: Floats, high: Floats, low: Floats, _window: float) -> Reduced:
    highest, lowest = high.max(axis=-1), low.min(axis=-1)
    return (close[..., -1] - lowest) / (highest - lowest)


def _location(close: Floats, high: Floats, low: Floats) -> Floats:
    return (close[..., -1] - low[..., -1]) / (high[..., -1] - low[..., -1])


def _below_high(close: Floats, _window: float) -> Reduced:
    return close[..., -1] / close.max(axis=-1) - 1.0


def _above_low(close: Floats, _window: float) -> Reduced:
    return close[..., -1] / close.min(axis=-1) - 1.0


def _breakout(close: Floats, _window: float) -> Reduced:
    return close[..., -1] / close[..., :-1].max(axis=-1) - 1.0


def _worst_drawdown(close: Floats, _window: float) -> Reduced:
    return (close / np.maximum.accumulate(close, axis=-1) - 1.0).min(axis=-1)


def _since_high(close: Floats, _window: float) -> Reduced:
    # From the newest bar backwards, so that of equal highs the newest counts.
    return np.argmax(close[..., ::-1], axis=-1).astype(np.float64)


def _itself(window: float, *_others: float) -> float:
    return window


def _all_but_one(window: float, *_others: float) -> float:
    return window - 1


DEFINITIONS = (
    Definition(
        "bb_upper",
        "mean of the closes of the window plus `width` standard deviations",
        "currency",
        ("close",),
        _BANDS,
        _itself,
        f"{_BOLLINGER}; TA-Lib",
        _band(0),
    ),
    Definition(
        "bb_middle",
        "mean of the closes of the window",
        "currency",
        ("close",),
        _BANDS,
        _itself,
        f"{_BOLLINGER}; TA-Lib",
        _band(1),
    ),
    Definition(
        "bb_lower",
        "mean of the closes of the window minus `width` standard deviations",
        "currency",
        ("close",),
        _BANDS,
        _itself,
        f"{_BOLLINGER}; TA-Lib",
        _band(2),
    ),
    Definition(
        "bb_position",
        "where the close stands between the bands: 0 on the lower, 1 on the upper; NaN where the close did not move",
        "ratio",
        ("close",),
        _BANDS,
        _all_but_one,
        _BOLLINGER,
        Windows(_itself, _bb_position),
    ),
    Definition(
        "bb_width",
        "upper minus lower band, over the mean",
        "fraction",
        ("close",),
        _BANDS,
        _all_but_one,
        _BOLLINGER,
        Windows(_itself, _bb_width),
    ),
    Definition(
        "donchian_position",
        "where the close stands between the lowest low (0) and the highest high (1); NaN where they are equal",
        "0 to 1",
        _RANGES,
        (window(20, least=1),),
        _all_but_one,
        "R. Donchian's channel, this bar included",
        Windows(_itself, _donchian),
    ),
    Definition(
        "close_location",
        "where the close stands between the low (0) and the high (1) of its bar; NaN where they are equal",
        "0 to 1",
        _RANGES,
        (),
        lambda: 0,
        "arithmetic",
        Windows(lambda: 1, _location),
    ),
    Definition(
        "below_high",
        "close over the highest close of the window, minus 1: the drawdown from the 52-week high with 252",
        "fraction",
        ("close",),
        (window(YEAR),),
        _all_but_one,
        "arithmetic",
        Windows(_itself, _below_high),
    ),
    Definition(
        "above_low",
        "close over the lowest close of the window, minus 1",
        "fraction",
        ("close",),
        (window(YEAR),),
        _all_but_one,
        "arithmetic",
        Windows(_itself, _above_low),
    ),
    Definition(
        "breakout",
        "close over the highest of the closes of the window before it, minus 1",
        "fraction",
        ("close",),
        (window(63, least=1),),
        _itself,
        "arithmetic",
        Windows(lambda window: window + 1, _breakout),
    ),
    Definition(
        "worst_drawdown",
        "deepest fall of the close from a high before it, within the window",
        "fraction",
        ("close",),
        (window(YEAR),),
        _all_but_one,
        "arithmetic",
        Windows(_itself, _worst_drawdown),
    ),
    Definition(
        "bars_since_high",
        "bars since the highest close of the window; 0 at the high itself",
        "bars",
        ("close",),
        (window(YEAR),),
        _all_but_one,
        "arithmetic",
        Windows(_itself, _since_high),
    ),
)
