"""Prices of option contracts. No source has any: they are MADE BY A MODEL from the underlying's bars, and are labelled.

    mark = Black–Scholes(S, K, T, r, σ), at least the intrinsic value, in whole cents, at least one cent before expiry

S is the underlying's newest print, T the time from that print to the close of the expiry's session in years of 365
days, r = 4 % a year, no dividends. σ is the standard deviation of the newest 21 daily logarithmic returns that were
known then, times √252, at least 10 % (also where there are fewer than two returns). Exercise before expiry is not
priced, but for the intrinsic value. After expiry the mark stays at the intrinsic value of the last close.

A bar of an option: open and close are the marks at the underlying's open and close; high and low those at the
underlying's high and low (a call is highest where the stock is, a put where it is lowest), valued when the bar opened.
The volume is not known.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import itertools
import math
import statistics
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Final, Protocol

from workbench.exchange.market.black_scholes import Valuation, value
from workbench.exchange.market.contracts import SMALLEST_STEP, Grid, right_of
from workbench.exchange.market.prices import Candle, Print
from workbench.exchange.matching.matching import Bar
from workbench.exchange.state.occ import Contract, contract_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.exchange.clock import Timeline
    from workbench.exchange.market.feed import Series

MODEL: Final = "MODEL-MADE: Black-Scholes on the underlying, r 4 %, trailing 21-day volatility, indicative"
RATE: Final = 0.04
RETURNS: Final = 21
LOWEST_VOLATILITY: Final = 0.10
SESSIONS_PER_YEAR: Final = 252
CENT: Final = Decimal("0.01")
_YEAR: Final = dt.timedelta(days=365)


class Underlyings(Protocol):
    """What the marks need of the market."""

    def __call__(self, symbol: str, moment: dt.datetime) -> Print | None:
        """The newest print of a stock."""
        ...


class OptionMarks:
    """The marks of all contracts on the stocks of a market.

    Args:
        timeline: the sessions.
        series: the daily bars of a stock.
        last: the newest print of a stock at a moment.
    """

    def __init__(self, timeline: Timeline, series: Callable[[str], Series], last: Underlyings) -> None:
        self.grid = Grid(timeline, series)
        self._series, self._last = series, last
        self._sigma = functools.lru_cache(maxsize=4096)(self._trailing)
        self.contract = functools.lru_cache(maxsize=16_384)(self._contract)

    def _contract(self, symbol: str) -> Contract | None:
        found = contract_of(symbol)
        if (
            found is None
            or not found.strike
            or found.strike % SMALLEST_STEP
            or self.grid.expiry(found.expiration) is None
        ):
            return None
        return found

    def last(self, contract: Contract, moment: dt.datetime) -> Print | None:
        """The mark at the underlying's newest print; None where the contract is not listed yet, or nothing trades."""
        session = self.grid.expiry(contract.expiration)
        if session is None:
            return None
        at = min(moment, session.closes)
        before = at - dt.timedelta(microseconds=1)  # at its own close a contract has just ceased to be listed
        if not self.grid.is_listed(contract, before):
            return None
        seen = self._last(contract.underlying, at)
        return None if seen is None else Print(self._mark(contract, float(seen.price), seen.moment), seen.moment)

    def valuation(self, contract: Contract, moment: dt.datetime) -> tuple[Valuation, float] | None:
        """The model's value with its sensitivities, and the σ it took; None where there is no mark."""
        seen = self.last(contract, moment)
        stock = self._last(contract.underlying, moment)
        if seen is None or stock is None:
            return None
        return self._value(contract, float(stock.price), seen.moment), self.volatility(contract.underlying, seen.moment)

    def volatility(self, underlying: str, moment: dt.datetime) -> float:
        """σ of the underlying per year as known at that moment."""
        return self._sigma(underlying, bisect.bisect_right(self._series(underlying).closes_at, moment))

    def bar(self, contract: Contract, bar: Bar) -> Bar | None:
        """The contract's bar over a bar of its underlying; None where it was not listed when the bar opened."""
        if not self.grid.is_listed(contract, bar.opens_at):
            return None
        opened = None if bar.open is None else self._mark(contract, float(bar.open), bar.opens_at)
        closed = self._mark(contract, float(bar.close), bar.closes_at)
        high = low = None
        if bar.high is not None and bar.low is not None:
            best, worst = (bar.high, bar.low) if contract.is_call else (bar.low, bar.high)
            ends = [closed] if opened is None else [opened, closed]
            high = max(self._mark(contract, float(best), bar.opens_at), *ends)
            low = min(self._mark(contract, float(worst), bar.opens_at), *ends)
        return Bar(contract.symbol, bar.date, bar.opens_at, bar.closes_at, closed, opened, high, low, None)

    def candle(self, contract: Contract, candle: Candle) -> Candle | None:
        """The contract's candle over one of its underlying's, by the same rule."""

        def exact(price: float) -> Decimal | None:
            return None if math.isnan(price) else Decimal(repr(price))

        close = exact(candle.close)
        if close is None:
            return None
        prices = [exact(price) for price in (candle.open, candle.high, candle.low)]
        made = self.bar(contract, Bar("", candle.ends.date(), candle.opens_at, candle.ends, close, *prices))
        if made is None:
            return None
        opened, high, low = (math.nan if price is None else float(price) for price in (made.open, made.high, made.low))
        return Candle(candle.begins, candle.opens_at, candle.ends, opened, high, low, float(made.close), math.nan)

    def _mark(self, contract: Contract, spot: float, moment: dt.datetime) -> Decimal:
        made = self._value(contract, spot, moment).price
        intrinsic = contract.intrinsic(Decimal(repr(spot)))
        session = self.grid.expiry(contract.expiration)
        if session is None or moment >= session.closes:
            return intrinsic
        return max(CENT, intrinsic, Decimal(made).quantize(CENT, ROUND_HALF_EVEN))

    def _value(self, contract: Contract, spot: float, moment: dt.datetime) -> Valuation:
        session = self.grid.expiry(contract.expiration)
        years = 0.0 if session is None else (session.closes - moment) / _YEAR
        return value(
            right_of(contract),
            spot=spot,
            strike=float(contract.strike),
            years=years,
            rate=RATE,
            volatility=self.volatility(contract.underlying, moment),
        )

    def _trailing(self, underlying: str, known: int) -> float:
        closes = self._series(underlying).close[max(0, known - RETURNS - 1) : known]
        returns = [math.log(after / before) for before, after in itertools.pairwise(closes)]
        if len(returns) < 2:
            return LOWEST_VOLATILITY
        return max(LOWEST_VOLATILITY, statistics.stdev(returns) * math.sqrt(SESSIONS_PER_YEAR))
