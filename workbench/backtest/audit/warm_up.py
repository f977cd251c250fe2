"""Does it remember where its history began? Begin later: the weights of the evaluated bars must not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from workbench.backtest.audit.check import FAIL, PASS, WARN, Check, Subject, many
from workbench.backtest.audit.future import moments, stamp
from workbench.backtest.audit.worlds import later
from workbench.errors import StrategyFailed

# A weight that differs by less than a millionth of the book is the same wish.
TOLERANCE = 1e-6
# Where between none and what is declared, and between that and what is loaded, the history is made to begin.
_BELOW = (0.0, 0.25, 0.5, 0.75)
_ABOVE = (0.0, 0.1, 0.25, 0.5, 0.75)

WHY = (
    "A recursive indicator (an exponential mean, an RSI) remembers its first bar. If the warm-up is too short, the "
    "same evening gives another order in a backtest that begins elsewhere, and at the desk."
)
THRESHOLD = (
    f"FAIL when a weight changes by more than {TOLERANCE:g} although at least the declared warm-up was there. WARN "
    "when the history holds no more bars before its start than are declared, so that nothing could be tried."
)


def check(subject: Subject) -> Check:
    """Ask with less and less history before the first evaluated bar; say how much is needed."""
    declared, loaded = int(subject.strategy.warm_up), subject.history.begins
    rows = []
    for bars in amounts(declared, loaded):
        try:
            weights = subject.weights_in(later(subject.history, warm_up=bars), f"{many(bars, 'bar')} of warm-up")
        except StrategyFailed:
            if bars >= declared:
                raise
            rows.append({"warm_up": bars, **_unanswered()})
            continue
        rows.append({"warm_up": bars, **drift(subject.weights, weights)})
    numbers = pd.DataFrame(rows, columns=["warm_up", "enough", "changed", "largest_change", "last_change"]).astype(
        {"warm_up": int, "enough": bool, "changed": float, "largest_change": float}
    )
    numbers["last_change"] = moments(numbers["last_change"], like=subject.weights.index)
    needed = _needed(numbers)
    summary = {"warm_up_declared": float(declared), "warm_up_needed": np.nan if needed is None else float(needed)}
    enough = "" if needed is None else f"; {many(needed, 'bar')} would have been enough"
    tried = numbers[numbers["warm_up"] >= declared]
    if tried.empty:
        headline = (
            f"The history has {many(loaded, 'bar')} before the first evaluated one, and {declared:,} are declared: it "
            f"could not be tried whether they suffice{enough}."
        )
        return Check("warm_up", WARN, headline, numbers, WHY, THRESHOLD, summary)
    broken = tried[~tried["enough"]]
    if broken.empty:
        headline = (
            f"With the declared warm-up of {many(declared, 'bar')} or more, no weight depends on where the history "
            f"begins{enough if needed is not None and needed < declared else ''}."
        )
        return Check("warm_up", PASS, headline, numbers, WHY, THRESHOLD, summary)
    row = broken.iloc[-1]
    wanted = (
        f"more than {numbers['warm_up'].max():,} are needed"
        if needed is None
        else f"a warm_up of {needed:,} would be needed"
    )
    headline = (
        f"With {many(int(row['warm_up']), 'bar')} of warm-up ({declared:,} declared), "
        f"{many(int(row['changed']), 'weight')} changed, by up to {row['largest_change']:.2g}, the last in "
        f"{stamp(row['last_change'])}: {wanted}."
    )
    return Check("warm_up", FAIL, headline, numbers, WHY, THRESHOLD, summary)


def amounts(declared: int, loaded: int) -> list[int]:
    """How many bars of warm-up are tried, ascending, each fewer than the `loaded` ones."""
    below = {int(declared * share) for share in _BELOW}
    above = {declared + int((loaded - declared) * share) for share in _ABOVE} if declared < loaded else set()
    return sorted(bars for bars in below | above if bars < loaded)


def drift(old: pd.DataFrame, new: pd.DataFrame) -> dict[str, Any]:
    """How far two answers about the same bars are apart.

    Returns:
        `enough` (they are the same to `TOLERANCE`), `changed` (number of cells), `largest_change` (of a weight; a wish
        that appears or disappears counts with its own size), `last_change` (bar; NaT where nothing changed).
    """
    a, b = old.to_numpy(dtype=float), new.to_numpy(dtype=float)
    silent = np.isnan(a) & np.isnan(b)
    apart = np.where(silent, 0.0, np.abs(np.nan_to_num(a) - np.nan_to_num(b)))
    changed = ~silent & ((apart > TOLERANCE) | (np.isnan(a) != np.isnan(b)))
    rows = np.flatnonzero(changed.any(axis=1))
    return {
        "enough": not len(rows),
        "changed": float(changed.sum()),
        "largest_change": float(apart.max()) if apart.size else 0.0,
        "last_change": old.index[rows[-1]] if len(rows) else pd.NaT,
    }


def _unanswered() -> dict[str, Any]:
    """Fewer bars than declared: the strategy may refuse them."""
    return {"enough": False, "changed": np.nan, "largest_change": np.nan, "last_change": pd.NaT}


def _needed(numbers: pd.DataFrame) -> int | None:
    """The smallest warm-up tried from which on nothing changed; None when the largest changed something."""
    needed = None
    for bars, enough in zip(numbers["warm_up"][::-1], numbers["enough"][::-1], strict=True):
        if not enough:
            break
        needed = int(bars)
    return needed
