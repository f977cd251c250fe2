"""Cross-validation: regions chosen on some folds and examined on others, purged and embargoed, path by path."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.sweep.chunking import chunk_size
from workbench.backtest.sweep.evaluate import Evaluator
from workbench.backtest.validation.judging import judged
from workbench.backtest.validation.moments import FROM_SUMS, Sums
from workbench.backtest.validation.neighbours import neighbours_of
from workbench.backtest.validation.regions import Region, region_at
from workbench.backtest.validation.report import Sheet
from workbench.backtest.validation.splits import Split, combinatorial_splits, purged_folds, sessions_of
from workbench.errors import BarsRefused, ParameterError

if TYPE_CHECKING:
    from workbench.backtest.sweep.chunking import Store
    from workbench.backtest.sweep.evaluate import Setup

# Returns held at once: 64 MB.
AT_ONCE = 8_000_000


@dataclass(frozen=True)
class CrossValidation:
    """How well regions chosen on part of a history do on the rest of it.

    A cell's returns come from one backtest over the whole history, so indicators are warm and holdings are carried into
    a test fold; what changing parameters between folds would cost is not in them (walk-forward has it).

    Attributes:
        folds: one row per split: `split`, `test_folds`, `train_sessions`, `test_sessions`, the chosen parameters (None
            where no region was found), `stability`, `in_sample_m` and `m` for the metrics that sums are enough for, and
            `decay` (out of sample − in sample of the metric).
        paths: one row per path through all sessions: `path`, and every metric of `JUDGED` of its stitched returns.
        path_returns: (bar × path), NaN in folds without a region.
        regions: the region of each split, or None.
        summary: number of paths, and of the metric over the paths: mean, standard deviation, lowest, 5 % quantile,
            median, highest, share of paths at or below 0; `in_sample_` the mean over the splits; `decay` between the
            means of the splits. None where undefined.
        parameters, metric, scheme: what was asked.
        cells: how many were compared.
        label: what must be said about the data.
    """

    folds: pd.DataFrame
    paths: pd.DataFrame
    path_returns: pd.DataFrame
    regions: tuple[Region | None, ...]
    summary: dict[str, float | None]
    parameters: tuple[str, ...]
    metric: str
    scheme: str
    cells: int
    label: str

    def sheet(self) -> Sheet:
        """The per-fold report."""
        named = {name: f"in_sample_{name}" for name in dict.fromkeys((self.metric, "sharpe", "total_return"))}
        columns = [column for pair in named.items() for column in pair]
        return Sheet(
            title=f"{self.scheme} · {len(self.folds)} splits · {self.cells:,} cells",
            frame=self.folds[["split", "test_folds", *self.parameters, "stability", *columns, "decay"]],
            beside=named,
            grey=("stability",),
            formats={"stability": ".0%", "total_return": ".2%", "cagr": ".2%"},
            note=self.label,
        )

    def summary_sheet(self) -> Sheet:
        """The distribution of the metric over the paths, its in-sample mean beside it."""
        rows = [
            {"over the paths": name, self.metric: value, "inside": self.summary["in_sample"] if name == "mean" else ""}
            for name, value in self.summary.items()
            if name != "in_sample"
        ]
        frame = pd.DataFrame(rows, dtype=object)
        title = f"{self.metric} out of sample"
        return Sheet(title=title, frame=frame, beside={self.metric: "inside"}, note=self.label)

    def __repr__(self) -> str:
        return f"{self.sheet()!r}\n{self.summary_sheet()!r}"

    def _repr_html_(self) -> str:
        return f"{self.sheet()._repr_html_()}{self.summary_sheet()._repr_html_()}"


def cross_validate(
    setup: Setup,
    cells: pd.DataFrame,
    *,
    scheme: str = "combinatorial",
    folds: int = 10,
    test_folds: int = 2,
    purge: int = 1,
    embargo: int | None = None,
    metric: str = "sharpe",
    radius: int = 1,
    evaluator: Evaluator | None = None,
    store: Store | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CrossValidation:
    """Cross-validate the choice of a region: on every split the best region of the train sessions is examined.

    Args:
        setup: strategy, history, costs and fill rules; folds are cut from its evaluated sessions but for the first,
            which has no return.
        cells: one row per cell, one column per varied parameter.
        scheme: `combinatorial` (purged, several paths) or `kfold` (purged, one path; `test_folds` is 1 then).
        folds, test_folds, purge, embargo: see `combinatorial_splits`, `purged_folds`; in sessions.
        metric: one of `FROM_SUMS`: a train set with gaps has no path and thus no drawdown.
        radius: of the neighbourhood, in grid steps.
        evaluator: one that is ready for this setup, e.g. that of the sweep; a new one when None.
        store: keeps what the train sessions said of each piece of the cells; what is in it is not computed again.
        progress: called with (cells evaluated, cells); what it raises ends the work.

    Raises:
        ParameterError: an argument is out of bounds.
        BarsRefused: too few sessions, or no split found a region.
        GridRefused: there is no cell, or one twice.
    """
    if metric not in FROM_SUMS:
        raise ParameterError(
            f"metric={metric!r} is not one of {', '.join(FROM_SUMS)}: train sets with gaps have no path.",
            remedy="use 'sharpe'.",
        )
    days = sessions_of(setup.history)[1:]
    splits, path_of = _splits(scheme, len(days), folds=folds, test_folds=test_folds, purge=purge, embargo=embargo)
    parameters = tuple(str(name) for name in cells.columns)
    around = neighbours_of(cells, parameters, radius=radius)
    periods = setup.history.study.bars_per_year
    bars, place = _places(setup, days)
    train = np.array([np.isin(place, split.train) for split in splits])
    test = np.array([np.isin(place, split.test) for split in splits])
    evaluator = evaluator or Evaluator(setup)
    inside = _train_metrics(evaluator, cells, train, metric, store=store, progress=progress, periods=periods)
    regions = [region_at(cells, parameters, values, around) for values in inside]
    found = sorted({region.row for region in regions if region is not None})
    if not found:
        raise BarsRefused(
            f"no region was found in any of {len(splits)} splits: the {metric} is undefined in most of every "
            "neighbourhood.",
            remedy="use a larger grid or cells that trade.",
        )
    chosen = dict(zip(found, evaluator.returns(cells.iloc[found]).T[:, -len(bars) :], strict=True))
    rows = [
        {
            "split": number,
            "test_folds": ", ".join(map(str, split.folds)),
            "train_sessions": len(split.train),
            "test_sessions": len(split.test),
            **{name: None if region is None else region.centre[name] for name in parameters},
            "stability": math.nan if region is None else region.stability,
            **_compared(None if region is None else chosen[region.row], train[number], test[number], metric, periods),
        }
        for number, (split, region) in enumerate(zip(splits, regions, strict=True))
    ]
    paths = _paths(splits, regions, path_of, chosen, place)
    frame = pd.DataFrame(paths, index=bars, columns=pd.RangeIndex(paths.shape[1], name="path"))
    measured = pd.DataFrame(
        [{"path": number, **judged(frame[number], periods=periods)} for number in range(paths.shape[1])]
    )
    folds_frame = pd.DataFrame(rows)
    return CrossValidation(
        folds=folds_frame,
        paths=measured,
        path_returns=frame,
        regions=tuple(regions),
        summary=_summary(measured, folds_frame, metric),
        parameters=parameters,
        metric=metric,
        scheme=scheme,
        cells=len(cells),
        label=setup.history.label,
    )


def _splits(
    scheme: str, sessions: int, *, folds: int, test_folds: int, purge: int, embargo: int | None
) -> tuple[list[Split], np.ndarray]:
    if scheme == "combinatorial":
        return combinatorial_splits(sessions, folds=folds, test_folds=test_folds, purge=purge, embargo=embargo)
    if scheme == "kfold":
        splits = purged_folds(sessions, folds=folds, purge=purge, embargo=embargo)
        return splits, np.zeros((len(splits), 1), dtype=int)
    raise ParameterError(f"scheme={scheme!r} is not one of combinatorial, kfold.", remedy="use 'combinatorial'.")


def _places(setup: Setup, days: pd.DatetimeIndex) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """The bars that have a return and belong to a fold, and the position of each one's session."""
    history = setup.history
    kept = (history.session_of_bar >= days[0]) & (history.session_of_bar <= days[-1])
    return history.sessions[kept], days.get_indexer(history.session_of_bar[kept])


def _train_metrics(
    evaluator: Evaluator,
    cells: pd.DataFrame,
    train: np.ndarray,
    metric: str,
    *,
    store: Store | None,
    progress: Callable[[int, int], None] | None,
    periods: int,
) -> np.ndarray:
    """The metric of every cell on every train set (split × cell), a chunk of cells at a time.

    The size of the chunks does not depend on who asks: a matrix product of another shape may round differently.
    """
    found = np.empty((len(train), len(cells)))
    size = max(1, min(AT_ONCE // train.shape[1], chunk_size(evaluator.setup)))
    for number, (begin, end) in enumerate(_chunks(len(cells), size)):
        known = None if store is None else store.load(number)
        if known is None or known.shape != (end - begin, len(train)):
            returns = evaluator.returns(cells.iloc[begin:end])[-train.shape[1] :]
            values = Sums.of(returns, train).metric(metric, periods=periods)
            known = pd.DataFrame(values.T, columns=[f"split {split}" for split in range(len(train))])
            if store is not None:
                store.save(number, known)
        found[:, begin:end] = known.to_numpy().T
        if progress is not None:
            progress(end, len(cells))
    return found


def _chunks(length: int, size: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, length, size):
        yield begin, min(begin + size, length)


def _compared(
    returns: np.ndarray | None, train: np.ndarray, test: np.ndarray, metric: str, periods: int
) -> dict[str, Any]:
    """A cell's metrics on the train set and on the test set; NaN where there is no cell."""
    values = np.full(len(train), np.nan) if returns is None else returns
    sums = Sums.of(values[:, None], np.array([train, test]))
    row: dict[str, Any] = {}
    for name in FROM_SUMS:
        inside, outside = sums.metric(name, periods=periods)[:, 0]
        row |= {f"in_sample_{name}": float(inside), name: float(outside)}
    return row | {"decay": row[metric] - row[f"in_sample_{metric}"]}


def _paths(
    splits: Sequence[Split],
    regions: Sequence[Region | None],
    path_of: np.ndarray,
    chosen: dict[int, np.ndarray],
    place: np.ndarray,
) -> np.ndarray:
    """The stitched returns of every path (bar × path): each fold from a split in which it was examined."""
    paths = np.full((len(place), int(path_of.max()) + 1), np.nan)
    for number, (split, region) in enumerate(zip(splits, regions, strict=True)):
        if len(split.tests) == 1:
            of_test: Sequence[int] = [0]
        else:
            of_test = [int(path) for path in path_of[number]]
        for test, path in zip(split.tests, of_test, strict=True):
            here = np.isin(place, test)
            if region is not None:
                paths[here, path] = chosen[region.row][here]
    return paths


def _summary(paths: pd.DataFrame, folds: pd.DataFrame, metric: str) -> dict[str, float | None]:
    values = paths[metric].dropna().to_numpy(dtype=float)
    known = len(values) > 0
    found: dict[str, float] = {
        "paths": float(len(paths)),
        "mean": float(values.mean()) if known else math.nan,
        "standard_deviation": float(values.std(ddof=1)) if len(values) > 1 else math.nan,
        "lowest": float(values.min()) if known else math.nan,
        "quantile_05": float(np.quantile(values, 0.05)) if known else math.nan,
        "median": float(np.median(values)) if known else math.nan,
        "highest": float(values.max()) if known else math.nan,
        "share_at_or_below_0": float((values <= 0).mean()) if known else math.nan,
        "decay": float(folds["decay"].mean()),
        "in_sample": float(folds[f"in_sample_{metric}"].mean()),
    }
    return {name: value if math.isfinite(value) else None for name, value in found.items()}
