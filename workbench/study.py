"""Study: the frozen question. `Study.of` is the only place where text becomes time."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench import sessions
from workbench.errors import StudyError

# Minutes of an intraday bar, by timeframe.
MINUTES = {"1h": 60, "5m": 5, "1m": 1}
TIMEFRAMES = ("1d", *MINUTES)
SESSIONS_PER_YEAR = 252
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.\-^_/]{0,31}")


@dataclass(frozen=True, slots=True)
class Study:
    """Which symbols, from when to when, knowing only what was known `as_of`.

    Build one with `Study.of`, which parses text and checks every field; the constructor takes finished values.

    Attributes:
        symbols: canonical names, in the order asked, without repeats.
        start: first session evaluated (timezone-naive midnight), included.
        end: last session evaluated, included; never after the session that was complete at `as_of`.
        as_of: the last moment whose facts may be known, UTC.
        timeframe: the bar length, one of `TIMEFRAMES`.
        venue: calendar name of the venue, `XNYS` by default.
        source: the name of the source of facts.
        initial_cash: book value at the start, in the venue's currency.
        seed: seeds every random draw made while answering.
    """

    symbols: tuple[str, ...]
    start: pd.Timestamp
    end: pd.Timestamp
    as_of: pd.Timestamp
    timeframe: str = "1d"
    venue: str = "XNYS"
    source: str = "bundled"
    initial_cash: float = 100_000.0
    seed: int = 7

    @classmethod
    def of(
        cls,
        symbols: str | list[str] | tuple[str, ...],
        *,
        start: Any,
        as_of: Any,
        end: Any = None,
        timeframe: str = "1d",
        venue: str = "XNYS",
        source: str = "bundled",
        initial_cash: float = 100_000.0,
        seed: int = 7,
    ) -> Study:
        """Parse and check a question.

        Args:
            symbols: one symbol or several; case and surrounding blanks do not matter.
            start: first session, a date or text such as `"2015-01-02"`; moved to the next session if it is none.
            as_of: a date (then: the close of that session, which must be one) or a timezone-aware moment.
            end: last session; the session complete at `as_of` when None.
            timeframe, venue, source, initial_cash, seed: see the class.

        Raises:
            StudyError: a field is malformed or two contradict each other; the message names field, value and bound.
        """
        names = _symbols(symbols)
        if timeframe not in TIMEFRAMES:
            raise StudyError(
                f"timeframe={timeframe!r} is not one of {', '.join(TIMEFRAMES)}.", remedy="use one of these."
            )
        moment = moment_of(as_of, venue)
        known = sessions.session_of(venue, moment)
        first = _day("start", start)
        if not sessions.is_session(venue, first):
            first = sessions.next_session(venue, first)
        last = known if end is None else _day("end", end)
        if not sessions.is_session(venue, last):
            last = sessions.previous_session(venue, last)
        if last > known:
            raise StudyError(
                f"end={last.date()} is later than the last session known as of {moment} ({known.date()}); "
                "answering would look into the future.",
                remedy=f"use end <= {known.date()} or a later as_of.",
            )
        if first > last:
            raise StudyError(
                f"start={first.date()} is after end={last.date()}: no session lies between them.",
                remedy="use an earlier start or a later as_of.",
            )
        if not initial_cash > 0:
            raise StudyError(f"initial_cash={initial_cash!r} must be greater than 0.", remedy="use e.g. 100_000.")
        return cls(
            symbols=names,
            start=first,
            end=last,
            as_of=moment,
            timeframe=timeframe,
            venue=venue,
            source=source,
            initial_cash=float(initial_cash),
            seed=int(seed),
        )

    @property
    def session(self) -> pd.Timestamp:
        """The newest session that was complete at `as_of`."""
        return sessions.session_of(self.venue, self.as_of)

    @property
    def bars_per_year(self) -> int:
        """How many bars a year of 252 regular sessions has: what ratios are annualised with."""
        if self.timeframe == "1d":
            return SESSIONS_PER_YEAR
        return SESSIONS_PER_YEAR * -(-sessions.minutes_per_session(self.venue) // MINUTES[self.timeframe])

    @property
    def hash(self) -> str:
        """sha256 (hex) of the canonical JSON: the same question always has the same hash."""
        return digest(self.to_dict())

    def at(self, as_of: Any) -> Study:
        """The same question asked at another moment; `end` follows `as_of`."""
        return Study.of(
            self.symbols,
            start=self.start,
            as_of=as_of,
            timeframe=self.timeframe,
            venue=self.venue,
            source=self.source,
            initial_cash=self.initial_cash,
            seed=self.seed,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `Study.from_dict` is its inverse."""
        return {
            "symbols": list(self.symbols),
            "start": self.start.date().isoformat(),
            "end": self.end.date().isoformat(),
            "as_of": self.as_of.isoformat(),
            "timeframe": self.timeframe,
            "venue": self.venue,
            "source": self.source,
            "initial_cash": self.initial_cash,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Study:
        """Rebuild a study written by `to_dict`. Raises StudyError on unknown or missing fields."""
        fields = {field.name for field in dataclasses.fields(cls)}
        for name in record:
            if name not in fields:
                near = difflib.get_close_matches(name, fields, n=1)
                raise StudyError(
                    f"{name!r} is not a field of a study.",
                    remedy=f"did you mean {near[0]!r}?" if near else "remove it.",
                )
        try:
            return cls.of(**record)
        except TypeError as error:
            raise StudyError(f"a study is missing fields: {error}.", remedy="write it with Study.to_dict().") from error

    @property
    def line(self) -> str:
        """The question on one line: the first line of every answer."""
        shown = ", ".join(self.symbols[:6]) + (f" … ({len(self.symbols)} symbols)" if len(self.symbols) > 6 else "")
        return (
            f"{shown} · {self.start.date()} → {self.end.date()} · as_of {self.as_of:%Y-%m-%d %H:%M} UTC"
            f" · {self.timeframe} · {self.source} · seed {self.seed}"
        )

    def __str__(self) -> str:
        return self.line


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no blanks, no NaN (refused), UTF-8. The one form in which things are hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """sha256 (64 hex digits) of `canonical(value)`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _symbols(symbols: Any) -> tuple[str, ...]:
    raw = [symbols] if isinstance(symbols, str) else list(symbols)
    names = [str(symbol).strip().upper() for symbol in raw]
    if not names:
        raise StudyError("symbols is empty: there is nothing to study.", remedy="name at least one symbol.")
    for name in names:
        if not _SYMBOL.fullmatch(name):
            raise StudyError(
                f"symbols contains {name!r}, which is not a symbol (letters, digits and . - ^ _ / up to 32 long).",
                remedy="pass a list such as ['AAPL', 'MSFT'].",
            )
    return tuple(dict.fromkeys(names))


def _day(field: str, value: Any) -> pd.Timestamp:
    try:
        day = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise StudyError(f"{field}={value!r} is not a date.", remedy="write it as '2015-06-30'.") from error
    if pd.isna(day):
        raise StudyError(f"{field}={value!r} is not a date.", remedy="write it as '2015-06-30'.")
    if day.tzinfo is not None:
        day = day.tz_localize(None)
    return day.normalize()


def moment_of(value: Any, venue: str = "XNYS") -> pd.Timestamp:
    """`as_of` as a UTC moment: a date means the close of that session, a moment must say its timezone.

    Raises:
        StudyError: it is neither, or the date is no session of the venue.
    """
    try:
        moment = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise StudyError(
            f"as_of={value!r} is neither a date nor a moment.", remedy="write '2015-06-30' or '2015-06-30T20:00Z'."
        ) from error
    if pd.isna(moment):
        raise StudyError(f"as_of={value!r} is empty.", remedy="write '2015-06-30'.")
    if moment.tzinfo is not None:
        return moment.tz_convert("UTC")
    if moment != moment.normalize():
        raise StudyError(
            f"as_of={value!r} has a time of day but no timezone.",
            remedy="add one, e.g. '2015-06-30T20:00Z', or give the date alone for that session's close.",
        )
    return sessions.closes(venue, moment)
