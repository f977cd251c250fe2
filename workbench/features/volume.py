"""What is traded, and what a trade costs in price: volume against its own past, dollar volume, illiquidity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.features.change import returns_of
from workbench.features.feature import Definition
from workbench.features.parameter import window
from workbench.features.windows import Reduced, Windows

Floats = npt.NDArray[np.float64]
_FIELDS = ("close", "volume")


def _volume_ratio(_close: Floats, volume: Floats, fast: float, _slow: float) -> Reduced:
    return volume[..., -int(fast) :].mean(axis=-1) / volume.mean(axis=-1)


def _dollar_volume(close: Floats, volume: Floats, _window: float) -> Floats:
    return np.median(close * volume, axis=-1)


def _dollar_volumes(close: Floats, volume: Floats, window: float) -> Floats:
    return pd.Series(close * volume).rolling(int(window)).median().to_numpy(dtype=float)


def _amihud(close: Floats, volume: Floats, _window: float) -> Reduced:
    return np.mean(np.abs(returns_of(close)) / (close[..., 1:] * volume[..., 1:]), axis=-1) * 1e6


def _signed(close: Floats, volume: Floats, _window: float) -> Reduced:
    traded = volume[..., 1:]
    return (np.sign(np.diff(close, axis=-1)) * traded).sum(axis=-1) / traded.sum(axis=-1)


DEFINITIONS = (
    Definition(
        "volume_ratio",
        "mean volume of the fast window over that of the slow one; NaN where nothing was traded",
        "ratio",
        _FIELDS,
        (
            window(5, least=1, name="fast", meaning="shorter window"),
            window(63, name="slow", meaning="longer window"),
        ),
        lambda _fast, slow: slow - 1,
        "arithmetic",
        Windows(lambda _fast, slow: slow, _volume_ratio),
        lambda fast, slow: "" if fast < slow else f"the fast window {fast:g} must be less than the slow one {slow:g}.",
    ),
    Definition(
        "dollar_volume",
        "median over the window of close times volume",
        "currency per bar",
        _FIELDS,
        (window(21, least=1),),
        lambda window: window - 1,
        "arithmetic",
        Windows(lambda window: window, _dollar_volume, whole=_dollar_volumes),
    ),
    Definition(
        "amihud",
        "mean over the window of the absolute return over dollar volume; NaN where one bar had no volume",
        "per million of currency",
        _FIELDS,
        (window(21, least=1),),
        lambda window: window,
        "Y. Amihud 2002, Journal of Financial Markets 5",
        Windows(lambda window: window + 1, _amihud),
    ),
    Definition(
        "signed_volume",
        "volume of rising bars minus volume of falling ones, over all volume of the window: on-balance volume that "
        "forgets; NaN where nothing was traded",
        "−1 to 1",
        _FIELDS,
        (window(21, least=1),),
        lambda window: window,
        "J. Granville 1963, New Key to Stock Market Profits",
        Windows(lambda window: window + 1, _signed),
    ),
)
