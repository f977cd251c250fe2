"""Financing: what holding costs or brings from one bar to the next without any fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workbench.backtest.costs import Costs

# Money market convention for US dollars: actual days over a year of 360 days.
YEAR = 360.0


def borrow_fees(costs: Costs, days: int, shorts: np.ndarray) -> np.ndarray:
    """What each short pays for `days` calendar days, in currency, ≤ 0.

    borrow · days / 360 · market value at the close before (`shorts`, per symbol, ≥ 0).
    """
    return np.asarray(-costs.borrow * days / YEAR * shorts)


def interest(costs: Costs, days: int, own_cash: float) -> float:
    """Interest on cash for `days` calendar days, in currency: earned above 0, paid below.

    rate · days / 360 · own cash, where own cash is cash without the proceeds of short sales (their market value at the
    close before), since those stay with the lender and earn nothing; above 0 the rate is `cash_interest`, below 0
    `margin_interest`.
    """
    rate = costs.cash_interest if own_cash > 0.0 else costs.margin_interest
    return rate * days / YEAR * own_cash
