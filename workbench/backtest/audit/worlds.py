"""Other worlds to ask a strategy in: another future, its mirror image, none; a later beginning, fewer symbols."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.market.actions import Actions
from workbench.market.bars import Bars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.market.history import History

# Log returns of a redrawn future: Student's t with this many degrees of freedom, times a scale.
_TAIL = 4
_SCALE = 0.012
_LEAST_SCALE = 0.002


def redrawn(history: History, *, after: pd.Timestamp, seed: int, gaps: float = 0.1) -> History:
    """The same past up to and including the bar `after`, and another future: new prices, volumes and gaps.

    Each symbol goes on from its last known close as a random walk with fat tails and the volatility of its own past
    (1.7 % per bar where there are fewer than 20 returns). Corporate actions after `after` are gone: nobody knew them.

    Args:
        after: a bar of the history.
        seed: the same seed draws the same future.
        gaps: share of the bars to come that are missing.
    """
    past = history.sessions <= after
    known = history.close.loc[past]
    begin = known.ffill().iloc[-1].fillna(100.0).to_numpy(dtype=float)
    rng = np.random.default_rng(seed)
    other = walk(begin, history.sessions[~past], history.symbols, rng, gaps=gaps, scale=_scale_of(known))
    frames = {
        name: pd.DataFrame(
            np.concatenate([frame.to_numpy(dtype=float)[past], getattr(other, name).to_numpy(dtype=float)]),
            index=frame.index,
            columns=frame.columns,
        )
        for name, frame in history.bars
    }
    session = history.session_of_bar[past][-1]
    return dataclasses.replace(history, bars=Bars(**frames), actions=history.actions.until(session))


def mirrored(history: History, *, after: pd.Timestamp) -> History:
    """The same past up to and including the bar `after`, and what came then upside down: each rise is a fall.

    Each price p to come is c²/p, where c is the symbol's last known close (its first one, where it comes later); highs
    become lows; volumes come in reverse order. A wish that follows the sign of a return to come is turned around for
    certain, where a random future would turn it around half of the time. Actions after `after` are gone.
    """
    past = np.asarray(history.sessions <= after)
    around = history.close.ffill().bfill().to_numpy(dtype=float)[past][-1]
    sources = {"high": "low", "low": "high"}
    frames = {}
    for name, frame in history.bars:
        values = frame.to_numpy(dtype=float).copy()
        if name == "volume":
            values[~past] = values[~past][::-1]
        else:
            # Bars that have only one of high and low keep their own field.
            source = getattr(history.bars, sources.get(name, name))
            values[~past] = around**2 / (frame if source is None else source).to_numpy(dtype=float)[~past]
        frames[name] = pd.DataFrame(values, index=frame.index, columns=frame.columns)
    session = history.session_of_bar[past][-1]
    return dataclasses.replace(history, bars=Bars(**frames), actions=history.actions.until(session))


def cut(history: History, *, after: pd.Timestamp) -> History:
    """The history as it was known when the bar `after` had ended: nothing later is in it, the study ends there."""
    if not history.intraday:
        return history.until(after)
    session = history.session_of_bar[history.sessions <= after][-1]
    study = dataclasses.replace(
        history.study,
        end=min(session, history.study.end),
        as_of=min(history.study.as_of, after),
        start=min(session, history.study.start),
    )
    bars = history.bars.between(history.sessions[0], after)
    return dataclasses.replace(history, study=study, bars=bars, actions=history.actions.until(session))


def later(history: History, *, warm_up: int) -> History:
    """The history with only `warm_up` bars before the first evaluated one."""
    first = history.sessions[max(0, history.begins - warm_up)]
    return dataclasses.replace(history, bars=history.bars.between(first, history.sessions[-1]))


def only(history: History, symbols: Sequence[str]) -> History:
    """The history of some of its symbols, in their old order; the study asks about these alone."""
    kept = tuple(symbol for symbol in history.symbols if symbol in set(symbols))
    actions = Actions(
        dividends=tuple(action for action in history.actions.dividends if action.symbol in kept),
        splits=tuple(action for action in history.actions.splits if action.symbol in kept),
        delistings=tuple(action for action in history.actions.delistings if action.symbol in kept),
    )
    study = dataclasses.replace(history.study, symbols=kept)
    return dataclasses.replace(history, study=study, bars=history.bars.of(kept), actions=actions)


def walk(
    begin: np.ndarray,
    index: pd.DatetimeIndex,
    symbols: tuple[str, ...],
    rng: np.random.Generator,
    *,
    gaps: float = 0.0,
    scale: np.ndarray | float = _SCALE,
) -> Bars:
    """A random market with every field: from the closes `begin` on, one bar per stamp of `index`.

    Args:
        begin: the closes before the first bar, shape (symbol,).
        gaps: share of the bars that are missing.
        scale: of the log returns, per symbol or one for all; their deviation is √2 times as large.
    """
    shape = (len(index), len(symbols))
    close = begin * np.exp(np.cumsum(rng.standard_t(_TAIL, shape) * scale, axis=0))
    before = np.vstack([begin, close])[:-1]
    opening = before * np.exp(rng.normal(0, 0.005, shape))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.004, shape)))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.004, shape)))
    missing = rng.random(shape) < gaps
    named = {
        "open": opening,
        "high": high,
        "low": low,
        "close": close,
        "volume": rng.integers(100_000, 1_000_000, shape) * 1.0,
    }
    columns = pd.Index(list(symbols), name="symbol")
    return Bars(
        **{
            name: pd.DataFrame(np.where(missing, np.nan, values), index=index.rename("session"), columns=columns)
            for name, values in named.items()
        }
    )


def _scale_of(closes: pd.DataFrame) -> np.ndarray:
    """Scale of the t-distribution whose deviation is that of each symbol's log returns, shape (symbol,)."""
    values = closes.ffill().to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.diff(np.log(np.where(values > 0, values, np.nan)), axis=0)
    counted = np.sum(~np.isnan(steps), axis=0)
    mean = np.nansum(steps, axis=0) / np.maximum(counted, 1)
    deviation = np.sqrt(np.nansum((steps - mean) ** 2, axis=0) / np.maximum(counted - 1, 1))
    return np.where(counted < 20, _SCALE, np.maximum(deviation / np.sqrt(2.0), _LEAST_SCALE))
