"""Does it peek? Mirror, redraw and cut the future: a weight known by then that changes depends on what came later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.backtest.audit.check import FAIL, PASS, WARN, Check, Subject, asked, many
from workbench.backtest.audit.worlds import cut, mirrored, redrawn
from workbench.backtest.weights import weights_of
from workbench.errors import LookAhead, WeightsRefused

if TYPE_CHECKING:
    from workbench.market.history import History
    from workbench.strategy import Strategy

# How many moments the future is changed after: half of them where the strategy speaks, half anywhere. To these come
# some in which a symbol has no bar although it had one before: there shows what fills a gap from behind.
CUTS, GAPS = 12, 4
# Weights that differ by no more than this are the same; rounding differs between arrays of different length.
TOLERANCE = 1e-9
# Of the cheap question: where in the evaluated bars the future is mirrored and cut off; how many mirrored bars follow.
_MIRRORED_AT, _CUT_AT, _SHORT = 0.08, 0.20, 63

WHY = (
    "A weight that changes when only the future changes was computed with knowledge nobody had. No number of such a "
    "backtest means anything."
)
THRESHOLD = (
    f"FAIL when one weight up to the moment changes by more than {TOLERANCE:g}, or becomes or ceases to be a wish; "
    f"{CUTS} moments and up to {GAPS} gaps × 3 worlds. WARN when it never wished for anything, or there is no "
    "future to change."
)


def check(subject: Subject) -> Check:
    """Mirror, redraw (with gaps) and cut off the future after several moments, and compare the weights before.

    Half of the moments are bars in which the strategy speaks, where a peek of a few bars shows first; some are gaps.
    """
    moments = chosen(subject.weights, subject.history.close, count=CUTS, seed=subject.history.study.seed)
    said = subject.weights.notna().to_numpy()
    if not moments or not said.any():
        headline = (
            "There is no future to change: fewer than two bars are evaluated."
            if not moments
            else "It never wished for anything, so nothing could change."
        )
        return Check(
            "future", WARN, headline, _frame([], subject), WHY, THRESHOLD, {"weights_changed_by_the_future": 0.0}
        )
    rows = []
    for number, after in enumerate(moments):
        seed = subject.history.study.seed + number
        for world, other in (
            ("mirrored", mirrored(subject.history, after=after)),
            ("redrawn", redrawn(subject.history, after=after, seed=seed)),
            ("cut off", cut(subject.history, after=after)),
        ):
            weights = subject.weights_in(other, f"the future after {stamp(after)} {world}")
            rows.append({"after": after, "world": world, **difference(subject.weights, weights, after=after)})
    numbers = _frame(rows, subject)
    changed = numbers[numbers["changed"] > 0]
    summary = {"weights_changed_by_the_future": float(numbers["changed"].sum())}
    if changed.empty:
        headline = (
            f"No weight changed when the future after {many(len(moments), 'moment')} was mirrored, redrawn or cut off "
            f"({many(len(numbers), 'question')})."
        )
        return Check("future", PASS, headline, numbers, WHY, THRESHOLD, summary)
    again = difference(
        subject.weights, subject.weights_in(subject.history, "nothing changed"), after=subject.weights.index[-1]
    )
    if again["changed"]:
        headline = f"It is not deterministic: asked the same question twice, {_what(again)}"
    else:
        first = changed.iloc[0]
        headline = (
            f"It peeks: with the future after {stamp(first['after'])} {first['world']}, {_what(dict(first))} "
            f"{len(changed)} of {len(numbers)} questions changed the past."
        )
    return Check("future", FAIL, headline, numbers, WHY, THRESHOLD, summary)


def require_causal(strategy: Strategy, history: History, *, weights: pd.DataFrame | None = None) -> None:
    """The cheap form of the check: a short mirrored future after one early moment, and none after another.

    It catches what looks ahead everywhere (a shifted column, a mean over all sessions); the audit asks in more places.

    Args:
        weights: the strategy's weights of the evaluated sessions where they are known already.

    Raises:
        LookAhead: a weight depends on what came later; it is named with session, symbol, old, new.
        WeightsRefused: a weight depends on chance.
        StrategyFailed: the strategy raised on what was known on an evening of its own past.
    """
    known = weights_of(strategy, history) if weights is None else weights
    if len(known) < 2:
        return
    first, second = _speaking_from(known, _MIRRORED_AT), _speaking_from(known, _CUT_AT)
    short = cut(history, after=known.index[min(first + _SHORT, len(known) - 1)])
    worlds = (
        (first, "mirrored", mirrored(short, after=known.index[first])),
        (second, "cut off", cut(history, after=known.index[second])),
    )
    for row, world, other in worlds:
        what = f"the future after {stamp(known.index[row])} {world}"
        found = difference(known, asked(strategy, other, what), after=known.index[row])
        if found["changed"]:
            raise _refusal(strategy, history, known, f"{what}, {_what(found)}")


def _speaking_from(weights: pd.DataFrame, share: float) -> int:
    """The first row at or soon after a share of all rows in which a weight is said; never the last row."""
    row = int(share * len(weights))
    speaking = np.flatnonzero(weights.notna().to_numpy()[row : 2 * row + 1].any(axis=1))
    return min(row + int(speaking[0]) if len(speaking) else row, len(weights) - 2)


def _refusal(strategy: Strategy, history: History, known: pd.DataFrame, what: str) -> WeightsRefused:
    again = difference(known, weights_of(strategy, history), after=known.index[-1])
    if again["changed"]:
        return WeightsRefused(
            f"{strategy.line} answers with chance: asked the same question twice, {_what(again)} Nothing was replayed.",
            remedy="seed every random draw with history.study.seed.",
        )
    return LookAhead(
        f"{strategy.line} peeks: with {what} Nothing was replayed.",
        remedy="row t may use rows ≤ t only: no shift(-1), no bfill, no mean over all sessions; `workbench audit "
        f"strategy {strategy.name}` shows more.",
    )


def chosen(weights: pd.DataFrame, close: pd.DataFrame, *, count: int, seed: int) -> list[pd.Timestamp]:
    """Bars after which the future is changed, ascending: half where a weight is said, the others evenly spread.

    Up to `GAPS` bars come to them in which a symbol has no close although it had one before. The last bar has no future
    and is never chosen.

    Args:
        weights: of the evaluated bars.
        close: closes of all bars.
    """
    rows = len(weights) - 1
    if rows < 1:
        return []
    even = {int(row) for row in np.linspace(0, rows - 1, num=min(count - count // 2, rows)).round()}
    speaking = np.flatnonzero(weights.notna().to_numpy()[:rows].any(axis=1))
    rng = np.random.default_rng(seed)
    picked = rng.permutation(speaking)[: count // 2]
    missing = (close.isna() & close.ffill().notna()).loc[weights.index].to_numpy()[:rows].any(axis=1)
    gaps = rng.permutation(np.flatnonzero(missing))[:GAPS]
    return [weights.index[row] for row in sorted(even | {int(row) for row in (*picked, *gaps)})]


def difference(old: pd.DataFrame, new: pd.DataFrame, *, after: pd.Timestamp) -> dict[str, Any]:
    """How two answers differ in their rows ≤ `after`.

    Returns:
        `changed` (number of cells), and of the first of them `session`, `symbol`, `old`, `new` and its change (NaN:
        no wish); where nothing changed they are NaT, empty and NaN.
    """
    before, now = old.loc[:after], new.loc[:after]
    if not before.index.equals(now.index):
        now = now.reindex(before.index)
    a, b = before.to_numpy(dtype=float), now.to_numpy(dtype=float)
    same = (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= TOLERANCE)
    if same.all():
        return {"changed": 0, "session": pd.NaT, "symbol": "", "old": np.nan, "new": np.nan}
    row, column = (int(place) for place in np.argwhere(~same)[0])
    return {
        "changed": int((~same).sum()),
        "session": before.index[row],
        "symbol": str(before.columns[column]),
        "old": float(a[row, column]),
        "new": float(b[row, column]),
    }


def moments(column: pd.Series, *, like: pd.Index) -> pd.Series:
    """A column of bars with the type of an index of bars, also where every one of them is missing."""
    aware = isinstance(like.dtype, pd.DatetimeTZDtype)
    return pd.to_datetime(column, utc=aware).astype(like.dtype)


def stamp(moment: Any) -> str:
    """A session as its date, the end of an intraday bar with its time."""
    at = pd.Timestamp(moment)
    return f"{at:%Y-%m-%d}" if at.tzinfo is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _frame(rows: list[dict[str, Any]], subject: Subject) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["after", "world", "changed", "session", "symbol", "old", "new"])
    stamps = {name: moments(frame[name], like=subject.weights.index) for name in ("after", "session")}
    types = {"changed": int, "old": float, "new": float, "world": str, "symbol": str}
    return frame.assign(**stamps).astype(types)


def _what(found: dict[str, Any]) -> str:
    """The first change as a half sentence that ends with a full stop."""
    old, new = (
        "no wish" if np.isnan(value) else f"{value:.6g}" for value in (float(found["old"]), float(found["new"]))
    )
    return f"the weight of {found['symbol']} in {stamp(found['session'])} becomes {new} and was {old}."
