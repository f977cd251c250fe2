"""The tables of the lexicon: well-formed, our own, and every pattern alive."""

import re
from importlib import resources

import pytest

from workbench.data.sentiment.lexicon import lexicon

TABLES = ("words.tsv", "phrases.tsv", "classes.tsv", "events.tsv")


def rows(name):
    text = resources.files("workbench.data.sentiment").joinpath(name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


def test_no_word_or_phrase_is_there_twice():
    for name in ("words.tsv", "phrases.tsv", "classes.tsv"):
        names = [row[0] for row in rows(name)]
        assert len(set(names)) == len(names)


def test_words_are_single_and_of_a_weight_that_says_something():
    assert len(lexicon().words) > 500
    for word, weight in lexicon().words.items():
        assert re.fullmatch(r"[a-z]+", word), word
        assert 0.5 <= abs(weight) <= 4, word


def test_both_directions_have_many_events():
    names = {event.name for event in lexicon().events}
    assert len(names) > 50
    for sign in (1, -1):
        assert len({event.name for event in lexicon().events if event.weight * sign > 0}) > 20


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_say_what_they_are(name):
    text = resources.files("workbench.data.sentiment").joinpath(name).read_text(encoding="utf-8")
    assert text.startswith("# ")


def test_every_class_is_used():
    patterns = " ".join(row[2] for row in rows("events.tsv"))
    unused = [row[0] for row in rows("classes.tsv") if "{" + row[0] + "}" not in patterns]
    assert unused == []
