"""How long fusing one symbol takes from a store of ten years, several hundred symbols and every kind of facts.

.venv/bin/python -m pytest tests/benchmarks/test_fusion.py --benchmark-only -o addopts=--import-mode=importlib \
    -p no:randomly
"""

import itertools
import time

import numpy as np
import pandas as pd
import pytest

from workbench import sessions
from workbench.data.fusion import Fusion, fuse
from workbench.data.fusion.rules import PAIRS, SERIES, TAGS
from workbench.data.kinds import dataset_name, kind_of
from workbench.data.sentiment import score
from workbench.store.vintages import Vintages
from workbench.store.workspace import Workspace

SYMBOLS = tuple(f"S{number:03d}" for number in range(300))
FIRST, LAST = pd.Timestamp("2006-01-03"), pd.Timestamp("2015-12-31")
AS_OF = pd.Timestamp("2015-12-31T21:00", tz="UTC")


def rows_of(kind, source, symbols, days, **values):
    """One row per symbol and day; the values are drawn where they are functions of a number of rows."""
    count = len(symbols) * len(days)
    session = pd.DatetimeIndex(np.tile(days, len(symbols)))
    happened = session.tz_localize("UTC") + pd.Timedelta(hours=20)
    made = pd.DataFrame(
        {
            "symbol": np.repeat(symbols, len(days)),
            "session": session,
            "time": happened,
            "happened": happened,
            "learned": happened + pd.Timedelta(minutes=15),
            "source": source,
            **{name: draw(count) if callable(draw) else draw for name, draw in values.items()},
        }
    )
    if kind != "bars":
        return kind_of(kind).typed(made)
    return made.drop(columns=["time"])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """(workspace, rows): a store of ten years, compacted."""
    workspace = Workspace.open(tmp_path_factory.mktemp("home"))
    vintages, rng = Vintages(workspace.vintages_url), np.random.default_rng(5)
    trading = sessions.sessions("XNYS", FIRST, LAST)
    weekly, monthly = trading[::8], trading[::21]
    quarterly = trading[::63]
    number = itertools.count()

    def price(count):
        return np.round(rng.uniform(10, 200, count), 2)

    def key(count):
        return [f"k{next(number)}" for _ in range(count)]

    total = 0

    def put(kind, source, symbols, days, **values):
        nonlocal total
        dataset = dataset_name(kind, source, timeframe="1d" if kind == "bars" else "")
        rows = rows_of(kind, source, symbols, days, **values)
        total += vintages.append(dataset, rows)
        vintages.compact(dataset)

    for source in ("alpaca", "massive"):
        put("bars", source, SYMBOLS, trading, **dict.fromkeys(("open", "high", "low", "close", "volume"), price))
        put("short_volume", "finra", SYMBOLS, trading[-750:], short_volume=price, total_volume=price)
    for source in ("alpaca", "finnhub"):
        told = {"headline": lambda count: [f"headline {place}" for place in range(count)], "publisher": "Wire"}
        put("news", source, SYMBOLS, weekly, key=key, **told)
        put(
            "sentiment",
            source,
            SYMBOLS,
            weekly,
            key=key,
            score=lambda count: rng.uniform(-1, 1, count),
            confidence=lambda count: rng.uniform(0, 1, count),
            story=lambda count: [f"{word:016x}" for word in rng.integers(0, 2**63, count)],
            method="rules-1",
        )
    put("filings", "edgar", SYMBOLS, monthly, key=key, form="8-K", items="2.02")
    for tag in TAGS:
        put("fundamentals", "edgar", SYMBOLS, quarterly, key=f"us-gaap:{tag}:USD:2015-01-01", value=price)
    put("short_interest", "finra", SYMBOLS, trading[::10], short_shares=price)
    put("actions", "alpaca", SYMBOLS, quarterly, key=key, amount=price)
    put("macro", "fred", SERIES, trading, value=price)
    put("fx", "frankfurter", PAIRS, trading, rate=price)
    yield workspace, total
    workspace.close()


def cpu_ms(fused, count=100):
    """Best and median of the processor's time, in ms: it depends less on what else runs than the time on the wall."""
    spent = []
    for _ in range(count):
        started = time.process_time()
        fused()
        spent.append((time.process_time() - started) * 1000)
    return {"best": round(min(spent), 1), "median": round(float(np.median(spent)), 1)}


def test_fusing_one_symbol(benchmark, store):
    """One symbol after another, the store kept open: what a bot or an arena does."""
    workspace, rows = store
    fusion, names = Fusion(workspace), itertools.cycle(SYMBOLS)
    record = fusion.of("S299", AS_OF)
    assert {fact.kind for fact in record.facts} >= {"bars", "news", "sentiment", "fundamentals", "macro", "fx"}
    benchmark.extra_info.update(rows_in_store=rows, facts=len(record.facts), missing=len(record.missing))
    benchmark.extra_info["cpu_ms"] = cpu_ms(lambda: fusion.of(next(names), AS_OF))
    benchmark.pedantic(lambda: fusion.of(next(names), AS_OF), rounds=100, warmup_rounds=5)


def test_fusing_one_symbol_far_from_the_last(benchmark, store):
    """The same in an order in which neighbours do not follow each other: most groups of rows must be decoded."""
    workspace, _ = store
    shuffled = np.random.default_rng(5).permutation(SYMBOLS).tolist()
    fusion, names = Fusion(workspace), itertools.cycle(shuffled)
    benchmark.extra_info["cpu_ms"] = cpu_ms(lambda: fusion.of(next(names), AS_OF))
    benchmark.pedantic(lambda: fusion.of(next(names), AS_OF), rounds=100, warmup_rounds=5)


def test_fusing_one_symbol_with_nothing_open(benchmark, store):
    """The function as a notebook calls it: the store is opened for this one record."""
    workspace, _ = store
    names = itertools.cycle(SYMBOLS)
    benchmark.extra_info["cpu_ms"] = cpu_ms(lambda: fuse(next(names), AS_OF, workspace=workspace), count=40)
    benchmark.pedantic(lambda: fuse(next(names), AS_OF, workspace=workspace), rounds=50, warmup_rounds=2)


def test_reading_one_headline(benchmark):
    benchmark(score, "Harrow Mills cuts full-year outlook despite strong quarter, shares fall 8%")
