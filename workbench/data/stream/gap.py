"""Gap: a time without a connection; what happened in it is asked of a source and put in its place."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench.data.stream.article import Article
from workbench.data.stream.events import BAR, CHANNELS, FILLED, QUOTE, ROW, TRADE, venue_code
from workbench.data.stream.messages import key_of
from workbench.data.stream.symbol_table import SymbolTable

NEW_YORK: Final = "America/New_York"
MOST_SYMBOLS: Final = 500
_NS = 1_000_000_000
_MINUTE_NS = 60 * _NS
_COLUMNS: Final[Mapping[str, tuple[int, tuple[str, ...]]]] = {
    "trades": (TRADE, ("price", "size")),
    "quotes": (QUOTE, ("bid", "ask", "bid_size", "ask_size")),
    "bars": (BAR, ("open", "high", "low", "close", "volume")),
}


@dataclass(slots=True)
class Gap:
    """Between two connections.

    Attributes:
        why: what ended the first.
        listened: symbols by channel (vendor's names) that it had confirmed, and since when (ns).
        until: when the second confirmed its subscription, ns; None until then.
        settled: set when it has, or when it was lost before it did (then `until` stays None).
    """

    why: str
    listened: Mapping[str, frozenset[str]]
    since: int
    until: int | None = None
    settled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Filling:
    """What became of one channel of a gap.

    Attributes:
        start, end: the moments between which a source was asked (UTC).
        events: that were new.
        trouble: why nothing, or not everything, was filled; empty: filled.
    """

    channel: str
    start: pd.Timestamp
    end: pd.Timestamp
    events: int
    why: str
    trouble: str


def can_fill(source: object, channel: str) -> bool:
    """Whether a source can be asked for what a channel has missed."""
    return (channel in _COLUMNS or channel == "news") and callable(getattr(source, channel, None))


def asked(source: Any, channel: str, symbols: tuple[str, ...], start: int, end: int) -> pd.DataFrame:
    """Rows of a source from `start` to `end` (ns), both included, by time. It is asked for whole days.

    Raises:
        WorkbenchError: what the source says.
    """
    first, last = (_moment(ns).tz_convert(NEW_YORK).normalize().tz_localize(None) for ns in (start, end))
    more = {"timeframe": "1m"} if channel == "bars" else {}
    rows: pd.DataFrame = getattr(source, channel)(symbols, start=first, end=last, **more)
    begins = _ns(rows["time"])
    ends = begins + _MINUTE_NS if channel == "bars" else begins
    kept = rows.loc[(begins >= start) & (ends <= end)]
    return kept.iloc[np.argsort(_ns(kept["time"]), kind="stable")]


def rows_of(found: pd.DataFrame, channel: str, table: SymbolTable, learned: int) -> np.ndarray:
    """A source's rows as events, marked as filled."""
    code, columns = _COLUMNS[channel]
    rows = np.zeros(len(found), dtype=ROW)
    rows["kind"], rows["flags"], rows["learned"] = code, FILLED, learned
    rows["symbol"] = [table.number(str(symbol)) for symbol in found["symbol"]]
    rows["time"] = _ns(found["time"])
    for number in range(7):
        rows[f"v{number}"] = np.nan
    for number, name in enumerate(columns):
        rows[f"v{number}"] = found[name].to_numpy(dtype=float)
    if channel == "trades":
        rows["key"] = [key_of(str(key)) for key in found["key"]]
        rows["venue"] = [venue_code(str(venue)) for venue in found["venue"]]
    return rows


def articles_of(found: pd.DataFrame, learned: int) -> tuple[Article, ...]:
    """A source's news as articles, marked as filled; one article for all the symbols it is about."""
    made = []
    for (key, moment), rows in found.groupby(["key", "time"], sort=False):
        row = rows.iloc[0]
        created = pd.DatetimeIndex([moment])[0].tz_convert("UTC")
        happened = max(created, pd.Timestamp(row["learned"]))  # a source's newest revision was learned when it was made
        made.append(
            Article(
                key=str(key),
                symbols=tuple(dict.fromkeys(rows["symbol"].astype(str))),
                headline=str(row["headline"]),
                summary=str(row["summary"]),
                author=str(row["author"]),
                publisher=str(row["publisher"]),
                url=str(row["url"]),
                happened=happened,
                created=created,
                learned=max(_moment(learned), happened),
                filled=True,
            )
        )
    return tuple(made)


def listened_channels(gap: Gap) -> list[str]:
    """The channels that a gap has a hole in. A daily bar is told whole with each minute: it has none."""
    return [name for name, channel in CHANNELS.items() if gap.listened.get(channel.wire) and name != "daily_bars"]


def _moment(ns: int) -> pd.Timestamp:
    return pd.Timestamp(ns, tz="UTC")


def _ns(moments: pd.Series) -> np.ndarray:
    return pd.DatetimeIndex(moments).as_unit("ns").asi8
