"""The shape of a streamed event: one row of one array, whatever it is, and what its numbers are called by channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

TRADE: Final = 1
QUOTE: Final = 2
BAR: Final = 3
UPDATED_BAR: Final = 4
DAILY_BAR: Final = 5
KINDS: Final = 6  # one more than the highest code

LATE: Final = 1  # an event of the same symbol and sort with a later moment had come before
DUPLICATE: Final = 2  # it had come before; never handed on
BAD: Final = 4  # its numbers cannot be true; never handed on
FILLED: Final = 8  # it was asked for after a gap and did not come over the stream

VALUES: Final = 7
NO_NUMBER: Final = 0  # a `key` that was not said

# 88 bytes: what the kernels write and read, what the buffer holds, what a batch is made of.
ROW: Final = np.dtype(
    [
        ("kind", np.int8),
        ("flags", np.uint8),
        ("venue", np.int16),  # the vendor's letters for the venue of a trade, lowest byte first; 0: not said
        ("symbol", np.int32),  # number in the stream's table of symbols
        ("time", np.int64),  # ns since 1970, UTC: when the vendor says it was; of a bar its first moment
        ("learned", np.int64),  # ns since 1970, UTC: when it reached this machine
        ("key", np.int64),  # the vendor's number of a trade; NO_NUMBER: not said
        *((f"v{number}", np.float64) for number in range(VALUES)),
    ],
    align=True,
)


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a stream.

    Attributes:
        name: as our methods call it (`subscribe_trades`).
        wire: as the vendor calls it in a subscription.
        letter: the vendor's letter of its messages.
        code: of its rows; 0 where its events are no rows of numbers.
        columns: what `v0`, `v1`, … are called.
        fields: under which names the vendor sends them.
    """

    name: str
    wire: str
    letter: str
    code: int
    columns: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


_BAR_COLUMNS = ("open", "high", "low", "close", "volume", "vwap", "trades")
_BAR_FIELDS = ("o", "h", "l", "c", "v", "vw", "n")
_CHANNELS = (
    Channel("trades", "trades", "t", TRADE, ("price", "size"), ("p", "s")),
    Channel("quotes", "quotes", "q", QUOTE, ("bid", "ask", "bid_size", "ask_size"), ("bp", "ap", "bs", "as")),
    Channel("bars", "bars", "b", BAR, _BAR_COLUMNS, _BAR_FIELDS),
    Channel("updated_bars", "updatedBars", "u", UPDATED_BAR, _BAR_COLUMNS, _BAR_FIELDS),
    Channel("daily_bars", "dailyBars", "d", DAILY_BAR, _BAR_COLUMNS, _BAR_FIELDS),
    Channel("news", "news", "n", 0),
)
CHANNELS: Final[Mapping[str, Channel]] = {channel.name: channel for channel in _CHANNELS}
BY_LETTER: Final[Mapping[str, Channel]] = {channel.letter: channel for channel in _CHANNELS if channel.code}
BY_CODE: Final[Mapping[int, Channel]] = {channel.code: channel for channel in _CHANNELS if channel.code}


def venue_code(text: str) -> int:
    """The number of a venue's letters, at most two of them; 0 for none."""
    return int.from_bytes(text.encode("ascii", "replace")[:2], "little", signed=True)


def venue_text(code: int) -> str:
    """The letters of a venue's number."""
    return int(code).to_bytes(2, "little", signed=True).rstrip(b"\0").decode("ascii", "replace")
