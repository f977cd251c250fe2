"""The shape of a response: is it a table of bars at all? If not, nothing of it can be looked at row by row."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.data.source import DAILY_COLUMNS, PRICES
from workbench.errors import BadData

MOMENTS = ("happened", "learned", "time")


def refuse_wrong_shape(rows: Any, *, dataset: str) -> None:
    """Raise BadData unless `rows` is a table with the columns and types that `BarSource.bars` promises."""
    if not isinstance(rows, pd.DataFrame):
        raise BadData(f"the response for {dataset} is {type(rows).__name__}, not a table; no row was passed on.")
    missing = [name for name in DAILY_COLUMNS if name not in rows.columns]
    if missing:
        raise BadData(
            f"the response for {dataset} lacks the columns {', '.join(missing)}; no row was passed on.",
            remedy="look at what the source sent; its format may have changed.",
            missing=missing,
        )
    wrong = [said for name in rows.columns if (said := _wrong_type(str(name), rows[name]))]
    if wrong:
        raise BadData(
            f"the response for {dataset} has columns of a wrong type: {'; '.join(wrong)}; no row was passed on.",
            remedy="look at what the source sent; its format may have changed.",
            wrong=wrong,
        )


def _wrong_type(name: str, column: pd.Series) -> str:
    """What is wrong with a column; an empty text when nothing is, or when it is a column we do not know."""
    zoned = isinstance(column.dtype, pd.DatetimeTZDtype)
    if name in {"symbol", "session", *MOMENTS} and column.isna().any():
        return f"{name} is empty in {int(column.isna().sum())} rows"
    if name == "symbol" and pd.api.types.infer_dtype(column, skipna=False) not in {"string", "empty"}:
        return f"symbol is {column.dtype}, not text"
    if name == "session" and (column.dtype.kind != "M" or zoned):
        return f"session is {column.dtype}, not a datetime without timezone"
    if name == "session" and not column.equals(column.dt.normalize()):
        return "session has times of day"
    wanted = ""
    if name in MOMENTS and not zoned:
        wanted = "a datetime with a timezone"
    if name in {*PRICES, "volume"} and column.dtype.kind not in "iuf":
        wanted = "a number"
    return f"{name} is {column.dtype}, not {wanted}" if wanted else ""
