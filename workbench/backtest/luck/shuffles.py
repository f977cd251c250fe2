"""What could have happened instead: the same trades in another order, the same returns in another sequence."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.backtest.luck.bootstrap import histories, optimal_block_length
from workbench.backtest.luck.monte_carlo import LEAST_RETURNS, LEAST_TRADES, longest_under_water
from workbench.backtest.metrics import ZERO, known
from workbench.errors import ParameterError

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
FAN = (0.05, 0.25, 0.5, 0.75, 0.95)
# Points of a fan: more than a picture can show.
_POINTS = 250


@dataclass(frozen=True, eq=False)
class Shuffled:
    """The distribution of what could have happened, one number per reshuffled history.

    Attributes:
        what: `trades` or `returns`.
        max_drawdown: deepest fall below the peak, a fraction ≤ 0.
        final: wealth at the end, 1 at the beginning.
        under_water: share of the sessions (or trades) spent below the peak, 0 to 1.
        longest: the most sessions (or trades) in a row spent below the peak.
        ruin_level: the wealth that counts as ruin, as a fraction of the initial one.
        ruin: share of the histories in which wealth ever fell below it.
        fan: wealth at evenly spaced moments (rows, counted in sessions or trades) at the quantiles `FAN` (columns).
        seen: max_drawdown, final, under_water, longest of what really happened.
    """

    what: str
    max_drawdown: np.ndarray
    final: np.ndarray
    under_water: np.ndarray
    longest: np.ndarray
    ruin_level: float
    ruin: float
    fan: pd.DataFrame
    seen: dict[str, float]

    @property
    def quantiles(self) -> pd.DataFrame:
        """One row per quantile, one column per number, with the row `seen` of what really happened at the end."""
        names = ("max_drawdown", "final", "under_water", "longest")
        frame = pd.DataFrame({name: np.quantile(getattr(self, name), QUANTILES) for name in names})
        frame.index = pd.Index([f"{quantile:.0%}" for quantile in QUANTILES], name="quantile")
        return pd.concat([frame, pd.DataFrame([self.seen], index=["seen"])[list(names)]]).rename_axis("quantile")


def shuffled_returns(
    returns: pd.Series | np.ndarray,
    *,
    seed: int,
    reps: int = 1_000,
    ruin_level: float = 0.5,
    kind: str = "stationary",
    block_length: float | None = None,
) -> Shuffled | None:
    """Histories of the same length drawn from the same returns in blocks.

    Args:
        returns: simple per-session returns; unknown ones are left out.
        ruin_level: the fraction of the initial wealth below which one is ruined, from 0 to 1.
        kind, block_length: of the bootstrap; the optimal length when None.

    Returns:
        None with fewer than 20 returns or returns that do not vary: there is nothing to reshuffle.

    Raises:
        ParameterError: `ruin_level` does not lie between 0 and 1, or `kind` is unknown.
    """
    _check(ruin_level)
    values = known(returns)
    if len(values) < LEAST_RETURNS or float(values.std()) <= ZERO:
        return None
    length = block_length or optimal_block_length(values, kind=kind)
    drawn = histories(len(values), block_length=length, reps=reps, seed=seed, kind=kind)
    return _told("returns", values, (values[rows] for rows in drawn), ruin_level=ruin_level)


def shuffled_trades(
    trades: pd.DataFrame,
    *,
    initial_cash: float,
    seed: int,
    reps: int = 1_000,
    ruin_level: float = 0.5,
    replace: bool = False,
) -> Shuffled | None:
    """The closed trades in another order.

    Each trade is taken as the fraction of the book that it won: its pnl over the initial cash plus the pnl of all
    trades closed before. In the order in which they closed these fractions compound to what was really earned, and in
    any order to the same final wealth; the way there differs. Falls inside a trade are not seen.

    Args:
        trades: round trips with the columns `closed`, `pnl` and `open`.
        initial_cash: book value at the start, in currency.
        replace: False: every trade happens once, in random order. True: trades are drawn with replacement, so that the
            final wealth has a distribution as well.

    Returns:
        None with fewer than 10 closed trades, or when the book was lost on the way.

    Raises:
        ParameterError: `ruin_level` does not lie between 0 and 1.
    """
    _check(ruin_level)
    closed = trades.loc[~trades["open"].astype(bool)].sort_values("closed", kind="stable")
    pnl = closed["pnl"].to_numpy(dtype=float)
    book = initial_cash + np.concatenate([[0.0], np.cumsum(pnl)])
    if len(pnl) < LEAST_TRADES or (book <= 0).any():
        return None
    won = pnl / book[:-1]
    draw = np.random.default_rng(seed)
    most = max(1, 2**18 // len(won))
    sizes = [min(most, reps - first) for first in range(0, reps, most)]
    if replace:
        drawn = (won[draw.integers(0, len(won), size=(size, len(won)))] for size in sizes)
    else:
        drawn = (draw.permuted(np.tile(won, (size, 1)), axis=1) for size in sizes)
    return _told("trades", won, drawn, ruin_level=ruin_level)


def _told(what: str, seen: np.ndarray, drawn: Iterable[np.ndarray], *, ruin_level: float) -> Shuffled:
    n = len(seen)
    at = np.unique(np.linspace(0, n - 1, min(n, _POINTS)).round().astype(int))
    parts, paths, lowest = [], [], []
    for chunk in drawn:
        wealth, numbers = _walked(chunk)
        parts.append(numbers)
        lowest.append(wealth.min(axis=1))
        paths.append(wealth[:, at])
    numbers = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    fan = np.quantile(np.concatenate(paths), FAN, axis=0).T
    start = pd.DataFrame([[1.0] * len(FAN)], index=[0])
    frame = pd.concat([start, pd.DataFrame(fan, index=at + 1)])
    frame.columns = pd.Index([f"{quantile:.0%}" for quantile in FAN], name="quantile")
    _, really = _walked(seen[None, :])
    return Shuffled(
        what=what,
        **numbers,
        ruin_level=ruin_level,
        ruin=float((np.concatenate(lowest) < ruin_level).mean()),
        fan=frame.rename_axis("session" if what == "returns" else "trade"),
        seen={name: float(values[0]) for name, values in really.items()},
    )


def _walked(drawn: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Wealth (history × step) and its numbers; a book that is lost stays lost."""
    wealth = np.cumprod(np.maximum(1.0 + drawn, 0.0), axis=1)
    peak = np.maximum.accumulate(wealth, axis=1)
    falls = wealth / np.maximum(peak, 1.0) - 1.0
    return wealth, {
        "max_drawdown": np.minimum(falls.min(axis=1), 0.0),
        "final": wealth[:, -1].copy(),
        "under_water": (falls < -ZERO).mean(axis=1),
        "longest": longest_under_water(falls),
    }


def _check(ruin_level: float) -> None:
    if not 0.0 < ruin_level < 1.0 or math.isnan(ruin_level):
        raise ParameterError(
            f"ruin_level={ruin_level!r} must lie between 0 and 1, as a fraction of the initial wealth; nothing was "
            "drawn.",
            remedy="use e.g. 0.5: half of it lost.",
        )
