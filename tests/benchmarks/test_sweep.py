"""How long a sweep takes, beside vectorbt and backtesting.py in one run, on numbers that are checked to be the same.

.venv/bin/python -m pytest tests/benchmarks/test_sweep.py --benchmark-only -o addopts=--import-mode=importlib
.venv/bin/python -m tests.benchmarks.test_sweep           measures, says it, and draws docs/sweep_cost.png

Times are the best of several rounds, the tools taking turns: seconds of processor time on one thread (`process_time`
counts all threads, so the two-thread figure is wall time). Everything is counted from closes to the table of results:
averages, crosses, fills, costs, and our 17 metrics against five of theirs.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.backtest.sweep.markets import market
from workbench.backtest.costs import Costs
from workbench.backtest.sweep.chunking import chunk_size
from workbench.backtest.sweep.evaluate import Evaluator, Setup, evaluate
from workbench.backtest.sweep.grid import Grid
from workbench.backtest.sweep.kernels import weighted
from workbench.backtest.sweep.measured import measured
from workbench.backtest.sweep.raw import WIDTH
from workbench.backtest.sweep.threads import LocalThreads
from workbench.backtest.sweep.warmup import warm_up
from workbench.strategies import SmaCross

if TYPE_CHECKING:
    from collections.abc import Callable

BARS, WARM_UP = 2_500, 200
COSTS = Costs(fee=0.001, slippage=0.0005)
# 40 × 25 and 100 × 100 windows.
GRIDS = {1_000: (range(5, 45), range(50, 175, 5)), 10_000: (range(2, 102), range(102, 202))}
# Runs of backtesting.py that are measured; its time is scaled up from them.
PEER_RUNS = 20


def setup_of(length: int = BARS, warm_up: int = WARM_UP) -> Setup:
    return Setup(SmaCross, market(length=length + warm_up, warm_up=warm_up, opens=False, seed=11), COSTS)


def cells_of(cells: int) -> pd.DataFrame:
    fast, slow = GRIDS[cells]
    return Grid.of(SmaCross, {"fast": fast, "slow": slow}).cells()


def signals_of(setup: Setup, cells: pd.DataFrame) -> np.ndarray:
    """Whether each cell wants to be invested after each evaluated close (session × cell), by pandas."""
    close = setup.history.close.iloc[:, 0]
    averages = {window: close.rolling(window).mean().to_numpy() for window in {*cells["fast"], *cells["slow"]}}
    above = [averages[fast] > averages[slow] for fast, slow in zip(cells["fast"], cells["slow"], strict=True)]
    return np.column_stack(above)[setup.history.begins :]


def by_vectorbt(setup: Setup, cells: pd.DataFrame, engine: str, above: np.ndarray | None = None) -> dict[str, Any]:
    """Five metrics per cell; with `above` the signals are ready, else they are vectorbt's own averages and crosses."""
    import vectorbt as vbt

    close = setup.history.close.iloc[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vbt.settings["engine"] = engine
        if above is None:
            fast = vbt.MA.run(close, cells["fast"].tolist()).ma.to_numpy()
            slow = vbt.MA.run(close, cells["slow"].tolist()).ma.to_numpy()
            above = (fast > slow)[setup.history.begins :]
        before = np.vstack([np.zeros((1, above.shape[1]), dtype=bool), above])
        entries, exits = before[1:] & ~before[:-1], before[:-1] & ~before[1:]
        book = vbt.Portfolio.from_signals(
            close.iloc[setup.history.begins :].reset_index(drop=True),
            np.vstack([np.zeros((1, above.shape[1]), dtype=bool), entries[:-1]]),
            np.vstack([np.zeros((1, above.shape[1]), dtype=bool), exits[:-1]]),
            fees=COSTS.fee,
            slippage=COSTS.worse,
            init_cash=setup.history.study.initial_cash,
            freq="1D",
        )
        found = {
            "total_return": book.total_return(),
            "sharpe": book.sharpe_ratio(year_freq="252D"),
            "max_drawdown": book.max_drawdown(),
            "win_rate": book.trades.closed.win_rate(),
            "trades": book.trades.count(),
        }
        vbt.settings["engine"] = "auto"
    return {name: np.asarray(values) for name, values in found.items()}


def by_backtesting(setup: Setup, cells: pd.DataFrame) -> None:
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover

    close = setup.history.close.iloc[:, 0]
    bars = pd.DataFrame(dict.fromkeys(("Open", "High", "Low", "Close"), close))

    class Cross(Strategy):
        fast, slow = 5, 50

        def init(self) -> None:
            self.one = self.I(lambda values: pd.Series(values).rolling(self.fast).mean(), self.data.Close)
            self.other = self.I(lambda values: pd.Series(values).rolling(self.slow).mean(), self.data.Close)

        def next(self) -> None:
            if crossover(self.one, self.other):
                self.buy()
            elif crossover(self.other, self.one):
                self.position.close()

    for cell in cells.to_dict("records"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Backtest(bars, Cross, cash=1e9, commission=COSTS.fee).run(**cell)


def best_of(work: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, dict[str, float]]:
    """The least processor and wall time of each, taking turns."""
    found = {name: {"cpu": np.inf, "wall": np.inf} for name in work}
    for _ in range(rounds):
        for name, function in work.items():
            cpu, wall = time.process_time(), time.perf_counter()
            function()
            spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
            found[name] = {clock: min(found[name][clock], spent[clock]) for clock in spent}
    return found


def assert_same_as_vectorbt(ours: pd.DataFrame, theirs: dict[str, np.ndarray], *, sessions: int) -> None:
    """To 1e-9. vectorbt counts the first session's zero as a return: its Sharpe ratio is that of one return more."""
    for name in ("total_return", "max_drawdown", "win_rate", "trades"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-9, equal_nan=True, err_msg=name)
    n = sessions - 1
    mean = ours["sharpe"].to_numpy() / np.sqrt(252)  # in units of the deviation
    variance = (n - 1 + n * mean**2 - (n * mean) ** 2 / (n + 1)) / n
    np.testing.assert_allclose(
        mean * n / (n + 1) / np.sqrt(variance) * np.sqrt(252), theirs["sharpe"], rtol=1e-9, atol=1e-9, err_msg="sharpe"
    )


def compare(cells: int, *, rounds: int = 10) -> dict[str, Any]:
    """Our sweep beside vectorbt's, after it was checked that the answers are the same."""
    warm_up()
    setup, asked = setup_of(), cells_of(cells)
    above = signals_of(setup, asked)
    for engine in ("numba", "rust"):
        assert_same_as_vectorbt(evaluate(setup, asked), by_vectorbt(setup, asked, engine), sessions=BARS)
    times = best_of(
        {
            "ours, 1 thread": lambda: evaluate(setup, asked),
            "ours, 2 threads": lambda: Evaluator(setup, workers=2).metrics(asked),
            "vectorbt numba": lambda: by_vectorbt(setup, asked, "numba"),
            "vectorbt rust": lambda: by_vectorbt(setup, asked, "rust"),
            "vectorbt numba, signals ready": lambda: by_vectorbt(setup, asked, "numba", above),
            "vectorbt rust, signals ready": lambda: by_vectorbt(setup, asked, "rust", above),
        },
        rounds=rounds,
    )
    ours = times["ours, 1 thread"]["cpu"]
    whole = min(times[f"vectorbt {engine}"]["cpu"] for engine in ("numba", "rust"))
    ready = min(times[f"vectorbt {engine}, signals ready"]["cpu"] for engine in ("numba", "rust"))
    wall = min(times[f"vectorbt {engine}"]["wall"] for engine in ("numba", "rust"))
    return {
        "cells": cells,
        "ours_ms": ours * 1e3,
        "ours_ns_per_bar_and_cell": ours * 1e9 / cells / BARS,
        "two_threads_ms_wall": times["ours, 2 threads"]["wall"] * 1e3,
        "vectorbt_ms": whole * 1e3,
        "times_faster": whole / ours,
        "times_faster_though_its_signals_are_ready": ready / ours,
        "times_faster_on_two_threads": wall / times["ours, 2 threads"]["wall"],
    }


def compare_ready_signals(cells: int = 1_000, *, rounds: int = 5) -> dict[str, Any]:
    """The generic kernel beside vectorbt's simulation and five metrics, both on signals that are there."""
    warm_up()
    setup, asked = setup_of(), cells_of(cells)
    above = signals_of(setup, asked)
    changes = np.diff(above.astype(np.int8), axis=0, prepend=np.zeros((1, cells), dtype=np.int8)) != 0
    weights = np.ascontiguousarray(np.where(changes, above.astype(float), np.nan).T[:, :, None])
    closes = np.array(setup.history.close, dtype=float)[setup.history.begins :]
    raw = np.empty((cells, WIDTH))
    book = (closes, closes, np.ascontiguousarray(closes.T), 1, COSTS.fee, COSTS.worse, 100_000.0)

    def ours() -> None:
        weighted(weights, *book, np.empty((1, BARS)), raw)

    ours()
    assert_same_as_vectorbt(
        pd.DataFrame(measured(raw, periods=252)), by_vectorbt(setup, asked, "numba", above), sessions=BARS
    )
    times = best_of(
        {
            "ours": ours,
            "numba": lambda: by_vectorbt(setup, asked, "numba", above),
            "rust": lambda: by_vectorbt(setup, asked, "rust", above),
        },
        rounds=rounds,
    )
    theirs = min(times["numba"]["cpu"], times["rust"]["cpu"])
    return {
        "ours_ns_per_bar_and_cell": times["ours"]["cpu"] * 1e9 / cells / BARS,
        "vectorbt_ns_per_bar_and_cell": theirs * 1e9 / cells / BARS,
        "times_faster": theirs / times["ours"]["cpu"],
    }


def compare_backtesting(cells: int = 1_000) -> dict[str, float]:
    """Our sweep beside backtesting.py, scaled up from `PEER_RUNS` runs. It trades whole shares: no check of numbers."""
    warm_up()
    setup, asked = setup_of(), cells_of(cells)
    few = asked.iloc[:: cells // PEER_RUNS]
    times = best_of({"ours": lambda: evaluate(setup, asked), "theirs": lambda: by_backtesting(setup, few)}, rounds=2)
    theirs = times["theirs"]["cpu"] * cells / len(few)
    return {"their_s": theirs, "their_runs_measured": len(few), "times_faster": theirs / times["ours"]["cpu"]}


def linear(largest: float = 1e8) -> pd.DataFrame:
    """Seconds on one thread from 10⁵ bar-combinations to `largest`, in chunks as a sweep is computed."""
    warm_up()
    setup = setup_of(BARS, 600)
    grid = Grid.of(SmaCross, {"fast": range(2, 202), "slow": range(202, 402)})
    rows = []
    for total in np.geomspace(1e5, largest, round(2 * np.log10(largest / 1e5)) + 1):
        count = max(1, round(total / BARS))
        cells = grid.cells().iloc[np.linspace(0, len(grid) - 1, count).astype(int)].reset_index(drop=True)
        size = chunk_size(setup)
        chunks = [(number, cells.iloc[low : low + size]) for number, low in enumerate(range(0, count, size))]

        def work(chunks: list[tuple[int, pd.DataFrame]] = chunks, count: int = count) -> None:
            list(LocalThreads(1).run(setup, chunks, total=count))

        seconds = best_of({"ours": work}, rounds=20)["ours"]["cpu"]
        rows.append({"bar_combinations": count * BARS, "seconds": seconds, "ns": seconds * 1e9 / count / BARS})
    return pd.DataFrame(rows)


def sweep_a_million() -> dict[str, float]:
    """A million combinations × 2,500 bars, every row of the answer kept; for a process of its own."""
    warm_up()
    setup = setup_of(BARS, 2_000)
    grid = Grid.of(SmaCross, {"fast": range(2, 1_002), "slow": range(1_002, 2_002)})
    begun = time.perf_counter()
    frames = [frame for _, frame in LocalThreads().run(setup, grid.chunks(chunk_size(setup)), total=len(grid))]
    cells = pd.concat(frames)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "cells": len(cells),
        "failed": int((cells["error"] != "").sum()),
        "seconds": time.perf_counter() - begun,
        "peak_bytes": peak,
    }


@pytest.mark.parametrize("cells", GRIDS)
def test_sweep_beside_vectorbt(benchmark, cells):
    benchmark.extra_info.update(compare(cells, rounds=10 if cells <= 1_000 else 2))
    setup, asked = setup_of(), cells_of(cells)
    benchmark.pedantic(lambda: evaluate(setup, asked), rounds=5)


def test_generic_kernel_on_ready_signals_beside_vectorbt(benchmark):
    benchmark.extra_info.update(compare_ready_signals())
    setup, asked = setup_of(), cells_of(1_000)
    benchmark.pedantic(lambda: Evaluator(setup).returns(asked), rounds=3)


def test_sweep_beside_backtesting(benchmark):
    pytest.importorskip("backtesting")
    benchmark.extra_info.update(benchmark.pedantic(compare_backtesting, rounds=1))


def test_cost_grows_with_the_work_alone(benchmark):
    found = benchmark.pedantic(linear, rounds=1)
    benchmark.extra_info["ns_per_bar_combination"] = found["ns"].tolist()
    assert found["bar_combinations"].iloc[-1] == 100_000_000


def test_a_million_combinations_stay_under_a_gigabyte(benchmark):
    command = [
        sys.executable,
        "-c",
        "import json; from tests.benchmarks import test_sweep as own; print(json.dumps(own.sweep_a_million()))",
    ]
    done = benchmark.pedantic(lambda: subprocess.run(command, check=True, capture_output=True, text=True), rounds=1)
    found = json.loads(done.stdout)
    benchmark.extra_info.update(found)
    assert (found["cells"], found["failed"]) == (1_000_000, 0)
    assert found["peak_bytes"] < 1e9


def draw(found: pd.DataFrame, path: Path) -> None:
    """The cost of a sweep against its size, both axes logarithmic."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), dpi=120)
    work, seconds = found["bar_combinations"].to_numpy(), found["seconds"].to_numpy()
    slope = (seconds[-1] - seconds[0]) / (work[-1] - work[0])
    fixed = seconds[0] - slope * work[0]
    axes.loglog(work, fixed + work * slope, color="#999999", lw=1, ls="--")
    axes.loglog(work, seconds, "o-", color="#1f5f8b", lw=1.5, ms=4)
    axes.set_xlabel("bars × combinations")
    axes.set_ylabel("seconds of one core")
    axes.set_title(
        f"SMA-cross sweep, {BARS:,} bars, 17 metrics per cell, at most 400 averages\n"
        f"dashed: {fixed * 1e3:.1f} ms once and {slope * 1e9:.2f} ns per bar and combination",
        fontsize=9,
    )
    axes.grid(which="major", color="#dddddd", lw=0.6)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Measure everything, say it, and draw the picture."""
    for name, found in (
        ("1,000 cells", compare(1_000, rounds=5)),
        ("10,000 cells", compare(10_000, rounds=2)),
        ("generic kernel on ready signals", compare_ready_signals()),
        ("backtesting.py, 1,000 cells", compare_backtesting()),
    ):
        sys.stdout.write(f"{name}: {json.dumps({key: round(float(value), 3) for key, value in found.items()})}\n")
    cost = linear()
    sys.stdout.write(cost.to_string() + "\n")
    draw(cost, Path(__file__).parents[2] / "docs" / "sweep_cost.png")


if __name__ == "__main__":
    main()
