"""How likely a Sharpe ratio is luck: probabilistic and deflated Sharpe ratio, and the record needed to tell.

All Sharpe ratios here are PER PERIOD (daily: the annual one / √252), because the formulas count periods. γ₃ is the
skewness and γ₄ the RAW kurtosis (3 for normal returns) of the per-period returns, both from population moments. The
variance of an estimated Sharpe ratio is taken at the observed value and over n − 1, as in the 2012 paper; Lopez de
Prado, Lipton and Zoonekynd (2025) take it at the benchmark value and over n: 0.987 instead of 0.913 on one example
(`psr_null_variance`; nothing else here uses it).

Sources: Bailey & Lopez de Prado 2012, "The Sharpe Ratio Efficient Frontier" (PSR, MinTRL); 2014, "The Deflated Sharpe
Ratio" (DSR, effective trials); Bailey, Borwein, Lopez de Prado & Zhu 2014, "Pseudo-Mathematics and Financial
Charlatanism" (MinBTL).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest import metrics
from workbench.backtest.luck.cells import column_chunks, traded

if TYPE_CHECKING:
    import pandas as pd

_EULER = 0.5772156649015329
_NORMAL = NormalDist()


def psr(sharpe: float, *, n: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0) -> float:
    """Probabilistic Sharpe ratio: the probability that the true Sharpe ratio exceeds `benchmark`.

    Φ[(SR − SR*) · √(n − 1) / √(1 − γ₃·SR + (γ₄ − 1)/4 · SR²)]

    Args:
        sharpe: observed, per period.
        n: number of returns.
        skew: γ₃.
        kurtosis: γ₄, raw.
        benchmark: SR*, per period.

    Returns:
        From 0 to 1; NaN when an argument is, n < 2, or the moments make the variance negative.
    """
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if n < 2 or math.isnan(spread) or math.isnan(benchmark) or spread <= 0:
        return math.nan
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(n - 1) / math.sqrt(spread))


def psr_null_variance(
    sharpe: float, *, n: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """`psr` in the form of 2025: the variance is what it is if the true Sharpe ratio is the benchmark, over n.

    Φ[(SR − SR*) · √n / √(1 − γ₃·SR* + (γ₄ − 1)/4 · SR*²)]

    A test asks how likely the observation is under the hypothesis, so this is the stricter reading of one; against 0 it
    knows nothing of skewness and fat tails. Arguments and NaN as in `psr`. Source: Lopez de Prado, Lipton & Zoonekynd
    2025, "How to Use the Sharpe Ratio".
    """
    spread = 1.0 - skew * benchmark + (kurtosis - 1.0) / 4.0 * benchmark**2
    if n < 2 or math.isnan(spread) or math.isnan(sharpe) or spread <= 0:
        return math.nan
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(n) / math.sqrt(spread))


def expected_max_sharpe(trials: int, *, variance: float) -> float:
    """The Sharpe ratio that the best of `trials` worthless strategies is expected to show.

    √V · [(1 − γ)·Φ⁻¹(1 − 1/N) + γ·Φ⁻¹(1 − 1/(N·e))], γ = 0.5772… (Euler). In the unit of √V; 0 for one trial.

    Args:
        trials: N ≥ 1, how many were tried.
        variance: V, of the Sharpe ratios across the trials.
    """
    if trials <= 1:
        return 0.0
    return math.sqrt(variance) * (
        (1.0 - _EULER) * _NORMAL.inv_cdf(1.0 - 1.0 / trials) + _EULER * _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    )


def dsr(sharpe: float, *, n: int, trials: int, variance: float, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """Deflated Sharpe ratio: PSR against the best Sharpe ratio expected from `trials` worthless strategies.

    With one trial it is PSR(0).

    Args:
        sharpe, n, skew, kurtosis: see `psr`.
        trials: how many strategies were tried on these data, this one included.
        variance: of the per-period Sharpe ratios across the trials.

    Returns:
        From 0 to 1; NaN when PSR is, or when several trials come without a variance.
    """
    if trials > 1 and not variance >= 0:
        return math.nan
    benchmark = expected_max_sharpe(trials, variance=variance) if trials > 1 else 0.0
    return psr(sharpe, n=n, skew=skew, kurtosis=kurtosis, benchmark=benchmark)


def min_track_record_length(
    sharpe: float, *, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    """How many returns are needed until PSR(benchmark) reaches `confidence`, if the moments stay as they are.

    1 + [1 − γ₃·SR + (γ₄ − 1)/4 · SR²] · (Φ⁻¹(confidence) / (SR − SR*))²

    In periods (eq. 13 of the 2012 paper). NaN when the observed Sharpe ratio does not exceed the benchmark.
    """
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not sharpe > benchmark or math.isnan(spread) or spread <= 0:
        return math.nan
    return 1.0 + spread * (_NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2


def min_backtest_length(trials: int, *, target: float = 1.0) -> float:
    """Years of data below which the best of `trials` worthless strategies should show an annual Sharpe of `target`.

    (expected_max_sharpe(N, V=1) / target)². NaN when the target is not above 0: luck shows that in any time.
    """
    if not target > 0:
        return math.nan
    return (expected_max_sharpe(trials, variance=1.0) / target) ** 2


def effective_trials(returns: np.ndarray) -> float:
    """How many independent strategies the cells amount to: ρ + (1 − ρ) · N, ρ their mean correlation.

    Cells that differ by one session of a window are hardly two ideas. From 1 to N; a negative mean correlation counts
    as 0. The odds in this package do not use it: they count every trial, which is the cautious way. From the appendix
    of the 2014 paper.

    Args:
        returns: simple returns (session × cell); cells that never traded are left out. NaN when none is left.
    """
    columns = np.flatnonzero(traded(returns))
    if not len(columns):
        return math.nan
    together = np.zeros(len(returns))
    for here in column_chunks(len(returns), len(columns)):
        part = returns[:, columns[here]]
        part -= part.mean(axis=0)
        together += (part / np.sqrt(np.einsum("ij,ij->j", part, part))).sum(axis=1)
    # The standardised cells have length 1, so their sum has the length √(N + N·(N − 1)·ρ).
    cells = len(columns)
    mean = (float(together @ together) - cells) / (cells * (cells - 1)) if cells > 1 else 1.0
    return cells - min(max(mean, 0.0), 1.0) * (cells - 1)


def psr_of(returns: pd.Series | np.ndarray, *, benchmark: float = 0.0, periods: int = metrics.YEAR) -> float:
    """`psr` of a series of returns against an ANNUAL benchmark Sharpe ratio. NaN for a series without variance."""
    return psr(
        metrics.sharpe(returns, periods=1),
        n=len(metrics.known(returns)),
        skew=metrics.skewness(returns),
        kurtosis=metrics.kurtosis(returns),
        benchmark=benchmark / math.sqrt(periods),
    )


def dsr_of(returns: pd.Series | np.ndarray, *, trials: int, variance: float) -> float:
    """`dsr` of a series of returns; `variance` is that of the per-period Sharpe ratios of all trials."""
    return dsr(
        metrics.sharpe(returns, periods=1),
        n=len(metrics.known(returns)),
        trials=trials,
        variance=variance,
        skew=metrics.skewness(returns),
        kurtosis=metrics.kurtosis(returns),
    )
