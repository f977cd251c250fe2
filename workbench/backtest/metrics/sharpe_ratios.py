"""The Sharpe ratio and its relatives: return for all the volatility there is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.returns import annual_mean, cagr
from workbench.backtest.metrics.risk import annual_volatility, excess_kurtosis, lo_volatility, skewness
from workbench.backtest.metrics.track import YEAR, ZERO, Track, per_period, ratio

if TYPE_CHECKING:
    from workbench.backtest.metrics.track import Returns

_FLAT = "fewer than two returns, or none that differs"


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="mean(r − f) / sd(r − f) · √periods, sd over n − 1",
    source="Sharpe 1994, The Sharpe Ratio",
    undefined=_FLAT,
)
def sharpe(returns: Returns, *, risk_free: float = 0.0, periods: int = YEAR) -> float:
    """The Sharpe ratio of a year.

    `risk_free` is an ANNUAL rate; f is the geometric per-period rate (quantstats, ffn), not risk_free/252. A strategy
    that never traded has no Sharpe ratio: NaN.
    """
    track = Track.of(returns)
    return ratio(track.mean - per_period(risk_free, periods=periods), track.deviation) * math.sqrt(periods)


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="CAGR / annual volatility",
    source="Bacon 2008; R PerformanceAnalytics SharpeRatio.annualized",
    undefined=_FLAT,
)
def geometric_sharpe(returns: Returns, *, periods: int = YEAR) -> float:
    """The Sharpe ratio with the compound growth as its return: lower than `sharpe` by about half the volatility."""
    track = Track.of(returns)
    if not track.deviation > ZERO:
        return math.nan
    return cagr(track, periods=periods) / annual_volatility(track, periods=periods)


@kpi(
    "ratio",
    unit="ratio",
    better="lower",
    formula="√((1 + q²/2) / n) · √periods, q = Sharpe ratio per session",
    source="Lo 2002, The Statistics of Sharpe Ratios",
    undefined=_FLAT,
)
def sharpe_error(returns: Returns, *, periods: int = YEAR) -> float:
    """The standard error of `sharpe` if returns are independent: the true one is within ± 2 of them."""
    track = Track.of(returns)
    own = sharpe(track, periods=1)
    return math.nan if math.isnan(own) else math.sqrt((1.0 + own**2 / 2.0) / len(track.known) * periods)


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="mean(r) · periods / lo_volatility",
    source="Lo 2002, The Statistics of Sharpe Ratios, the AR(1) case",
    undefined="fewer than three returns, or none that differs",
)
def lo_sharpe(returns: Returns, *, periods: int = YEAR) -> float:
    """The Sharpe ratio of a year for returns that follow each other; √periods flatters smoothed returns."""
    track = Track.of(returns)
    return ratio(annual_mean(track, periods=periods), lo_volatility(track, periods=periods))


@kpi(
    "ratio",
    unit="ratio",
    better="higher",
    formula="G·[1 + S/6·G − K/24·G²], G = geometric_sharpe, K excess",
    source="Pezier & White 2006; Bacon 2008, p. 99",
    undefined=_FLAT,
)
def adjusted_sharpe(returns: Returns, *, periods: int = YEAR) -> float:
    """The Sharpe ratio, lower for negative skewness and fat tails (per-session moments, as Bacon has it).

    An expansion for ratios around 1: of ratios far above it makes nonsense.
    """
    track = Track.of(returns)
    own = geometric_sharpe(track, periods=periods)
    return own * (1.0 + skewness(track) / 6.0 * own - excess_kurtosis(track) / 24.0 * own**2)
