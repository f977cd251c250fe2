"""Is the best of many better than the benchmark? White's reality check, and Hansen's superior predictive ability.

The null hypothesis: no cell has a higher mean return than the benchmark. What the best one shows is compared with what
the best one shows in reshuffled histories in which, by construction, none is better. The three p-values differ in what
they hold of cells that did worse than the benchmark: `upper` takes all of them for as good as it, `lower` takes each
loss at face value, `consistent` does so only where the loss is too large to be noise. lower ≤ consistent ≤ upper.

Every reshuffled mean is a linear function of the differences, so all of them are one matrix product: how often each
session was drawn (draw × session) times the demeaned differences (session × cell). The same numbers as a loop over
draws, to rounding.

Two statistics come out of the same product. `plain` compares mean differences, as arch does (its `studentize` concerns
only who counts as too bad to be noise); its `upper` is White's reality check. `studentised` divides each difference by
its standard error first, as Hansen proposes, so that a wild cell does not hide a steady one.

Sources: White 2000, "A Reality Check for Data Snooping", Econometrica 68; Hansen 2005, "A Test for Superior Predictive
Ability", Journal of Business & Economic Statistics 23; Politis & Romano 1994 for the variance of a reshuffled mean;
Romano & Wolf 2005, "Stepwise Multiple Testing as Formalized Data Snooping", Econometrica 73, for `superior`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.luck import bootstrap
from workbench.backtest.luck.cells import column_chunks, traded
from workbench.backtest.metrics import ZERO
from workbench.errors import BacktestError

if TYPE_CHECKING:
    from collections.abc import Iterator

REPS = 1_000


@dataclass(frozen=True, slots=True)
class PValues:
    """Chances to see so good a best cell when none is better than the benchmark, from 0 to 1; NaN where undefined."""

    lower: float
    consistent: float
    upper: float


@dataclass(frozen=True, eq=False)
class RealityCheck:
    """What the reshuffled histories say. A p-value of 0 means: below 1/reps.

    Attributes:
        plain: of the largest mean difference, as arch computes SPA.
        studentised: of the largest difference over its standard error, as Hansen 2005 defines SPA.
        best: column of the cell with the largest mean difference.
        difference: its mean return per session, less the benchmark's.
        superior: columns whose difference no luck explains, all wrong with a chance of at most `level` (stepwise).
        cells: how many were compared; those that never traded are not among them.
        reps, block_length, kind: the reshuffling.
        largest: the largest mean difference of each reshuffled history (lower, consistent, upper × draw): what luck
            shows, to be held against `difference`.
    """

    plain: PValues
    studentised: PValues
    best: int
    difference: float
    superior: tuple[int, ...]
    cells: int
    sessions: int
    reps: int
    block_length: float
    kind: str
    largest: np.ndarray

    @property
    def white(self) -> float:
        """The p-value of White's reality check."""
        return self.plain.upper


def reality_check(
    returns: np.ndarray,
    benchmark: np.ndarray,
    *,
    seed: int,
    reps: int = REPS,
    block_length: float | None = None,
    kind: str = "stationary",
    level: float = 0.05,
    draws: np.ndarray | None = None,
) -> RealityCheck | None:
    """Test the best of many cells against a benchmark.

    Args:
        returns: simple returns (session × cell). Left out are cells with a NaN or without variance, which never traded,
            and cells that are the benchmark: there is no lead to study.
        benchmark: simple returns of what must be beaten, one per session; zeros for cash.
        seed: the same seed gives the same p-values.
        reps: how many histories are drawn; the standard error of a p-value is at most 0.5/√reps.
        block_length: mean length of the blocks; the optimal one of the best cell's differences when None.
        kind: `stationary` or `circular`.
        level: of `superior`.
        draws: how often each session is drawn (draw × session), instead of drawing by seed; rows sum to the sessions.

    Returns:
        None when no cell is left.

    Raises:
        BacktestError: the benchmark does not fit the returns; nothing was computed.
    """
    against = np.asarray(benchmark, dtype=float)
    sessions = len(returns)
    if against.shape != (sessions,) or not np.isfinite(against).all() or sessions < 2:
        raise BacktestError(
            f"a benchmark of shape {against.shape} does not fit returns of shape {returns.shape}, or has unknown "
            "returns; nothing was computed.",
            remedy="pass one known return per session, at least two.",
        )
    columns = np.flatnonzero(traded(returns))
    columns = columns[_differ(returns, columns, against)]
    if not len(columns):
        return None
    with np.errstate(invalid="ignore"):  # of cells that are left out
        means = returns.mean(axis=0)[columns] - against.mean()
    best = int(columns[means.argmax()])
    if block_length is None:
        block_length = bootstrap.optimal_block_length(returns[:, best] - against, kind=kind)
    if draws is None:
        draws = bootstrap.counts(sessions, block_length=block_length, reps=reps, seed=seed, kind=kind)
    test = _Test(returns, against, columns, means, draws, block_length)
    plain, studentised, largest = test.p_values()
    return RealityCheck(
        plain=plain,
        studentised=studentised,
        best=best,
        difference=float(means.max()),
        superior=test.superior(level) if plain.consistent < level else (),
        cells=len(columns),
        sessions=sessions,
        reps=len(draws),
        block_length=float(block_length),
        kind=kind,
        largest=largest,
    )


@dataclass(frozen=True, eq=False)
class _Test:
    """The cells that traded, their mean differences, and the draws."""

    returns: np.ndarray
    against: np.ndarray
    columns: np.ndarray
    means: np.ndarray
    draws: np.ndarray
    block_length: float

    def p_values(self) -> tuple[PValues, PValues, np.ndarray]:
        """Plain and studentised, and the largest plain differences (3 × draw)."""
        spread = np.empty(len(self.means))
        largest = np.full((2, 3, len(self.draws)), -np.inf)
        for here, moved, variance in self._moved(np.arange(len(self.means))):
            # A lead that varies from session to session but not in blocks has no noise to be measured by.
            spread[here] = np.sqrt(np.maximum(variance, ZERO**2))
            for row, shift in enumerate(self._shifts(here, variance)):
                shifted = moved if shift is None else moved + shift
                np.maximum(largest[0, row], shifted.max(axis=1), out=largest[0, row])
                np.maximum(largest[1, row], (shifted / spread[here]).max(axis=1), out=largest[1, row])
        seen = (self.means.max(), (self.means / spread).max())
        plain, studentised = (
            PValues(*(float((row > value).mean()) for row in rows)) for rows, value in zip(largest, seen, strict=True)
        )
        return plain, studentised, largest[0]

    def superior(self, level: float) -> tuple[int, ...]:
        """The cells beyond the (1 − level) quantile of the largest reshuffled mean (consistent), step by step.

        Those beyond it are set aside and the rest is asked again, until none is left beyond it.
        """
        left, found = np.ones(len(self.means), dtype=bool), np.zeros(len(self.means), dtype=bool)
        while left.any():
            largest = np.full(len(self.draws), -np.inf)
            for here, moved, variance in self._moved(np.flatnonzero(left)):
                shifted = moved + self._shifts(here, variance)[1]
                np.maximum(largest, shifted.max(axis=1), out=largest)
            better = left & (self.means > np.percentile(largest, 100.0 * (1.0 - level)))
            if not better.any():
                break
            found |= better
            left &= ~better
        return tuple(int(column) for column in self.columns[found])

    def _shifts(self, here: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray, None]:
        """What lower, consistent and upper add to a reshuffled mean about zero: the loss that is taken at its word."""
        sessions = len(self.against)
        means = self.means[here]
        noise = -np.sqrt(variance / sessions * 2.0 * math.log(max(math.log(sessions), 1.0)))
        return np.minimum(means, 0.0), np.where(means < noise, means, 0.0), None

    def _moved(self, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """In chunks of cells: which, their reshuffled means about zero (draw × cell), and the variance of √T · mean."""
        sessions = len(self.against)
        for part in column_chunks(sessions, len(chosen)):
            here = chosen[part]
            differences = self.returns[:, self.columns[here]] - self.against[:, None]
            differences -= differences.mean(axis=0)
            moved = self.draws @ differences
            moved /= sessions
            yield here, moved, kernel_variance(differences, block_length=self.block_length)


def _differ(returns: np.ndarray, columns: np.ndarray, against: np.ndarray) -> np.ndarray:
    """Which of the columns lead or lag the benchmark by something that varies."""
    found = np.empty(len(columns), dtype=bool)
    for here in column_chunks(len(returns), len(columns)):
        found[here] = (returns[:, columns[here]] - against[:, None]).std(axis=0) > ZERO
    return found


def kernel_variance(centred: np.ndarray, *, block_length: float) -> np.ndarray:
    """Variance of √T · mean over all stationary-bootstrap draws of each column (session × cell), whose means are 0.

    γ₀ + 2·Σ κᵢ·γᵢ with κᵢ = (1 − i/T)·qⁱ + (i/T)·q^(T−i), q = 1 − 1/block_length, and γᵢ = Σ dₛ·dₛ₊ᵢ / T. κ is the
    same from both ends (κᵢ = κ_(T−i)), so the sum runs over circular autocovariances: a product in frequencies. arch
    takes the same variance for circular blocks.
    """
    sessions = len(centred)
    lag = np.arange(sessions)
    stay = 1.0 - 1.0 / block_length
    kernel = (1.0 - lag / sessions) * stay**lag + lag / sessions * stay ** (sessions - lag)
    kernel[0] = 1.0
    weights = np.fft.rfft(kernel).real
    weights[1 : (sessions + 1) // 2] *= 2.0  # each of these frequencies stands for itself and its mirror image
    power = np.abs(np.fft.rfft(centred, axis=0)) ** 2
    return np.asarray(np.maximum(weights @ power, 0.0) / sessions**2)
