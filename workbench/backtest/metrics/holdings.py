"""How much was at work: exposure of the book over the sessions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workbench.backtest.metrics.kpi import kpi
from workbench.backtest.metrics.track import ZERO, known, share

if TYPE_CHECKING:
    import pandas as pd

_NONE = "no session"


@kpi(
    "exposure",
    unit="fraction of equity",
    better="none",
    formula="mean(net value of the holdings / equity)",
    source="plain mean",
    undefined=_NONE,
)
def exposure(exposure: pd.Series) -> float:
    """Mean net exposure at the closes; shorts count as negative. 0 for a strategy that never traded."""
    values = known(exposure)
    return float(values.mean()) if len(values) else math.nan


@kpi(
    "exposure",
    unit="share of sessions",
    better="none",
    formula="#(gross exposure ≠ 0) / n",
    source="plain count",
    undefined=_NONE,
)
def time_in_market(gross: pd.Series) -> float:
    """Share of the sessions that end with a holding, from 0 to 1."""
    return share(known(gross) > ZERO)


@kpi(
    "exposure",
    unit="fraction of equity",
    better="none",
    formula="mean((value of longs + |value of shorts|) / equity)",
    source="AIMA; plain mean",
    undefined=_NONE,
    risk=True,
)
def average_leverage(gross: pd.Series) -> float:
    """Mean gross exposure at the closes; above 1 money was borrowed or shares were."""
    values = known(gross)
    return float(values.mean()) if len(values) else math.nan


@kpi(
    "exposure",
    unit="fraction of equity",
    better="lower",
    formula="max((value of longs + |value of shorts|) / equity)",
    source="AIMA; plain extreme",
    undefined=_NONE,
    risk=True,
)
def peak_gross_exposure(gross: pd.Series) -> float:
    """The highest gross exposure at a close."""
    values = known(gross)
    return float(values.max()) if len(values) else math.nan


@kpi(
    "exposure",
    unit="fraction of equity",
    better="none",
    formula="the net exposure that is furthest from 0",
    source="plain extreme",
    undefined=_NONE,
    risk=True,
)
def peak_net_exposure(exposure: pd.Series) -> float:
    """The most one-sided book at a close: negative when it was short."""
    values = known(exposure)
    return float(values[abs(values).argmax()]) if len(values) else math.nan
