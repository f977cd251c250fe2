"""Track: a series of simple returns, and what many metrics need of it, computed once.

Common rules of all metrics. `returns` is a series of simple returns per session (0.01 = one per cent), in order; on
intraday bars read "bar" for "session". NaN entries are unknown and left out, never counted as 0. `periods` is the
number of sessions (bars) in a year: 252 for daily data (365 would raise a daily Sharpe ratio by a fifth). Wealth starts
at 1 before the first return, so a loss in the first session is a drawdown. What has no answer (no return, zero
variance, a denominator of zero) is NaN, never 0 and never infinity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd

# What a metric takes: a series, or the track of one where many metrics are wanted of it. (An array is undated.)
Returns: TypeAlias = "pd.Series | np.ndarray | Track"

YEAR = 252
# A standard deviation below this is rounding: a series of equal returns computed from equity still shows about 1e-16.
ZERO = 1e-14


@dataclass(frozen=True, eq=False)
class Track:
    """A series of returns, frozen; each property is computed at its first use and kept.

    Attributes:
        every: all returns, NaN where unknown.
        index: their labels: sessions for a dated track, anything else for an undated one.
    """

    every: np.ndarray
    index: pd.Index

    @classmethod
    def of(cls, returns: Returns) -> Track:
        """The track of a series of returns; a track is its own."""
        if isinstance(returns, Track):
            return returns
        every = np.asarray(returns, dtype=float)
        return cls(every, returns.index if isinstance(returns, pd.Series) else pd.RangeIndex(len(every)))

    @cached_property
    def is_known(self) -> np.ndarray:
        """True where the return is known."""
        found: np.ndarray = ~np.isnan(self.every)
        return found

    @cached_property
    def known(self) -> np.ndarray:
        """The returns that are known."""
        found: np.ndarray = self.every if self.is_known.all() else self.every[self.is_known]
        return found

    @cached_property
    def mean(self) -> float:
        """Their mean; NaN of none."""
        return float(self.known.mean()) if len(self.known) else math.nan

    @cached_property
    def deviation(self) -> float:
        """Their standard deviation over n − 1; NaN below two."""
        return float(self.known.std(ddof=1)) if len(self.known) > 1 else math.nan

    @cached_property
    def scores(self) -> np.ndarray:
        """(r − mean) / population standard deviation; empty where they do not vary."""
        values = self.known
        if len(values) < 2 or (spread := float(values.std())) <= ZERO:
            return np.empty(0)
        found: np.ndarray = (values - self.mean) / spread
        return found

    @cached_property
    def ordered(self) -> np.ndarray:
        """The known returns from the worst to the best."""
        found: np.ndarray = np.sort(self.known)
        return found

    @cached_property
    def wealth(self) -> np.ndarray:
        """What 1 has become after each known return."""
        found: np.ndarray = np.cumprod(1.0 + self.known)
        return found

    @cached_property
    def growth(self) -> float:
        """What 1 has become in the end; NaN without a return."""
        return float(self.wealth[-1]) if len(self.known) else math.nan

    @cached_property
    def falls(self) -> np.ndarray:
        """Wealth over its running peak − 1, ≤ 0, after each known return; the initial 1 is the first peak."""
        found: np.ndarray = self.wealth / np.maximum.accumulate(np.maximum(self.wealth, 1.0)) - 1.0
        return found

    @cached_property
    def spans(self) -> np.ndarray:
        """First row below the peak and first row after it (drawdown × 2), in rows of the known returns."""
        below = np.concatenate(([False], self.falls < -ZERO, [False]))
        edges = np.flatnonzero(below[1:] != below[:-1])
        found: np.ndarray = edges.reshape(-1, 2)
        return found

    @cached_property
    def depths(self) -> np.ndarray:
        """The deepest fall of each drawdown, < 0, in the order in which they happened."""
        if not len(self.spans):
            return np.empty(0)
        found: np.ndarray = np.minimum.reduceat(self.falls, self.spans[:, 0])
        return found

    @cached_property
    def dates(self) -> np.ndarray | None:
        """The days of the known returns; None when the track is undated."""
        if not isinstance(self.index, pd.DatetimeIndex):
            return None
        days = self.index.tz_localize(None).to_numpy().astype("datetime64[D]")  # of the index's own time zone
        found: np.ndarray = days[self.is_known]
        return found

    @cached_property
    def weeks(self) -> np.ndarray:
        """The compounded return of each calendar week (Monday to Sunday) with a session; empty when undated."""
        if self.dates is None:
            return np.empty(0)
        return self._compounded((self.dates.astype(np.int64) + 3) // 7)  # 1970-01-01 was a Thursday

    @cached_property
    def months(self) -> np.ndarray:
        """The compounded return of each calendar month with a session, partial ones too; empty when undated."""
        return np.empty(0) if self.dates is None else self._compounded(self.dates.astype("datetime64[M]"))

    @cached_property
    def years(self) -> np.ndarray:
        """The compounded return of each calendar year with a session, partial ones too; empty when undated."""
        return np.empty(0) if self.dates is None else self._compounded(self.dates.astype("datetime64[Y]"))

    def last_months(self, months: int) -> Track | None:
        """The returns of the last `months` months, up to the last session; None when the record is shorter.

        The record reaches back far enough when the session before its first one could lie on the first day: it is no
        further away than the longest gap between two sessions.
        """
        dates = self.dates
        if dates is None or len(dates) < 2:
            return None
        month = dates[-1].astype("datetime64[M]")
        day = int((dates[-1] - month.astype("datetime64[D]")).astype(int))
        length = int(
            ((month - months + 1).astype("datetime64[D]") - (month - months).astype("datetime64[D]")).astype(int)
        )
        cut = (month - months).astype("datetime64[D]") + min(day, length - 1)
        if dates[0] - cut > np.diff(dates).max():
            return None
        return self.part(int(np.searchsorted(dates, cut, side="right")))

    def part(self, start: int) -> Track:
        """The known returns from row `start` on."""
        index = self.index if self.is_known.all() else self.index[self.is_known]
        return Track(self.known[start:], index[start:])

    def _compounded(self, keys: np.ndarray) -> np.ndarray:
        if not len(keys):
            return np.empty(0)
        starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
        found: np.ndarray = np.multiply.reduceat(1.0 + self.known, starts) - 1.0
        return found


def known(returns: Returns) -> np.ndarray:
    """The returns that are known, as float64."""
    if isinstance(returns, Track):
        return returns.known
    values: np.ndarray = np.asarray(returns, dtype=float)
    found: np.ndarray = values[~np.isnan(values)]
    return found


def per_period(annual: float, *, periods: int = YEAR) -> float:
    """An annual rate as the rate per period that compounds to it: (1+a)^(1/periods) − 1."""
    return float((1.0 + annual) ** (1.0 / periods) - 1.0)


def annualised(growth: float, *, length: float, periods: float = YEAR) -> float:
    """growth^(periods/length) − 1: a growth over `length` sessions as a rate per year.

    −1 when everything was lost. NaN when growth is, when there is no session, or when the answer exceeds every float.
    """
    if math.isnan(growth) or length <= 0:
        return math.nan
    if growth <= 0:
        return -1.0
    try:
        return float(growth ** (periods / length)) - 1.0
    except OverflowError:
        return math.nan


def share(condition: np.ndarray) -> float:
    """How many of all are True, from 0 to 1; NaN of none."""
    return float(np.count_nonzero(condition)) / len(condition) if len(condition) else math.nan


def ratio(numerator: float, denominator: float) -> float:
    """The quotient; NaN when either is, or when the denominator is not above rounding."""
    if math.isnan(numerator) or not denominator > ZERO:
        return math.nan
    return numerator / denominator
