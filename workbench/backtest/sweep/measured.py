"""From the raw numbers that kernels count to the metrics of a run."""

from __future__ import annotations

import numpy as np

from workbench.backtest.metrics import ZERO
from workbench.backtest.sweep.raw import (
    CLOSED,
    COST,
    COUNT,
    DOWN,
    EQUITY,
    EXPOSURE,
    FALL,
    FINAL,
    GROWTH,
    LOST,
    M2,
    M3,
    M4,
    MEAN,
    OPEN,
    TRADES,
    VALUE,
    WINS,
    WON,
)


def measured(raw: np.ndarray, *, periods: int) -> dict[str, np.ndarray]:
    """The metrics of `evaluate.METRICS` from the kernels' output, by the formulas of `workbench.backtest.metrics`.

    Args:
        raw: (cell × `WIDTH`).
        periods: sessions (bars) per year.

    Returns:
        Metric → (cell,), NaN where undefined.
    """
    count, growth, fall = raw[:, COUNT], raw[:, GROWTH], raw[:, FALL]
    year = np.sqrt(float(periods))
    with np.errstate(divide="ignore", invalid="ignore"):
        cagr = np.where(growth > 0, np.power(np.maximum(growth, 0.0), periods / count) - 1.0, -1.0)
        cagr = np.where(np.isnan(growth), np.nan, cagr)
        deviation = np.where(count > 1, np.sqrt(raw[:, M2] / (count - 1.0)), np.nan)
        downside = np.sqrt(raw[:, DOWN] / count)
        spread = np.where(count > 1, np.sqrt(raw[:, M2] / count), np.nan)
        spread = np.where(spread > ZERO, spread, np.nan)
        cube = spread * spread * spread  # powers are slow
        found = {
            "total_return": growth - 1.0,
            "cagr": cagr,
            "annual_volatility": deviation * year,
            "sharpe": np.where(deviation > ZERO, raw[:, MEAN] / deviation * year, np.nan),
            "sortino": np.where(downside > ZERO, raw[:, MEAN] / downside * year, np.nan),
            "max_drawdown": np.minimum(fall, 0.0),
            "calmar": np.where(-fall > ZERO, cagr / -fall, np.nan),
            "skewness": raw[:, M3] / count / cube,
            "kurtosis": raw[:, M4] / count / (cube * spread),
            "exposure": raw[:, EXPOSURE],
            "turnover": raw[:, VALUE] / 2.0 / raw[:, EQUITY] / (count / periods),
            "trades": raw[:, TRADES],
            "open_trades": raw[:, OPEN],
            "win_rate": np.where(raw[:, CLOSED] > 0, raw[:, WINS] / raw[:, CLOSED], np.nan),
            "profit_factor": np.where(raw[:, LOST] > ZERO, raw[:, WON] / raw[:, LOST], np.nan),
            "cost": raw[:, COST],
            "final_equity": raw[:, FINAL],
        }
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in found.items()}
