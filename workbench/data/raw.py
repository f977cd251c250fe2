"""Raw bars: a vendor's prices as they were traded, under a name of their own, so that nothing mixes them with adjusted.

They are adjusted when they are read, with the actions known at the moment of the reader (`workbench.data.adjust`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

if TYPE_CHECKING:
    from workbench.data.source import BarSource

SUFFIX: Final = "-raw"


class RawBars:
    """The bars of a source that was opened with `adjustment="raw"`; its name is that of the source and `-raw`."""

    adjustment = "raw"

    def __init__(self, source: BarSource) -> None:
        self._source = source
        self.name = f"{source.name}{SUFFIX}"
        self.label, self.synthetic, self.venue = source.label, source.synthetic, source.venue

    def __repr__(self) -> str:
        return f"RawBars({self._source!r})"

    def symbols(self) -> tuple[str, ...]:
        """As the source says."""
        return self._source.symbols()

    def bars(
        self, symbols: str | Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """As the source gives them; see `BarSource.bars`."""
        return self._source.bars(symbols, start=start, end=end, timeframe=timeframe)


class AboutRaw:
    """What is known of the raw bars of a kind of source without opening it."""

    adjustment = "raw"

    def __init__(self, source: Any) -> None:
        self.name = f"{source.name}{SUFFIX}"
        self.label, self.synthetic, self.venue = f"{source.label} · raw", source.synthetic, source.venue
