"""The path of the synthetic market: drawn once per seed, from the first weekday to the last, and then only looked up.

How a day is made, from the outside in:

1. Shocks z are Student-t with `TAIL` degrees of freedom, scaled to variance 1, one for the market and one per symbol.
   Each passes through a GARCH(1,1): ε = z·√h, h' = (1−α−β) + α·ε² + β·h (Bollerslev 1986), so that calm and wild days
   cluster; h never exceeds `WILDEST`.
2. The return of a symbol is drift + β·(market) + own, in logarithms: a one-factor market.
3. A quarter of the day's variance falls before the open. High and low are drawn from the distribution of the maximum
   (and of the minimum) of a Brownian bridge from open to close, P(max > m) = exp(−2(m−o)(m−c)/σ²).
4. Minutes, when asked for, are a Brownian bridge with a lively start and end, stretched so that it touches exactly the
   day's high and low: minutes add up to the day, in price and in volume.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench.data.source import PRICES

FIRST: Final = "2000-01-03"
LAST: Final = "2040-12-31"
TAIL: Final = 6.0
ALPHA: Final = 0.07
BETA: Final = 0.91
WILDEST: Final = 25.0
OVERNIGHT: Final = 0.25
WEEKDAYS: Final = 261.0
MARKET_DRIFT: Final = 0.04
MARKET_VOLATILITY: Final = 0.15
HEADLINES_PER_SESSION: Final = 0.2

# Which stream of random numbers a draw comes from, so that one kind of draw never shifts another.
PATH, INTRADAY, NEWS = 0, 1, 2
_BY_SYMBOL: Final = ("volume", "sigma", "own", "headlines")


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """The whole market, every array of shape (weekday × symbol).

    Attributes:
        seed: what it was drawn from.
        days: the weekdays. Holidays are drawn too: what happens on one shows in the next session's open.
        open, high, low, close: prices, whole cents, at least one.
        volume: shares, whole.
        sigma: standard deviation of the logarithmic return from open to close of that day.
        own: the symbol's logarithmic return after the market's part is taken off.
        headlines: how many are published that day.
        factor: the market's own ε and √h, two columns: what further symbols are drawn on.
    """

    seed: int
    days: pd.DatetimeIndex
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    sigma: np.ndarray
    own: np.ndarray
    headlines: np.ndarray
    factor: np.ndarray

    def minutes(self, column: int, day: pd.Timestamp, length: int) -> dict[str, np.ndarray]:
        """The bars of every minute of a session of that length: they open, close, peak and bottom with the day."""
        row = self.days.get_loc(day)
        opened, high, low, closed = (float(getattr(self, name)[row, column]) for name in PRICES)
        rng = self.generator(INTRADAY, column, day)
        share = _livelier_at_the_ends(length)
        scale = self.sigma[row, column] * np.sqrt(share)
        walk = np.cumsum(scale * rng.standard_normal(length))
        walk += np.log(opened) + np.cumsum(share) * (np.log(closed) - np.log(opened) - walk[-1])
        closes = np.round(np.exp(_touching(walk, opened, high, low, closed)), 2).clip(low, high)
        closes[-1] = closed
        opens = np.concatenate([[opened], closes[:-1]])
        reach = np.exp(0.5 * scale * np.abs(rng.standard_normal((2, length))))
        highs = np.minimum(np.round(np.maximum(opens, closes) * reach[0], 2), high)
        lows = np.maximum(np.round(np.minimum(opens, closes) / reach[1], 2), low)
        highs[np.argmax(highs)] = high
        lows[np.argmin(lows)] = low
        busy = np.cumsum(share * rng.lognormal(0.0, 0.5, length))
        traded = np.round(self.volume[row, column] * busy / busy[-1])
        return {"open": opens, "high": highs, "low": lows, "close": closes, "volume": np.diff(traded, prepend=0.0)}

    def generator(self, kind: int, column: int, day: pd.Timestamp) -> np.random.Generator:
        """The random numbers of one kind, symbol and day: the same whatever else was drawn."""
        return np.random.default_rng([self.seed, kind, column, day.toordinal()])


def draw(seed: int, symbols: int) -> SimulatedMarket:
    """The market of one seed, for so many symbols."""
    return _draw(seed, symbols, block=0, factor=None)


def widened(market: SimulatedMarket, symbols: int) -> SimulatedMarket:
    """The same market with so many symbols more on its right; those that were there keep every number."""
    more = _draw(market.seed, symbols, block=1, factor=market.factor)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(market, name), getattr(more, name)], axis=1) for name in (*_BY_SYMBOL, *PRICES)
    }
    return replace(market, **columns)


def _draw(seed: int, symbols: int, *, block: int, factor: np.ndarray | None) -> SimulatedMarket:
    days = pd.date_range(FIRST, LAST, freq="B").as_unit("us")
    shape = (len(days), symbols)
    # One generator per kind of draw: a new kind, added later, leaves the old ones alone. So does another block.
    further = [block] if block else []
    traits, shocks, inside, traded, written = (np.random.default_rng([seed, PATH, kind, *further]) for kind in range(5))
    beta = traits.uniform(0.6, 1.4, symbols)
    own_sigma = traits.uniform(0.12, 0.27, symbols) / np.sqrt(WEEKDAYS)
    market_sigma = MARKET_VOLATILITY / np.sqrt(WEEKDAYS)
    first_price = traits.uniform(30.0, 150.0, symbols)
    usual_volume = traits.lognormal(np.log(2e6), 0.8, symbols)

    epsilon, scale = _garch(shocks.standard_t(TAIL, (len(days), 1 + symbols)) * np.sqrt((TAIL - 2) / TAIL))
    if factor is not None:
        epsilon[:, 0], scale[:, 0] = factor.T
    own = own_sigma * epsilon[:, 1:]
    returns = MARKET_DRIFT / WEEKDAYS + beta * market_sigma * epsilon[:, :1] + own
    sigma = np.hypot(beta * market_sigma * scale[:, :1], own_sigma * scale[:, 1:])
    closes = np.log(first_price) + np.cumsum(returns, axis=0)
    # The part of the return that came before the open, given the whole: again a Brownian bridge.
    gap = OVERNIGHT * returns + sigma * np.sqrt(OVERNIGHT * (1 - OVERNIGHT)) * inside.standard_normal(shape)
    opens = closes - returns + gap
    sigma *= np.sqrt(1 - OVERNIGHT)
    square, chance = (closes - opens) ** 2, 1.0 - inside.random((2, *shape))  # in (0, 1]: its logarithm is finite
    highs = (opens + closes + np.sqrt(square - 2 * sigma**2 * np.log(chance[0]))) / 2
    lows = (opens + closes - np.sqrt(square - 2 * sigma**2 * np.log(chance[1]))) / 2
    excitement = np.abs(returns) / np.sqrt((beta * market_sigma) ** 2 + own_sigma**2)
    volume = np.round(usual_volume * np.exp(0.3 * traded.standard_normal(shape) + 0.3 * excitement))
    return SimulatedMarket(
        seed=seed,
        days=days,
        open=_cents(opens),
        high=_cents(highs),
        low=_cents(lows),
        close=_cents(closes),
        volume=volume,
        sigma=sigma,
        own=own,
        headlines=written.poisson(HEADLINES_PER_SESSION, shape),
        factor=np.column_stack([epsilon[:, 0], scale[:, 0]]),
    )


def _garch(shocks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ε = z·√h of each column, and √h, with a long-run variance of 1."""
    variance = np.ones(shocks.shape[1])
    variances = np.empty_like(shocks)
    for row, shock in enumerate(shocks**2):
        variances[row] = variance
        variance = np.minimum((1 - ALPHA - BETA) + variance * (ALPHA * shock + BETA), WILDEST)
    scale = np.sqrt(variances)
    return shocks * scale, scale


def _cents(logarithms: np.ndarray) -> np.ndarray:
    prices: np.ndarray = np.maximum(np.round(np.exp(logarithms), 2), 0.01)
    return prices


def _livelier_at_the_ends(length: int) -> np.ndarray:
    """The share of a session's variance that falls into each minute: a U, adding up to 1."""
    middle = np.linspace(-1.0, 1.0, length)
    share = 0.4 + 1.8 * middle**2
    return np.asarray(share / share.sum())


def _touching(walk: np.ndarray, opened: float, high: float, low: float, closed: float) -> np.ndarray:
    """Stretch the parts of a walk above and below open and close, so that its peak is `high` and its bottom `low`."""
    top, bottom = np.log(max(opened, closed)), np.log(min(opened, closed))
    above, below = walk.max() - top, bottom - walk.min()
    stretched = walk.copy()
    if above > 0:
        part = walk > top
        stretched[part] = top + (walk[part] - top) * (np.log(high) - top) / above
    if below > 0:
        part = walk < bottom
        stretched[part] = bottom - (bottom - walk[part]) * (bottom - np.log(low)) / below
    return stretched


def joined(bars: dict[str, np.ndarray], minutes: int) -> dict[str, np.ndarray]:
    """Bars of one minute → bars of several; the last one is shorter where the session does not divide."""
    firsts = np.arange(0, len(bars["close"]), minutes)
    lasts = np.minimum(firsts + minutes, len(bars["close"])) - 1
    return {
        "open": bars["open"][firsts],
        "high": np.maximum.reduceat(bars["high"], firsts),
        "low": np.minimum.reduceat(bars["low"], firsts),
        "close": bars["close"][lasts],
        "volume": np.add.reduceat(bars["volume"], firsts),
    }
