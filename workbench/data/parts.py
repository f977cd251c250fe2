"""Parts of a collection: what is not there yet, cut so that a crash costs little and memory stays small."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from workbench import sessions
from workbench.data.collected import collected_ranges
from workbench.data.portions import portions
from workbench.data.spans import Span, merged, spans_missing
from workbench.errors import ParameterError
from workbench.study import MINUTES

if TYPE_CHECKING:
    from workbench.store.workspace import Workspace

PART_ROWS: Final = 250_000  # bars in one part, about: what a crash costs, and what lies in memory at once
PART_SYMBOLS: Final = 25
EVERYTHING: Final = 365_000
# Days before the newest ones collected that are asked again, per kind: for how long its vendors still correct.
REVISITED: Final = {
    "bars": 7,
    "quotes": 1,
    "trades": 1,
    "news": 3,
    "filings": 3,
    "fundamentals": 3,
    "macro": EVERYTHING,  # any observation may be revised
    "fx": 7,
    "short_interest": 45,
    "short_volume": 7,
    "actions": 366,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One question: some symbols over some days; `noted` is what is collected when it is answered."""

    symbols: tuple[str, ...]
    span: Span
    noted: Span


def span_of(source: Any, kind: str, *, start: Any, end: Any, now: pd.Timestamp) -> Span:
    """The days asked for, cut off at the newest one that is over."""
    if kind == "bars":
        newest = sessions.session_of(source.venue, now)
    else:  # over everywhere west of here; actions are announced ahead
        newest = now.tz_convert("America/New_York").tz_localize(None).normalize() - pd.Timedelta(days=1)
        if kind == "actions":
            newest += pd.Timedelta(days=366)
    first = pd.Timestamp(start).normalize()
    last = newest if end is None else min(pd.Timestamp(end).normalize(), newest)
    if first > last:
        raise ParameterError(
            f"start={first.date()} lies after {last.date()}, the newest day that can be asked for; nothing was asked.",
            remedy="ask from an earlier day, or wait until the session is over.",
        )
    return Span(first, last)


def parts_of(
    workspace: Workspace,
    dataset: str,
    symbols: Sequence[str],
    *,
    whole: Span,
    source: Any,
    kind: str,
    timeframe: str,
) -> tuple[list[Part], int]:
    """What must be asked, in parts, and how many symbols need no question."""
    venue = source.venue if kind == "bars" else None
    ranges = collected_ranges(workspace.engine, dataset, symbols)
    alike: dict[tuple[Span, Span], list[str]] = {}
    known = 0
    for symbol in symbols:
        had = [Span(first, last) for first, last in ranges.by_symbol.get(symbol, ())]
        missing = spans_missing(had, whole, venue=venue)
        known += not missing
        for span in missing:
            # What comes after collected days is asked with some of these again; noted is all that is then known.
            back = max(whole.first, span.first - pd.Timedelta(days=REVISITED[kind]))
            asked = Span(back, span.last) if any(one.last < span.first for one in had) else span
            alike.setdefault((asked, merged([*had, span], span, venue=venue)), []).append(symbol)
    parts: list[Part] = []
    for (asked, noted), of in alike.items():
        for group in portions(of, PART_SYMBOLS):
            parts.extend(_part_by_part(group, asked, noted, per_symbol=_per_day(source, kind, timeframe)))
    return parts, known


def _part_by_part(group: tuple[str, ...], asked: Span, noted: Span, *, per_symbol: float) -> Iterator[Part]:
    """Cut the days so that a part has no more than about `PART_ROWS` rows; each notes what is known up to its end."""
    length = max(1, math.floor(PART_ROWS / (per_symbol * len(group))))
    first = asked.first
    while first <= asked.last:
        last = min(asked.last, first + pd.Timedelta(days=length - 1))
        # The first part grows together with what was there before, the last with what was there after. Those between
        # note themselves only: one before them may have failed.
        begin = noted.first if first == asked.first else first
        end = noted.last if last == asked.last else last
        yield Part(group, Span(first, last), Span(begin, end))
        first = last + pd.Timedelta(days=1)


def _per_day(source: Any, kind: str, timeframe: str) -> float:
    """Rows per symbol and calendar day, about."""
    if kind == "bars" and timeframe != "1d":
        return sessions.minutes_per_session(source.venue) / MINUTES[timeframe]
    return {"quotes": 100_000.0, "trades": 50_000.0, "news": 10.0}.get(kind, 1.0)


def halved(part: Part) -> tuple[Part, ...]:
    if len(part.symbols) < 2:
        return ()
    middle = len(part.symbols) // 2
    return replace(part, symbols=part.symbols[:middle]), replace(part, symbols=part.symbols[middle:])
