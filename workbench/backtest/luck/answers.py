"""What the statistics of luck mean, one row per number: its name, its value, one plain sentence, its source."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from workbench.backtest import metrics
from workbench.backtest.luck import significance

if TYPE_CHECKING:
    from workbench.backtest.luck.overfitting import Overfitting
    from workbench.backtest.luck.reality_check import RealityCheck
    from workbench.backtest.luck.shuffles import Shuffled
    from workbench.backtest.luck.trials import Trials

Row: TypeAlias = tuple[str, float, str, str]

LEDGER = "trials counted on this data slice, ever"
PSR = "Bailey & Lopez de Prado 2012"
DSR = "Bailey & Lopez de Prado 2014"
MIN_BTL = "Bailey, Borwein, Lopez de Prado & Zhu 2014"
CSCV = "Bailey, Borwein, Lopez de Prado & Zhu 2017"
SPA = "Hansen 2005, as arch computes it"
HANSEN = "Hansen 2005"
WHITE = "White 2000"
STEPWISE = "Romano & Wolf 2005"
BOOTSTRAP = "stationary bootstrap, Politis & Romano 1994"
ORDER = "Monte Carlo of the order of trades"


def frame_of(rows: list[Row]) -> pd.DataFrame:
    """The rows as a frame: index `number`, columns `value`, `meaning`, `source`."""
    frame = pd.DataFrame(rows, columns=["number", "value", "meaning", "source"]).set_index("number")
    return frame.astype({"value": float})


def of_odds(returns: np.ndarray, trials: Trials, *, cells: int = 1, periods: int = metrics.YEAR) -> list[Row]:
    """How sure one may be of a Sharpe ratio, given how many ideas were tried.

    Args:
        returns: simple returns of the run, or of the best cell.
        trials: every idea ever tried on the data, this one among them.
        cells: how many were tried in this sweep.
    """
    count, seen = max(trials.count, 1), len(metrics.known(returns))
    own = metrics.sharpe(returns, periods=periods)
    moments = {"skew": metrics.skewness(returns), "kurtosis": metrics.kurtosis(returns)}
    sure = significance.psr_of(returns)
    luck = significance.expected_max_sharpe(count, variance=trials.variance)
    deflated = significance.dsr_of(returns, trials=count, variance=trials.variance / periods)
    needed = significance.min_track_record_length(own / math.sqrt(periods), **moments)
    years = significance.min_backtest_length(count, target=own)
    ideas = f"{count:,} ideas" if count > 1 else "one idea"
    flat = "the returns do not vary"
    lone = flat if math.isnan(own) else "of the ideas tried fewer than two have a Sharpe ratio"
    return [
        _row(
            "trials",
            count,
            f"{ideas[0].upper()}{ideas[1:]} tried on these data so far, in any session"
            + (f"; this sweep has {cells:,} cells." if cells > 1 else "."),
            LEDGER,
        ),
        _row("sharpe", own, "Annual Sharpe ratio, before asking whether it is luck.", "Sharpe 1994", flat),
        _row(
            "psr",
            sure,
            f"{_percent(sure)} sure that the true Sharpe ratio is above 0, had it been the only try.",
            PSR,
            flat,
        ),
        _row(
            "expected_max_sharpe",
            luck,
            f"The best of {ideas} without any worth would show an annual Sharpe ratio of {luck:.2f}.",
            DSR,
            lone,
        ),
        _row(
            "dsr",
            deflated,
            f"{_percent(deflated)} sure that it is above what luck gives the best of {ideas}.",
            DSR,
            lone,
        ),
        _row("record", seen, f"Sessions observed: {seen / periods:.1f} years.", "count"),
        _row(
            "record_needed",
            needed,
            f"Sessions needed to be 95 % sure of a Sharpe ratio above 0, had it been the only try: "
            f"{needed / periods:.1f} years.",
            PSR,
            flat if math.isnan(own) else "no record shows that a Sharpe ratio of 0 or less is above 0",
        ),
        _row(
            "years_needed",
            years,
            f"In a record shorter than this many years the best of {ideas} shows such a Sharpe ratio by luck.",
            MIN_BTL,
            flat if math.isnan(own) else "luck shows a Sharpe ratio of 0 or less in any time",
        ),
    ]


def of_independence(effective: float, *, cells: int, limited: str) -> list[Row]:
    """How many independent ideas the cells amount to."""
    meaning = (
        f"By their mean correlation {cells:,} cells amount to {effective:,.1f} independent ones; all are counted above."
    )
    return [_row("effective_trials", effective, meaning + limited, DSR, "no cell ever traded")]


def of_overfitting(found: Overfitting | None, *, limited: str) -> list[Row]:
    """Whether the choice among the cells was overfit."""
    pbo = loss = before = after = math.nan
    cut = ""
    if found is not None:
        pbo, loss, cut = found.pbo, found.loss, f"{found.splits:,} splits of the sessions"
        before, after = (float(np.nanmean(part)) if not np.isnan(part).all() else math.nan for part in _both(found))
    few = "it takes two cells that traded, and 40 sessions"
    return [
        _row(
            "pbo",
            pbo,
            f"In {_percent(pbo)} of {cut} the best cell of one half came out in the lower half of the other; "
            f"worthless cells do so in about half of them.{limited}",
            CSCV,
            few,
        ),
        _row(
            "pbo_in_sample", before, "Annual Sharpe ratio of the best cell in the half that chose it, mean.", CSCV, few
        ),
        _row("pbo_out_of_sample", after, "Annual Sharpe ratio of that cell in the other half, mean.", CSCV, few),
        _row("pbo_loss", loss, f"In {_percent(loss)} of the splits that cell lost money in the other half.", CSCV, few),
    ]


def of_reality(found: RealityCheck | None, *, against: str, limited: str) -> list[Row]:
    """Whether the best cell is better than the benchmark."""
    none = "no cell traded otherwise than the benchmark"
    if found is None:
        names = ("spa_lower", "spa_consistent", "spa_upper", "white", "spa_studentised", "superior")
        sources = (SPA, SPA, SPA, WHITE, HANSEN, STEPWISE)
        return [_row(name, math.nan, "", source, none) for name, source in zip(names, sources, strict=True)]
    plain, studentised = found.plain, found.studentised.consistent
    luck = f"Chance that the best cell beats {against} by so much if none is better"
    drawn = f" ({found.reps:,} reshuffled histories, blocks of {found.block_length:.1f} sessions)"
    return [
        _row("spa_lower", plain.lower, f"{luck}, losers taken at their word: {_chance(plain.lower, found)}.", SPA),
        _row(
            "spa_consistent",
            plain.consistent,
            f"{luck}: {_chance(plain.consistent, found)}{drawn}.{limited}",
            SPA,
        ),
        _row("spa_upper", plain.upper, f"{luck}, losers taken for as good: {_chance(plain.upper, found)}.", SPA),
        _row("white", found.white, f"White's reality check: {_chance(found.white, found)}.", WHITE),
        _row(
            "spa_studentised",
            studentised,
            f"As spa_consistent, each cell's lead over its own noise: {_chance(studentised, found)}.",
            HANSEN,
        ),
        _row(
            "superior",
            len(found.superior),
            f"Cells that beat {against} by more than luck explains, all of them with 95 % confidence.",
            STEPWISE,
        ),
    ]


def of_shuffled_returns(found: Shuffled | None) -> list[Row]:
    """What the same returns could have done in another sequence."""
    few = "there are fewer than 20 returns, or they do not vary"
    ruin, median, deep, lost = (math.nan,) * 4
    level = 0.0
    if found is not None:
        ruin, level = found.ruin, found.ruin_level
        median, deep = (float(value) for value in np.quantile(found.max_drawdown, [0.5, 0.05]))
        lost = float((found.final < 1.0).mean())
    return [
        _row(
            "ruin",
            ruin,
            f"In {_percent(ruin)} of reshuffled histories the book fell below {_percent(level, 0)} of the cash.",
            BOOTSTRAP,
            few,
        ),
        _row(
            "drawdown_median",
            median,
            f"Half of the reshuffled histories fell by more than {_percent(-median)}.",
            BOOTSTRAP,
            few,
        ),
        _row(
            "drawdown_worst_5",
            deep,
            f"One reshuffled history in twenty fell by more than {_percent(-deep)}.",
            BOOTSTRAP,
            few,
        ),
        _row("loss_chance", lost, f"{_percent(lost)} of the reshuffled histories ended with a loss.", BOOTSTRAP, few),
    ]


def of_shuffled_trades(found: Shuffled | None) -> list[Row]:
    """What the same trades could have done in another order."""
    deep = math.nan if found is None else float(np.quantile(found.max_drawdown, 0.05))
    meaning = f"The same trades in another order: one order in twenty fell by more than {_percent(-deep)}."
    return [_row("trade_drawdown_worst_5", deep, meaning, ORDER, "there are fewer than 10 closed trades")]


def _both(found: Overfitting) -> tuple[np.ndarray, np.ndarray]:
    return found.in_sample, found.out_of_sample


def _chance(value: float, found: RealityCheck) -> str:
    return _percent(value) if value > 0 else f"below {_percent(1 / found.reps)}"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100.0 * share:.{digits}f} %"


def _row(name: str, value: float, meaning: str, source: str, undefined: str = "") -> Row:
    """The sentence where there is a value, the reason where there is none."""
    return (name, float(value), f"Undefined: {undefined}." if math.isnan(value) else meaning, source)
