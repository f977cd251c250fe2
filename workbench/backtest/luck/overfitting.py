"""Was the best cell chosen or lucky? The probability of backtest overfitting, by cross-validation in all halves.

Combinatorially symmetric cross-validation (CSCV) cuts the sessions into S blocks. Every choice of half of them is one
split: the cell with the highest Sharpe ratio in the chosen half is looked up in the other half, among all cells. The
choice was overfit when it comes out in the lower half there.

Sums and sums of squares per block are enough for the Sharpe ratio of every half, so a split costs one row of a matrix
product (splits × blocks) · (blocks × cells), exact up to rounding.

Source: Bailey, Borwein, Lopez de Prado & Zhu 2017, "The Probability of Backtest Overfitting", Journal of Computational
Finance 20. As in purgedcv, blocks differ by one session where S does not divide the sessions (the paper drops the
rest), equal cells share their mean rank, and ω = rank / (cells + 1). As in the paper, and not in purgedcv, ω = ½ counts
as overfit. A cell without a Sharpe ratio in a half ranks last there (purgedcv calls it 0). Cells that traded alike in a
half are equal there but for rounding: the first of them wins, whichever way the rounding went.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from workbench.backtest.luck.cells import column_chunks, traded
from workbench.backtest.metrics import YEAR, ZERO
from workbench.errors import BacktestError

BLOCKS = 16
# Numbers of one chunk (splits × cells): a few such arrays stay in the processor's cache.
_CHUNK = 2**15
# Sharpe ratios (per period) that agree to this are the same.
_SAME = 1e-10


@dataclass(frozen=True, eq=False)
class Overfitting:
    """What the splits say.

    Attributes:
        pbo: share of the splits in which the best cell of one half came out in the lower half of the other, 0 to 1. Of
            worthless independent cells it is about ½.
        logits: ln(ω / (1 − ω)) per split; ω is the winner's relative rank out of sample.
        in_sample, out_of_sample: annual Sharpe ratio of the winner per split, where it won and in the other half; NaN
            where undefined.
        chosen: which column of the returns won, per split.
        cells: how many cells were compared; those that never traded are not among them.
        sessions, blocks: how many sessions in how many blocks.
    """

    pbo: float
    logits: np.ndarray
    in_sample: np.ndarray
    out_of_sample: np.ndarray
    chosen: np.ndarray
    cells: int
    sessions: int
    blocks: int

    @property
    def splits(self) -> int:
        """In how many ways half of the blocks can be chosen."""
        return len(self.logits)

    @property
    def loss(self) -> float:
        """Share of the splits in which the winner lost money out of sample (a negative Sharpe ratio)."""
        return float((self.out_of_sample < 0).mean())

    @property
    def slope(self) -> float:
        """Slope of the out-of-sample Sharpe ratio on the in-sample one, over the splits (least squares).

        1: what was seen comes again; 0: it says nothing; below 0: the better it looked, the worse it went. NaN where
        the same number was seen in every split.
        """
        known = ~(np.isnan(self.in_sample) | np.isnan(self.out_of_sample))
        seen, came = self.in_sample[known], self.out_of_sample[known]
        if len(seen) < 2 or (spread := float(seen.var())) <= ZERO**2:
            return math.nan
        return float(((seen - seen.mean()) * (came - came.mean())).mean() / spread)


def blocks_for(sessions: int, *, least: int = 10) -> int | None:
    """The most blocks, an even number up to 16, of at least `least` sessions each; None below four such blocks."""
    fitting = min(BLOCKS, sessions // least // 2 * 2)
    return fitting if fitting >= 4 else None


def probability_of_overfitting(returns: np.ndarray, *, blocks: int = BLOCKS, periods: int = YEAR) -> Overfitting:
    """PBO of a choice among cells by their Sharpe ratio.

    Args:
        returns: simple returns (session × cell). A cell with a NaN or without variance is left out.
        blocks: S, even; 16 gives 12,870 splits.
        periods: sessions in a year.

    Raises:
        BacktestError: fewer than two cells ever traded, S is odd, or a block would have fewer than two sessions.
    """
    sessions = len(returns)
    if blocks < 2 or blocks % 2 or sessions < 2 * blocks:
        raise BacktestError(
            f"{sessions} sessions cannot be cut into blocks={blocks}: it takes an even number of at least two sessions "
            "each; nothing was computed.",
            remedy=f"use an even number from 2 to {max(2, sessions // 4 * 2)}." if sessions >= 4 else "use more data.",
        )
    columns = np.flatnonzero(traded(returns))
    if len(columns) < 2:
        raise BacktestError(
            f"{len(columns)} of {returns.shape[1]} cells ever traded; there was no choice to be overfit.",
            remedy="compare at least two cells whose returns vary.",
        )
    won, won_by, came, rank = _Halves.of(returns, columns, blocks).contests()
    omega = rank / (len(columns) + 1)
    logits = np.log(omega / (1.0 - omega))
    return Overfitting(
        pbo=float((rank * 2 <= len(columns) + 1).mean()),
        logits=logits,
        in_sample=won_by * math.sqrt(periods),
        out_of_sample=np.where(np.isinf(came), np.nan, came) * math.sqrt(periods),
        chosen=columns[won],
        cells=len(columns),
        sessions=sessions,
        blocks=blocks,
    )


@dataclass(frozen=True, eq=False)
class _Halves:
    """Sums over blocks from which the Sharpe ratio of every half follows; `sums` and `squares` are (block × cell)."""

    mean: np.ndarray
    length: np.ndarray
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, returns: np.ndarray, columns: np.ndarray, blocks: int) -> _Halves:
        """The sums of the chosen columns, taken about their means so that small variances keep their digits."""
        sessions = len(returns)
        edges = np.cumsum([0, *(len(part) for part in np.array_split(np.arange(sessions), blocks))])
        mean = np.empty(len(columns))
        sums, squares = np.empty((2, blocks, len(columns)))
        for here in column_chunks(sessions, len(columns)):
            part = returns[:, columns[here]]
            mean[here] = part.mean(axis=0)
            part -= mean[here]
            sums[:, here] = np.add.reduceat(part, edges[:-1], axis=0)
            squares[:, here] = np.add.reduceat(np.square(part, out=part), edges[:-1], axis=0)
        return cls(mean=mean, length=np.diff(edges).astype(float), sums=sums, squares=squares)

    def contests(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Per split: the winner's column, its Sharpe ratio in the half it won, in the other, and its rank there.

        Splits come in pairs: what is in sample for one is out of sample for the other. So only those with the first
        block are computed, and each is read both ways; split k and its opposite stand at k and last − k.
        """
        blocks, cells = self.sums.shape
        members = np.array(list(combinations(range(blocks), blocks // 2)))
        members = members[: len(members) // 2]
        inside = np.zeros((len(members), blocks))
        np.put_along_axis(inside, members, 1.0, axis=1)
        many = 2 * len(inside)
        won, rank = np.empty(many, dtype=np.int64), np.empty(many)
        won_by, came = np.empty(many), np.empty(many)
        most = max(1, _CHUNK // cells)
        for first in range(0, len(inside), most):
            chosen = inside[first : first + most]
            one, other = self._sharpes(chosen), self._sharpes(1.0 - chosen)
            here = np.arange(first, first + len(chosen))
            for at, seen, unseen in ((here, one, other), (many - 1 - here, other, one)):
                top = seen.max(axis=1, keepdims=True)
                best = (seen >= top - _SAME).argmax(axis=1)[:, None]
                value = np.take_along_axis(unseen, best, axis=1)
                won[at], won_by[at], came[at] = best[:, 0], top[:, 0], value[:, 0]
                below = np.count_nonzero(unseen < value - _SAME, axis=1)
                up_to = np.count_nonzero(unseen <= value + _SAME, axis=1)
                rank[at] = (below + up_to + 1) / 2.0
        return won, won_by, came, rank

    def _sharpes(self, chosen: np.ndarray) -> np.ndarray:
        """Sharpe ratio per period (split × cell) over the chosen blocks; −inf where the returns do not vary."""
        n = (chosen @ self.length)[:, None]
        sums = chosen @ self.sums
        variance = chosen @ self.squares
        mean = sums / n
        variance -= np.multiply(sums, mean, out=sums)
        variance /= n - 1.0
        mean += self.mean
        flat = variance <= ZERO**2
        if flat.any():
            variance[flat] = 1.0
            mean[flat] = -np.inf
        ratios: np.ndarray = np.divide(mean, np.sqrt(variance, out=variance), out=mean)
        return ratios
