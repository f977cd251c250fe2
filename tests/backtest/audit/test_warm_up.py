"""How much history is enough: a recursive mean forgets at a rate that can be worked out, and the check finds it."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from tests.backtest.audit.planted import Planted, RecursiveMean, subject_of
from tests.properties.future import random_history
from workbench.backtest.audit import warm_up
from workbench.backtest.audit.check import FAIL, PASS, WARN
from workbench.backtest.audit.warm_up import amounts, drift
from workbench.strategies import build, registered

LONG = random_history(seed=6, length=1000, warm_up=700)
CLOSE = LONG.close.to_numpy()


def theory(span, *, bars, history=LONG):
    """Largest change of the wish when the mean begins `bars` before the first evaluated bar: (1−α)^bars · its error."""
    begins = history.begins
    mean = history.close.ewm(span=span, adjust=False).mean().to_numpy()
    apart = np.abs(history.close.to_numpy()[begins - bars] - mean[begins - bars])
    return float((apart * ((span - 1) / (span + 1)) ** bars).max()) / 1000 / len(history.symbols)


@pytest.mark.parametrize("name", registered())
def test_every_strategy_of_the_house_declares_enough(name):
    found = warm_up.check(subject_of(build(name), LONG))
    assert found.verdict == PASS, found.headline
    assert found.summary["warm_up_needed"] <= found.summary["warm_up_declared"]


def test_the_drift_of_a_recursive_mean_is_the_one_of_theory():
    found = warm_up.check(subject_of(RecursiveMean(span=40, declared=40), LONG))
    measured = found.numbers.set_index("warm_up")["largest_change"]
    for bars in (0, 10, 20, 30, 40):
        assert measured[bars] == pytest.approx(theory(40, bars=bars), rel=1e-6)


def test_too_short_a_warm_up_fails_and_says_how_much_would_do():
    found = warm_up.check(subject_of(RecursiveMean(span=40, declared=40), LONG))
    assert found.verdict == FAIL
    needed = int(found.summary["warm_up_needed"])
    tried = found.numbers["warm_up"].tolist()
    before = tried[tried.index(needed) - 1]
    assert theory(40, bars=needed) <= warm_up.TOLERANCE < theory(40, bars=before)
    assert f"a warm_up of {needed} would be needed" in found.headline
    assert "(40 declared)" in found.headline


def test_a_long_enough_warm_up_passes_and_says_what_would_have_done():
    found = warm_up.check(subject_of(RecursiveMean(span=40, declared=400), LONG))
    assert (found.verdict, found.summary["warm_up_needed"]) == (PASS, 200.0)
    assert "200 bars would have been enough" in found.headline
    assert theory(40, bars=200) <= warm_up.TOLERANCE < theory(40, bars=100)


def test_what_never_forgets_says_that_nothing_tried_was_enough():
    found = warm_up.check(subject_of(RecursiveMean(span=100_000, declared=10), LONG))
    assert found.verdict == FAIL
    assert math.isnan(found.summary["warm_up_needed"])
    assert f"more than {found.numbers['warm_up'].max()} are needed" in found.headline


def test_no_more_history_than_declared_is_a_warning_not_a_pass():
    found = warm_up.check(subject_of(RecursiveMean(span=9, declared=700), LONG))
    assert found.verdict == WARN
    assert "700 bars before the first evaluated one, and 700 are declared" in found.headline


class Refuses(Planted):
    """Stops with less history than it declares."""

    name: ClassVar[str] = "refuses"
    warm_up: ClassVar[int] = 100

    def wish(self, history):
        if history.begins < 100:
            raise ValueError("too short")
        return history.close * 0.0 + 1.0


def test_a_strategy_may_refuse_less_than_it_declares():
    found = warm_up.check(subject_of(Refuses(), LONG))
    assert found.verdict == PASS
    below = found.numbers[found.numbers["warm_up"] < 100]
    assert below["changed"].isna().all()
    assert not below["enough"].any()
    assert found.summary["warm_up_needed"] == 100


def test_the_amounts_lie_around_what_is_declared_and_below_what_is_loaded():
    assert amounts(200, 300) == [0, 50, 100, 150, 200, 210, 225, 250, 275]
    assert amounts(0, 4) == [0, 1, 2, 3]
    assert amounts(300, 200) == [0, 75, 150]
    assert amounts(0, 0) == []


def test_a_drift_by_hand():
    old = pd.DataFrame({"A": [0.5, np.nan, 1.0], "B": [0.0, 0.0, np.nan]}, index=[10, 11, 12])
    new = pd.DataFrame({"A": [0.3, np.nan, 1.0], "B": [0.0, np.nan, np.nan]}, index=[10, 11, 12])
    assert drift(old, new) == {"enough": False, "changed": 2.0, "largest_change": 0.2, "last_change": 11}
    assert drift(old, old)["enough"]
    assert drift(old, old + 5e-7)["enough"]
