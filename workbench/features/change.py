"""How the price has changed: returns over several horizons, momentum, gaps between bars, the worst of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.features.feature import Definition
from workbench.features.parameter import Parameter, window
from workbench.features.windows import Reduced, Windows

Floats = npt.NDArray[np.float64]
YEAR, MONTH = 252, 21
_JEGADEESH = "N. Jegadeesh and S. Titman 1993, Journal of Finance 48"


def returns_of(close: Floats) -> Floats:
    """Simple returns along the last axis, which becomes one shorter."""
    return close[..., 1:] / close[..., :-1] - 1.0


def _return(close: Floats, _window: float) -> Floats:
    return close[..., -1] / close[..., 0] - 1.0


def _log_return(close: Floats, _window: float) -> Floats:
    return np.log(close[..., -1] / close[..., 0])


def _momentum(close: Floats, _lookback: float, skip: float) -> Floats:
    return close[..., -1 - int(skip)] / close[..., 0] - 1.0


def _momentum_12_1(close: Floats) -> Floats:
    return _momentum(close, YEAR, MONTH)


def _worst_return(close: Floats, _window: float) -> Reduced:
    return returns_of(close).min(axis=-1)


def _gaps(close: Floats, opened: Floats) -> Floats:
    """The oldest open is not read: it has no close before it."""
    return opened[..., 1:] / close[..., :-1] - 1.0


def _gap(close: Floats, opened: Floats) -> Floats:
    return _gaps(close, opened)[..., -1]


def _worst_gap(close: Floats, opened: Floats, _window: float) -> Reduced:
    return _gaps(close, opened).min(axis=-1)


def _intraday(close: Floats, opened: Floats) -> Floats:
    return close[..., -1] / opened[..., -1] - 1.0


def _one_more(window: float) -> float:
    """So many returns need one close more."""
    return window + 1


DEFINITIONS = (
    Definition(
        "return",
        "change of the close over the window, as a fraction of the close before it",
        "fraction",
        ("close",),
        (window(21, least=1),),
        lambda window: window,
        "arithmetic",
        Windows(_one_more, _return),
    ),
    Definition(
        "log_return",
        "natural logarithm of the close over the close before the window",
        "fraction",
        ("close",),
        (window(21, least=1),),
        lambda window: window,
        "arithmetic",
        Windows(_one_more, _log_return),
    ),
    Definition(
        "momentum",
        "change of the close from `lookback` bars ago to `skip` bars ago",
        "fraction",
        ("close",),
        (
            window(YEAR, name="lookback", meaning="bars ago from which it is measured"),
            Parameter("skip", MONTH, 0, 5_000, "newest bars that are left out"),
        ),
        lambda lookback, _skip: lookback,
        _JEGADEESH,
        Windows(lambda lookback, _skip: lookback + 1, _momentum),
        lambda lookback, skip: (
            "" if skip < lookback else f"the skip {skip:g} must be less than the lookback {lookback:g}."
        ),
    ),
    Definition(
        "momentum_12_1",
        "change of the close over 252 bars, the newest 21 left out: a year without its newest month",
        "fraction",
        ("close",),
        (),
        lambda: YEAR,
        _JEGADEESH,
        Windows(lambda: YEAR + 1, _momentum_12_1),
    ),
    Definition(
        "worst_return",
        "lowest return of one bar in the window",
        "fraction",
        ("close",),
        (window(YEAR),),
        lambda window: window,
        "arithmetic",
        Windows(_one_more, _worst_return),
    ),
    Definition(
        "gap",
        "open over the close of the bar before, minus 1: overnight, for daily bars",
        "fraction",
        ("close", "open"),
        (),
        lambda: 1,
        "arithmetic",
        Windows(lambda: 2, _gap),
    ),
    Definition(
        "worst_gap",
        "lowest open over the close of the bar before, minus 1, in the window",
        "fraction",
        ("close", "open"),
        (window(YEAR),),
        lambda window: window,
        "arithmetic",
        Windows(_one_more, _worst_gap),
    ),
    Definition(
        "intraday_return",
        "close over the open of the same bar, minus 1",
        "fraction",
        ("close", "open"),
        (),
        lambda: 0,
        "arithmetic",
        Windows(lambda: 1, _intraday),
    ),
)
