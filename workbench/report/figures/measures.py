"""A metric on an axis: its words, its unit, the factor that brings it there, and which end of it is the good one."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from workbench.backtest.metrics.kpis import KPIS
from workbench.report.tables import FRACTIONS

# Numbers of summaries and of reshuffled histories that are no metric of the registry: unit, and whether less is better.
_OTHERS = {
    "final": ("times the start", False),
    "final_equity": ("currency", False),
    "longest": ("sessions", True),
    "under_water": ("%", True),
}
_WORDS = {
    "final": "wealth at the end",
    "longest": "longest time below the peak",
    "under_water": "share of time below the peak",
}
# Kinds of whole things.
_COUNTED = frozenset({"trades", "sessions", "calendar days"})


@dataclass(frozen=True, slots=True)
class Measure:
    """How a metric is shown.

    Attributes:
        name: the metric's own name.
        words: its name for a reader.
        unit: of the numbers after they were multiplied by `factor`.
        factor: 100 where the metric is a fraction shown in percent, else 1.
        less: whether less of it is better.
    """

    name: str
    words: str
    unit: str
    factor: float
    less: bool

    @property
    def axis(self) -> str:
        """The title of its axis, e.g. `max drawdown (%)`."""
        return self.words if self.unit == self.words else f"{self.words} ({self.unit})"

    def text(self, value: float) -> str:
        """One of its numbers, before the factor, as a reader sees it: `0.57`, `−12.3 %`, `15`; `undefined` for NaN."""
        if value != value:  # noqa: PLR0124 - NaN differs from itself
            return "undefined"
        if self.unit == "%":
            return percent(value, digits=1)
        return f"{value * self.factor:,.{0 if self.unit in _COUNTED else 2}f}".replace("-", "−")


def percent(share: float, *, digits: int = 0) -> str:
    """A share as a reader sees it: 0.5 is `50 %`, −0.0164 with two digits `−1.64 %`."""
    return f"{share * 100:.{digits}f} %".replace("-", "−")


def measure(metric: str) -> Measure:
    """How `metric` is shown, by its name in a run's summary: unit and direction are those of its definition."""
    unit, less = _defined().get(metric) or _OTHERS.get(metric) or ("%" if metric in FRACTIONS else "ratio", False)
    return Measure(
        name=metric,
        words=_WORDS.get(metric, metric.replace("_", " ")),
        unit=unit,
        factor=100.0 if unit == "%" else 1.0,
        less=less,
    )


@functools.cache
def _defined() -> dict[str, tuple[str, bool]]:
    fraction = ("fraction", "share of")
    return {kpi.name: ("%" if kpi.unit.startswith(fraction) else kpi.unit, kpi.better == "lower") for kpi in KPIS}
