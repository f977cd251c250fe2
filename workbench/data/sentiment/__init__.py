"""Sentiment: the tone of news, read by rules of our own, and what it adds up to per symbol.

1. `score` reads one headline: which events it tells and which words weigh, negations and degrees counted (`rules`).
2. `read_news` reads rows of news into rows of the kind `sentiment`, each with the fingerprint of its story (`story`).
3. `tone_of` and `daily` add them up: a story told by several publishers counts once, and old news fades (`tallies`).
"""

from __future__ import annotations

from workbench.data.sentiment.reading import read_news
from workbench.data.sentiment.rules import METHOD, RuleReader, score
from workbench.data.sentiment.tallies import HALF_LIFE, Tally, daily, distinct, tone_of
from workbench.data.sentiment.tone import Reader, Tone, Word

__all__ = [
    "HALF_LIFE",
    "METHOD",
    "Reader",
    "RuleReader",
    "Tally",
    "Tone",
    "Word",
    "daily",
    "distinct",
    "read_news",
    "score",
    "tone_of",
]
