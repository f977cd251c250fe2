"""Regions: a plateau beats a spike, failures count, ties are settled, and the numbers are counted by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest.validation.regions import best_region, region_scores
from workbench.errors import GridRefused, ParameterError


def line(*values):
    return pd.DataFrame({"a": range(len(values)), "m": np.array(values, dtype=float)})


def plane(values):
    values = np.asarray(values, dtype=float)
    cells = list(itertools.product(*(range(size) for size in values.shape)))
    return pd.DataFrame(cells, columns=["a", "b", "c"][: values.ndim]).assign(m=values.ravel())


class TestPlateau:
    def test_a_planted_plateau_beats_a_planted_spike(self):
        surface = np.zeros((9, 9))
        surface[1, 1] = 10.0
        surface[5:8, 4:7] = 1.0
        region = best_region(plane(surface), ["a", "b"], "m")
        assert region.centre == {"a": 6, "b": 5}
        assert (region.score, region.value, region.stability) == (1.0, 1.0, 1.0)
        assert (region.peak, region.peak_value) == ({"a": 1, "b": 1}, 10.0)
        assert len(region.members) == region.places == 9
        assert region.members.iloc[0][["a", "b"]].tolist() == [6, 5]

    def test_a_ridge_one_cell_wide_is_no_plateau(self):
        surface = np.full((9, 9), -1.0)
        surface[2, :] = 5.0
        surface[5:9, 5:9] = 0.5
        assert best_region(plane(surface), ["a", "b"], "m").score == 0.5

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 10), st.integers(1, 10))
    def test_under_noise_the_plateau_still_wins(self, seed, row, column):
        rng = np.random.default_rng(seed)
        surface = rng.normal(0.0, 0.1, (12, 12))
        surface[row - 1 : row + 2, column - 1 : column + 2] += 1.0
        away = [(r, c) for r in range(12) for c in range(12) if max(abs(r - row), abs(c - column)) > 2]
        surface[away[rng.integers(len(away))]] = 20.0
        region = best_region(plane(surface), ["a", "b"], "m")
        assert max(abs(region.centre["a"] - row), abs(region.centre["b"] - column)) <= 1
        assert region.peak_value == 20.0

    def test_three_parameters_work_alike(self):
        surface = np.zeros((5, 5, 5))
        surface[0, 0, 0] = 9.0
        surface[2:5, 2:5, 2:5] = 1.0
        assert best_region(plane(surface), ["a", "b", "c"], "m").centre == {"a": 3, "b": 3, "c": 3}


class TestScoreByHand:
    def test_it_is_the_median_that_occurs_and_the_lower_one_of_two(self):
        scores = region_scores(line(1, 5, 2, 4, 3), ["a"], "m")
        # {1,5} {1,5,2} {5,2,4} {2,4,3} {4,3}
        assert scores["score"].tolist() == [1, 2, 4, 3, 3]
        assert scores["places"].tolist() == [2, 3, 3, 3, 2]

    def test_another_quantile_asks_more_or_less_of_the_neighbours(self):
        frame = line(1, 5, 2, 4, 3)
        assert region_scores(frame, ["a"], "m", quantile=0.0)["score"].tolist() == [1, 1, 2, 2, 3]
        assert region_scores(frame, ["a"], "m", quantile=1.0)["score"].tolist() == [5, 5, 5, 4, 4]

    def test_stability_is_the_share_of_the_others_that_are_alike(self):
        scores = region_scores(line(1.0, 1.1, 1.3, 2.0), ["a"], "m", alike=0.2)
        # 1.1 of 1.0: yes. 1.0 and 1.3 of 1.1: 9 % and 18 %. 1.1 and 2.0 of 1.3: 15 % and 54 %. 1.3 of 2.0: 35 %
        assert scores["stability"].tolist() == [1.0, 1.0, 0.5, 0.0]

    def test_stability_of_a_cell_without_others_is_undefined(self):
        region = best_region(line(3.0), ["a"], "m")
        assert (region.centre, region.score, region.places) == ({"a": 0}, 3.0, 1)
        assert np.isnan(region.stability)
        assert "stability undefined" in repr(region)

    def test_radius_zero_is_the_plain_maximum(self):
        frame = line(1, 9, 2, 4, 3)
        assert best_region(frame, ["a"], "m", radius=0).centre == {"a": 1}


class TestFailures:
    def test_a_failed_cell_counts_as_the_worst_of_all(self):
        surface = np.full((5, 5), np.nan)
        surface[0, 0] = surface[0, 1] = 8.0
        surface[2:5, 2:5] = 1.0
        region = best_region(plane(surface), ["a", "b"], "m")
        assert region.centre == {"a": 3, "b": 3}
        scores = region_scores(plane(surface), ["a", "b"], "m").set_index(pd.MultiIndex.from_product([range(5)] * 2))
        assert np.isnan(scores.loc[(0, 1), "score"])  # 2 of 6 places have a number
        assert scores.loc[(0, 1), "found"] == 2
        assert scores.loc[(0, 0), "score"] != scores.loc[(0, 0), "score"]  # 2 of 4: the lower median has none

    def test_a_cell_that_was_refused_and_left_out_counts_like_one_that_failed(self):
        surface = np.ones((6, 6))
        frame = plane(surface)
        failed = frame.assign(m=frame["m"].where(frame["a"] < frame["b"]))
        left_out = frame[frame["a"] < frame["b"]].reset_index(drop=True)
        left_out.loc[len(left_out)] = [0, 0, np.nan]  # so that the lattice has the same edges
        left_out.loc[len(left_out)] = [5, 5, np.nan]
        whole = region_scores(failed, ["a", "b"], "m").assign(a=failed["a"], b=failed["b"]).set_index(["a", "b"])
        part = region_scores(left_out, ["a", "b"], "m").assign(a=left_out["a"], b=left_out["b"]).set_index(["a", "b"])
        pd.testing.assert_frame_equal(part, whole.loc[part.index])

    def test_a_failed_cell_is_never_a_centre(self):
        region = best_region(line(5, np.nan, 5, 1, 1, 1), ["a"], "m")
        assert region.centre == {"a": 3}

    @pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
    def test_nothing_but_failures_is_no_region(self, worst):
        assert best_region(line(worst, worst, worst), ["a"], "m") is None

    def test_members_have_numbers(self):
        region = best_region(line(1, 1, np.nan, -5, -5), ["a"], "m", radius=2)
        assert region.places == 3
        assert region.members["metric"].tolist() == [1, 1]


class TestTies:
    def test_on_a_flat_surface_the_first_by_parameters_wins_however_the_rows_lie(self):
        frame = plane(np.ones((4, 4)))
        expected = best_region(frame, ["a", "b"], "m").centre
        assert expected == {"a": 0, "b": 0}
        for seed in range(5):
            assert best_region(frame.sample(frac=1, random_state=seed), ["a", "b"], "m").centre == expected

    def test_of_equal_medians_the_better_lower_quarter_wins(self):
        region = best_region(line(0, 3, 3, 3, 0, 0, 2.9, 3, 3, 3, 3, 3, 2.9), ["a"], "m", radius=2)
        assert region.centre == {"a": 9}

    def test_in_a_grid_that_is_one_region_its_best_cell_is_the_centre(self):
        assert best_region(line(1, 2), ["a"], "m").centre == {"a": 1}
        assert best_region(line(2, 1), ["a"], "m").centre == {"a": 0}

    def test_the_centre_is_plain_values(self):
        frame = pd.DataFrame({"a": np.arange(3), "b": np.linspace(0, 1, 3), "c": ["x"] * 3, "m": [1.0, 2.0, 1.0]})
        centre = best_region(frame, ["a", "b", "c"], "m", kind="nearest").centre
        assert [type(value) for value in centre.values()] == [int, float, str]


class TestScattered:
    def test_a_plateau_among_random_points_beats_a_spike(self):
        rng = np.random.default_rng(4)
        frame = pd.DataFrame({"a": rng.random(400), "b": rng.random(400)})
        inside = (frame["a"] - 0.7).abs().lt(0.15) & (frame["b"] - 0.3).abs().lt(0.15)
        frame["m"] = np.where(inside, 1.0, 0.0)
        frame.loc[0, "m"] = 50.0
        region = best_region(frame, ["a", "b"], "m")
        assert region.scattered
        assert abs(region.centre["a"] - 0.7) < 0.15
        assert abs(region.centre["b"] - 0.3) < 0.15
        assert region.peak_value == 50.0
        assert len(region.members) >= 8


class TestRefusals:
    def test_each_says_what_was_wrong(self):
        frame = line(1, 2, 3)
        for error, says, ask in (
            (ParameterError, "metric='x' is no column", lambda: best_region(frame, ["a"], "x")),
            (ParameterError, "quantile=2", lambda: best_region(frame, ["a"], "m", quantile=2)),
            (ParameterError, "alike=-1", lambda: region_scores(frame, ["a"], "m", alike=-1)),
            (GridRefused, "no cell", lambda: best_region(frame.iloc[:0], ["a"], "m")),
        ):
            with pytest.raises(error, match=says):
                ask()


def test_names_are_escaped_in_html():
    frame = pd.DataFrame({"<b>": ["<script>", "y"], "m": [1.0, 2.0]})
    page = best_region(frame, ["<b>"], "m")._repr_html_()
    assert "<script>" not in page
    assert "&lt;b&gt;=y" in page
