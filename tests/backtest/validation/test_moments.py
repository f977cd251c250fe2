"""Metrics from sums: the same numbers as from the path, for any set of sessions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest import metrics
from workbench.backtest.validation.moments import FROM_SUMS, Sums
from workbench.errors import ParameterError

FROM_THE_PATH = {
    "sharpe": lambda r: metrics.sharpe(r, periods=252),
    "sortino": lambda r: metrics.sortino(r, periods=252),
    "cagr": lambda r: metrics.cagr(r, periods=252),
    "total_return": metrics.total_return,
}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(25, 120), st.floats(1e-4, 0.05))
def test_they_equal_the_metrics_of_the_chosen_sessions(seed, length, size):
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0002, size, (length, 6))
    sets = rng.random((4, length)) < 0.7
    sets[:, :3] = True
    sums = Sums.of(returns, sets)
    for name in FROM_SUMS:
        found = sums.metric(name, periods=252)
        for row, chosen in enumerate(sets):
            for column in range(6):
                expected = FROM_THE_PATH[name](pd.Series(returns[chosen, column]))
                assert found[row, column] == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


def test_what_has_no_answer_is_nan():
    returns = np.column_stack([np.zeros(30), np.full(30, 0.001), np.full(30, np.nan), np.linspace(0.001, 0.002, 30)])
    sums = Sums.of(returns, np.ones((1, 30), dtype=bool))
    assert np.isnan(sums.metric("sharpe", periods=252)[0, :3]).all()
    assert np.isnan(sums.metric("sortino", periods=252)[0]).all()  # no return below 0
    assert np.isnan(sums.metric("cagr", periods=252)[0]).tolist() == [False, False, True, False]


def test_a_total_loss_is_minus_one_in_the_set_that_has_it_and_nowhere_else():
    returns = np.full((40, 1), 0.01)
    returns[5] = -1.0
    sets = np.array([np.arange(40) < 20, np.arange(40) >= 20])
    found = Sums.of(returns, sets).metric("total_return", periods=252)[:, 0]
    assert found[0] == -1.0
    assert found[1] == pytest.approx(1.01**20 - 1)


def test_a_drawdown_cannot_be_had_from_sums():
    with pytest.raises(ParameterError, match="max_drawdown"):
        Sums.of(np.zeros((3, 1)), np.ones((1, 3), dtype=bool)).metric("max_drawdown", periods=252)
