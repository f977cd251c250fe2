"""Bars: prices and volumes of several symbols on one calendar, each field a frame (session × symbol)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from workbench.errors import BadData

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of several symbols.

    Every frame has shape (session × symbol), the same index and the same columns. The index is ascending and unique,
    and either sessions (timezone-naive midnights) or, for intraday bars, the UTC moments of the bars' ends. NaN means:
    this symbol has no bar then. A field that a source does not supply is None, never invented: with close-only data
    `open`, `high`, `low` and `volume` are None.

    Raises:
        BadData: the index is no DatetimeIndex, not ascending, repeats a session, or has times of day without a
            timezone; a symbol is repeated; a field has another index or other columns than the closes.
    """

    close: pd.DataFrame
    open: pd.DataFrame | None = None
    high: pd.DataFrame | None = None
    low: pd.DataFrame | None = None
    volume: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        index, columns = self.close.index, self.close.columns
        if not isinstance(index, pd.DatetimeIndex):
            raise BadData(
                f"bars need a DatetimeIndex of sessions, not {type(index).__name__}.",
                remedy="use pd.to_datetime on the index.",
            )
        _check_index(index)
        if not columns.is_unique:
            twice = columns[columns.duplicated()][0]
            raise BadData(f"the bars have two columns for {twice}.", remedy="drop one of them.")
        for name, frame in self:
            if not frame.index.equals(index) or not frame.columns.equals(columns):
                raise BadData(f"bars.{name} does not have the index and columns of bars.close.")

    def __iter__(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """(name, frame) of each field that is there, in the order of `FIELDS`."""
        for name in FIELDS:
            frame = getattr(self, name)
            if frame is not None:
                yield name, frame

    @property
    def symbols(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(str(symbol) for symbol in self.close.columns)

    @property
    def sessions(self) -> pd.DatetimeIndex:
        """The index."""
        return cast("pd.DatetimeIndex", self.close.index)

    @property
    def close_only(self) -> bool:
        """True where no symbol has an open: fills then happen at closes."""
        return self.open is None or bool(self.open.isna().to_numpy().all())

    def between(self, start: pd.Timestamp, end: pd.Timestamp) -> Bars:
        """The bars from `start` to `end`, both included."""
        return self._map(lambda frame: frame.loc[start:end])

    def of(self, symbols: tuple[str, ...] | list[str]) -> Bars:
        """The bars of these symbols, in this order."""
        return self._map(lambda frame: frame.loc[:, list(symbols)])

    def _map(self, change) -> Bars:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return Bars(**{name: change(frame) for name, frame in self})

    @classmethod
    def from_long(cls, rows: pd.DataFrame, *, index: pd.DatetimeIndex, symbols: tuple[str, ...]) -> Bars:
        """Build from long rows with columns `symbol`, `session`, `close` and any other of `FIELDS`.

        Fields that are absent or NaN throughout become None. Sessions and symbols without a row become NaN.
        """
        frames: dict[str, pd.DataFrame] = {}
        for name in FIELDS:
            if name not in rows.columns:
                continue
            wide = rows.set_index(["session", "symbol"])[name].unstack().reindex(index=index, columns=list(symbols))
            if name == "close" or not np.isnan(wide.to_numpy(dtype=float)).all():
                frames[name] = wide.astype(float).rename_axis(index="session", columns="symbol")
        return cls(**frames)


def _check_index(index: pd.DatetimeIndex) -> None:
    if index.hasnans:
        raise BadData("the sessions of the bars hold an empty one (NaT).", remedy="drop the rows without a session.")
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        raise BadData(
            f"the sessions of the bars are not strictly ascending: {twice} is there twice.", remedy="drop the repeats."
        )
    if not index.is_monotonic_increasing:
        late = index[1:][index[1:] < index[:-1]][0]
        raise BadData(
            f"the sessions of the bars are not strictly ascending: {late} comes after a later one.",
            remedy="sort the bars by session.",
        )
    if index.tz is None and not index.is_normalized:
        first = index[index != index.normalize()][0]
        raise BadData(
            f"the bar {first} has a time of day but no timezone; a moment without one is no moment.",
            remedy="use tz_localize('UTC') for intraday bars, normalize() for sessions.",
        )
    if index.tz is not None and str(index.tz) != "UTC":
        raise BadData(
            f"the moments of the bars are in {index.tz}, not in UTC.", remedy="use tz_convert('UTC') on the index."
        )
