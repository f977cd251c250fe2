"""A market where the right answer is planted: cell x holds symbol x, and each symbol's drift is given."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.backtest.costs import Costs
from workbench.backtest.sweep.evaluate import Setup
from workbench.errors import ParameterError
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.strategies.wishes import emit_changes
from workbench.strategy import Strategy
from workbench.study import Study

WARM_UP = 30


class Pick(Strategy):
    """Hold symbol number `x` all the time; -1 is refused, and -2 raises while it works."""

    name: ClassVar[str] = "pick"
    warm_up: ClassVar[int] = 0

    x: int = 0
    kind: str = "a"

    def model_post_init(self, _context):
        if self.x == -1:
            raise ParameterError("x=-1 is refused.", remedy="use 0.")

    def target_weights(self, history):
        if self.x == -2:
            raise ArithmeticError("it cannot be")
        wanted = pd.DataFrame(0.0, index=history.sessions, columns=list(history.symbols))
        wanted.iloc[:, self.x] = 1.0
        return emit_changes(wanted, history)


def market(drifts, *, length=300, seed=0, noise=0.01):
    """Closes whose log returns are noise plus the drift of their symbol; `drifts`: (symbol,) or (session × symbol)."""
    drifts = np.asarray(drifts, dtype=float)
    index = sessions.sessions("XNYS", "2012-01-03", "2018-12-31")[: length + WARM_UP]
    symbols = tuple(f"S{number}" for number in range(drifts.shape[-1]))
    steps = np.random.default_rng(seed).normal(0.0, noise, (len(index), len(symbols)))
    steps[WARM_UP:] += drifts
    close = pd.DataFrame(
        100.0 * np.exp(np.cumsum(steps, axis=0)),
        index=index.rename("session"),
        columns=pd.Index(symbols, name="symbol"),
    )
    study = Study.of(
        symbols, start=index[WARM_UP], as_of=sessions.closes("XNYS", index[-1]), source="synthetic", seed=7
    )
    return History(study=study, bars=Bars(close=close), label="SYNTHETIC · planted", synthetic=True)


def setup(drifts, *, slippage=0.0, fee=0.0, **more):
    """The planted market with `Pick` on it, free of costs unless said."""
    return Setup(Pick, market(drifts, **more), costs=Costs(fee=fee, slippage=slippage))


def cells(*numbers):
    """One cell per number of a symbol."""
    return pd.DataFrame({"x": list(numbers)})
