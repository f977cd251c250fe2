"""The look-ahead harness: change or cut everything after a moment, ask again, and nothing known by then may differ.

The worlds are those of `workbench audit`. Use it on whatever claims to be causal, e.g.
`assert_unchanged(strategy.target_weights, history, after=…, seed=1)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.backtest.audit.worlds import redrawn as redraw
from workbench.backtest.audit.worlds import walk
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.study import Study

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Leak", "assert_unchanged", "random_history", "redraw"]


class Leak(AssertionError):
    """An answer about the past depends on the future."""


def random_history(
    *,
    symbols: tuple[str, ...] = ("AAPL", "JNJ", "KO", "XOM"),
    length: int = 400,
    warm_up: int = 290,
    seed: int = 0,
    close_only: bool = False,
    gaps: float = 0.0,
) -> History:
    """A seeded random market on real sessions of New York: `warm_up` sessions, then those that are evaluated."""
    index = sessions.sessions("XNYS", "2012-01-03", "2016-12-30")[:length]
    bars = walk(np.full(len(symbols), 100.0), index, symbols, np.random.default_rng(seed), gaps=gaps)
    study = Study.of(
        symbols, start=index[warm_up], as_of=sessions.closes("XNYS", index[-1]), source="synthetic", seed=seed
    )
    return History(
        study=study,
        bars=Bars(close=bars.close) if close_only else bars,
        label=f"SYNTHETIC · seed {seed}",
        synthetic=True,
    )


def assert_unchanged(answer: Callable[[History], Any], history: History, *, after: pd.Timestamp, seed: int) -> None:
    """Demand that what `answer` says about sessions ≤ `after` survives a redrawn future and a cut one.

    A frame or series is compared in its rows ≤ `after`; anything else (a hash, a dict) as a whole: then `answer` must
    ask about the moment `after` itself, e.g. `lambda history: pack(history.view(after)).hash`. `after` must not lie
    before `study.start`: a history cut there asks another question.

    Raises:
        Leak: it does not.
    """
    if after < history.study.start:
        raise ValueError(f"after={after.date()} lies before start={history.study.start.date()}")
    first = _known(answer(history), after)
    for what, other in (("redrawn", redraw(history, after=after, seed=seed)), ("cut off", history.until(after))):
        second = _known(answer(other), after)
        same = first.equals(second) if isinstance(first, pd.DataFrame | pd.Series) else first == second
        if not same:
            raise Leak(f"with the future after {after.date()} {what}, the answer about the past is another one")


def _known(said: Any, after: pd.Timestamp) -> Any:
    return said.loc[:after] if isinstance(said, pd.DataFrame | pd.Series) else said
