"""Facts with two clocks as rows of a frame: their one form, their order, and which of them say something new.

A fact is named by `symbol`, `session` and, where the rows have them, `time` and `key`; its vintages differ in
`learned`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench.errors import StoreError

REQUIRED: Final = ("symbol", "session", "happened", "learned")
_CLOCKS: Final = ("happened", "learned")
# Columns that name a fact beside symbol and session, where a kind of facts has them.
_NAMES_TOO: Final = ("time", "key")
FIXED: Final = (*REQUIRED, *_NAMES_TOO)


def fingerprint(rows: pd.DataFrame) -> str:
    """sha256 (64 hex digits) over column names and values, in the order of the rows; the index does not count."""
    total = hashlib.sha256(f"{len(rows)}".encode())
    for name in sorted(map(str, rows.columns)):
        column = rows[name]
        total.update(f"\x00{name}\x00".encode())
        if isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M":
            total.update(_since_1970(column).tobytes())
        elif column.dtype.kind in "fiub":
            total.update(np.ascontiguousarray(column.to_numpy(dtype=np.float64)).tobytes())
        else:
            codes, words = pd.factorize(column)  # a few words, many rows
            total.update(codes.astype(np.int64).tobytes())
            total.update("\x00".join(map(str, words)).encode())
    return total.hexdigest()


def normal(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in the one form in which they are stored: text, microseconds, float64. Raises StoreError."""
    missing = [name for name in REQUIRED if name not in rows.columns]
    if missing:
        raise StoreError(
            f"rows lack the columns {', '.join(missing)}; nothing was written.",
            remedy=f"vintages need {', '.join(REQUIRED)}.",
        )
    changed: dict[str, Any] = {"symbol": rows["symbol"].astype("str"), "session": _midnight(rows["session"])}
    for name in (*_CLOCKS, *(["time"] if "time" in rows.columns else [])):
        changed[name] = _moment(rows[name])
    if "key" in rows.columns:
        changed["key"] = _text(rows["key"])
    for name in _values(rows):
        if rows[name].dtype.kind in "iuf":
            changed[name] = rows[name].astype(np.float64)
    normal = rows.assign(**changed)
    for name in (*_fact(normal), *_CLOCKS):
        if normal[name].isna().any():
            raise StoreError(f"{name} is empty in {int(normal[name].isna().sum())} rows; nothing was written.")
    return normal.reset_index(drop=True)


def _midnight(session: pd.Series) -> pd.Series:
    if session.dtype.kind != "M" or isinstance(session.dtype, pd.DatetimeTZDtype):
        raise StoreError(f"session is {session.dtype}, not a timezone-naive datetime; nothing was written.")
    if not session.equals(session.dt.normalize()):
        raise StoreError("session has times of day; nothing was written.", remedy="use midnights; times go to `time`.")
    micro: pd.Series = session.dt.as_unit("us")
    return micro


def _moment(column: pd.Series) -> pd.Series:
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        raise StoreError(f"{column.name} is {column.dtype}, not a datetime with a timezone; nothing was written.")
    micro: pd.Series = column.dt.tz_convert("UTC").dt.as_unit("us")
    return micro


def _text(column: pd.Series) -> pd.Series:
    if column.dtype.kind in "iufbmM":
        raise StoreError(f"{column.name} is {column.dtype}, not text; nothing was written.")
    return column.astype("str")


def new_or_revised(stored: pd.DataFrame, fresh: pd.DataFrame, *, now: Callable[[], pd.Timestamp]) -> pd.DataFrame:
    """The fresh rows that say something the stored ones did not say at their `learned`."""
    both, is_fresh, repeats, contradicts = _beside(stored, fresh)
    of_batch = contradicts & np.concatenate([[False], is_fresh[:-1]])
    if of_batch.any():
        row = both[of_batch].iloc[0]
        raise StoreError(
            f"two rows give different values for {row['symbol']} in session {row['session'].date()}, both learned "
            f"{row['learned']}; nothing was written.",
            remedy="decide which of them is right before appending.",
        )
    if contradicts.any():
        # The store has already answered for that moment. The last word of the batch was learned now; what it says of
        # earlier moments cannot be learned any more.
        last_word = ~same_fact_as_next(both[is_fresh])
        late = contradicts[is_fresh]
        moved = both[is_fresh].drop(columns="_fresh")
        moved["learned"] = moved["learned"].where(~late, other=_unused(now(), stored["learned"]))
        both, is_fresh, repeats, _ = _beside(stored, moved[last_word | ~late])
    kept: pd.DataFrame = both[is_fresh & ~repeats].drop(columns="_fresh").reset_index(drop=True)
    return kept


def _beside(stored: pd.DataFrame, fresh: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Both in one order, and per row: is it fresh, does it repeat the vintage before, does it contradict that one."""
    both = fresh.assign(_fresh=1)
    if len(stored):
        both = pd.concat([stored.assign(_fresh=0), both], ignore_index=True)
    both = ordered(both, "learned", "_fresh")
    is_fresh = both["_fresh"].to_numpy() == 1
    follows, same = _same_fact_as_previous(both), _same_values_as_previous(both)
    return both, is_fresh, follows & same, follows & ~same & is_fresh & _equal_to_previous(both["learned"])


def _unused(moment: pd.Timestamp, taken: pd.Series) -> pd.Timestamp:
    """The moment, or the first microsecond after it at which nothing was learned."""
    moment = moment.tz_convert("UTC").as_unit("us")
    while (taken == moment).any():
        moment += pd.Timedelta(1, unit="us")
    return moment


def _fact(rows: pd.DataFrame) -> list[str]:
    return ["symbol", "session", *(name for name in _NAMES_TOO if name in rows.columns)]


def _values(rows: pd.DataFrame) -> list[str]:
    return [name for name in rows.columns if name not in {*FIXED, "_fresh"}]


def in_force(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per fact, its newest vintage, in the order of the facts; index 0…n−1.

    Where two appenders contradicted each other at one instant, a fact has two vintages with the same `learned`. Which
    of them is answered depends on their values only, never on the files they lie in.
    """
    newest = ordered(rows, "learned")
    if at_one_instant(newest).any():
        newest = settled(rows)
    known: pd.DataFrame = newest[~same_fact_as_next(newest)].reset_index(drop=True)
    return known


def at_one_instant(rows: pd.DataFrame) -> np.ndarray:
    """Per row of ordered vintages: is it another one, or a copy, of the vintage before with the same `learned`."""
    same: np.ndarray = _same_fact_as_previous(rows) & _equal_to_previous(rows["learned"])
    return same


def settled(rows: pd.DataFrame) -> pd.DataFrame:
    """All vintages in the one order that depends on nothing but the rows: by fact, `learned`, and all other columns."""
    return ordered(rows, "learned", "happened", *sorted(_values(rows)))


def without_copies(rows: pd.DataFrame) -> pd.DataFrame:
    """All vintages, settled, each row once. Rows that differ in anything all stay."""
    every = settled(rows)
    copy = at_one_instant(every) & _equal_to_previous(every["happened"]) & _same_values_as_previous(every)
    once: pd.DataFrame = every[~copy].reset_index(drop=True)
    return once


def ordered(rows: pd.DataFrame, *then: str) -> pd.DataFrame:
    """By symbol (alphabetical), session, time, key and then the given columns; equal rows keep their order."""
    keys = [_sortable(rows[name]) for name in (*_fact(rows), *then)]
    ordered: pd.DataFrame = rows.iloc[np.lexsort(keys[::-1])].reset_index(drop=True)
    return ordered


def _sortable(column: pd.Series) -> np.ndarray:
    """Integers or floats in the order of the values; a missing one is before all others (a missing number after)."""
    if column.dtype.kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        return _since_1970(column)
    if column.dtype.kind in "iuf":
        return column.to_numpy()
    codes, words = pd.factorize(column)
    rank = np.empty(len(words) + 1, dtype=np.int64)
    rank[np.argsort(np.asarray(words, dtype=object))] = np.arange(len(words))
    rank[-1] = -1  # the code of a missing value is -1
    return rank[codes]


def _same_fact_as_previous(rows: pd.DataFrame) -> np.ndarray:
    same = np.ones(len(rows), dtype=bool)
    for name in _fact(rows):
        same &= _equal_to_previous(rows[name])
    return same


def same_fact_as_next(rows: pd.DataFrame) -> np.ndarray:
    return np.append(_same_fact_as_previous(rows)[1:], [False])


def _same_values_as_previous(rows: pd.DataFrame) -> np.ndarray:
    same = np.ones(len(rows), dtype=bool)
    for name in _values(rows):
        same &= _equal_to_previous(rows[name])
    return same


def _equal_to_previous(column: pd.Series) -> np.ndarray:
    """Row k equals row k−1 (a missing value equals a missing value); False for the first row."""
    if column.dtype.kind == "f":
        numbers = column.to_numpy(dtype=np.float64)
        equal = (numbers[1:] == numbers[:-1]) | (np.isnan(numbers[1:]) & np.isnan(numbers[:-1]))
    else:
        codes = _sortable(column)
        equal = codes[1:] == codes[:-1]
    return np.concatenate([[False], equal]) if len(column) else np.zeros(0, dtype=bool)


def _since_1970(column: pd.Series) -> np.ndarray:
    """Microseconds since 1970, UTC (int64)."""
    moments: np.ndarray = column.dt.as_unit("us").to_numpy(dtype="datetime64[us]").astype(np.int64)
    return moments
