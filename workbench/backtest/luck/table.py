"""The honesty table: every answer to "is it luck?" about a run or the best of a sweep, in plain words."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest.luck import answers
from workbench.backtest.luck.cells import evenly_with, sharpes_of
from workbench.backtest.luck.overfitting import Overfitting, blocks_for, probability_of_overfitting
from workbench.backtest.luck.reality_check import REPS, RealityCheck, reality_check
from workbench.backtest.luck.shuffles import Shuffled, shuffled_returns, shuffled_trades
from workbench.backtest.luck.significance import effective_trials
from workbench.backtest.metrics import YEAR, known
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from workbench.backtest.luck.trials import Trials

# PBO, SPA and the effective trials of more cells than this are taken from an evenly spaced sample that holds the best.
LIMIT = 5_000


@dataclass(frozen=True, eq=False)
class Honesty:
    """What luck could have to do with the best cell of a sweep.

    Attributes:
        frame: one row per number (index): `value` (NaN where undefined), `meaning` in one sentence, `source`.
        best: the column of the returns that was looked at; None when no cell ever traded.
        overfitting: the splits behind PBO; None when fewer than two cells traded or there are too few sessions.
        reality: the draws behind SPA; None when no cell traded, or none otherwise than the benchmark.
    """

    frame: pd.DataFrame
    best: int | None
    overfitting: Overfitting | None
    reality: RealityCheck | None

    @property
    def numbers(self) -> dict[str, float | None]:
        """Value by name, None where undefined."""
        return _numbers(self.frame)

    def _repr_html_(self) -> str:
        return _shown(self.frame)


@dataclass(frozen=True, eq=False)
class RunLuck:
    """What luck could have to do with one run.

    Attributes:
        frame: as in `Honesty`.
        returns: the same returns in other sequences; None where there are too few, or they do not vary.
        trades: the same closed trades in other orders; None where there are too few.
    """

    frame: pd.DataFrame
    returns: Shuffled | None
    trades: Shuffled | None

    @property
    def numbers(self) -> dict[str, float | None]:
        """Value by name, None where undefined."""
        return _numbers(self.frame)

    def _repr_html_(self) -> str:
        return _shown(self.frame)


def honesty(
    returns: np.ndarray,
    *,
    benchmark: np.ndarray | pd.Series,
    trials: Trials,
    seed: int,
    cells: int | None = None,
    best: int | None = None,
    against: str = "buy and hold",
    reps: int = REPS,
    periods: int = YEAR,
) -> Honesty:
    """The honesty table of a sweep.

    Args:
        returns: simple returns (session × cell) of all cells of the sweep, or of a sample that holds the best one (see
            `sample_of`); a column with a NaN or without variance is a cell that never traded.
        benchmark: simple returns of what must be beaten, one per session; zeros for cash.
        trials: every idea ever tried on these data, the cells of this sweep among them.
        seed: the same seed gives the same table.
        cells: how many cells the sweep has; the columns of `returns` when None.
        best: column of `returns` with the best cell; the highest Sharpe ratio when None.
        against: the benchmark's name, for the sentences.
        reps: draws of the reality check.
        periods: sessions in a year.

    Raises:
        BacktestError: the benchmark does not fit the returns, or `best` is no column of them; nothing was computed.
    """
    cells = returns.shape[1] if cells is None else cells
    own = sharpes_of(returns)
    if best is not None and not 0 <= best < len(own):
        raise BacktestError(f"best={best} is none of the {len(own)} columns of the returns; nothing was computed.")
    if best is None and not np.isnan(own).all():
        best = int(np.nanargmax(own))
    chosen = evenly_with(best or 0, len(own), limit=LIMIT)
    sample = returns if len(chosen) == len(own) else returns[:, chosen]
    limited = "" if len(chosen) == cells else f" From {len(chosen):,} of {cells:,} cells: evenly spaced, with the best."
    traded = int(np.count_nonzero(~np.isnan(own[chosen])))
    series = np.full(len(returns), np.nan) if best is None else returns[:, best]
    blocks = blocks_for(len(returns))
    overfitting = probability_of_overfitting(sample, blocks=blocks, periods=periods) if traded > 1 and blocks else None
    reality = reality_check(sample, np.asarray(benchmark, dtype=float), seed=seed, reps=reps)
    rows = [
        *answers.of_odds(series, trials, cells=cells, periods=periods),
        *answers.of_independence(effective_trials(sample), cells=len(chosen), limited=limited),
        *answers.of_overfitting(overfitting, limited=limited),
        *answers.of_reality(reality, against=against, limited=limited),
    ]
    return Honesty(answers.frame_of(rows), best=best if traded else None, overfitting=overfitting, reality=reality)


def sample_of(sharpes: np.ndarray, *, limit: int = LIMIT) -> tuple[np.ndarray, int | None]:
    """Which cells of a large sweep the honesty table looks at, and which of these is the best.

    Args:
        sharpes: Sharpe ratio of every cell, NaN where undefined; NaN ranks last.

    Returns:
        Ascending positions of at most `limit` cells, evenly spaced, with the best among them; and the best one's place
        among these, None when no cell has a Sharpe ratio.
    """
    if not len(sharpes) or np.isnan(sharpes).all():
        return evenly_with(0, len(sharpes), limit=limit), None
    best = int(np.nanargmax(sharpes))
    chosen = evenly_with(best, len(sharpes), limit=limit)
    return chosen, int(np.searchsorted(chosen, best))


def luck_of_run(
    returns: pd.Series | np.ndarray,
    trades: pd.DataFrame,
    *,
    trials: Trials,
    initial_cash: float,
    seed: int,
    reps: int = 1_000,
    ruin_level: float = 0.5,
    periods: int = YEAR,
) -> RunLuck:
    """The honesty table of one run.

    Args:
        returns: simple per-session returns; unknown ones are left out.
        trades: round trips with the columns `closed`, `pnl` and `open`.
        trials: every idea ever tried on these data, this one among them.
        initial_cash: book value at the start, in currency.
        seed: the same seed gives the same table.
        ruin_level: the fraction of the initial cash below which the book counts as ruined.
    """
    values = known(returns)
    sequences = shuffled_returns(values, seed=seed, reps=reps, ruin_level=ruin_level)
    orders = shuffled_trades(trades, initial_cash=initial_cash, seed=seed, reps=reps, ruin_level=ruin_level)
    rows = [
        *answers.of_odds(values, trials, periods=periods),
        *answers.of_shuffled_returns(sequences),
        *answers.of_shuffled_trades(orders),
    ]
    return RunLuck(answers.frame_of(rows), returns=sequences, trades=orders)


def _numbers(frame: pd.DataFrame) -> dict[str, float | None]:
    return {str(name): float(value) if math.isfinite(value) else None for name, value in frame["value"].items()}


def _shown(frame: pd.DataFrame) -> str:
    left = " style='text-align:left'"
    rows = "".join(
        f"<tr><td{left}>{html.escape(str(name))}</td><td>{_figure(row['value'])}</td>"
        f"<td{left}>{html.escape(row['meaning'])}</td><td{left}><small>{html.escape(row['source'])}</small></td></tr>"
        for name, row in frame.iterrows()
    )
    return (
        f"<table><thead><tr><th{left}>is it luck?</th><th>value</th><th{left}>meaning</th><th{left}>source</th></tr>"
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _figure(value: float) -> str:
    if math.isnan(value):
        return "undefined"
    return f"{value:,.0f}" if value.is_integer() and abs(value) != 1.0 else f"{value:,.4f}"
