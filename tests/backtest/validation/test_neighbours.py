"""Neighbours: grid steps, edges, holes, categories, and scattered points."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest.validation.neighbours import (
    ABSENT,
    LEAST,
    MOST,
    OUTSIDE,
    REACH,
    coordinates,
    neighbours_of,
)
from workbench.errors import GridRefused, ParameterError


def grid(**values):
    return pd.DataFrame(list(itertools.product(*values.values())), columns=list(values))


def beside(cells, row, **asked):
    """(the neighbours that exist, the number of absent places, the number of places outside) of one cell."""
    places = neighbours_of(cells, list(cells.columns), **asked).rows[row]
    return set(places[places >= 0].tolist()), int((places == ABSENT).sum()), int((places == OUTSIDE).sum())


class TestSteps:
    def test_on_a_line_they_are_the_cells_before_and_after(self):
        cells = pd.DataFrame({"a": [30, 10, 20, 40]})
        assert beside(cells, 2) == ({0, 1, 2}, 0, 0)
        assert beside(cells, 1) == ({1, 2}, 0, 1)

    def test_a_step_leads_to_the_next_value_that_occurs_however_far_it_is(self):
        cells = pd.DataFrame({"a": [1, 2, 5, 100, 1000]})
        assert beside(cells, 3)[0] == {2, 3, 4}

    def test_on_a_plane_diagonals_are_neighbours_too(self):
        cells = grid(a=[1, 2, 3], b=[10, 20, 30])
        assert beside(cells, 4) == (set(range(9)), 0, 0)
        assert beside(cells, 0) == ({0, 1, 3, 4}, 0, 5)

    def test_the_cell_itself_is_the_first_place(self):
        cells = grid(a=[1, 2, 3], b=[1, 2])
        rows = neighbours_of(cells, ["a", "b"]).rows
        assert rows[:, 0].tolist() == list(range(6))

    def test_a_place_inside_the_grid_without_a_cell_is_absent_and_one_beyond_the_edge_is_outside(self):
        cells = grid(fast=[1, 2, 3, 4], slow=[2, 3, 4, 5]).query("fast < slow").reset_index(drop=True)
        row = cells.index[(cells["fast"] == 3) & (cells["slow"] == 4)][0]
        found, absent, outside = beside(cells, row)
        assert (len(found), absent, outside) == (6, 3, 0)
        corner = cells.index[(cells["fast"] == 1) & (cells["slow"] == 5)][0]
        found, absent, outside = beside(cells, corner)
        assert cells.loc[sorted(found)].to_numpy().tolist() == [[1, 4], [1, 5], [2, 4], [2, 5]]
        assert (absent, outside) == (0, 5)

    def test_a_wider_radius_takes_more_steps(self):
        assert beside(grid(a=range(9)), 4, radius=3)[0] == set(range(1, 8))
        assert beside(grid(a=range(9)), 4, radius=0)[0] == {4}

    @pytest.mark.parametrize("values", [["up", "down"], [True, False], [None, (1, 2)]])
    def test_values_that_are_no_numbers_are_no_neighbours(self, values):
        cells = grid(a=[1, 2], b=values)
        assert beside(cells, 0) == ({0, 2}, 0, 1)

    def test_without_parameters_there_is_one_cell_and_it_is_alone(self):
        assert neighbours_of(pd.DataFrame(index=[0]), []).rows.tolist() == [[0]]

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_they_are_those_a_plain_loop_finds(self, data):
        width = data.draw(st.integers(1, 3))
        sides = [data.draw(st.lists(st.integers(-50, 50), min_size=1, max_size=4, unique=True)) for _ in range(width)]
        full = grid(**{f"p{number}": side for number, side in enumerate(sides)})
        kept = data.draw(st.lists(st.sampled_from(range(len(full))), min_size=1, unique=True))
        cells = full.iloc[kept].reset_index(drop=True)
        radius = data.draw(st.integers(0, 2))
        ranks = np.column_stack([cells[name].rank(method="dense").astype(int) for name in cells])
        around = neighbours_of(cells, list(cells.columns), radius=radius, kind="steps")
        for row in range(len(cells)):
            near = np.flatnonzero((np.abs(ranks - ranks[row]) <= radius).all(axis=1))
            places = around.rows[row]
            assert sorted(places[places >= 0].tolist()) == near.tolist()
            inside = math.prod(
                min(rank + radius, side) - max(rank - radius, 1) + 1
                for rank, side in zip(ranks[row], ranks.max(axis=0), strict=True)
            )
            assert (places != OUTSIDE).sum() == inside


class TestScattered:
    def test_cells_that_fill_little_of_their_lattice_are_scattered(self):
        rng = np.random.default_rng(1)
        cells = pd.DataFrame({"a": rng.random(200), "b": rng.random(200)})
        around = neighbours_of(cells, ["a", "b"])
        assert around.scattered
        spread = coordinates(cells, ["a", "b"])
        for row in (0, 17, 199):
            distance = np.abs(spread - spread[row]).max(axis=1)
            nearest = set(np.argsort(distance, kind="stable")[: max(LEAST, int((distance <= REACH).sum()))].tolist())
            places = around.rows[row]
            assert set(places[places >= 0].tolist()) == nearest
            assert places[0] == row

    def test_a_triangle_of_refused_cells_is_still_a_grid(self):
        cells = grid(fast=range(1, 11), slow=range(1, 11)).query("fast < slow")
        assert not neighbours_of(cells, ["fast", "slow"]).scattered

    def test_there_are_at_most_so_many_and_at_least_so_many(self):
        line = pd.DataFrame({"a": np.linspace(0, 1, 300) ** 8})
        around = neighbours_of(line, ["a"], kind="nearest")
        counts = (around.rows >= 0).sum(axis=1)
        assert counts.max() == MOST
        assert counts.min() == LEAST
        assert around.fair.all()

    def test_a_range_can_be_measured_in_logarithms(self):
        cells = pd.DataFrame({"rate": [0.001, 0.01, 0.1, 1.0], "same": [3, 3, 3, 3]})
        assert coordinates(cells, ["rate"], ["rate"])[:, 0] == pytest.approx([0, 1 / 3, 2 / 3, 1])
        assert coordinates(cells, ["rate", "same"])[1] == pytest.approx([9 / 999, 0])

    CROWD = pd.DataFrame({"a": np.concatenate([np.linspace(0.249, 0.251, 50), np.delete(np.linspace(0, 1, 101), 25)])})

    def test_where_a_neighbourhood_was_measured_only_even_cells_count(self):
        cells, drawn = self.CROWD, np.arange(150) >= 50
        around = neighbours_of(cells, ["a"], kind="nearest", even=drawn, measured=np.array([25]))
        assert around.fair.tolist() == (cells["a"] - cells["a"][25]).abs().le(REACH / 2).tolist()
        for row in np.flatnonzero(around.fair):
            places = around.rows[row][around.rows[row] >= 0]
            assert places[0] == row
            near = np.flatnonzero(drawn & (cells["a"] - cells["a"][row]).abs().le(REACH + 1e-9))
            assert sorted({row, *near}) == sorted(places.tolist())
        crowd = around.rows[90][around.rows[90] >= 0]
        assert len(crowd) >= LEAST

    def test_where_it_was_not_or_too_few_are_even_all_count_and_the_sample_is_not_fair(self):
        few = np.arange(150) % 20 == 0
        for even, measured in ((np.arange(150) >= 50, None), (few, np.array([25]))):
            around = neighbours_of(self.CROWD, ["a"], kind="nearest", even=even, measured=measured)
            assert not around.fair.any()
            assert (around.rows[25] >= 0).sum() == MOST

    def test_categories_are_not_crossed(self):
        rng = np.random.default_rng(2)
        cells = pd.DataFrame({"a": rng.random(60), "side": ["up", "down"] * 30})
        around = neighbours_of(cells, ["a", "side"], kind="nearest")
        for row in range(60):
            places = around.rows[row][around.rows[row] >= 0]
            assert set(places % 2) == {row % 2}

    def test_a_lone_category_is_alone(self):
        cells = pd.DataFrame({"a": [0.1, 0.2, 0.3], "side": ["up", "down", "up"]})
        assert beside(cells, 1, kind="nearest")[0] == {1}


class TestRefusals:
    def test_each_says_what_was_wrong(self):
        cells = grid(a=[1, 2])
        for error, says, asked in (
            (GridRefused, "no cell", (cells.iloc[:0], ["a"], {})),
            (ParameterError, "'b' is no column", (cells, ["b"], {})),
            (ParameterError, "repeats", (cells, ["a", "a"], {})),
            (ParameterError, "radius=-1", (cells, ["a"], {"radius": -1})),
            (ParameterError, "radius=True", (cells, ["a"], {"radius": True})),
            (ParameterError, "kind='near'", (cells, ["a"], {"kind": "near"})),
            (ParameterError, "a is NaN", (pd.DataFrame({"a": [1.0, np.nan]}), ["a"], {})),
            (GridRefused, "{'a': 2} occurs twice", (pd.DataFrame({"a": [2, 1, 2]}), ["a"], {})),
        ):
            with pytest.raises(error, match=says):
                neighbours_of(asked[0], asked[1], **asked[2])

    def test_more_places_than_memory_are_refused_before_they_are_made(self):
        cells = grid(**{f"p{number}": range(3) for number in range(10)})
        with pytest.raises(GridRefused, match=r"59,049 cells with 59,049 places"):
            neighbours_of(cells, list(cells.columns))
