"""Where an error lies that does not say so: the one part without which it is gone."""

from __future__ import annotations

import pytest

from workbench.errors import ParameterError
from workbench.strategies.locating import location_of


def refusing():
    """A build that refuses when a value -1 stands anywhere, and `a` ≥ `b` at the top."""

    def build(values):
        def walk(value):
            if value == -1:
                raise ParameterError("-1")
            for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
                walk(item)

        walk(values)
        if isinstance(values, dict) and values.get("a", 0) >= values.get("b", 10):
            raise ParameterError("a ≥ b")

    return build


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"x": -1}, ("x",)),
        ({"x": {"y": [1, 2, {"z": -1}]}, "w": 3}, ("x", "y", 2, "z")),
        ({"x": [-1], "w": [0, -1]}, ("x", 0)),  # of two faults the first
        ({"w": [0, 0, -1], "x": [{"y": -1}]}, ("w", 2)),
        ({"a": 20}, ("a",)),
        ({"a": 5, "b": 4, "c": 1}, ()),  # it takes both
        ([[0], [0, -1]], (1, 1)),
    ],
)
def test_the_path_of_the_part_at_fault(values, path):
    with pytest.raises(ParameterError):
        refusing()(values)
    assert location_of(refusing(), values) == path
