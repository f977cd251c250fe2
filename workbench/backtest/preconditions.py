"""Preconditions: what weights, bars, costs and rules must be like before anything is replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest.fees import schedule_for
from workbench.errors import BacktestError, BarsRefused, WeightsRefused

if TYPE_CHECKING:
    from workbench.backtest.costs import Costs
    from workbench.backtest.fill_rules import FillRules
    from workbench.market.actions import Actions
    from workbench.market.bars import Bars
    from workbench.market.history import History

# Amounts that agree to this fraction are the same amount.
TOLERANCE = 1e-9


def check_history(history: History) -> None:
    """Refuse a history that no strategy can be judged on, before any work starts.

    Raises:
        BarsRefused: it has no bar or fewer than two evaluated ones, a symbol without any price, or an impossible price.
    """
    check_bars(history.bars)
    empty = history.close.isna().all()
    if empty.any():
        names = [str(symbol) for symbol in empty.index[empty]]
        raise BarsRefused(
            f"{', '.join(names[:5])}: no close in {len(history.sessions)} bars; nothing was computed.",
            remedy="drop the symbol from the study, or choose dates for which it has prices.",
        )
    if len(history.evaluated) < 2:
        raise BarsRefused(
            f"{_bars(len(history.evaluated))} between start={history.study.start.date()} and "
            f"end={history.study.end.date()}; a wish needs a later bar to be filled in. Nothing was computed.",
            remedy="use an earlier start or a later end.",
        )


def _bars(count: int) -> str:
    return "1 bar lies" if count == 1 else f"{count} bars lie"


def check_bars(bars: Bars) -> None:
    """Refuse bars that cannot be replayed.

    Raises:
        BarsRefused: there are none, or a price is not finite and greater than 0.
    """
    if not len(bars.sessions) or not bars.symbols:
        raise BarsRefused(
            f"the bars are empty: {len(bars.sessions)} sessions × {len(bars.symbols)} symbols; nothing was computed.",
            remedy="study dates and symbols for which there are data.",
        )
    for name, frame in bars:
        values = frame.to_numpy(dtype=float)
        lowest = 0.0 if name == "volume" else np.finfo(float).smallest_subnormal
        bad = (values < lowest) | np.isposinf(values)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            what = "a volume must be finite and not negative" if name == "volume" else "a price must be finite and > 0"
            raise BarsRefused(
                f"{name} of {frame.columns[column]} on {said(frame.index[row])} is {values[row, column]}; {what}. "
                "Nothing was computed.",
                remedy="repair or drop the row; the data notebook lists findings.",
            )


def check_wishes(weights: pd.DataFrame, *, max_gross: float = np.inf) -> None:
    """Refuse weights that cannot be wishes.

    Raises:
        WeightsRefused: one is infinite; or the absolute weights of a row sum to more than `max_gross`; or, where there
            are shorts or leverage, those in force do (the newest of each symbol), since nothing else would bound them.
    """
    values = weights.to_numpy(dtype=float)
    if (bad := np.isinf(values)).any():
        row, column = np.argwhere(bad)[0]
        raise WeightsRefused(
            f"the weight of {weights.columns[column]} on {said(weights.index[row])} is {values[row, column]}: it is "
            "infinite. Nothing was replayed.",
            remedy="wish for fractions of the book's value.",
        )
    _check_gross(np.abs(values), weights.index, max_gross, "the absolute weights of")
    if max_gross > 1.0 or (values < 0.0).any():
        in_force = weights.ffill().abs().to_numpy(dtype=float)
        _check_gross(in_force, weights.index, max_gross, "the absolute weights in force on")


def _check_gross(values: np.ndarray, index: pd.Index, max_gross: float, which: str) -> None:
    sums = np.nansum(values, axis=1)
    if (bad := sums > max_gross + TOLERANCE).any():
        row = int(bad.argmax())
        raise WeightsRefused(
            f"{which} {said(index[row])} sum to {sums[row]:.6f}, more than rules.max_gross={max_gross:g}. "
            "Nothing was replayed.",
            remedy="scale the row, or raise rules.max_gross if borrowing is meant.",
        )


def check(
    weights: pd.DataFrame,
    bars: Bars,
    *,
    costs: Costs,
    initial_cash: float,
    rules: FillRules,
    actions: Actions,
    sessions: pd.DatetimeIndex,
) -> None:
    """Everything that is checked before a replay. Raises BarsRefused, WeightsRefused, ParameterError, BacktestError."""
    check_bars(bars)
    close = bars.close
    if len(close) < 2:
        raise BarsRefused(
            "there is one bar; a wish needs a later bar to be filled in. Nothing was computed.",
            remedy="use an earlier start or a later end.",
        )
    if not weights.index.equals(close.index) or list(weights.columns) != list(close.columns):
        raise WeightsRefused(
            f"weights of shape {weights.shape} do not have the sessions and symbols of the bars, {close.shape}.",
            remedy="return a frame over all sessions and symbols of the history.",
        )
    if not (np.isfinite(initial_cash) and initial_cash > 0):
        raise BacktestError(f"initial_cash={initial_cash!r} must be greater than 0.", remedy="use e.g. 100_000.")
    check_wishes(weights, max_gross=rules.max_gross)
    _check_prices_of_wishes(weights, close)
    _check_volume(weights, bars, costs, rules)
    schedule_for(costs.regulatory, sessions)
    _check_delistings(close, actions, sessions)


def _check_prices_of_wishes(weights: pd.DataFrame, close: pd.DataFrame) -> None:
    wished = (weights.fillna(0.0) != 0.0).any().to_numpy()
    empty = close.isna().all().to_numpy() & wished
    if empty.any():
        names = [str(symbol) for symbol in close.columns[empty]]
        raise BarsRefused(
            f"{', '.join(names[:5])}: wished for, but without any close in {len(close)} bars. Nothing was computed.",
            remedy="drop the symbol from the study.",
        )


def _check_volume(weights: pd.DataFrame, bars: Bars, costs: Costs, rules: FillRules) -> None:
    asked = [
        name
        for name, value in (
            ("rules.max_participation", rules.max_participation),
            ("costs.slippage_participation", costs.slippage_participation),
            ("costs.impact", costs.impact),
        )
        if value
    ]
    if not asked:
        return
    wished = weights.notna().any()
    close = bars.close.loc[:, wished]
    lacking = close.notna() if bars.volume is None else close.notna() & bars.volume.loc[:, wished].isna()
    found = np.argwhere(lacking.to_numpy())
    if len(found):
        row, column = found[0]
        raise BarsRefused(
            f"{', '.join(asked)} need volumes, but {close.columns[column]} has none on {said(close.index[row])}. "
            "Nothing was computed.",
            remedy="use a source with volumes, drop the symbol, or leave these costs and rules out.",
        )


def _check_delistings(close: pd.DataFrame, actions: Actions, sessions: pd.DatetimeIndex) -> None:
    for action in actions.delistings:
        if action.symbol not in close.columns:
            continue
        later = close[action.symbol].to_numpy(dtype=float)[sessions > action.session]
        if not np.isnan(later).all():
            raise BarsRefused(
                f"{action.symbol} was delisted on {action.session.date()}, but has closes after it. "
                "Nothing was computed.",
                remedy="correct the delisting, or give the later symbol a name of its own.",
            )


def said(moment: pd.Timestamp) -> str:
    """A session as a date, an intraday moment with its time."""
    return str(moment.date()) if moment.tzinfo is None else f"{moment:%Y-%m-%d %H:%M} UTC"
