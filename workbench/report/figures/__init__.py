"""Static figures: never a widget, always with units on the axes, the label of the data and a one-line text.

From what a notebook holds: `prices(history)`, `compare(runs, benchmark=…)`, `intervals(runs, metric=…)`; of a run
`months`, `rolling_sharpe`, `exposure`, `trades`, `excursions`, `daily_returns`, `outcomes`, `fan`; of a sweep
`heatmap`, `parallel`, `stability`, `folds`, `out_of_sample`, `drift`; `decisions(frame, label=…)`,
`fills(frame, label=…)`.

From plain frames: `equity`, `growth`, `price_lines`, `monthly_returns`, `weights`, `coverage`, `metric_intervals`,
`rolling_ratio`, `membership`, `exposures`, `trade_results`, `trade_excursions`, `return_histogram`, `redrawn`,
`fan_of`, and of a walk-forward `fold_scores`, `out_of_sample_equity`, `parameter_drift`. `show(figure)` displays one.
"""

from workbench.report.figures.asked import (
    compare,
    daily_returns,
    drift,
    excursions,
    exposure,
    fan,
    folds,
    intervals,
    months,
    out_of_sample,
    outcomes,
    prices,
    rolling_sharpe,
    trades,
)
from workbench.report.figures.distributions import fan_of, redrawn, return_histogram
from workbench.report.figures.folds import fold_scores, out_of_sample_equity, parameter_drift
from workbench.report.figures.heatmaps import coverage, monthly_returns, weights
from workbench.report.figures.lines import equity, growth, price_lines
from workbench.report.figures.marks import decisions, fills, metric_intervals
from workbench.report.figures.membership import membership
from workbench.report.figures.rolling import exposures, rolling_ratio
from workbench.report.figures.sweep_map import heatmap
from workbench.report.figures.sweeps import parallel, stability
from workbench.report.figures.trade_marks import trade_excursions, trade_results
from workbench.report.shown import show

__all__ = [
    "compare",
    "coverage",
    "daily_returns",
    "decisions",
    "drift",
    "equity",
    "excursions",
    "exposure",
    "exposures",
    "fan",
    "fan_of",
    "fills",
    "fold_scores",
    "folds",
    "growth",
    "heatmap",
    "intervals",
    "membership",
    "metric_intervals",
    "monthly_returns",
    "months",
    "out_of_sample",
    "out_of_sample_equity",
    "outcomes",
    "parallel",
    "parameter_drift",
    "price_lines",
    "prices",
    "redrawn",
    "return_histogram",
    "rolling_ratio",
    "rolling_sharpe",
    "show",
    "stability",
    "trade_excursions",
    "trade_results",
    "trades",
    "weights",
]
