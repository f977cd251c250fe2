"""RuleReader: our own finance lexicon and event patterns on the engine of NLTK's VADER.

1. The text is brought to one form: lower case, clauses apart, tickers taken out.
2. Rewritings take traps away ("market share" is no gift), then every event found becomes one token of its weight.
3. NLTK's VADER weighs the tokens: it turns negated ones (× −0.74), strengthens and weakens by degree, and gives what
   follows "but" more weight than what comes before. Its own lexicon is not used and not needed.
4. score = sum / sqrt(sum² + 15), VADER's own normalisation, over headline (weight 1) and summary (weight 0.5).
   confidence = agreement × mass / (mass + 2), × 0.75 without an event, × 0.7 where the text only supposes; agreement =
   |sum| / mass, mass = sum of the absolute weights. The constants of the confidence are judgements; tests hold that
   higher confidence is right more often.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Final, TypeAlias

from workbench.data.sentiment.lexicon import BREAK, Lexicon, lexicon, rewrite
from workbench.data.sentiment.tone import NOTHING, Tone, Word

Weighed: TypeAlias = tuple[str, float, str]  # wording, signed weight, event or ""

METHOD: Final = "rules-1"
SUMMARY_WEIGHT: Final = 0.5
SUMMARY_LENGTH: Final = 600  # characters; what an article is about stands at its beginning
MASS: Final = 2.0
WITHOUT_EVENT: Final = 0.75
SUPPOSED: Final = 0.7
FLAT: Final = 0.5  # confidence of an event without direction that stands alone

_HEDGE = re.compile(
    r"(?<!\S)(?:may|might|could|would|reportedly|rumou?r\w*|considers?|considering|mulls?|mulling|weighs?|weighing|"
    r"explor\w+|if|whether|possible|possibly|potential\w*|speculation|allegedly)(?!\S)|\?"
)
_TICKER = re.compile(r"\$[A-Za-z]{1,6}\b|\((?:[A-Za-z ]+:\s?)?[A-Z][A-Z.\-]{0,6}\)")
_WIRE = re.compile(r"^\s*(?:(?:UPDATE|WRAPUP|CORRECTED|REFILE|BREAKING|EXCLUSIVE|BRIEF|ALERT)\s*\d*\s*[-:–]\s*)+")
_CLAUSE = re.compile(r"[;:|—–…()\[\]\"“”]+|,(?!\d)|\s-+\s|[.!?](?=\s|$)")
_NOISE = re.compile(r"[^a-z0-9$%&'./ ]+")
_STOP = re.compile(
    r"(?:the|an|its?|is|are|was|were|be|been|being|to|of|for|in|at|by|with|will|would|has|have|had|do|does|did|"
    r"their|his|her|this|these|those|he|she|they|says?|said)"
)
_TOKEN = re.compile(r"ev(\d+)")
_DEGREE_AFTER = re.compile(  # "sales fall sharply": the engine looks for degrees before a word only
    rf"(\S+) (extremely|slightly)(?= {BREAK}| (?:as|after|on|in|amid|by|to|for|from)\b|$)"
)
_CONCEDED = re.compile(  # "shares rise despite weak demand": what is conceded is not what is told
    rf"(?<!\S)(?:despite|in spite of|notwithstanding|although|even though|even as|even after) .*?(?= {BREAK}|$)"
)


class RuleReader:
    """Reads by rules; deterministic and offline, some thousand headlines a second.

    Args:
        known: what it knows; the package's own lexicon when None.
    """

    method: Final = METHOD

    def __init__(self, known: Lexicon | None = None) -> None:
        self._known = known or lexicon()

    def read(self, headline: str, summary: str = "") -> Tone:
        """The tone of an article; NaN with confidence 0 where nothing in it is known. NLTK is imported at the first."""
        weighed = self._weigh(headline)
        if summary:
            halved = self._weigh(summary[:SUMMARY_LENGTH])
            weighed += [(text, weight * SUMMARY_WEIGHT, event) for text, weight, event in halved]
        if not weighed:
            return NOTHING
        total = sum(weight for _, weight, _ in weighed)
        mass = sum(abs(weight) for _, weight, _ in weighed)
        events = tuple(dict.fromkeys(event for _, _, event in weighed if event))
        confidence = FLAT
        if mass:
            agreement = abs(total) / mass
            confidence = agreement * mass / (mass + MASS) * (1.0 if events else WITHOUT_EVENT)
        if _HEDGE.search(headline.lower()):
            confidence *= SUPPOSED
        return Tone(
            score=round(float(self.engine.constants.normalize(total)), 6) + 0.0,
            confidence=round(confidence, 6),
            words=tuple(Word(text, round(weight, 3)) for text, weight, _ in weighed),
            events=events,
        )

    def _weigh(self, text: str) -> list[Weighed]:
        """Everything in the text that weighs, or that is an event of no weight."""
        made = rewrite(plain(text), self._known.before)
        told = re.sub(r" +", " ", _CONCEDED.sub("", made)).strip()
        return self._weigh_told(told) or (self._weigh_told(made) if told != made else [])

    def _weigh_told(self, made: str) -> list[Weighed]:
        spans: dict[int, list[str]] = {}
        for number, event in enumerate(self._known.events):

            def token(found: re.Match[str], number: int = number) -> str:
                spans.setdefault(number, []).append(found[0])
                return f"ev{number}"

            made = event.pattern.sub(token, made)
        made = _DEGREE_AFTER.sub(r"\2 \1", rewrite(made, self._known.after))
        tokens = [
            part
            for word in made.split()
            if not _STOP.fullmatch(word)
            for part in ([BREAK] * 3 if word == BREAK else [word])  # a negation reaches over three words
        ]
        weighed: list[Weighed] = []
        for word, weight in self.engine.weights(" ".join(tokens)):
            event_token = _TOKEN.fullmatch(word)
            if event_token:
                event = self._known.events[int(event_token[1])]
                said = spans[int(event_token[1])].pop(0)
                no = "not " if event.weight * weight < 0 else ""
                weighed.append((no + said, weight, no + event.name))
            elif weight:
                weighed.append(("not " * (self._known.words[word] * weight < 0) + word, weight, ""))
        return weighed

    @functools.cached_property
    def engine(self) -> Any:
        """NLTK's VADER with our lexicon; its answer is one weight per token."""
        from nltk.sentiment.vader import SentimentIntensityAnalyzer, SentiText, VaderConstants

        known = self._known

        class Engine(SentimentIntensityAnalyzer):  # type: ignore[misc, unused-ignore]
            def __init__(self) -> None:
                # Not super().__init__: it loads a lexicon from NLTK's download folder.
                self.constants = VaderConstants()
                self.constants.NEGATE = VaderConstants.NEGATE - {"despite"}  # a concession, not a negation
                self.lexicon = known.words | {f"ev{number}": event.weight for number, event in enumerate(known.events)}

            def weights(self, text: str) -> list[tuple[str, float]]:
                constants = self.constants
                words = SentiText(text, constants.PUNC_LIST, constants.REGEX_REMOVE_PUNCTUATION).words_and_emoticons
                return list(zip(words, self.polarity_scores(text), strict=True))

            def score_valence(self, sentiments: list[float], text: str) -> list[float]:
                return sentiments

        return Engine()


@functools.cache
def _reader() -> RuleReader:
    return RuleReader()


def score(headline: str, summary: str = "") -> Tone:
    """The tone of a headline (and its summary) by our rules: score, confidence, the words that mattered, events.

    Args:
        headline: any text; it is weighed, never obeyed.
        summary: counts half; only its first 600 characters are read.

    Returns:
        A `Tone`; score NaN and confidence 0 where nothing was found.
    """
    return _reader().read(headline, summary)


def plain(text: str) -> str:
    """The text in the one form that patterns are written for: lower case, one blank, `//` between clauses."""
    text = _TICKER.sub(" ", _WIRE.sub("", text.replace("’", "'").replace("‘", "'")))
    if not text.isupper():  # a word in capitals inside a headline is a name: GAP, WIN, LOW
        words = lexicon().words
        text = re.sub(r"\b[A-Z]{2,}\b", lambda found: "name" if found[0].lower() in words else found[0], text)
    text = _CLAUSE.sub(f" {BREAK} ", text.lower())
    text = re.sub(r"'s\b", "", text)
    text = _NOISE.sub(" ", text.replace("-", " "))
    return re.sub(r"\s+", " ", text).strip()
