"""The returns of many cells side by side: which of them ever traded, their Sharpe ratios, and samples of them."""

from __future__ import annotations

import numpy as np

from workbench.backtest.metrics import ZERO


def traded(returns: np.ndarray) -> np.ndarray:
    """Which columns (session × cell) have a Sharpe ratio at all: every return is known, and they vary."""
    return np.asarray(~np.isnan(sharpes_of(returns)))


def sharpes_of(returns: np.ndarray) -> np.ndarray:
    """Sharpe ratio per session of each column (session × cell); NaN where a return is unknown or they do not vary."""
    sessions, cells = returns.shape
    found = np.full(cells, np.nan)
    for here in column_chunks(sessions, cells) if sessions > 1 else ():
        part = returns[:, here]
        with np.errstate(invalid="ignore"):  # an infinite return is as little known as a missing one
            mean = part.mean(axis=0)
            part = part - mean
            deviation = np.sqrt(np.einsum("ij,ij->j", part, part) / (sessions - 1))
        np.divide(mean, deviation, out=found[here], where=np.isfinite(deviation) & (deviation > ZERO))
    return found


def column_chunks(sessions: int, cells: int) -> list[slice]:
    """Slices over the cells, so that no temporary array is larger than some 16 MB."""
    most = max(1, 2**21 // max(sessions, 1))
    return [slice(first, min(first + most, cells)) for first in range(0, cells, most)]


def evenly_with(best: int, cells: int, *, limit: int) -> np.ndarray:
    """Positions of at most `limit` of `cells` cells, evenly spaced, `best` among them, ascending."""
    if cells <= limit:
        return np.arange(cells)
    spaced = np.linspace(0, cells - 1, limit).round().astype(np.int64)
    spaced[np.abs(spaced - best).argmin()] = best
    return spaced
