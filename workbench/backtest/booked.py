"""Booked: what an engine filled, paid and received, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


def _integers() -> np.ndarray:
    return np.empty(0, dtype=np.int64)


def _floats() -> np.ndarray:
    return np.empty(0)


def _booleans() -> np.ndarray:
    return np.empty(0, dtype=bool)


@dataclass(frozen=True, slots=True)
class Fills:
    """Fills in the order in which they happened, one entry each.

    `row` and `column` say in which bar and of which symbol, `decided` in which row it was wished; `signed` shares
    (negative: sold) at `price`, wanted at `reference`; costs ≥ 0 in currency; `held` signed shares afterwards; `ruin`
    where the book was closed by force.
    """

    row: np.ndarray = field(default_factory=_integers)
    column: np.ndarray = field(default_factory=_integers)
    decided: np.ndarray = field(default_factory=_integers)
    signed: np.ndarray = field(default_factory=_floats)
    price: np.ndarray = field(default_factory=_floats)
    reference: np.ndarray = field(default_factory=_floats)
    fee: np.ndarray = field(default_factory=_floats)
    slippage: np.ndarray = field(default_factory=_floats)
    spread: np.ndarray = field(default_factory=_floats)
    impact: np.ndarray = field(default_factory=_floats)
    held: np.ndarray = field(default_factory=_floats)
    ruin: np.ndarray = field(default_factory=_booleans)


@dataclass(frozen=True, slots=True)
class Flows:
    """Cash without a fill: in bar `row`, of symbol `column` (−1: of none), `kind` in `FINANCING_COLUMNS`, signed."""

    row: np.ndarray = field(default_factory=_integers)
    column: np.ndarray = field(default_factory=_integers)
    kind: np.ndarray = field(default_factory=_integers)
    amount: np.ndarray = field(default_factory=_floats)


@dataclass(frozen=True, slots=True)
class Delisted:
    """Holdings that ended at the close of bar `row` because their symbol did: `held` shares became `value` each."""

    row: np.ndarray = field(default_factory=_integers)
    column: np.ndarray = field(default_factory=_integers)
    held: np.ndarray = field(default_factory=_floats)
    value: np.ndarray = field(default_factory=_floats)


@dataclass(frozen=True, slots=True)
class Booked:
    """Everything an engine wrote down.

    Attributes:
        cash: after each bar.
        positions: signed shares after each bar (bar × symbol).
        growth: how many shares of each bar one share of the first bar became by splits (bar × symbol); None: no splits.
        ruined: row of the bar that ended with nothing left.
    """

    fills: Fills
    cash: np.ndarray
    positions: np.ndarray
    flows: Flows = field(default_factory=Flows)
    delisted: Delisted = field(default_factory=Delisted)
    growth: np.ndarray | None = None
    ruined: int | None = None
