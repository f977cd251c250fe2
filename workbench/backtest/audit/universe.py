"""Is it one lucky symbol? The same idea on seeded halves of the symbols, and with each of them left out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.audit.check import FAIL, PASS, WARN, Check, Subject, percent, ratio, total_return
from workbench.backtest.audit.worlds import only

if TYPE_CHECKING:
    from workbench.backtest.engine import Simulation

# Random halves that are tried, and symbols left out one by one (a seeded choice where there are more).
HALVES, MOST_LEFT_OUT = 24, 40
# Fewer symbols have no halves worth the name.
_LEAST = 4
_FAIL_BELOW, _WARN_BELOW, _WARN_LOST = 0.5, 0.8, 0.5

WHY = (
    "The symbols were chosen knowing how they fared. An idea that needs one particular symbol, or one particular half "
    "of them, is a bet on that symbol."
)
THRESHOLD = (
    f"FAIL when leaving out one symbol brings the Sharpe ratio to 0 or below, or when fewer than {_FAIL_BELOW:.0%} of "
    f"the halves are above 0; WARN when fewer than {_WARN_BELOW:.0%} are, when one symbol carries more than "
    f"{_WARN_LOST:.0%} of it, or with a single symbol or no Sharpe ratio above 0."
)


def check(subject: Subject) -> Check:
    """Ask the strategy anew about some of the symbols and replay its answer."""
    symbols = subject.history.symbols
    rng = np.random.default_rng(subject.history.study.seed)
    rows = [_measured(subject, "all", "all of them", subject.simulation)]
    for kind, chosen, what in _subsets(symbols, rng):
        world = only(subject.history, chosen)
        replay = subject.replay(subject.weights_in(world, what), history=world)
        rows.append(_measured(subject, kind, ", ".join(chosen) if kind == "half" else what, replay))
    return _judged(subject, pd.DataFrame(rows))


def _measured(subject: Subject, kind: str, symbols: str, replay: Simulation) -> dict[str, Any]:
    return {
        "kind": kind,
        "symbols": symbols,
        "sharpe": subject.sharpe(replay),
        "total_return": total_return(replay),
    }


def _judged(subject: Subject, numbers: pd.DataFrame) -> Check:
    halves = numbers.loc[numbers["kind"] == "half", "sharpe"].dropna()
    without = numbers[numbers["kind"] == "without"].dropna(subset="sharpe").sort_values("sharpe", kind="stable")
    median = float(halves.median()) if len(halves) else math.nan
    positive = float((halves > 0).mean()) if len(halves) else math.nan
    lowest = float(without["sharpe"].iloc[0]) if len(without) else math.nan
    summary: dict[str, float] = {
        "sharpe_halves_median": median,
        "halves_above_0": positive,
        "sharpe_without_one_lowest": lowest,
    }

    def found(verdict: str, headline: str) -> Check:
        return Check("universe", verdict, headline, numbers, WHY, THRESHOLD, summary)

    if len(subject.history.symbols) == 1:
        return found(WARN, f"There is one symbol, {subject.history.symbols[0]}: nothing can be left out.")
    if subject.no_edge:
        return found(WARN, subject.no_edge)
    base = subject.sharpe(subject.simulation)
    parts = []
    if len(without):
        parts.append(
            f"{without['symbols'].iloc[0]} the Sharpe ratio is {ratio(lowest)} instead of {ratio(base)} (the lowest of "
            f"{len(without)})"
        )
    if len(halves):
        parts.append(
            f"on {len(halves)} random halves its median is {ratio(median)} (from {ratio(float(halves.min()))} to "
            f"{ratio(float(halves.max()))}), above 0 in {percent(positive)}"
        )
    headline = "; ".join(parts)
    headline = f"{headline[:1].upper()}{headline[1:]}." if parts else "No other choice of symbols traded."
    if lowest <= 0 or positive < _FAIL_BELOW:
        return found(FAIL, headline)
    carried = lowest < (1.0 - _WARN_LOST) * base
    return found(WARN if not parts or carried or positive < _WARN_BELOW else PASS, headline)


def _subsets(symbols: tuple[str, ...], rng: np.random.Generator) -> list[tuple[str, tuple[str, ...], str]]:
    """(kind, symbols kept in their order, in words): every symbol left out once, and different random halves."""
    found: list[tuple[str, tuple[str, ...], str]] = []
    if len(symbols) < 2:
        return found
    order = np.arange(len(symbols))
    left_out: Any = order if len(order) <= MOST_LEFT_OUT else np.sort(rng.choice(order, MOST_LEFT_OUT, replace=False))
    for place in left_out:
        kept = tuple(symbol for symbol in symbols if symbol != symbols[place])
        found.append(("without", kept, f"without {symbols[place]}"))
    if len(symbols) < _LEAST:
        return found
    size = (len(symbols) + 1) // 2
    seen: set[tuple[str, ...]] = set()
    # A small universe has few different halves: after this many draws what is there is enough.
    for _ in range(10 * HALVES):
        half = tuple(symbols[place] for place in np.sort(rng.choice(order, size, replace=False)))
        if half not in seen:
            seen.add(half)
            found.append(("half", half, f"only {', '.join(half)}"))
        if len(seen) == HALVES:
            break
    return found
