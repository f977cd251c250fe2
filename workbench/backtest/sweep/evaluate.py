"""Evaluating many cells of one strategy: one row of metrics per cell, whichever engine computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.backtest.sweep.evaluator import Evaluator
from workbench.backtest.sweep.setup import METRICS, Setup

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["METRICS", "Evaluator", "Setup", "evaluate", "returns_of"]


def evaluate(setup: Setup, cells: pd.DataFrame) -> pd.DataFrame:
    """The metrics of each cell, by the fastest engine that gives exactly the reference engine's numbers.

    Who asks about the same history again (folds, chunks) keeps an `Evaluator` instead.

    Args:
        cells: one row per cell, one column per varied parameter.

    Returns:
        The index of `cells`; `METRICS` (NaN where undefined or failed), `engine` (who computed it: `kernel:cross`,
        `kernel:weights` or `reference`) and `error` (empty, or why the cell has no number: a strategy that raises
        spoils its own cell only).
    """
    return Evaluator(setup).metrics(cells)


def returns_of(setup: Setup, cells: pd.DataFrame) -> np.ndarray:
    """Simple returns (session × cell) from the second evaluated session on; a column of NaN where a cell failed."""
    return Evaluator(setup).returns(cells)
