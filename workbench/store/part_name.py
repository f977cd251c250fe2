"""The name of a part, one Parquet file of a dataset: it says what can be in it, so that most are never opened."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pandas as pd

# More symbols than this are not named one by one: a name may have 255 characters.
MOST_SYMBOLS: Final = 32
_FORM: Final = re.compile(
    r"v(?P<level>[0-9a-f]{4})-(?P<first>\d{8})-(?P<last>\d{8})-(?P<rows>\d+)-(?P<symbols>x|(?:[0-9a-f]{3})+)"
    r"-(?P<columns>[0-9a-f]{8})-(?P<digest>[0-9a-f]{32})\.parquet"
)


@dataclass(frozen=True, slots=True)
class PartName:
    """What a name says. A file of before these names (64 hex digits) says nothing and can hold anything.

    Attributes:
        level: 0 for a part that was appended, one more than its highest source for a merged one. Names sort by level,
            and a store that lists in the order of names lists what replaces a part after that part.
        first, last: the days of its first and last session, eight digits each.
        rows: how many.
        symbols: twelve bits of each symbol's hash; None when there are too many.
        columns: eight hex digits of the columns' names and types.
        digest: 32 hex digits of the content, or of what was merged into it.
    """

    level: int
    first: str
    last: str
    rows: int
    symbols: frozenset[int] | None
    columns: str
    digest: str

    @property
    def text(self) -> str:
        """The file name."""
        symbols = "x" if self.symbols is None else "".join(f"{number:03x}" for number in sorted(self.symbols))
        said = f"{self.first}-{self.last}-{self.rows}-{symbols}-{self.columns}"
        return f"v{self.level:04x}-{said}-{self.digest[:32]}.parquet"

    def may_hold(self, symbols: frozenset[int], first: str, last: str) -> bool:
        """False when no row of these symbols and sessions can be in the part."""
        if self.last < first or self.first > last:
            return False
        return self.symbols is None or not self.symbols.isdisjoint(symbols)


@functools.lru_cache(maxsize=65_536)
def parse(name: str) -> PartName | None:
    """What a file name says; None for a name of another form."""
    found = _FORM.fullmatch(name)
    if found is None:
        return None
    symbols = found["symbols"]
    return PartName(
        level=int(found["level"], 16),
        first=found["first"],
        last=found["last"],
        rows=int(found["rows"]),
        symbols=None
        if symbols == "x"
        else frozenset(int(symbols[at : at + 3], 16) for at in range(0, len(symbols), 3)),
        columns=found["columns"],
        digest=found["digest"],
    )


def name_of(rows: pd.DataFrame, *, level: int, columns: str, digest: str) -> PartName:
    """The name of a part with these rows (at least one), as they are stored."""
    hashes = symbol_hashes(rows["symbol"].unique())
    return PartName(
        level=level,
        first=day(rows["session"].min()),
        last=day(rows["session"].max()),
        rows=len(rows),
        symbols=hashes if len(hashes) <= MOST_SYMBOLS else None,
        columns=columns,
        digest=digest[:32],
    )


def symbol_hashes(symbols: Iterable[str]) -> frozenset[int]:
    """Twelve bits of each symbol's hash: the same in every process."""
    return frozenset(_hash(str(symbol)) for symbol in symbols)


def day(moment: pd.Timestamp) -> str:
    """A day as eight digits that sort; days outside the years 1000 to 9999 as the first or the last of all."""
    if moment.year < 1000:
        return "00000000"
    return "99999999" if moment.year > 9999 else f"{moment.year:04d}{moment.month:02d}{moment.day:02d}"


@functools.lru_cache(maxsize=65_536)
def _hash(symbol: str) -> int:
    return int.from_bytes(hashlib.blake2b(symbol.encode(), digest_size=2).digest()) & 0xFFF
