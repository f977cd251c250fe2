"""Kept row: one row of the quarantine: its id, made of its content, and its ways from a frame to JSON and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import pandas as pd

from workbench.data.inspection import plain
from workbench.data.kinds import kind_of
from workbench.data.source import PRICES
from workbench.study import digest

State = Literal["held", "released", "refused", "passed"]
AT_ONCE: Final = 500  # ids or symbols in one statement


@dataclass(frozen=True, slots=True)
class Known:
    """A row of the quarantine in short: enough to know it again.

    Attributes:
        stored_at: when it became readable; None while it is held, or released but not yet stored.
        row: as plain JSON values.
    """

    id: str
    symbol: str
    session: str
    state: State
    stored_at: pd.Timestamp | None
    row: dict[str, Any]


def row_id(dataset: str, content: dict[str, Any]) -> str:
    """The id of a row (as plain JSON values): 32 hex digits over its dataset and all of it but `learned`."""
    said = {name: value for name, value in content.items() if name != "learned"}
    return hashlib.sha256(digest([dataset, said]).encode()).hexdigest()[:32]


def ids_of(dataset: str, frame: pd.DataFrame, among: Iterable[Known]) -> pd.Series:
    """The id of each row that is about a symbol and a session of one of `among`; "" for all others."""
    pairs = {(one.symbol, pd.Timestamp(one.session)) for one in among}
    if not pairs or frame.empty:
        return pd.Series("", index=frame.index, dtype="str")
    near = pd.MultiIndex.from_frame(frame[["symbol", "session"]]).isin(list(pairs))
    rows_near = floats(frame[near])
    made = pd.Series(
        [row_id(dataset, plain(row)) for _, row in rows_near.iterrows()], index=rows_near.index, dtype="str"
    )
    return made.reindex(frame.index, fill_value="")


def frame_of(kind: str, contents: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as plain JSON values as the frame that they were, with the types of their kind."""
    frame = pd.DataFrame(list(contents))
    frame["session"] = pd.to_datetime(frame["session"], format="ISO8601").astype("datetime64[us]")
    for name in ("time", "happened", "learned"):
        if name in frame.columns:
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    return floats(frame) if kind == "bars" else kind_of(kind).typed(frame)


def floats(frame: pd.DataFrame) -> pd.DataFrame:
    """The numbers of bars as float64, so that a row has one form whoever sends it."""
    return frame.astype({name: float for name in (*PRICES, "volume") if name in frame.columns})
