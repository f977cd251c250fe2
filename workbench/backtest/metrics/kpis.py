"""Every metric that has a definition, in reading order, and all of them of one run at once."""

from __future__ import annotations

import math
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.backtest.metrics import (
    calendar,
    costs,
    drawdown,
    holdings,
    ratios,
    relative,
    risk,
    rolling,
    sharpe_ratios,
    tail,
    trade_lives,
    trading,
)
from workbench.backtest.metrics import returns as earned
from workbench.backtest.metrics.kpi import GROUPS, Kpi
from workbench.backtest.metrics.track import YEAR, Track

if TYPE_CHECKING:
    from workbench.backtest.metrics.track import Returns

_MODULES = (
    earned,
    risk,
    drawdown,
    tail,
    sharpe_ratios,
    ratios,
    relative,
    trading,
    trade_lives,
    holdings,
    costs,
    rolling,
    calendar,
)


def _defined_in(module: ModuleType) -> list[Kpi]:
    return [
        found.kpi
        for found in vars(module).values()
        if hasattr(found, "kpi") and getattr(found, "__module__", "") == module.__name__
    ]


KPIS: tuple[Kpi, ...] = tuple(
    sorted((one for module in _MODULES for one in _defined_in(module)), key=lambda one: GROUPS.index(one.group))
)


def all_kpis(
    returns: Returns,
    equity: pd.Series | None = None,
    orders: pd.DataFrame | None = None,
    trades: pd.DataFrame | None = None,
    exposure: pd.Series | None = None,
    *,
    gross: pd.Series | None = None,
    benchmark: pd.Series | None = None,
    financing: pd.DataFrame | None = None,
    periods: int = YEAR,
) -> pd.DataFrame:
    """All metrics of one run; what several of them need is computed once.

    Args:
        returns: simple returns per session; a record of returns alone is enough, the rest is NaN then.
        equity: book value at each close, the initial cash first.
        orders: one row per fill, see `costs`.
        trades: one row per round trip, see `trading`.
        exposure: net value of the holdings / equity at each close.
        gross: the same with shorts counted as positive; the absolute of `exposure` when None, which is right for a book
            that is never long and short at once.
        benchmark: simple returns per session; sessions that only one of the two knows are left out.
        financing: cash that came or went without a fill, see `costs`.
        periods: sessions (bars) per year.

    Returns:
        One row per metric, in the order of `KPIS`: index `kpi` (its name), `value` (NaN where undefined, never
        infinite), `group`, `unit`.
    """
    track = Track.of(returns)
    given: dict[str, Any] = {
        "returns": track,
        "benchmark": None if benchmark is None else Track.of(benchmark.reindex(track.index)),
        "equity": equity,
        "orders": orders,
        "trades": trades,
        "exposure": exposure,
        "gross": abs(exposure) if gross is None and exposure is not None else gross,
        "financing": financing,
        "periods": periods,
    }
    return pd.DataFrame(
        {
            "value": [_value(one, given) for one in KPIS],
            "group": [one.group for one in KPIS],
            "unit": [one.unit for one in KPIS],
        },
        index=pd.Index([one.name for one in KPIS], name="kpi"),
    )


def definitions() -> pd.DataFrame:
    """What each metric is: index `kpi`; `group`, `unit`, `better`, `risk`, `formula`, `undefined`, `source`."""
    columns = ("group", "unit", "better", "risk", "formula", "undefined", "source")
    rows = [[getattr(one, column) for column in columns] for one in KPIS]
    return pd.DataFrame(rows, index=pd.Index([one.name for one in KPIS], name="kpi"), columns=pd.Index(columns))


def _value(one: Kpi, given: dict[str, Any]) -> float:
    if any(given[need] is None for need in one.required):
        return math.nan
    value = one.function(**{need: given[need] for need in one.needs})
    return value + 0.0 if math.isfinite(value) else math.nan  # −0 is 0
