"""Membership by two clocks: what was said about who enters and leaves, and who is in by what was known at a moment.

Of what is known of a symbol at a moment, the change that happened last decides whether it is in; of several that
happened at once, the one learned last; of those, the one said last. So the answer for a moment is the same in whatever
order the changes were written down, and nothing learned later can alter it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from workbench.errors import DataError

Action = Literal["enter", "leave"]
ACTIONS: tuple[Action, ...] = ("enter", "leave")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was said about one symbol.

    Attributes:
        happened: from when on it is in, or out (UTC, included).
        learned: from when on that could be known (UTC). Before `happened` where it was announced.
        number: counts what was said of the universe.
        rotation: id of the rotation that decided it, None for what a person or a list said.
    """

    symbol: str
    action: Action
    happened: pd.Timestamp
    learned: pd.Timestamp
    reason: str = ""
    number: int = 0
    rotation: str | None = None

    @property
    def order(self) -> tuple[pd.Timestamp, pd.Timestamp, int]:
        """What decides between changes of one symbol: the greatest counts."""
        return (self.happened, self.learned, self.number)


@dataclass(frozen=True, slots=True)
class Stay:
    """A symbol in a universe from `entered` (included) until `left` (excluded; None: still in), and why."""

    symbol: str
    entered: pd.Timestamp
    left: pd.Timestamp | None
    reason: str
    left_reason: str | None


def last_changes(
    changes: Iterable[Change], *, at: pd.Timestamp, known: pd.Timestamp, before: bool = False
) -> dict[str, Change]:
    """Of each symbol the change in force.

    Args:
        at: what happened until then counts; without the moment itself where `before`.
        known: what was learned until then counts.
    """
    newest: dict[str, Change] = {}
    for change in changes:
        if change.learned > known or change.happened > at or (before and change.happened == at):
            continue
        held = newest.get(change.symbol)
        if held is None or change.order > held.order:
            newest[change.symbol] = change
    return newest


def members_of(changes: Iterable[Change], *, at: pd.Timestamp, known: pd.Timestamp, before: bool = False) -> set[str]:
    """Who is in at one moment by what was known at another; see `last_changes`."""
    newest = last_changes(changes, at=at, known=known, before=before)
    return {symbol for symbol, change in newest.items() if change.action == "enter"}


def stays_of(changes: Iterable[Change]) -> list[Stay]:
    """The stays that all these changes together make, by entry and symbol.

    A symbol that enters while it is in ends its stay there and begins another one, so that each reason is kept.
    """
    found: list[Stay] = []
    inside: dict[str, Change] = {}
    for change in sorted(changes, key=lambda one: one.order):
        held = inside.pop(change.symbol, None)
        if held is not None and change.happened > held.happened:
            reason = change.reason if change.action == "leave" else "entered again"
            found.append(Stay(held.symbol, held.happened, change.happened, held.reason, reason))
        if change.action == "enter":
            inside[change.symbol] = change
    found += [Stay(held.symbol, held.happened, None, held.reason, None) for held in inside.values()]
    return sorted(found, key=lambda stay: (stay.entered, stay.symbol))


def moment_of(field: str, value: Any) -> pd.Timestamp:
    """A moment in UTC: one with a timezone, or a date (its midnight, UTC). Raises DataError."""
    try:
        moment = pd.Timestamp(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{field}={value!r} is not a moment.", remedy="write '2015-06-30'.") from error
    if pd.isna(moment):
        raise DataError(f"{field}={value!r} is not a moment.", remedy="write '2015-06-30'.")
    if moment.tzinfo is None:
        if moment != moment.normalize():
            raise DataError(
                f"{field}={value!r} has a time of day but no timezone.", remedy="add one, or drop the time."
            )
        return moment.tz_localize("UTC").as_unit("us")
    return moment.tz_convert("UTC").as_unit("us")
