"""Grids: what they refuse, in which words, before any work; and which cells are in them."""

from __future__ import annotations

import itertools
import json
from typing import Annotated, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from pydantic import Field

from workbench.backtest.sweep.grid import LARGEST, Grid
from workbench.errors import GridRefused, ParameterError
from workbench.strategies import EmaCross, Momentum, Rules, SmaCross
from workbench.strategy import Strategy


class Free(Strategy):
    """No rule between its parameters; one without a default."""

    name: ClassVar[str] = "free"
    size: Annotated[float, Field(gt=0, lt=1)]
    mode: str = "calm"
    on: bool = True


def refusal(error, kind, values, **fixed):
    with pytest.raises(error) as caught:
        Grid.of(kind, values, fixed=fixed)
    return str(caught.value)


class TestRefusals:
    def test_names(self):
        assert "did you mean 'fast'?" in refusal(ParameterError, SmaCross, {"fsat": [1]})
        assert "sma_cross has no parameter 'window'" in refusal(ParameterError, SmaCross, {"window": [1]})
        assert "it has fast, slow" in refusal(ParameterError, SmaCross, {"zzz": [1]})
        assert "fast is both varied and fixed=3" in refusal(ParameterError, SmaCross, {"fast": [1]}, fast=3)
        assert "free needs a value for size" in refusal(ParameterError, Free, {"mode": ["a"]})

    def test_values_name_parameter_value_and_bound(self):
        said = refusal(ParameterError, SmaCross, {"fast": [5, 0]})
        assert "fast=0" in said
        assert "greater than or equal to 1" in said
        assert "slow='soon'" in refusal(ParameterError, SmaCross, {"slow": ["soon"]})
        assert "slow=2.5" in refusal(ParameterError, SmaCross, {"slow": np.array([2.0, 2.5])})
        assert "size=1.0" in refusal(ParameterError, Free, {"size": [0.5, 1.0]})
        assert "slow=1" in refusal(ParameterError, SmaCross, {"fast": [1]}, slow=1)

    def test_a_grid_of_nothing(self):
        assert "has 0 cells: slow has no value" in refusal(GridRefused, SmaCross, {"fast": [1], "slow": []})
        assert "has 0 cells: no parameter varies" in refusal(GridRefused, SmaCross, {})
        said = refusal(GridRefused, SmaCross, {"fast": [20, 30], "slow": [10, 15]})
        assert "refuses all 4 combinations" in said
        assert "fast=20 must be less than slow=10" in said

    def test_a_grid_of_a_billion_takes_no_memory(self):
        said = refusal(GridRefused, SmaCross, {"fast": range(1, 50_001), "slow": range(1, 20_001)})
        assert "1,000,000,000 cells, more than 10,000,000" in said
        assert "more than" in refusal(GridRefused, SmaCross, {"fast": range(10**15)})
        assert "fast has more than" in refusal(GridRefused, SmaCross, {"fast": itertools.count(1)})
        assert LARGEST == 10_000_000


class TestCells:
    @pytest.mark.parametrize("kind", [SmaCross, EmaCross, Momentum])
    @settings(max_examples=25, deadline=None)
    @given(
        first=some.sets(some.integers(2, 40), min_size=1, max_size=8),
        second=some.sets(some.integers(2, 40), min_size=1, max_size=8),
    )
    def test_they_are_what_the_strategy_accepts(self, kind, first, second):
        one, other = list(kind.model_fields)[:2]
        accepted = []
        for pair in itertools.product(sorted(first), sorted(second)):
            try:
                kind(**dict(zip((one, other), pair, strict=True)))
            except ParameterError:
                continue
            accepted.append(pair)
        if not accepted:
            refusal(GridRefused, kind, {one: first, other: second})
            return
        grid = Grid.of(kind, {one: first, other: second})
        assert [tuple(row) for row in grid.cells()[[one, other]].to_numpy()] == accepted
        assert (len(grid), grid.refused) == (len(accepted), len(first) * len(second) - len(accepted))

    def test_however_it_is_written_it_is_the_same_grid(self):
        one = Grid.of(SmaCross, {"fast": range(5, 8), "slow": [50, 6, 50]})
        other = Grid.of(SmaCross, {"slow": np.array([6, 50]), "fast": ("7", 6.0, 5)})
        assert one.hash == other.hash
        assert one.cells().equals(other.cells())
        assert one.cells().dtypes.tolist() == [np.dtype("int64")] * 2
        assert json.loads(json.dumps(one.to_dict())) == {
            "strategy": "sma_cross",
            "values": {"fast": [5, 6, 7], "slow": [6, 50]},
            "fixed": {},
        }
        assert Grid.of(SmaCross, {"fast": range(5, 8)}, fixed={"slow": 50}).hash != one.hash

    def test_a_value_alone_is_a_list_of_one(self):
        grid = Grid.of(Free, {"size": 0.5, "mode": "calm", "on": [True, False]})
        assert grid.cells().to_dict("records") == [
            {"size": 0.5, "mode": "calm", "on": True},
            {"size": 0.5, "mode": "calm", "on": False},
        ]
        assert grid.refused == 0

    def test_values_may_be_structures(self):
        slow, quick = ({"left": "rsi(14)", "op": "<", "right": 30},), ({"left": "rsi(5)", "op": "<", "right": 30},)
        grid = Grid.of(Rules, {"entry": [slow, quick]})
        assert len(grid) == 2
        assert Rules(entry=grid.cells()["entry"].iloc[1]).entry[0].left == "rsi(5)"
        assert grid.to_dict()["values"]["entry"][1] == [{"left": "rsi(5)", "op": "<", "right": 30.0}]

    @pytest.mark.parametrize("size", [1, 7, 100])
    def test_chunks_are_the_cells(self, size):
        grid = Grid.of(SmaCross, {"fast": range(1, 8), "slow": range(2, 9)})
        chunks = grid.chunks(size)
        frames = list(chunks)
        assert [number for number, _ in frames] == list(range(len(chunks)))
        assert [row for _, frame in frames for row in frame.itertuples()] == list(grid.cells().itertuples())
        assert chunks.cells == len(grid) == 28
        with pytest.raises(IndexError):
            chunks[len(chunks)]

    def test_a_chunk_of_nothing(self):
        with pytest.raises(ParameterError, match="size=0"):
            Grid.of(SmaCross, {"fast": [1]}).chunks(0)

    def test_it_says_what_it_is(self):
        grid = Grid.of(SmaCross, {"slow": [100, 50], "fast": range(5, 45)})
        assert grid.line == "sma_cross(fast=5…44, slow=50, 100) · 80 cells"
        assert grid.names == ("fast", "slow")
