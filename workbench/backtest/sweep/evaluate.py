"""Evaluating many cells of one strategy: one row of metrics per cell, whichever engine computes it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.backtest.summary import summarise
from workbench.backtest.weights import replayed, weights_of
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.backtest.engine import Simulation
    from workbench.market.history import History
    from workbench.strategy import Strategy

METRICS = (
    "total_return",
    "cagr",
    "annual_volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "skewness",
    "kurtosis",
    "exposure",
    "turnover",
    "trades",
    "open_trades",
    "win_rate",
    "profit_factor",
    "cost",
    "final_equity",
)


@dataclass(frozen=True)
class Setup:
    """What is the same for all cells.

    Attributes:
        kind: the strategy's class.
        history: the bars, with warm-up.
        fixed: parameters that do not vary.
    """

    kind: type[Strategy]
    history: History
    costs: Costs = field(default_factory=Costs)
    rules: FillRules = field(default_factory=FillRules)
    fixed: dict[str, Any] = field(default_factory=dict)

    def strategy(self, cell: dict[str, Any]) -> Strategy:
        """The idea of one cell. Raises ParameterError when its parameters are refused."""
        return self.kind(**self.fixed, **cell)

    def between(self, start: pd.Timestamp | None, end: pd.Timestamp | None) -> Setup:
        """The same over fewer sessions: the bars before `start` become warm-up, those after `end` are cut off."""
        history = self.history if end is None else self.history.until(end)
        if start is not None:
            history = dataclasses.replace(history, study=dataclasses.replace(history.study, start=pd.Timestamp(start)))
        return dataclasses.replace(self, history=history)


def evaluate(setup: Setup, cells: pd.DataFrame) -> pd.DataFrame:
    """The metrics of each cell, by the fastest engine that gives exactly the reference engine's numbers.

    Args:
        cells: one row per cell, one column per varied parameter.

    Returns:
        The index of `cells`; `METRICS` (NaN where undefined or failed), `engine` (who computed it) and `error` (empty,
        or why the cell has no number: a strategy that raises spoils its own cell only).
    """
    rows: list[dict[str, Any]] = []
    for cell in _records(cells):
        try:
            found = summarise(_simulated(setup, cell))
        except (WorkbenchError, ArithmeticError, ValueError, TypeError, LookupError) as error:
            rows.append({"engine": "reference", "error": str(error)})
        else:
            rows.append({name: found[name] for name in METRICS} | {"engine": "reference", "error": ""})
    frame = pd.DataFrame(rows, index=cells.index, columns=[*METRICS, "engine", "error"])
    return frame.astype(dict.fromkeys(METRICS, float))


def returns_of(setup: Setup, cells: pd.DataFrame) -> np.ndarray:
    """Simple returns (session × cell) from the second evaluated session on; a column of NaN where a cell failed."""
    columns = []
    length = len(setup.history.evaluated) - 1
    for cell in _records(cells):
        try:
            columns.append(_simulated(setup, cell).returns.to_numpy(dtype=float))
        except (WorkbenchError, ArithmeticError, ValueError, TypeError, LookupError):
            columns.append(np.full(length, np.nan))
    return np.column_stack(columns) if columns else np.empty((length, 0))


def _records(cells: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in cells.to_dict("records")]


def _simulated(setup: Setup, cell: dict[str, Any]) -> Simulation:
    weights = weights_of(setup.strategy(cell), setup.history)
    return replayed(weights, setup.history, costs=setup.costs, rules=setup.rules)
