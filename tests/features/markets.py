"""Drawn markets for features: columns of one symbol, with gaps where asked."""

from __future__ import annotations

import numpy as np

FIELDS = ("close", "open", "high", "low", "volume")


def columns(length, *, seed=0, gaps=0.0):
    """A random walk of one symbol as columns; a share of rows has NaN in one or all fields."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(rng.normal(0.0002, 0.015, length).cumsum())
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0, 0.004, length))
    drawn = {
        "close": close,
        "open": opened,
        "high": np.maximum(close, opened) * np.exp(np.abs(rng.normal(0, 0.004, length))),
        "low": np.minimum(close, opened) * np.exp(-np.abs(rng.normal(0, 0.004, length))),
        "volume": rng.integers(1_000, 90_000, length).astype(float),
    }
    if gaps:
        whole = rng.random(length) < gaps / 2
        for values in drawn.values():
            values[whole | (rng.random(length) < gaps / 10)] = np.nan
    return drawn


def bars_of(drawn):
    """The columns bar by bar, as a stream takes them."""
    names = list(drawn)
    return [dict(zip(names, row, strict=True)) for row in zip(*(drawn[name].tolist() for name in names), strict=True)]
