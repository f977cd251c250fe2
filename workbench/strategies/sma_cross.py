"""Hold what trades above its trend: a fast moving average over a slow one.

Source: W. Brock, J. Lakonishok and B. LeBaron 1992, "Simple Technical Trading Rules and the Stochastic Properties of
Stock Returns", Journal of Finance 47.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from workbench.errors import ParameterError
from workbench.strategies.wishes import emit_changes
from workbench.strategy import Strategy

if TYPE_CHECKING:
    from workbench.market.history import History


class SmaCross(Strategy):
    """Each symbol is held with weight 1/N while its fast simple moving average of closes is above its slow one.

    Attributes:
        fast: sessions in the fast average.
        slow: sessions in the slow average, more than `fast`.
    """

    name: ClassVar[str] = "sma_cross"

    fast: Annotated[int, Field(ge=1)] = 50
    slow: Annotated[int, Field(ge=2)] = 200

    @model_validator(mode="after")
    def _fast_is_faster(self) -> SmaCross:
        if self.fast >= self.slow:
            raise ParameterError(
                f"fast={self.fast} must be less than slow={self.slow}; no strategy was made.",
                remedy="use e.g. fast=50, slow=200.",
            )
        return self

    @property
    def warm_up(self) -> int:
        """The slow window."""
        return self.slow

    def target_weights(self, history: History) -> pd.DataFrame:
        """Weights (session × symbol): whole rows when a symbol crosses, NaN otherwise.

        Averages run over the sessions in which the symbol has a close; until there are `slow` of them it has no wish.
        """
        close = history.close
        fast, slow = (close.apply(_average, window=window) for window in (self.fast, self.slow))
        above = np.where(slow.isna(), np.nan, (fast > slow) / len(close.columns))
        return emit_changes(pd.DataFrame(above, index=close.index, columns=close.columns), history)


def _average(closes: pd.Series, *, window: int) -> pd.Series:
    return closes.dropna().rolling(window).mean().reindex(closes.index)
