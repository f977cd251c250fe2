"""The columns of a sweep against the averages that the strategies themselves compute: the same to the last bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench.backtest.sweep import columns as kept
from workbench.backtest.sweep.columns import Columns
from workbench.backtest.sweep.families import FAMILIES
from workbench.strategies import EmaCross, SmaCross, ema_cross, sma_cross

OWN = {
    SmaCross: lambda closes, window: sma_cross._average(closes, window=window),
    EmaCross: lambda closes, window: ema_cross._average(closes, span=window),
}


def closes_of(kind: str, length: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    if kind == "walk":
        return 100 * np.exp(np.cumsum(draw.normal(0, 0.02, length)))
    if kind == "cents":  # ties are common here, and a last digit would break them
        return np.round(10 + np.cumsum(draw.integers(-1, 2, length)) * 0.01, 2)
    if kind == "still":
        return np.repeat(np.round(draw.random(length) * 100 + 0.01, 2), 9)[:length]
    return 10.0 ** draw.integers(-6, 9, length) * (draw.random(length) + 0.01)


@pytest.mark.parametrize("kind", sorted(FAMILIES, key=lambda kind: kind.name))
@settings(max_examples=40, deadline=None)
@given(
    shape=some.sampled_from(["walk", "cents", "still", "wild"]),
    length=some.integers(1, 600),
    windows=some.sets(some.integers(1, 200), min_size=1, max_size=20),
    gaps=some.sampled_from([0.0, 0.1, 0.9]),
    seed=some.integers(0, 2**32 - 1),
)
def test_every_digit_is_the_strategys_own(kind, *, shape, length, windows, gaps, seed):
    close = closes_of(shape, length, seed)
    close[np.random.default_rng(seed).random(length) < gaps] = np.nan
    asked, found = Columns(FAMILIES[kind], close[:, None]).of(np.array(sorted(windows)))
    for window, column in zip(asked, found[0], strict=True):
        np.testing.assert_array_equal(column, OWN[kind](pd.Series(close), int(window)).to_numpy())


def test_windows_asked_for_later_join_those_that_are_there():
    close = closes_of("walk", 300, 1)[:, None]
    columns = Columns(FAMILIES[SmaCross], close)
    columns.of(np.array([5, 50]))
    windows, found = columns.of(np.array([3, 20, 50]))
    assert windows.tolist() == [3, 5, 20, 50]
    _, fresh = Columns(FAMILIES[SmaCross], close).of(windows)
    np.testing.assert_array_equal(found, fresh)


def test_more_windows_than_may_be_kept_are_forgotten(monkeypatch):
    monkeypatch.setattr(kept, "BYTES", 3 * 300 * 8)
    columns = Columns(FAMILIES[SmaCross], closes_of("walk", 300, 1)[:, None])
    columns.of(np.array([5, 50]))
    assert columns.of(np.array([7, 50]))[0].tolist() == [5, 7, 50]
    assert columns.of(np.array([8, 50]))[0].tolist() == [8, 50]
    assert columns.of(np.array([9, 10]))[0].tolist() == [9, 10]
    assert not columns.fits(np.arange(4))
