"""Features as frames: what models learn from, what was newest of each symbol, and the table of all features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from workbench.errors import DataError, ParameterError
from workbench.features.feature import Feature
from workbench.features.registry import feature, registered
from workbench.market.bars import Bars
from workbench.market.history import History
from workbench.market.view import MarketView


def frame(
    known: History | MarketView | Bars,
    features: str | Feature | Sequence[str | Feature],
    *,
    start: Any = None,
    end: Any = None,
    warm: bool = True,
) -> pd.DataFrame:
    """Features of all symbols, one row per bar and symbol.

    Row (t, symbol) is computed from bars up to t only. It is right as of the close of t for bars as they are known
    here; where sources revise, ask the history of an earlier `as_of`.

    Args:
        known: a history (its rows from `study.start` on are returned, the warm-up before them is used), a view, or
            bars.
        features: texts such as `rsi(14)` and `momentum_12_1`, or features; each becomes a column named as it was asked.
        start, end: first and last session (of intraday bars: moment) returned, both included; all when None.
        warm: NaN where a symbol has not yet more bars than the feature's warm-up, so that no number depends on where
            the history begins. False: numbers from the first bar on where there is one.

    Returns:
        float64 columns; index (`session`, `symbol`), by session and then in the order of the symbols. NaN where a
        symbol has no bar or too few, or lacks a field.

    Raises:
        ParameterError: a feature is unknown or asked twice.
        NoData: a field is read that the bars have for no symbol.
    """
    wanted = _wanted(features)
    bars = known if isinstance(known, Bars) else known.bars
    first = known.evaluated[0] if isinstance(known, History) and start is None and len(known.evaluated) else start
    columns = {}
    for name, one in wanted.items():
        values = one.over(bars, warm=warm).loc[first:end]
        columns[name] = values.stack(future_stack=True)  # noqa: PD013 - melt does not keep the order of the index
    table = pd.DataFrame(columns)
    table.index = table.index.set_names(["session", "symbol"])
    return table


def newest(
    known: History | MarketView | Bars, features: str | Feature | Sequence[str | Feature], *, stale: int = 0
) -> pd.DataFrame:
    """The newest value of each feature: one row per symbol, one column per feature, and `session`, its newest bar.

    Args:
        stale: how many bars of the calendar the newest bar of a symbol may lie back; NaN where it is older.

    Raises:
        ParameterError: a feature is unknown or asked twice.
        DataError: there are no bars, or `stale` is negative.
        NoData: a field is read that the bars have for no symbol.
    """
    bars = known if isinstance(known, Bars) else known.bars
    if not len(bars.sessions):
        raise DataError("there are no bars; nothing was computed.", remedy="load a longer history.")
    if stale < 0:
        raise DataError(f"stale={stale} must be 0 or greater; nothing was computed.", remedy="use e.g. 5.")
    recent = bars.close.iloc[-1 - stale :]
    columns: dict[str, pd.Series] = {"session": bars.close.apply(pd.Series.last_valid_index)}
    for name, one in _wanted(features).items():
        values = one.over(bars)
        # The value at the symbol's newest bar, and not an older one where the feature has none there.
        at_bar = values.where(bars.close.notna())
        columns[name] = pd.Series(
            {
                symbol: at_bar[symbol].loc[recent[symbol].last_valid_index()]
                if recent[symbol].notna().any()
                else float("nan")
                for symbol in bars.close.columns
            },
            dtype=float,
        )
    table = pd.DataFrame(columns)
    table.index.name = "symbol"
    return table


def table() -> pd.DataFrame:
    """Every registered feature, one row each, in the order of their groups; index `feature`.

    Columns: `example` with its defaults, `meaning`, `unit`, `fields`, `parameters` (name, bounds), `warm_up` of the
    example in bars, `stream` (agrees with batch: "same bits" or "to 1e-9"), `source`.
    """
    rows = []
    for definition in registered().values():
        one = definition.of()
        rows.append(
            {
                "feature": definition.name,
                "example": str(one),
                "meaning": definition.meaning,
                "unit": definition.unit,
                "fields": ", ".join(definition.fields),
                "parameters": ", ".join(
                    f"{part.name} {'>' if part.beyond else '≥'} {part.least:g}"
                    + ("" if part.most == float("inf") else f", ≤ {part.most:g}")
                    for part in definition.parameters
                ),
                "warm_up": one.warm_up,
                "stream": "same bits" if one.exact else "to 1e-9",
                "source": definition.source,
            }
        )
    return pd.DataFrame(rows).set_index("feature")


def _wanted(features: str | Feature | Sequence[str | Feature]) -> dict[str, Feature]:
    asked = [features] if isinstance(features, str | Feature) else list(features)
    wanted: dict[str, Feature] = {}
    for one in asked:
        name = str(one)
        if name in wanted:
            raise ParameterError(f"{name!r} is asked twice; nothing was computed.", remedy="drop one of them.")
        wanted[name] = one if isinstance(one, Feature) else feature(one)
    return wanted
