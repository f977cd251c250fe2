"""Chunks of a sweep: how large they are, and how one is computed wherever it is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from workbench.backtest.sweep.evaluator import Evaluator, unsupported
from workbench.backtest.sweep.families import family_of

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.sweep.setup import Setup

# Called with (cells done, cells in all) after each chunk; what it raises stops the sweep.
Progress: TypeAlias = Callable[[int, int], None]

# What a chunk should take on one thread: long enough to be worth a message, short enough to be cancelled in between.
CHUNK_SECONDS = 0.1
# Seconds that a cell takes, roughly: per bar (and symbol) in the kernels, per bar of a strategy that decides in Python,
# per cell and per bar in the reference engine. Only the size of chunks depends on them.
_ALONE, _SHARED, _DECIDING, _REFERENCE, _REFERENCE_BAR = 1e-9, 1e-8, 2e-6, 5e-3, 2e-6
_MOST = 50_000


class Store(Protocol):
    """Keeps finished chunks, so that a sweep that is asked again goes on where it stopped."""

    def load(self, number: int) -> pd.DataFrame | None:
        """A finished chunk; None when there is none."""

    def save(self, number: int, frame: pd.DataFrame) -> None:
        """Keep a finished chunk."""


def compute_chunk(setup: Setup, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells beside their metrics; for processes elsewhere: all it needs comes with the call and can be pickled."""
    return cells.join(Evaluator(setup).metrics(cells))


def chunk_size(setup: Setup, *, seconds: float = CHUNK_SECONDS) -> int:
    """How many cells make a chunk of about `seconds` on one thread; the same on every machine."""
    bars, symbols = len(setup.history.evaluated), len(setup.history.symbols)
    if unsupported(setup):
        cell = _REFERENCE + bars * _REFERENCE_BAR
    elif family_of(setup.kind) is None:
        cell = bars * _DECIDING
    else:
        cell = bars * (_ALONE if symbols == 1 else symbols * _SHARED)
    return max(1, min(_MOST, int(seconds / max(cell, 1e-9))))
