"""MarketView: what is known at one moment. A later row cannot be read: it raises NotYetKnown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench import sessions
from workbench.errors import NoData, NotYetKnown

if TYPE_CHECKING:
    from workbench.market.bars import Bars


@dataclass(frozen=True)
class MarketView:
    """Bars up to `as_of`; nothing later is inside, so nothing later can leak.

    Attributes:
        as_of: the moment, UTC.
        bars: (session × symbol) up to the last session complete at `as_of`.
    """

    as_of: pd.Timestamp
    bars: Bars
    venue: str = "XNYS"
    label: str = ""
    synthetic: bool = False

    @property
    def session(self) -> pd.Timestamp:
        """The newest session in the view."""
        newest = self.bars.sessions[-1:]
        return pd.Timestamp(newest[0] if newest.tz is None else sessions.of_bars(self.venue, newest)[0])

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols in the view."""
        return self.bars.symbols

    def closes(self, symbol: str, *, last: int | None = None) -> pd.Series:
        """Closes of one symbol without gaps (NaN rows dropped), the newest `last` of them if given.

        Raises:
            NoData: the symbol is not in the view.
        """
        if symbol not in self.bars.close.columns:
            raise NoData(f"symbol={symbol!r} is not in this view.", remedy=f"it knows {', '.join(self.symbols)}.")
        series = self.bars.close[symbol].dropna()
        return series if last is None else series.iloc[-last:]

    def close(self, symbol: str, session: Any = None) -> float:
        """The close of one symbol in one session (the newest when None).

        Raises:
            NotYetKnown: the session is later than the view.
            NoData: the symbol has no close then.
        """
        day = self.session if session is None else pd.Timestamp(session)
        if day > self.session:
            raise NotYetKnown(
                f"the close of {symbol} on {day.date()} is not known as of {self.as_of}.",
                remedy="open the history at a later moment.",
            )
        series = self.closes(symbol)
        if day not in series.index:
            raise NoData(f"{symbol} has no close on {day.date()}.", remedy="check the coverage in the data notebook.")
        return float(series[day])

    def prices(self) -> dict[str, float]:
        """The newest known close of each symbol that has one within the view."""
        last = self.bars.close.ffill().iloc[-1].dropna()
        return {str(symbol): float(price) for symbol, price in last.items()}
