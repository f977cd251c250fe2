"""By the calendar: returns of weeks, months and years. Partial ones at both ends count; an undated series is NaN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.track import Track, share

if TYPE_CHECKING:
    from workbench.backtest.metrics.track import Returns

_PLAIN = "plain calendar count"
_UNDATED = "no return, or no dates"


@kpi(
    "calendar",
    unit="fraction",
    better="higher",
    formula="min(compounded return of a week, Monday to Sunday)",
    source=_PLAIN,
    undefined=_UNDATED,
    risk=True,
)
def worst_week(returns: Returns) -> float:
    """The lowest return of a calendar week."""
    return _lowest(Track.of(returns).weeks)


@kpi(
    "calendar",
    unit="fraction",
    better="higher",
    formula="max(compounded return of a calendar month)",
    source=_PLAIN,
    undefined=_UNDATED,
)
def best_month(returns: Returns) -> float:
    """The highest return of a calendar month."""
    return _highest(Track.of(returns).months)


@kpi(
    "calendar",
    unit="fraction",
    better="higher",
    formula="min(compounded return of a calendar month)",
    source=_PLAIN,
    undefined=_UNDATED,
    risk=True,
)
def worst_month(returns: Returns) -> float:
    """The lowest return of a calendar month."""
    return _lowest(Track.of(returns).months)


@kpi(
    "calendar",
    unit="share of months",
    better="higher",
    formula="#(month > 0) / #months",
    source=_PLAIN,
    undefined=_UNDATED,
)
def positive_months(returns: Returns) -> float:
    """Share of the calendar months with a gain, from 0 to 1."""
    return share(Track.of(returns).months > 0)


@kpi(
    "calendar",
    unit="fraction",
    better="higher",
    formula="max(compounded return of a calendar year)",
    source=_PLAIN,
    undefined=_UNDATED,
)
def best_year(returns: Returns) -> float:
    """The highest return of a calendar year."""
    return _highest(Track.of(returns).years)


@kpi(
    "calendar",
    unit="fraction",
    better="higher",
    formula="min(compounded return of a calendar year)",
    source=_PLAIN,
    undefined=_UNDATED,
    risk=True,
)
def worst_year(returns: Returns) -> float:
    """The lowest return of a calendar year."""
    return _lowest(Track.of(returns).years)


@kpi(
    "calendar",
    unit="share of years",
    better="higher",
    formula="#(year > 0) / #years",
    source=_PLAIN,
    undefined=_UNDATED,
)
def positive_years(returns: Returns) -> float:
    """Share of the calendar years with a gain, from 0 to 1."""
    return share(Track.of(returns).years > 0)


@kpi(
    "calendar",
    unit="fraction",
    better="higher",
    formula="compounded return since the last turn of the year",
    source=_PLAIN,
    undefined=_UNDATED,
)
def year_to_date(returns: Returns) -> float:
    """The return of the last session's calendar year, up to that session."""
    years = Track.of(returns).years
    return float(years[-1]) if len(years) else math.nan


@kpi(
    "calendar",
    unit="fraction",
    better="higher",
    formula="compounded return of the 12 months up to the last session",
    source=_PLAIN,
    undefined="a record shorter than 12 months, or no dates",
)
def trailing_12_months(returns: Returns) -> float:
    """The return of the last 12 months, from the same day of the year before."""
    recent = Track.of(returns).last_months(12)
    return math.nan if recent is None else recent.growth - 1.0


def monthly_table(returns: Returns) -> pd.DataFrame:
    """Compounded returns by calendar: one row per year, columns 1 to 12 and `year`; NaN where there was no session.

    Empty when the series has no return or no dates.
    """
    track = Track.of(returns)
    if track.dates is None or not len(track.dates):
        return pd.DataFrame(columns=pd.Index([*range(1, 13), "year"], name="month"), dtype=float)
    months = np.unique(track.dates.astype("datetime64[M]")).astype(np.int64)
    rows = months // 12 - months[0] // 12
    cells = np.full((int(rows[-1]) + 1, 13), np.nan)
    cells[rows, months % 12] = track.months
    cells[np.unique(rows), 12] = track.years
    years = pd.RangeIndex(1970 + int(months[0]) // 12, 1971 + int(months[-1]) // 12, name="year")
    return pd.DataFrame(cells, index=years, columns=pd.Index([*range(1, 13), "year"], name="month"))


def _lowest(values: np.ndarray) -> float:
    return float(values.min()) if len(values) else math.nan


def _highest(values: np.ndarray) -> float:
    return float(values.max()) if len(values) else math.nan
