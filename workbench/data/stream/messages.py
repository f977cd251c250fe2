"""The slow path: messages as plain objects, for text frames and for what the kernel leaves alone."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from workbench.data.stream.article import Article
from workbench.data.stream.events import NO_NUMBER, ROW, Channel, venue_code
from workbench.errors import BadData

CONTROL: Final = frozenset({"success", "error", "subscription"})
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)")
_NS = 1_000_000_000
_MOST = 1 << 63


def unpacked(frame: bytes) -> Any:
    """The objects of msgpack bytes, moments with their nanoseconds. Raises BadData."""
    import msgpack

    try:
        return msgpack.unpackb(frame, timestamp=0)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:  # its own errors are ValueErrors
        raise BadData(
            f"{len(frame)} bytes of a frame cannot be read ({type(error).__name__}); the frame was refused.",
            remedy="nothing needs to be done: it is counted, and the stream goes on.",
        ) from error


def nanoseconds(moment: Any) -> int | None:
    """A moment, a Timestamp of msgpack or a text of RFC 3339, as ns since 1970; None where it is neither."""
    if isinstance(moment, str):
        found = _MOMENT.fullmatch(moment)
        if found is None:
            return None
        zone = "+00:00" if found[3] in "Zz" else found[3]
        try:
            whole = dt.datetime.fromisoformat(f"{found[1].upper().replace(' ', 'T')}{zone}")
        except ValueError:
            return None
        since = whole - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        made = (since.days * 86_400 + since.seconds) * _NS + int((found[2] or "0").ljust(9, "0"))
    elif hasattr(moment, "to_unix_nano"):
        made = moment.to_unix_nano()
    else:
        return None
    return made if -_MOST < made < _MOST else None


def key_of(name: Any) -> int:
    """A vendor's name of a trade as a number: a whole number is itself, a text its digits or 63 bits of its hash.

    `V:123`, as the sources write it, is 123: the venue is a column of its own.
    """
    if isinstance(name, int) and not isinstance(name, bool):
        return (name + _MOST) % (2 * _MOST) - _MOST
    if isinstance(name, str) and name:
        name = name.rpartition(":")[2] or name
        if name.isascii() and name.isdigit() and len(name) <= 18:
            return int(name)
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1
    return NO_NUMBER


def row_of(message: Mapping[str, Any], channel: Channel, symbol: int, learned: int) -> np.ndarray | None:
    """One event as an array of one row; None where it has no moment. A number that is none is NaN."""
    time = nanoseconds(message.get("t"))
    if time is None:
        return None
    row = np.zeros(1, dtype=ROW)
    venue = message.get("x")
    row["kind"], row["symbol"], row["time"], row["learned"] = channel.code, symbol, time, learned
    row["venue"] = venue_code(venue) if isinstance(venue, str) else 0
    row["key"] = key_of(message.get("i"))
    for number in range(7):
        row[f"v{number}"] = math.nan
    for number, field in enumerate(channel.fields):
        row[f"v{number}"] = _number(message.get(field))
    return row


def article_of(message: Mapping[str, Any], learned: int) -> Article | None:
    """One article; None where it has no id or no moment."""
    created = nanoseconds(message.get("created_at"))
    updated = nanoseconds(message.get("updated_at"))
    happened = created if updated is None else updated
    key = message.get("id")
    if happened is None or isinstance(key, bool) or not isinstance(key, (int, str)) or key == "":
        return None
    symbols = message.get("symbols")
    named = [name for name in symbols if isinstance(name, str) and name] if isinstance(symbols, (list, tuple)) else []
    return Article(
        key=str(key),
        symbols=tuple(dict.fromkeys(named)),
        headline=_text(message.get("headline")),
        summary=_text(message.get("summary")),
        author=_text(message.get("author")),
        publisher=_text(message.get("source")),
        url=_text(message.get("url")),
        happened=pd.Timestamp(happened, tz="UTC"),
        created=pd.Timestamp(happened if created is None else created, tz="UTC"),
        learned=pd.Timestamp(max(learned, happened), tz="UTC"),
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
