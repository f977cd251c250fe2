"""Stitching: the wishes of one cell after the other as the weights of one account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.weights import weights_of
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.backtest.sweep.evaluate import Setup


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an account does in one fold.

    Attributes:
        cell: the parameters it trades by; None: be out of everything.
        decided: the session at whose close they come into force.
        until: the last session of the fold.
    """

    cell: dict[str, Any] | None
    decided: pd.Timestamp
    until: pd.Timestamp


def stitched(setup: Setup, chosen: Sequence[Chosen]) -> tuple[pd.DataFrame, dict[int, str]]:
    """One account's weights from the first decision to the end of the last fold, frame (bar × symbol).

    Neighbouring folds with the same cell are one span: nothing is said at the edge between them. A span begins with the
    last bar of the session it was decided in, with the wish that is in force there. At a change, what the new cell says
    nothing about is to be sold: its holding was the old cell's idea.

    Args:
        chosen: the folds in order; each begins where the one before ends.

    Returns:
        The weights, and for each fold whose strategy raised out of sample its message; there the account is in cash.
    """
    history = setup.between(chosen[0].decided, chosen[-1].until).history
    index = history.evaluated
    values = np.full((len(index), len(history.symbols)), np.nan)
    failed: dict[int, str] = {}
    for number, (first, last) in enumerate(spans := _spans(chosen)):
        begin = _last_bar(setup, index, chosen[first].decided)
        end = len(index) if number + 1 == len(spans) else _last_bar(setup, index, chosen[spans[number + 1][0]].decided)
        wishes, message = _wishes(setup, chosen[first], until=chosen[last].until)
        failed |= dict.fromkeys(range(first, last + 1), message) if message else {}
        opening = int(wishes.index.searchsorted(index[begin], side="right"))
        in_force = wishes.iloc[:opening].ffill().iloc[-1].to_numpy(dtype=float)
        values[begin] = np.where(np.isnan(in_force), 0.0, in_force) if number else in_force
        values[begin + 1 : end] = wishes.iloc[opening : opening + end - begin - 1].to_numpy(dtype=float)
    columns = pd.Index(list(history.symbols), name="symbol")
    return pd.DataFrame(values, index=index.rename("session"), columns=columns), failed


def _spans(chosen: Sequence[Chosen]) -> list[tuple[int, int]]:
    """(first, last) fold of each run of equal cells."""
    spans: list[tuple[int, int]] = []
    for number, fold in enumerate(chosen):
        if spans and chosen[spans[-1][0]].cell == fold.cell:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans


def _wishes(setup: Setup, fold: Chosen, *, until: pd.Timestamp) -> tuple[pd.DataFrame, str]:
    """The weights of a span, and why there are none: then zeros, which is being out of everything."""
    part = setup.between(fold.decided, until)
    history = part.history
    message = ""
    if fold.cell is not None:
        try:
            return weights_of(part.strategy(fold.cell), history), ""
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a strategy raises spoils its own fold only
            said = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
            message = f"out of sample: {said}"
    out = pd.DataFrame(np.nan, index=history.evaluated, columns=list(history.symbols))
    out.iloc[0] = 0.0
    return out, message


def _last_bar(setup: Setup, index: pd.DatetimeIndex, session: pd.Timestamp) -> int:
    """Position in `index` of the last bar of a session."""
    history = setup.history
    if not history.intraday:
        return int(index.get_indexer(pd.DatetimeIndex([session]))[0])
    bars = history.sessions[history.session_of_bar <= session]
    return int(index.searchsorted(bars[-1]))
