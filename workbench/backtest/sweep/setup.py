"""The setup of a sweep: what is the same for all of its cells, and the numbers that each cell is given."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from workbench.backtest.costs import Costs
from workbench.backtest.fill_rules import FillRules
from workbench.errors import ParameterError

if TYPE_CHECKING:
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
        return built(self.kind, {**self.fixed, **cell})

    def between(self, start: pd.Timestamp | None, end: pd.Timestamp | None) -> Setup:
        """The same over fewer sessions: the bars before `start` become warm-up, those after `end` are cut off."""
        history = self.history if end is None else self.history.until(end)
        if start is not None:
            history = dataclasses.replace(history, study=dataclasses.replace(history.study, start=pd.Timestamp(start)))
        return dataclasses.replace(self, history=history)


def built(kind: type[Strategy], params: dict[str, Any]) -> Strategy:
    """A strategy with these parameters. Raises ParameterError naming each parameter, its value and its bound."""
    try:
        return kind(**params)
    except ValidationError as error:
        raise refused(kind, error) from error


def refused(kind: type[Strategy], error: ValidationError, parameter: str = "") -> ParameterError:
    """What pydantic found wrong, as an error of ours; `parameter` is its name where one value was checked alone."""
    rows = "; ".join(
        f"{'.'.join(str(part) for part in (parameter, *row['loc']) if part != '')}={row['input']!r}: {row['msg']}"
        for row in error.errors(include_url=False)
    )
    return ParameterError(f"{kind.name} cannot be built: {rows}.", remedy=f"look at the parameters of {kind.__name__}.")
