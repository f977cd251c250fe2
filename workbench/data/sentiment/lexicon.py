"""The lexicon: our words, rewritings, classes and patterns of events, read from the tables beside this file."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources

from workbench.errors import StoreError

BREAK = "//"  # stands between clauses; no pattern and no negation reaches over it
_GAP = 4  # words that may stand between the parts of a pattern
_NOT_IN_GAP = (
    "as after amid over about on despite while but though although because who that than whether "
    "not never no nor without cannot fails failed fail failing unable declines declined refuses refused "
    "denies denied deny denying avoids avoid avoided averts averted yet"
)
_BLOCKING = ("up", "down", "rise", "fall", "beat", "miss", "refuse")


@dataclass(frozen=True, slots=True)
class Event:
    """A pattern of words that tells what happened, and what that weighs (−4 … +4)."""

    name: str
    weight: float
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything a rule reader knows.

    Attributes:
        words: word -> weight.
        before, after: rewritings as (pattern, phrase -> what it becomes), before and after events are looked for;
            negations come after, because some of them are part of an event ("drug fails …").
        events: in the order in which they are tried.
    """

    words: dict[str, float]
    before: tuple[re.Pattern[str], dict[str, str]]
    after: tuple[re.Pattern[str], dict[str, str]]
    events: tuple[Event, ...]


@functools.cache
def lexicon() -> Lexicon:
    """The tables, read once. Raises StoreError when one of them is malformed."""
    words = {word: _weight("words.tsv", weight) for word, weight, _ in _table("words.tsv", 3)}
    phrases = {phrase: becomes for phrase, becomes, _ in _table("phrases.tsv", 3)}
    classes = {name: "|".join(map(_form, forms.split())) for name, forms in _table("classes.tsv", 2)}
    gap = _gap(classes)
    events = tuple(
        Event(name, _weight("events.tsv", weight), _compile(pattern, classes, gap))
        for name, weight, pattern in _table("events.tsv", 3)
    )
    return Lexicon(
        words=words,
        before=_rewriting({phrase: becomes for phrase, becomes in phrases.items() if becomes != "not"}),
        after=_rewriting({phrase: becomes for phrase, becomes in phrases.items() if becomes == "not"}),
        events=events,
    )


def rewrite(text: str, rewriting: tuple[re.Pattern[str], dict[str, str]]) -> str:
    """The text with every phrase replaced by what it becomes; single blanks stay single."""
    pattern, becomes = rewriting
    return re.sub(r" +", " ", pattern.sub(lambda found: becomes[found[0]], text)).strip()


def _table(name: str, columns: int) -> list[list[str]]:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    for row in rows:
        if len(row) != columns:
            raise StoreError(f"{name} has a line of {len(row)} columns, not {columns}: {row[:2]}.")
    return rows


def _weight(name: str, text: str) -> float:
    weight = float(text)
    if not -4.0 <= weight <= 4.0:
        raise StoreError(f"{name} has the weight {text}; the scale is −4 to +4.")
    return weight


def _form(form: str) -> str:
    return re.escape(form.replace("-", " ")).replace(r"\*", "[a-z]*").replace(r"\ ", " ")


def _gap(classes: dict[str, str]) -> str:
    blocked = "|".join([*_NOT_IN_GAP.split(), *(classes[name] for name in _BLOCKING), r"\S*n't", r"ev\d+"])
    return rf"(?: (?!(?:{blocked}|{BREAK})(?: |$))\S+){{0,{_GAP}}}? "


def _compile(pattern: str, classes: dict[str, str], gap: str) -> re.Pattern[str]:
    made = pattern.removesuffix(" ~")  # at the end it only says that more may follow
    made = re.sub(r"\{([a-z]+)\}", lambda found: f"(?:{classes[found[1]]})", made)
    return re.compile(rf"(?<!\S)(?:{made.replace(' ~ ', gap)})(?!\S)")


def _rewriting(phrases: dict[str, str]) -> tuple[re.Pattern[str], dict[str, str]]:
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?<!\S)(?:{'|'.join(map(re.escape, longest_first))})(?!\S)"), phrases
