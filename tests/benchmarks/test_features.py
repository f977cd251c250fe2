"""Features: batch over a market, a bar at a time, and how much a stream saves against computing the batch again.

.venv/bin/python -m pytest tests/benchmarks/test_features.py --benchmark-only --benchmark-enable -p no:randomly
"""

from __future__ import annotations

import itertools
import time

import pandas as pd
import pytest

from tests.features.markets import bars_of, columns
from workbench.features import feature, frame
from workbench.market.bars import Bars

SYMBOLS, SESSIONS = 500, 2_520
MODEL = ["rsi(14)", "momentum_12_1", "volatility(21)", "atr_ratio(14)", "volume_ratio(5, 63)"]
STREAMED = [*MODEL, "ema(20)", "macd(12, 26, 9)", "sma_ratio(200)", "worst_drawdown(252)", "ewma_volatility(0.94)"]


@pytest.fixture(scope="module")
def market():
    """500 symbols × 2,520 sessions of full bars, one in a hundred missing."""
    index = pd.bdate_range("2006-01-02", periods=SESSIONS)
    drawn = {f"S{number:03d}": columns(SESSIONS, seed=number, gaps=0.02) for number in range(SYMBOLS)}
    names = ("close", "open", "high", "low", "volume")
    return Bars(**{name: pd.DataFrame({key: one[name] for key, one in drawn.items()}, index=index) for name in names})


@pytest.mark.parametrize("text", [*STREAMED, "skew(63)", "dollar_volume(63)"])
def test_one_feature_of_a_market(benchmark, market, text):
    one = feature(text)
    found = benchmark.pedantic(lambda: one.over(market), rounds=3, warmup_rounds=1)
    assert found.shape == (SESSIONS, SYMBOLS)
    assert found.iloc[-1].notna().mean() > 0.9


def test_the_frame_of_a_model(benchmark, market):
    found = benchmark.pedantic(lambda: frame(market, MODEL), rounds=2)
    assert found.shape == (SESSIONS * SYMBOLS, len(MODEL))


@pytest.mark.parametrize("text", STREAMED)
def test_one_more_bar(benchmark, text):
    """One update of a stream that has seen ten years; `again` in the notes is the batch of the same bars, for ratio."""
    drawn = columns(SESSIONS, seed=1)
    one, bars = feature(text), itertools.cycle(bars_of(columns(1_000, seed=2)))
    stream = one.stream(drawn)
    value = benchmark(lambda: stream.update(next(bars)))
    assert value == value  # noqa: PLR0124 - NaN would be unequal
    took = []
    for _ in range(30):
        began = time.perf_counter()
        one.batch(drawn)
        took.append(time.perf_counter() - began)
    benchmark.extra_info["batch_us"] = round(min(took) * 1e6, 1)
    if benchmark.stats is not None:
        benchmark.extra_info["batch over stream"] = round(min(took) / benchmark.stats.stats.min, 1)
