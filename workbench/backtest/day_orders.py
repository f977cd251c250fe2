"""Day orders: wishes filled the desk's way, sized at the close of the decision and alive for one bar.

1. At the close of bar t, after everything else in it, the weights of row t become orders by
   `workbench.market.rebalance.rebalance`, the function that the desk calls: with the book as it stands, the newest
   known closes, `rules.lot` and `rules.cushion`. What it refuses (a wish for a symbol without any price) ends the
   replay, as it ends the desk's session. A holding is ended to whole lots: what is less than a lot stays.
2. The orders are filled in bar t+1, sales first, then purchases, each by symbol: at the open where the bar has one and
   opens are asked for, else at the close. A split before that multiplies the order.
3. With `rules.max_participation` p and the bar's volume v an order gets at most ⌊p · v⌋ shares. What is not filled in
   bar t+1 lapses; it is not made up for until the strategy speaks again.
4. A purchase is not cut to the cash there is, since its price was not known when it was sized: a rise of more than the
   cushion leaves cash below 0, on which `costs.margin_interest` is due. The local exchange does the same on the desk's
   margin account, without interest.
5. Prices are kept to nine decimals, as the exchange keeps them.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

import numpy as np

from workbench.market.rebalance import rebalance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.backtest.fill_rules import FillRules
    from workbench.market.book import Book

PRICE_STEP = Decimal("0.000000001")


def day_orders(
    weights: np.ndarray, *, book: Book, symbols: Sequence[str], prices: np.ndarray, rules: FillRules
) -> dict[int, Decimal]:
    """Signed shares to trade by column, in the order in which they are sent; empty where nothing is wished.

    Args:
        weights: wished fractions per symbol, NaN: leave as it is.
        prices: newest known close per symbol, NaN where there is none.

    Raises:
        ParameterError: a wished symbol has no price.
    """
    wished = np.flatnonzero(~np.isnan(weights)).tolist()
    if not wished:
        return {}
    known = np.flatnonzero(~np.isnan(prices)).tolist()
    made = rebalance(
        {symbols[column]: float(weights[column]) for column in wished},
        book=book,
        prices={symbols[column]: float(prices[column]) for column in known},
        lot=Decimal(str(rules.lot)),
        cushion=rules.cushion,
    )
    column_of = {symbols[column]: column for column in wished}
    return {column_of[wish.symbol]: wish.side.sign * wish.qty for wish in made}


def fillable(signed: Decimal, *, volume: float, participation: float | None) -> Decimal:
    """What one bar fills of an order: all of it, or as many whole shares as the volume allows."""
    if participation is None:
        return signed
    most = (Decimal(str(participation)) * Decimal(repr(volume))).to_integral_value(ROUND_DOWN)
    return min(abs(signed), most).copy_sign(signed)


def on_step(price: float) -> float:
    """The price rounded half-even to nine decimals."""
    return float(Decimal(repr(price)).quantize(PRICE_STEP))
