"""The shortfall of a whole run: a backtest's fills against the fills that happened, split by cause."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import NoData, ParameterError
from workbench.report.shortfall import CAUSES, SIDES, Shortfall, causes_of, positive

if TYPE_CHECKING:
    from workbench.run import Run

Row = Mapping[Any, Any]
# What each rung of a fidelity run's ladder of backtests changes.
_LADDER = {
    "with a cushion": "cushion",
    "in whole lots": "rounding",
    "sized at the decision": "timing",
    "rules asked for": "sizing",
}


def of_fills(
    fills: pd.DataFrame,
    *,
    marks: Mapping[str, float],
    base: float,
    gap: float | None = None,
    lot: float = 1.0,
    title: str = "The run",
    label: str = "",
    currency: str = "USD",
) -> Shortfall:
    """The shortfall of a whole run: a backtest's fills against the fills that happened, row by row.

    A row's gain is s·q·(mark − p) − fee. With b the backtest, x the execution and m = min(q_b, q_x):

        price   s·m·(p_x − p_b); where both reference prices are known, s·m·(r_x − r_b) of it is `delay`
        fees    fee_x − fee_b
        s·(q_b − q_x)·(mark − p), p of the world that traded them: shares only the execution traded are `extra`; of
                those only the backtest traded, the ordered ones are `missed`, less than a lot is `rounding`, the rest
                `sizing`; where it is not known what was ordered, they are `quantity`

    Args:
        fills: one row per session, symbol and side: `symbol`, `side`, `qty_exchange`, `qty_backtest` (0 where a world
            has no fill), `price_exchange`, `price_backtest` (NaN there); and, where known, `fee_exchange`,
            `fee_backtest`, `reference_exchange`, `reference_backtest` and `ordered` (shares ordered). What
            `orchestration.fidelity_fills.compared` makes is such a frame.
        marks: the price at the end per symbol, at which both worlds' holdings are valued.
        base: what basis points are counted of, e.g. the initial cash.
        gap: final equity of the backtest less that of the execution, where known; what the fills do not explain of it
            is the row `other`.

    Raises:
        ParameterError: a quantity, a price or a mark is missing or not finite; nothing is taken for 0.
    """
    positive("base", base)
    rows = [_of_row(row, marks, lot) for row in fills.to_dict("records")]
    split = pd.DataFrame(rows).fillna(0.0) if rows else pd.DataFrame()
    costs = {name: math.fsum(split[name]) for name in CAUSES if name in split}
    if gap is not None:
        if not math.isfinite(gap):
            raise ParameterError(f"gap={gap} is not finite; nothing was computed.")
        costs["other"] = gap - math.fsum(costs.values())
    detail = pd.concat([fills.reset_index(drop=True), split], axis=1)
    return Shortfall(title, causes_of(costs, base), detail, base, label, currency)


def of_run(run: Run, *, marks: Mapping[str, float] | None = None) -> Shortfall:
    """The shortfall of a `fidelity` run: from the backtest by the default rules to what the exchange did.

    The rules on the way (cushion, lots, sizing at the decision) cost what the run's ladder says. The last step, from
    the backtest by those rules to the exchange, is split by its fills: with `marks` as in `of_fills`, else into
    `price` and `quantity`, which is the rest. Basis points are of the initial cash.

    Raises:
        NoData: the run is of another kind, or lacks a table.
    """
    if run.kind != "fidelity" or not {"fills", "steps"} <= set(run.tables):
        raise NoData(f"a run of kind {run.kind!r} has no fills of two worlds; there is no shortfall.")
    steps, fills, base = run.tables["steps"], run.tables["fills"], float(run.study.initial_cash)
    costs: dict[str, float] = {}
    for name, change in steps["change"].items():
        if (cause := _LADDER.get(str(name))) is not None:
            costs[cause] = costs.get(cause, 0.0) - float(change)
    last = -float(steps["change"].iloc[-1])
    if marks is None:
        paid = math.fsum(_paid_more(row) for row in fills.to_dict("records"))
        split = {"price": paid, "quantity": last - paid}
    else:
        causes = of_fills(fills, marks=marks, base=base, gap=last).causes["cost"]
        split = {str(cause): float(cost) for cause, cost in causes.items()}
    for cause, cost in split.items():
        costs[cause] = costs.get(cause, 0.0) + cost
    return Shortfall(run.title, causes_of(costs, base), fills, base, run.label)


def _paid_more(row: Row) -> float:
    """What the shares that both worlds traded cost more than on paper, currency."""
    both = min(_number(row, "qty_exchange", at_least=0.0), _number(row, "qty_backtest", at_least=0.0))
    return _sign(row) * both * (_number(row, "price_exchange") - _number(row, "price_backtest")) if both else 0.0


def _sign(row: Row) -> float:
    side = str(row["side"])
    if side not in SIDES:
        raise ParameterError(f"side={side!r} of {row['symbol']} is neither 'buy' nor 'sell'; nothing was computed.")
    return SIDES[side]


def _of_row(row: Row, marks: Mapping[str, float], lot: float) -> dict[str, float]:
    symbol, sign = str(row["symbol"]), _sign(row)
    real, paper = (_number(row, name, at_least=0.0) for name in ("qty_exchange", "qty_backtest"))
    costs: dict[str, float] = {}
    both = min(real, paper)
    if both:
        costs["price"] = _paid_more(row)
        if _known(row, "reference_exchange") and _known(row, "reference_backtest"):
            costs["delay"] = sign * both * (_number(row, "reference_exchange") - _number(row, "reference_backtest"))
            costs["price"] -= costs["delay"]
    if real != paper:
        mark = positive(f"the mark of {symbol}", marks.get(symbol, math.nan))
        gone = sign * (mark - _number(row, "price_backtest" if paper > real else "price_exchange"))
        if real > paper:
            costs["extra"] = -(real - paper) * gone
        elif not _known(row, "ordered"):
            costs["quantity"] = (paper - real) * gone
        else:
            missed = min(paper, max(_number(row, "ordered", at_least=0.0), real)) - real
            never = paper - real - missed
            if missed:
                costs["missed"] = missed * gone
            if never:
                costs["rounding" if never < lot else "sizing"] = never * gone
    if _known(row, "fee_exchange") or _known(row, "fee_backtest"):
        costs["fees"] = _number(row, "fee_exchange") - _number(row, "fee_backtest")
    return costs


def _known(row: Row, name: str) -> bool:
    value = row.get(name)
    return isinstance(value, int | float) and not math.isnan(value)


def _number(row: Row, name: str, *, at_least: float = -math.inf) -> float:
    value = row.get(name)
    if not isinstance(value, int | float) or not math.isfinite(value) or value < at_least:
        raise ParameterError(f"{name}={value} of {row.get('symbol')} is not a usable number; nothing was computed.")
    return float(value)
