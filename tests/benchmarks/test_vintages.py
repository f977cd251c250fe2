"""How long the store takes: one symbol out of ten million rows, a collector's appends, a compaction.

.venv/bin/python -m pytest tests/benchmarks/test_vintages.py --benchmark-only --benchmark-enable -p no:randomly
"""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from workbench.store.facts import in_force
from workbench.store.vintages import Vintages

MINUTES = 390
DAYS = pd.bdate_range("2024-01-02", periods=65).as_unit("us")
SYMBOLS = tuple(f"S{number:03d}" for number in range(400))
START, END = pd.Timestamp("2024-02-01"), pd.Timestamp("2024-02-29")
FAR = pd.Timestamp("2030-01-01", tz="UTC")
QUESTION = {"start": START, "end": END, "as_of": FAR}


def bars(symbols, days, *, minutes=1, seed=0):
    """Random bars, `minutes` of them a session."""
    rng = np.random.default_rng(seed)
    session = np.tile(np.repeat(days.to_numpy(), minutes), len(symbols))
    of_day = np.tile(np.arange(minutes, dtype="timedelta64[m]"), len(days) * len(symbols))
    at = pd.Series(session + np.timedelta64(871, "m") + of_day).astype("datetime64[us]").dt.tz_localize("UTC")
    price = (100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-4, len(at))))).round(2)
    rows = pd.DataFrame({"symbol": np.repeat(symbols, len(days) * minutes), "session": session})
    if minutes > 1:
        rows["time"] = at
    rows = rows.assign(open=price, high=price + 0.05, low=price - 0.05, close=price)
    return rows.assign(volume=rng.integers(100, 100_000, len(at)) * 1.0, happened=at, learned=at, source="made")


def cpu_ms(act, rounds=10):
    """The least processor time of some rounds, in ms: what other processes do meanwhile counts less."""
    took = []
    for _ in range(rounds):
        begun = time.process_time()
        act()
        took.append(time.process_time() - begun)
    return round(min(took) * 1e3, 1)


@pytest.fixture(scope="module")
def ten_million(tmp_path_factory):
    """10,140,000 one-minute bars of 400 symbols, appended 25 symbols at a time."""
    vintages = Vintages(str(tmp_path_factory.mktemp("vintages")))
    total = 0
    for number in range(0, len(SYMBOLS), 25):
        total += vintages.append("bars/1m", bars(SYMBOLS[number : number + 25], DAYS, minutes=MINUTES, seed=number))
    assert total == 10_140_000
    return vintages


def by_looking_at_everything(vintages, symbol):
    """The same answer as the first version of the store found it: read every file whole, then filter."""
    wanted = (pc.field("symbol") == symbol) & (pc.field("session") >= pa.scalar(START, pa.timestamp("us")))
    wanted &= pc.field("session") <= pa.scalar(END, pa.timestamp("us"))

    def table(path):
        with pq.ParquetFile(path) as parquet:
            return parquet.read(use_threads=False).filter(wanted)

    with ThreadPoolExecutor(4) as pool:
        return in_force(pa.concat_tables(pool.map(table, vintages.files("bars/1m"))).to_pandas())


@pytest.mark.parametrize("instance", ["kept", "new"])
def test_one_symbol_and_month_of_ten_million_rows(benchmark, ten_million, instance):
    def read():
        vintages = ten_million if instance == "kept" else Vintages(ten_million.url)
        return vintages.read("bars/1m", "S123", **QUESTION)

    rows = benchmark.pedantic(read, rounds=20, warmup_rounds=2)
    assert len(rows) == len(pd.bdate_range(START, END)) * MINUTES
    begun = time.perf_counter()
    everything = by_looking_at_everything(ten_million, "S123")
    scan = time.perf_counter() - begun
    pd.testing.assert_frame_equal(rows, everything)
    benchmark.extra_info["rows"] = len(rows)
    benchmark.extra_info["cpu_ms"] = cpu_ms(read)
    benchmark.extra_info["full_scan_ms"] = round(scan * 1e3)
    benchmark.extra_info["times_faster_than_full_scan"] = round(scan / benchmark.stats.stats.min)
    assert benchmark.stats.stats.min < 0.050
    assert scan > 10 * benchmark.stats.stats.min


def test_one_column_of_one_session(benchmark, ten_million):
    question = {**QUESTION, "end": START}
    rows = benchmark.pedantic(
        lambda: ten_million.read("bars/1m", "S123", **question, columns=["close"]), rounds=20, warmup_rounds=2
    )
    assert len(rows) == MINUTES


def test_a_collector_appends_ten_years_of_500_symbols(benchmark, tmp_path_factory):
    """1,260,000 daily bars, 10 symbols at a time, and all of them once more, which writes nothing."""
    days = pd.bdate_range("2014-01-02", periods=2520).as_unit("us")
    symbols = tuple(f"S{number:03d}" for number in range(500))
    chunks = [bars(symbols[number : number + 10], days, seed=number) for number in range(0, 500, 10)]
    per_chunk = []

    def collect():
        vintages = Vintages(str(tmp_path_factory.mktemp("vintages")))
        per_chunk.clear()
        for chunk in (*chunks, *chunks):
            begun = time.process_time()
            vintages.append("bars/1d", chunk)
            per_chunk.append(time.process_time() - begun)
        return len(vintages.files("bars/1d"))

    benchmark.extra_info["parts"] = benchmark.pedantic(collect, rounds=2)
    first, last = np.median(per_chunk[:15]), np.median(per_chunk[35:50])
    benchmark.extra_info["first_chunks_cpu_ms"] = round(first * 1e3, 1)
    benchmark.extra_info["last_chunks_cpu_ms"] = round(last * 1e3, 1)
    benchmark.extra_info["nothing_new_cpu_ms"] = round(np.median(per_chunk[50:]) * 1e3, 1)
    assert last < 2 * first


def test_reading_500_daily_appends(benchmark, tmp_path_factory):
    """One append a day for two years, as a trading desk makes them; the appends compact by themselves."""
    days = pd.bdate_range("2014-01-02", periods=500).as_unit("us")
    rows = bars(SYMBOLS[:20], days)
    stores = {loose: Vintages(str(tmp_path_factory.mktemp("v")), loose=loose) for loose in (64, 10_000)}
    for vintages in stores.values():
        for _, of_day in rows.groupby("session"):
            vintages.append("bars/1d", of_day)
    question = {"start": days[0], "end": days[-1], "as_of": FAR}
    got = benchmark.pedantic(lambda: stores[64].read("bars/1d", SYMBOLS[:20], **question), rounds=10, warmup_rounds=1)
    assert len(got) == len(rows)
    benchmark.extra_info["parts"] = len(stores[64].files("bars/1d"))
    benchmark.extra_info["cpu_ms"] = cpu_ms(lambda: stores[64].read("bars/1d", SYMBOLS[:20], **question))
    benchmark.extra_info["without_compaction_cpu_ms"] = cpu_ms(
        lambda: stores[10_000].read("bars/1d", SYMBOLS[:20], **question), 3
    )


def test_compact_a_million_rows_of_200_parts(benchmark, tmp_path_factory):
    days = pd.bdate_range("2024-01-02", periods=13).as_unit("us")

    def scattered():
        vintages = Vintages(str(tmp_path_factory.mktemp("v")), loose=10_000)
        for number in range(200):
            vintages.append("bars/1m", bars((f"S{number:03d}",), days, minutes=MINUTES, seed=number))
        return (vintages,), {}

    done = benchmark.pedantic(lambda vintages: vintages.compact("bars/1m"), setup=scattered, rounds=2)
    assert (done.merged, done.rows) == (200, 200 * 13 * MINUTES)
    benchmark.extra_info["parts"] = done.parts
