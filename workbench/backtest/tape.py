"""Tape: what the bars say, as arrays, with only what was known before each bar where costs look back."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest.calendar import effects, growth, sessions_of
from workbench.backtest.slippage import mean_before, volatility_before
from workbench.backtest.timing import prices_at

if TYPE_CHECKING:
    from workbench.backtest.costs import Costs
    from workbench.backtest.fill_rules import FillRules
    from workbench.market.actions import Actions, Delisting, Dividend, Split
    from workbench.market.bars import Bars


@dataclass(frozen=True, slots=True)
class Tape:
    """Arrays of shape (bar × symbol), and one date and one UTC moment per bar.

    Attributes:
        reference: prices at which wishes are filled, before costs; NaN where there is none.
        possible: where a fill can happen: there is a price, the bar has a volume above 0 where volume is asked for, and
            volatility and mean volume are known where a cost needs them.
        volume, sigma, mean_volume: see `workbench.backtest.slippage.worse`; NaN throughout where nobody asks for them.
        effects: corporate actions by the row in which they take effect.
        growth: how many shares of each bar one share of the first bar became by splits; None without splits.
        known: the newest close of each symbol before the first bar, NaN where there is none.
    """

    symbols: tuple[str, ...]
    days: list[dt.date]
    moments: list[dt.datetime]
    reference: np.ndarray
    close: np.ndarray
    possible: np.ndarray
    volume: np.ndarray
    sigma: np.ndarray
    mean_volume: np.ndarray
    effects: dict[int, list[tuple[int, Dividend | Split | Delisting]]]
    growth: np.ndarray | None
    known: np.ndarray

    @classmethod
    def of(
        cls,
        bars: Bars,
        *,
        costs: Costs,
        rules: FillRules,
        actions: Actions,
        execution_price: str,
        sessions: pd.DatetimeIndex,
        warm_up: Bars | None = None,
    ) -> Tape:
        """Read the bars.

        Args:
            sessions: the session of each bar.
            warm_up: bars of the same symbols before the first bar; volatility and mean volume look back into them.
        """
        reference = prices_at(bars, execution_price)
        if rules.sized_at == "decision":  # a day order that the open did not fill is filled at the close
            reference = np.where(np.isnan(reference), bars.close.to_numpy(dtype=float), reference)
        possible = ~np.isnan(reference)
        unknown = np.full(reference.shape, np.nan)
        volume = sigma = mean_volume = unknown
        parts = [part for part in (warm_up, bars) if part is not None and len(part.sessions)]
        begin = sum(len(part.sessions) for part in parts) - len(sessions)
        all_sessions = sessions if begin == 0 else pd.DatetimeIndex(sessions_of(parts[0].sessions).append(sessions))
        grown = growth(actions, all_sessions, bars.symbols)
        if rules.max_participation or costs.slippage_participation:
            volume = _column_of(parts[-1:], "volume")
            possible &= volume > 0.0
        if costs.slippage_volatility or costs.impact:
            close = _column_of(parts, "close")
            sigma = volatility_before(close if grown is None else close * grown)[begin:]
            possible &= ~np.isnan(sigma)
        if costs.impact:
            # Counted in shares of each bar: a split makes more shares change hands, not more of the company.
            shares = _column_of(parts, "volume")
            mean_volume = mean_before(shares) if grown is None else mean_before(shares / grown) * grown
            mean_volume = mean_volume[begin:]
            possible &= mean_volume > 0.0
        moments = bars.sessions if bars.sessions.tz is not None else bars.sessions.tz_localize("UTC")
        return cls(
            symbols=bars.symbols,
            days=[session.date() for session in sessions],
            moments=list(moments.to_pydatetime()),
            reference=reference,
            close=bars.close.to_numpy(dtype=float),
            possible=possible,
            volume=volume,
            sigma=sigma,
            mean_volume=mean_volume,
            effects=effects(actions, sessions, bars.symbols),
            growth=None if grown is None else grown[begin:] / grown[begin],
            known=_known(warm_up, len(bars.symbols)),
        )


def _known(warm_up: Bars | None, width: int) -> np.ndarray:
    if warm_up is None or not len(warm_up.sessions):
        return np.full(width, np.nan)
    return np.asarray(warm_up.close.ffill().iloc[-1].to_numpy(dtype=float))


def _column_of(parts: list[Bars], name: str) -> np.ndarray:
    """One field of consecutive bars, NaN where a part does not have it."""
    found = []
    for part in parts:
        frame = getattr(part, name)
        found.append(np.full(part.close.shape, np.nan) if frame is None else frame.to_numpy(dtype=float))
    return np.concatenate(found)
