"""Kpi: what must be known about one metric, written beside its function by the decorator `kpi`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Better = Literal["higher", "lower", "none"]

GROUPS = (
    "returns",
    "risk",
    "drawdown",
    "tail",
    "ratio",
    "benchmark",
    "trade",
    "exposure",
    "cost",
    "rolling",
    "calendar",
)


@dataclass(frozen=True, slots=True)
class Kpi:
    """One metric and its definition.

    Attributes:
        name: unique; the key in summaries and tables.
        group: one of `GROUPS`.
        unit: of the value; "fraction" is 0.01 for one per cent, "ratio" has none.
        better: whether a higher or a lower value is better, or neither.
        formula: on one line.
        source: who defined it.
        undefined: when the value is NaN.
        risk: True for a measure of risk.
        function: computes it; the names of its parameters say what it needs.
        needs: those names, without the constants of a definition (a minimum return, an order).
        required: the ones without which the value is NaN.
    """

    name: str
    group: str
    unit: str
    better: Better
    formula: str
    source: str
    undefined: str
    risk: bool
    function: Callable[..., float]
    needs: tuple[str, ...]
    required: tuple[str, ...]


# What a run can offer a metric, by the name of the parameter.
INPUTS = ("returns", "benchmark", "equity", "orders", "trades", "exposure", "gross", "financing", "periods")

Metric = TypeVar("Metric", bound=Callable[..., float])


def kpi(
    group: str,
    *,
    unit: str,
    better: Better,
    formula: str,
    source: str,
    undefined: str,
    risk: bool = False,
    name: str | None = None,
) -> Callable[[Metric], Metric]:
    """Define a metric: the function stays as it is, and carries a `Kpi`; its help repeats formula, unit and source."""

    def define(function: Metric) -> Metric:
        parameters = inspect.signature(function).parameters
        needs = tuple(need for need in INPUTS if need in parameters)
        facts: dict[str, Any] = {"group": group, "unit": unit, "better": better, "formula": formula}
        record = Kpi(
            name=name or function.__name__,
            source=source,
            undefined=undefined,
            risk=risk,
            function=function,
            needs=needs,
            required=tuple(need for need in needs if parameters[need].default is inspect.Parameter.empty),
            **facts,
        )
        function.__doc__ = (
            f"{inspect.cleandoc(function.__doc__ or record.name)}\n\n"
            f"Formula: {formula}\nUnit: {unit}\nUndefined (NaN): {undefined}\nSource: {source}\n"
        )
        function.__dict__["kpi"] = record
        return function

    return define
