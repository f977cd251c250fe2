"""Held-out headlines with a planted direction: how often the reader is right, and what it is without its parts.

Measured at the first run with `planted.headlines(11)`, before any of its headlines had been looked at: 92.8 % right
(three classes), 2.1 % of the directed ones with the opposite sign, a finding in 95.9 %, negated ones 97.5 % right,
neutral ones 88.9 %. The lexicon was not changed for it afterwards.
"""

import dataclasses
import re

import numpy as np
import pytest

from tests.data.sentiment.planted import headlines
from workbench.data import headlines as market
from workbench.data.sentiment import RuleReader
from workbench.data.sentiment.lexicon import lexicon

NEVER = (re.compile(r"(?!)"), {})


def direction(tone):
    return 0 if not tone.found or abs(tone.score) < 0.05 else int(np.sign(tone.score))


class Held:
    """How one reader does on one set."""

    def __init__(self, reader, told):
        self.tones = [reader.read(text) for text, _, _ in told]
        truth = np.array([planted for _, planted, _ in told])
        found = np.array([direction(tone) for tone in self.tones])
        directed = truth != 0
        self.negated = np.array([negated for _, _, negated in told])
        self.right = found == truth
        self.accuracy = self.right.mean()
        self.opposite = (found[directed] == -truth[directed]).mean()
        self.coverage = np.array([tone.found for tone in self.tones])[directed].mean()
        self.neutral = self.right[~directed].mean()
        self.of_negated = self.right[self.negated].mean()
        self.confidence = np.array([tone.confidence for tone in self.tones])


@pytest.fixture(scope="module")
def whole():
    return Held(RuleReader(), headlines(11))


def test_the_reader_is_right_on_headlines_it_was_not_made_for(whole):
    assert whole.accuracy >= 0.90
    assert whole.opposite <= 0.03
    assert whole.coverage >= 0.93
    assert whole.of_negated >= 0.90
    assert whole.neutral >= 0.80


@pytest.mark.parametrize("seed", [12, 13])
def test_other_names_and_numbers_change_little(whole, seed):
    other = Held(RuleReader(), headlines(seed, copies=2))
    assert abs(other.accuracy - whole.accuracy) < 0.05
    assert other.opposite <= 0.05


def test_without_events_it_is_much_worse(whole):
    wordy = Held(RuleReader(dataclasses.replace(lexicon(), events=())), headlines(11))
    assert wordy.accuracy < whole.accuracy - 0.15
    assert wordy.opposite > whole.opposite + 0.02


def test_without_words_it_is_worse(whole):
    assert Held(RuleReader(dataclasses.replace(lexicon(), words={})), headlines(11)).accuracy < whole.accuracy - 0.02


def test_without_negation_most_of_what_is_negated_has_the_wrong_sign(whole):
    reader = RuleReader(dataclasses.replace(lexicon(), after=NEVER))
    reader.engine.constants.NEGATE = frozenset()
    deaf = Held(reader, headlines(11))
    assert deaf.of_negated < 0.5 < whole.of_negated
    assert deaf.accuracy < whole.accuracy - 0.1


def test_higher_confidence_is_right_more_often(whole):
    found = whole.confidence > 0
    low, high = np.quantile(whole.confidence[found], [1 / 3, 2 / 3])
    shy = whole.right[found & (whole.confidence <= low)].mean()
    sure = whole.right[found & (whole.confidence >= high)].mean()
    assert sure > shy
    assert sure >= 0.97


def test_the_headlines_of_the_synthetic_market_are_read_as_planted():
    told = [
        (template.format(symbol="SYN07"), int(np.sign(tone)), False)
        for template, tone in (*market.GOOD, *market.BAD, *market.NEUTRAL)
    ]
    held = Held(RuleReader(), [*told, ("SYN07 does not cut its outlook", 1, True)])
    assert held.accuracy == 1
    planted = np.array([tone for _, tone in (*market.GOOD, *market.BAD)])
    scores = np.array([tone.score for tone in held.tones[: len(planted)]])
    assert np.corrcoef(planted, scores)[0, 1] > 0.9
