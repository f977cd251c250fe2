"""How long honesty takes: the table of a 1,000-combination sweep beside arch's SPA, with the accuracy in the same run.

.venv/bin/python -m pytest tests/benchmarks/test_luck.py --benchmark-only --benchmark-enable -p no:randomly
"""

import math
import time

import numpy as np
import pandas as pd
import pytest

from tests.backtest.luck.crosses import sp500_crosses
from workbench.backtest.luck.cells import sharpes_of
from workbench.backtest.luck.monte_carlo import intervals
from workbench.backtest.luck.overfitting import probability_of_overfitting
from workbench.backtest.luck.reality_check import reality_check
from workbench.backtest.luck.table import honesty, luck_of_run
from workbench.backtest.luck.trials import Trials, remember, trial_keys, tried
from workbench.store.engine import open_engine, transaction
from workbench.store.tables.backtest import BacktestRunRow

REPS = 500


@pytest.fixture(scope="module")
def sweep():
    returns, held = sp500_crosses()
    ratios = sharpes_of(returns) * math.sqrt(252)
    return returns, held, Trials.of(np.arange(len(ratios), dtype=np.uint64), ratios)


def test_the_honesty_table_of_a_thousand_combinations(benchmark, sweep):
    """PSR, DSR, PBO (12,870 splits), SPA and White (1,000 draws) of 1,000 cells × 5,031 sessions; target < 3 s."""
    returns, held, trials = sweep
    found = benchmark.pedantic(
        lambda: honesty(returns, benchmark=held, trials=trials, seed=7), rounds=5, warmup_rounds=1
    )
    numbers = found.numbers
    assert numbers["psr"] == pytest.approx(0.9943705548, abs=1e-10)
    assert numbers["dsr"] == pytest.approx(0.8277787188, abs=1e-10)
    assert numbers["pbo"] == pytest.approx(0.1853146853, abs=0.02)
    assert numbers["spa_consistent"] == pytest.approx(0.702, abs=0.07)


def test_the_reality_check_beside_arch(benchmark, sweep):
    """The same 500 draws of 1,000 cells × 5,031 sessions by both: the same p-values, to the last digit."""
    from arch.bootstrap import SPA

    returns, held, _ = sweep
    spa = SPA(-held, -returns, block_size=20, reps=REPS, seed=1)
    draws, draw = [], spa.bootstrap.update_indices
    spa.bootstrap.update_indices = lambda: draws.append(draw()) or draws[-1]
    started, busy = time.perf_counter(), time.process_time()
    spa.compute()
    theirs, busy = time.perf_counter() - started, time.process_time() - busy
    counts = np.stack([np.bincount(rows, minlength=len(returns)) for rows in draws]).astype(float)
    found = reality_check(returns, held, seed=1, block_length=20, draws=counts)
    np.testing.assert_allclose(found.largest, spa._simulated_vals.max(axis=0).T, rtol=1e-9)
    assert (found.plain.lower, found.plain.consistent, found.plain.upper) == tuple(spa.pvalues)

    def own_draws():
        return reality_check(returns, held, seed=1, block_length=20, reps=REPS)

    own = benchmark.pedantic(own_draws, rounds=5, warmup_rounds=1)
    for name in ("lower", "consistent", "upper"):
        p = float(spa.pvalues[name])
        assert getattr(own.plain, name) == pytest.approx(p, abs=3 * math.sqrt(p * (1 - p) * 2 / REPS))
    benchmark.extra_info["arch, wall s"] = round(theirs, 2)
    benchmark.extra_info["arch, CPU s"] = round(busy, 2)
    benchmark.extra_info["times faster than arch, wall"] = round(theirs / benchmark.stats.stats.min, 1)


@pytest.mark.parametrize("cells", [1_000, 5_000])
def test_overfitting_in_12870_splits(benchmark, sweep, cells):
    returns = np.tile(sweep[0], (1, cells // 1_000))
    returns = returns + np.random.default_rng(1).normal(0, 1e-9, returns.shape)
    found = benchmark.pedantic(lambda: probability_of_overfitting(returns[:5_024]), rounds=3, warmup_rounds=1)
    assert found.pbo == pytest.approx(0.1853146853, abs=0.02)


def test_intervals_of_every_headline_number(benchmark, sweep):
    """1,000 histories of 2,500 sessions, 17 numbers each; target < 0.3 s."""
    series = pd.Series(sweep[0][:2_500, 500])
    found = benchmark.pedantic(lambda: intervals(series, seed=1), rounds=5, warmup_rounds=1)
    assert len(found) == 17


def test_the_luck_of_one_run(benchmark, sweep):
    """Odds, ruin and drawdowns of 2,500 sessions and 80 trades; target < 0.5 s."""
    returns, _, trials = sweep
    pnl = np.random.default_rng(1).normal(100, 2_000, 80)
    trades = pd.DataFrame({"closed": pd.date_range("2001-01-01", periods=80), "pnl": pnl, "open": False})
    series = pd.Series(returns[:2_500, 500])
    found = benchmark.pedantic(
        lambda: luck_of_run(series, trades, trials=trials, initial_cash=1e5, seed=7), rounds=5, warmup_rounds=1
    )
    assert found.numbers["trials"] == 1_000


def test_keys_of_a_million_ideas(benchmark):
    fast, slow = np.divmod(np.arange(1_000_000), 1_000)
    cells = pd.DataFrame({"fast": fast, "slow": slow, "stop": slow * 0.01, "how": np.where(fast % 2, "up", "down")})
    keys = benchmark.pedantic(lambda: trial_keys("sma_cross", "c" * 64, cells), rounds=3, warmup_rounds=1)
    assert len(np.unique(keys)) == 1_000_000


def test_a_million_trials_kept_and_counted(benchmark, tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'trials.db'}")
    draw = np.random.default_rng(1)
    keys = draw.integers(0, 2**63, 1_000_000, dtype=np.uint64)
    row = {
        **dict.fromkeys(("strategy", "strategy_hash", "timeframe", "start", "end", "data_source"), "x"),
        **{name: {} for name in ("params", "study", "costs", "provenance")},
        "universe": [],
        "initial_cash": 1.0,
        **dict.fromkeys(("execution_price", "owner", "trace_id"), "x"),
    }
    with transaction(engine) as session:
        session.add(BacktestRunRow(id="r", config_hash="r", kind="sweep", status="DONE", slice_hash="s", **row))

    def keep_and_count():
        remember(engine, run_id="r", data_slice="s", strategy="x", keys=keys, sharpes=draw.normal(size=1_000_000))
        return tried(engine, "s")

    found = benchmark.pedantic(keep_and_count, rounds=3, warmup_rounds=1)
    assert found.count == 1_000_000
    engine.dispose()
