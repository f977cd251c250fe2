"""Gather: what each source says, read from the store and from nowhere else, and nothing that was learned later.

Quality, a number in [0, 1], starts at 1 and is multiplied for what is found in the rows of the lookback:

- kept back: rows / (rows + rows that were in quarantine at the moment);
- frozen: 0.5 where the last ten closes are equal;
- gaps: sessions with a bar / sessions of the calendar, from the first bar read to the last;
- tone: the confidence of the reading, of sentiment.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pandas as pd

from workbench import sessions
from workbench.data.fusion.known import Known, Shared, known
from workbench.data.fusion.place import Place
from workbench.data.fusion.record import Value
from workbench.data.fusion.rules import CHAIN, COMPARED, FROZEN, HEADLINE, RAW, TAGS, Subject
from workbench.data.sentiment.tallies import HALF_LIFE, Told
from workbench.data.significant import significant

if TYPE_CHECKING:
    from workbench.data.fusion.quarantined import Held
    from workbench.store.vintages import Vintages

_READERS: Final = 16
_TAGS: Final = frozenset(TAGS)


@dataclass(slots=True)
class Said:
    """What one source says about one subject.

    Attributes:
        happened, learned: microseconds since 1970, UTC.
        compared: session (ISO) -> the value in which sources are held against each other.
    """

    place: Place
    subject: str
    session: str
    happened: int
    learned: int
    says: dict[str, Value]
    rows: int
    compared: dict[str, float] = field(default_factory=dict)
    quality: float = 1.0
    notes: list[str] = field(default_factory=list)

    def lower(self, factor: float, note: str) -> None:
        """Multiply the quality, and say why."""
        self.quality *= factor
        self.notes.append(note)

    def held_back(self, held: Held) -> None:
        """Count the rows that were kept back."""
        if held.rows:
            self.lower(
                self.rows / (self.rows + held.rows), f"{held.rows} rows kept back: {', '.join(sorted(held.why))}"
            )


def gather(
    vintages: Vintages,
    places: Sequence[Place],
    subjects: Mapping[Subject, tuple[str, ...]],
    as_of: pd.Timestamp,
    shared: Shared,
) -> list[Said]:
    """What all of them say, in the order of the places; of a store elsewhere several datasets are read at a time.

    From a folder one thread reads as fast as two: between the reads they would wait for each other.
    """

    def read(place: Place) -> list[Said]:
        return _read(vintages, place, subjects[place.rule.subject], as_of, shared)

    if "://" not in vintages.url or vintages.url.startswith("file:"):
        return [said for place in places for said in read(place)]
    with ThreadPoolExecutor(_READERS) as pool:
        return [said for of_place in pool.map(read, places) for said in of_place]


def _read(
    vintages: Vintages, place: Place, subjects: tuple[str, ...], as_of: pd.Timestamp, shared: Shared
) -> list[Said]:
    """What a source says of these subjects: one entry for each of which something was known."""
    read = known if place.rule.subject == "symbol" else shared.known
    return [said for part in read(vintages, place, subjects, as_of) for said in _says(place, part, as_of)]


def _says(place: Place, part: Known, as_of: pd.Timestamp) -> Iterator[Said]:
    kind = place.rule.kind
    if kind == "fundamentals":
        yield from _fundamentals(place, part)
    elif kind == "actions":
        yield from _actions(place, part, as_of)
    elif kind == "sentiment":
        yield _sentiment(place, part, as_of)
    else:
        at = len(part.days) - 1
        # Prices as they were traded are never held against adjusted ones.
        said = _row(place, part, at, f"{part.symbol} raw" if place.source.endswith(RAW) else "")
        if place.rule.compare:
            newest = slice(-COMPARED, None)  # sources that meet nowhere in so many facts are not compared
            compared = zip(part.days[newest], part.numbers(place.rule.compare)[newest], strict=True)
            said.compared = {day: number for day, number in compared if math.isfinite(number)}
        if kind == "bars":
            _bars(said, part)
            if place.source == CHAIN:
                said.says["from"] = clean(str(part.column("source")[at]))
        elif kind == "news":
            said.says["articles"] = float(len(part.days))
        yield said


def _row(place: Place, part: Known, at: int, subject: str = "") -> Said:
    """One row, told by the columns of the rule."""
    says: dict[str, Value] = {}
    for name in place.rule.columns:
        value = part.column(name)[at]
        if isinstance(value, str):
            if value.strip():
                says[name] = clean(value)
        elif value is not None and math.isfinite(value):
            says[name] = significant(float(value))
    return Said(
        place=place,
        subject=subject or part.symbol,
        session=part.days[at],
        happened=part.column("happened")[at],
        learned=part.column("learned")[at],
        says=says,
        rows=len(part.days),
    )


def _bars(said: Said, part: Known) -> None:
    closes = part.numbers("close")
    if len(closes) >= FROZEN and len(set(closes[-FROZEN:])) == 1:
        said.lower(0.5, f"the last {FROZEN} closes are equal")
    calendar = _calendar(said.place.venue)
    expected = bisect.bisect_right(calendar, part.days[-1]) - bisect.bisect_left(calendar, part.days[0])
    if len(closes) < expected:
        said.lower(len(closes) / expected, f"{expected - len(closes)} of {expected} sessions have no bar")


@functools.cache
def _calendar(venue: str) -> list[str]:
    """All sessions of a venue, ISO."""
    return [f"{day:%Y-%m-%d}" for day in sessions.sessions(venue, sessions.FIRST, sessions.LAST)]


def _fundamentals(place: Place, part: Known) -> Iterator[Said]:
    """Of each tag of the list the newest period; of those that end on one day the shortest, then the last learned."""
    newest: dict[str, tuple[tuple[str, str, int], int]] = {}
    for at, key in enumerate(part.column("key")):
        taxonomy, tag, unit, begins = [*str(key).split(":"), "", "", ""][:4]
        if tag in _TAGS:
            order = (part.days[at], begins, part.column("learned")[at])
            name = f"{taxonomy}:{tag}:{unit}"
            if name not in newest or order > newest[name][0]:
                newest[name] = (order, at)
    for name, ((day, begins, _), at) in sorted(newest.items()):
        said = _row(place, part, at, f"{part.symbol} {name}")
        if begins:
            said.says["from"] = begins
        if isinstance(value := said.says.get("value"), float):
            said.compared = {f"{begins}/{day}": value}
        yield said


def _actions(place: Place, part: Known, as_of: pd.Timestamp) -> Iterator[Said]:
    """The newest that is in force, and the next that was announced."""
    today = as_of.date().isoformat()
    past = sum(day <= today for day in part.days)
    for name, at in (("last", past - 1), ("next", past)):
        if 0 <= at < len(part.days):
            said = _row(place, part, at, f"{part.symbol} {name}")
            said.says["action"] = clean(str(part.column("key")[at]))
            yield said


def _sentiment(place: Place, part: Known, as_of: pd.Timestamp) -> Said:
    """The tally of the articles; without a score where nothing was found in them."""
    told = Told(part.columns).at(as_of, HALF_LIFE)
    numbers = {name: float(number) for name, number in told._asdict().items()}
    said = _row(place, part, max(range(len(part.days)), key=lambda at: (part.column("happened")[at], at)))
    said.says = {name: significant(numbers[name]) for name in place.rule.columns if not math.isnan(numbers[name])}
    said.says["method"] = ", ".join(sorted(set(map(str, part.column("method")))))
    if not math.isnan(told.score):
        said.compared = {"": told.score}
        said.lower(told.confidence, f"confidence {told.confidence:.2f}")
    return said


def clean(text: str) -> str:
    """Foreign text as data: on one line, printable, of at most `HEADLINE` characters."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= HEADLINE else line[: HEADLINE - 1] + "…"
