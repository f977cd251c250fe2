"""Position sizing: how many shares a signal is worth, by one of five rules; pure functions and a frozen choice.

Every size is a quantity ≥ 0, a multiple of the lot, rounded toward zero. A number that is missing, not finite or out of
its range is a ParameterError, never a guess. Sizes come before limits: the risk check has the last word.
"""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from workbench.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

ONE_LOT = Decimal(1)


class Size(BaseModel):
    """A quantity ≥ 0 in shares, and why it is that."""

    model_config = ConfigDict(frozen=True)

    qty: Decimal
    why: str


class FixedFraction(BaseModel):
    """A fixed fraction of the equity in each holding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["fixed_fraction"] = "fixed_fraction"
    fraction: float = Field(gt=0, le=10, allow_inf_nan=False)


class FixedNotional(BaseModel):
    """The same amount of currency in each holding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["fixed_notional"] = "fixed_notional"
    notional: float = Field(gt=0, allow_inf_nan=False)


class AtrRisk(BaseModel):
    """Risk a fixed fraction of the equity between the price and a stop `multiple` average true ranges away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["atr"] = "atr"
    risk: float = Field(0.01, gt=0, le=1, allow_inf_nan=False)
    multiple: float = Field(2.0, gt=0, allow_inf_nan=False)
    period: int = Field(14, ge=1)
    most: float = Field(1.0, gt=0, allow_inf_nan=False)


class VolatilityTarget(BaseModel):
    """Hold so much that the holding's yearly volatility is `target` of the equity, at most `most` times the equity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["volatility_target"] = "volatility_target"
    target: float = Field(0.10, gt=0, allow_inf_nan=False)
    period: int = Field(20, ge=2)
    per_year: int = Field(252, ge=1)
    most: float = Field(1.0, gt=0, allow_inf_nan=False)


class Kelly(BaseModel):
    """A part of the Kelly fraction from win rate and payoff, capped; nothing where the edge is not above zero."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["kelly"] = "kelly"
    win_rate: float = Field(ge=0, le=1, allow_inf_nan=False)
    payoff: float = Field(gt=0, allow_inf_nan=False)
    part: float = Field(0.5, gt=0, le=1, allow_inf_nan=False)
    most: float = Field(0.25, gt=0, allow_inf_nan=False)


Sizing = Annotated[FixedFraction | FixedNotional | AtrRisk | VolatilityTarget | Kelly, Field(discriminator="kind")]


def size(
    sizing: FixedFraction | FixedNotional | AtrRisk | VolatilityTarget | Kelly,
    *,
    equity: float | Decimal,
    price: float | Decimal,
    high: Sequence[float] = (),
    low: Sequence[float] = (),
    close: Sequence[float] = (),
    lot: Decimal = ONE_LOT,
) -> Size:
    """How many shares a rule asks for.

    Args:
        equity: what the size is a part of, currency: a bot's capital and profit, or a book's value.
        price: newest price, currency per share.
        high, low, close: bars of the symbol, oldest first, the newest complete one last; `AtrRisk` needs all three,
            `VolatilityTarget` needs `close`; the others need none.
        lot: the quantity is rounded toward zero to a multiple of this.

    Raises:
        ParameterError: a number is not finite or out of range, the bars are too few, or they do not move at all.
    """
    worth, unit = _positive("equity", equity), _positive("price", price)
    match sizing:
        case FixedFraction():
            fraction, why = sizing.fraction, f"{sizing.fraction:.2%} of the equity"
        case FixedNotional():
            fraction, why = sizing.notional / worth, f"{sizing.notional:.2f} in currency"
        case AtrRisk():
            range_ = atr(high, low, close, period=sizing.period)
            fraction = atr_fraction(sizing.risk, range_, price=unit, multiple=sizing.multiple)
            why = f"{sizing.risk:.2%} of the equity at risk over {sizing.multiple:g} × ATR {range_:.4g}"
            fraction, why = _capped(fraction, sizing.most, why)
        case VolatilityTarget():
            yearly = volatility(close, period=sizing.period, per_year=sizing.per_year)
            why = f"{sizing.target:.1%} a year at a volatility of {yearly:.1%}"
            fraction, why = _capped(sizing.target / yearly, sizing.most, why)
        case Kelly():
            full = kelly(sizing.win_rate, sizing.payoff)
            if full <= 0:
                return Size(qty=Decimal(0), why=f"the Kelly fraction is {full:.2%}: there is no edge to bet on")
            why = f"{sizing.part:g} of the Kelly fraction {full:.2%}"
            fraction, why = _capped(sizing.part * full, sizing.most, why)
    return Size(qty=shares(fraction, equity=worth, price=unit, lot=lot), why=why)


def shares(fraction: float, *, equity: float | Decimal, price: float | Decimal, lot: Decimal = ONE_LOT) -> Decimal:
    """`fraction` of the equity in shares, rounded toward zero to a multiple of the lot.

    The fraction counts with twelve digits: the noise of binary numbers (0.6 − 0.4 is not 0.2) must not cost a lot.

    Raises:
        ParameterError: a number is not finite, or not > 0 (the fraction: < 0).
    """
    if not math.isfinite(fraction) or fraction < 0:
        raise ParameterError(f"fraction={fraction} must be a finite number ≥ 0; no size was computed.")
    if not (lot.is_finite() and lot > 0):
        raise ParameterError(f"lot={lot} must be > 0; no size was computed.")
    money = Decimal(f"{fraction:.12g}") * Decimal(repr(_positive("equity", equity)))
    return (money / Decimal(repr(_positive("price", price))) / lot).to_integral_value(ROUND_DOWN) * lot


def atr(high: Sequence[float], low: Sequence[float], close: Sequence[float], *, period: int = 14) -> float:
    """Wilder's average true range of the newest bar, in the unit of the prices.

    The true range is max(high, previous close) − min(low, previous close). The first average is the plain mean of the
    first `period` true ranges, which begin with the second bar; then each is ((period − 1) × previous + true range) /
    period. J. Welles Wilder, New Concepts in Technical Trading Systems (1978), section III.

    Raises:
        ParameterError: the lengths differ, there are fewer than `period` + 1 bars, a value is not finite or not > 0, or
            a high is below its low.
    """
    if period < 1:
        raise ParameterError(f"period={period} must be at least 1; no range was computed.")
    if not len(high) == len(low) == len(close):
        lengths = f"high has {len(high)} values, low {len(low)}, close {len(close)}"
        raise ParameterError(f"{lengths}; they must be of the same bars. No range was computed.")
    if len(close) < period + 1:
        raise ParameterError(
            f"{len(close)} bars are too few for period={period}: {period + 1} are needed. No range was computed.",
            remedy="load more history, or choose a shorter period.",
        )
    highs, lows, closes = ([_positive(name, value) for value in values] for name, values in _named(high, low, close))
    if any(top < bottom for top, bottom in zip(highs, lows, strict=True)):
        raise ParameterError(
            "a high is below its low; no range was computed.", remedy="look at the quality of the bars."
        )
    ranges = [max(highs[i], closes[i - 1]) - min(lows[i], closes[i - 1]) for i in range(1, len(closes))]
    average = math.fsum(ranges[:period]) / period
    for true_range in ranges[period:]:
        average = ((period - 1) * average + true_range) / period
    return average


def atr_fraction(risk: float, average_range: float, *, price: float, multiple: float) -> float:
    """The fraction of the equity to hold so that a fall of `multiple` ranges costs `risk` of the equity.

    (equity × risk) / (multiple × range) shares at `price`: risk × price / (multiple × range) of the equity.

    Raises:
        ParameterError: a number is not finite or not > 0; a range of 0 says nothing about risk.
    """
    distance = _positive("multiple", multiple) * _positive("ATR", average_range)
    return _positive("risk", risk) * _positive("price", price) / distance


def volatility(close: Sequence[float], *, period: int = 20, per_year: int = 252) -> float:
    """Yearly volatility, a fraction: the sample deviation of the last `period` log returns × √per_year.

    Raises:
        ParameterError: fewer than `period` + 1 closes, one that is not finite or not > 0, or closes that do not move.
    """
    if period < 2:
        raise ParameterError(f"period={period} must be at least 2; no volatility was computed.")
    if len(close) < period + 1:
        raise ParameterError(
            f"{len(close)} closes are too few for period={period}: {period + 1} are needed. Nothing was computed.",
            remedy="load more history, or choose a shorter period.",
        )
    closes = [_positive("close", value) for value in close[-period - 1 :]]
    returns = [math.log(after / before) for before, after in pairwise(closes)]
    mean = math.fsum(returns) / period
    variance = math.fsum((one - mean) ** 2 for one in returns) / (period - 1)
    yearly = math.sqrt(variance * per_year)
    if yearly < 1e-9:  # equal returns leave rounding noise
        raise ParameterError(
            f"the last {period} closes have no volatility, so nothing can be sized by it.",
            remedy="is the symbol halted, or its history filled up with the last price?",
        )
    return yearly


def kelly(win_rate: float, payoff: float) -> float:
    """The Kelly fraction of a bet that wins `payoff` times the stake with `win_rate`, else loses it; ≤ 0: no edge.

    p − (1 − p) / b. J. L. Kelly, A New Interpretation of Information Rate, Bell System Technical Journal 35 (1956).

    Raises:
        ParameterError: the rate is not within 0 to 1, or the payoff not finite and > 0.
    """
    if not 0 <= win_rate <= 1:  # also refuses NaN
        raise ParameterError(f"win_rate={win_rate} must lie within 0 to 1; no size was computed.")
    return win_rate - (1 - win_rate) / _positive("payoff", payoff)


def kelly_of_returns(mean: float, variance: float) -> float:
    """The Kelly fraction of many small bets with this mean and variance of the excess return per period; ≤ 0: no edge.

    mean / variance. E. O. Thorp, The Kelly Criterion in Blackjack, Sports Betting and the Stock Market (2006), sec. 7.

    Raises:
        ParameterError: the mean is not finite, or the variance not finite and > 0.
    """
    if not math.isfinite(mean):
        raise ParameterError(f"mean={mean} is not finite; no size was computed.")
    return mean / _positive("variance", variance)


def _capped(fraction: float, most: float, why: str) -> tuple[float, str]:
    return (fraction, why) if fraction <= most else (most, f"{why}, capped at {most:g} × equity")


def _named(
    high: Sequence[float], low: Sequence[float], close: Sequence[float]
) -> tuple[tuple[str, Sequence[float]], ...]:
    return ("high", high), ("low", low), ("close", close)


def _positive(name: str, value: float | Decimal) -> float:
    number = float(value)
    if not math.isfinite(number) or number <= 0:
        raise ParameterError(f"{name}={value} must be a finite number > 0; no size was computed.")
    return number
