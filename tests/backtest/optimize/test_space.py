"""The space: what may be written, what it means, and what the strategy's own schema forbids."""

from __future__ import annotations

import json
from typing import Annotated, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
from pydantic import Field

from workbench.backtest.optimize.space import Space, defaults_of
from workbench.errors import GridRefused, ParameterError
from workbench.strategies import SmaCross
from workbench.strategy import Strategy


class Everything(Strategy):
    """Fields of every type."""

    name: ClassVar[str] = "everything"
    warm_up: ClassVar[int] = 0

    window: Annotated[int, Field(ge=2, le=100)] = 20
    rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    free: float = 1.0
    side: Literal["long", "short"] = "long"
    strict: bool = False
    pair: tuple[int, int] = (1, 2)

    def target_weights(self, history):
        raise AssertionError("a search space never asks for weights")


def space(**asked):
    return Space.of(Everything, asked)


def values(**asked):
    return space(**asked).dimensions[0].listed


class TestMeaning:
    def test_a_pair_of_whole_numbers_is_every_one_between_them(self):
        assert values(window=(5, 9)) == [5, 6, 7, 8, 9]

    def test_a_third_number_is_the_step_and_the_end_is_only_reached_where_it_fits(self):
        assert values(window=(5, 12, 3)) == [5, 8, 11]
        assert values(rate=(0.1, 0.55, 0.1)) == [0.1, 0.2, 0.3, 0.4, 0.5]

    def test_real_numbers_without_a_step_are_no_list(self):
        assert values(rate=(0.1, 0.5)) is None
        assert space(rate=(0.1, 0.5)).size is None

    def test_none_means_the_bounds_of_the_schema(self):
        found = space(window=None).dimensions[0]
        assert (found.low, found.high, found.step) == (2, 100, 1)
        assert space(rate=None).dimensions[0].low == np.nextafter(0.0, 1.0)

    def test_lists_are_taken_as_they_are_without_repeats_and_numbers_in_order(self):
        assert values(window=[30, 10, 30, 20]) == [10, 20, 30]
        assert values(window=np.array([10, 20])) == [10, 20]
        assert values(window=range(10, 40, 10)) == [10, 20, 30]
        assert values(side=["short", "long"]) == ["short", "long"]
        assert values(pair=[[1, 2], [3, 4]]) == [(1, 2), (3, 4)]

    def test_a_grid_is_every_combination(self):
        grid = space(window=[10, 20], side=["long", "short"], rate=(0.25, 0.75, 0.25)).grid()
        assert len(grid) == space(window=[10, 20], side=["long", "short"], rate=(0.25, 0.75, 0.25)).size == 12
        assert grid.iloc[:4].to_dict("list") == {
            "window": [10] * 4,
            "side": ["long"] * 3 + ["short"],
            "rate": [0.25, 0.5, 0.75, 0.25],
        }
        assert grid.dtypes.astype(str).tolist() == ["int64", "object", "float64"]

    def test_values_that_are_lists_stay_whole(self):
        assert space(pair=[(1, 2), (3, 4)]).grid()["pair"].tolist() == [(1, 2), (3, 4)]

    def test_it_can_be_hashed(self):
        asked = space(window=(2, 9), rate=(0.1, 0.9, "log"), pair=[(1, 2)]).to_dict()
        assert set(json.loads(json.dumps(asked, allow_nan=False))) == set(asked)

    def test_defaults_are_read_off_the_fields(self):
        assert defaults_of(SmaCross) == {"fast": 50, "slow": 200}


class TestBox:
    def test_it_lies_within_a_share_of_each_range(self):
        box = space(window=(10, 60), rate=(0.1, 0.9), side=["long", "short"]).near(
            {"window": 12, "rate": 0.5, "side": "long"}, 0.1
        )
        assert box.dimensions[0].listed == [10, 11, 12, 13, 14, 15, 16, 17]
        assert (box.dimensions[1].low, box.dimensions[1].high) == pytest.approx((0.42, 0.58))
        assert box.dimensions[2].listed == ["long"]

    def test_on_a_logarithmic_scale_it_is_a_factor(self):
        box = space(rate=(0.01, 1.0, "log")).near({"rate": 0.1}, 0.1).dimensions[0]
        assert (box.low, box.high) == pytest.approx((0.1 / 100**0.1, 0.1 * 100**0.1))
        assert box.log

    def test_it_holds_the_centre_also_where_steps_are_wide(self):
        assert space(window=(10, 60, 50)).near({"window": 60}, 0.1).dimensions[0].listed == [60]
        assert space(window=[10, 12, 90]).near({"window": 12}, 0.1).dimensions[0].listed == [10, 12]

    def test_drawn_cells_lie_inside_and_are_the_same_for_the_same_seed(self):
        box = space(window=(10, 60), rate=(0.1, 0.9, "log"), side=["long", "short"])
        first = box.draw(np.random.default_rng(1), 50)
        assert first == box.draw(np.random.default_rng(1), 50)
        assert {type(value) for value in first[0]} == {int, float, str}
        assert all(10 <= window <= 60 and 0.1 <= rate <= 0.9 for window, rate, _ in first)


class TestRefusals:
    @pytest.mark.parametrize(
        ("error", "says", "asked"),
        [
            (ParameterError, "no parameter 'windo'(.|\n)*did you mean 'window'", {"windo": (2, 5)}),
            (ParameterError, "low=9 must be less than high=5", {"window": (9, 5)}),
            (ParameterError, "low=5 must be less than high=5", {"window": (5, 5)}),
            (ParameterError, "window=1 lies outside the bounds of the strategy, 2 to 100", {"window": (1, 5)}),
            (ParameterError, "window=101 lies outside", {"window": [5, 101]}),
            (ParameterError, r"rate=0\.0 lies outside", {"rate": (0.0, 0.5)}),
            (ParameterError, r"must be whole numbers", {"window": (2, 5.5)}),
            (ParameterError, r"must be whole numbers", {"window": [2.5]}),
            (ParameterError, "step=0 must be above 0", {"window": (2, 5, 0)}),
            (ParameterError, "step=9 must be above 0 and at most 3", {"window": (2, 5, 9)}),
            (ParameterError, "logarithmic range begins above 0", {"free": (-1.0, 1.0, "log")}),
            (ParameterError, "has no step", {"window": (2, 50, 2, "log")}),
            (ParameterError, "is no range", {"window": (2,)}),
            (ParameterError, "is no range", {"window": (2, "x")}),
            (ParameterError, "is no range", {"free": (0.0, float("inf"))}),
            (ParameterError, "neither a range nor a list", {"side": "long"}),
            (ParameterError, "neither a range nor a list", {"window": 5}),
            (ParameterError, "free=None means all values", {"free": None}),
            (GridRefused, "side has no value", {"side": []}),
            (GridRefused, "varies no parameter", {}),
        ],
    )
    def test_each_says_what_was_wrong(self, error, says, asked):
        with pytest.raises(error, match=says):
            Space.of(Everything, asked)

    def test_a_fixed_parameter_cannot_vary(self):
        with pytest.raises(ParameterError, match="window is fixed"):
            Space.of(Everything, {"window": (2, 5)}, fixed={"window": 3})

    def test_an_endless_grid_is_refused_with_a_step_to_try(self):
        with pytest.raises(GridRefused, match=r"any value from 0\.1 to 0\.9(.|\n)*\(0\.1, 0\.9, 0\.08\)"):
            space(rate=(0.1, 0.9)).grid()

    def test_a_grid_of_a_thousand_million_is_refused_before_it_is_built(self):
        asked = Space.of(SmaCross, {"fast": (1, 40_000), "slow": (2, 40_001)})
        with pytest.raises(GridRefused, match="1,600,000,000 cells"):
            asked.grid()


def test_values_are_drawn_from_every_slice():
    drawn = space(rate=(0.0625, 1.0), window=(2, 11)).draw(np.random.default_rng(3), 10)
    assert sorted(int((rate - 0.0625) / 0.09375) for rate, _ in drawn) == list(range(10))
    assert sorted(window for _, window in drawn) == list(range(2, 12))
    logarithms = space(rate=(0.01, 1.0, "log")).draw(np.random.default_rng(3), 20)
    assert sum(rate < 0.1 for (rate,) in logarithms) == 10


def test_a_frame_of_no_cells_keeps_its_types():
    assert space(window=(2, 5), side=["long"]).frame([]).dtypes.astype(str).tolist() == ["int64", "object"]
    assert isinstance(space(window=(2, 5)).frame([(3,)]), pd.DataFrame)
