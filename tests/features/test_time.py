"""No value depends on the future, nor, after the declared warm-up, on where the history begins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.features.markets import columns
from tests.features.test_both_ways import ASKED
from tests.properties.future import Leak, assert_unchanged, random_history
from workbench.features import Definition, feature, frame, registered
from workbench.features.parameter import window
from workbench.features.windows import Windows

HISTORY = random_history(seed=5, gaps=0.02, length=420)
SCALES = {"currency": 100.0, "0 to 100": 100.0, "−100 to 100": 100.0, "currency per bar": 1e6, "bars": 100.0}


@pytest.mark.parametrize("text", ASKED)
@settings(max_examples=4, deadline=None)
@given(seed=some.integers(0, 2**16), skipped=some.integers(1, 400))
def test_after_the_warm_up_it_does_not_matter_where_the_history_begins(text, seed, skipped):
    one = feature(text)
    drawn = columns(skipped + one.warm_up + 40, seed=seed)
    whole = one.batch(drawn)[skipped:]
    later = one.batch({field: values[skipped:] for field, values in drawn.items()})
    scale = max(SCALES.get(one.unit, 1.0), float(np.abs(whole[one.warm_up :]).max()))
    np.testing.assert_allclose(later[one.warm_up :], whole[one.warm_up :], rtol=0, atol=2e-9 * scale)


@pytest.mark.parametrize("text", [text for text in ASKED if feature(text).warm_up > 1 and feature(text).exact])
def test_the_warm_up_is_not_much_longer_than_needed(text):
    # A warm-up that is far too long would pass the test above for nothing.
    one = feature(text)
    if one.warm_up <= max(one.arguments):
        return
    drawn = columns(400 + one.warm_up, seed=2)
    whole = one.batch(drawn)[400:]
    later = one.batch({field: values[400:] for field, values in drawn.items()})
    half = slice(one.warm_up // 4, one.warm_up // 2)
    assert np.nanmax(np.abs(later[half] - whole[half])) > 1e-9


@pytest.mark.parametrize("name", registered())
@settings(max_examples=4, deadline=None)
@given(row=some.integers(290, 415), seed=some.integers(0, 2**32 - 1))
def test_no_feature_knows_the_future(name, row, seed):
    one = registered()[name].of()
    assert_unchanged(lambda history: one.over(history.bars), HISTORY, after=HISTORY.sessions[row], seed=seed)


def test_a_planted_leak_is_caught():
    centred = Definition(
        "leak",
        "the window lies around the bar, not before it",
        "currency",
        ("close",),
        (window(5),),
        lambda window: window,
        "a mistake",
        _Centred(lambda window: window, lambda close, _window: close.mean(axis=-1)),
    ).of()
    for row in range(300, 308):
        with pytest.raises(Leak):
            assert_unchanged(lambda history: centred.over(history.bars), HISTORY, after=HISTORY.sessions[row], seed=row)


class _Centred(Windows):
    def batch(self, columns, arguments):
        return np.roll(super().batch(columns, arguments), -2)


def test_the_frame_of_a_model_does_not_know_the_future_nor_where_the_history_begins():
    asked = ["rsi(2)", "momentum(60, 5)", "atr_ratio(5)", "volume_ratio(5, 63)"]

    def table(history):
        return frame(history, asked, start=history.sessions[0]).unstack()

    for row in (295, 350, 401):
        assert_unchanged(table, HISTORY, after=HISTORY.sessions[row], seed=row)
    whole = table(HISTORY)
    late = frame(HISTORY.bars.between(HISTORY.sessions[150], HISTORY.sessions[-1]), asked).unstack()
    both = late.notna()
    pd.testing.assert_frame_equal(late.where(both), whole.loc[late.index].where(both), rtol=0, atol=1e-7)
    # With gaps in the bars, a warm row of the later history is warm in the whole one, too.
    assert (whole.loc[late.index].notna() | ~both).to_numpy().all()
    assert both.iloc[-30:].any().all()
