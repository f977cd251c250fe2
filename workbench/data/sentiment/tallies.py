"""The tally: what the tones of single articles add up to, per symbol, at a moment or at the end of every session."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from workbench import sessions
from workbench.data.sentiment.story import NEAR, apart
from workbench.data.source import symbols_of
from workbench.errors import ParameterError

HALF_LIFE: Final = pd.Timedelta(hours=24)  # after that long an article counts half; a judgement, not a fit
REACH: Final = 10  # half-lives; what is older weighs less than 0.1 % and is left out
SAME_STORY: Final = pd.Timedelta(hours=72)  # a retelling later than that is news again


class Tally(NamedTuple):
    """What the articles about one symbol add up to at one moment.

    Attributes:
        score: Σw·score / Σw over distinct stories, in [−1, 1]; NaN without a story that has a score.
        confidence: 1 − Π(1 − w), times |Σw·score| / Σw·|score|: how sure, and how much of one mind, in [0, 1]. Stories
            count as independent. NaN without a story that has a score.
        articles: how many were known.
        stories: distinct ones with a score.
        silent: articles in which nothing was found.
        dispersion: weighted standard deviation of the scores; NaN for fewer than two stories.
        newest_age_h: hours since the newest article was published; NaN without one.
    """

    score: float = math.nan
    confidence: float = math.nan
    articles: int = 0
    stories: int = 0
    silent: int = 0
    dispersion: float = math.nan
    newest_age_h: float = math.nan


COLUMNS: Final = Tally._fields
_COLUMNS: Final = ("source", "key", "story", "events", "score", "confidence")


def distinct(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column `first_told`: whether the article is the first that tells its story.

    Articles are looked at in the order in which they were learned (then by source and key, so that the order of the
    rows does not matter). One belongs to a story that was told of the same symbol within `SAME_STORY` before, if the
    fingerprints differ in at most `NEAR` bits and both tell the same events. Later articles never change what was
    decided about earlier ones.

    Returns:
        The rows by symbol, then in that order, index 0…n−1.
    """
    told = _by_symbol(rows)
    order = [places[at] for _, (places, articles) in sorted(told.items()) for at in articles.order]
    first = [first for _, (_, articles) in sorted(told.items()) for first in articles.first]
    return rows.iloc[order].reset_index(drop=True).assign(first_told=np.array(first, dtype=bool))


def tone_of(
    rows: pd.DataFrame,
    symbols: str | Sequence[str] | None = None,
    *,
    as_of: pd.Timestamp,
    half_life: pd.Timedelta = HALF_LIFE,
) -> pd.DataFrame:
    """What the news says of each symbol at a moment.

    Each story counts once, with weight w = confidence · 2^(−age / half_life), where age runs from when it was
    published. What was learned after `as_of`, and what is older than ten half-lives, does not count.

    Args:
        rows: rows of the kind `sentiment`.
        symbols: which; all of the rows when None. One without news has NaN and zero counts, never a score of 0.
        as_of: UTC moment.
        half_life: how long until an article counts half.

    Returns:
        Index `symbol`; the columns are the fields of `Tally`.

    Raises:
        ParameterError: `as_of` has no timezone, or `half_life` is not positive.
    """
    _refuse(as_of, half_life)
    told = _by_symbol(rows)
    wanted = tuple(sorted(told)) if symbols is None else symbols_of(symbols)
    records = [told[symbol][1].at(as_of, half_life) if symbol in told else Tally() for symbol in wanted]
    return pd.DataFrame(records, columns=list(COLUMNS), index=pd.Index(wanted, name="symbol", dtype="str"))


def daily(
    rows: pd.DataFrame, *, as_of: pd.Timestamp, half_life: pd.Timedelta = HALF_LIFE, venue: str = "XNYS"
) -> pd.DataFrame:
    """The same at the close of every session of the venue, as far as `as_of`.

    At the close of a session only what was learned by then counts. (Of an article that was revised, the rows hold the
    newest vintage known; before it was learned, the article does not count at all: too little rather than too early.)

    Returns:
        Long rows by symbol, then session: `symbol`, `session` and the fields of `Tally`. There is a row where an
        article of the last ten half-lives was known, and none elsewhere.

    Raises:
        ParameterError: as `tone_of`.
    """
    _refuse(as_of, half_life)
    known = rows[rows["learned"] <= as_of]
    records: list[tuple[Any, ...]] = []
    if len(known):
        last = as_of.tz_convert("UTC").tz_localize(None)
        days = sessions.sessions(venue, known["happened"].min().tz_convert("UTC").tz_localize(None).normalize(), last)
        closes = sessions.close_times(venue, days)
        for symbol, (_, told) in sorted(_by_symbol(known).items()):
            for day, close in zip(days, closes, strict=True):
                if close > as_of:
                    break
                record = told.at(close, half_life)
                if record.articles:
                    records.append((symbol, day, *record))
    made = pd.DataFrame(records, columns=["symbol", "session", *COLUMNS])
    return made.astype({"symbol": "str", "session": "datetime64[us]"})


class Told:
    """The articles about one symbol, in the order in which they were learned.

    Args:
        columns: `learned`, `happened` (microseconds since 1970, UTC), `source`, `key`, `story`, `events`, `score` and
            `confidence` of each article; None or NaN where there is no score.

    Attributes:
        order: the places of the articles in the columns.
        first: whether each, in that order, is the first that tells its story.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        learned, source, key = columns["learned"], columns["source"], columns["key"]
        self.order = sorted(range(len(learned)), key=lambda place: (learned[place], source[place], key[place]))
        self.first = _first_told([(learned[at], columns["story"][at], columns["events"][at]) for at in self.order])
        self._learned = np.array([learned[at] for at in self.order], dtype=np.int64)
        self._happened = np.array([columns["happened"][at] for at in self.order], dtype=np.int64)
        self._score = np.array([columns["score"][at] for at in self.order], dtype=float)
        self._confidence = np.array([columns["confidence"][at] for at in self.order], dtype=float)
        self._counts = np.array(self.first, dtype=bool) & ~np.isnan(self._score) & (self._confidence > 0)

    def at(self, moment: pd.Timestamp, half_life: pd.Timedelta) -> Tally:
        """What they add up to at a moment; see `tone_of`."""
        now = int(moment.value) // 1000
        life = half_life / pd.Timedelta(1, unit="us")
        age = now - self._happened
        near = (self._learned <= now) & (age <= REACH * life)
        articles = int(near.sum())
        if not articles:
            return Tally()
        silent, newest = int((near & np.isnan(self._score)).sum()), float(age[near].min()) / 3.6e9
        scored = near & self._counts
        if not scored.any():
            return Tally(articles=articles, silent=silent, newest_age_h=newest)
        score = self._score[scored]
        weight = self._confidence[scored] * np.exp2(-age[scored] / life)
        total, loud = float(weight.sum()), float(weight @ np.abs(score))
        mean = float(weight @ score) / total
        agreement = abs(float(weight @ score)) / loud if loud else 1.0
        spread = math.sqrt(float(weight @ (score - mean) ** 2) / total) if len(score) > 1 else math.nan
        sure = 1.0 - float(np.prod(1.0 - np.clip(weight, 0.0, 1.0)))
        return Tally(mean, sure * agreement, articles, len(score), silent, spread, newest)


def _by_symbol(rows: pd.DataFrame) -> dict[str, tuple[list[int], Told]]:
    """Symbol -> (places of its rows, its articles)."""
    columns: dict[str, list[Any]] = {name: rows[name].tolist() for name in _COLUMNS}
    columns |= {name: _micro(rows[name]) for name in ("learned", "happened")}
    places: dict[str, list[int]] = {}
    for place, symbol in enumerate(rows["symbol"].tolist()):
        places.setdefault(str(symbol), []).append(place)
    return {
        symbol: (of, Told({name: [values[at] for at in of] for name, values in columns.items()}))
        for symbol, of in places.items()
    }


def _first_told(articles: list[tuple[int, str, str]]) -> list[bool]:
    """Of articles as (learned, fingerprint, events), by `learned`: does each begin a story."""
    reach = SAME_STORY // pd.Timedelta(1, unit="us")
    leaders: list[tuple[int, str, str]] = []
    first: list[bool] = []
    for learned, story, events in articles:
        leaders = [leader for leader in leaders if learned - leader[0] <= reach]
        again = any(told == events and apart(story, leader) <= NEAR for _, leader, told in leaders)
        if not again:
            leaders.append((learned, story, events))
        first.append(not again)
    return first


def _micro(moments: pd.Series) -> list[int]:
    found: list[int] = moments.dt.as_unit("us").to_numpy(dtype="datetime64[us]").astype(np.int64).tolist()
    return found


def _refuse(as_of: pd.Timestamp, half_life: pd.Timedelta) -> None:
    if as_of.tzinfo is None:
        raise ParameterError(f"as_of={as_of} has no timezone; nothing was added up.", remedy="use a UTC Timestamp.")
    if not half_life > pd.Timedelta(0):
        raise ParameterError(f"half_life={half_life} must be longer than 0; nothing was added up.", remedy="use 24h.")
