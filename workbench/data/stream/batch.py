"""Batch: what a handler gets: events of one channel as columns of numpy, in the order of their coming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench.data.stream.events import BY_CODE, DAILY_BAR, FILLED, LATE, TRADE, Channel, venue_text
from workbench.data.stream.moments import moments
from workbench.data.stream.symbol_table import SymbolTable

_MINUTE_NS: Final = 60_000_000_000
_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event: the same as a batch of one, for handlers that want them singly.

    Attributes:
        channel: `trades`, `quotes`, `bars`, `updated_bars` or `daily_bars`.
        time: when the vendor says it was; of a bar its first moment (UTC, with nanoseconds).
        happened, learned: the two clocks; see `Batch`.
        late: an event of the symbol with a later moment had come before it.
        filled: it was asked for after a gap.
        key: the vendor's number of a trade; 0: not said.
        values: the channel's numbers by name (`price`, `bid`, `close`, …); NaN: not said.
    """

    channel: str
    symbol: str
    time: pd.Timestamp
    happened: pd.Timestamp
    learned: pd.Timestamp
    late: bool
    filled: bool
    key: int
    venue: str
    values: dict[str, float]

    def __getitem__(self, name: str) -> float:
        """One of the numbers by its name."""
        return self.values[name]


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one channel; a handler may keep it, nobody writes into it again.

    Indexed by the name of a number (`batch["price"]`, of `channel.columns`) it gives that column, float64, NaN where
    it was not said.

    Attributes:
        channel: which channel, and what its numbers are called.
        rows: one row per event (dtype `events.ROW`).
    """

    channel: Channel
    rows: np.ndarray
    _symbols: SymbolTable = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> np.ndarray:
        """A column of numbers by its name."""
        return self.rows[f"v{self.channel.columns.index(name)}"]

    def __iter__(self) -> Iterator[Event]:
        names, columns = self.channel.columns, [self[name] for name in self.channel.columns]
        happened, learned = self.happened, self.learned
        for number, row in enumerate(self.rows):
            yield Event(
                channel=self.channel.name,
                symbol=self._symbols.names[int(row["symbol"])],
                time=pd.Timestamp(int(row["time"]), tz="UTC"),
                happened=happened[number],
                learned=learned[number],
                late=bool(row["flags"] & LATE),
                filled=bool(row["flags"] & FILLED),
                key=int(row["key"]),
                venue=venue_text(row["venue"]),
                values={name: float(column[number]) for name, column in zip(names, columns, strict=True)},
            )

    @property
    def symbols(self) -> np.ndarray:
        """The symbol of each event, as objects."""
        numbers, places = np.unique(self.rows["symbol"], return_inverse=True)
        return np.array([self._symbols.names[number] for number in numbers], dtype=object)[places]

    @property
    def time(self) -> pd.DatetimeIndex:
        """When the vendor says each was; of a bar its first moment (UTC, ns)."""
        return moments(self.rows["time"])

    @property
    def happened(self) -> pd.DatetimeIndex:
        """When each was so (UTC): the moment of a trade or quote, the end of a minute bar.

        A daily bar that comes while its day runs is the day so far: it happened when it was learned. `record` knows
        the calendar and is stricter about the daily bars that come after the close.
        """
        time, learned = self.rows["time"], self.rows["learned"]
        if self.channel.code == DAILY_BAR:
            return moments(np.minimum(time + _DAY_NS, learned))
        return moments(time if self.channel.columns[0] != "open" else time + _MINUTE_NS)

    @property
    def learned(self) -> pd.DatetimeIndex:
        """When each reached this machine (UTC); never before it happened, whatever the machine's clock says."""
        return moments(np.maximum(self.rows["learned"], self.happened.asi8))

    @property
    def late(self) -> np.ndarray:
        """Which came after a later one of their symbol."""
        return np.asarray(self.rows["flags"] & LATE, dtype=bool)

    @property
    def filled(self) -> np.ndarray:
        """Which were asked for after a gap."""
        return np.asarray(self.rows["flags"] & FILLED, dtype=bool)

    def frame(self) -> pd.DataFrame:
        """The events as a frame: symbol, time, the channel's numbers, happened, learned, late, filled."""
        columns: dict[str, Any] = {"symbol": pd.array(self.symbols, dtype="str"), "time": self.time}
        columns |= {name: np.array(self[name]) for name in self.channel.columns}
        if self.channel.code == TRADE:
            columns["venue"] = [venue_text(code) for code in self.rows["venue"]]
            columns["key"] = np.array(self.rows["key"])
        columns |= {"happened": self.happened, "learned": self.learned, "late": self.late, "filled": self.filled}
        return pd.DataFrame(columns)


def batches_of(rows: np.ndarray, symbols: SymbolTable) -> list[Batch]:
    """One batch for each channel that the rows hold, in the order in which the channels begin."""
    kinds = rows["kind"]
    codes, firsts = np.unique(kinds, return_index=True)
    return [
        Batch(BY_CODE[int(code)], rows if len(codes) == 1 else rows[kinds == code], symbols)
        for code in codes[np.argsort(firsts)]
    ]
