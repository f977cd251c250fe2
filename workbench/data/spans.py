"""Spans of days: which of them are missing, and which grow together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from workbench import sessions


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From `first` to `last`, both included; timezone-naive midnights."""

    first: pd.Timestamp
    last: pd.Timestamp


def days(venue: str | None, span: Span) -> pd.DatetimeIndex:
    """The sessions of a venue inside a span; every calendar day of it when the venue is None."""
    if venue is None:
        return pd.date_range(span.first, span.last)
    return sessions.sessions(venue, span.first, span.last)


def spans_missing(had: Sequence[Span], wanted: Span, *, venue: str | None) -> list[Span]:
    """What of `wanted` no span of `had` holds, in order; days on which the venue does not trade do not count."""
    missing: list[Span] = []
    reached = wanted.first
    one_day = pd.Timedelta(days=1)
    for span in sorted(had):
        if span.last < reached:
            continue
        if span.first > wanted.last:
            break
        if span.first > reached:
            missing.append(Span(reached, span.first - one_day))
        reached = max(reached, span.last + one_day)
    if reached <= wanted.last:
        missing.append(Span(reached, wanted.last))
    return [span for span in missing if len(days(venue, span))]


def merged(spans: Sequence[Span], around: Span, *, venue: str | None) -> Span:
    """The longest span without a missing day that holds `around`, grown together from `spans`."""
    first, last = around.first, around.last
    one_day = pd.Timedelta(days=1)
    grew = True
    while grew:
        grew = False
        for span in spans:
            before = span.first < first and (span.last >= first - one_day or _idle(venue, span.last, first))
            after = span.last > last and (span.first <= last + one_day or _idle(venue, last, span.first))
            if before:
                first, grew = span.first, True
            if after:
                last, grew = span.last, True
    return Span(first, last)


def _idle(venue: str | None, last: pd.Timestamp, first: pd.Timestamp) -> bool:
    """Whether the venue has no session strictly between two days."""
    one_day = pd.Timedelta(days=1)
    return venue is not None and last < first and not len(days(venue, Span(last + one_day, first - one_day)))
