"""Calendar: in which bar a corporate action takes effect, and what splits do to the series of prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.market.actions import Delisting, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.market.actions import Actions, Dividend


def sessions_of(index: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The session of each bar as far as the index alone says: itself, or the UTC date of an intraday moment."""
    return index if index.tz is None else index.tz_localize(None).normalize()


def effects(
    actions: Actions, sessions: pd.DatetimeIndex, symbols: Sequence[str]
) -> dict[int, list[tuple[int, Dividend | Split | Delisting]]]:
    """For each row in which something takes effect: (column, action), in the order of the actions.

    A dividend or a split takes effect at the open of the first bar of its session, a delisting after the last bar of
    it. Where the session has no bar, the former wait for the next bar and the latter came after the bar before. Actions
    before the first or after the last bar have no effect.
    """
    column = {symbol: number for number, symbol in enumerate(symbols)}
    found: dict[int, list[tuple[int, Dividend | Split | Delisting]]] = {}
    for action in actions:
        if action.symbol not in column or not sessions[0] <= action.session <= sessions[-1]:
            continue
        if isinstance(action, Delisting):
            row = int(sessions.searchsorted(action.session, side="right")) - 1
        else:
            row = int(sessions.searchsorted(action.session, side="left"))
        found.setdefault(row, []).append((column[action.symbol], action))
    return found


def growth(actions: Actions, sessions: pd.DatetimeIndex, symbols: Sequence[str]) -> np.ndarray | None:
    """How many shares of each bar one share of the first bar became by splits (bar × symbol); None without splits."""
    ratios = np.ones((len(sessions), len(symbols)))
    any_split = False
    for row, taking_effect in effects(actions, sessions, symbols).items():
        for column, action in taking_effect:
            if isinstance(action, Split) and row > 0:
                ratios[row, column] *= action.ratio
                any_split = True
    return np.cumprod(ratios, axis=0) if any_split else None
