"""Metrics of one series of simple returns: one function each, with formula, unit, source and what "undefined" means.

Common rules. `returns` is a series of simple per-session returns (0.01 = one per cent); NaN entries are unknown and
left out, never counted as 0. `periods` is the number of sessions in a year: 252 for daily data (365 would raise a daily
Sharpe ratio by a fifth). Wealth starts at 1 before the first return, so a loss in the first session is a drawdown. What
has no answer (no return, zero variance, a denominator of zero) is NaN, never 0 and never infinity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

YEAR = 252
# A standard deviation below this is rounding: a series of equal returns computed from equity still shows about 1e-16.
ZERO = 1e-14


def known(returns: pd.Series) -> np.ndarray:
    """The returns that are known, as float64."""
    values: np.ndarray = np.asarray(returns, dtype=float)
    found: np.ndarray = values[~np.isnan(values)]
    return found


def per_period(annual: float, *, periods: int = YEAR) -> float:
    """An annual rate as the rate per period that compounds to it: (1+a)^(1/periods) − 1."""
    return float((1.0 + annual) ** (1.0 / periods) - 1.0)


def drawdowns(returns: pd.Series) -> np.ndarray:
    """Wealth over its running peak − 1, one number ≤ 0 per known return; the initial wealth of 1 is the first peak."""
    wealth = np.cumprod(1.0 + known(returns))
    falls: np.ndarray = wealth / np.maximum.accumulate(np.maximum(wealth, 1.0)) - 1.0
    return falls


def total_return(returns: pd.Series) -> float:
    """∏(1+r) − 1, a fraction over the whole span."""
    values = known(returns)
    return float(np.prod(1.0 + values) - 1.0) if len(values) else math.nan


def cagr(returns: pd.Series, *, periods: int = YEAR) -> float:
    """(1 + total return)^(periods/n) − 1, a fraction per year of `periods` sessions.

    Years are counted in sessions (as empyrical does), not in calendar days (as ffn does): 0.1508783 against 0.1506680
    on ten years of NASDAQ. −1 when everything was lost.
    """
    values = known(returns)
    if not len(values):
        return math.nan
    growth = float(np.prod(1.0 + values))
    return growth ** (periods / len(values)) - 1.0 if growth > 0 else -1.0


def annual_volatility(returns: pd.Series, *, periods: int = YEAR) -> float:
    """sd(r) · √periods with sd over n − 1 (ddof 1), a fraction per √year. NaN below two returns."""
    values = known(returns)
    return float(values.std(ddof=1) * math.sqrt(periods)) if len(values) > 1 else math.nan


def sharpe(returns: pd.Series, *, risk_free: float = 0.0, periods: int = YEAR) -> float:
    """mean(r − f) / sd(r − f) · √periods, sd over n − 1. No unit. Sharpe 1994, "The Sharpe Ratio".

    `risk_free` is an ANNUAL rate; f is the geometric per-period rate (quantstats, ffn), not risk_free/252. A strategy
    that never traded has no Sharpe ratio: NaN.
    """
    excess = known(returns) - per_period(risk_free, periods=periods)
    if len(excess) < 2 or (deviation := float(excess.std(ddof=1))) <= ZERO:
        return math.nan
    return float(excess.mean()) / deviation * math.sqrt(periods)


def downside_deviation(returns: pd.Series, *, mar: float = 0.0) -> float:
    """√(mean(min(r − mar, 0)²)) over ALL n returns, per period. `mar` is per period. Bacon 2008, p. 94."""
    values = known(returns)
    return float(np.sqrt(np.mean(np.minimum(values - mar, 0.0) ** 2))) if len(values) else math.nan


def sortino(returns: pd.Series, *, mar: float = 0.0, periods: int = YEAR) -> float:
    """mean(r − m) / downside deviation(m) · √periods. No unit. Sortino & van der Meer 1991.

    `mar` is an ANNUAL rate, m the geometric per-period one. NaN when no return lies below m.
    """
    values, minimum = known(returns), per_period(mar, periods=periods)
    deviation = downside_deviation(returns, mar=minimum)
    if not len(values) or deviation <= ZERO:
        return math.nan
    return float(values.mean() - minimum) / deviation * math.sqrt(periods)


def max_drawdown(returns: pd.Series) -> float:
    """The deepest fall of wealth below its peak, a fraction ≤ 0; the initial capital counts as a peak.

    vectorbt leaves the initial capital out and shows 0 for a loss in the first bar; empyrical agrees with us.
    """
    falls = drawdowns(returns)
    return float(falls.min(initial=0.0)) if len(falls) else math.nan


def calmar(returns: pd.Series, *, periods: int = YEAR) -> float:
    """CAGR / |max drawdown| over the whole span (Young 1991 uses the last 36 months). NaN without a drawdown."""
    fall = max_drawdown(returns)
    return cagr(returns, periods=periods) / -fall if fall < 0 else math.nan


def longest_drawdown(returns: pd.Series) -> float:
    """The most sessions in a row spent below the peak, recovered or not. 0 when wealth never fell."""
    falls = drawdowns(returns)
    if not len(falls):
        return math.nan
    below = np.concatenate(([0], (falls < -ZERO).astype(int), [0]))
    edges = np.diff(below)
    spans = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return float(spans.max(initial=0))


def ulcer_index(returns: pd.Series) -> float:
    """√(mean(drawdown²)), a fraction ≥ 0. Martin & McCann 1989."""
    falls = drawdowns(returns)
    return float(np.sqrt(np.mean(falls**2))) if len(falls) else math.nan


def pain_index(returns: pd.Series) -> float:
    """mean(|drawdown|), a fraction ≥ 0. Becker 2006; Bacon 2008, p. 89."""
    falls = drawdowns(returns)
    return float(-falls.mean()) if len(falls) else math.nan


def var_95(returns: pd.Series) -> float:
    """The 5 % quantile of the returns themselves (historical, linear interpolation), per session; negative is a loss.

    quantstats calls the Gaussian quantile by this name (−0.01863 against −0.01969 on NASDAQ 2009–18).
    """
    values = known(returns)
    return float(np.quantile(values, 0.05)) if len(values) else math.nan


def cvar_95(returns: pd.Series) -> float:
    """Mean of the returns ≤ var_95, per session; negative is a loss. skfolio weights the boundary return instead."""
    values = known(returns)
    return float(values[values <= np.quantile(values, 0.05)].mean()) if len(values) else math.nan


def skewness(returns: pd.Series) -> float:
    """m₃ / m₂^1.5 with population moments ("biased"; pandas and vectorbt correct for n), as the PSR expects it."""
    return _standardised(returns, 3)


def kurtosis(returns: pd.Series) -> float:
    """m₄ / m₂² with population moments, RAW: 3 for normal returns (excess is 3 less), as the PSR expects it."""
    return _standardised(returns, 4)


def omega(returns: pd.Series, *, mar: float = 0.0) -> float:
    """Σ max(r − mar, 0) / Σ max(mar − r, 0). `mar` is per period. Keating & Shadwick 2002. NaN without a loss."""
    values = known(returns) - mar
    losses = float(-values[values < 0].sum())
    return float(values[values > 0].sum()) / losses if losses > 0 else math.nan


def positive_days(returns: pd.Series) -> float:
    """Share of all sessions with r > 0, from 0 to 1. quantstats calls this the win rate, of sessions with r ≠ 0."""
    values = known(returns)
    return float((values > 0).mean()) if len(values) else math.nan


def exposure(invested: pd.Series) -> float:
    """Mean over the sessions of holdings / equity, from 0 to 1. 0 for a strategy that never traded."""
    values = known(invested)
    return float(values.mean()) if len(values) else math.nan


def turnover(orders: pd.DataFrame, *, equity: pd.Series, periods: int = YEAR) -> float:
    """Half the traded value per year, over the mean equity: 1 means that the book was exchanged once a year.

    Buying and selling the same money counts once. 0 for a strategy that never traded.
    """
    years = (len(equity) - 1) / periods
    return float(orders["value"].sum()) / 2.0 / float(equity.mean()) / years if years > 0 else math.nan


def cost_paid(orders: pd.DataFrame) -> float:
    """Fees plus slippage of all fills, in currency, ≥ 0."""
    return float(orders["fee"].sum() + orders["slippage"].sum())


def _standardised(returns: pd.Series, power: int) -> float:
    values = known(returns)
    if len(values) < 2 or (deviation := float(values.std())) <= ZERO:
        return math.nan
    return float(np.mean(((values - values.mean()) / deviation) ** power))
