"""What trading took: fees, slippage, spread, impact, borrowing, and how often the book was turned over.

`orders` has one row per fill; its columns `fee`, `slippage`, `spread` and `impact` are money lost, ≥ 0. `financing` has
one row per session; its columns `borrow` and `interest` are cash that came (+) or went (−). A column that is not there
is a cost that was not modelled: its own metric is NaN, and the total goes without it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.track import YEAR, ZERO, ratio

if TYPE_CHECKING:
    import pandas as pd

_KINDS = ("fee", "slippage", "spread", "impact")
_SUM = "plain sum"
_SHORTFALL = "Perold 1988, implementation shortfall; plain sum"


@kpi(
    "cost",
    unit="currency",
    better="lower",
    formula="Σ fee + Σ slippage + Σ spread + Σ impact + borrow paid",
    source=_SHORTFALL,
    undefined="no table of orders",
    name="cost",
)
def cost_paid(orders: pd.DataFrame, financing: pd.DataFrame | None = None) -> float:
    """All that trading took, ≥ 0; interest on cash is no cost of trading. 0 for a strategy that never traded."""
    found = sum(_total(orders, kind) for kind in _KINDS if kind in orders)
    return found + (0.0 if financing is None or "borrow" not in financing else borrow_paid(financing))


@kpi("cost", unit="currency", better="lower", formula="Σ fee", source=_SUM, undefined="fees were not modelled")
def fees(orders: pd.DataFrame) -> float:
    """Commissions and regulatory fees of all fills, ≥ 0."""
    return _total(orders, "fee")


@kpi(
    "cost",
    unit="currency",
    better="lower",
    formula="Σ slippage",
    source=_SHORTFALL,
    undefined="slippage was not modelled",
    name="slippage",
)
def slippage_paid(orders: pd.DataFrame) -> float:
    """Money lost because the fill was worse than the reference price, ≥ 0; spread and impact are counted apart."""
    return _total(orders, "slippage")


@kpi(
    "cost",
    unit="currency",
    better="lower",
    formula="Σ spread",
    source=_SHORTFALL,
    undefined="the spread was not modelled",
    name="spread",
)
def spread_paid(orders: pd.DataFrame) -> float:
    """Half the bid-ask spread of all fills, ≥ 0."""
    return _total(orders, "spread")


@kpi(
    "cost",
    unit="currency",
    better="lower",
    formula="Σ impact",
    source=_SHORTFALL,
    undefined="market impact was not modelled",
    name="impact",
)
def impact_paid(orders: pd.DataFrame) -> float:
    """Money lost because the own orders moved the price, ≥ 0."""
    return _total(orders, "impact")


@kpi(
    "cost",
    unit="currency",
    better="lower",
    formula="−Σ borrow",
    source=_SUM,
    undefined="borrowing was not modelled",
    name="borrow",
)
def borrow_paid(financing: pd.DataFrame) -> float:
    """Fees for borrowed shares, ≥ 0."""
    return 0.0 - _total(financing, "borrow")


@kpi(
    "cost",
    unit="currency",
    better="higher",
    formula="Σ interest",
    source=_SUM,
    undefined="interest was not modelled",
    name="interest",
)
def interest_received(financing: pd.DataFrame) -> float:
    """Interest on cash less interest on borrowed money; negative where more was paid."""
    return _total(financing, "interest")


@kpi(
    "cost",
    unit="fraction per year",
    better="lower",
    formula="cost / mean(equity) / years",
    source="plain ratio",
    undefined="less than two sessions, or a mean equity that is not positive",
)
def cost_per_year(
    orders: pd.DataFrame, equity: pd.Series, financing: pd.DataFrame | None = None, *, periods: int = YEAR
) -> float:
    """What trading took from a year's return."""
    return _per_year(cost_paid(orders, financing), equity, periods)


@kpi(
    "cost",
    unit="fraction of traded value",
    better="lower",
    formula="(Σ fee + Σ slippage + Σ spread + Σ impact) / Σ value",
    source="plain ratio",
    undefined="no fill",
)
def cost_per_value(orders: pd.DataFrame) -> float:
    """What a fill took of the money it moved: 0.0005 is 5 basis points."""
    return ratio(cost_paid(orders), _total(orders, "value"))


@kpi(
    "cost",
    unit="1 per year",
    better="none",
    formula="Σ value / 2 / mean(equity) / years",
    source="plain ratio; half of what was bought and sold",
    undefined="less than two sessions, or a mean equity that is not positive",
)
def turnover(orders: pd.DataFrame, equity: pd.Series, *, periods: int = YEAR) -> float:
    """Half the traded value per year, over the mean equity: 1 means that the book was exchanged once a year.

    Buying and selling the same money counts once. 0 for a strategy that never traded.
    """
    return _per_year(_total(orders, "value") / 2.0, equity, periods)


@kpi(
    "cost",
    unit="ratio",
    better="higher",
    formula="(V_end − V_start + cost) / cost",
    source="plain ratio, first order: money lost to costs is not reinvested",
    undefined="no cost, or fewer than two values",
)
def breakeven_cost(equity: pd.Series, orders: pd.DataFrame, financing: pd.DataFrame | None = None) -> float:
    """How many times the costs could have been as high before the profit is gone; below 1 it is gone already."""
    values, paid = equity.to_numpy(dtype=float), cost_paid(orders, financing)
    if len(values) < 2 or not paid > ZERO:
        return math.nan
    return float(values[-1] - values[0] + paid) / paid


def _total(table: pd.DataFrame, column: str) -> float:
    return float(table[column].to_numpy(dtype=float).sum()) if column in table else math.nan


def _per_year(money: float, equity: pd.Series, periods: int) -> float:
    values = equity.to_numpy(dtype=float)
    years = (len(values) - 1) / periods
    return ratio(money / float(values.mean()), years) if years > 0 and values.mean() > 0 else math.nan
