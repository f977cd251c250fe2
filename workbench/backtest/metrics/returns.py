"""What was earned: metrics of the returns of one series, under the common rules of `track`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.track import YEAR, Track, annualised, share

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest.metrics.track import Returns

_BACON = "Bacon 2008"


@kpi(
    "returns",
    unit="fraction",
    better="higher",
    formula="∏(1+r) − 1",
    source=_BACON,
    undefined="no return",
)
def total_return(returns: Returns) -> float:
    """The return over the whole span."""
    return Track.of(returns).growth - 1.0


@kpi(
    "returns",
    unit="fraction per year",
    better="higher",
    formula="(1 + total return)^(periods/n) − 1",
    source="Bacon 2008; CFA Institute, GIPS",
    undefined="no return",
)
def cagr(returns: Returns, *, periods: int = YEAR) -> float:
    """Compound annual growth rate, years counted in sessions.

    empyrical counts so too; ffn counts calendar days: 0.1508783 against 0.1506680 on ten years of NASDAQ, see
    `cagr_calendar`. −1 when everything was lost.
    """
    track = Track.of(returns)
    return annualised(track.growth, length=len(track.known), periods=periods)


@kpi(
    "returns",
    unit="fraction per year",
    better="higher",
    formula="(V_end / V_start)^(365.25/days) − 1",
    source="ffn 1.4 calc_cagr",
    undefined="fewer than two values, no dates, or a start that is not positive",
)
def cagr_calendar(equity: pd.Series) -> float:
    """Compound annual growth rate, years counted in calendar days from the first value to the last."""
    values = equity.dropna()
    if len(values) < 2 or values.index.dtype.kind != "M" or float(values.iloc[0]) <= 0:
        return math.nan
    days = (values.index[-1] - values.index[0]).total_seconds() / 86_400
    return annualised(float(values.iloc[-1] / values.iloc[0]), length=days, periods=365.25)


@kpi(
    "returns",
    unit="fraction per year",
    better="higher",
    formula="mean(r) · periods",
    source="Sharpe 1994",
    undefined="no return",
)
def annual_mean(returns: Returns, *, periods: int = YEAR) -> float:
    """The arithmetic mean return of a year: the numerator of the Sharpe ratio, above CAGR by about σ²/2."""
    return Track.of(returns).mean * periods


@kpi(
    "returns",
    unit="share of sessions",
    better="higher",
    formula="#(r > 0) / n",
    source="plain count",
    undefined="no return",
)
def positive_days(returns: Returns) -> float:
    """Share of all sessions with a gain, from 0 to 1. quantstats calls this the win rate, of sessions with r ≠ 0."""
    return share(Track.of(returns).known > 0)


@kpi(
    "returns",
    unit="fraction",
    better="higher",
    formula="max(r)",
    source="plain extreme",
    undefined="no return",
)
def best_session(returns: Returns) -> float:
    """The highest return of one session."""
    values = Track.of(returns).known
    return float(values.max()) if len(values) else math.nan


@kpi(
    "returns",
    unit="fraction",
    better="higher",
    formula="min(r)",
    source="plain extreme",
    undefined="no return",
    risk=True,
)
def worst_session(returns: Returns) -> float:
    """The lowest return of one session."""
    values = Track.of(returns).known
    return float(values.min()) if len(values) else math.nan
