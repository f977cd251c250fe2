"""Batch and stream give the same numbers, whatever gaps there are, and streams share nothing."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.features.markets import bars_of, columns
from workbench.features import feature, registered
from workbench.features.stream import Stream

# Every feature with its defaults, and with shorter windows where it has some, so that much happens in a short market.
SHORTER = {
    "return": "return(3)",
    "log_return": "log_return(4)",
    "momentum": "momentum(12, 3)",
    "worst_return": "worst_return(9)",
    "worst_gap": "worst_gap(9)",
    "sma": "sma(5)",
    "ema": "ema(2)",
    "sma_ratio": "sma_ratio(7)",
    "ema_ratio": "ema_ratio(6)",
    "sma_spread": "sma_spread(3, 11)",
    "ema_spread": "ema_spread(3, 11)",
    "macd": "macd(3, 8, 4)",
    "macd_signal": "macd_signal(3, 8, 4)",
    "macd_histogram": "macd_histogram(3, 8, 4)",
    "slope": "slope(5)",
    "slope_fit": "slope_fit(5)",
    "rsi": "rsi(2)",
    "stochastic_k": "stochastic_k(5, 1)",
    "stochastic_d": "stochastic_d(5, 2, 4)",
    "adx": "adx(4)",
    "di_spread": "di_spread(4)",
    "mfi": "mfi(4)",
    "zscore": "zscore(5)",
    "bb_upper": "bb_upper(5, 1.5)",
    "bb_middle": "bb_middle(5, 1.5)",
    "bb_lower": "bb_lower(5, 1.5)",
    "bb_position": "bb_position(5, 1.5)",
    "bb_width": "bb_width(5, 1.5)",
    "donchian_position": "donchian_position(1)",
    "below_high": "below_high(8)",
    "above_low": "above_low(8)",
    "breakout": "breakout(1)",
    "worst_drawdown": "worst_drawdown(8)",
    "bars_since_high": "bars_since_high(8)",
    "atr": "atr(3)",
    "atr_ratio": "atr_ratio(3)",
    "volatility": "volatility(3)",
    "volatility_ratio": "volatility_ratio(3, 9)",
    "ewma_volatility": "ewma_volatility(0.7)",
    "downside_volatility": "downside_volatility(5)",
    "parkinson_volatility": "parkinson_volatility(1)",
    "skew": "skew(5)",
    "kurtosis": "kurtosis(5)",
    "autocorrelation": "autocorrelation(6, 2)",
    "volume_ratio": "volume_ratio(2, 5)",
    "dollar_volume": "dollar_volume(4)",
    "amihud": "amihud(1)",
    "signed_volume": "signed_volume(4)",
}
ASKED = sorted({*(definition.of_defaults() for definition in registered().values()), *SHORTER.values()})


def batch_with_gaps(one, drawn):
    """What the batch says at each row: NaN in a gap, and the value over the rows without gaps elsewhere."""
    known = np.logical_and.reduce([np.isfinite(drawn[field]) for field in one.fields])
    found = np.full(len(known), np.nan)
    found[known] = one.batch({field: drawn[field][known] for field in one.fields})
    return found


def assert_equal(one, streamed, batch):
    np.testing.assert_array_equal(np.isnan(streamed), np.isnan(batch), err_msg=str(one))
    if one.exact:
        np.testing.assert_array_equal(streamed, batch, err_msg=str(one))
    else:
        np.testing.assert_allclose(streamed, batch, rtol=1e-9, atol=1e-12, err_msg=str(one))


def test_every_feature_is_asked():
    assert {feature(text).name for text in ASKED} == set(registered())
    assert set(SHORTER) == {name for name, definition in registered().items() if definition.parameters}


@pytest.mark.parametrize("text", ASKED)
@settings(max_examples=5, deadline=None)
@given(seed=some.integers(0, 2**16), gaps=some.sampled_from([0.0, 0.05, 0.5]), length=some.integers(0, 420))
def test_the_stream_gives_what_the_batch_gives(text, seed, gaps, length):
    one, drawn = feature(text), columns(length, seed=seed, gaps=gaps)
    stream = one.stream()
    streamed = np.array([stream.update(bar) for bar in bars_of(drawn)], dtype=float)
    assert_equal(one, streamed, batch_with_gaps(one, drawn))


@pytest.mark.parametrize("text", ASKED)
def test_every_feature_says_something(text):
    # The property above would hold for features that are NaN for ever.
    one, drawn = feature(text), columns(900, seed=3)
    values = one.batch(drawn)
    assert np.isfinite(values[one.warm_up :]).all()
    assert len(np.unique(values[one.warm_up :])) > 5


@pytest.mark.parametrize("text", ASKED)
@settings(max_examples=3, deadline=None)
@given(seed=some.integers(0, 2**16), cut=some.integers(0, 600))
def test_a_stream_begun_with_a_history_goes_on_as_if_it_had_seen_it(text, seed, cut):
    one, drawn = feature(text), columns(640, seed=seed, gaps=0.05)
    stream = one.stream({field: values[:cut] for field, values in drawn.items()})
    streamed = [stream.update(bar) for bar in bars_of({field: values[cut:] for field, values in drawn.items()})]
    assert_equal(one, np.array(streamed), batch_with_gaps(one, drawn)[cut:])


@pytest.mark.parametrize("text", ASKED)
def test_peeking_takes_nothing(text):
    one, drawn = feature(text), columns(400, seed=9)
    stream, other = one.stream(), bars_of(columns(400, seed=10))
    for row, bar in enumerate(bars_of(drawn)):
        stream.peek(other[row])
        peeked = stream.peek(bar)
        np.testing.assert_equal(stream.update(bar), peeked)
    np.testing.assert_equal(stream.value, one.stream(drawn).value)


@pytest.mark.parametrize("text", sorted(SHORTER.values()))
def test_two_symbols_share_no_state(text):
    one = feature(text)
    first, second = columns(120, seed=1), columns(120, seed=2)
    streams = one.stream(), one.stream()
    found = [[streams[0].update(a), streams[1].update(b)] for a, b in zip(bars_of(first), bars_of(second), strict=True)]
    assert_equal(one, np.array(found)[:, 0], one.batch(first))
    assert_equal(one, np.array(found)[:, 1], one.batch(second))


def test_a_gap_is_nan_and_leaves_the_state_alone():
    one, drawn = feature("ema(5)"), columns(30)
    stream = one.stream(drawn)
    before = stream.value
    assert math.isnan(stream.update({"close": math.nan}))
    assert math.isnan(stream.update({"open": 3.0}))
    assert math.isnan(stream.peek({"close": math.inf}))
    assert (stream.value, stream.bars) == (before, 30)


def test_a_stream_says_when_it_is_warm():
    stream, drawn = feature("ema(5)").stream(), bars_of(columns(60))
    warm = [(stream.update(bar), stream.warm)[1] for bar in drawn]
    assert feature("ema(5)").warm_up == 52
    assert warm == [False] * 52 + [True] * 8


def test_a_stream_is_begun_again_from_bars_and_never_pickled_or_begun_twice():
    stream = feature("rsi(14)").stream(columns(40))
    for copying in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="begin it again with feature"):
            copying(stream)
    with pytest.raises(RuntimeError, match="40 bars already"):
        stream.begin({"close": np.ones(3)})
    assert isinstance(stream, Stream)
