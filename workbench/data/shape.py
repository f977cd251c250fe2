"""The shape of a response: is it a table of its kind at all? If not, nothing of it can be looked at row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from workbench.data.kinds import Kind
from workbench.data.source import DAILY_COLUMNS, PRICES
from workbench.errors import BadData

MOMENTS: Final = ("happened", "learned", "time")
LONGEST: Final = {"symbol": 32, "key": 512}  # characters


def refuse_wrong_shape(rows: Any, *, dataset: str, kind: Kind | None = None) -> None:
    """Raise BadData unless `rows` is a table with the columns and types of its kind (None: of bars).

    A column that the kind does not have is not looked at; `source` is text where there is one.
    """
    if not isinstance(rows, pd.DataFrame):
        raise BadData(f"the response for {dataset} is {type(rows).__name__}, not a table; no row was passed on.")
    needed: Sequence[str] = DAILY_COLUMNS if kind is None else kind.columns
    missing = [name for name in needed if name not in rows.columns]
    if missing:
        raise BadData(
            f"the response for {dataset} lacks the columns {', '.join(missing)}; no row was passed on.",
            remedy="look at what the source sent; its format may have changed.",
            missing=missing,
        )
    numbers = {*PRICES, "volume"} if kind is None else {one.name for one in kind.of("number")}
    texts = {"symbol", "key", "source"} | ({one.name for one in kind.of("text")} if kind else set())
    wrong = [
        said for name in rows.columns if (said := _wrong_type(str(name), rows[name], numbers=numbers, texts=texts))
    ]
    if wrong:
        raise BadData(
            f"the response for {dataset} has columns of a wrong type: {'; '.join(wrong)}; no row was passed on.",
            remedy="look at what the source sent; its format may have changed.",
            wrong=wrong,
        )


def _wrong_type(name: str, column: pd.Series, *, numbers: set[str], texts: set[str]) -> str:
    """What is wrong with a column; an empty text when nothing is, or when it is a column we do not know."""
    zoned = isinstance(column.dtype, pd.DatetimeTZDtype)
    if name in {"symbol", "session", *MOMENTS} and column.isna().any():
        return f"{name} is empty in {int(column.isna().sum())} rows"
    if name == "session":
        return _wrong_session(column)
    wanted = ""
    if name in MOMENTS and not zoned:
        wanted = "a datetime with a timezone"
    elif name in numbers and column.dtype.kind not in "iuf":
        wanted = "a number"
    elif name in texts and pd.api.types.infer_dtype(column, skipna=name != "symbol") not in {"string", "empty"}:
        wanted = "text"
    elif name in LONGEST and (longest := column.dropna().str.len().max()) > LONGEST[name]:
        return f"{name} has {longest:.0f} characters, more than {LONGEST[name]}"
    return f"{name} is {column.dtype}, not {wanted}" if wanted else ""


def _wrong_session(column: pd.Series) -> str:
    if column.dtype.kind != "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        return f"session is {column.dtype}, not a datetime without timezone"
    return "" if column.equals(column.dt.normalize()) else "session has times of day"
