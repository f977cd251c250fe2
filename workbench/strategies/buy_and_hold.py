"""Buy equal shares of value once and never touch them again: the benchmark of every study.

Source: W. F. Sharpe 1991, "The Arithmetic of Active Management".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from workbench.strategies.wishes import as_weights
from workbench.strategy import Strategy

if TYPE_CHECKING:
    import pandas as pd

    from workbench.market.history import History


class BuyAndHold(Strategy):
    """One wish per symbol, 1/N of book value, at the first evaluated session in which it has a price; NaN ever after.

    N is the number of symbols of the history, also of those that get their first price later.
    """

    name: ClassVar[str] = "buy_and_hold"

    @property
    def warm_up(self) -> int:
        """No session before the first is needed."""
        return 0

    def target_weights(self, history: History) -> pd.DataFrame:
        """Weights (session × symbol), one number per symbol that ever has a price from `study.start` on."""
        close = history.close.to_numpy(dtype=float)
        weights = np.full(close.shape, np.nan)
        first = history.begins
        priced = ~np.isnan(close[first:])
        for column in np.flatnonzero(priced.any(axis=0)):
            weights[first + int(priced[:, column].argmax()), column] = 1.0 / close.shape[1]
        return as_weights(weights, history)
