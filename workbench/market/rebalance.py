"""From weights to order wishes: the one translation, used unchanged by the past and the present."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from workbench.errors import ParameterError
from workbench.market.order import OrderType, OrderWish, Side, TimeInForce

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from workbench.market.book import Book


def standing(weights: pd.DataFrame) -> dict[str, float]:
    """The wish in force after the last row: each symbol's newest weight that is not NaN (NaN = leave as it is).

    Symbols that never had a weight are left out.
    """
    last = weights.ffill().iloc[-1].dropna()
    return {str(symbol): float(weight) for symbol, weight in last.items()}


def rebalance(
    weights: Mapping[str, float],
    *,
    book: Book,
    prices: Mapping[str, float],
    lot: Decimal = Decimal(1),
    cushion: float = 0.002,
    time_in_force: TimeInForce = TimeInForce.DAY,
    reason: str = "",
) -> list[OrderWish]:
    """Market-order wishes that move `book` to `weights`: sells first, then buys, each in symbol order.

    Args:
        weights: wished signed fractions of book value; symbols not named are left alone.
        prices: newest known price per symbol, > 0; sizes are computed with these, fills will differ.
        lot: quantities are rounded toward zero to multiples of this many shares.
        cushion: fraction of book value kept in cash, so that a price rise until the fill is still paid for.

    Raises:
        ParameterError: a weight or price is not finite, or a wished symbol has no price.
    """
    for symbol, weight in weights.items():
        if not math.isfinite(weight):
            raise ParameterError(f"weights[{symbol!r}]={weight} is not finite; no order was made.")
        if symbol not in prices or not math.isfinite(prices[symbol]) or prices[symbol] <= 0:
            raise ParameterError(
                f"{symbol} is wished with weight {weight:.4f} but has price {prices.get(symbol)}; no order was made.",
                remedy="wait for a price or drop the symbol from the study.",
            )
    exact = {symbol: Decimal(str(price)) for symbol, price in prices.items()}
    value = book.value(exact) * Decimal(str(1.0 - cushion))
    wishes: list[OrderWish] = []
    for symbol, weight in sorted(weights.items()):
        held = book.positions[symbol].qty if symbol in book.positions else Decimal(0)
        target = (Decimal(str(weight)) * value / exact[symbol] / lot).to_integral_value(ROUND_DOWN) * lot
        change = target - held
        if change:
            wishes.append(
                OrderWish(
                    symbol=symbol,
                    side=Side.BUY if change > 0 else Side.SELL,
                    qty=abs(change),
                    type=OrderType.MARKET,
                    time_in_force=time_in_force,
                    reference_price=exact[symbol],
                    reason=reason or f"target weight {weight:.4f}",
                )
            )
    return sorted(wishes, key=lambda wish: (wish.side is Side.BUY, wish.symbol))
