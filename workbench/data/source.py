"""BarSource: what every supplier of bars promises, whoever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import pandas as pd

PRICES: Final = ("open", "high", "low", "close")
DAILY_COLUMNS: Final = ("symbol", "session", *PRICES, "volume", "happened", "learned")
INTRADAY_COLUMNS: Final = ("symbol", "session", "time", *PRICES, "volume", "happened", "learned")


@runtime_checkable
class BarSource(Protocol):
    """A supplier of bars.

    Attributes:
        name: what a Study calls it, e.g. `"bundled"`.
        label: what is said under every table and plot made of it, e.g. `"SYNTHETIC · seed 7"`.
        synthetic: True where no real market stands behind the numbers.
        venue: calendar name of the sessions, e.g. `"XNYS"`.
    """

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def synthetic(self) -> bool: ...

    @property
    def venue(self) -> str: ...

    def symbols(self) -> tuple[str, ...]:
        """Every symbol it knows, in a fixed order."""
        ...

    def bars(
        self, symbols: Sequence[str], *, start: pd.Timestamp, end: pd.Timestamp, timeframe: str = "1d"
    ) -> pd.DataFrame:
        """Bars of the sessions from `start` to `end`, both included: long rows by symbol (as asked), then time.

        Returns:
            Columns `DAILY_COLUMNS`, or `INTRADAY_COLUMNS` where the timeframe is shorter than a session:
            `session` is a timezone-naive midnight, `time` the bar's first moment (UTC), `happened` the bar's close
            (UTC), `learned` the moment a reader could have known it (UTC). Prices are in the venue's currency,
            `volume` in shares. A field the source does not have is NaN in every row, never invented. There is no row
            for a session without a bar; no row at all is an empty frame with these columns.

        Raises:
            DataError: a symbol or a timeframe that the source does not have; nothing was fetched.
        """
        ...


def no_bars(*, intraday: bool = False) -> pd.DataFrame:
    """The empty answer: no row, the right columns and types."""
    columns: dict[str, pd.Series] = {"symbol": pd.Series(dtype="str"), "session": pd.Series(dtype="datetime64[us]")}
    if intraday:
        columns["time"] = pd.Series(dtype="datetime64[us, UTC]")
    columns |= {name: pd.Series(dtype=float) for name in (*PRICES, "volume")}
    columns |= {name: pd.Series(dtype="datetime64[us, UTC]") for name in ("happened", "learned")}
    return pd.DataFrame(columns)
