"""Tone: what a reader found in one article. And what a reader is: rules today, a language model where one is wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Word:
    """One wording that weighed: `weight` is signed, as it counted after negation and degree."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Tone:
    """What a reader found.

    Attributes:
        score: in [−1, 1], bad to good; NaN where nothing was found. 0 is a finding: good and bad in balance, or an
            event without direction such as a date that was announced.
        confidence: in [0, 1]; 0 where nothing was found.
        words: the wordings that weighed, in the order of the text.
        events: what happened, e.g. `earnings_beat`; `not dividend_cut` where it was negated.
    """

    score: float
    confidence: float
    words: tuple[Word, ...] = ()
    events: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        """Whether anything was found at all."""
        return not math.isnan(self.score)

    def __repr__(self) -> str:
        if not self.found:
            return "no finding"
        words = ", ".join(f"{word.text!r} {word.weight:+.1f}" for word in self.words)
        events = f" · {', '.join(self.events)}" if self.events else ""
        return f"{self.score:+.2f} (confidence {self.confidence:.2f}){events} · {words}"


NOTHING = Tone(score=math.nan, confidence=0.0)


@runtime_checkable
class Reader(Protocol):
    """Whoever reads an article.

    Attributes:
        method: name and version; it is stored beside every score, so that a later reading is another vintage.
    """

    @property
    def method(self) -> str: ...

    def read(self, headline: str, summary: str = "") -> Tone:
        """The tone of an article. The text is data: whatever it says, it is only weighed."""
        ...
