"""Judging: the metrics that can be shown in and out of sample, and who says which cell is better."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from workbench.backtest import metrics
from workbench.errors import ParameterError

# Functions of returns alone; higher is better for each. They exist in and out of sample.
JUDGED = ("sharpe", "sortino", "calmar", "cagr", "total_return", "max_drawdown")

# From cells and their metrics, in the same order, to one score per cell; higher is better, NaN is the worst.
Judge = Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]


def judge_of(metric: str, judge: Judge | None = None) -> Judge:
    """`judge`, or the one that reads off a metric. Raises ParameterError where the metric is not one of `JUDGED`."""
    if metric not in JUDGED:
        raise ParameterError(f"metric={metric!r} is not one of {', '.join(JUDGED)}.", remedy="use 'sharpe'.")

    def by_metric(_cells: pd.DataFrame, found: pd.DataFrame) -> np.ndarray:
        values: np.ndarray = found[metric].to_numpy(dtype=float)
        return values

    return judge or by_metric


def judged(returns: pd.Series, *, periods: int) -> dict[str, float]:
    """Every metric of `JUDGED` over some returns; NaN where undefined."""
    return {
        "sharpe": metrics.sharpe(returns, periods=periods),
        "sortino": metrics.sortino(returns, periods=periods),
        "calmar": metrics.calmar(returns, periods=periods),
        "cagr": metrics.cagr(returns, periods=periods),
        "total_return": metrics.total_return(returns),
        "max_drawdown": metrics.max_drawdown(returns),
    }
