"""Intervals for the headline numbers: what they could have been with the same days, or the same trades, drawn anew.

Numbers made of returns are measured on histories drawn by the block bootstrap (see `bootstrap`), numbers made of trades
on trades drawn one by one with replacement (Efron 1979). Every interval is the percentile interval.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.luck.bootstrap import histories, optimal_block_length
from workbench.backtest.metrics import YEAR, ZERO, known

if TYPE_CHECKING:
    import pandas as pd

# With fewer there is nothing to reshuffle.
LEAST_RETURNS = 20
LEAST_TRADES = 10


def intervals(
    returns: pd.Series | np.ndarray,
    *,
    seed: int,
    level: float = 0.95,
    reps: int = 1_000,
    periods: int = YEAR,
    kind: str = "stationary",
    initial_cash: float | None = None,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of every headline number that is a function of the returns; see `measures` for their names.

    Args:
        returns: simple per-session returns; unknown ones are left out.
        seed: the same seed gives the same intervals.
        level: share of the reshuffled histories inside.
        reps: how many histories are drawn.
        kind: `stationary` or `circular` blocks, of the optimal mean length.
        initial_cash: where given, `final_equity` has an interval too, in its currency.

    Returns:
        (low, high) by name. Empty when there are fewer than 20 returns or they do not vary: there is nothing to
        reshuffle then, and an interval of width 0 would claim certainty. A number that is undefined in more of the
        histories than may lie outside on one side has no interval.
    """
    values = known(returns)
    if len(values) < LEAST_RETURNS or float(values.std(ddof=1)) <= ZERO:
        return {}
    length = optimal_block_length(values, kind=kind)
    drawn = [
        measures(values[rows], periods=periods)
        for rows in histories(len(values), block_length=length, reps=reps, seed=seed, kind=kind)
    ]
    found = {name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]}
    if initial_cash is not None:
        found["final_equity"] = initial_cash * (1.0 + found["total_return"])
    return _bounds(found, level=level)


def trade_intervals(
    trades: pd.DataFrame, *, seed: int, level: float = 0.95, reps: int = 1_000
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of win_rate, profit_factor, payoff_ratio and expectancy (currency per closed trade).

    Closed trades are drawn with replacement, one by one: they are taken as independent of each other, so trades that
    overlap in time make these intervals too narrow.

    Args:
        trades: round trips with the columns `pnl` and `open`.

    Returns:
        (low, high) by name; empty with fewer than 10 closed trades. A number undefined in too many draws (no trade
        lost anything) has no interval.
    """
    pnl = trades.loc[~trades["open"].astype(bool), "pnl"].to_numpy(dtype=float)
    if len(pnl) < LEAST_TRADES:
        return {}
    draw = np.random.default_rng(seed)
    drawn: list[dict[str, np.ndarray]] = []
    most = max(1, 2**20 // len(pnl))
    for first in range(0, reps, most):
        chosen = pnl[draw.integers(0, len(pnl), size=(min(most, reps - first), len(pnl)))]
        won, lost = np.maximum(chosen, 0.0).sum(axis=1), np.maximum(-chosen, 0.0).sum(axis=1)
        wins, losses = (chosen > 0).sum(axis=1), (chosen < 0).sum(axis=1)
        drawn.append(
            {
                "win_rate": wins / len(pnl),
                "profit_factor": _ratio(won, lost),
                "payoff_ratio": _ratio(_ratio(won, wins), _ratio(lost, losses)),
                "expectancy": chosen.mean(axis=1),
            }
        )
    return _bounds({name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]}, level=level)


def measures(drawn: np.ndarray, *, periods: int = YEAR) -> dict[str, np.ndarray]:
    """The headline numbers of many histories at once, each as `metrics` defines it for one; NaN where undefined.

    Args:
        drawn: simple returns (history × session), none of them NaN.

    Returns:
        One number per history by name: total_return, cagr, annual_volatility, sharpe, sortino, max_drawdown,
        longest_drawdown, time_under_water, calmar, ulcer_index, pain_index, omega, var_95, cvar_95, skewness, kurtosis,
        positive_days. (What depends on the calendar, the worst month for one, means nothing in a reshuffled history.)
    """
    n = drawn.shape[1]
    found = _moments(drawn, periods=periods) | _path(drawn, periods=periods)
    # The 5 % quantile lies between two order statistics; the mean below it needs only what lies below.
    place = (n - 1) * 0.05
    under = int(place)
    low = np.partition(drawn, (under, min(under + 1, n - 1)), axis=1)
    value = low[:, under] + (place - under) * (low[:, min(under + 1, n - 1)] - low[:, under])
    tail = drawn <= value[:, None]
    found["var_95"] = value
    found["cvar_95"] = np.einsum("ij,ij->i", drawn, tail) / tail.sum(axis=1)
    found["positive_days"] = (drawn > 0).mean(axis=1)
    return found


def _moments(drawn: np.ndarray, *, periods: int) -> dict[str, np.ndarray]:
    n = drawn.shape[1]
    mean = drawn.mean(axis=1)
    centred = drawn - mean[:, None]
    squared = centred**2
    second = squared.mean(axis=1)
    deviation = np.sqrt(second * n / (n - 1))
    varies = np.where(deviation > ZERO, deviation, np.nan)
    spread = np.where(np.sqrt(second) > ZERO, second, np.nan)
    losses = np.minimum(drawn, 0.0)
    lost = -losses.sum(axis=1)
    downside = np.sqrt(np.einsum("ij,ij->i", losses, losses) / n)
    return {
        "annual_volatility": deviation * math.sqrt(periods),
        "sharpe": mean / varies * math.sqrt(periods),
        "sortino": mean / np.where(downside > ZERO, downside, np.nan) * math.sqrt(periods),
        "omega": _ratio(mean * n + lost, lost),
        "skewness": np.einsum("ij,ij->i", squared, centred) / n / spread**1.5,
        "kurtosis": np.einsum("ij,ij->i", squared, squared) / n / spread**2,
    }


def _path(drawn: np.ndarray, *, periods: int) -> dict[str, np.ndarray]:
    n = drawn.shape[1]
    wealth = np.cumprod(1.0 + drawn, axis=1)
    final = wealth[:, -1].copy()
    peak = np.maximum.accumulate(wealth, axis=1)
    np.maximum(peak, 1.0, out=peak)
    falls = np.divide(wealth, peak, out=wealth)
    falls -= 1.0
    deepest = np.minimum(falls.min(axis=1), 0.0)
    growth = np.maximum(final, 0.0) ** (periods / n) - 1.0
    return {
        "total_return": final - 1.0,
        "cagr": growth,
        "max_drawdown": deepest,
        "longest_drawdown": longest_under_water(falls),
        "time_under_water": (falls < -ZERO).mean(axis=1),
        "calmar": _ratio(growth, -deepest),
        "ulcer_index": np.sqrt(np.einsum("ij,ij->i", falls, falls) / n),
        "pain_index": -falls.mean(axis=1),
    }


def longest_under_water(falls: np.ndarray) -> np.ndarray:
    """The most sessions in a row spent below the peak, per history; `falls` are drawdowns ≤ 0 (history × session)."""
    at = np.arange(1, falls.shape[1] + 1, dtype=np.int32)
    dry = np.where(falls < -ZERO, np.int32(0), at)
    longest: np.ndarray = (at - np.maximum.accumulate(dry, axis=1)).max(axis=1)
    return longest.astype(float)


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Numerator over denominator, NaN where the latter is not positive."""
    return np.asarray(over / np.where(under > 0, under, np.nan))


def _bounds(drawn: dict[str, np.ndarray], *, level: float) -> dict[str, tuple[float, float]]:
    tail = (1.0 - level) / 2.0
    found = {}
    for name, values in drawn.items():
        defined = values[~np.isnan(values)]
        if len(values) - len(defined) > tail * len(values):
            continue
        low, high = np.quantile(defined, [tail, 1.0 - tail])
        found[name] = (float(low), float(high))
    return found
