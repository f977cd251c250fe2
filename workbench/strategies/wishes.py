"""From what a strategy wants after every session to the sparse rows of weights it emits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from workbench.market.history import History


def emit_changes(wanted: pd.DataFrame, history: History) -> pd.DataFrame:
    """Weights that speak only when something changes: a whole row then, NaN rows in between.

    The first row is emitted at the first evaluated session in which anything is known, zeros included, so that the wish
    "be out" is said too. A row at t depends on rows ≤ t of `wanted` only.

    Args:
        wanted: (session × symbol) fraction wanted after each close; NaN where the strategy has no opinion yet.
        history: gives the first evaluated session and which symbols have a price; a symbol without one gets NaN.
    """
    want = wanted.to_numpy(dtype=float)
    speaks = ~np.isnan(want) & ~np.isnan(history.close.to_numpy(dtype=float))
    weights = np.full(want.shape, np.nan)
    said = np.zeros(want.shape[1])
    silent = True
    for row in range(history.begins, len(want)):
        able = speaks[row]
        if able.any() and (silent or bool((want[row, able] != said[able]).any())):
            weights[row, able] = want[row, able]
            said[able] = want[row, able]
            silent = False
    return as_weights(weights, history)


def as_weights(values: np.ndarray, history: History) -> pd.DataFrame:
    """An array of shape (session × symbol) as a weights frame over all sessions of `history`."""
    return pd.DataFrame(
        values,
        index=history.sessions.rename("session"),
        columns=pd.Index(list(history.symbols), name="symbol"),
        dtype=float,
    )
