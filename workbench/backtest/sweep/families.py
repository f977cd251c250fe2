"""Families of strategies with a kernel of their own: those that hold what has one average above another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.strategies.ema_cross import EmaCross
from workbench.strategies.sma_cross import SmaCross

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.strategy import Strategy


@dataclass(frozen=True, slots=True)
class CrossFamily:
    """A strategy that wishes for 1/N of each symbol while its `fast` average of closes is above its `slow` one.

    Another family is one more entry of `FAMILIES`: a function in `averages` that is, bit for bit, the strategy's own.

    Attributes:
        average: which function of `workbench.backtest.sweep.averages` makes its columns.
        parameters: the names of the two windows.
    """

    average: str
    parameters: tuple[str, str] = ("fast", "slow")

    def columns(self) -> Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]:
        """The compiled function that makes the columns."""
        from workbench.backtest.sweep import averages

        found: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None] = getattr(averages, self.average)
        return found

    def allowed(self, fast: np.ndarray, slow: np.ndarray) -> np.ndarray:
        """Which pairs of whole numbers the strategy accepts: 1 ≤ fast < slow."""
        return (fast >= 1) & (fast < slow)


FAMILIES: dict[type[Strategy], CrossFamily] = {
    SmaCross: CrossFamily(average="simple"),
    EmaCross: CrossFamily(average="exponential"),
}


def family_of(kind: type[Strategy]) -> CrossFamily | None:
    """The family of exactly this class; a class derived from it may do something else."""
    return FAMILIES.get(kind)
