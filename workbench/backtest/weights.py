"""From a strategy and a history to the weights that are replayed, and from those to a simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workbench.backtest.engine import Simulation, simulate
from workbench.backtest.preconditions import check_bars, check_wishes
from workbench.errors import BarsRefused, WeightsRefused

if TYPE_CHECKING:
    from workbench.backtest.costs import Costs
    from workbench.backtest.fill_rules import FillRules
    from workbench.market.history import History
    from workbench.strategy import Strategy


def weights_of(strategy: Strategy, history: History) -> pd.DataFrame:
    """The weights of the evaluated bars, frame (bar × symbol).

    Raises:
        BarsRefused: the history has no bars, or an impossible price; the strategy was not asked.
        WeightsRefused: they do not fit the history, are infinite, or wish for something in the warm-up.
    """
    check_bars(history.bars)
    weights = strategy.target_weights(history)
    if not isinstance(weights, pd.DataFrame):
        raise WeightsRefused(
            f"{strategy.line} returned {type(weights).__name__}, not a frame; nothing was replayed.",
            remedy="return a frame over all sessions and symbols of the history.",
        )
    if not weights.index.equals(history.sessions) or list(weights.columns) != list(history.symbols):
        raise WeightsRefused(
            f"{strategy.line} returned weights of shape {weights.shape} for a history of shape {history.close.shape}, "
            "or with another index or other columns; nothing was replayed.",
            remedy="return a frame over all sessions and symbols of the history.",
        )
    if weights.iloc[: history.begins].notna().to_numpy().any():
        raise WeightsRefused(
            f"{strategy.line} wished for something in the warm-up, before start={history.study.start.date()}.",
            remedy="leave the rows before study.start NaN.",
        )
    chosen = weights.loc[history.evaluated].rename_axis(index="session", columns="symbol").astype(float)
    check_wishes(chosen)
    return chosen


def replayed(
    weights: pd.DataFrame, history: History, *, costs: Costs, rules: FillRules, engine: str = "auto"
) -> Simulation:
    """Weights over the evaluated bars replayed through the history's bars and corporate actions.

    Args:
        engine: see `workbench.backtest.engine.simulate`.

    Raises:
        BarsRefused: fewer than two bars lie between start and end.
        BacktestError: see `workbench.backtest.engine.simulate`.
    """
    evaluated, begins = history.evaluated, history.begins
    if len(evaluated) < 2:
        raise BarsRefused(
            f"{len(evaluated)} session lies between start={history.study.start.date()} and "
            f"end={history.study.end.date()}; a wish needs a next session to be filled in.",
            remedy="use an earlier start.",
        )
    index = history.sessions
    return simulate(
        weights,
        history.bars.between(evaluated[0], evaluated[-1]),
        costs=costs,
        initial_cash=history.study.initial_cash,
        rules=rules,
        actions=history.actions,
        warm_up=history.bars.between(index[0], index[begins - 1]) if begins else None,
        sessions=history.session_of_bar[begins : begins + len(evaluated)],
        engine=engine,
    )
