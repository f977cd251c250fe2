"""The price of a European option on a stock without dividends, and its sensitivities (Black and Scholes 1973)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

Right = Literal["call", "put"]
_ROOT: Final = math.sqrt(2.0)
_DENSITY: Final = 1.0 / math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class Valuation:
    """What an option is worth and how that moves.

    Attributes:
        price: in the currency of the stock, for one share.
        delta: change per unit of the stock's price.
        gamma: change of delta per unit of the stock's price.
        theta: change per year that passes.
        vega: change per 1.0 of volatility.
        rho: change per 1.0 of the interest rate.
    """

    price: float
    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


def value(right: Right, *, spot: float, strike: float, years: float, rate: float, volatility: float) -> Valuation:
    """The value `years` before expiry. With no time left, the intrinsic value.

        d1 = (ln(S/K) + (r + σ²/2)·T) / (σ·√T),  d2 = d1 − σ·√T
        call = S·N(d1) − K·e^(−rT)·N(d2),        put = K·e^(−rT)·N(−d2) − S·N(−d1)

    Args:
        right: `"call"` or `"put"`.
        spot, strike: prices, above 0.
        years: time to expiry; 0 or less is expired.
        rate: continuously compounded, per year.
        volatility: standard deviation of the logarithmic return per year, above 0.

    Source: Hull, *Options, Futures, and Other Derivatives*, chapters on Black–Scholes–Merton and on the Greeks.
    """
    sign = 1.0 if right == "call" else -1.0
    if years <= 0:
        inside = sign * (spot - strike) > 0
        return Valuation(max(0.0, sign * (spot - strike)), sign if inside else 0.0, 0.0, 0.0, 0.0, 0.0)
    deviation = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate + volatility**2 / 2) * years) / deviation
    d2 = d1 - deviation
    discounted = strike * math.exp(-rate * years)
    density = _DENSITY * math.exp(-(d1**2) / 2)
    n1, n2 = _normal(sign * d1), _normal(sign * d2)
    return Valuation(
        price=sign * (spot * n1 - discounted * n2),
        delta=sign * n1,
        gamma=density / (spot * deviation),
        theta=-spot * density * volatility / (2 * math.sqrt(years)) - sign * rate * discounted * n2,
        vega=spot * math.sqrt(years) * density,
        rho=sign * years * discounted * n2,
    )


def _normal(value: float) -> float:
    """The cumulative normal distribution."""
    return 0.5 * math.erfc(-value / _ROOT)
