"""Sizing: how many shares of a wish are filled, at which price and for which fee."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.backtest.preconditions import TOLERANCE
from workbench.backtest.slippage import Worse, worse
from workbench.errors import BacktestError

if TYPE_CHECKING:
    import datetime as dt

    from workbench.backtest.costs import Costs
    from workbench.backtest.fees import Fees
    from workbench.backtest.fill_rules import FillRules

# What is cut to the last cent stays inside it by a rounding error or two, so that cash never ends below 0.
_INSIDE = 1.0 - 2.0**-51


@dataclass(frozen=True, slots=True)
class Offer:
    """What one symbol offers in one bar: see `workbench.backtest.slippage.worse` for the numbers."""

    symbol: str
    day: dt.date
    reference: float
    volume: float
    sigma: float
    mean_volume: float


@dataclass(frozen=True, slots=True)
class Terms:
    """The price of a fill before and after spread, slippage and impact, what it is worse by, the fee in currency."""

    reference: float
    price: float
    worse: Worse
    fee: float


class Sizing:
    """The amounts of fills under given costs and rules."""

    def __init__(self, costs: Costs, rules: FillRules, fees: Fees) -> None:
        self.costs = costs
        self.rules = rules
        self.fees = fees
        self.proportional = costs.proportional

    def wanted(self, weight: float, *, value: float, held: float, offer: Offer) -> float:
        """Signed shares that a wish asks for: weight · value / price − held; all that is held where the weight is 0.

        A difference of weights within `rules.band` asks for nothing, and so does a rounding error of what is held.
        """
        worth = held * offer.reference
        if weight == 0.0:
            return -held
        if abs(weight - worth / value) <= self.rules.band:
            return 0.0
        change = (weight * value - worth) / offer.reference
        if change * held < 0.0 and abs(abs(change) - abs(held)) <= TOLERANCE * abs(held):
            return -held
        return change

    def allowed(self, change: float, *, held: float, offer: Offer) -> tuple[float, bool]:
        """The same cut to `rules.max_participation` of the bar's volume (and whether it was), rounded to whole lots.

        Lots are rounded toward zero. Getting out altogether is not rounded: what is left of a lot is sold with it.
        """
        qty, cut = abs(change), False
        if self.rules.max_participation is not None and qty > (most := self.rules.max_participation * offer.volume):
            qty, cut = most, True
        return math.copysign(qty if change == -held and not cut else self._lots(qty), change), cut

    def affordable(self, qty: float, *, held: float, available: float, offer: Offer) -> float:
        """The most of a purchase that `available` money pays for, costs included; what covers a short is not cut."""
        cover = min(max(-held, 0.0), qty)
        if not self.proportional or cover:
            return self._solved(qty, cover, available, offer)
        terms = self.terms(1.0, buys=True, offer=offer)
        most = available / (terms.price * (1.0 + self.costs.fee))
        return qty if qty <= most else self._lots(max(0.0, most * _INSIDE))

    def terms(self, qty: float, *, buys: bool, offer: Offer) -> Terms:
        """Price and fee of a fill of `qty` > 0 shares.

        Raises:
            BacktestError: the costs ask for more than the whole price of a sale.
        """
        fractions = worse(self.costs, qty=qty, volume=offer.volume, sigma=offer.sigma, mean_volume=offer.mean_volume)
        lost = fractions.total
        if lost >= 1.0 and not buys:
            raise BacktestError(
                f"selling {qty:g} {offer.symbol} on {offer.day} would lose {lost:.0%} of the price to slippage, spread "
                "and impact; no sale is worth nothing.",
                remedy="lower these costs, set rules.max_participation, or trade less.",
            )
        price = offer.reference * (1.0 + lost if buys else 1.0 - lost)
        return Terms(offer.reference, price, fractions, self.fees.of(offer.day, buys=buys, qty=qty, value=qty * price))

    def _lots(self, qty: float) -> float:
        lot = self.rules.lot
        return math.floor(qty / lot + TOLERANCE) * lot if lot else qty

    def _solved(self, qty: float, cover: float, available: float, offer: Offer) -> float:
        """By bisection: price and fee never fall with the quantity, so there is one point where the money ends."""

        def outlay(shares: float) -> float:
            if shares == 0.0:
                return 0.0
            terms = self.terms(shares, buys=True, offer=offer)
            return shares * terms.price + terms.fee - min(shares, cover) * offer.reference

        if outlay(qty) <= available:
            return qty
        low, high = cover, qty
        while high - low > 1e-15 * high:
            middle = (low + high) / 2.0
            if middle in {low, high}:
                break
            low, high = (middle, high) if outlay(middle) <= available else (low, middle)
        return max(cover, self._lots(low * _INSIDE if low > cover else low))
