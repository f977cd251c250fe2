"""Hold last year's winners: cross-sectional 12-1 momentum.

Source: N. Jegadeesh and S. Titman 1993, "Returns to Buying Winners and Selling Losers", Journal of Finance 48.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from workbench import sessions
from workbench.errors import ParameterError
from workbench.strategies.wishes import as_weights
from workbench.strategy import Strategy

if TYPE_CHECKING:
    from workbench.market.history import History

# A price that is older than this many sessions says nothing about momentum.
STALE_AFTER = 5


class Momentum(Strategy):
    """At each month's end, equal weights in the `top` symbols by return from `lookback` to `skip` sessions ago.

    A symbol's weight is 1/min(top, N); when fewer symbols can be ranked, the rest stays in cash. Only the long side.

    Attributes:
        lookback: the return is measured from this many sessions ago …
        skip: … to this many sessions ago; the newest month is left out because it tends to reverse.
        top: how many symbols are held.
    """

    name: ClassVar[str] = "momentum"

    lookback: Annotated[int, Field(ge=2)] = 252
    skip: Annotated[int, Field(ge=0)] = 21
    top: Annotated[int, Field(ge=1)] = 5

    @model_validator(mode="after")
    def _skip_lies_inside(self) -> Momentum:
        if self.skip >= self.lookback:
            raise ParameterError(
                f"skip={self.skip} must be less than lookback={self.lookback}; no strategy was made.",
                remedy="use e.g. lookback=252, skip=21.",
            )
        return self

    @property
    def warm_up(self) -> int:
        """The lookback, and the up to 23 sessions since the month end whose wish stands at the start."""
        return self.lookback + 23

    def target_weights(self, history: History) -> pd.DataFrame:
        """Weights (session × symbol): a whole row at each month's last session, NaN otherwise.

        The wish of the month end before `study.start` is emitted at `study.start`. A close that is missing is replaced
        by the symbol's newest one, up to 5 sessions old; a symbol without a close in the session itself gets NaN.
        """
        close = history.close
        known = close.ffill(limit=STALE_AFTER)
        growth = (known.shift(self.skip) / known.shift(self.lookback) - 1.0).to_numpy(dtype=float)
        priced = close.notna().to_numpy()
        weights = np.full(growth.shape, np.nan)
        ends = np.flatnonzero(month_ends(history.session_of_bar, history.study.venue) & history.ends_session)
        first = history.begins
        if first == len(weights):
            return as_weights(weights, history)
        before = ends[ends <= first]
        for row, decided in [*((first, end) for end in before[-1:]), *((end, end) for end in ends[ends > first])]:
            weights[row] = np.where(priced[row], self._winners(growth[decided]), np.nan)
        return as_weights(weights, history)

    def _winners(self, growth: np.ndarray) -> np.ndarray:
        """Weights of one row: NaN where no symbol can be ranked. Ties go to the symbol named first."""
        ranked = np.flatnonzero(~np.isnan(growth))
        if not len(ranked):
            return np.full(growth.shape, np.nan)
        best = ranked[np.argsort(-growth[ranked], kind="stable")[: self.top]]
        weights = np.zeros(growth.shape)
        weights[best] = 1.0 / min(self.top, len(growth))
        return weights


def month_ends(index: pd.DatetimeIndex, venue: str) -> np.ndarray:
    """Whether each session of `index` is the venue's last of its month: asked of the calendar, never of the next row.

    The next row of the data would tell the same in the past and leak in the present, where there is none yet.
    """
    calendar = sessions.sessions(venue, index[0], index[-1] + pd.Timedelta(days=20))
    following = calendar[calendar.searchsorted(index, side="right")]
    return np.asarray(following.month != index.month)
