"""Static figures: never a widget, always with units on the axes, the label of the data and a one-line text.

From what a notebook holds: `prices(history)`, `compare(runs, benchmark=…)`, `intervals(runs, metric=…)`, `months(run)`,
`decisions(frame, label=…)`, `fills(frame, label=…)`. From plain frames: `equity`, `growth`, `price_lines`,
`monthly_returns`, `weights`, `coverage`, `metric_intervals`. `show(figure)` displays one.
"""

from workbench.report.figures.asked import compare, intervals, months, prices
from workbench.report.figures.heatmaps import coverage, monthly_returns, weights
from workbench.report.figures.lines import equity, growth, price_lines
from workbench.report.figures.marks import decisions, fills, metric_intervals
from workbench.report.shown import show

__all__ = [
    "compare",
    "coverage",
    "decisions",
    "equity",
    "fills",
    "growth",
    "intervals",
    "metric_intervals",
    "monthly_returns",
    "months",
    "price_lines",
    "prices",
    "show",
    "weights",
]
