"""A strategy with one parameter of every shape, and values that fit one of them or none."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from hypothesis import strategies as some
from pydantic import Field

from workbench.strategies import registered
from workbench.strategy import Strategy


class Everything(Strategy):
    """One parameter of every shape.

    Attributes:
        count: a whole number.
        share: a fraction.
        above: more than 1.
        free: any number.
        flag: yes or no.
        mode: one of two.
        word: a text.
        maybe: a whole number or nothing.
        many: numbers.
    """

    name: ClassVar[str] = "everything"
    warm_up: ClassVar[int] = 0

    count: Annotated[int, Field(gt=1, lt=100)] = 5
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    above: Annotated[float, Field(gt=1)] = 2.0
    free: float = 0.0
    flag: bool = False
    mode: Literal["slow", "fast"] = "slow"
    word: Annotated[str, Field(max_length=20)] = "a"
    maybe: int | None = None
    many: Annotated[tuple[float, ...], Field(min_length=1)] = (1.0,)

    def target_weights(self, history):
        return history.close * 0.0


anything = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(-3, 110),
    some.integers(),
    some.floats(allow_nan=False, allow_infinity=False).filter(lambda value: not value.is_integer()),
    some.floats(0, 3).filter(lambda value: not value.is_integer()),
    some.text(max_size=25),
    some.sampled_from(["slow", "fast", "a"]),
    some.lists(some.integers(-3, 3) | some.text(max_size=2), max_size=3),
)


def register(monkeypatch):
    """Make `Everything` known for the time of a test."""
    kinds = {**registered(), "everything": Everything}
    for module in ("workbench.strategies", "workbench.strategies.schema"):
        monkeypatch.setattr(f"{module}.registered", lambda: kinds)
