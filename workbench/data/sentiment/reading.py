"""read_news: rows of news become rows of the kind `sentiment`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workbench.data.kinds import kind_of
from workbench.data.sentiment.rules import RuleReader
from workbench.data.sentiment.story import fingerprint
from workbench.errors import ParameterError

if TYPE_CHECKING:
    from workbench.data.sentiment.tone import Reader


def read_news(rows: pd.DataFrame, *, reader: Reader | None = None, read_at: pd.Timestamp | None = None) -> pd.DataFrame:
    """Read every article, and give one row of the kind `sentiment` for each, in the order of the rows.

    Args:
        rows: rows of the kind `news`.
        reader: who reads; our rules when None.
        read_at: the moment of the reading (UTC), where it could not have been done at once when the article came: a
            score is then learned no earlier. With None it is learned with its article: right for a reader that stood
            by at the time, and an assumption for older news.

    Returns:
        Rows of the kind `sentiment`: score NaN and confidence 0 where nothing was found in an article, which is kept
        so that "read, and nothing found" is not "never read". `source` is the source of the article, `method` the
        reader's.

    Raises:
        ParameterError: `rows` are not news, or `read_at` has no timezone.
    """
    if read_at is not None and read_at.tzinfo is None:
        raise ParameterError(f"read_at={read_at} has no timezone; nothing was read.", remedy="use a UTC Timestamp.")
    if "headline" not in rows.columns:
        raise ParameterError("the rows have no column headline; nothing was read.", remedy="pass rows of kind news.")
    news = kind_of("news").typed(rows)
    by = reader or RuleReader()
    tones = [by.read(headline, summary) for headline, summary in zip(news["headline"], news["summary"], strict=True)]
    learned = news["learned"] if read_at is None else news["learned"].where(news["learned"] >= read_at, read_at)
    made = news.loc[:, ["symbol", "session", "time", "key", "happened", "source"]].assign(
        learned=learned,
        score=[tone.score for tone in tones],
        confidence=[tone.confidence for tone in tones],
        events=[", ".join(tone.events) for tone in tones],
        words=["; ".join(f"{word.text} {word.weight:+.2f}" for word in tone.words) for tone in tones],
        story=[fingerprint(headline) for headline in news["headline"]],
        method=by.method,
    )
    return kind_of("sentiment").typed(made)
