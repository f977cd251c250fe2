"""Walk-forward: choose a region on the past, trade its centre on what follows, and go on; one account all the way."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.backtest import metrics
from workbench.backtest.engine import execution_price_for
from workbench.backtest.sweep.evaluate import Evaluator
from workbench.backtest.validation.judging import JUDGED, Judge, judge_of, judged
from workbench.backtest.validation.neighbours import neighbours_of
from workbench.backtest.validation.regions import Region, region_at
from workbench.backtest.validation.report import Sheet
from workbench.backtest.validation.splits import default_lengths, sessions_of, walk_forward_splits
from workbench.backtest.validation.stitching import Chosen, stitched
from workbench.backtest.weights import replayed
from workbench.errors import BarsRefused

if TYPE_CHECKING:
    from workbench.backtest.engine import Simulation
    from workbench.backtest.sweep.evaluate import Setup

# In the per-fold report, beside the metric that regions were chosen by.
SHOWN = ("sharpe", "total_return", "max_drawdown")


@dataclass(frozen=True)
class WalkForward:
    """What an account would have shown that chose its parameters again and again, knowing only the past.

    Attributes:
        folds: one row per fold: `fold`, `train_start`, `train_end`, `test_start`, `test_end`, the chosen parameters
            (None where no region was found: then the account was in cash), `region_score`, `region_cells`, `stability`,
            for each metric `m` of `JUDGED` `in_sample_m` and `m` (out of sample), `decay` (out of sample − in sample of
            the metric), `cost` (currency, paid in the fold's test sessions), `error` (why a fold has no parameters).
        simulation: the one book that traded all test sessions. Its equity begins with the initial cash at the close
            before the first test session; changing parameters is traded and paid for.
        weights: what it wished for (bar × symbol).
        regions: the region of each fold, None where none was found.
        summary: headline numbers out of sample, and `in_sample_…` means over the folds beside them; None where
            undefined. `efficiency` is the mean metric out of sample over the mean in sample (Pardo 2008), undefined
            where the latter is not positive. `switches` counts the changes of parameters.
        parameters: names of the varied parameters.
        metric: what regions were chosen by, unless a judge was given.
        scheme, train, test: how the sessions were split.
        cells: how many cells were compared in every fold.
        bars: how many bars the test sessions have.
    """

    folds: pd.DataFrame
    simulation: Simulation
    weights: pd.DataFrame
    regions: tuple[Region | None, ...]
    summary: dict[str, float | None]
    parameters: tuple[str, ...]
    metric: str
    scheme: str
    train: int
    test: int
    cells: int
    bars: int
    label: str

    @property
    def equity(self) -> pd.Series:
        """Book value at each close, in currency: the initial cash before the first test session, then all of them."""
        return self.simulation.equity

    @property
    def returns(self) -> pd.Series:
        """Simple returns of the test sessions, costs of changing parameters included."""
        return self.simulation.returns.iloc[-self.bars :]

    def drift(self) -> pd.DataFrame:
        """The chosen parameters (test_start × parameter): a plateau stays where it is, noise wanders."""
        return self.folds.set_index("test_start")[list(self.parameters)]

    def sheet(self) -> Sheet:
        """The per-fold report."""
        named = {name: f"in_sample_{name}" for name in dict.fromkeys((self.metric, *SHOWN))}
        shown = ["fold", "test_start", "test_end", *self.parameters, "stability", *_interleaved(named), "decay", "cost"]
        shown += ["error"] if self.folds["error"].astype(bool).any() else []
        return Sheet(
            title=f"walk-forward · {self.scheme} · train {self.train}, test {self.test} · {self.cells:,} cells",
            frame=self.folds[shown],
            beside=named,
            grey=("stability",),
            formats={"stability": ".0%", "cost": ",.2f", "total_return": ".2%", "cagr": ".2%", "max_drawdown": ".2%"},
            note=self.label,
        )

    def summary_sheet(self) -> Sheet:
        """The headline numbers out of sample, with the mean of the folds in sample beside them."""
        rows = [
            {"number": name, "out_of_sample": value, "in_sample": self.summary.get(f"in_sample_{name}", "")}
            for name, value in self.summary.items()
            if not name.startswith("in_sample_")
        ]
        frame = pd.DataFrame(rows, dtype=object)
        return Sheet(title="out of sample", frame=frame, beside={"out_of_sample": "in_sample"}, note=self.label)

    def __repr__(self) -> str:
        return f"{self.sheet()!r}\n{self.summary_sheet()!r}"

    def _repr_html_(self) -> str:
        return f"{self.sheet()._repr_html_()}{self.summary_sheet()._repr_html_()}"


def walk_forward(
    setup: Setup,
    cells: pd.DataFrame,
    *,
    scheme: str = "rolling",
    train: int | None = None,
    test: int | None = None,
    purge: int = 0,
    first_test: pd.Timestamp | None = None,
    metric: str = "sharpe",
    judge: Judge | None = None,
    radius: int = 1,
    evaluator: Evaluator | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WalkForward:
    """Walk forward through a history: learn on one window, trade the next, and go on.

    In each fold all cells are evaluated on the train window, and the centre of the best region (never the best cell
    alone) trades the test window.

    A wish decided at the close of the last session before a test window is filled in its first session, so every test
    session belongs to its fold. Indicators see the history before the window: a slow average does not empty it. While
    the parameters stay the same nothing is traded at a fold's edge; where they change, a holding that the new ones say
    nothing about is sold. All of it happens in one book, so changing costs what it costs.

    Args:
        setup: strategy, history, costs and fill rules; the folds lie in its evaluated sessions.
        cells: one row per cell, one column per varied parameter.
        scheme: `rolling` or `anchored`, see `walk_forward_splits`; so are `purge` and the lengths.
        train, test: lengths in sessions; `default_lengths` when None.
        first_test: the first session examined; as early as possible when None.
        metric: one of `JUDGED`; shown in and out of sample.
        judge: scores cells from their in-sample metrics instead (higher is better), e.g. an objective with penalties.
        radius: of the neighbourhood, in grid steps.
        evaluator: one that is ready for this setup, e.g. that of the sweep; a new one when None.
        progress: called with (folds done, folds); what it raises ends the walk.

    Raises:
        ParameterError: an argument is out of bounds.
        BarsRefused: there are too few sessions, or no fold found a region.
        GridRefused: there is no cell, or one twice.
    """
    score = judge_of(metric, judge)
    study = setup.history.study
    setup = dataclasses.replace(
        setup,
        rules=dataclasses.replace(
            setup.rules, execution_price=execution_price_for(setup.history.bars, setup.rules.execution_price)
        ),
    )
    days = sessions_of(setup.history)
    usual = default_lengths(len(days))
    train = usual[0] if train is None else train
    test = max(min(usual[1], train), 5) if test is None else test
    splits = walk_forward_splits(
        len(days),
        train=train,
        test=test,
        scheme=scheme,
        purge=purge,
        first_test=None if first_test is None else int(days.searchsorted(pd.Timestamp(first_test))),
    )
    parameters = tuple(str(name) for name in cells.columns)
    around = neighbours_of(cells, parameters, radius=radius)
    evaluator = evaluator or Evaluator(setup)
    rows: list[dict[str, Any]] = []
    regions: list[Region | None] = []
    for number, split in enumerate(splits):
        if progress is not None:
            progress(number, len(splits))
        window = days[split.train[0]], days[split.train[-1]]
        found = evaluator.metrics(cells, *window)
        region = region_at(cells, parameters, score(cells, found), around)
        tested = days[split.test[0]], days[split.test[-1]]
        regions.append(region)
        rows.append(_learned(number, (*window, *tested), parameters, region, found))
    if all(region is None for region in regions):
        raise BarsRefused(
            f"no region was found in any of {len(regions)} folds, so nothing was traded. First reason: "
            f"{rows[0]['error']}",
            remedy="use a longer train window, a larger grid or cells that trade.",
        )
    chosen = [
        Chosen(cell=None if region is None else region.centre, decided=days[split.test[0] - 1], until=row["test_end"])
        for split, region, row in zip(splits, regions, rows, strict=True)
    ]
    weights, failed = stitched(setup, chosen)
    book = setup.between(chosen[0].decided, chosen[-1].until)
    simulation = replayed(weights, book.history, costs=setup.costs, rules=setup.rules)
    if progress is not None:
        progress(len(splits), len(splits))
    folds = _examined(rows, simulation, failed, metric, setup)
    bars = int((_session_of(simulation.returns.index, setup) >= rows[0]["test_start"]).sum())
    return WalkForward(
        folds=folds,
        simulation=simulation,
        weights=weights,
        regions=tuple(regions),
        summary=_summary(folds, simulation.returns.iloc[-bars:], parameters, metric, periods=study.bars_per_year),
        parameters=parameters,
        metric=metric,
        scheme=scheme,
        train=train,
        test=test,
        cells=len(cells),
        bars=bars,
        label=setup.history.label,
    )


def _learned(
    number: int,
    windows: tuple[pd.Timestamp, ...],
    parameters: tuple[str, ...],
    region: Region | None,
    found: pd.DataFrame,
) -> dict[str, Any]:
    """What a fold chose, and how that did in sample."""
    row: dict[str, Any] = {"fold": number}
    row |= dict(zip(("train_start", "train_end", "test_start", "test_end"), windows, strict=True))
    if region is None:
        unknown = ["region_score", "region_cells", "stability", *(f"in_sample_{name}" for name in JUDGED)]
        row |= {**dict.fromkeys(parameters), **dict.fromkeys(unknown, math.nan)}
        return row | {"region_cells": 0, "error": _why(found)}
    row |= {name: region.centre[name] for name in parameters}
    row |= {"region_score": region.score, "region_cells": len(region.members), "stability": region.stability}
    row |= {f"in_sample_{name}": float(found[name].iloc[region.row]) for name in JUDGED}
    return row | {"error": ""}


def _examined(
    rows: list[dict[str, Any]], simulation: Simulation, failed: dict[int, str], metric: str, setup: Setup
) -> pd.DataFrame:
    """The folds with their out-of-sample numbers, read off the one book."""
    periods = setup.history.study.bars_per_year
    days = _session_of(simulation.returns.index, setup)
    orders = simulation.orders
    filled = _session_of(pd.DatetimeIndex(orders["session"]), setup)
    examined = []
    for row in rows:
        inside = (days >= row["test_start"]) & (days <= row["test_end"])
        outside = judged(simulation.returns[inside], periods=periods)
        here = orders[(filled >= row["test_start"]) & (filled <= row["test_end"])]
        numbers = {
            "decay": outside[metric] - row[f"in_sample_{metric}"],
            "cost": metrics.cost_paid(here),
            "error": failed.get(row["fold"], row["error"]),
        }
        examined.append({**row, **outside, **numbers})
    return pd.DataFrame(examined)


def _session_of(index: pd.DatetimeIndex | pd.Index, setup: Setup) -> pd.DatetimeIndex:
    """The sessions of bars of this history."""
    history = setup.history
    if not history.intraday:
        return pd.DatetimeIndex(index)
    found: pd.DatetimeIndex = history.session_of_bar[history.sessions.get_indexer(pd.DatetimeIndex(index))]
    return found


def _summary(
    folds: pd.DataFrame, returns: pd.Series, parameters: tuple[str, ...], metric: str, *, periods: int
) -> dict[str, float | None]:
    traded = folds[folds["region_cells"] > 0]
    inside = {f"in_sample_{name}": float(traded[f"in_sample_{name}"].mean()) for name in JUDGED}
    base = inside[f"in_sample_{metric}"]
    chosen = folds[list(parameters)].map(repr) if parameters else folds[[]]
    found: dict[str, float] = {
        **judged(returns, periods=periods),
        "efficiency": float(traded[metric].mean()) / base if base > 0 else math.nan,
        "folds": float(len(folds)),
        "profitable_folds": float((folds["total_return"] > 0).mean()),
        "switches": float((chosen != chosen.shift()).any(axis=1).iloc[1:].sum()),
        "cost": float(folds["cost"].sum()),
        **inside,
    }
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def _why(found: pd.DataFrame) -> str:
    said = [text for text in found["error"] if text]
    return f"no region: {said[0]}" if said else "no region: the metric is undefined in most of every neighbourhood"


def _interleaved(named: dict[str, str]) -> list[str]:
    return [column for pair in named.items() for column in pair]
