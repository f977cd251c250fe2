"""Warming up: every kernel compiled now and kept on disk, so that the first sweep does not wait for the compiler."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.backtest.sweep.evaluator import Evaluator
from workbench.backtest.sweep.families import FAMILIES
from workbench.backtest.sweep.setup import Setup
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.strategies.buy_and_hold import BuyAndHold
from workbench.study import Study


def warm_up() -> dict[str, float]:
    """Compile all kernels; seconds per kernel. A second call, in this process or another one, only loads them."""
    cells = pd.DataFrame({"fast": [2], "slow": [3]})
    alone, two = _history(1), _history(2)
    work = {
        **{f"kernel:cross {kind.name}, one symbol": (Evaluator(Setup(kind, alone)), cells) for kind in FAMILIES},
        "kernel:cross, several symbols": (Evaluator(Setup(next(iter(FAMILIES)), two)), cells),
        "kernel:weights": (Evaluator(Setup(BuyAndHold, alone)), pd.DataFrame(index=[0])),
    }
    seconds: dict[str, float] = {}
    for name, (evaluator, asked) in work.items():
        begun = time.perf_counter()
        evaluator.metrics(asked)
        seconds[name] = time.perf_counter() - begun
    return seconds


def _history(symbols: int) -> History:
    index = sessions.sessions("XNYS", "2015-01-02", "2015-03-31")[:20]
    names = [f"W{number}" for number in range(symbols)]
    closes = 10.0 + np.arange(20.0)[:, None] % 7 + np.arange(symbols)
    study = Study.of(names, start=index[0], as_of=sessions.closes("XNYS", index[-1]), source="synthetic")
    bars = Bars(close=pd.DataFrame(closes, index=index, columns=names))
    return History(study=study, bars=bars, label="made up, to compile the kernels", synthetic=True)
