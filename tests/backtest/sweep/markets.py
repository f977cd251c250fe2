"""Small markets for the tests of sweeps, and the reference engine's answer to compare with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.backtest.summary import summarise
from workbench.backtest.sweep.evaluate import METRICS
from workbench.backtest.weights import replayed, weights_of
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.study import Study

if TYPE_CHECKING:
    from workbench.backtest.sweep.evaluate import Setup

NAMES = ("AAA", "BBB", "CCC", "DDD")


def market(
    *, symbols: int = 1, length: int = 300, warm_up: int = 40, seed: int = 0, gaps: float = 0.0, opens: bool = True
) -> History:
    """A seeded random market with bars and, where asked for, gaps (a symbol may begin late and miss sessions)."""
    draw = np.random.default_rng(seed)
    shape = (length, symbols)
    close = 100 * np.exp(np.cumsum(draw.standard_t(4, shape) * 0.015, axis=0))
    opening = np.vstack([np.full((1, symbols), 100.0), close[:-1]]) * np.exp(draw.normal(0, 0.006, shape))
    missing = draw.random(shape) < gaps
    if gaps:
        missing[: draw.integers(0, length // 2), -1] = True
        opening = np.where(draw.random(shape) < gaps / 2, np.nan, opening)
    names = NAMES[:symbols]
    index = sessions.sessions("XNYS", "2004-01-02", "2022-12-30")[:length].rename("session")
    frames = {
        "close": pd.DataFrame(np.where(missing, np.nan, close), index=index, columns=list(names)),
        "open": pd.DataFrame(np.where(missing, np.nan, opening), index=index, columns=list(names)) if opens else None,
    }
    study = Study.of(list(names), start=index[warm_up], as_of=sessions.closes("XNYS", index[-1]))
    return History(study=study, bars=Bars(**frames), label=f"SYNTHETIC · seed {seed}", synthetic=True)


def of_closes(closes: list[float], *, start: int = 0, cash: float = 1000.0) -> History:
    """One symbol with these closes, evaluated from the row `start` on."""
    index = sessions.sessions("XNYS", "2004-01-02", "2022-12-30")[: len(closes)].rename("session")
    study = Study.of(["AAA"], start=index[start], as_of=sessions.closes("XNYS", index[-1]), initial_cash=cash)
    return History(study=study, bars=Bars(close=pd.DataFrame({"AAA": closes}, index=index, dtype=float)), label="hand")


def cross_cells(fast: list[int], slow: list[int]) -> pd.DataFrame:
    """Every pair with fast < slow."""
    pairs = [(one, other) for one in fast for other in slow if one < other]
    return pd.DataFrame(pairs, columns=["fast", "slow"])


def by_reference(setup: Setup, cells: pd.DataFrame, *, engine: str = "auto") -> tuple[pd.DataFrame, np.ndarray]:
    """Metrics (cell × METRICS) and returns (session × cell) of the reference engine."""
    rows, returns = [], []
    for cell in cells.to_dict("records"):
        weights = weights_of(setup.strategy(cell), setup.history)
        done = replayed(weights, setup.history, costs=setup.costs, rules=setup.rules, engine=engine)
        rows.append(summarise(done))
        returns.append(done.returns.to_numpy(dtype=float))
    frame = pd.DataFrame(rows, index=cells.index, columns=list(METRICS)).astype(float)
    return frame, np.column_stack(returns)


def assert_equal(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Every metric agrees to 1e-9, of its own size where it is larger than 1; NaN stands where NaN stands."""
    for name in (name for name in METRICS if name in wanted):
        np.testing.assert_allclose(
            found[name].to_numpy(), wanted[name].to_numpy(), rtol=1e-9, atol=1e-9, equal_nan=True, err_msg=name
        )


def with_cash(history: History, cash: float) -> History:
    """The same history with another initial cash."""
    return dataclasses.replace(history, study=dataclasses.replace(history.study, initial_cash=cash))
