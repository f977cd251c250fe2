"""Hold what trades above its trend: a fast exponential average over a slow one, the MACD line above zero.

Source: G. Appel 1985, "The Moving Average Convergence-Divergence Trading Method", Scientific Information Systems.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from workbench.errors import ParameterError
from workbench.strategies.wishes import emit_changes
from workbench.strategy import Strategy

if TYPE_CHECKING:
    from workbench.market.history import History


class EmaCross(Strategy):
    """Each symbol is held with weight 1/N while its fast exponential average of closes is above its slow one.

    Attributes:
        fast: span of the fast average in sessions: the newest close weighs 2/(fast + 1), each one before it less by the
            factor (fast − 1)/(fast + 1).
        slow: span of the slow average, more than `fast`.
    """

    name: ClassVar[str] = "ema_cross"

    fast: Annotated[int, Field(ge=1)] = 12
    slow: Annotated[int, Field(ge=2)] = 26

    @model_validator(mode="after")
    def _fast_is_faster(self) -> EmaCross:
        if self.fast >= self.slow:
            raise ParameterError(
                f"fast={self.fast} must be less than slow={self.slow}; no strategy was made.",
                remedy="use e.g. fast=12, slow=26.",
            )
        return self

    @property
    def warm_up(self) -> int:
        """Sessions until the slow average has forgotten where the history begins, to about one part in 10⁹."""
        return math.ceil(10.4 * self.slow)

    def target_weights(self, history: History) -> pd.DataFrame:
        """Weights (session × symbol): whole rows when a symbol crosses, NaN otherwise.

        Averages run over the sessions in which the symbol has a close and begin with its first one; until there are
        `slow` of them it has no wish.
        """
        close = history.close
        fast, slow = (close.apply(_average, span=span) for span in (self.fast, self.slow))
        above = np.where(slow.isna(), np.nan, (fast > slow) / len(close.columns))
        return emit_changes(pd.DataFrame(above, index=close.index, columns=close.columns), history)


def _average(closes: pd.Series, *, span: int) -> pd.Series:
    return closes.dropna().ewm(span=span, adjust=False, min_periods=span).mean().reindex(closes.index)
