"""Static pictures: as long, as many and as far to the right as their values say."""

from __future__ import annotations

import pytest

from tests.report.reading import Parsed
from workbench.report import pictures


def test_bars_are_as_long_as_their_values():
    drawn = Parsed(pictures.bars([("a", 2.0), ("b", -1.0), ("c", float("nan"))], title="<t>", show="{:.1f}".format))
    widths = [float(bar["width"]) for bar in drawn.named("rect")]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert [bar["class"] for bar in drawn.named("rect")] == ["bar", "bar below"]
    ends = [
        float(bar["x"]) + (0 if "below" not in bar["class"] else float(bar["width"])) for bar in drawn.named("rect")
    ]
    assert ends[0] == pytest.approx(ends[1], abs=0.2)  # both begin at zero
    assert drawn.named("svg")[0]["aria-label"] == "<t>"


def test_one_dot_per_value_that_is_known():
    drawn = Parsed(pictures.dots([("a", [1.0, -1.0, float("nan")]), ("b", [0.5])], mark=0.5, title="t", show=str))
    places = [(float(dot["cx"]), float(dot["cy"])) for dot in drawn.named("circle")]
    assert len(places) == 3
    assert places[1][0] < places[2][0] < places[0][0]
    assert places[2][0] == pytest.approx((places[0][0] * 3 + places[1][0]) / 4, abs=0.2)
    mark = next(line for line in drawn.named("line") if line["class"] == "mark")
    assert float(mark["x1"]) == pytest.approx(places[2][0], abs=0.2)


def test_nothing_but_zero_can_be_drawn():
    assert "undefined" in pictures.bars([("a", float("nan"))], title="t", show=str)
    assert "<circle" in pictures.dots([("a", [0.0])], mark=float("nan"), title="t", show=str)
