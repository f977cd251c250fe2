"""Hold what ended the month above its ten-month average, else be in cash: a timing rule asked once a month.

Source: M. T. Faber 2007, "A Quantitative Approach to Tactical Asset Allocation", Journal of Wealth Management 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import pandas as pd
from pydantic import Field

from workbench.strategies.momentum import STALE_AFTER, month_ends
from workbench.strategies.wishes import emit_changes
from workbench.strategy import Strategy

if TYPE_CHECKING:
    from workbench.market.history import History


class TrendTiming(Strategy):
    """Each symbol is held with weight 1/N in the months that follow a month's end above its average of month ends.

    Attributes:
        months: how many month ends the average is taken over, the newest among them.
    """

    name: ClassVar[str] = "trend_timing"

    months: Annotated[int, Field(ge=2, le=60)] = 10

    @property
    def warm_up(self) -> int:
        """The months of the average and the one before the start, with up to 23 sessions each."""
        return 23 * (self.months + 1)

    def target_weights(self, history: History) -> pd.DataFrame:
        """Weights (session × symbol): whole rows when a symbol changes sides, NaN otherwise.

        The wish of the last month end stands until the next one, and is said at `study.start` too. A close that is
        missing at a month's end is replaced by the symbol's newest one, up to 5 sessions old. A symbol has no wish
        until it has `months` month ends in a row, and keeps the one it had when a later month end is unknown.
        """
        close = history.close
        ends = month_ends(history.session_of_bar, history.study.venue) & history.ends_session
        monthly = close.ffill(limit=STALE_AFTER).loc[ends]
        average = monthly.rolling(self.months).mean()
        above = (monthly > average) / len(close.columns)
        wanted = above.where(average.notna()).reindex(close.index).ffill()
        return emit_changes(wanted, history)
