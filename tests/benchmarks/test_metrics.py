"""How long all metrics of one run take: 2,500 sessions, 400 trades, a benchmark.

.venv/bin/python -m pytest tests/benchmarks/test_metrics.py --benchmark-only \\
    -o addopts=--import-mode=importlib -p no:randomly
"""

import empyrical
import numpy as np
import pandas as pd
import pytest

from workbench.backtest import metrics
from workbench.backtest.metrics.kpis import KPIS

SESSIONS, TRADES = 2_500, 400


@pytest.fixture(scope="module")
def run():
    draw = np.random.default_rng(0)
    index = pd.bdate_range("2010-01-04", periods=SESSIONS + 1, name="session")
    returns = pd.Series(draw.standard_t(4, SESSIONS) * 0.01 + 0.0004, index=index[1:])
    pnl = draw.normal(50, 500, TRADES)
    opened = np.sort(draw.integers(0, SESSIONS - 5, TRADES))
    fills = {name: draw.random(2 * TRADES) for name in ("fee", "slippage", "spread", "impact")}
    return {
        "returns": returns,
        "benchmark": 0.5 * returns + draw.normal(0, 0.008, SESSIONS),
        "equity": pd.Series(1e5 * np.cumprod(np.append(1.0, 1.0 + returns)), index=index),
        "orders": pd.DataFrame({"value": draw.random(2 * TRADES) * 1e4, **fills}),
        "trades": pd.DataFrame(
            {
                "pnl": pnl,
                "return": pnl / 1e4,
                "open": np.arange(TRADES) >= TRADES - 2,
                "opened": index[opened],
                "closed": index[opened + 5],
                "side": np.where(draw.random(TRADES) < 0.7, "long", "short"),
                "mae": -draw.random(TRADES),
                "mfe": draw.random(TRADES),
                "exit_reason": "wish",
            }
        ),
        "exposure": pd.Series(draw.random(SESSIONS + 1), index=index),
        "gross": pd.Series(draw.random(SESSIONS + 1), index=index),
        "financing": pd.DataFrame(draw.random((SESSIONS + 1, 2)), index=index, columns=["borrow", "interest"]),
        "periods": 252,
    }


def right(found: dict[str, float], run) -> None:
    """Every metric has a value, and those that empyrical has too have empyrical's."""
    assert len(found) == len(KPIS)
    assert not [name for name, value in found.items() if np.isnan(value)]
    theirs = {
        "sharpe": empyrical.sharpe_ratio(run["returns"]),
        "calmar": empyrical.calmar_ratio(run["returns"]),
        "beta": empyrical.beta(run["returns"], run["benchmark"]),
        "stability": empyrical.stability_of_timeseries(run["returns"]),
    }
    assert {name: found[name] for name in theirs} == pytest.approx(theirs, rel=1e-9)


def test_all_at_once(benchmark, run):
    rest = {name: value for name, value in run.items() if name != "returns"}
    found = benchmark(lambda: metrics.all_kpis(run["returns"], **rest))
    right(found["value"].to_dict(), run)


def test_one_by_one(benchmark, run):
    def each():
        return {one.name: one.function(**{need: run[need] for need in one.needs}) for one in KPIS}

    right(benchmark(each), run)


def test_nineteen_of_them_by_empyrical(benchmark, run):
    """What the field's library takes for nineteen of these numbers."""
    returns, other = run["returns"], run["benchmark"]

    def theirs():
        plain = [
            getattr(empyrical, name)(returns)
            for name in (
                "cum_returns_final",
                "cagr",
                "annual_volatility",
                "sharpe_ratio",
                "sortino_ratio",
                "downside_risk",
                "max_drawdown",
                "calmar_ratio",
                "omega_ratio",
                "stability_of_timeseries",
                "tail_ratio",
                "value_at_risk",
                "conditional_value_at_risk",
            )
        ]
        paired = [
            getattr(empyrical, name)(returns, other)
            for name in ("beta", "alpha", "excess_sharpe", "batting_average", "up_capture", "down_capture")
        ]
        return plain, paired

    assert sum(map(len, benchmark(theirs))) == 19
