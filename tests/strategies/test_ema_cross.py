"""EMA cross: the averages by the textbook recursion, the wishes by hand, and how much of the past it remembers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.backtest.sweep.markets import of_closes
from tests.properties.future import random_history
from workbench.errors import ParameterError
from workbench.strategies import EmaCross, build
from workbench.strategies.ema_cross import _average

NAN = np.nan


def test_the_average_is_the_recursion_of_the_textbook():
    # span 3: half of the new close, half of the average before; the first close begins it
    closes = pd.Series([10.0, 12.0, NAN, 8.0, 8.0])
    assert _average(closes, span=3).tolist() == pytest.approx([NAN, NAN, NAN, 9.5, 8.75], nan_ok=True)
    assert _average(closes, span=1).tolist() == pytest.approx([10, 12, NAN, 8, 8], nan_ok=True)


def test_a_symbol_is_held_while_the_fast_average_is_above_the_slow_one():
    # slow (span 3): 10 10 10 12 12 9; the close itself, span 1, is above it in the fourth session only
    history = of_closes([10, 10, 10, 14, 12, 6])
    assert np.array_equal(
        EmaCross(fast=1, slow=3).target_weights(history).to_numpy()[:, 0], [NAN, NAN, 0, 1, 0, NAN], equal_nan=True
    )


def test_after_its_warm_up_it_does_not_matter_where_the_history_begins():
    strategy = EmaCross(fast=3, slow=9)
    history = random_history(symbols=("AAPL",), length=400, warm_up=300, seed=3)
    closes = history.close["AAPL"]
    whole, late = (_average(closes.iloc[begin:], span=9).iloc[-100:] for begin in (0, 300 - strategy.warm_up))
    np.testing.assert_allclose(late, whole, rtol=1e-8)


def test_a_fast_average_that_is_not_faster_is_refused():
    with pytest.raises(ParameterError, match="fast=26 must be less than slow=26"):
        build("ema_cross", fast=26)
