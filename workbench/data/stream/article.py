"""Article: one piece of news that came over a stream, with both clocks."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, slots=True)
class Article:
    """One article; nothing of it is interpreted here.

    Attributes:
        key: the vendor's id.
        symbols: what the vendor says it is about; may be empty.
        happened: when this version of it was published (UTC).
        created: when its first version was (UTC).
        learned: when it reached this machine (UTC); never before `happened`.
        filled: it was asked for after a gap and did not come over the stream.
    """

    key: str
    symbols: tuple[str, ...]
    headline: str
    summary: str
    author: str
    publisher: str
    url: str
    happened: pd.Timestamp
    created: pd.Timestamp
    learned: pd.Timestamp
    filled: bool = False
