"""Draws of the block bootstraps: their law, arch's block length, and two forms of the same draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest.luck import bootstrap
from workbench.errors import ParameterError


def drawn(n, **asked):
    return np.concatenate(list(bootstrap.histories(n, **asked)))


class TestHistories:
    def test_stationary_blocks_are_geometric_with_the_mean_length(self):
        rows = drawn(400, block_length=8.0, reps=600, seed=3)
        assert rows.shape == (600, 400)
        steps = (rows[:, 1:] - rows[:, :-1]) % 400
        # a jump lands on the next row by chance once in 400 times
        assert 1 / (steps != 1).mean() == pytest.approx(8.0 / (1 - 1 / 400), rel=0.02)
        lengths = np.diff(np.flatnonzero(np.append(True, (steps != 1).ravel())))
        within = lengths[lengths < 100]
        assert within.var() == pytest.approx(8.0 * 7.0, rel=0.15)  # (1 − p) / p²

    def test_circular_blocks_all_have_the_same_length(self):
        rows = drawn(403, block_length=10.4, reps=300, seed=3, kind="circular")
        steps = (rows[:, 1:] - rows[:, :-1]) % 403
        inside = np.delete(steps, np.arange(9, 402, 10), axis=1)
        assert (inside == 1).all()
        assert (steps[:, 9] != 1).mean() > 0.95

    @pytest.mark.parametrize("kind", bootstrap.KINDS)
    def test_every_row_is_as_likely_as_any_other(self, kind):
        counts = np.bincount(drawn(400, block_length=8.0, reps=600, seed=3, kind=kind).ravel(), minlength=400)
        assert counts.mean() == 600
        assert counts.std() / counts.mean() < 0.15

    def test_blocks_of_one_are_independent_draws(self):
        rows = drawn(50, block_length=1.0, reps=2_000, seed=1)
        assert ((rows[:, 1:] - rows[:, :-1]) % 50 == 1).mean() == pytest.approx(1 / 50, abs=0.002)

    def test_the_seed_decides(self):
        one = drawn(100, block_length=5.0, reps=40, seed=1)
        np.testing.assert_array_equal(one, drawn(100, block_length=5.0, reps=40, seed=1))
        assert (one != drawn(100, block_length=5.0, reps=40, seed=2)).any()

    @pytest.mark.parametrize(
        "bad", [{"kind": "moving"}, {"block_length": 0.5}, {"block_length": float("nan")}, {"reps": 0}, {"seed": -1}]
    )
    def test_what_cannot_be_drawn(self, bad):
        asked = {"block_length": 5.0, "reps": 10, "seed": 1} | bad
        with pytest.raises(ParameterError, match=f"{next(iter(bad))}="):
            drawn(100, **asked)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 120),
    asked=st.fixed_dictionaries(
        {
            "block_length": st.floats(1, 200),
            "reps": st.integers(1, 7),
            "seed": st.integers(0, 10**9),
            "kind": st.sampled_from(bootstrap.KINDS),
        }
    ),
    chunk=st.sampled_from([1, 200, 2**17]),
)
def test_counts_are_the_histories_counted(n, asked, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "_CHUNK", chunk)
        rows, counts = drawn(n, **asked), bootstrap.counts(n, **asked)
    assert counts.shape == (asked["reps"], n)
    for row, count in zip(rows, counts, strict=True):
        np.testing.assert_array_equal(np.bincount(row, minlength=n), count)


class TestBlockLength:
    @pytest.mark.parametrize("echo", [-0.3, 0.0, 0.1, 0.6, 0.9])
    @pytest.mark.parametrize("n", [250, 2400])
    @pytest.mark.parametrize("kind", bootstrap.KINDS)
    def test_it_is_that_of_arch(self, echo, n, kind):
        from arch.bootstrap import optimal_block_length

        noise = np.random.default_rng(n).standard_normal(n)
        series = np.zeros(n)
        for row in range(1, n):
            series[row] = echo * series[row - 1] + noise[row]
        theirs = float(optimal_block_length(series)[kind].iloc[0])
        assert bootstrap.optimal_block_length(series, kind=kind) == pytest.approx(max(theirs, 1.0), rel=1e-9)

    def test_a_series_that_does_not_move_has_blocks_of_one(self):
        assert bootstrap.optimal_block_length(np.zeros(100)) == 1.0
