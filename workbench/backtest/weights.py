"""From a strategy and a history to the weights that are replayed, and from those to a simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.backtest.engine import Simulation, simulate
from workbench.errors import BarsRefused, WeightsRefused

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.costs import Costs
    from workbench.backtest.fill_rules import FillRules
    from workbench.market.history import History
    from workbench.strategy import Strategy


def weights_of(strategy: Strategy, history: History) -> pd.DataFrame:
    """The weights of the evaluated sessions, frame (session × symbol).

    Raises:
        WeightsRefused: they do not fit the history, or wish for something in the warm-up.
    """
    weights = strategy.target_weights(history)
    if not weights.index.equals(history.sessions) or list(weights.columns) != list(history.symbols):
        raise WeightsRefused(
            f"{strategy.line} returned weights of shape {weights.shape} for a history of shape {history.close.shape}.",
            remedy="return a frame over all sessions and symbols of the history.",
        )
    early = weights.loc[weights.index < history.study.start]
    if early.notna().to_numpy().any():
        raise WeightsRefused(
            f"{strategy.line} wished for something in the warm-up, before start={history.study.start.date()}.",
            remedy="leave the rows before study.start NaN.",
        )
    chosen: pd.DataFrame = weights.loc[history.evaluated].rename_axis(index="session", columns="symbol").astype(float)
    return chosen


def replayed(weights: pd.DataFrame, history: History, *, costs: Costs, rules: FillRules) -> Simulation:
    """Weights over the evaluated sessions replayed through the history's bars.

    Raises:
        BarsRefused: fewer than two sessions lie between start and end.
        BacktestError: see `workbench.backtest.engine.simulate`.
    """
    evaluated = history.evaluated
    if len(evaluated) < 2:
        raise BarsRefused(
            f"{len(evaluated)} session lies between start={history.study.start.date()} and "
            f"end={history.study.end.date()}; a wish needs a next session to be filled in.",
            remedy="use an earlier start.",
        )
    return simulate(
        weights,
        history.bars.between(evaluated[0], evaluated[-1]),
        costs=costs,
        initial_cash=history.study.initial_cash,
        execution_price=rules.execution_price,
    )
