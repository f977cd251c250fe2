"""Kept: an evaluator whose answers stay on disk, so that an examination killed at any instant goes on where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.backtest.sweep.chunking import chunk_size
from workbench.backtest.sweep.evaluator import Evaluator

if TYPE_CHECKING:
    from workbench.backtest.sweep.chunking import Store
    from workbench.backtest.sweep.setup import Setup


class Kept(Evaluator):
    """An evaluator that keeps the metrics it gives, piece by piece, and finds them again.

    Answers are numbered in the order in which they are asked for, which has to be the same whenever the same question
    is examined: it is, since examinations are deterministic and their code is part of the question.

    Args:
        setup: as of an `Evaluator`.
        store: of this question alone.
    """

    def __init__(self, setup: Setup, store: Store) -> None:
        super().__init__(setup)
        self._store = store
        self._size = chunk_size(setup)
        self._asked = 0

    def metrics(self, cells: pd.DataFrame, start: Any = None, end: Any = None) -> pd.DataFrame:
        """As of an `Evaluator`; every piece is kept as soon as it is there."""
        pieces = [
            self._piece(cells.iloc[begin : begin + self._size], start, end)
            for begin in range(0, len(cells), self._size)
        ]
        return pd.concat(pieces) if pieces else super().metrics(cells, start, end)

    def _piece(self, cells: pd.DataFrame, start: Any, end: Any) -> pd.DataFrame:
        number, self._asked = self._asked, self._asked + 1
        found = self._store.load(number)
        if found is None or not found.index.equals(cells.index):
            found = super().metrics(cells, start, end)
            self._store.save(number, found)
        return found
