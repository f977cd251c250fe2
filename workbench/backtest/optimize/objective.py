"""Objective: what a search maximises: a metric minus penalties, each of them written down with its unit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.backtest.validation.judging import Judge
from workbench.errors import ParameterError

# Metrics of a sweep of which more is better.
BETTER_WHEN_HIGHER = (
    "sharpe",
    "sortino",
    "calmar",
    "cagr",
    "total_return",
    "max_drawdown",
    "profit_factor",
    "win_rate",
    "final_equity",
)


@dataclass(frozen=True, slots=True)
class Objective:
    """metric − turnover · T − drawdown · max(0, D − limit) − trades · max(0, 1 − N/least) − complexity · C.

    T is the turnover per year (1: the book was exchanged once), D the depth of the maximum drawdown (0.3: 30 % were
    lost), N the number of closed trades, C how many parameters differ from the strategy's defaults. Every weight is in
    units of the metric. Where the metric or something penalised is undefined, so is the objective: NaN, the worst.

    Attributes:
        metric: one of `BETTER_WHEN_HIGHER`.
        turnover: lost per unit of yearly turnover.
        drawdown: lost per 1.0 (100 %) of drawdown beyond `drawdown_limit`: with 10 and a limit of 0.2 a drawdown of
            30 % costs 1.
        drawdown_limit: a fraction from 0 to 1.
        trades: lost by a cell without any trade; half of it with half of `least_trades`.
        least_trades: as many closed trades are wished for over all the sessions searched.
        complexity: lost per parameter that is not at its default: each one was a choice.
    """

    metric: str = "sharpe"
    turnover: float = 0.0
    drawdown: float = 0.0
    drawdown_limit: float = 0.2
    trades: float = 0.0
    least_trades: int = 0
    complexity: float = 0.0

    def __post_init__(self) -> None:
        if self.metric not in BETTER_WHEN_HIGHER:
            raise ParameterError(
                f"objective.metric={self.metric!r} is not one of {', '.join(BETTER_WHEN_HIGHER)}.",
                remedy="use 'sharpe'.",
            )
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name != "metric" and not (math.isfinite(value) and value >= 0):
                raise ParameterError(
                    f"objective.{item.name}={value!r} must be a finite number from 0 on.",
                    remedy="penalties are taken off; write them without a sign.",
                )
        if self.drawdown_limit > 1.0:
            raise ParameterError(
                f"objective.drawdown_limit={self.drawdown_limit!r} is more than everything.",
                remedy="write 20 % as 0.2.",
            )

    def scores(
        self, cells: pd.DataFrame, found: pd.DataFrame, *, defaults: Mapping[str, Any] | None = None, share: float = 1.0
    ) -> np.ndarray:
        """The objective of each cell; NaN where undefined. Arguments as for `terms`."""
        total = self.terms(cells, found, defaults=defaults, share=share).sum(axis=1, skipna=False)
        values: np.ndarray = total.to_numpy(dtype=float)
        return np.where(np.isfinite(values), values, np.nan)

    def terms(
        self, cells: pd.DataFrame, found: pd.DataFrame, *, defaults: Mapping[str, Any] | None = None, share: float = 1.0
    ) -> pd.DataFrame:
        """The metric and what each penalty takes off (≤ 0); their sum is the objective.

        Penalties of weight 0 are left out, so that a number nobody asked about spoils nothing.

        Args:
            cells: parameters, one row per cell.
            found: their metrics, the same rows in the same order.
            defaults: the strategy's default of each parameter, see `defaults_of`.
            share: of the sessions that `found` is about; `least_trades` shrinks with it.
        """
        terms = {self.metric: found[self.metric].to_numpy(dtype=float)}
        if self.turnover:
            terms["turnover"] = -self.turnover * found["turnover"].to_numpy(dtype=float)
        if self.drawdown:
            depth = -found["max_drawdown"].to_numpy(dtype=float)
            terms["drawdown"] = -self.drawdown * np.maximum(depth - self.drawdown_limit, 0.0)
        if self.trades and self.least_trades:
            short = 1.0 - found["trades"].to_numpy(dtype=float) / (self.least_trades * share)
            terms["trades"] = -self.trades * np.maximum(short, 0.0)
        if self.complexity:
            moved = np.zeros(len(cells))
            for name in cells.columns:
                moved += (cells[name] != (defaults or {}).get(str(name))).to_numpy(dtype=float)
            terms["complexity"] = -self.complexity * moved
        return pd.DataFrame(terms, index=cells.index)

    def judge(self, defaults: Mapping[str, Any] | None = None, *, share: float = 1.0) -> Judge:
        """The objective as walk-forward asks for it."""

        def by_objective(cells: pd.DataFrame, found: pd.DataFrame) -> np.ndarray:
            return self.scores(cells, found, defaults=defaults, share=share)

        return by_objective

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `Objective(**values)` is the inverse."""
        return dataclasses.asdict(self)
