"""How much dearer may trading become? Costs twice and three times as high, and the multiple that eats the profit."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd

from workbench.backtest import metrics
from workbench.backtest.audit.check import FAIL, PASS, WARN, Check, Subject, percent, ratio, total_return
from workbench.backtest.costs import Costs
from workbench.errors import BacktestError

MULTIPLES = (0.0, 1.0, 2.0, 3.0)
# The break-even multiple is looked for up to here, to this relative precision.
MOST = 64.0
_PRECISION = 0.01
_LARGEST_FRACTION = 0.99
_FRACTIONS = frozenset({"fee", "slippage", "spread", "fee_max"})
# An income, and a schedule by name: neither becomes dearer.
_AS_THEY_ARE = frozenset({"cash_interest", "regulatory"})

WHY = (
    "Slippage and spread are estimates, and they are worst when everybody wants out. A profit that dies at twice the "
    "estimate belongs to the market maker."
)
THRESHOLD = (
    "FAIL when nothing is left at costs × 2 (the break-even multiple is at most 2); WARN when it is at most 3, when no "
    "cost was asked for, or when it never traded."
)


def check(subject: Subject) -> Check:
    """Replay the same weights with multiples of the costs. Where none were asked for, `Costs()` is the unit."""
    free = not any(_amounts(subject.costs))
    unit = Costs() if free else subject.costs
    rows = []
    for multiple in MULTIPLES:
        asked_for = multiple == (0.0 if free else 1.0)
        dearer = subject.simulation if asked_for else subject.replay(subject.weights, costs=times(unit, multiple))
        rows.append(
            {
                "multiple": multiple,
                "sharpe": subject.sharpe(dearer),
                "total_return": total_return(dearer),
                "cost": metrics.cost_paid(dearer.orders, dearer.financing),
            }
        )
    numbers = pd.DataFrame(rows)
    returns = dict(zip(numbers["multiple"], numbers["total_return"], strict=True))
    found = _break_even(subject, unit, returns)
    summary = {
        "return_costs_x2": float(returns[2.0]),
        "sharpe_costs_x2": float(numbers.loc[numbers["multiple"] == 2.0, "sharpe"].iloc[0]),
        "break_even_costs": found,
    }
    if not len(subject.simulation.orders):
        return Check("costs", WARN, subject.no_edge, numbers, WHY, THRESHOLD, summary)
    if returns[0.0] <= 0:
        headline = f"It loses {percent(-returns[0.0])} without any cost: no cost is low enough."
        return Check("costs", FAIL, headline, numbers, WHY, THRESHOLD, summary)
    at = f"more than {MOST:.0f}" if math.isnan(found) else ratio(found)
    unit_said = " (no cost was asked for; the unit is 5 basis points of slippage)" if free else ""
    headline = (
        f"At twice the costs the return is {percent(returns[2.0])} instead of {percent(returns[1.0])}, the Sharpe "
        f"ratio {ratio(summary['sharpe_costs_x2'])}; the profit is gone at {at} times the costs{unit_said}."
    )
    multiple = math.inf if math.isnan(found) else found
    verdict = FAIL if multiple <= 2.0 else WARN if multiple <= 3.0 or free else PASS
    return Check("costs", verdict, headline, numbers, WHY, THRESHOLD, summary)


def times(costs: Costs, multiple: float) -> Costs:
    """The same costs, each `multiple` times as high; fractions stay below 1.

    Interest earned on cash and regulatory fees stay what they are.
    """
    changed: dict[str, object] = {}
    for item in dataclasses.fields(Costs):
        value = getattr(costs, item.name)
        if item.name == "fee_tiers":
            changed["fee_tiers"] = tuple((at, min(fee * multiple, _LARGEST_FRACTION)) for at, fee in value)
        elif item.name not in _AS_THEY_ARE and isinstance(value, int | float):
            dearer = value * multiple
            changed[item.name] = min(dearer, _LARGEST_FRACTION) if item.name in _FRACTIONS else dearer
    return dataclasses.replace(costs, **changed)  # type: ignore[arg-type] # each field keeps its own type


def _amounts(costs: Costs) -> list[object]:
    """What of the costs can be multiplied."""
    return [getattr(costs, item.name) for item in dataclasses.fields(Costs) if item.name not in _AS_THEY_ARE]


def _break_even(subject: Subject, unit: Costs, returns: dict[float, float]) -> float:
    """The multiple of the costs at which the total return is 0; NaN above `MOST`, or where there is no profit."""
    if returns[0.0] <= 0:
        return math.nan
    low = max(multiple for multiple, left in returns.items() if left > 0)
    high = min((multiple for multiple, left in returns.items() if left <= 0), default=math.nan)
    if math.isnan(high):
        for higher in (4.0, 8.0, 16.0, 32.0, MOST):
            if _return_at(subject, unit, higher) <= 0:
                high = higher
                break
            low = higher
        else:
            return math.nan
    while high - low > _PRECISION * high:
        middle = (low + high) / 2.0
        low, high = (middle, high) if _return_at(subject, unit, middle) > 0 else (low, middle)
    return (low + high) / 2.0


def _return_at(subject: Subject, unit: Costs, multiple: float) -> float:
    try:
        return total_return(subject.replay(subject.weights, costs=times(unit, multiple)))
    except BacktestError:
        return -1.0  # a book that such costs ruin cannot be replayed to its end
