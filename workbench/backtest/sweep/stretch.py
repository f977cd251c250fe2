"""A stretch of sessions: the arrays that kernels read, and whether its bars can be replayed at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest.timing import execution_price_for, lag_of, prices_at
from workbench.backtest.weights import replayed
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.backtest.sweep.setup import Setup
    from workbench.market.bars import Bars
    from workbench.market.history import History


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sessions `first` to `last` of a history, both included; all arrays are contiguous float64.

    Attributes:
        lag: sessions from wish to fill: 1, or 0 for fills at the close of the decision.
        price: prices of fills over the whole history (session × symbol), NaN where there is none.
        close, fill: closes and prices of fills over the stretch (session × symbol).
        value_at: what a share counts when fills are sized (session × symbol): the price of the fill, else the close
            known before; NaN where there is none yet.
        mark: the last known close, (symbol × session).
    """

    first: int
    last: int
    lag: int
    price: np.ndarray
    close: np.ndarray
    fill: np.ndarray
    value_at: np.ndarray
    mark: np.ndarray

    @classmethod
    def of(cls, history: History, first: int, last: int, execution_price: str) -> Stretch:
        """The stretch of these rows. Raises BacktestError when fills are asked for at opens that are not there."""
        sessions = history.sessions
        where = execution_price_for(history.bars.between(sessions[first], sessions[last]), execution_price)
        price = np.array(prices_at(history.bars, where), dtype=float, order="C")
        close = np.array(history.close, dtype=float, order="C")[first : last + 1]
        fill = price[first : last + 1]
        newest = np.maximum.accumulate(np.where(np.isnan(close), -1, np.arange(len(close))[:, None]), axis=0)
        mark = np.where(newest < 0, np.nan, np.take_along_axis(close, np.maximum(newest, 0), axis=0))
        before = np.vstack([np.full((1, close.shape[1]), np.nan), mark[:-1]])
        return cls(
            first=first,
            last=last,
            lag=lag_of(where),
            price=price,
            close=close,
            fill=fill,
            value_at=np.where(np.isnan(fill), before, fill),
            mark=np.array(mark.T, order="C"),
        )

    @property
    def complete(self) -> bool:
        """One symbol with a close and a price of fills in every session: what the fastest kernel asks for."""
        return self.close.shape[1] == 1 and not (np.isnan(self.close).any() or np.isnan(self.fill).any())

    @property
    def length(self) -> int:
        """How many sessions there are."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Part:
    """A setup over one range of sessions.

    Attributes:
        stretch: what kernels read; None where the reference engine has to look at the bars itself.
        refusal: why every cell is refused, in the reference engine's words; empty: none is.
        length: how many sessions are evaluated.
    """

    setup: Setup
    stretch: Stretch | None
    refusal: str
    length: int

    @classmethod
    def of(cls, setup: Setup) -> Part:
        """The evaluated sessions of a setup."""
        history = setup.history
        first, length = history.begins, len(history.evaluated)
        last = first + length - 1
        if length < 2 or _suspicious(history.bars.between(history.sessions[first], history.sessions[last])):
            return cls(setup, None, _refusal(setup), length)
        try:
            stretch = Stretch.of(history, first, last, setup.rules.execution_price)
        except WorkbenchError as error:
            return cls(setup, None, str(error), length)
        return cls(setup, stretch, "", length)


def _suspicious(bars: Bars) -> bool:
    """Whether a number is in the bars that the reference engine may refuse."""
    return any(
        bool(((values := frame.to_numpy(dtype=float)) < 0.0).any() or np.isinf(values).any())
        or (name != "volume" and bool((values == 0.0).any()))
        for name, frame in bars
    )


def _refusal(setup: Setup) -> str:
    """What the reference engine says about the bars when nothing at all is wished for."""
    history = setup.history
    silent = pd.DataFrame(np.nan, index=history.evaluated, columns=history.close.columns)
    try:
        replayed(silent, history, costs=setup.costs, rules=setup.rules)
    except WorkbenchError as error:
        return str(error)
    return ""
