"""A sweep of its own, for answers that do not come from our engines: 1,000 crossings of averages on the S&P 500."""

from __future__ import annotations

import functools
from itertools import product

import numpy as np

PAIRS = tuple(product(range(5, 45), range(50, 171, 5)))


@functools.cache
def sp500_crosses() -> tuple[np.ndarray, np.ndarray]:
    """Returns of the 1,000 pairs (session × pair) and of buying and holding, 1999-2018; the first session returns 0.

    A pair buys everything at the close after its fast average went above its slow one, and sells at the close after it
    went below; fee 0.1 %, slippage 5 basis points.
    """
    from arch.data import sp500

    price = sp500.load()["Adj Close"].to_numpy(dtype=float)
    fee, slippage = 0.001, 0.0005
    above = np.column_stack([_average(price, fast) > _average(price, slow) for fast, slow in PAIRS])
    known = np.column_stack([~np.isnan(_average(price, slow)) for _, slow in PAIRS])
    cash, shares = np.ones(len(PAIRS)), np.zeros(len(PAIRS))
    equity = np.ones((len(price), len(PAIRS)))
    for row in range(1, len(price)):
        crossed_up = above[row - 1] & ~above[row - 2] & known[row - 2] if row > 1 else np.zeros(len(PAIRS), dtype=bool)
        buys = crossed_up & (shares == 0)
        sells = ~above[row - 1] & (shares > 0)
        bought = cash / (1.0 + fee) / (price[row] * (1.0 + slippage))
        sold = shares * price[row] * (1.0 - slippage) * (1.0 - fee)
        cash = np.where(buys, 0.0, np.where(sells, sold, cash))
        shares = np.where(buys, bought, np.where(sells, 0.0, shares))
        equity[row] = cash + shares * price[row]
    before = np.vstack([np.ones(len(PAIRS)), equity[:-1]])
    returns, held = equity / before - 1.0, price / np.append(price[0], price[:-1]) - 1.0
    returns.setflags(write=False)
    held.setflags(write=False)
    return returns, held


def _average(price: np.ndarray, window: int) -> np.ndarray:
    sums = np.cumsum(np.insert(price, 0, 0.0))
    return np.concatenate([np.full(window - 1, np.nan), (sums[window:] - sums[:-window]) / window])
