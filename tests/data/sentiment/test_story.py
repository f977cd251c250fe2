"""Who tells the same story: retellings agree, different news of one company does not."""

import itertools

import pytest

from tests.data.sentiment.planted import BY_DIRECTION
from workbench.data.sentiment.story import NEAR, apart, fingerprint, wording

TOLD = [
    template.format(n="Norvik", p="12%", m="$3.5 billion", q="third")
    for templates, _ in BY_DIRECTION
    for template in templates
]

RETELLINGS = [
    lambda told: f"UPDATE 2-{told}",
    lambda told: f"BREAKING: {told}.",
    lambda told: f"{told} - Reuters",
    lambda told: f"{told} | The Daily Ledger",
    str.upper,
    lambda told: told.replace("$3.5 billion", "$3.5bn").replace("12%", "12 percent"),
    lambda told: told.replace("Norvik", "Norvik (NYSE: NVK)"),
    lambda told: told.replace("Norvik", "Norvik Inc."),
    lambda told: f"{told}, sources say",
    lambda told: f"{told} on Tuesday",
]


@pytest.mark.parametrize("retell", RETELLINGS)
def test_a_story_retold_is_the_same_story(retell):
    for told in TOLD:
        assert apart(fingerprint(told), fingerprint(retell(told))) <= NEAR, told


def test_different_news_of_one_company_are_different_stories():
    nearest = min(apart(fingerprint(one), fingerprint(other)) for one, other in itertools.combinations(TOLD, 2))
    assert nearest > NEAR  # 6,441 pairs; the nearest differ in 13 bits


def test_a_fingerprint_is_sixteen_hex_digits_and_always_the_same():
    assert fingerprint("Norvik beats estimates") == fingerprint("Norvik  beats estimates")
    # Pinned: fingerprints that are stored must stay comparable.
    assert fingerprint("Norvik beats estimates") == "07db68b6d041c95c"


def test_a_headline_without_words_is_like_no_other():
    assert fingerprint("…") == ""
    assert apart("", "") == 64
    assert apart("", fingerprint("Norvik beats estimates")) == 64


def test_the_wording_that_counts():
    assert wording("UPDATE 1-Norvik’s profit up 12 percent to $3.5 bn - Reuters") == "norvik profit up 12% 3.5bn"
    assert wording("The A to Z") == "z"
